//! Background refresh of a stale object: an errand whose answer nobody waits for.
//!
//! Lookup starts it, with the permit to lead, for an object that it has just served stale. What it
//! brings is filed like any fetch's; an error leaves the object as it is. It is no step of any
//! client's journey, so it has no line in the access log, only its counters.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::errand::{Asks, Errand};
use super::settle::Arrived;
use crate::pipeline::site::Site;
use crate::pipeline::wanted::Wanted;
use crate::store::{Leader, Object};
use crate::telemetry::Refreshed;

/// A refresh under way.
pub(in crate::pipeline) struct Refresh {
    site: Arc<Site>,
    errand: Errand,
    _leave: OwnedSemaphorePermit,
}

// === impl Refresh ===

impl Refresh {
    /// It carries the fields of the request that found the object stale: what the origin varies by
    /// must be there.
    pub(in crate::pipeline) fn new(
        wanted: &Wanted,
        leader: Leader,
        stale: Arc<Object>,
        leave: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            site: Arc::clone(wanted.exchange.entry.site.site()),
            errand: Errand::new(wanted, leader.unattended(), Some(stale), Asks::ForStore)
                .in_silence(),
            _leave: leave,
        }
    }

    pub(in crate::pipeline) async fn run(self) {
        let brought = self.errand.run().await;
        let end = match brought.arrived {
            Arrived::Stored { .. } => Refreshed::Replaced,
            Arrived::Confirmed { .. } => Refreshed::Confirmed,
            Arrived::Private { .. } => Refreshed::Declined,
            Arrived::Failed(_) => Refreshed::Failed,
        };
        self.site.telemetry.metrics.refreshed(end);
    }
}
