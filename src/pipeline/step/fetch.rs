//! Asking the origin on behalf of the cache: a miss, or the revalidation of a stale object.
//!
//! Comes from Lookup, with the permit to lead. Goes to Deliver; to Synth when the origin gave no
//! answer and nothing stored may stand in. In company the errand runs as a task of its own, so
//! that a client who leaves does not end it for those who wait; alone it is cancelled with its
//! client, as long as nothing of the answer is to be stored. The errand itself is in `errand.rs`.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::deliver::How;
use super::lookup::Lookup;
use super::synth::Synth;
use crate::pipeline::fetch::errand::{Brought, Errand};
use crate::pipeline::fetch::settle::Arrived;
use crate::pipeline::flow::Step;
use crate::semantics::cache_status::{CacheStatus, Fwd};
use crate::store::{Leader, Object};

/// A request with the permit to ask.
pub(in crate::pipeline) struct Fetch {
    pub(in crate::pipeline) lookup: Lookup,
    pub(in crate::pipeline) leader: Leader,
    pub(in crate::pipeline) fwd: Fwd,
    pub(in crate::pipeline) stale: Option<Arc<Object>>,
    /// Whether others may wait for the answer.
    pub(in crate::pipeline) in_company: bool,
}

// === impl Fetch ===

impl Fetch {
    pub(in crate::pipeline) async fn run(self) -> Step {
        let Self {
            mut lookup,
            leader,
            fwd,
            stale,
            in_company,
        } = self;
        let errand = Errand::new(&lookup, leader, stale);
        let brought = if in_company {
            detached(errand).await
        } else {
            Some(errand.run().await)
        };
        let Some(Brought { arrived, fetched }) = brought else {
            return Step::Synth(Synth::internal(lookup.exchange, fwd));
        };
        lookup.exchange.entry.record.fetched = fetched;
        lookup.arrived(arrived, fwd)
    }
}

// === impl Lookup: what it was for ===

impl Lookup {
    /// Hands out what has come of the origin's answer.
    pub(in crate::pipeline) fn arrived(self, arrived: Arrived, fwd: Fwd) -> Step {
        match arrived {
            Arrived::Stored { object, body, aged } => {
                self.deliver(object, How::Miss { fwd, body, aged })
            }
            Arrived::Confirmed { object, stored } => {
                self.deliver(object, How::Revalidated { fwd, stored })
            }
            Arrived::Private { response, why } => {
                let status = CacheStatus {
                    fwd: Some(fwd),
                    fwd_status: Some(response.status()),
                    detail: Some(why.as_str()),
                    ..CacheStatus::default()
                };
                self.deliver_passed(response, status)
            }
            Arrived::Failed(failure) => self.fail(failure, fwd),
        }
    }
}

/// Runs the errand as a task; `None` if it died.
async fn detached(errand: Errand) -> Option<Brought> {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        // The client may have left: what it alone would have got is dropped, and so cancelled.
        let _ = sender.send(errand.run().await);
    });
    receiver.await.ok()
}
