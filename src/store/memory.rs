//! The memory tier: complete objects in moka, weighed in real bytes. The one door to moka.
//!
//! Eviction is least-recently-used: moka's TinyLFU turns new objects away while the cache is full
//! of popular ones, which for a proxy means that a new page stays slow. Freshness is not moka's
//! business; stale objects stay for revalidation until room is needed.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::shelf::Shelf;
use crate::semantics::key::Key;

/// moka's weights are `u32`: weighing in units of 64 bytes lets a cache hold 256 GiB.
const UNIT_BYTES: u64 = 64;

/// What moka and the allocator spend on a small entry.
const OVERHEAD_BYTES: usize = 256;

type Hasher = foldhash::quality::RandomState;

/// Complete objects by key.
pub(super) struct Memory {
    cache: Cache<Key, Shelf, Hasher>,
    held: Arc<Held>,
}

/// What is held at this moment, counted as entries come and go.
#[derive(Debug, Default)]
struct Held {
    objects: AtomicU64,
    bytes: AtomicU64,
    evicted: AtomicU64,
}

/// Short facts by key, bounded by their number, in a cache of their own. Of the key only its hash
/// is kept: two keys that share one share a mark, which costs no more than some coalescing.
pub(super) struct Marks {
    cache: Cache<u64, SystemTime, Hasher>,
    hasher: Hasher,
}

/// What is remembered of URIs beside their responses, bounded by the bytes of keys and notes. The
/// whole key is kept: to take one URI's note for another's would mix up their responses.
pub(super) struct Notes<V> {
    cache: Cache<Key, V, Hasher>,
}

// === impl Memory ===

impl Memory {
    pub(super) fn new(bytes_max: u64) -> Self {
        let held = Arc::new(Held::default());
        let listener = Arc::clone(&held);
        let cache = Cache::builder()
            .max_capacity(bytes_max / UNIT_BYTES)
            .weigher(|key: &Key, shelf: &Shelf| units(weight_bytes(key, shelf)))
            .eviction_policy(EvictionPolicy::lru())
            .eviction_listener(move |key, shelf, cause| listener.gone(&key, &shelf, cause))
            .build_with_hasher(Hasher::default());
        Self { cache, held }
    }

    /// The shelf under `key`; counts as a use of it.
    pub(super) fn get(&self, key: &[u8]) -> Option<Shelf> {
        self.cache.get(key)
    }

    /// Files `shelf` in place of what was under `key`.
    pub(super) fn put(&self, key: Key, shelf: Shelf) {
        self.held
            .objects
            .fetch_add(shelf.objects().len() as u64, Ordering::Relaxed);
        self.held
            .bytes
            .fetch_add(weight_bytes(&key, &shelf), Ordering::Relaxed);
        self.cache.insert(key, shelf);
    }

    /// Drops what is under `key` and tells how many objects that were.
    pub(super) fn remove(&self, key: &[u8]) -> u64 {
        self.cache
            .remove(key)
            .map_or(0, |shelf| shelf.objects().len() as u64)
    }

    /// The keys at this moment.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.cache.iter().map(|(key, _)| Key::clone(&key)).collect()
    }

    /// Drops everything.
    pub(super) fn clear(&self) {
        self.cache.invalidate_all();
    }

    /// Gives back the memory of what was dropped, and evicts what is too much.
    pub(super) fn tidy(&self) {
        self.cache.run_pending_tasks();
    }

    pub(super) fn objects(&self) -> u64 {
        self.held.objects.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.held.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn evicted(&self) -> u64 {
        self.held.evicted.load(Ordering::Relaxed)
    }
}

// === impl Marks ===

impl Marks {
    /// At most `marks_max` marks, none of them older than `lasts`.
    pub(super) fn new(marks_max: u64, lasts: Duration) -> Self {
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

    pub(super) fn get(&self, key: &[u8]) -> Option<SystemTime> {
        self.cache.get(&self.hasher.hash_one(key))
    }

    pub(super) fn put(&self, key: &[u8], until: SystemTime) {
        self.cache.insert(self.hasher.hash_one(key), until);
    }

    pub(super) fn remove(&self, key: &[u8]) {
        self.cache.invalidate(&self.hasher.hash_one(key));
    }

    pub(super) fn clear(&self) {
        self.cache.invalidate_all();
    }

    pub(super) fn tidy(&self) {
        self.cache.run_pending_tasks();
    }
}

// === impl Notes ===

impl<V: Clone + Send + Sync + 'static> Notes<V> {
    /// Notes of at most `bytes_max`, each of which weighs what `weigh` says beside its key.
    pub(super) fn new(bytes_max: u64, weigh: impl Fn(&V) -> usize + Send + Sync + 'static) -> Self {
        let cache = Cache::builder()
            .max_capacity(bytes_max / UNIT_BYTES)
            .weigher(move |key: &Key, note| {
                units((OVERHEAD_BYTES + key.len_bytes() + weigh(note)) as u64)
            })
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(Hasher::default());
        Self { cache }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<V> {
        self.cache.get(key)
    }

    pub(super) fn put(&self, key: Key, note: V) {
        self.cache.insert(key, note);
    }

    pub(super) fn tidy(&self) {
        self.cache.run_pending_tasks();
    }
}

// === impl Held ===

impl Held {
    /// Runs inside whichever call moka does its maintenance in, so it only counts.
    fn gone(&self, key: &Key, shelf: &Shelf, cause: RemovalCause) {
        let objects = shelf.objects().len() as u64;
        self.objects.fetch_sub(objects, Ordering::Relaxed);
        self.bytes
            .fetch_sub(weight_bytes(key, shelf), Ordering::Relaxed);
        if cause == RemovalCause::Size {
            self.evicted.fetch_add(objects, Ordering::Relaxed);
        }
    }
}

fn weight_bytes(key: &Key, shelf: &Shelf) -> u64 {
    (key.len_bytes() + shelf.weight_bytes()) as u64
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}
