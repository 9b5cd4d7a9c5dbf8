//! Hedging policy: how slow a request must be to be sent to another server as well, and how many
//! are.
//!
//! Only what changes nothing and has no content is sent twice, and never more than a share of the
//! requests: hedging is for the few that meet a hiccup, and would only add to the load where all
//! are slow. The two tries are in `race.rs`.

use std::time::Duration;

use super::budget::Budget;
use super::latencies::Latencies;
use crate::config::{self, HedgeAfter};

/// When a pool's requests are sent to another server as well, and how many still may be.
#[derive(Debug)]
pub(in crate::origin) struct Hedging {
    after: After,
    budget: Budget,
}

#[derive(Debug)]
enum After {
    Time(Duration),
    Percentile(Box<Latencies>),
}

// === impl Hedging ===

impl Hedging {
    pub(in crate::origin) fn new(config: &config::Hedge) -> Self {
        let after = match config.after {
            HedgeAfter::Time(time) => After::Time(time),
            HedgeAfter::Percentile(percentile) => {
                After::Percentile(Box::new(Latencies::new(percentile)))
            }
        };
        Self {
            after,
            budget: Budget::strict(config.share_max),
        }
    }

    /// A client's request is on its way.
    pub(in crate::origin) fn deposit(&self) {
        self.budget.deposit();
    }

    /// An answer's head came after so long, or has not come for so long.
    pub(in crate::origin) fn observe(&self, latency: Duration) {
        if let After::Percentile(latencies) = &self.after {
            latencies.observe(latency);
        }
    }

    /// Time passes; to be called several times a second, by one at a time.
    pub(in crate::origin) fn tick(&self) {
        if let After::Percentile(latencies) = &self.after {
            latencies.tick();
        }
    }

    /// How slow a request must be; `None` while that is unknown.
    pub(in crate::origin) fn after(&self) -> Option<Duration> {
        match &self.after {
            After::Time(time) => Some(*time),
            After::Percentile(latencies) => latencies.within(),
        }
    }

    /// Leave to send one request more, if the share of hedges allows it.
    pub(in crate::origin) fn withdraw(&self) -> bool {
        self.budget.withdraw()
    }
}
