//! Flights: origin requests in progress, by key, so that there is one for each variant.
//!
//! All edits of a key's shelf happen under the lock of the key's shard, together with the flight's
//! end. A purge of the key takes the same lock and dooms the flights it meets, one of everything is
//! compared with their births; so an answer asked for before a purge never becomes a hit after it.
//! Who may begin a flight, follow it and end it is in `claim.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::watch;

use super::born::Born;
use super::object::Object;
use super::shelf::Shelf;
use crate::semantics::key::Key;
use crate::semantics::vary::{Selecting, Variant};

/// Power of two: a key's shard is picked by the low bits of its hash.
const SHARDS: usize = 64;

/// How a flight ended, or stands.
#[derive(Clone)]
pub enum Outcome {
    /// The origin has not answered yet.
    Pending,
    /// The answer can be shared; its body may still be arriving.
    Object(Arc<Object>),
    /// The answer is the leader's alone: requests of its variant, or all if it has none, ask for
    /// themselves, at once.
    Declined(Option<Variant>),
    /// The origin could not be asked; asking again now would find the same.
    Failed(Failure),
    /// The leader vanished: one of the followers may lead.
    Abandoned,
}

/// An answer that the origin did not give, shared by all who waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the clients are told.
    pub status: StatusCode,
    /// Why, as a token.
    pub detail: &'static str,
    /// What the origin said, if it was an error that nobody is to see as long as a stored response
    /// can stand in.
    pub origin_status: Option<StatusCode>,
    /// When asking again may help; zero while nobody knows.
    pub retry_after: Duration,
}

/// All flights, in shards by key.
pub(super) struct Flights {
    hasher: foldhash::quality::RandomState,
    shards: Box<[Mutex<Shard>]>,
}

pub(super) type Shard =
    std::collections::HashMap<Key, SmallVec<[Arc<Flight>; 1]>, foldhash::quality::RandomState>;

pub(super) struct Flight {
    /// Which variant the leader asked for, as far as could be told beforehand.
    predicted: Variant,
    /// Whether others may follow.
    open: AtomicBool,
    /// When the origin is asked.
    born: Born,
    /// A purge met this flight: its answer must not be stored.
    doomed: AtomicBool,
    outcome: watch::Sender<Outcome>,
}

// === impl Failure ===

impl Failure {
    /// A failure of our own making; nobody knows when asking again may help.
    pub const fn new(status: StatusCode, detail: &'static str) -> Self {
        Self {
            status,
            detail,
            origin_status: None,
            retry_after: Duration::ZERO,
        }
    }
}

// === impl Flights ===

impl Flights {
    pub(super) fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self {
            hasher: foldhash::quality::RandomState::default(),
            shards,
        }
    }

    pub(super) fn shard(&self, key: &[u8]) -> &Mutex<Shard> {
        use std::hash::BuildHasher;
        // The remainder keeps the index below SHARDS, so the cast and the indexing cannot fail.
        &self.shards[(self.hasher.hash_one(key) % SHARDS as u64) as usize]
    }

    /// Dooms whatever was asked for too early, before the stamps that say so are forgotten.
    pub(super) fn doom_where(&self, is_over: impl Fn(Born, &Key) -> bool) {
        for shard in &self.shards {
            for (key, flights) in shard.lock().iter() {
                let over = flights.iter().filter(|flight| is_over(flight.born, key));
                over.for_each(|flight| flight.doom());
            }
        }
    }

    /// The birth of the oldest that is in the air.
    pub(super) fn oldest(&self) -> Option<Born> {
        let oldest = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            shard.values().flatten().map(|flight| flight.born).min()
        };
        self.shards.iter().filter_map(oldest).min()
    }

    pub(super) fn doom(shard: &mut Shard, key: &Key) {
        for flight in shard.remove(key).into_iter().flatten() {
            flight.doom();
        }
    }
}

// === impl Flight ===

impl Flight {
    pub(super) fn new(predicted: Variant, open: bool, born: Born) -> Arc<Self> {
        let (outcome, _) = watch::channel(Outcome::Pending);
        let (open, doomed) = (AtomicBool::new(open), AtomicBool::new(false));
        Arc::new(Self {
            predicted,
            open,
            born,
            doomed,
            outcome,
        })
    }

    /// Whether others may follow.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// One that is nobody else's.
    pub(super) fn alone(born: Born) -> Arc<Self> {
        Self::new(Variant::default(), false, born)
    }

    /// When the origin is asked, as a number.
    pub(super) fn born(&self) -> Born {
        self.born
    }

    /// From now on nobody may follow. It stays in the table, so that a purge still meets it.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    pub(super) fn tell(&self, outcome: Outcome) {
        self.outcome.send_replace(outcome);
    }

    pub(super) fn outcome(&self) -> watch::Receiver<Outcome> {
        self.outcome.subscribe()
    }

    /// How many wait for its head.
    pub(super) fn followers(&self) -> usize {
        self.outcome.receiver_count()
    }

    pub(super) fn doom(&self) {
        self.doomed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_doomed(&self) -> bool {
        self.doomed.load(Ordering::Relaxed)
    }

    /// The object of this flight, once its head is here.
    pub(super) fn object(&self) -> Option<Arc<Object>> {
        match &*self.outcome.borrow() {
            Outcome::Object(object) => Some(Arc::clone(object)),
            _ => None,
        }
    }
}

/// Whom a request meets in the air.
pub(super) enum Met {
    Object(Arc<Object>),
    Pending(Arc<Flight>),
    /// Nobody asks for this variant, as far as it can be told.
    Nobody(Variant),
}

/// Looks through the flights for a key. What its newest object has not said of `Vary`, a filling
/// one may tell.
pub(super) fn meet<'a>(
    flights: impl Iterator<Item = &'a Arc<Flight>>,
    shelf: Option<&Shelf>,
    request: &Selecting,
    usable: impl Fn(&Object) -> bool,
) -> Met {
    let newest = shelf.and_then(|shelf| shelf.objects().first());
    let mut predicted = newest.map(|object| object.variant().predict(request));
    let mut pending = SmallVec::<[&Arc<Flight>; 2]>::new();
    for flight in flights.filter(|flight| flight.is_open()) {
        // One look only: what was pending at a first may have landed by a second, and be missed.
        match &*flight.outcome.borrow() {
            Outcome::Pending => pending.push(flight),
            Outcome::Object(object) if !object.variant().matches(request) => {
                predicted.get_or_insert_with(|| object.variant().predict(request));
            }
            Outcome::Object(object) if usable(object) && !object.is_gone() => {
                return Met::Object(Arc::clone(object));
            }
            _ => {}
        }
    }
    let variant = predicted.unwrap_or_else(|| Variant::new(&[], request));
    let same = pending.into_iter().find(|f| f.predicted == variant);
    same.map_or_else(
        || Met::Nobody(variant),
        |flight| Met::Pending(Arc::clone(flight)),
    )
}

pub(super) fn remove(shard: &mut Shard, key: &Key, flight: &Arc<Flight>) {
    if let Some(flights) = shard.get_mut(key) {
        flights.retain(|other| !Arc::ptr_eq(other, flight));
        if flights.is_empty() {
            shard.remove(key);
        }
    }
}
