//! Asking the origin on behalf of the cache: a miss, or the revalidation of a stale object.
//!
//! Comes from Lookup, with the permit to lead. Goes to Deliver, or to Synth when the origin gave
//! no answer. In company the errand runs as a task of its own, so that a client who leaves does
//! not end it for those who wait; alone it is cancelled with its client, as long as nothing of
//! the answer is to be stored. The errand itself is in `errand.rs`.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::deliver::{Deliver, How};
use super::errand::{Arrived, Brought, Errand};
use super::flow::Step;
use super::lookup::Lookup;
use super::synth::Synth;
use crate::semantics::cache_status::{CacheStatus, Fwd};
use crate::store::{Leader, Object};

/// A request with the permit to ask.
pub(super) struct Fetch {
    pub(super) lookup: Lookup,
    pub(super) leader: Leader,
    pub(super) fwd: Fwd,
    pub(super) stale: Option<Arc<Object>>,
    /// Whether others may wait for the answer.
    pub(super) in_company: bool,
}

// === impl Fetch ===

impl Fetch {
    pub(super) async fn run(self) -> Step {
        let Self {
            lookup,
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
        let Lookup {
            mut exchange,
            route,
            ..
        } = lookup;
        let Some(Brought { arrived, fetched }) = brought else {
            return Step::Synth(Synth::internal(exchange, fwd));
        };
        exchange.entry.record.fetched = Some(fetched);
        match arrived {
            Arrived::Stored { object, body, aged } => {
                let how = How::Miss { fwd, body, aged };
                Step::Deliver(Deliver::stored(exchange, route, object, how))
            }
            Arrived::Confirmed { object, stored } => Step::Deliver(Deliver::stored(
                exchange,
                route,
                object,
                How::Revalidated { stored },
            )),
            Arrived::Private { response, why } => {
                let status = CacheStatus {
                    fwd: Some(fwd),
                    fwd_status: Some(response.status()),
                    detail: Some(why.as_str()),
                    ..CacheStatus::default()
                };
                Step::Deliver(Deliver::passed(exchange, route, response, status))
            }
            Arrived::Failed(failure) => Step::Synth(Synth::failure(exchange, failure, fwd)),
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
