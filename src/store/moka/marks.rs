//! Short-lived facts by key, bounded by their number.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderName;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use smallvec::SmallVec;

use super::super::born::Born;
use super::Hasher;

/// One fact: until when it holds, and when what it is about was asked for.
#[derive(Clone, Debug)]
pub(in crate::store) struct Mark {
    pub(in crate::store) until: SystemTime,
    pub(in crate::store) born: Born,
    pub(in crate::store) what: Marked,
}

/// Which of a key's requests a fact is about.
#[derive(Clone, Debug)]
pub(in crate::store) enum Marked {
    All,
    /// Those whose variant by these fields has one of these hashes: clients choose the values, which
    /// may be long.
    Variants {
        names: Arc<[HeaderName]>,
        hashes: SmallVec<[u64; 2]>,
    },
}

/// Short facts by key, bounded by their number, in a cache of their own. Of the key only its hash
/// is kept: two keys that share one share a mark, which costs no more than some coalescing.
pub(in crate::store) struct Marks {
    cache: Cache<u64, Mark, Hasher>,
    hasher: Hasher,
}

// === impl Marks ===

impl Marks {
    /// At most `marks_max` marks, none of them older than `lasts`.
    pub(in crate::store) fn new(marks_max: u64, lasts: Duration) -> Self {
        let cache = Cache::builder()
            .max_capacity(marks_max)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(lasts.max(Duration::from_secs(1)))
            .build_with_hasher(Hasher::default());
        Self {
            cache,
            hasher: Hasher::default(),
        }
    }

    pub(in crate::store) fn get(&self, key: &[u8]) -> Option<Mark> {
        self.cache.get(&self.hasher.hash_one(key))
    }

    pub(in crate::store) fn put(&self, key: &[u8], mark: Mark) {
        self.cache.insert(self.hasher.hash_one(key), mark);
    }

    pub(in crate::store) fn remove(&self, key: &[u8]) {
        self.cache.invalidate(&self.hasher.hash_one(key));
    }

    pub(in crate::store) fn tidy(&self) {
        self.cache.run_pending_tasks();
    }
}
