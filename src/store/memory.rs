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
use parking_lot::Mutex;

use super::object::Content;
use super::shelf::Shelf;
use crate::semantics::key::Key;

/// moka's weights are `u32`: weighing in units of 64 bytes lets a cache hold 256 GiB.
const UNIT_BYTES: u64 = 64;

/// What moka and the allocator spend on a small entry.
const OVERHEAD_BYTES: usize = 256;

type Hasher = foldhash::quality::RandomState;

/// Complete objects by key, and the slices of objects that are kept in slices, by their own.
pub(super) struct Memory {
    cache: Cache<Key, Entry, Hasher>,
    held: Arc<Held>,
    graves: Arc<Graves>,
}

/// What stands under a key.
#[derive(Clone)]
enum Entry {
    Shelf(Shelf),
    Slice(Arc<Content>),
}

/// The number of a content and of one of its slices: a key that is no URI's, for it begins with
/// NUL.
#[derive(Clone, Copy)]
pub(super) struct SliceKey([u8; 17]);

/// Slices whose content has gone, to be taken out when there is time: the last who knew it may be
/// moka itself, in the middle of its maintenance, where it must not be called.
#[derive(Default)]
pub(super) struct Graves(Mutex<Vec<SliceKey>>);

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
    pub(super) fn get(&self, key: &[u8]) -> Option<Shelf> {
        self.cache.get(key)?.into_shelf()
    }

    /// Files `shelf` in place of what was under `key`.
    pub(super) fn put(&self, key: Key, shelf: Shelf) {
        self.insert(key, Entry::Shelf(shelf));
    }

    /// The slice under `key`; counts as a use of it.
    pub(super) fn slice(&self, key: SliceKey) -> Option<Arc<Content>> {
        match self.cache.get(&key.0[..])? {
            Entry::Slice(content) => Some(content),
            Entry::Shelf(_) => None,
        }
    }

    /// Whether there is a slice under `key`; is no use of it.
    pub(super) fn has_slice(&self, key: SliceKey) -> bool {
        self.cache.contains_key(&key.0[..])
    }

    /// Files a slice, and makes room for it at once. moka keeps the order of use by batches of
    /// dozens of entries: of slices these could be all the memory there is, and the object that
    /// they are of would be evicted first.
    pub(super) fn put_slice(&self, key: SliceKey, content: Arc<Content>) {
        self.insert(Key::from(&key.0[..]), Entry::Slice(content));
        self.tidy();
    }

    /// Where slices are noted that nobody will ask for any more.
    pub(super) fn graves(&self) -> &Arc<Graves> {
        &self.graves
    }

    fn insert(&self, key: Key, entry: Entry) {
        let (objects, bytes) = (entry.objects(), weight_bytes(&key, &entry));
        self.held.objects.fetch_add(objects, Ordering::Relaxed);
        self.held.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.cache.insert(key, entry);
    }

    fn bury(&self) {
        let dead = std::mem::take(&mut *self.graves.0.lock());
        for key in dead {
            self.cache.invalidate(&key.0[..]);
        }
    }

    /// Files what is left of the shelf under `key`, which may be nothing.
    pub(super) fn put_left(&self, key: &Key, left: Option<Shelf>) {
        match left {
            Some(left) => self.put(key.clone(), left),
            None => {
                self.remove(key.as_ref());
            }
        }
    }

    /// Drops what is under `key` and tells how many objects that were.
    pub(super) fn remove(&self, key: &[u8]) -> u64 {
        self.cache.remove(key).map_or(0, |entry| entry.objects())
    }

    /// The keys of objects at this moment.
    pub(super) fn keys(&self) -> Vec<Key> {
        let shelves = self.cache.iter();
        shelves
            .filter(|(_, entry)| matches!(entry, Entry::Shelf(_)))
            .map(|(key, _)| Key::clone(&key))
            .collect()
    }

    /// Drops everything.
    pub(super) fn clear(&self) {
        self.cache.invalidate_all();
    }

    /// Gives back the memory of what was dropped, and evicts what is too much.
    pub(super) fn tidy(&self) {
        self.bury();
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

// === impl SliceKey ===

impl SliceKey {
    pub(super) fn new(content: u64, index: u64) -> Self {
        let mut key = [0; 17];
        key[1..9].copy_from_slice(&content.to_be_bytes());
        key[9..].copy_from_slice(&index.to_be_bytes());
        Self(key)
    }
}

// === impl Graves ===

impl Graves {
    /// Notes slices that are to be taken out.
    pub(super) fn dig(&self, keys: impl Iterator<Item = SliceKey>) {
        self.0.lock().extend(keys);
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
        Entry::Slice(content) => OVERHEAD_BYTES + content.weight_bytes(),
    };
    (key.len_bytes() + entry) as u64
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}
