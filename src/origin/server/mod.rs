//! Vitals of one server: figures, load and standing, which outlive the pools that ask it.
//!
//! A reload builds pools anew, with connections of their own; what has been learnt of a server is
//! not unlearnt by it. `load.rs` is how busy it is, `gate.rs` how many requests it may have and
//! `adaptive.rs` how that follows latency. `conduct.rs`, `counters.rs` and `histogram.rs` count;
//! `health.rs` tells whether its clients get answers, `advice.rs` is its agent's word, and `standing.rs`
//! makes a verdict of all. Connections are in `peer/`.

mod adaptive;
mod advice;
mod conduct;
mod counters;
mod gate;
mod health;
mod histogram;
mod load;
mod standing;
mod state;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;
use tracing::warn;

use adaptive::Adaptive;
pub use advice::Downed;
pub(super) use advice::{Advice, Said, parse as parse_advice};
pub(super) use conduct::{Conduct, Record};
pub(super) use counters::{Counters, Races};
pub(super) use gate::Gate;
pub use health::Ailment;
pub(super) use health::Health;
pub use histogram::Durations;
pub(super) use histogram::Histogram;
pub(super) use load::{Flight, Load};
pub(super) use standing::{Change, Standing, Terms, Threshold};
pub use state::State;
pub use verdict::{Fault, Verdict};

use super::bell::Bell;
use super::failures::Failures;
use super::permit::Ceiling;

/// What is known of one server.
#[derive(Debug)]
pub(in crate::origin) struct Vitals {
    /// The name of its origin, for the log.
    origin: Arc<str>,
    /// `host:port`, or `unix:/path`.
    pub(in crate::origin) authority: Arc<str>,
    pub(in crate::origin) load: Arc<Load>,
    /// What its latency says of how many requests it can bear.
    pub(in crate::origin) adaptive: Arc<Adaptive>,
    /// How many connections are open to it.
    pub(in crate::origin) connections: Arc<AtomicUsize>,
    /// How many may be open to all servers together.
    pub(in crate::origin) ceiling: Arc<Ceiling>,
    pub(in crate::origin) counters: Counters,
    pub(in crate::origin) conduct: Conduct,
    pub(in crate::origin) races: Races,
    pub(in crate::origin) health: Health,
    /// Which of the answers that it broke off are told.
    broken_off: Failures,
    /// How long its answers took.
    pub(in crate::origin) answers: Histogram,
    /// Never held across an await.
    pub(in crate::origin) standing: Mutex<Standing>,
}

// === impl Vitals ===

impl Vitals {
    /// Nothing is known yet; `moved` is rung when one of its requests has ended.
    pub(in crate::origin) fn new(
        origin: Arc<str>,
        authority: Arc<str>,
        moved: Arc<Bell>,
        ceiling: Arc<Ceiling>,
    ) -> Self {
        Self {
            origin,
            authority,
            load: Arc::new(Load::ringing(moved)),
            adaptive: Arc::default(),
            connections: Arc::default(),
            ceiling,
            counters: Counters::default(),
            conduct: Conduct::default(),
            races: Races::default(),
            health: Health::default(),
            broken_off: Failures::default(),
            answers: Histogram::default(),
            standing: Mutex::default(),
        }
    }

    /// It has broken off the body of an answer: what its clients got of it is cut.
    pub(in crate::origin) fn break_off(&self) {
        self.conduct.note_broken_body();
        let (origin, server) = (&*self.origin, &*self.authority);
        match self.broken_off.admit_now() {
            Some(0) => warn!(origin, server, "answer broken off"),
            Some(untold) => warn!(origin, server, untold, "answer broken off"),
            None => {}
        }
    }

    /// Tells of answers broken off that no further one has brought to light; to be called now and then.
    pub(in crate::origin) fn tell_untold(&self) {
        let untold = self.broken_off.overdue_now();
        if untold > 0 {
            let (origin, server) = (&*self.origin, &*self.authority);
            warn!(origin, server, untold, "more answers broken off");
        }
    }
}
