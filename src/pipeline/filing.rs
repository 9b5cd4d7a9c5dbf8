//! What becomes of the origin's answer: judged, and then stored, taken as a confirmation of what is
//! stored, or given away.
//!
//! A filing holds all that the verdict is about but the answer itself; how that was asked for is in
//! `errand.rs`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{AGE, CONTENT_LENGTH, DATE, VIA};
use http::{HeaderMap, Method, Response, StatusCode, Version};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use tracing::debug;

use super::lookup::Lookup;
use super::outbound;
use super::page::RuledKey;
use crate::body::Body;
use crate::clock;
use crate::origin::{self, Phase};
use crate::semantics::facet::Facet;
use crate::semantics::freshness::{Freshness, Term};
use crate::semantics::policy::{Answered, Asked, Rules, judge};
use crate::semantics::stale::Stale;
use crate::semantics::storable::{Storable, WhyNot};
use crate::semantics::vary::{Selecting, Variant, Vary};
use crate::semantics::{conditional, date, headers};
use crate::store::{Admission, Failure, Filler, Head, Leader, Object, TooLong};

/// Rather than read a longer body to no end, its connection is given up.
const DISCARD_BYTES_MAX: usize = 64 * 1024;

/// The permit to file an answer, and what it is judged by.
pub(super) struct Filing {
    leader: Leader,
    /// The client's own fields, which `Vary` and storability are about.
    asked: HeaderMap,
    facet: Facet,
    rules: Arc<Rules>,
    /// Where its path may say which queries are one.
    ruled: RuledKey,
    pub(super) stale: Option<Arc<Object>>,
    /// The client has asked that nothing of this be stored, and is obeyed.
    refused: bool,
}

/// A response with the times that its age hangs on.
pub(super) struct Arrival {
    pub(super) response: Response<Body>,
    pub(super) requested_at: SystemTime,
    pub(super) received_at: SystemTime,
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

// === impl Filing ===

impl Filing {
    pub(super) fn new(lookup: &Lookup, leader: Leader, stale: Option<Arc<Object>>) -> Self {
        let (exchange, caching) = (&lookup.exchange, lookup.caching());
        Self {
            leader,
            asked: exchange.request.headers.clone(),
            facet: lookup.facet.clone(),
            rules: Arc::clone(&caching.rules),
            ruled: RuledKey::of(exchange, &lookup.key, caching),
            stale,
            refused: lookup.asker().forbids_storing(),
        }
    }

    /// For the answer to a POST, to which nothing but its own word gives a lifetime.
    pub(super) fn of_post(lookup: &Lookup, leader: Leader) -> Self {
        let targets = lookup.caching().rules.targets.clone();
        let rules = Rules {
            targets,
            keep: Duration::ZERO,
            ..Rules::default()
        };
        Self {
            rules: Arc::new(rules),
            ..Self::new(lookup, leader, None)
        }
    }

    /// Judges the answer and acts on the verdict. A 304 has only come this far if it is about the
    /// stale object.
    pub(super) fn settle(self, arrival: Arrival) -> Arrived {
        let (status, now) = (arrival.response.status(), arrival.received_at);
        if let (StatusCode::NOT_MODIFIED, Some(stale)) = (status, self.stale.clone()) {
            return self.confirm(&stale, &arrival);
        }
        if is_outage(status) && self.can_stand_in(now) {
            return self.stand_in(arrival.response);
        }
        let verdict = self.judge(status, arrival.response.headers(), &arrival);
        let admitted = match verdict {
            _ if self.refused => Err(WhyNot::RequestNoStore),
            Storable::Yes(term) => self.admit(&arrival.response, now).map(|kept| (term, kept)),
            Storable::No(why) => Err(why),
        };
        match admitted {
            Ok((term, kept)) => self.keep(term, kept, arrival.response, now),
            Err(why) => self.give_away(arrival.response, why, now),
        }
    }

    fn judge(&self, status: StatusCode, fields: &HeaderMap, arrival: &Arrival) -> Storable {
        let asked = Asked {
            method: &Method::GET,
            headers: &self.asked,
        };
        let answered = Answered {
            status,
            headers: fields,
            requested_at: arrival.requested_at,
            received_at: arrival.received_at,
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
        let leader = self.ruled.file_under_its_word(self.leader, &response);
        let (filler, object, body) = leader.begin(admission, head, term, variant, shared);
        tokio::spawn(fill(filler, response.into_body()));
        Arrived::Stored { object, body, aged }
    }

    /// A 304: the stored response lives on under the fields it brought (RFC 9111 §4.3.4).
    fn confirm(self, stale: &Arc<Object>, arrival: &Arrival) -> Arrived {
        let (answer, now) = (arrival.response.headers(), arrival.received_at);
        let merged = conditional::merge(stale.head().to_fields(answer.len()), answer);
        let verdict = self.judge(stale.head().status(), &merged, arrival);
        let term = match &verdict {
            Storable::Yes(term) => *term,
            Storable::No(_) => *stale.term(),
        };
        let mut fields = to_store(merged, now);
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
            self.leader.decline(true, Some(stale), now);
            return Arrived::Confirmed {
                object: Arc::clone(stale),
                stored: false,
            };
        };
        match verdict {
            Storable::Yes(_) => Arrived::Confirmed {
                object: self.leader.land(object, stale, is_shareable(&term, now)),
                stored: true,
            },
            Storable::No(why) => {
                self.leader.decline(why.lasts(), Some(stale), now);
                Arrived::Confirmed {
                    object: Arc::new(object),
                    stored: false,
                }
            }
        }
    }

    /// Not to be stored: the followers go their own ways. An error of the origin's is no reason
    /// to forget what it said before.
    fn give_away(self, response: Response<Body>, why: WhyNot, now: SystemTime) -> Arrived {
        let speaks = speaks_of_resource(response.status());
        let replaced = self.stale.as_ref().filter(|_| speaks && !self.refused);
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

    /// No answer came.
    pub(super) fn fail(self, error: &origin::Error) -> Arrived {
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
    pub(super) fn is_not_modified(&self) -> bool {
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
pub(super) fn is_outage(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502..=504)
}

/// Whether those who waited may have this answer too: what must be confirmed for every request
/// is nobody else's (RFC 9111 §5.2.2.4).
fn is_shareable(term: &Term, now: SystemTime) -> bool {
    !term.always_validate() && is_servable(term, now)
}

/// Whether an object that has just come may be served without another look at its origin.
pub(super) fn is_servable(term: &Term, now: SystemTime) -> bool {
    matches!(term.freshness(now), Freshness::Fresh { .. })
        || term.stale(now) == Stale::WhileRevalidate
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
