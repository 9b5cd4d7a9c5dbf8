//! Gate before all routes: why requests are turned away at it, and how many were.
//!
//! What a gate says is the configuration's; Receive asks it before anything is looked up, so that a hit
//! is guarded like any other answer.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::telemetry::Family;

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnedAway {
    /// Its client's address is denied, or not allowed.
    Address,
}

/// What has been counted at all gates; it outlives sites.
#[derive(Debug, Default)]
pub(super) struct Gatekeeper {
    turned_away: [AtomicU64; TurnedAway::ALL.len()],
}

// === impl TurnedAway ===

impl TurnedAway {
    /// Every reason, in order.
    pub(super) const ALL: [Self; 1] = [Self::Address];

    /// The reason as one token, for Cache-Status, metrics and logs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address-denied",
        }
    }
}

// === impl Gatekeeper ===

impl Gatekeeper {
    /// Takes down that a request was turned away.
    pub(super) fn count(&self, why: TurnedAway) {
        if let Some(count) = self.turned_away.get(why as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// What was counted, for a scrape.
    pub(super) fn families(&self) -> Vec<Family> {
        let help = "Requests turned away before their route was taken.";
        let mut turned_away = Family::counter("copal_turned_away_total", help);
        for why in TurnedAway::ALL {
            let labels = vec![("reason", why.as_str().to_owned())];
            let count = self.turned_away.get(why as usize);
            let count = count.map_or(0, |it| it.load(Relaxed));
            turned_away = turned_away.labelled(labels, count as f64);
        }
        vec![turned_away]
    }
}
