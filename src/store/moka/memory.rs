//! Memory tier: complete objects and slices in moka, weighed in real bytes.
//!
//! Eviction is least-recently-used: moka's TinyLFU turns new objects away while the cache is full
//! of popular ones, which for a proxy means that a new page stays slow. Freshness is not moka's
//! business; stale objects stay for revalidation until room is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::{Mutex, MutexGuard};

use super::super::born::Born;
use super::super::graves::{Graves, SliceKey};
use super::super::object::Object;
use super::super::shelf::Shelf;
use super::super::tag_index::TagIndex;
use super::super::tags::TagHasher;
use super::super::whole::Whole;
use super::{Hasher, OVERHEAD_BYTES, UNIT_BYTES, units};
use crate::semantics::key::Key;

/// Complete objects by key, and the slices of objects that are kept in slices, by their own.
pub(in crate::store) struct Memory {
    cache: Cache<Key, Entry, Hasher>,
    held: Arc<Held>,
    graves: Arc<Graves>,
    /// How many entries were looked at.
    #[cfg(test)]
    reads: AtomicU64,
}

/// What stands under a key.
#[derive(Clone)]
enum Entry {
    Shelf(Shelf),
    Slice(Arc<Whole>),
}

/// What is held at this moment, counted as entries come and go.
#[derive(Debug)]
struct Held {
    counted: Mutex<Counted>,
    tags: Mutex<TagIndex>,
    bytes: AtomicU64,
    evicted: AtomicU64,
}

/// The objects that count: what is older than a purge of everything awaits its end.
#[derive(Debug, Default)]
struct Counted {
    since: Born,
    objects: u64,
}

// === impl Memory ===

impl Memory {
    pub(in crate::store) fn new(bytes_max: u64, hasher: &TagHasher) -> Self {
        let held = Arc::new(Held {
            counted: Mutex::default(),
            tags: Mutex::new(TagIndex::new(hasher)),
            bytes: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        });
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
            #[cfg(test)]
            reads: AtomicU64::new(0),
        }
    }

    /// The shelf under `key`; counts as a use of it.
    pub(in crate::store) fn get(&self, key: &[u8]) -> Option<Shelf> {
        #[cfg(test)]
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.cache.get(key)?.into_shelf()
    }

    #[cfg(test)]
    pub(in crate::store) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Notes a use of what is under `key`.
    pub(in crate::store) fn touch(&self, key: &[u8]) {
        self.cache.get(key);
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
        let bytes = weight_bytes(&key, &entry);
        self.held.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.held.come(&key, &entry);
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
        let removed = self.cache.remove(key);
        removed.map_or(0, |entry| entry.objects(Born::NEVER))
    }

    /// All shelves with their keys, one after another; to be walked at leisure. Is no use of them.
    pub(in crate::store) fn shelves(&self) -> impl Iterator<Item = (Arc<Key>, Shelf)> {
        let entries = self.cache.iter();
        #[cfg(test)]
        let entries = entries.inspect(|_| {
            self.reads.fetch_add(1, Ordering::Relaxed);
        });
        entries.filter_map(|(key, entry)| Some((key, entry.into_shelf()?)))
    }

    /// Gives back the memory of what was dropped, as far as moka has heard of it.
    pub(in crate::store) fn settle(&self) {
        self.cache.run_pending_tasks();
    }

    /// Counts objects anew: those that are older are none any more. Tells how many there were.
    pub(in crate::store) fn count_since(&self, born: Born) -> u64 {
        let mut counted = self.held.counted.lock();
        let before = counted.objects;
        *counted = Counted {
            since: born,
            objects: 0,
        };
        before
    }

    /// The index from tags to objects.
    pub(in crate::store) fn tags(&self) -> MutexGuard<'_, TagIndex> {
        self.held.tags.lock()
    }

    /// Gives back the memory of what was dropped, and evicts what is too much.
    pub(in crate::store) fn tidy(&self) {
        self.bury();
        self.settle();
    }

    pub(in crate::store) fn objects(&self) -> u64 {
        self.held.counted.lock().objects
    }

    pub(in crate::store) fn bytes(&self) -> u64 {
        self.held.bytes.load(Ordering::Relaxed)
    }

    pub(in crate::store) fn bytes_max(&self) -> u64 {
        let units = self.cache.policy().max_capacity();
        units.unwrap_or_default().saturating_mul(UNIT_BYTES)
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

    fn each(&self, take: impl FnMut(&Object)) {
        if let Self::Shelf(shelf) = self {
            shelf.objects().iter().map(Arc::as_ref).for_each(take);
        }
    }

    fn has_tags(&self) -> bool {
        let mut any = false;
        self.each(|object| any |= object.head().tags() > 0);
        any
    }

    /// How many objects it is, without those that are older.
    fn objects(&self, since: Born) -> u64 {
        let Self::Shelf(shelf) = self else { return 0 };
        let objects = shelf.objects().iter();
        objects.filter(|object| object.born() >= since).count() as u64
    }
}

// === impl Held ===

impl Held {
    fn come(&self, key: &Key, entry: &Entry) {
        {
            let mut counted = self.counted.lock();
            counted.objects += entry.objects(counted.since);
        }
        if entry.has_tags() {
            let mut tags = self.tags.lock();
            entry.each(|object| tags.come(key, object));
        }
    }

    /// Runs inside whichever call moka does its maintenance in, so it only counts.
    fn gone(&self, key: &Key, entry: &Entry, cause: RemovalCause) {
        {
            let mut counted = self.counted.lock();
            counted.objects = counted.objects.saturating_sub(entry.objects(counted.since));
        }
        if entry.has_tags() {
            let mut tags = self.tags.lock();
            entry.each(|object| tags.go(object));
        }
        self.bytes
            .fetch_sub(weight_bytes(key, entry), Ordering::Relaxed);
        if cause == RemovalCause::Size {
            // A slice makes room by itself.
            let objects = entry.objects(Born::NEVER).max(1);
            self.evicted.fetch_add(objects, Ordering::Relaxed);
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
