//! What keeps an origin from more requests than it can bear: who goes on, who waits, and who is
//! turned away.
//!
//! First the queue, then a server's gate. Each is a file of its own; here is the way through them, and
//! what is counted. Which server it is to be is the balance's business, and what a client gets that
//! is turned away is the pipeline's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Pool;
use super::balance::Choice;
use super::bell::Bell;
use super::error::{Error, Kind, Phase, Retry};
use super::load::Flight;
use super::queue::{Patience, Queue, TurnedAway};
use super::roster::{Entry, Roster};
use super::send::no_server;
use crate::config;

/// What is known of one origin as a whole, which outlives the pools that ask it.
#[derive(Debug)]
pub(super) struct Overload {
    /// Rung when a request has ended at any of its servers.
    pub(super) moved: Arc<Bell>,
    queue: Queue,
    shed: [AtomicU64; Shed::ALL.len()],
}

/// Within which bounds a pool's requests are kept.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    patience: Patience,
}

/// Why a request was turned away without having been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// No server had room, and as many waited as may.
    QueueFull,
    /// It had waited for a server as long as it may.
    QueueTimeout,
}

/// How much an origin has to do beyond what its servers can bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverloadStats {
    /// Requests that wait until a server has room.
    pub pending: usize,
    /// Requests turned away, by reason.
    pub shed: [(Shed, u64); Shed::ALL.len()],
}

// === impl Overload ===

impl Overload {
    fn shed_counter(&self, shed: Shed) -> &AtomicU64 {
        let [full, timeout] = &self.shed;
        match shed {
            Shed::QueueFull => full,
            Shed::QueueTimeout => timeout,
        }
    }
}

impl Default for Overload {
    fn default() -> Self {
        let moved = Arc::default();
        Self {
            queue: Queue::new(Arc::clone(&moved)),
            moved,
            shed: Default::default(),
        }
    }
}

// === impl Bounds ===

impl Bounds {
    pub(super) fn new(config: &config::Origin) -> Self {
        Self {
            patience: Patience {
                pending_max: config.pending_max,
                timeout: config.pending_timeout,
            },
        }
    }
}

// === impl Shed ===

impl Shed {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 2] = [Self::QueueFull, Self::QueueTimeout];

    /// A token for metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::QueueTimeout => "queue-timeout",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::QueueFull => Kind::Full,
            Self::QueueTimeout => Kind::QueueTimeout,
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

// === impl Pool: overload ===

impl Pool {
    /// What its origin has to do beyond what its servers can bear.
    pub fn overload(&self) -> OverloadStats {
        let shed = |it: Shed| (it, self.overload.shed_counter(it).load(Ordering::Relaxed));
        OverloadStats {
            pending: self.overload.queue.len(),
            shed: Shed::ALL.map(shed),
        }
    }

    /// A server that has room for a request, at which it is in flight from now on; `belongs` is the
    /// seat of the one that is wanted most. It waits its turn while all are full. The roster is that
    /// of the moment it is let in.
    pub(super) async fn let_in(
        &self,
        choice: &Choice,
        belongs: Option<u64>,
    ) -> Result<(Arc<Roster>, usize, Flight), Error> {
        let look = || {
            let roster = self.roster();
            match roster.enter(choice, belongs) {
                Entry::In(index, flight) => Some(Ok((roster, index, flight))),
                Entry::Full => None,
                Entry::Nobody => Some(Err(no_server())),
            }
        };
        let entered = self.overload.queue.enter(self.bounds.patience, look).await;
        entered.unwrap_or_else(|turned_away| Err(self.shed(turned_away.into())))
    }

    /// Turns a request away.
    fn shed(&self, shed: Shed) -> Error {
        let counter = self.overload.shed_counter(shed);
        counter.fetch_add(1, Ordering::Relaxed);
        Error::new(shed.kind(), Phase::Connecting, Retry::No)
    }

    /// Time passes: a server may have come up or been given more weight.
    pub(super) fn relieve(&self) {
        self.overload.queue.nudge();
    }
}
