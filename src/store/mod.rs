//! Object store: lookups, permits to fetch, invalidation, all within budgets of memory.
//!
//! The store outlives sites and their configuration. It decides nothing about freshness or
//! storability; it keeps what it is told to keep, within its budgets.

mod born;
mod budget;
mod claim;
mod content;
mod equivalents;
mod fill;
mod find;
mod flight;
mod graves;
mod growing;
mod hanging;
mod head;
mod held;
mod hit_for_miss;
mod inspect;
mod invalidate;
mod joined;
mod laggards;
mod moka;
mod object;
mod pattern;
mod pour;
mod reader;
mod shelf;
mod slices;
mod slot;
mod stamps;
mod sweep;
mod tag_index;
mod tags;
mod whole;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

pub use born::Born;
pub use claim::{Claim, Follower, Leader};
pub use fill::{Admission, Filler};
pub use find::Found;
pub use flight::{Failure, Outcome};
pub use head::{Head, TooLong};
pub use inspect::{Company, Fetches, Inspection};
pub use invalidate::{BadPrefix, How, Invalidation, Origin, What};
pub use laggards::{Laggards, Remainder, Resume};
pub use object::Object;
pub use pattern::{BadPattern, Pattern, Subject};
pub use pour::{Unwanted, Writer};
pub use slices::{Sliced, Source};
pub use slot::Slot;
pub use stamps::InForce;
pub use sweep::Progress;

use self::moka::Memory;
use crate::config;
use crate::semantics::key::{Key, KeyBuf};
use crate::semantics::no_vary_search::NoVarySearch;
use crate::semantics::vary::Selecting;
use budget::Budget;
pub use budget::Share;
use equivalents::Equivalents;
use flight::Flights;
use hanging::Hanging;
use hit_for_miss::HitForMiss;
use laggards::LaggardCounts;
use slices::SliceCounts;
use stamps::Stamps;
use sweep::Sweeping;

/// The store's figures at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Complete objects, each variant counted.
    pub objects: u64,
    /// Bytes they hold, index and allocator included.
    pub bytes: u64,
    /// As many bytes as they may hold.
    pub bytes_max: u64,
    /// Objects that had to make room for others since the start.
    pub evicted: u64,
    /// Fills in progress.
    pub fills: u64,
    /// Bytes set aside for them.
    pub fill_bytes: u64,
    /// Readers of what is not kept that fell behind since the start and got the rest by a fetch of their
    /// own.
    pub laggards_parted: u64,
    /// Those that took nothing while others waited for them, and were cut off.
    pub laggards_cut: u64,
    /// As many as may be set aside.
    pub fill_bytes_max: u64,
    /// Slices that readers found in memory since the start.
    pub slices_from_memory: u64,
    /// Slices that were asked of origins since the start.
    pub slices_from_origin: u64,
    /// Tags that objects have.
    pub tags: u64,
    /// Bytes of the index of tags, which those of the objects include.
    pub tag_index_bytes: u64,
    /// Invalidations that objects are compared with.
    pub stamps: InForce,
}

/// Objects by key, and the flights that bring them.
pub struct Store {
    memory: Memory,
    flights: Flights,
    stamps: Arc<Stamps>,
    sweeping: Sweeping,
    misses: HitForMiss,
    hanging: Hanging,
    equivalents: Equivalents,
    budget: Arc<Budget>,
    fills: Arc<AtomicU64>,
    slices: SliceCounts,
    laggards: Arc<LaggardCounts>,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    object_bytes_max: u64,
    variants_max: usize,
    shelf_bytes_max: u64,
    followers_max: usize,
    follower_timeout: Duration,
    finish_fill: bool,
}

// === impl Store ===

impl Store {
    /// An empty store within the configured budgets.
    pub fn new(config: &config::Store) -> Arc<Self> {
        let stamps = Arc::new(Stamps::new());
        Arc::new(Self {
            memory: Memory::new(config.memory_bytes, stamps.hasher()),
            flights: Flights::new(),
            misses: HitForMiss::new(config.hit_for_miss_max, config.hit_for_miss, &stamps),
            hanging: Hanging::new(),
            stamps,
            sweeping: Sweeping::default(),
            equivalents: Equivalents::new(),
            budget: Budget::new(config.fill_bytes_max),
            fills: Arc::default(),
            slices: SliceCounts::default(),
            laggards: Arc::default(),
            limits: Limits {
                object_bytes_max: config.object_bytes_max,
                variants_max: config.variants_max,
                // A shelf is evicted whole, so no URL may hold more than a part of the store.
                shelf_bytes_max: (config.memory_bytes / 4).max(config.object_bytes_max),
                followers_max: config.followers_max,
                follower_timeout: config.follower_timeout,
                finish_fill: config.finish_fill,
            },
        })
    }

    /// Where the response for an equivalent URI is filed, and by which word (No-Vary-Search) it is
    /// one: an object there that does not say the same is another page.
    pub fn equivalent(&self, key: &KeyBuf) -> Option<(Key, Arc<NoVarySearch>)> {
        self.equivalents.place(key)
    }

    /// Whether the last answer for `key` could not be shared (hit-for-miss).
    pub fn is_uncacheable(&self, key: &[u8], request: &Selecting, now: SystemTime) -> bool {
        self.misses.is_marked(key, request, now)
    }

    /// Notes that the origin lets a request for `key` wait for too long.
    pub fn mark_hanging(&self, key: &[u8], now: SystemTime) {
        self.hanging.mark(key, now, self.stamps.newest());
    }

    /// Whether it lately has.
    pub fn is_hanging(&self, key: &[u8], now: SystemTime) -> bool {
        self.hanging.is_marked(key, now)
    }

    /// Notes that the response filed under `place` says `word` of the URI of `key`.
    pub fn learn_equivalents(&self, key: &KeyBuf, word: NoVarySearch, place: &Key) {
        self.equivalents.learn(key, word, place);
    }

    /// Room for bytes that are needed to look something up; given back when dropped. `None` where
    /// there is none.
    pub fn reserve(&self, bytes: u64) -> Option<Share> {
        self.budget.take(bytes)
    }

    /// The longest body that is kept in one piece.
    pub fn object_bytes_max(&self) -> u64 {
        self.limits.object_bytes_max
    }

    /// The figures for metrics and status.
    pub fn stats(&self) -> Stats {
        let (tags, tag_index_bytes) = {
            let index = self.memory.tags();
            (index.tags() as u64, index.bytes() as u64)
        };
        Stats {
            tags,
            tag_index_bytes,
            stamps: self.stamps.in_force(),
            objects: self.memory.objects(),
            bytes: self.memory.bytes(),
            bytes_max: self.memory.bytes_max(),
            evicted: self.memory.evicted(),
            fills: self.fills.load(Ordering::Relaxed),
            fill_bytes: self.budget.used(),
            laggards_parted: self.laggards.parted.load(Ordering::Relaxed),
            laggards_cut: self.laggards.cut.load(Ordering::Relaxed),
            fill_bytes_max: self.budget.max(),
            slices_from_memory: self.slices.from_memory.load(Ordering::Relaxed),
            slices_from_origin: self.slices.from_origin.load(Ordering::Relaxed),
        }
    }

    /// Gives memory back that was dropped, evicted or purged; to be called now and then, on a thread
    /// that may take its time.
    pub fn tidy(&self) {
        self.memory.tidy();
        self.misses.tidy();
        self.hanging.tidy();
        self.equivalents.tidy();
        self.sweep();
    }
}
