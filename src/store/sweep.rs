//! Background sweep of what purges have killed, to give its memory back, and to have their stamps
//! forgotten.
//!
//! moka's own way to drop everything is quick to ask for, but leaves the work to whoever reads next,
//! a tenth of a second at a time. Here one thread that nobody waits for takes a few objects at a
//! time, and those that are asked for meanwhile are found dead without it. What a purge by tag is about
//! is told by the index; for other purges, and for patterns, all objects are walked through.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::Store;
use super::born::Born;
use super::shelf::Shelf;
use super::stamps::Fate;
use super::tag_index::Tagged;
use super::tags::TagHash;
use crate::clock::{self, Instant};
use crate::semantics::key::Key;

/// Objects that are taken out without a pause, which would keep moka's lock from others.
const BATCH: usize = 64;
/// What the pauses leave to others of one processor's time, at the least.
const PAUSE: Duration = Duration::from_micros(200);
/// How much longer it rests than it has worked: a purge a second must not keep a processor busy.
const REST: u32 = 20;

/// What is to be swept, and how far that is.
#[derive(Debug, Default)]
pub(super) struct Sweeping {
    /// When there may be another walk.
    rests_until: Mutex<Option<Instant>>,
    /// Of purges by tag, in order.
    work: Mutex<Vec<(Born, Work)>>,
    looked_at: AtomicU64,
    /// Zero while there is no walk.
    of: AtomicU64,
}

/// Objects that a hard purge by tag is about.
#[derive(Debug)]
pub(super) enum Work {
    /// All of them, out of the index.
    Taken(Vec<Tagged>),
    /// Some of those that have these tags.
    Tags(Vec<TagHash>),
}

/// How far a walk through all objects is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// URLs that it has been at.
    pub looked_at: u64,
    /// How many objects there were when it began.
    pub of: u64,
}

// === impl Sweeping ===

impl Sweeping {
    /// Notes what is left to be done of the invalidation with this number.
    pub(super) fn note(&self, born: Born, work: Work) {
        self.work.lock().push((born, work));
    }
}

// === impl Store ===

impl Store {
    /// How far the walk through all objects is that some purges ask for; `None` while there is none.
    pub fn sweep_progress(&self) -> Option<Progress> {
        let of = self.sweeping.of.load(Ordering::Relaxed);
        let looked_at = self.sweeping.looked_at.load(Ordering::Relaxed);
        (of > 0).then_some(Progress { looked_at, of })
    }

    /// Takes out what is gone by hard stamps since the last time.
    pub(super) fn sweep(&self) {
        self.sweep_tags();
        self.walk();
        let in_force = self.stamps.in_force();
        if in_force.tags + in_force.patterns > 0 {
            // What comes into the air from now on with an older birth is told that it may be over.
            self.stamps.forget(self.flights.oldest());
        }
    }

    fn sweep_tags(&self) {
        let work = std::mem::take(&mut *self.sweeping.work.lock());
        let Some(upto) = work.last().map(|(born, _)| *born) else {
            return;
        };
        let mut taken = 0;
        for (_, work) in work {
            let ids = match work {
                Work::Taken(sets) => sets.into_iter().flat_map(Tagged::into_ids).collect(),
                Work::Tags(tags) => {
                    let index = self.memory.tags();
                    tags.iter()
                        .flat_map(|tag| index.ids(*tag))
                        .collect::<Vec<_>>()
                }
            };
            for id in ids {
                let key = self.memory.tags().key(id);
                if let Some(key) = key {
                    self.weed(&key, &mut taken);
                }
            }
        }
        self.stamps.note_tags_swept(upto);
    }

    fn walk(&self) {
        let began = clock::instant();
        let rests = self
            .sweeping
            .rests_until
            .lock()
            .is_some_and(|until| began < until);
        let Some(upto) = self.stamps.unwalked().filter(|_| !rests) else {
            return;
        };
        let over = |born, key: &Key| self.stamps.fate(born, key.as_ref(), None);
        self.flights
            .doom_where(|born, key| over(born, key).is_some());
        let Sweeping { looked_at, of, .. } = &self.sweeping;
        looked_at.store(0, Ordering::Relaxed);
        of.store(self.memory.objects().max(1), Ordering::Relaxed);
        let mut taken = 0;
        for (key, shelf) in self.memory.shelves() {
            looked_at.fetch_add(1, Ordering::Relaxed);
            if self.is_to_weed(&key, &shelf) {
                self.weed(&key, &mut taken);
            }
        }
        self.stamps.note_walked(upto);
        of.store(0, Ordering::Relaxed);
        *self.sweeping.rests_until.lock() = Some(clock::instant() + began.elapsed() * REST);
    }

    /// Whether something of the shelf is gone, or is stale by a pattern: of what is stale by other
    /// stamps, those stay, for to file it anew would be a use of it.
    fn is_to_weed(&self, key: &Key, shelf: &Shelf) -> bool {
        let newest = self.stamps.newest();
        let mut objects = shelf.objects().iter();
        objects.any(|object| match self.fate(key.as_ref(), object) {
            Some(Fate::Gone) => true,
            Some(Fate::Stale { .. }) => {
                let (born, head) = (object.born(), object.head());
                self.stamps.is_met_by_pattern(born, key.as_ref(), head)
            }
            None => {
                object.outlive(newest);
                false
            }
        })
    }

    fn weed(&self, key: &Key, taken: &mut usize) {
        self.shelf_in(&self.flights.shard(key.as_ref()).lock(), key.as_ref());
        *taken += 1;
        if taken.is_multiple_of(BATCH) {
            self.memory.settle();
            thread::sleep(PAUSE);
        }
    }
}
