//! Request coalescing: the permits to ask an origin for a key, and to wait for the one that asks.
//!
//! A [`Leader`] is a permit: only who holds it may begin a fill, and dropping it unsettled wakes the
//! followers, so that none waits for a task that died.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::Store;
use super::born::Born;
use super::flight::{Failure, Flight, Met, Outcome, Shard, meet, remove};
use super::head::Head;
use super::object::Object;
use crate::semantics::key::Key;
use crate::semantics::vary::{Selecting, Variant};

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
    /// Where to ask whether the answer is over, if an invalidation had come between the question and this
    /// follower: of one by tag it shows only now whether it was about it.
    late: Option<(Arc<Store>, Key)>,
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
        let flight = Flight::alone(born);
        if self.stamps.may_be_over(born, key.as_ref()) {
            flight.doom();
        }
        self.lead(&mut shard, key, flight)
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
        key: &'a Key,
    ) -> impl Iterator<Item = &'a Arc<Flight>> {
        let flights = shard.get(key).into_iter().flatten();
        flights.filter(move |flight| !flight.is_doomed() && !self.is_over(flight, key))
    }

    /// Whether an invalidation has come since, as far as is known: what the answer is like is not, before
    /// its head is here.
    fn is_over(&self, flight: &Flight, key: &Key) -> bool {
        let fate = || match flight.object() {
            Some(object) => self
                .stamps
                .fate(flight.born(), key.as_ref(), Some(object.head())),
            None => self.stamps.fate(flight.born(), key.as_ref(), None),
        };
        flight.born() < self.birth() && fate().is_some()
    }

    fn follow(self: &Arc<Self>, shard: &mut Shard, key: &Key, flight: &Flight) -> Claim {
        if flight.followers() >= self.limits.followers_max {
            return Claim::Crowded(self.lead(shard, key, Flight::alone(self.birth())));
        }
        let is_late = flight.born() < self.birth();
        Claim::Follower(Follower {
            outcome: flight.outcome(),
            timeout: self.limits.follower_timeout,
            late: is_late.then(|| (Arc::clone(self), key.clone())),
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
        let mut moved = self.store.alone_since(key, self.flight.born());
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
        self.flight.born()
    }

    /// Whether an invalidation has come since the origin was asked, as far as is known without the answer.
    fn is_doomed(&self) -> bool {
        self.is_doomed_with(None)
    }

    fn is_doomed_with(&self, head: Option<&Head>) -> bool {
        let stamps = &self.store.stamps;
        let fate = || stamps.fate(self.flight.born(), self.key.as_ref(), head);
        self.flight.is_doomed() || fate().is_some()
    }

    /// Whether others may read the answer with who asked for it.
    pub fn has_company(&self) -> bool {
        self.flight.is_open()
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
        let object = Arc::new(object.reborn(self.flight.born()));
        // Filed first: who wakes and looks anew must not find what this has replaced.
        self.file(Arc::clone(&object), stale);
        self.tell_of(&object, shared);
        self.settled = true;
        object
    }

    /// The answer is not to be shared: all followers go on at once, and where the reason `lasts`
    /// later requests do not wait at all. That goes for requests of the answer's `variant`; for all,
    /// if it has none. `replaced` is the stored response that the origin has disowned by this answer.
    pub fn decline(
        mut self,
        lasts: bool,
        variant: Option<Variant>,
        replaced: Option<&Arc<Object>>,
        now: SystemTime,
    ) {
        if let Some(object) = replaced {
            self.store.forget(&self.key, object);
        }
        self.withdraw(lasts, variant, now);
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
    pub(super) fn withdraw(&self, lasts: bool, variant: Option<Variant>, now: SystemTime) {
        if self.flight.is_open() && lasts && !self.is_doomed() {
            let (misses, born) = (&self.store.misses, self.flight.born());
            misses.mark(self.key.as_ref(), variant.as_ref(), now, born);
        }
        self.close(Outcome::Declined(variant));
    }

    /// Files the object under the key, unless a purge came since the origin was asked, or the
    /// object that it is to replace is no longer there.
    pub(super) fn file(&self, object: Arc<Object>, replaced: Option<&Arc<Object>>) {
        let mut shard = self.store.flights.shard(self.key.as_ref()).lock();
        if !self.is_doomed_with(Some(object.head())) {
            self.store.put(&shard, &self.key, object, replaced);
        }
        remove(&mut shard, &self.key, &self.flight);
    }

    /// Takes from the shelf what this object would have replaced: it is the newer answer, even if
    /// it will not be filed itself.
    pub(super) fn forget_replaced_by(&self, object: &Object) {
        let shard = self.store.flights.shard(self.key.as_ref()).lock();
        // What lies there after a purge was asked for later than this.
        if self.is_doomed_with(Some(object.head())) {
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
        self.flight.tell(outcome);
    }

    /// The head is here, and with it all that followers need. From here on the permit is a filler's.
    pub(super) fn take_off(&mut self, object: &Arc<Object>, shared: bool) {
        self.tell_of(object, shared);
        self.settled = true;
    }

    fn tell_of(&self, object: &Arc<Object>, shared: bool) {
        if shared {
            self.flight.tell(Outcome::Object(Arc::clone(object)));
        } else {
            self.flight.close();
            let variant = object.variant().clone();
            self.flight.tell(Outcome::Declined(Some(variant)));
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.settled {
            self.close(Outcome::Abandoned);
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
            Ok(Ok(outcome)) => {
                let outcome = outcome.clone();
                Some(match (&outcome, self.late) {
                    (Outcome::Object(object), Some((store, key)))
                        if store.fate(key.as_ref(), object).is_some() =>
                    {
                        Outcome::Abandoned
                    }
                    _ => outcome,
                })
            }
            // The sender lives as long as the leader, which always tells before it goes.
            Ok(Err(_)) => Some(Outcome::Abandoned),
            Err(_) => None,
        }
    }
}
