//! Request machine: the journey of one request, all of it on this screen.
//!
//! ```text
//! Receive → (Login →) (Query →) Lookup → (Wait | Fetch | Pass) → Deliver → Done
//!         ↘ Purge | Synth                             ↗
//! ```
//!
//! Each step owns what is known by then and gives the next step. `docs/journey.md` has the
//! picture. Nothing is decided here.

use bytes::Bytes;
use http::{Request, Response};
use tracing::trace;

use super::client::Client;
use super::exchange::Exchange;
use super::site::SiteHandle;
use super::step::deliver::Deliver;
use super::step::fetch::Fetch;
use super::step::login::Login;
use super::step::lookup::Lookup;
use super::step::pass::Pass;
use super::step::purge::Purge;
use super::step::query::Query;
use super::step::receive::Receive;
use super::step::refusal::Refusal;
use super::step::synth::{self, Synth};
use super::step::wait::Wait;
use crate::body::Body;
use crate::origin::Interim;

/// More steps than any journey takes: one may look up anew only after a leader has vanished or
/// another variant has come, and this bounds how often.
const STEPS_MAX: usize = 24;

/// Where a request stands.
pub(super) enum Step {
    /// A request from a client.
    Receive(Receive),
    /// Has a password that has to be proved.
    Login(Login),
    /// Has a route, and a question whose content is part of the key.
    Query(Query),
    /// Has a route and a key.
    Lookup(Lookup),
    /// Has a follower's permit: someone else is asking.
    Wait(Wait),
    /// Has a leader's permit, and perhaps a stale object to revalidate.
    Fetch(Fetch),
    /// Has a route, and will never touch the store.
    Pass(Pass),
    /// Has the right to invalidate.
    Purge(Purge),
    /// Has an object, or a response passed on.
    Deliver(Deliver),
    /// Has an answer of our own.
    Synth(Synth),
    /// Has been answered.
    Done(Response<Body>),
}

/// Walks a request through its steps to its response. What an origin says to it before its answer
/// goes to `interim`.
pub async fn serve(
    site: SiteHandle,
    client: Client,
    request: Request<Body>,
    interim: Option<Interim>,
) -> Response<Body> {
    let mut exchange = Exchange::new(site, client, request);
    exchange.interim = interim;
    let mut step = Step::Receive(Receive::new(exchange));
    for _ in 0..STEPS_MAX {
        trace!(step = step.name());
        step = match step {
            Step::Receive(it) => it.run(),
            Step::Lookup(it) => it.run(),
            Step::Login(it) => Box::pin(it.run()).await,
            Step::Query(it) => Box::pin(it.run()).await,
            // Boxed: hyper moves this future about, and a hit should not carry their state along.
            Step::Wait(it) => Box::pin(it.run()).await,
            Step::Fetch(it) => Box::pin(it.run()).await,
            Step::Pass(it) => Box::pin(it.run()).await,
            Step::Purge(it) => it.run(),
            Step::Deliver(it) => it.run(),
            Step::Synth(it) => it.run(),
            Step::Done(response) => return response,
        };
    }
    synth::gone_in_circles()
}

/// Answers a request that the server already knows to be unacceptable.
pub fn refuse(
    site: SiteHandle,
    client: Client,
    request: Request<Body>,
    refusal: Refusal,
) -> Response<Body> {
    synth::refuse(Exchange::new(site, client, request), refusal)
}

/// Answers a request by what the server has to say, whatever route it is for.
pub fn tell(
    site: SiteHandle,
    client: Client,
    request: Request<Body>,
    text: Bytes,
) -> Response<Body> {
    synth::tell(Exchange::new(site, client, request), text)
}

// === impl Step ===

impl Step {
    fn name(&self) -> &'static str {
        match self {
            Self::Receive(_) => "receive",
            Self::Login(_) => "login",
            Self::Query(_) => "query",
            Self::Lookup(_) => "lookup",
            Self::Wait(_) => "wait",
            Self::Fetch(_) => "fetch",
            Self::Pass(_) => "pass",
            Self::Purge(_) => "purge",
            Self::Deliver(_) => "deliver",
            Self::Synth(_) => "synth",
            Self::Done(_) => "done",
        }
    }
}
