//! Equivalent URIs (No-Vary-Search): for each path its latest word, and for each set of URIs that
//! have one response the key that it is filed under.
//!
//! Every response is filed under its own URI's key. What is noted here is only where else to look;
//! whether the object that lies there is meant is told by that object's own field, so that no note,
//! however old, can serve one URI's response for another that its origin did not say.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::moka::Notes;
use super::object::Object;
use crate::semantics::key::{Key, KeyBuf};
use crate::semantics::no_vary_search::{NO_VARY_SEARCH, NoVarySearch};

/// Bytes for either kind of note; beyond it the one not asked for longest is forgotten, which costs
/// misses.
const BYTES_MAX: u64 = 4 << 20;

/// What is known of equivalent URIs.
pub(super) struct Equivalents {
    /// By path.
    words: Notes<Arc<NoVarySearch>>,
    /// By the query that stands for all equivalent ones.
    places: Notes<Key>,
    /// Whether there has been any: where no origin sends the field, no request pays for it.
    any: AtomicBool,
}

// === impl Equivalents ===

impl Equivalents {
    pub(super) fn new() -> Self {
        Self {
            words: Notes::new(BYTES_MAX, |word: &Arc<NoVarySearch>| {
                size_of::<NoVarySearch>() + word.weight_bytes()
            }),
            places: Notes::new(BYTES_MAX, Key::len_bytes),
            any: AtomicBool::new(false),
        }
    }

    /// Notes that the response filed under `place` says `word` of the URI of `key`.
    pub(super) fn learn(&self, key: &KeyBuf, word: NoVarySearch, place: &Key) {
        self.places.put(key.under(&word).to_key(), place.clone());
        self.words
            .put(Key::from(key.without_query()), Arc::new(word));
        self.any.store(true, Ordering::Relaxed);
    }

    /// Where else the response for a URI may lie, and by which word.
    pub(super) fn place(&self, key: &KeyBuf) -> Option<(Key, Arc<NoVarySearch>)> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let word = self.words.get(key.without_query())?;
        let place = self.places.get(&key.under(&word))?;
        (place.as_ref() != &**key).then_some((place, word))
    }

    pub(super) fn tidy(&self) {
        self.words.tidy();
        self.places.tidy();
    }
}

// === impl Object: its word ===

impl Object {
    /// Whether the object says just this of the queries of its URI.
    pub fn says(&self, word: &NoVarySearch) -> bool {
        self.head().get(&NO_VARY_SEARCH).is_some()
            && NoVarySearch::of(&self.head().to_fields(0)).as_ref() == Some(word)
    }
}
