//! What No-Vary-Search has said of each path: which queries are one to it.
//!
//! A response's field can only be known once there is a response, but the key is needed before. So
//! the latest word of each path is kept, and shapes the keys of the requests that follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::memory::Notes;
use crate::semantics::key::{Key, KeyBuf};
use crate::semantics::no_vary_search::NoVarySearch;

/// Bytes for all paths; beyond it the one not asked for longest is forgotten, which costs misses.
const BYTES_MAX: u64 = 4 << 20;

/// The latest word of each path.
pub(super) struct Variances {
    notes: Notes<Arc<NoVarySearch>>,
    /// Whether there has been any: where no origin sends the field, no request pays for it.
    any: AtomicBool,
}

// === impl Variances ===

impl Variances {
    pub(super) fn new() -> Self {
        Self {
            notes: Notes::new(BYTES_MAX, |variance: &Arc<NoVarySearch>| {
                size_of::<NoVarySearch>() + variance.weight_bytes()
            }),
            any: AtomicBool::new(false),
        }
    }

    /// What the path of `key` has said.
    pub(super) fn of(&self, key: &KeyBuf) -> Option<Arc<NoVarySearch>> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        self.notes.get(key.without_query())
    }

    /// Notes what the path of `key` says now; `None` for the default.
    pub(super) fn learn(&self, key: &KeyBuf, variance: Option<NoVarySearch>) {
        let Some(variance) = variance else {
            return self.notes.remove(key.without_query());
        };
        self.notes
            .put(Key::from(key.without_query()), Arc::new(variance));
        self.any.store(true, Ordering::Relaxed);
    }

    pub(super) fn tidy(&self) {
        self.notes.tidy();
    }
}
