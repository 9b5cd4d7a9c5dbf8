//! Errand to the origin: prepare, send, and have the answer settled. A straight line.
//!
//! It needs nothing of the client but a copy of what it asked, so it can outlive it. Retries are
//! in [`crate::origin::Pool::send`]; what becomes of the answer is in `settle.rs`, and what the client
//! gets to see is made in `deliver.rs`.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Method, Request};

use super::outbound;
use super::resume::Asked;
use super::settle::{Arrival, Arrived, Settlement};
use super::slices::{self, First, Slicing};
use crate::body::Body;
use crate::clock;
use crate::origin::{self, Answer, Interim};
use crate::pipeline::route::Route;
use crate::pipeline::route::concurrency::Permit;
use crate::pipeline::ruled::Ruling;
use crate::pipeline::wanted::Wanted;
use crate::semantics::combine;
use crate::semantics::conditional;
use crate::semantics::range;
use crate::semantics::storable::Storable;
use crate::store::{Leader, Object};
use crate::telemetry::Fetched;

/// A request to be made, and what is needed to file its answer.
pub(in crate::pipeline) struct Errand {
    route: Arc<Route>,
    request: Request<Bytes>,
    settlement: Settlement,
    /// Where the answer is to be kept in slices.
    slicing: Option<Box<Slicing>>,
    /// Of the route, to ask its origin, if one was free.
    permit: Option<Permit>,
    /// To the client that leads. Those who follow, and later hits, get no interim responses.
    interim: Option<Interim>,
}

/// For what the origin is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum Asks {
    /// For the whole, without the client's conditions and ranges; for a stale object with that
    /// object's validators instead.
    ForStore,
    /// For what the client asks for, under its conditions.
    AsClient,
}

/// What an errand brought home.
pub(in crate::pipeline) struct Brought {
    pub(in crate::pipeline) arrived: Arrived,
    /// `None` when nobody was asked.
    pub(in crate::pipeline) fetched: Option<Fetched>,
    /// What rules have said of the answer.
    pub(in crate::pipeline) ruling: Ruling,
}

// === impl Errand ===

impl Errand {
    /// The client's request, so that its answer can be stored, or as the client asks.
    pub(in crate::pipeline) fn new(
        wanted: &Wanted,
        leader: Leader,
        stale: Option<Arc<Object>>,
        asks: Asks,
    ) -> Self {
        // Only a QUERY comes here with content, and that is all here.
        let content = wanted.exchange.body.whole().unwrap_or_default();
        let mut request = outbound::request(wanted).map(|_| content);
        // A HEAD may be what found the object stale; what is stored is the answer to a GET.
        if *request.method() == Method::HEAD {
            *request.method_mut() = Method::GET;
        }
        let fields = request.headers_mut();
        outbound::unsteer(fields);
        let slicing = match asks {
            Asks::AsClient => None,
            Asks::ForStore => {
                conditional::strip(fields);
                if let Some(stale) = &stale {
                    conditional::ask(fields, &stale.validators());
                }
                Slicing::begin(wanted, stale.as_deref(), fields)
            }
        };
        let route = wanted.route();
        outbound::edit(wanted, request.headers_mut());
        Self {
            route: Arc::clone(route),
            request,
            settlement: Settlement::new(wanted, leader, stale),
            slicing,
            permit: route.scope.bounds.enter(),
            interim: wanted.exchange.interim.clone(),
        }
    }

    /// The same without interim responses to anybody.
    #[must_use]
    pub(in crate::pipeline) fn in_silence(mut self) -> Self {
        self.interim = None;
        self
    }

    pub(in crate::pipeline) async fn run(mut self) -> Brought {
        let Some(permit) = self.permit.take() else {
            return Brought {
                arrived: self.settlement.full(),
                fetched: None,
                ruling: Ruling::default(),
            };
        };
        let began = clock::instant();
        let origin = Arc::clone(self.route.pool.name());
        let mut server = None;
        let answer = self.ask_in_slices(&mut server).await;
        if let Err(error) = &answer {
            server = error.server.clone().or(server);
        }
        let fetched = Some(Fetched {
            origin,
            server,
            duration: began.elapsed(),
        });
        let answer = answer.map(|mut arrival| {
            arrival.response = permit.hold(arrival.response);
            arrival
        });
        let ruling = self.settlement.ruling.clone();
        let first = self.slicing.and_then(|slicing| slicing.into_first());
        let arrived = match (answer, first) {
            (Ok(arrival), Some(first)) => self.settlement.keep_slice(first, arrival),
            (Ok(arrival), None) => {
                let asked = Asked::of(self.route, self.request, &arrival.response);
                self.settlement.settle(arrival, asked)
            }
            (Err(error), _) => {
                let pool = &self.route.pool;
                pool.tell_failure(&self.settlement.url(), &error);
                self.settlement.fail(&error)
            }
        };
        Brought {
            arrived,
            fetched,
            ruling,
        }
    }

    /// Asks for a slice where slices are kept, and for anything else where none can be had.
    ///
    /// A slice beyond the end is followed by the first, which tells how long the whole is. What
    /// cannot be joined or must not be stored is asked for as the client did. So these are at most
    /// three requests.
    async fn ask_in_slices(
        &mut self,
        server: &mut Option<Arc<str>>,
    ) -> Result<Arrival, origin::Error> {
        loop {
            let mut arrival = self.ask(server).await?;
            let Some(mut slicing) = self.slicing.take() else {
                self.settlement.heed_rules(&mut arrival);
                return Ok(arrival);
            };
            let response = &mut arrival.response;
            match combine::Brought::of(slicing.range(), response.status(), response.headers()) {
                combine::Brought::Other => {
                    self.settlement.heed_rules(&mut arrival);
                    return Ok(arrival);
                }
                combine::Brought::Whole => {
                    slices::declare_whole(response);
                    self.settlement.heed_rules(&mut arrival);
                    return Ok(arrival);
                }
                combine::Brought::Part { complete, version } => {
                    slices::declare_whole(response);
                    let length = HeaderValue::from(complete);
                    response.headers_mut().insert(CONTENT_LENGTH, length);
                    self.settlement.heed_rules(&mut arrival);
                    slicing.first = self.first(&slicing, &arrival, complete, version);
                    if slicing.first.is_some() {
                        self.slicing = Some(slicing);
                        return Ok(arrival);
                    }
                    slicing.ask_as_client(self.request.headers_mut());
                }
                combine::Brought::Nothing if slicing.index > 0 => {
                    slicing.index = 0;
                    range::ask(self.request.headers_mut(), slicing.range());
                    self.slicing = Some(slicing);
                }
                combine::Brought::Nothing | combine::Brought::Unfit => {
                    slicing.ask_as_client(self.request.headers_mut());
                }
            }
        }
    }

    /// The object to be, if it may be stored: judged as if the whole had come.
    fn first(
        &self,
        slicing: &Slicing,
        arrival: &Arrival,
        complete: u64,
        version: combine::Version,
    ) -> Option<First> {
        let (settlement, response) = (&self.settlement, &arrival.response);
        let verdict = settlement.judge(response.status(), response.headers(), arrival);
        let Storable::Yes(term) = verdict else {
            return None;
        };
        if settlement.veto().is_some() {
            return None;
        }
        let (head, variant) = settlement.describe(response, arrival.received_at).ok()?;
        let judged_by = (&settlement.rules, settlement.ruled());
        let sliced = slicing.sliced(&self.request, judged_by, complete, version);
        Some(First {
            index: slicing.index,
            term,
            head,
            variant,
            sliced: sliced.ok()?,
        })
    }

    /// Sends the request. A 304 about some other response than ours is no answer: then asks
    /// again, without conditions.
    async fn ask(&mut self, server: &mut Option<Arc<str>>) -> Result<Arrival, origin::Error> {
        let mut arrival = self.send(server).await?;
        if arrival.is_not_modified() && self.has_asked() && !self.is_about_ours(&arrival) {
            self.settlement.stale = None;
            conditional::strip(self.request.headers_mut());
            arrival = self.send(server).await?;
        }
        if arrival.is_not_modified() && !conditional::may_bring_304(self.request.headers()) {
            return Err(origin::Error::malformed("304 to no condition"));
        }
        Ok(arrival)
    }

    /// Whether the request had a condition: a stale object may lack what to ask by.
    fn has_asked(&self) -> bool {
        let stale = self.settlement.stale.as_ref();
        stale.is_some_and(|stale| stale.validators().can_validate())
    }

    fn is_about_ours(&self, arrival: &Arrival) -> bool {
        let fields = arrival.response.headers();
        let stale = self.settlement.stale.as_ref();
        stale.is_some_and(|stale| conditional::confirms(&stale.validators(), fields))
    }

    async fn send(&self, server: &mut Option<Arc<str>>) -> Result<Arrival, origin::Error> {
        let requested_at = clock::now();
        let request = self.request.clone().map(Body::full);
        let Answer {
            response,
            server: peer,
        } = self
            .route
            .pool
            .send(request, None, self.interim.as_ref())
            .await?;
        *server = Some(peer);
        Ok(Arrival {
            response,
            requested_at,
            received_at: clock::now(),
        })
    }
}
