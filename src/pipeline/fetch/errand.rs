//! One errand to the origin: prepare, send, and hand the answer to its filing. A straight line.
//!
//! It needs nothing of the client but a copy of what it asked, so it can outlive it. Retries are
//! in [`Pool::send`]; what becomes of the answer is in `settle.rs`, and what the client gets to see
//! is made in `deliver.rs`.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use tracing::debug;

use super::outbound;
use super::settle::{Arrival, Arrived, Filing};
use super::slices::Slicing;
use crate::body::Body;
use crate::clock;
use crate::origin::{self, Answer, Interim, Pool};
use crate::pipeline::route::concurrency::Place;
use crate::pipeline::step::lookup::Lookup;
use crate::pipeline::step::synth;
use crate::semantics::conditional;
use crate::store::{Leader, Object};
use crate::telemetry::Fetched;

/// A request to be made, and what is needed to file its answer.
pub(in crate::pipeline) struct Errand {
    pub(in crate::pipeline) pool: Arc<Pool>,
    pub(in crate::pipeline) request: Request<Bytes>,
    pub(in crate::pipeline) filing: Filing,
    /// Where the answer is to be kept in slices.
    pub(in crate::pipeline) slicing: Option<Box<Slicing>>,
    /// Among the route's requests that are under way, if one was free.
    place: Option<Place>,
    /// To the client that leads. Those who follow, and later hits, get no interim responses.
    interim: Option<Interim>,
}

/// What an errand brought home.
pub(in crate::pipeline) struct Brought {
    pub(in crate::pipeline) arrived: Arrived,
    /// `None` when nobody was asked.
    pub(in crate::pipeline) fetched: Option<Fetched>,
}

// === impl Errand ===

impl Errand {
    /// The client's request as a miss: without its conditions and ranges, so that the answer is
    /// whole; for a stale object with that object's validators instead.
    pub(in crate::pipeline) fn new(
        lookup: &Lookup,
        leader: Leader,
        stale: Option<Arc<Object>>,
    ) -> Self {
        let Lookup {
            exchange,
            key,
            route,
            pool,
            ..
        } = lookup;
        // Only a QUERY comes here with content, and that is all here.
        let content = exchange.body.whole().unwrap_or_default();
        let request = outbound::request(exchange, key.authority(), route, pool);
        let mut request = request.map(|_| content);
        // A HEAD may be what found the object stale; what is stored is the answer to a GET.
        if *request.method() == Method::HEAD {
            *request.method_mut() = Method::GET;
        }
        outbound::for_storing(request.headers_mut());
        if let Some(stale) = &stale {
            conditional::ask(request.headers_mut(), &stale.validators());
        }
        let slicing = Slicing::begin(lookup, stale.as_deref(), request.headers_mut());
        route.request_fields.apply(request.headers_mut());
        Self {
            pool: Arc::clone(pool),
            request,
            filing: Filing::new(lookup, leader, stale),
            slicing,
            place: route.bounds.enter(),
            interim: exchange.interim.clone(),
        }
    }

    /// The same without interim responses to anybody.
    #[must_use]
    pub(in crate::pipeline) fn in_silence(mut self) -> Self {
        self.interim = None;
        self
    }

    pub(in crate::pipeline) async fn run(mut self) -> Brought {
        let Some(place) = self.place.take() else {
            return Brought {
                arrived: self.filing.full(),
                fetched: None,
            };
        };
        let began = clock::instant();
        let origin = Arc::clone(self.pool.name());
        let mut server = None;
        let answer = self.ask_in_slices(&mut server).await;
        let fetched = Some(Fetched {
            origin,
            server,
            duration: began.elapsed(),
        });
        let answer = answer.map(|mut arrival| {
            arrival.response = place.hold(arrival.response);
            arrival
        });
        let first = self.slicing.and_then(|slicing| slicing.into_first());
        let arrived = match (answer, first) {
            (Ok(arrival), Some(first)) => self.filing.keep_slice(first, arrival),
            (Ok(arrival), None) => self.filing.settle(arrival),
            (Err(error), _) => {
                debug!(origin = &**self.pool.name(), error = %synth::causes(&error), "no answer");
                self.filing.fail(&error)
            }
        };
        Brought { arrived, fetched }
    }

    /// Sends the request. A 304 about some other response than ours is no answer: then asks
    /// again, without conditions.
    pub(in crate::pipeline) async fn ask(
        &mut self,
        server: &mut Option<Arc<str>>,
    ) -> Result<Arrival, origin::Error> {
        let mut arrival = self.send(server).await?;
        if arrival.is_not_modified() && self.has_asked() && !self.is_about_ours(&arrival) {
            self.filing.stale = None;
            conditional::strip(self.request.headers_mut());
            arrival = self.send(server).await?;
        }
        if arrival.is_not_modified() && !self.has_asked() {
            return Err(origin::Error::malformed("304 to no condition"));
        }
        Ok(arrival)
    }

    /// Whether the request had a condition: a stale object may lack what to ask by.
    fn has_asked(&self) -> bool {
        let stale = self.filing.stale.as_ref();
        stale.is_some_and(|stale| stale.validators().can_validate())
    }

    fn is_about_ours(&self, arrival: &Arrival) -> bool {
        let fields = arrival.response.headers();
        let stale = self.filing.stale.as_ref();
        stale.is_some_and(|stale| conditional::confirms(&stale.validators(), fields))
    }

    async fn send(&self, server: &mut Option<Arc<str>>) -> Result<Arrival, origin::Error> {
        let requested_at = clock::now();
        let request = self.request.clone().map(Body::full);
        let Answer {
            response,
            server: peer,
        } = self.pool.send(request, None, self.interim.as_ref()).await?;
        *server = Some(peer);
        Ok(Arrival {
            response,
            requested_at,
            received_at: clock::now(),
        })
    }
}
