//! Overload protection of an origin: which requests go on, which wait, and which are turned away.
//!
//! First the breaker, then the queue, then a server's gate, which is in `server/`. Here is the way
//! through them, what is counted, and what is told. Which server it is to be is the balance's
//! business, and what a client gets that is turned away is the pipeline's.

mod breaker;
mod queue;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{info, warn};

pub use breaker::BreakerState;

use super::balance::Choice;
use super::bell::Bell;
use super::error::{Error, Kind, Phase, Retry};
use super::roster::{self, Entry, Roster};
use super::server::Flight;
use crate::clock;
use crate::config;
use breaker::{Breaker, Change, Epoch};
use queue::{Queue, QueueLimits, TurnedAway};

/// What keeps the requests of one pool within what its origin can bear.
#[derive(Debug)]
pub(super) struct Overload {
    /// The origin's name, for the log.
    origin: Arc<str>,
    limits: QueueLimits,
    /// The terms of the breaker, if there is one.
    terms: Option<config::Breaker>,
    state: Arc<OverloadState>,
}

/// What all pools of one origin have in common, and outlives each.
#[derive(Debug)]
pub(super) struct OverloadState {
    /// Rung when a request has ended at any of its servers.
    pub(super) moved: Arc<Bell>,
    queue: Queue,
    /// Never held across an await, and not taken where no breaker is configured.
    breaker: Mutex<Breaker>,
    shed: [AtomicU64; Shed::ALL.len()],
}

/// Why a request was turned away without having been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// No server had room, and as many waited as may.
    QueueFull,
    /// It had waited for a server as long as it may.
    QueueTimeout,
    /// The origin's breaker was open, or another request was its trial.
    Breaker,
}

/// How much an origin has to do beyond what its servers can bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverloadStats {
    /// Requests that wait until a server has room.
    pub pending: usize,
    /// As many as may.
    pub pending_max: usize,
    /// Requests turned away, by reason.
    pub shed: [(Shed, u64); Shed::ALL.len()],
    /// How its breaker stands, if it has one.
    pub breaker: Option<BreakerState>,
}

/// A request that the breaker has let through, until it is known how it ended. One that is dropped
/// before says nothing of the origin.
#[must_use]
pub(super) struct Passage<'a> {
    overload: &'a Overload,
    /// `None` where there is no breaker, and when it has been told.
    epoch: Option<Epoch>,
}

// === impl Overload ===

impl Overload {
    pub(super) fn new(config: &config::Origin, state: Arc<OverloadState>) -> Self {
        Self {
            origin: Arc::clone(&config.name),
            limits: QueueLimits {
                pending_max: config.pending_max,
                timeout: config.pending_timeout,
            },
            terms: config.breaker,
            state,
        }
    }

    /// What its origin has to do beyond what its servers can bear.
    pub(super) fn stats(&self) -> OverloadStats {
        let shed = |it: Shed| (it, self.state.shed_counter(it).load(Ordering::Relaxed));
        OverloadStats {
            pending: self.state.queue.len(),
            pending_max: self.limits.pending_max,
            shed: Shed::ALL.map(shed),
            breaker: self.breaker_state(),
        }
    }

    fn breaker_state(&self) -> Option<BreakerState> {
        self.terms.as_ref()?;
        Some(self.state.breaker.lock().state(clock::instant()))
    }

    /// Whether its breaker keeps every request from it.
    pub(super) fn is_cut_off(&self) -> bool {
        matches!(self.breaker_state(), Some(BreakerState::Open(left)) if !left.is_zero())
    }

    /// The way past the breaker.
    pub(super) fn pass_breaker(&self) -> Result<Passage<'_>, Error> {
        let Some(terms) = &self.terms else {
            return Ok(Passage {
                overload: self,
                epoch: None,
            });
        };
        let now = clock::instant();
        let (change, admitted) = {
            let mut breaker = self.state.breaker.lock();
            (breaker.tick(terms, now), breaker.admit(now))
        };
        self.tell_of_breaker(change);
        let epoch = admitted.map_err(|left| self.shed(Shed::Breaker, left))?;
        Ok(Passage {
            overload: self,
            epoch: Some(epoch),
        })
    }

    /// Turns a request away; another may find more luck after so long.
    fn shed(&self, shed: Shed, retry_after: Duration) -> Error {
        let counter = self.state.shed_counter(shed);
        counter.fetch_add(1, Ordering::Relaxed);
        let error = Error::new(shed.kind(), Phase::Connecting, Retry::No);
        error.come_back_after(retry_after)
    }

    /// Time passes: a server may have come up or been given more weight, and a breaker may be open
    /// for long enough.
    pub(super) fn relieve(&self) {
        self.state.queue.nudge();
        if let Some(terms) = &self.terms {
            let change = self.state.breaker.lock().tick(terms, clock::instant());
            self.tell_of_breaker(change);
        }
    }

    fn tell_of_breaker(&self, change: Option<Change>) {
        let origin = &*self.origin;
        match change {
            None => {}
            Some(Change::Opened { failed, requests }) => {
                warn!(origin, failed, requests, "breaker open");
                // None of those who wait is sent any more.
                self.state.queue.nudge();
            }
            Some(Change::OpenedAgain) => warn!(origin, "breaker open again: a trial failed"),
            Some(Change::HalfOpened) => info!(origin, "breaker half-open: requests are trials"),
            Some(Change::Shut) => warn!(origin, "breaker shut: the trials went well"),
        }
    }
}

// === impl OverloadState ===

impl OverloadState {
    fn shed_counter(&self, shed: Shed) -> &AtomicU64 {
        let [full, timeout, breaker] = &self.shed;
        match shed {
            Shed::QueueFull => full,
            Shed::QueueTimeout => timeout,
            Shed::Breaker => breaker,
        }
    }
}

impl Default for OverloadState {
    fn default() -> Self {
        let moved = Arc::default();
        Self {
            queue: Queue::new(Arc::clone(&moved)),
            moved,
            breaker: Mutex::default(),
            shed: Default::default(),
        }
    }
}

// === impl Shed ===

impl Shed {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 3] = [Self::QueueFull, Self::QueueTimeout, Self::Breaker];

    /// A token for metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::QueueTimeout => "queue-timeout",
            Self::Breaker => "breaker",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::QueueFull => Kind::Full,
            Self::QueueTimeout => Kind::QueueTimeout,
            Self::Breaker => Kind::Breaker,
        }
    }
}

impl From<TurnedAway> for Shed {
    fn from(turned_away: TurnedAway) -> Self {
        match turned_away {
            TurnedAway::Full => Self::QueueFull,
            TurnedAway::TimedOut => Self::QueueTimeout,
        }
    }
}

// === impl Passage ===

impl Passage<'_> {
    /// A server that has room for a request, at which it is in flight from now on; `belongs` is the id
    /// of the candidate that is wanted most. The request waits its turn while all are full, unless the
    /// breaker opens meanwhile. The roster is that which is `in_force` when it is let in.
    pub(super) async fn let_in(
        &self,
        choice: &Choice,
        belongs: Option<u64>,
        in_force: impl Fn() -> Arc<Roster>,
    ) -> Result<(Arc<Roster>, usize, Flight), Error> {
        let look = || {
            let roster = in_force();
            match roster.enter(choice, belongs) {
                Entry::In(index, flight) => Some(Ok((roster, index, flight))),
                Entry::Full => None,
                Entry::Nobody => Some(Err(Error::no_server())),
            }
        };
        self.wait_for(look).await
    }

    /// The same for a request that has tried some of `roster`, which it passes over. It moves on to
    /// servers that have come since.
    pub(super) async fn let_in_again(
        &self,
        roster: &mut Arc<Roster>,
        choice: &mut Choice,
        in_force: impl Fn() -> Arc<Roster>,
    ) -> Result<(usize, Flight), Error> {
        let look = || match roster::enter_another(roster, choice, &in_force) {
            Entry::In(index, flight) => Some(Ok((index, flight))),
            Entry::Full => None,
            Entry::Nobody => Some(Err(Error::no_server())),
        };
        self.wait_for(look).await
    }

    /// What `look` finds when it is this one's turn, unless the breaker opens meanwhile.
    async fn wait_for<T>(
        &self,
        mut look: impl FnMut() -> Option<Result<T, Error>>,
    ) -> Result<T, Error> {
        let look = || {
            self.confirm()
                .map_or_else(|error| Some(Err(error)), |()| look())
        };
        let overload = self.overload;
        let entered = overload.state.queue.enter(overload.limits, look).await;
        entered.unwrap_or_else(|turned_away| Err(overload.shed(turned_away.into(), Duration::ZERO)))
    }

    /// Whether the breaker has not opened meanwhile.
    fn confirm(&self) -> Result<(), Error> {
        let Some(epoch) = self.epoch else {
            return Ok(());
        };
        let breaker = self.overload.state.breaker.lock();
        let confirmed = breaker.confirm(epoch, clock::instant());
        drop(breaker);
        confirmed.map_err(|left| self.overload.shed(Shed::Breaker, left))
    }

    /// The request has ended, as the breaker sees it: `None` says nothing of the origin.
    pub(super) fn end(mut self, is_good: Option<bool>) {
        self.settle(is_good);
    }

    fn settle(&mut self, is_good: Option<bool>) {
        if let Some((epoch, terms)) = self.epoch.take().zip(self.overload.terms.as_ref()) {
            let mut breaker = self.overload.state.breaker.lock();
            let change = breaker.settle(epoch, is_good, terms, clock::instant());
            drop(breaker);
            self.overload.tell_of_breaker(change);
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        self.settle(None);
    }
}
