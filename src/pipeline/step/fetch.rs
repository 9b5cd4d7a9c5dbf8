//! Step Fetch: the origin is asked on behalf of the cache, for a miss or to revalidate a stale object.
//!
//! Comes from Lookup, with the permit to lead. Goes to Deliver; to Pass for a range of what is not
//! stored after all; to Synth when the origin gave no answer and nothing stored may stand in. In company the errand runs as a task of its own, so
//! that a client who leaves does not end it for those who wait; alone it is cancelled with its
//! client, as long as nothing of the answer is to be stored. Where something stored may stand in, a
//! client waits only so long for either. The errand itself is in `errand.rs`.

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;

use http::{Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::deliver::Deliver;
use super::pass::Pass;
use super::synth::Synth;
use crate::body::Body;
use crate::clock;
use crate::pipeline::answer::{self, How};
use crate::pipeline::fetch::errand::{Asks, Brought, Errand};
use crate::pipeline::fetch::settle::Arrived;
use crate::pipeline::flow::Step;
use crate::pipeline::next::StandIn;
use crate::pipeline::reasons::{Bypass, Excuse};
use crate::pipeline::wanted::Wanted;
use crate::semantics::cache_status::{CacheStatus, Fwd};
use crate::semantics::storable::WhyNot;
use crate::store::{Failure, Leader, Object};

/// A request with the permit to ask.
pub(in crate::pipeline) struct Fetch {
    pub(in crate::pipeline) wanted: Wanted,
    pub(in crate::pipeline) leader: Leader,
    pub(in crate::pipeline) fwd: Fwd,
    pub(in crate::pipeline) stale: Option<Arc<Object>>,
    pub(in crate::pipeline) audience: Audience,
}

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum Audience {
    /// The client, and all who wait for it meanwhile.
    All,
    /// The client, since as many wait as may; later requests, if it is stored.
    Crowd,
    /// The client: it is not likely to be stored.
    Client,
}

// === impl Fetch ===

impl Fetch {
    pub(in crate::pipeline) async fn run(self) -> Step {
        let Self {
            wanted,
            leader,
            fwd,
            stale,
            audience,
        } = self;
        let has_stale = stale.is_some();
        let asks = match (audience, has_stale) {
            (Audience::Client, false) => Asks::AsClient,
            _ => Asks::ForStore,
        };
        let errand = Errand::new(&wanted, leader, stale, asks);
        let (mut wanted, brought) = match (audience, has_stale) {
            (Audience::All, false) => (wanted, detached(errand).await),
            (Audience::Crowd | Audience::Client, false) => (wanted, Some(errand.run().await)),
            // What can be stood in for goes on without its client, as what others wait for does.
            // Boxed, so that a miss does not carry its state along.
            (_, true) => match Box::pin(unless_slow(wanted, fwd, detached(errand))).await {
                ControlFlow::Continue(brought) => brought,
                ControlFlow::Break(step) => return step,
            },
        };
        let Some(Brought {
            arrived,
            fetched,
            ruling,
        }) = brought
        else {
            return Step::Synth(Synth::internal(wanted.exchange, fwd));
        };
        wanted.exchange.entry.record.fetched = fetched;
        ruling.note(&mut wanted.exchange);
        let decided_by = ruling.declined.or(ruling.timed);
        wanted.exchange.decided_by = decided_by.map(|it| it.detail());
        deliver(wanted, arrived, fwd, asks)
    }
}

/// Hands out what has come of the origin's answer.
fn deliver(wanted: Wanted, arrived: Arrived, fwd: Fwd, asks: Asks) -> Step {
    match arrived {
        Arrived::Stored { object, body, aged } => Step::Deliver(Deliver::stored(
            wanted,
            object,
            How::Miss { fwd, body, aged },
        )),
        Arrived::Confirmed { object, stored } => Step::Deliver(Deliver::stored(
            wanted,
            object,
            How::Revalidated { fwd, stored },
        )),
        Arrived::Private { response, why } => private(wanted, response, why, fwd, asks),
        Arrived::Failed(failure) => failed(wanted, failure, fwd),
    }
}

/// Hands out an answer that is not stored, as far as the client wants it: it was asked for without
/// the client's conditions and range, where it might have been.
fn private(wanted: Wanted, response: Response<Body>, why: WhyNot, fwd: Fwd, asks: Asks) -> Step {
    let request = &wanted.exchange.request;
    if asks == Asks::ForStore && answer::is_for_a_part(request, response.status()) {
        let why = Bypass::NotStored(why);
        return Step::Pass(Pass {
            wanted,
            why,
            stored: None,
        });
    }
    let status = CacheStatus {
        fwd: Some(fwd),
        fwd_status: Some(response.status()),
        detail: match why {
            WhyNot::Rule => wanted.exchange.decided_by.or(Some(why.as_str())),
            why => Some(why.as_str()),
        },
        ..CacheStatus::default()
    };
    let response = answer::under_conditions(request, response);
    Step::Deliver(Deliver::passed(wanted, response, status))
}

/// The origin failed: what is stored at this moment may stand in for its answer.
pub(super) fn failed(wanted: Wanted, failure: Failure, fwd: Fwd) -> Step {
    let (now, status) = (clock::now(), failure.origin_status);
    match StandIn::of(&wanted.asker(), wanted.find_at(now), failure.status, now) {
        // What came meanwhile, by another request. Not for one that wants to hear its origin.
        StandIn::Fresh(object) if fwd != Fwd::Request => {
            let body = object.body();
            Step::Deliver(Deliver::stored(
                wanted,
                object,
                How::Collapsed { fwd, body },
            ))
        }
        StandIn::Fresh(object) | StandIn::Stale(object) => {
            if failure.status == StatusCode::GATEWAY_TIMEOUT {
                wanted.store().mark_hanging(wanted.key(), now);
            }
            let how = How::Stale(Excuse::Failed { fwd, status });
            Step::Deliver(Deliver::stored(wanted, object, how))
        }
        StandIn::Nothing => Step::Synth(Synth::failure(wanted.exchange, failure, fwd)),
    }
}

/// Waits for what is coming, but no longer than the route says if something stored may stand in: then
/// that is delivered.
pub(super) async fn unless_slow<T>(
    wanted: Wanted,
    fwd: Fwd,
    coming: impl Future<Output = T>,
) -> ControlFlow<Step, (Wanted, T)> {
    let mut coming = pin!(coming);
    let after = wanted.caching().stale_after;
    if let Ok(come) = timeout(after, coming.as_mut()).await {
        return ControlFlow::Continue((wanted, come));
    }
    let (now, status) = (clock::now(), StatusCode::GATEWAY_TIMEOUT);
    match StandIn::of(&wanted.asker(), wanted.find_at(now), status, now) {
        StandIn::Fresh(object) | StandIn::Stale(object) => {
            ControlFlow::Break(slow(wanted, object, fwd))
        }
        StandIn::Nothing => {
            let come = coming.await;
            ControlFlow::Continue((wanted, come))
        }
    }
}

/// The origin takes its time: the stale response is served, and for some seconds at once.
fn slow(wanted: Wanted, object: Arc<Object>, fwd: Fwd) -> Step {
    let now = clock::now();
    let how = match object.term().is_fresh(now) {
        true => How::Collapsed {
            fwd,
            body: object.body(),
        },
        false => How::Stale(Excuse::Slow { fwd }),
    };
    wanted.store().mark_hanging(wanted.key(), now);
    Step::Deliver(Deliver::stored(wanted, object, how))
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
