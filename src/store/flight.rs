//! Coalescing: one origin request per key and variant, and the permits to make it or wait for it.
//!
//! A flight is an origin request in progress. Its [`Leader`] is a permit: only who holds it may
//! begin a fill, and dropping it unsettled wakes the followers, so that none waits for a task
//! that died. All edits of a key's shelf happen under the lock of the key's shard, together with
//! the flight's end. A purge of the key takes the same lock and dooms the flights it meets, one of
//! everything is compared with their births; so an answer asked for before a purge never becomes a
//! hit after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::watch;

use super::Store;
use super::born::Born;
use super::object::Object;
use super::shelf::Shelf;
use crate::semantics::key::Key;
use crate::semantics::vary::{Selecting, Variant};

/// Power of two: a key's shard is picked by the low bits of its hash.
const SHARDS: usize = 64;

/// What a request for a key may do next.
pub enum Claim {
    /// Ask the origin; others may wait for the answer.
    Leader(Leader),
    /// Wait for the request that is already asking.
    Follower(Follower),
    /// An object that came meanwhile, complete or still filling.
    Landed(Arc<Object>),
    /// As many wait as may: ask the origin without company.
    Crowded(Leader),
}

/// How a flight ended, or stands.
#[derive(Clone)]
pub enum Outcome {
    /// The origin has not answered yet.
    Pending,
    /// The answer can be shared; its body may still be arriving.
    Object(Arc<Object>),
    /// The answer is the leader's alone: everybody asks for himself, at once.
    Declined,
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

/// The permit to ask the origin for a key and to store what it answers.
pub struct Leader {
    store: Arc<Store>,
    key: Key,
    flight: Arc<Flight>,
    settled: bool,
    /// The body is wanted for the store alone: no client reads it.
    unattended: bool,
}

/// The permit to wait for a flight.
pub struct Follower {
    outcome: watch::Receiver<Outcome>,
    timeout: Duration,
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

    pub(super) fn doom(shard: &mut Shard, key: &Key) {
        for flight in shard.remove(key).into_iter().flatten() {
            flight.doom();
        }
    }
}

// === impl Flight ===

impl Flight {
    fn new(predicted: Variant, open: bool, born: Born) -> Arc<Self> {
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
    fn alone(born: Born) -> Arc<Self> {
        Self::new(Variant::default(), false, born)
    }

    /// How many wait for its head.
    pub(super) fn followers(&self) -> usize {
        self.outcome.receiver_count()
    }

    fn doom(&self) {
        self.doomed.store(true, Ordering::Relaxed);
    }

    fn is_doomed(&self) -> bool {
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

// === impl Store: claims ===

impl Store {
    /// Asks to lead, to follow, or to take what has landed since [`Store::find`].
    pub fn claim(
        self: &Arc<Self>,
        key: &Key,
        request: &Selecting,
        usable: impl Fn(&Object) -> bool,
    ) -> Claim {
        let mut shard = self.flights.shard(key.as_ref()).lock();
        let shelf = self.shelf_in(&shard, key.as_ref());
        let landed = shelf.as_ref().and_then(|shelf| shelf.find(request));
        if let Some(object) = landed.filter(|object| usable(object)) {
            return Claim::Landed(Arc::clone(object));
        }
        match meet(self.aloft(&shard, key), shelf.as_ref(), request, usable) {
            Met::Object(object) => Claim::Landed(object),
            Met::Pending(flight) => self.follow(&mut shard, key, &flight),
            Met::Nobody(variant) => {
                let flight = Flight::new(variant, true, self.birth());
                Claim::Leader(self.lead(&mut shard, key, flight))
            }
        }
    }

    /// The permit to ask without company: for answers that are known not to be shareable.
    pub fn alone(self: &Arc<Self>, key: &Key) -> Leader {
        self.alone_since(key, self.birth())
    }

    /// The same for an answer to what was asked for then.
    pub fn alone_since(self: &Arc<Self>, key: &Key, born: Born) -> Leader {
        let mut shard = self.flights.shard(key.as_ref()).lock();
        self.lead(&mut shard, key, Flight::alone(born))
    }

    /// The birth of what is asked for now: what an invalidation to come will be younger than.
    pub fn birth(&self) -> Born {
        self.stamps.newest()
    }

    /// The flights for a key that no invalidation has overtaken: what was asked for before one is
    /// for those alone who wait for it already.
    pub(super) fn aloft<'a>(
        &'a self,
        shard: &'a Shard,
        key: &Key,
    ) -> impl Iterator<Item = &'a Arc<Flight>> {
        let flights = shard.get(key).into_iter().flatten();
        flights.filter(|flight| self.stamps.fate(flight.born).is_none())
    }

    fn follow(self: &Arc<Self>, shard: &mut Shard, key: &Key, flight: &Flight) -> Claim {
        if flight.followers() >= self.limits.followers_max {
            return Claim::Crowded(self.lead(shard, key, Flight::alone(self.birth())));
        }
        let outcome = flight.outcome.subscribe();
        Claim::Follower(Follower {
            outcome,
            timeout: self.limits.follower_timeout,
        })
    }

    fn lead(self: &Arc<Self>, shard: &mut Shard, key: &Key, flight: Arc<Flight>) -> Leader {
        shard
            .entry(key.clone())
            .or_default()
            .push(Arc::clone(&flight));
        Leader {
            store: Arc::clone(self),
            key: key.clone(),
            flight,
            settled: false,
            unattended: false,
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
            Outcome::Object(object) if usable(object) && !object.is_failed() => {
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

// === impl Leader ===

impl Leader {
    /// The store this permit is of.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The same permit for a fetch that no client waits for.
    #[must_use]
    pub fn unattended(mut self) -> Self {
        self.unattended = true;
        self
    }

    /// The permit for the answer under another key, where it belongs to that: those who waited for
    /// it under this one look anew, for it is not theirs.
    #[must_use]
    pub fn moved_to(mut self, key: &Key) -> Self {
        if *key == self.key {
            return self;
        }
        let mut moved = self.store.alone_since(key, self.flight.born);
        moved.unattended = self.unattended;
        self.close(Outcome::Abandoned);
        self.settled = true;
        // The new flight is in the table by now, so that no purge falls between the two.
        if self.flight.is_doomed() {
            moved.flight.doom();
        }
        moved
    }

    /// The key that the answer will be filed under.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The birth of what it brings.
    pub(super) fn born(&self) -> Born {
        self.flight.born
    }

    /// Whether an invalidation has come since the origin was asked.
    fn is_doomed(&self) -> bool {
        self.flight.is_doomed() || self.store.stamps.fate(self.flight.born).is_some()
    }

    pub(super) fn is_unattended(&self) -> bool {
        self.unattended
    }

    /// An object that needs no filling: filed at once, unless a purge came meanwhile. A `stale` one
    /// that the origin has confirmed is filed in its place, unless that place has been taken.
    pub fn land(
        mut self,
        object: Object,
        stale: Option<&Arc<Object>>,
        shared: bool,
    ) -> Arc<Object> {
        let object = Arc::new(object.reborn(self.flight.born));
        // Filed first: who wakes and looks anew must not find what this has replaced.
        self.file(Arc::clone(&object), stale);
        self.tell_of(&object, shared);
        self.settled = true;
        object
    }

    /// The answer is not to be shared: all followers go on at once, and where the reason `lasts`
    /// later requests do not wait at all. `replaced` is the stored response that the origin has
    /// disowned by this answer.
    pub fn decline(mut self, lasts: bool, replaced: Option<&Arc<Object>>, now: SystemTime) {
        if let Some(object) = replaced {
            self.store.forget(&self.key, object);
        }
        self.withdraw(lasts, now);
        self.settled = true;
    }

    /// There is no answer. Where asking again now would not bring one either, those who waited
    /// `share` the failure; else one of them leads.
    pub fn fail(mut self, failure: Failure, share: bool) {
        self.close(if share {
            Outcome::Failed(failure)
        } else {
            Outcome::Abandoned
        });
        self.settled = true;
    }

    /// Leaves the table; marks the key when the reason will hold for the next request too. What
    /// was asked without company says nothing of other requests.
    pub(super) fn withdraw(&self, lasts: bool, now: SystemTime) {
        if self.flight.is_open() && lasts && !self.is_doomed() {
            let store = &self.store;
            store.misses.mark(self.key.as_ref(), now, self.flight.born);
        }
        self.close(Outcome::Declined);
    }

    /// Files the object under the key, unless a purge came since the origin was asked, or the
    /// object that it is to replace is no longer there.
    pub(super) fn file(&self, object: Arc<Object>, replaced: Option<&Arc<Object>>) {
        let mut shard = self.store.flights.shard(self.key.as_ref()).lock();
        if !self.is_doomed() {
            self.store.put(&shard, &self.key, object, replaced);
        }
        remove(&mut shard, &self.key, &self.flight);
    }

    /// Takes from the shelf what this object would have replaced: it is the newer answer, even if
    /// it will not be filed itself.
    pub(super) fn forget_replaced_by(&self, object: &Object) {
        let shard = self.store.flights.shard(self.key.as_ref()).lock();
        // What lies there after a purge was asked for later than this.
        if self.is_doomed() {
            return;
        }
        if let Some(shelf) = self.store.shelf_in(&shard, self.key.as_ref()) {
            let left = shelf.without_replaced_by(object);
            self.store.memory.put_left(&self.key, left);
        }
    }

    /// Leaves the table and wakes the followers.
    pub(super) fn close(&self, outcome: Outcome) {
        remove(
            &mut self.store.flights.shard(self.key.as_ref()).lock(),
            &self.key,
            &self.flight,
        );
        self.tell(outcome);
    }

    /// The head is here, and with it all that followers need. From here on the permit is a filler's.
    pub(super) fn take_off(&mut self, object: &Arc<Object>, shared: bool) {
        self.tell_of(object, shared);
        self.settled = true;
    }

    fn tell_of(&self, object: &Arc<Object>, shared: bool) {
        if shared {
            self.tell(Outcome::Object(Arc::clone(object)));
        } else {
            // It stays in the table, so that a purge still meets it.
            self.flight.open.store(false, Ordering::Relaxed);
            self.tell(Outcome::Declined);
        }
    }

    fn tell(&self, outcome: Outcome) {
        self.flight.outcome.send_replace(outcome);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.settled {
            self.close(Outcome::Abandoned);
        }
    }
}

fn remove(shard: &mut Shard, key: &Key, flight: &Arc<Flight>) {
    if let Some(flights) = shard.get_mut(key) {
        flights.retain(|other| !Arc::ptr_eq(other, flight));
        if flights.is_empty() {
            shard.remove(key);
        }
    }
}

// === impl Follower ===

impl Follower {
    /// Waits for the flight's head; `None` when that took longer than the limit.
    pub async fn outcome(mut self) -> Option<Outcome> {
        let landed = self
            .outcome
            .wait_for(|outcome| !matches!(outcome, Outcome::Pending));
        match tokio::time::timeout(self.timeout, landed).await {
            Ok(Ok(outcome)) => Some(outcome.clone()),
            // The sender lives as long as the leader, which always tells before it goes.
            Ok(Err(_)) => Some(Outcome::Abandoned),
            Err(_) => None,
        }
    }
}
