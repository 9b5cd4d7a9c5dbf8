//! One errand to the origin: prepare, send, judge, fill. A straight line.
//!
//! It needs nothing of the client but a copy of what it asked, so it can outlive it. Retries are
//! in [`Pool::send`]; what the client gets to see is made in `deliver.rs`.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{AGE, CONTENT_LENGTH, DATE, VIA};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use tracing::debug;

use super::lookup::Lookup;
use super::outbound;
use super::synth;
use crate::body::Body;
use crate::clock;
use crate::origin::{self, Answer, Interim, Phase, Pool};
use crate::semantics::facet::Facet;
use crate::semantics::freshness::{Freshness, Term};
use crate::semantics::policy::{Answered, Asked, Rules, judge};
use crate::semantics::storable::{Storable, WhyNot};
use crate::semantics::vary::{Selecting, Variant, Vary};
use crate::semantics::{conditional, date, headers};
use crate::store::{Admission, Failure, Filler, Head, Leader, Object, TooLong};
use crate::telemetry::Fetched;

/// Rather than read a longer body to no end, its connection is given up.
const DISCARD_BYTES_MAX: usize = 64 * 1024;

/// A request to be made, and what is needed to judge its answer.
pub(super) struct Errand {
    pool: Arc<Pool>,
    request: Request<()>,
    /// The client's own fields, which `Vary` and storability are about.
    asked: HeaderMap,
    facet: Facet,
    rules: Arc<Rules>,
    leader: Leader,
    stale: Option<Arc<Object>>,
    /// To the client that leads. Those who follow, and later hits, get no interim responses.
    interim: Option<Interim>,
}

/// What an errand brought home.
pub(super) struct Brought {
    pub(super) arrived: Arrived,
    pub(super) fetched: Fetched,
}

/// The answer, as far as the store is concerned.
pub(super) enum Arrived {
    /// An object whose body is arriving; `body` reads it from the first byte.
    /// `aged`: it came with an `Age`, so it was in a cache before.
    Stored {
        object: Arc<Object>,
        body: Body,
        aged: bool,
    },
    /// The stale object, which a 304 has made fresh.
    Confirmed { object: Arc<Object>, stored: bool },
    /// This client's alone.
    Private {
        response: Response<Body>,
        why: WhyNot,
    },
    /// None came.
    Failed(Failure),
}

/// What an object is made of, once there is room for it.
struct Kept {
    head: Head,
    variant: Variant,
    admission: Admission,
}

/// A response with the times that its age hangs on.
struct Arrival {
    response: Response<Body>,
    requested_at: SystemTime,
    received_at: SystemTime,
}

// === impl Errand ===

impl Errand {
    /// The client's request as a miss: without its conditions and ranges, so that the answer is
    /// whole; for a stale object with that object's validators instead.
    pub(super) fn new(lookup: &Lookup, leader: Leader, stale: Option<Arc<Object>>) -> Self {
        let Lookup {
            exchange,
            key,
            route,
            pool,
            ..
        } = lookup;
        let mut request = outbound::request(exchange, key.authority(), route, pool).map(|_| ());
        // A HEAD may be what found the object stale; what is stored is the answer to a GET.
        *request.method_mut() = Method::GET;
        outbound::for_storing(request.headers_mut());
        if let Some(stale) = &stale {
            conditional::ask(request.headers_mut(), &stale.validators());
        }
        route.request_fields.apply(request.headers_mut());
        // Only a route with caching leads here.
        let rules = match &route.caching {
            Some(caching) => Arc::clone(&caching.rules),
            None => Arc::default(),
        };
        let asked = exchange.request.headers.clone();
        Self {
            pool: Arc::clone(pool),
            request,
            asked,
            facet: lookup.facet.clone(),
            rules,
            leader,
            stale,
            interim: exchange.interim.clone(),
        }
    }

    pub(super) async fn run(mut self) -> Brought {
        let began = clock::instant();
        let origin = Arc::clone(self.pool.name());
        let mut server = None;
        let answer = self.ask(&mut server).await;
        let fetched = Fetched {
            origin,
            server,
            duration: began.elapsed(),
        };
        let arrived = match answer {
            Ok(arrival) => self.settle(arrival),
            Err(error) => self.fail(&error),
        };
        Brought { arrived, fetched }
    }

    /// Sends the request. A 304 about some other response than ours is no answer: then asks
    /// again, without conditions.
    async fn ask(&mut self, server: &mut Option<Arc<str>>) -> Result<Arrival, origin::Error> {
        let mut arrival = self.send(server).await?;
        if arrival.is_not_modified() && self.has_asked() && !self.is_about_ours(&arrival) {
            self.stale = None;
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
        self.stale
            .as_ref()
            .is_some_and(|stale| stale.validators().can_validate())
    }

    fn is_about_ours(&self, arrival: &Arrival) -> bool {
        let fields = arrival.response.headers();
        self.stale
            .as_ref()
            .is_some_and(|stale| conditional::confirms(&stale.validators(), fields))
    }

    async fn send(&self, server: &mut Option<Arc<str>>) -> Result<Arrival, origin::Error> {
        let requested_at = clock::now();
        let request = self.request.clone().map(|()| Body::empty());
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

    /// Judges the answer and acts on the verdict.
    fn settle(self, arrival: Arrival) -> Arrived {
        let Arrival {
            response,
            requested_at,
            received_at,
        } = arrival;
        // A 304 has only come this far if it is about the stale object.
        if let (StatusCode::NOT_MODIFIED, Some(stale)) = (response.status(), self.stale.clone()) {
            let answer = response.headers();
            return self.confirm(&stale, answer, requested_at, received_at);
        }
        if is_outage(response.status()) && self.can_stand_in(received_at) {
            return self.stand_in(response);
        }
        let verdict = self.judge(
            response.status(),
            response.headers(),
            requested_at,
            received_at,
        );
        let admitted = match verdict {
            Storable::Yes(term) => self.admit(&response, received_at).map(|kept| (term, kept)),
            Storable::No(why) => Err(why),
        };
        match admitted {
            Ok((term, kept)) => self.keep(term, kept, response, received_at),
            Err(why) => self.give_away(response, why, received_at),
        }
    }

    fn judge(
        &self,
        status: StatusCode,
        fields: &HeaderMap,
        requested_at: SystemTime,
        received_at: SystemTime,
    ) -> Storable {
        let asked = Asked {
            method: &Method::GET,
            headers: &self.asked,
        };
        let answered = Answered {
            status,
            headers: fields,
            requested_at,
            received_at,
        };
        judge(&asked, &answered, &self.rules)
    }

    fn selecting(&self) -> Selecting<'_> {
        Selecting {
            headers: &self.asked,
            facet: &self.facet,
        }
    }

    /// Whether there is room, and the parts of the object to be.
    fn admit(&self, response: &Response<Body>, now: SystemTime) -> Result<Kept, WhyNot> {
        let Vary::Fields(names) = Vary::of(response.headers()) else {
            return Err(WhyNot::VaryStar);
        };
        if names.iter().any(outbound::is_written_by_us) {
            return Err(WhyNot::VaryStar);
        }
        let admission = self.leader.admit(response.body().size_hint().exact())?;
        let mut fields = to_store(response.headers().clone(), now);
        headers::append_via(&mut fields, response.version());
        let head =
            Head::pack(response.status(), &fields).map_err(|TooLong| WhyNot::HeadTooLarge)?;
        let variant = Variant::new(&names, &self.selecting());
        Ok(Kept {
            head,
            variant,
            admission,
        })
    }

    /// Readers and store get the body as it arrives, from a task of its own.
    fn keep(self, term: Term, kept: Kept, response: Response<Body>, now: SystemTime) -> Arrived {
        let Kept {
            head,
            variant,
            admission,
        } = kept;
        let aged = response.headers().contains_key(AGE);
        let shared = is_shareable(&term, now);
        let (filler, object, body) = self.leader.begin(admission, head, term, variant, shared);
        tokio::spawn(fill(filler, response.into_body()));
        Arrived::Stored { object, body, aged }
    }

    /// A 304: the stored response lives on under the fields it brought (RFC 9111 §4.3.4).
    fn confirm(
        self,
        stale: &Arc<Object>,
        answer: &HeaderMap,
        requested_at: SystemTime,
        received_at: SystemTime,
    ) -> Arrived {
        let status = stale.head().status();
        let merged = conditional::merge(stale.head().to_fields(answer.len()), answer);
        let verdict = self.judge(status, &merged, requested_at, received_at);
        let term = match &verdict {
            Storable::Yes(term) => *term,
            Storable::No(_) => *stale.term(),
        };
        let mut fields = to_store(merged, received_at);
        // The stored fields name us already, unless the 304 came with a Via instead of theirs.
        if answer.contains_key(VIA) {
            headers::append_via(&mut fields, Version::HTTP_11);
        }
        // The origin has just confirmed it for this request, whatever it varies by from now on.
        let variant = match Vary::of(&fields) {
            Vary::Fields(names) => Variant::new(&names, &self.selecting()),
            Vary::Star => stale.variant().clone(),
        };
        let Some(object) = stale.refreshed(&fields, term, variant) else {
            self.leader.decline(true, Some(stale), received_at);
            return Arrived::Confirmed {
                object: Arc::clone(stale),
                stored: false,
            };
        };
        match verdict {
            Storable::Yes(_) => {
                let shared = is_shareable(&term, received_at);
                let object = self.leader.land(object, stale, shared);
                Arrived::Confirmed {
                    object,
                    stored: true,
                }
            }
            Storable::No(why) => {
                self.leader.decline(why.lasts(), Some(stale), received_at);
                let object = Arc::new(object);
                Arrived::Confirmed {
                    object,
                    stored: false,
                }
            }
        }
    }

    /// Not to be stored: the followers go their own ways. An error of the origin's is no reason
    /// to forget what it said before.
    fn give_away(self, response: Response<Body>, why: WhyNot, now: SystemTime) -> Arrived {
        let speaks = speaks_of_resource(response.status());
        let replaced = self.stale.as_ref().filter(|_| speaks);
        let lasts = why.lasts() && speaks;
        self.leader.decline(lasts, replaced, now);
        Arrived::Private { response, why }
    }

    /// Whether the stale object is a better answer than an error.
    fn can_stand_in(&self, now: SystemTime) -> bool {
        self.stale
            .as_ref()
            .is_some_and(|stale| stale.term().stands_in(now))
    }

    /// The origin answered with an error, and nobody needs to see it: the stale object stays where
    /// it is, for this client and for all who wait.
    fn stand_in(self, response: Response<Body>) -> Arrived {
        let failure = Failure {
            status: response.status(),
            detail: "origin-error",
            origin_status: Some(response.status()),
        };
        tokio::spawn(discard(response.into_body()));
        self.leader.fail(failure, true);
        Arrived::Failed(failure)
    }

    fn fail(self, error: &origin::Error) -> Arrived {
        debug!(origin = &**self.pool.name(), error = %synth::causes(error), "no answer");
        // RFC 9111 §5.2.2.2: "if a cache that has been disconnected from the origin server […] is
        // to generate an error response […], it SHOULD be a 504 (Gateway Timeout)".
        let must_revalidate = self
            .stale
            .as_ref()
            .is_some_and(|it| it.term().must_revalidate());
        let failure = Failure {
            status: match error.status() {
                status if must_revalidate && status.is_server_error() => {
                    StatusCode::GATEWAY_TIMEOUT
                }
                status => status,
            },
            detail: error.kind.as_str(),
            origin_status: None,
        };
        // What happened to this request after it was sent may be its own fault; but who can be
        // served without another try is.
        let share = error.phase == Phase::Connecting || self.can_stand_in(clock::now());
        self.leader.fail(failure, share);
        Arrived::Failed(failure)
    }
}

// === impl Arrival ===

impl Arrival {
    fn is_not_modified(&self) -> bool {
        self.response.status() == StatusCode::NOT_MODIFIED
    }
}

/// Whether an answer says something of the resource, and not of one request or of the origin's
/// state: only then may it change what is known of the resource.
fn speaks_of_resource(status: StatusCode) -> bool {
    let blames_request = matches!(
        status.as_u16(),
        400 | 405 | 406 | 408 | 411..=417 | 421 | 425 | 428 | 429 | 431
    );
    !status.is_server_error() && !blames_request
}

/// The errors that a stale response may stand in for.
///
/// RFC 5861 §4: "an error is any situation that would result in a 500, 502, 503, or 504 HTTP
/// response status code being returned."
fn is_outage(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502..=504)
}

/// Whether those who waited may have this answer too: what must be confirmed for every request
/// is nobody else's (RFC 9111 §5.2.2.4).
fn is_shareable(term: &Term, now: SystemTime) -> bool {
    !term.always_validate() && matches!(term.freshness(now), Freshness::Fresh { .. })
}

/// The fields as they are stored: without what belongs to one connection or one moment. The body
/// knows its length, and the age is computed on each hit.
fn to_store(mut fields: HeaderMap, now: SystemTime) -> HeaderMap {
    headers::strip_hop_by_hop(&mut fields);
    fields.remove(CONTENT_LENGTH);
    fields.remove(AGE);
    // "A recipient with a clock that receives a response message without a Date header field MUST
    // record the time it was received and append a corresponding Date header field to the
    // message's header section if it is cached or forwarded downstream." (RFC 9110 §6.6.1)
    fields.entry(DATE).or_insert_with(|| date::format(now));
    fields
}

/// Reads an error's body that nobody wants, so that its connection can be used again; not if it is
/// a long one.
async fn discard(mut body: Body) {
    let mut left_bytes = DISCARD_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, |data| data.len());
        match left_bytes.checked_sub(bytes) {
            Some(left) => left_bytes = left,
            None => return,
        }
    }
}

/// Writes the object until the origin's body ends. Dropping the filler on the way fails it.
async fn fill(mut filler: Filler, mut body: Body) {
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = filler.unwanted() => return,
        };
        let Some(frame) = frame else { break };
        match frame.map(Frame::into_data) {
            Ok(Ok(piece)) => {
                if filler.push(&piece).await.is_err() {
                    return;
                }
            }
            // Trailers never get here; they are no part of the content.
            Ok(Err(_)) => {}
            Err(error) => {
                debug!(%error, "a fill broke off");
                return;
            }
        }
    }
    filler.complete();
}
