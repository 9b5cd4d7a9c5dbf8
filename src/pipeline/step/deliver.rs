//! Step Deliver, the last but one: a response's head as the client gets to see it.
//!
//! Comes from Lookup on a hit, and from Wait, Fetch and Pass. Goes to Done. What is made of a stored
//! object is told in `answer/`; bodies flow on their own.

use std::sync::Arc;

use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, HeaderValue, SET_COOKIE, TRAILER, UPGRADE,
};
use http::{HeaderMap, Method, Response, StatusCode};

use crate::body::Body;
use crate::config::ErrorPages;
use crate::pipeline::answer::{self, CACHE_STATUS, How};
use crate::pipeline::error_page::ErrorPage;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::flow::Step;
use crate::pipeline::reasons::outcome_of;
use crate::pipeline::route::RouteId;
use crate::pipeline::ruled;
use crate::pipeline::values::{Answered, Values};
use crate::pipeline::wanted::Wanted;
use crate::semantics::cache_status::CacheStatus;
use crate::semantics::key::Scheme;
use crate::semantics::{headers, trailers, upgrade};
use crate::store::Object;
use crate::telemetry::Outcome;

/// A response to be handed to the client.
pub(in crate::pipeline) struct Deliver {
    exchange: Box<Exchange>,
    route: RouteId,
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

// === impl Deliver ===

impl Deliver {
    pub(super) fn stored(wanted: Wanted, object: Arc<Object>, how: How) -> Self {
        Self::new(wanted, What::Stored { object, how })
    }

    /// The origin's answer, for this client alone.
    pub(super) fn passed(wanted: Wanted, response: Response<Body>, status: CacheStatus) -> Self {
        Self::new(wanted, What::Passed { response, status })
    }

    fn new(wanted: Wanted, what: What) -> Self {
        let (exchange, route) = wanted.into_parts();
        Self {
            exchange,
            route,
            what,
        }
    }

    pub(in crate::pipeline) fn run(self) -> Step {
        let Self {
            mut exchange,
            route,
            what,
        } = self;
        let (mut response, outcome, hits, told, ttl_secs) = match what {
            What::Stored { object, how } => {
                let detail = how.detail(&object, exchange.decided_by);
                exchange.entry.record.detail = detail;
                let (hop, now) = (&exchange.site().hop, exchange.now);
                let (response, outcome) =
                    answer::respond(&exchange.request, now, (hop, detail), &object, how);
                let ttl_secs = u64::try_from(object.term().ttl_secs(now)).ok();
                let told = object.head().status();
                (response, outcome, object.hits(), told, ttl_secs)
            }
            What::Passed { response, status } => {
                let (mut response, outcome) = passed(&mut exchange, response, &status);
                let tags = &exchange.site().routes[route].caching.tags;
                tags.hide(response.headers_mut());
                stick(&exchange, route, response.headers_mut());
                let told = response.status();
                (response, outcome, 0, told, None)
            }
        };
        let scope = &exchange.site().routes[route].scope;
        let answered = Answered {
            outcome,
            status: response.status(),
            hits,
            ttl_secs,
        };
        // What is made of a stored page for one client, as a 416, is no error of the origin's.
        if let Some(pages) = scope.gate.as_ref().and_then(|it| it.errors.as_deref())
            && told == answered.status
        {
            response = intercepted(&exchange, pages, answered, response);
        }
        // Filled in here and never stored: a hit says that it is one.
        let edits = &exchange.site().routes[route].scope.response_fields;
        edits.apply(response.headers_mut(), |template, fields| {
            let values = Values::of(&exchange).answered(answered);
            values.field(template, fields)
        });
        edits.declare(response.headers_mut());
        deliver_by_rules(&mut exchange, route, answered, response.headers_mut());
        Step::Done(exchange.finish(response, outcome))
    }
}

fn deliver_by_rules(
    exchange: &mut Exchange,
    route: RouteId,
    answered: Answered,
    fields: &mut HeaderMap,
) {
    if !exchange.site().routes[route].scope.delivers() {
        return;
    }
    let site = exchange.entry.site.clone();
    if let Some(chain) = &site.routes[route].scope.rules {
        ruled::deliver(exchange, chain, answered, fields);
    }
}

/// The same response; or a page of the operator's in its place, where that is wanted of its status.
fn intercepted(
    exchange: &Exchange,
    pages: &ErrorPages,
    answered: Answered,
    mut response: Response<Body>,
) -> Response<Body> {
    if !pages.intercepts(answered.status) {
        return response;
    }
    let Some(page) = ErrorPage::of(exchange, pages, answered, None) else {
        return response;
    };
    exchange.site().gatekeeper.intercepted();
    let fields = response.headers_mut();
    ErrorPage::strip(fields);
    page.stamp(fields);
    let body = match exchange.request.method == Method::HEAD {
        true => {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(page.body.len()));
            Body::empty()
        }
        false => Body::full(page.body),
    };
    std::mem::replace(response.body_mut(), body).discard();
    response
}

/// The origin's response, without what was meant for us alone.
fn passed(
    exchange: &mut Exchange,
    mut response: Response<Body>,
    status: &CacheStatus,
) -> (Response<Body>, Outcome) {
    let version = response.version();
    *response.version_mut() = http::Version::default();
    let has_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let fields = response.headers_mut();
    let announced = trailers::announced(fields);
    let protocols = fields.get(UPGRADE).cloned();
    headers::strip_hop_by_hop(fields);
    if exchange.wish.is_some() {
        go_on(has_switched, protocols, fields);
    }
    let request = &exchange.request;
    if trailers::are_taken(request.version, &request.headers) {
        for names in announced {
            fields.append(TRAILER, names);
        }
    }
    let hop = &exchange.site().hop;
    hop.append_via(fields, version);
    fields.append(CACHE_STATUS, status.to_value(hop));
    exchange.entry.record.detail = status.detail;
    (response, status.fwd.map_or(Outcome::Pass, outcome_of))
}

/// What the client is told of its wish to go on with another protocol. If that was in vain its
/// connection ends: whatever it sent too early must not be taken for a request.
fn go_on(has_switched: bool, protocols: Option<HeaderValue>, fields: &mut HeaderMap) {
    match protocols.filter(|_| has_switched) {
        Some(protocols) => upgrade::write(fields, protocols),
        None => drop(fields.insert(CONNECTION, HeaderValue::from_static("close"))),
    }
}

/// Has the client come back to the server that answered it. Only here, where nothing is stored: a
/// stored response must not carry one client's cookie. Nor must one that a cache behind us stores.
///
/// RFC 9111 §5.2.2.7: "If a qualified private response directive is present, with an argument that
/// lists one or more field names, then only the listed header fields are limited to a single user".
fn stick(exchange: &Exchange, route: RouteId, fields: &mut HeaderMap) {
    let pool = &exchange.site().routes[route].pool;
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
