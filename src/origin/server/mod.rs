//! Vitals of one server: figures, load and standing, which outlive the pools that ask it.
//!
//! A reload builds pools anew, with connections of their own; what has been learnt of a server is
//! not unlearnt by it. `load.rs` is how busy it is, `gate.rs` how many requests it may have and
//! `adaptive.rs` how that follows latency. `conduct.rs` and `counters.rs` count; `advice.rs` is its
//! agent's word, and `standing.rs` makes a verdict of all. Connections are in `peer/`.

mod adaptive;
mod advice;
mod conduct;
mod counters;
mod gate;
mod load;
mod standing;
mod state;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;

use adaptive::Adaptive;
pub use advice::Downed;
pub(super) use advice::{Advice, Said, parse as parse_advice};
pub(super) use conduct::{Conduct, Record};
pub(super) use counters::{Counters, Races};
pub(super) use gate::Gate;
pub(super) use load::{Flight, Load};
pub(super) use standing::{Change, Standing, Terms, Threshold};
pub use state::State;
pub use verdict::{Fault, Verdict};

use super::bell::Bell;
use super::permit::Ceiling;

/// What is known of one server.
#[derive(Debug)]
pub(in crate::origin) struct Vitals {
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
    /// Never held across an await.
    pub(in crate::origin) standing: Mutex<Standing>,
}

// === impl Vitals ===

impl Vitals {
    /// Nothing is known yet; `moved` is rung when one of its requests has ended.
    pub(in crate::origin) fn new(
        authority: Arc<str>,
        moved: Arc<Bell>,
        ceiling: Arc<Ceiling>,
    ) -> Self {
        Self {
            authority,
            load: Arc::new(Load::ringing(moved)),
            adaptive: Arc::default(),
            connections: Arc::default(),
            ceiling,
            counters: Counters::default(),
            conduct: Conduct::default(),
            races: Races::default(),
            standing: Mutex::default(),
        }
    }
}
