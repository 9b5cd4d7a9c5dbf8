//! Key that a request's response is looked for and filed under: its URI's own, or that of an
//! equivalent URI (No-Vary-Search).

use std::sync::Arc;
use std::time::SystemTime;

use crate::semantics::key::KeyBuf;
use crate::semantics::no_vary_search::NoVarySearch;
use crate::semantics::vary::Selecting;
use crate::store::{Found, Object, Store};

/// Where the response for a URI lies, or will lie.
pub(super) struct Locator {
    key: KeyBuf,
    /// The URI's own key, where `key` is an equivalent one's, and by which word it is.
    own: Option<Box<(KeyBuf, Arc<NoVarySearch>)>>,
}

// === impl Locator ===

impl Locator {
    /// Under the URI's own key.
    pub(super) fn new(key: KeyBuf) -> Self {
        Self { key, own: None }
    }

    /// The key to look under.
    pub(super) fn key(&self) -> &KeyBuf {
        &self.key
    }

    /// The key of the URI itself.
    pub(super) fn own_key(&self) -> &KeyBuf {
        self.own.as_ref().map_or(&self.key, |own| &own.0)
    }

    /// Whether an object under the key is a response for the URI: under another URI's key, it must
    /// say so itself.
    pub(super) fn suits(&self, object: &Object) -> bool {
        self.own.as_ref().is_none_or(|own| object.says(&own.1))
    }

    /// What lies under the key for this request.
    pub(super) fn find(&self, store: &Store, request: &Selecting, now: SystemTime) -> Found {
        self.for_this_uri(store.find(&self.key, request, now))
    }

    /// What was found under the key, as far as it is for the URI.
    pub(super) fn for_this_uri(&self, found: Found) -> Found {
        match found {
            Found::Object(object) if !self.suits(&object) => Found::Absent { others: true },
            found => found,
        }
    }

    /// The same, and if there is nothing, what lies where an equivalent URI's response is. If there
    /// is nothing either, the one to come is asked for under that key, together with others who
    /// want it.
    pub(super) fn find_or_move(
        &mut self,
        store: &Store,
        request: &Selecting,
        now: SystemTime,
    ) -> Found {
        let found = self.find(store, request, now);
        if !matches!(found, Found::Absent { .. }) || self.own.is_some() {
            return found;
        }
        let Some((place, word)) = store.equivalent(&self.key) else {
            return found;
        };
        let own = std::mem::replace(&mut self.key, KeyBuf::from(&place));
        self.own = Some(Box::new((own, word)));
        self.find(store, request, now)
    }
}
