//! The memory tier: complete objects in moka, weighed in real bytes.
//!
//! Eviction is least-recently-used: moka's TinyLFU turns new objects away while the cache is full
//! of popular ones, which for a proxy means that a new page stays slow. Freshness is not moka's
//! business; stale objects stay for revalidation until room is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::super::graves::{Graves, SliceKey};
use super::super::shelf::Shelf;
use super::super::whole::Whole;
use super::{Hasher, OVERHEAD_BYTES, UNIT_BYTES, units};
use crate::semantics::key::Key;

/// Complete objects by key, and the slices of objects that are kept in slices, by their own.
pub(in crate::store) struct Memory {
    cache: Cache<Key, Entry, Hasher>,
    held: Arc<Held>,
    graves: Arc<Graves>,
}

/// What stands under a key.
#[derive(Clone)]
enum Entry {
    Shelf(Shelf),
    Slice(Arc<Whole>),
}

/// What is held at this moment, counted as entries come and go.
#[derive(Debug, Default)]
struct Held {
    objects: AtomicU64,
    bytes: AtomicU64,
    evicted: AtomicU64,
}

// === impl Memory ===

impl Memory {
    pub(in crate::store) fn new(bytes_max: u64) -> Self {
        let held = Arc::new(Held::default());
        let listener = Arc::clone(&held);
        let cache = Cache::builder()
            .max_capacity(bytes_max / UNIT_BYTES)
            .weigher(|key: &Key, entry: &Entry| units(weight_bytes(key, entry)))
            .eviction_policy(EvictionPolicy::lru())
            .eviction_listener(move |key, entry, cause| listener.gone(&key, &entry, cause))
            .build_with_hasher(Hasher::default());
        Self {
            cache,
            held,
            graves: Arc::default(),
        }
    }

    /// The shelf under `key`; counts as a use of it.
    pub(in crate::store) fn get(&self, key: &[u8]) -> Option<Shelf> {
        self.cache.get(key)?.into_shelf()
    }

    /// Files `shelf` in place of what was under `key`.
    pub(in crate::store) fn put(&self, key: Key, shelf: Shelf) {
        self.insert(key, Entry::Shelf(shelf));
    }

    /// The slice under `key`; counts as a use of it.
    pub(in crate::store) fn slice(&self, key: SliceKey) -> Option<Arc<Whole>> {
        match self.cache.get(key.as_bytes())? {
            Entry::Slice(whole) => Some(whole),
            Entry::Shelf(_) => None,
        }
    }

    /// Whether there is a slice under `key`; is no use of it.
    pub(in crate::store) fn has_slice(&self, key: SliceKey) -> bool {
        self.cache.contains_key(key.as_bytes())
    }

    /// Files a slice, and makes room for it at once. moka keeps the order of use by batches of
    /// dozens of entries: of slices these could be all the memory there is, and the object that
    /// they are of would be evicted first.
    pub(in crate::store) fn put_slice(&self, key: SliceKey, whole: Arc<Whole>) {
        self.insert(Key::from(key.as_bytes()), Entry::Slice(whole));
        self.tidy();
    }

    /// Where slices are noted that nobody will ask for any more.
    pub(in crate::store) fn graves(&self) -> &Arc<Graves> {
        &self.graves
    }

    fn insert(&self, key: Key, entry: Entry) {
        let (objects, bytes) = (entry.objects(), weight_bytes(&key, &entry));
        self.held.objects.fetch_add(objects, Ordering::Relaxed);
        self.held.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.cache.insert(key, entry);
    }

    fn bury(&self) {
        for key in self.graves.take() {
            self.cache.invalidate(key.as_bytes());
        }
    }

    /// Files what is left of the shelf under `key`, which may be nothing.
    pub(in crate::store) fn put_left(&self, key: &Key, left: Option<Shelf>) {
        match left {
            Some(left) => self.put(key.clone(), left),
            None => {
                self.remove(key.as_ref());
            }
        }
    }

    /// Drops what is under `key` and tells how many objects that were.
    pub(in crate::store) fn remove(&self, key: &[u8]) -> u64 {
        self.cache.remove(key).map_or(0, |entry| entry.objects())
    }

    /// The keys of objects at this moment.
    pub(in crate::store) fn keys(&self) -> Vec<Key> {
        let shelves = self.cache.iter();
        shelves
            .filter(|(_, entry)| matches!(entry, Entry::Shelf(_)))
            .map(|(key, _)| Key::clone(&key))
            .collect()
    }

    /// Drops everything.
    pub(in crate::store) fn clear(&self) {
        self.cache.invalidate_all();
    }

    /// Gives back the memory of what was dropped, and evicts what is too much.
    pub(in crate::store) fn tidy(&self) {
        self.bury();
        self.cache.run_pending_tasks();
    }

    pub(in crate::store) fn objects(&self) -> u64 {
        self.held.objects.load(Ordering::Relaxed)
    }

    pub(in crate::store) fn bytes(&self) -> u64 {
        self.held.bytes.load(Ordering::Relaxed)
    }

    pub(in crate::store) fn evicted(&self) -> u64 {
        self.held.evicted.load(Ordering::Relaxed)
    }
}

// === impl Entry ===

impl Entry {
    fn into_shelf(self) -> Option<Shelf> {
        match self {
            Self::Shelf(shelf) => Some(shelf),
            Self::Slice(_) => None,
        }
    }

    /// How many objects it is.
    fn objects(&self) -> u64 {
        match self {
            Self::Shelf(shelf) => shelf.objects().len() as u64,
            Self::Slice(_) => 0,
        }
    }
}

// === impl Held ===

impl Held {
    /// Runs inside whichever call moka does its maintenance in, so it only counts.
    fn gone(&self, key: &Key, entry: &Entry, cause: RemovalCause) {
        let objects = entry.objects();
        self.objects.fetch_sub(objects, Ordering::Relaxed);
        self.bytes
            .fetch_sub(weight_bytes(key, entry), Ordering::Relaxed);
        if cause == RemovalCause::Size {
            // A slice makes room by itself.
            self.evicted.fetch_add(objects.max(1), Ordering::Relaxed);
        }
    }
}

fn weight_bytes(key: &Key, entry: &Entry) -> u64 {
    let entry = match entry {
        Entry::Shelf(shelf) => shelf.weight_bytes(),
        Entry::Slice(whole) => OVERHEAD_BYTES + whole.weight_bytes(),
    };
    (key.len_bytes() + entry) as u64
}
