//! Counters of client connections that were ended by us, and for what. Those that ended by themselves,
//! in their idleness or by a drain are not among them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::exposition::Family;

/// For what a connection was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It never said anything.
    Silent,
    /// The head of its request did not come to its end in time.
    Header,
    /// It took no byte of its response for too long.
    Send,
    /// It took its response too slowly.
    SendRate,
    /// It sent the body of its request too slowly.
    ReceiveRate,
    /// It had lasted for as long as a connection may.
    Lifetime,
    /// It had carried as many requests as a connection may.
    Requests,
}

/// How many were ended for what.
#[derive(Debug, Default)]
pub struct Endings([AtomicU64; Ending::ALL.len()]);

// === impl Ending ===

impl Ending {
    /// Every reason, in order.
    pub const ALL: [Self; 7] = [
        Self::Silent,
        Self::Header,
        Self::Send,
        Self::SendRate,
        Self::ReceiveRate,
        Self::Lifetime,
        Self::Requests,
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Header => "header",
            Self::Send => "send",
            Self::SendRate => "send-rate",
            Self::ReceiveRate => "receive-rate",
            Self::Lifetime => "lifetime",
            Self::Requests => "requests",
        }
    }
}

// === impl Endings ===

impl Endings {
    /// Counts one.
    pub fn count(&self, ending: Ending) {
        self.0[ending as usize].fetch_add(1, Relaxed);
    }

    /// For a scrape.
    pub fn family(&self) -> Family {
        let help = "Client connections that were ended, by what for.";
        let mut family = Family::counter("copal_connections_ended", help);
        for ending in Ending::ALL {
            let labels = vec![("reason", ending.as_str().to_owned())];
            family = family.labelled(labels, self.0[ending as usize].load(Relaxed) as f64);
        }
        family
    }
}
