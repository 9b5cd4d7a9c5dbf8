//! Step Wait: another request is already asking the origin, and its answer may be shared.
//!
//! Comes from Lookup. Goes to Deliver with the other's object while it still arrives; to Fetch,
//! alone, when there is nothing to share; to Synth, or to Deliver with a stale object, when the
//! leader got no answer; back to Lookup when the object is another variant's or the leader
//! vanished.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::deliver::Deliver;
use super::fetch;
use super::lookup::{Lookup, ask_alone};
use crate::clock;
use crate::pipeline::answer::How;
use crate::pipeline::flow::Step;
use crate::pipeline::wanted::Wanted;
use crate::semantics::cache_status::Fwd;
use crate::store::{Follower, Object, Outcome};

/// As many leaders as a request sees vanish before it trusts in none but itself.
const WAITS_MAX: u8 = 4;

/// A request with the permit to wait.
pub(in crate::pipeline) struct Wait {
    pub(in crate::pipeline) lookup: Lookup,
    pub(in crate::pipeline) fwd: Fwd,
    pub(in crate::pipeline) stale: Option<Arc<Object>>,
    pub(in crate::pipeline) follower: Follower,
}

// === impl Wait ===

impl Wait {
    pub(in crate::pipeline) async fn run(self) -> Step {
        let Self {
            lookup: Lookup { wanted, waited },
            fwd,
            stale,
            follower,
        } = self;
        let coming = follower.outcome();
        let (mut wanted, outcome) = match stale {
            None => (wanted, coming.await),
            Some(_) => match Box::pin(fetch::unless_slow(wanted, fwd, coming)).await {
                ControlFlow::Continue(come) => come,
                ControlFlow::Break(step) => return step,
            },
        };
        wanted.exchange.now = clock::now();
        match outcome {
            Some(Outcome::Object(object)) => {
                let ours = object.variant().matches(&wanted.selecting()) && wanted.suits(&object);
                if !ours {
                    return Step::Lookup(Lookup { wanted, waited });
                }
                match How::collapsed(fwd, &object) {
                    Some(how) => Step::Deliver(Deliver::stored(wanted, object, how)),
                    None => too_late(wanted, waited, fwd, stale),
                }
            }
            // "Pending" is never handed out; were it, looking again is what it means.
            Some(Outcome::Abandoned | Outcome::Pending) => too_late(wanted, waited, fwd, stale),
            // An answer to requests that differ from this one by what it varies by.
            Some(Outcome::Declined(Some(variant)))
                if waited < WAITS_MAX && !variant.matches(&wanted.selecting()) =>
            {
                Step::Lookup(Lookup {
                    wanted,
                    waited: waited + 1,
                })
            }
            Some(Outcome::Failed(failure)) => fetch::failed(wanted, failure, fwd),
            Some(Outcome::Declined(_)) | None => ask_alone(wanted, fwd, stale),
        }
    }
}

/// What was waited for is not to be had any more, or never was: looks anew, but not for ever.
fn too_late(wanted: Wanted, waited: u8, fwd: Fwd, stale: Option<Arc<Object>>) -> Step {
    match waited < WAITS_MAX {
        true => Step::Lookup(Lookup {
            wanted,
            waited: waited + 1,
        }),
        false => ask_alone(wanted, fwd, stale),
    }
}
