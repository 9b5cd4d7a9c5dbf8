//! Notes by key, bounded by their bytes.

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{Hasher, OVERHEAD_BYTES, UNIT_BYTES, units};
use crate::semantics::key::Key;

/// What is remembered of URIs beside their responses, bounded by the bytes of keys and notes. The
/// whole key is kept: to take one URI's note for another's would mix up their responses.
pub(in crate::store) struct Notes<V> {
    cache: Cache<Key, V, Hasher>,
}

// === impl Notes ===

impl<V: Clone + Send + Sync + 'static> Notes<V> {
    /// Notes of at most `bytes_max`, each of which weighs what `weigh` says beside its key.
    pub(in crate::store) fn new(
        bytes_max: u64,
        weigh: impl Fn(&V) -> usize + Send + Sync + 'static,
    ) -> Self {
        let cache = Cache::builder()
            .max_capacity(bytes_max / UNIT_BYTES)
            .weigher(move |key: &Key, note| {
                units((OVERHEAD_BYTES + key.len_bytes() + weigh(note)) as u64)
            })
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(Hasher::default());
        Self { cache }
    }

    pub(in crate::store) fn get(&self, key: &[u8]) -> Option<V> {
        self.cache.get(key)
    }

    pub(in crate::store) fn put(&self, key: Key, note: V) {
        self.cache.insert(key, note);
    }

    pub(in crate::store) fn tidy(&self) {
        self.cache.run_pending_tasks();
    }
}
