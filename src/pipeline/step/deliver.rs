//! The last step but one: a response's head as the client gets to see it.
//!
//! Comes from Lookup on a hit, and from Wait, Fetch and Pass. Goes to Done. It answers the
//! client's conditions from what is stored, and in `partial.rs` its ranges; bodies flow on their
//! own.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{
    AGE, CACHE_CONTROL, CONTENT_LENGTH, DATE, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_UNMODIFIED_SINCE, SET_COOKIE, TRAILER, VIA,
};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body as _;

use crate::body::Body;
use crate::clock;
use crate::pipeline::answer::partial;
use crate::pipeline::exchange::{Exchange, Scheme};
use crate::pipeline::fetch::slices;
use crate::pipeline::flow::Step;
use crate::pipeline::route::{Action, Route};
use crate::semantics::cache_status::{self, CacheStatus, Fwd};
use crate::semantics::conditional::{Precondition, evaluate, not_modified_fields};
use crate::semantics::{headers, trailers};
use crate::store::Object;
use crate::telemetry::Outcome;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// A response to be handed to the client.
pub(in crate::pipeline) struct Deliver {
    exchange: Box<Exchange>,
    route: Arc<Route>,
    what: What,
}

enum What {
    Stored {
        object: Arc<Object>,
        how: How,
    },
    Passed {
        response: Response<Body>,
        status: CacheStatus,
    },
}

/// How the client came to its object.
pub(in crate::pipeline) enum How {
    /// It was there, fresh.
    Hit,
    /// It was there, fresh; but not all slices of it that are wanted were.
    Partial,
    /// Another request is bringing it, or just has; why this one could not be answered at once.
    Collapsed { fwd: Fwd },
    /// It is stale, and served all the same.
    Stale(Excuse),
    /// The origin has confirmed it for this request.
    Revalidated { fwd: Fwd, stored: bool },
    /// This request is bringing it.
    Miss {
        fwd: Fwd,
        /// Reads the object from its first byte.
        body: Body,
        /// Whether it came with an age.
        aged: bool,
    },
}

/// Why a stale response is served.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) enum Excuse {
    /// It is being refreshed (Varnish: grace).
    Grace,
    /// The client has said that it takes such a one.
    Accepted,
    /// Its origin cannot be reached.
    Sick,
    /// Its origin was asked, for the reason `fwd`, and failed, perhaps with this status.
    Failed {
        fwd: Fwd,
        status: Option<StatusCode>,
    },
}

// === impl Deliver ===

impl Deliver {
    pub(in crate::pipeline) fn stored(
        exchange: Box<Exchange>,
        route: Arc<Route>,
        object: Arc<Object>,
        how: How,
    ) -> Self {
        Self {
            exchange,
            route,
            what: What::Stored { object, how },
        }
    }

    pub(in crate::pipeline) fn passed(
        exchange: Box<Exchange>,
        route: Arc<Route>,
        response: Response<Body>,
        status: CacheStatus,
    ) -> Self {
        Self {
            exchange,
            route,
            what: What::Passed { response, status },
        }
    }

    pub(in crate::pipeline) fn run(self) -> Step {
        let Self {
            mut exchange,
            route,
            what,
        } = self;
        let (mut response, outcome) = match what {
            What::Stored { object, how } => {
                exchange.entry.record.detail = how.detail(&object);
                stored(&exchange, &object, how)
            }
            What::Passed { response, status } => {
                let (mut response, outcome) = passed(&mut exchange, response, &status);
                stick(&exchange, &route, response.headers_mut());
                (response, outcome)
            }
        };
        route.response_fields.apply(response.headers_mut());
        Step::Done(exchange.finish(response, outcome))
    }
}

/// A response out of an object: the client's conditions first, then its ranges (RFC 9110 §13.2.2).
fn stored(exchange: &Exchange, object: &Arc<Object>, how: How) -> (Response<Body>, Outcome) {
    let request = &exchange.request;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = object.head().status();
    *response.headers_mut() = object.head().to_fields(3);
    // "A server MUST ignore all received preconditions if its response to the same request
    // without those conditions […] would have been a status code other than a 2xx
    // (Successful) or 412 (Precondition Failed)." (RFC 9110 §13.2.1)
    // Those of a POST were for the origin, which has acted upon it.
    let conditional = request.method != Method::POST
        && object.head().status().is_success()
        && is_conditional(&request.headers);
    let verdict = match conditional {
        true => evaluate(&request.method, &request.headers, &object.validators()),
        false => Precondition::Proceed,
    };
    let how = match (verdict, how) {
        (Precondition::Proceed, How::Hit) if slices::are_missing(request, object) => How::Partial,
        (_, how) => how,
    };
    let outcome = how.outcome();
    if how.is_hit() {
        object.count_hit();
    }
    how.stamp(response.headers_mut(), object, exchange.now);
    match verdict {
        Precondition::NotModified => not_modified(&mut response),
        Precondition::Failed => refused(&mut response, StatusCode::PRECONDITION_FAILED),
        Precondition::Proceed if request.method == Method::HEAD => {
            // RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response
            // with a status code of 1xx (Informational) or 204 (No Content)."
            let has_content = object.head().status() != StatusCode::NO_CONTENT;
            let length = how.into_body(object).size_hint().exact();
            if let Some(length) = length.filter(|_| has_content) {
                response
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
        }
        Precondition::Proceed => {
            let body = how.into_body(object);
            partial::answer(&mut response, request, object, body);
        }
    }
    (response, outcome)
}

fn is_conditional(fields: &HeaderMap) -> bool {
    [
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
    ]
    .iter()
    .any(|name| fields.contains_key(name))
}

/// Makes a 412 or a 416 of it, without the page's own fields: they would let a cache on the way
/// take this for the page.
pub(in crate::pipeline) fn refused(response: &mut Response<Body>, status: StatusCode) {
    *response.status_mut() = status;
    let fields = response.headers_mut();
    let page = std::mem::take(fields);
    for name in [&DATE, &VIA, &CACHE_STATUS] {
        for value in page.get_all(name) {
            fields.append(name, value.clone());
        }
    }
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

fn not_modified(response: &mut Response<Body>) {
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let all = std::mem::take(response.headers_mut());
    let mut name = None;
    for (next, value) in all {
        // A repeated field's name comes with its first line only.
        name = next.or(name);
        if let Some(name) = name.as_ref().filter(|name| not_modified_fields(name)) {
            response.headers_mut().append(name.clone(), value);
        }
    }
}

/// The origin's response, without what was meant for us alone.
fn passed(
    exchange: &mut Exchange,
    mut response: Response<Body>,
    status: &CacheStatus,
) -> (Response<Body>, Outcome) {
    let version = response.version();
    *response.version_mut() = http::Version::default();
    let fields = response.headers_mut();
    let announced = trailers::announced(fields);
    headers::strip_hop_by_hop(fields);
    let request = &exchange.request;
    if trailers::are_taken(request.version, &request.headers) {
        for names in announced {
            fields.append(TRAILER, names);
        }
    }
    headers::append_via(fields, version);
    fields.append(CACHE_STATUS, status.to_value());
    exchange.entry.record.detail = status.detail;
    (response, status.fwd.map_or(Outcome::Pass, outcome_of))
}

/// Has the client come back to the server that answered it. Only here, where nothing is stored: a
/// stored response must not carry one client's cookie. Nor must one that a cache behind us stores.
///
/// RFC 9111 §5.2.2.7: "If a qualified private response directive is present, with an argument that
/// lists one or more field names, then only the listed header fields are limited to a single user".
fn stick(exchange: &Exchange, route: &Route, fields: &mut HeaderMap) {
    let Action::Origin(pool) = &route.action else {
        return;
    };
    let fetched = exchange.entry.record.fetched.as_ref();
    let Some(server) = fetched.and_then(|it| it.server.as_ref()) else {
        return;
    };
    let is_secure = exchange.client.scheme == Scheme::Https;
    let cookie = pool.sticky_cookie(server, exchange.belongs, exchange.now, is_secure);
    if let Some(cookie) = cookie {
        let limited = HeaderValue::from_static("private=\"set-cookie\"");
        fields.append(SET_COOKIE, cookie);
        fields.append(CACHE_CONTROL, limited);
    }
}

/// What was asked past the cache is a pass; what the cache did not have is a miss.
pub(in crate::pipeline) fn outcome_of(fwd: Fwd) -> Outcome {
    match fwd {
        Fwd::Bypass | Fwd::Method | Fwd::Request => Outcome::Pass,
        _ => Outcome::Miss,
    }
}

// === impl How ===

impl How {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Hit => Outcome::Hit,
            Self::Collapsed { .. } => Outcome::Collapsed,
            Self::Stale(_) => Outcome::Stale,
            Self::Revalidated { .. } => Outcome::Revalidated,
            Self::Miss { .. } | Self::Partial => Outcome::Miss,
        }
    }

    /// Whether the object was there and the origin not asked: what RFC 9211 §2.1 calls a hit.
    fn is_hit(&self) -> bool {
        match self {
            Self::Hit => true,
            Self::Stale(excuse) => !matches!(excuse, Excuse::Failed { .. }),
            _ => false,
        }
    }

    /// Says whence the response comes, and how old it is unless it is new.
    fn stamp(&self, fields: &mut HeaderMap, object: &Object, arrived: SystemTime) {
        // A hit is judged by the time it arrived; all else has taken its time.
        let now = match self {
            Self::Partial => arrived,
            _ if self.is_hit() => arrived,
            _ => clock::now(),
        };
        if !matches!(self, Self::Miss { aged: false, .. }) {
            let age = object.term().age(now).secs();
            fields.insert(AGE, HeaderValue::from(age));
        }
        fields.append(CACHE_STATUS, self.cache_status(object, now));
    }

    fn cache_status(&self, object: &Object, now: SystemTime) -> HeaderValue {
        let detail = self.detail(object);
        let status = CacheStatus {
            ttl: Some(object.term().ttl_secs(now)),
            detail,
            ..CacheStatus::default()
        };
        match self {
            Self::Hit if detail.is_none() => return cache_status::hit(),
            Self::Partial => CacheStatus {
                fwd: Some(Fwd::Partial),
                stored: true,
                ..status
            },
            Self::Hit => CacheStatus {
                ttl: None,
                ..status
            },
            Self::Collapsed { fwd } => CacheStatus {
                fwd: Some(*fwd),
                collapsed: true,
                ..status
            },
            Self::Stale(excuse) => excuse.over(status),
            Self::Revalidated { fwd, stored } => CacheStatus {
                fwd: Some(*fwd),
                fwd_status: Some(StatusCode::NOT_MODIFIED),
                stored: *stored,
                ..status
            },
            Self::Miss { fwd, .. } => CacheStatus {
                fwd: Some(*fwd),
                stored: true,
                ..status
            },
        }
        .to_value()
    }

    /// What is worth saying beyond the parameters of RFC 9211.
    fn detail(&self, object: &Object) -> Option<&'static str> {
        match self {
            Self::Stale(excuse) => Some(excuse.detail()),
            _ => object.term().is_overridden().then_some("ttl-by-route"),
        }
    }

    /// A reader from the object's first byte.
    fn into_body(self, object: &Object) -> Body {
        match self {
            Self::Miss { body, .. } => body,
            _ => object.body(),
        }
    }
}

// === impl Excuse ===

impl Excuse {
    pub(in crate::pipeline) fn over(self, status: CacheStatus) -> CacheStatus {
        match self {
            Self::Grace | Self::Accepted | Self::Sick => status,
            Self::Failed {
                fwd,
                status: fwd_status,
            } => CacheStatus {
                fwd: Some(fwd),
                fwd_status,
                ..status
            },
        }
    }

    /// Whether the client is served before its origin is asked.
    pub(in crate::pipeline) fn refreshes(self) -> bool {
        matches!(self, Self::Grace | Self::Sick)
    }

    /// The directive that is acted upon, stated or not.
    pub(in crate::pipeline) fn detail(self) -> &'static str {
        match self {
            Self::Grace => "stale-while-revalidate",
            Self::Accepted => "max-stale",
            Self::Sick | Self::Failed { .. } => "stale-if-error",
        }
    }
}
