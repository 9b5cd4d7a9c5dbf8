//! Step Synth, an answer of our own: redirects, fixed answers, refusals, failures, results of a purge.
//!
//! Comes from any step. Goes to Done. The one place where an error becomes a status. Bodies are
//! one short line of text that a person can read and a search engine will not mistake for a page.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
    RETRY_AFTER, VIA, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Response, StatusCode};

use super::refusal::Refusal;
use crate::body::{self, Body};
use crate::config;
use crate::origin::Kind;
use crate::pipeline::error_page::ErrorPage;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::flow::Step;
use crate::pipeline::gate::{Denial, TurnedAway};
use crate::pipeline::route::limit::Limited;
use crate::pipeline::route::rules::RuledEnd;
use crate::pipeline::route::{self, Destination, Edits, OwnAnswer, OwnRoute, Scope};
use crate::pipeline::ruled::{self, Ruled};
use crate::pipeline::site::SiteHandle;
use crate::pipeline::values::{Answered, Values};
use crate::semantics::cache_status::{self, CacheStatus, Fwd};
use crate::store::{Failure, Invalidation};
use crate::telemetry::Outcome;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// An answer of our own, ready to go.
pub(in crate::pipeline) struct Synth {
    exchange: Box<Exchange>,
    answer: Answer,
    outcome: Outcome,
    detail: &'static str,
    /// Why the origin was asked, when it gave no answer.
    fwd: Option<Fwd>,
}

struct Answer {
    status: StatusCode,
    fields: HeaderMap,
    body: Bytes,
    /// What the body says, where that is a line of ours.
    told: Option<&'static str>,
}

// === impl Synth ===

impl Synth {
    /// The redirect or the fixed answer of a route.
    pub(in crate::pipeline) fn of_route(mut exchange: Box<Exchange>, route: &OwnRoute) -> Self {
        let (mut answer, edits) = match &route.answer {
            OwnAnswer::Redirect(redirect) => (redirected(&exchange, redirect), None),
            OwnAnswer::Fixed(config, edits) => (Answer::fixed(config), Some(edits)),
        };
        answer.edit(&mut exchange, edits, Some(&route.scope));
        Self::own(exchange, answer, Outcome::Synth, "synth")
    }

    /// What the rule says that has ended the way of a request to this destination.
    pub(in crate::pipeline) fn of_rule(
        mut exchange: Box<Exchange>,
        destination: Option<&Destination>,
    ) -> Self {
        let routes = SiteHandle::clone(&exchange.entry.site);
        let chain = routes.routes.rules(destination);
        let numbers = exchange.matched.clone();
        let ruled = Ruled::new(chain.map(|it| &**it), &numbers);
        let Some((rule, end)) = ruled.end() else {
            // Whoever calls this has seen that there is one.
            return Self::internal(exchange, Fwd::Bypass);
        };
        let (mut answer, edits) = match end {
            RuledEnd::Redirect(redirect) => (redirected(&exchange, redirect), None),
            RuledEnd::Answer(config, edits) => (Answer::fixed(config), Some(edits)),
            RuledEnd::Deny(status) => (Answer::text(*status, "a rule refuses this request"), None),
        };
        let scope = destination.map(|it| routes.routes.scope(it));
        answer.edit(&mut exchange, edits, scope);
        Self::own(exchange, answer, Outcome::Synth, rule.tally.detail())
    }

    /// What was asked for has moved, by a map.
    pub(in crate::pipeline) fn moved(
        exchange: Box<Exchange>,
        status: StatusCode,
        to: String,
    ) -> Self {
        let mut answer = Answer::text(status, "moved");
        answer.fields.remove(CACHE_CONTROL);
        // The configuration's check has made sure that it is a URL.
        if let Ok(to) = HeaderValue::try_from(to) {
            answer.fields.insert(LOCATION, to);
        }
        Self::own(exchange, answer, Outcome::Synth, "moved")
    }

    /// It was turned away at the gate.
    pub(in crate::pipeline) fn turned_away(exchange: Box<Exchange>, denial: Denial) -> Self {
        exchange.site().gatekeeper.turned_away(denial.why);
        let (status, text) = match denial.why {
            TurnedAway::Address => (StatusCode::FORBIDDEN, "this is not for you"),
            TurnedAway::Maintenance => (
                StatusCode::SERVICE_UNAVAILABLE,
                "closed for maintenance, come again later",
            ),
            TurnedAway::NoCredentials => (StatusCode::UNAUTHORIZED, "a login is needed"),
            TurnedAway::WrongCredentials => (
                StatusCode::UNAUTHORIZED,
                "the name or the password is wrong",
            ),
            TurnedAway::TooManyFailures => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many logins failed, come again later",
            ),
            TurnedAway::LoginsBusy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many logins, come again in a moment",
            ),
        };
        let mut answer = Answer::text(status, text);
        if let Some(challenge) = denial.challenge {
            answer.fields.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = denial.retry_after {
            answer.fields.insert(RETRY_AFTER, in_seconds(wait));
        }
        Self::own(exchange, answer, Outcome::Synth, denial.why.as_str())
    }

    /// It came by http, where only https will do. A client that was to send something sends it again
    /// (RFC 9110 §15.4.9).
    pub(in crate::pipeline) fn to_https(exchange: Box<Exchange>, location: String) -> Self {
        let mut answer = Answer::text(StatusCode::PERMANENT_REDIRECT, "this is served by https");
        answer.fields.remove(CACHE_CONTROL);
        // A host and a target that were parsed are valid in a field.
        if let Ok(location) = HeaderValue::try_from(location) {
            answer.fields.insert(LOCATION, location);
        }
        Self::own(exchange, answer, Outcome::Synth, "https-only")
    }

    /// No site or route is for this request.
    pub(in crate::pipeline) fn no_route(exchange: Box<Exchange>) -> Self {
        let answer = Answer::text(
            StatusCode::NOT_FOUND,
            "no site here is for this host and path",
        );
        Self::own(exchange, answer, Outcome::Synth, "no-route")
    }

    /// How many objects were purged, where it is known.
    pub(in crate::pipeline) fn purged(
        exchange: Box<Exchange>,
        wanted: &Invalidation,
        count: Option<u64>,
    ) -> Self {
        let by = exchange.client.address.ip();
        tracing::info!(%by, count, "{wanted}");
        let mut answer = Answer::text(StatusCode::OK, "");
        let count = count.map_or_else(|| "null".to_owned(), |count| count.to_string());
        answer.body = Bytes::from(format!("{{\"purged\":{count}}}\n"));
        answer
            .fields
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self::own(exchange, answer, Outcome::Synth, "purge")
    }

    /// Nothing was purged, and why.
    pub(in crate::pipeline) fn not_purged(
        exchange: Box<Exchange>,
        status: StatusCode,
        why: &str,
    ) -> Self {
        let mut answer = Answer::text(status, "this purge is not understood");
        answer.body = Bytes::from(format!("{status}: {why}\n"));
        // Whoever sends it is a program, which an error page tells nothing.
        answer.told = None;
        Self::own(exchange, answer, Outcome::Synth, "purge-unknown")
    }

    /// A request that we do not act upon.
    pub(in crate::pipeline) fn refusal(exchange: Box<Exchange>, refusal: Refusal) -> Self {
        let mut answer = Answer::text(refusal.status(), refusal.text());
        let is_purge = refusal == Refusal::PurgeForbidden;
        let is_sound = matches!(
            refusal,
            Refusal::Method
                | Refusal::Expectation
                | Refusal::WebSocket
                | Refusal::TunnelsFull
                | Refusal::Misdirected
        );
        if !is_sound && !is_purge {
            exchange.site().telemetry.metrics.bad_request();
        }
        // What was refused is not read to its end, so where the next request begins is not known.
        if !is_purge {
            answer
                .fields
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if refusal == Refusal::Method {
            let allow = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS");
            answer.fields.insert(http::header::ALLOW, allow);
        }
        Self::own(exchange, answer, Outcome::Synth, refusal.detail())
    }

    /// Its client has asked too often. RFC 6585 §4: "Responses with the 429 status code MUST NOT be
    /// stored by a cache."
    pub(in crate::pipeline) fn limited(exchange: Box<Exchange>, limited: &Limited) -> Self {
        let mut answer = Answer::text(limited.status(), "too many requests, come again later");
        limited.stamp(&mut answer.fields);
        Self::own(exchange, answer, Outcome::Synth, "rate-limited")
    }

    /// The origin gave no answer.
    pub(in crate::pipeline) fn failure(
        exchange: Box<Exchange>,
        failure: Failure,
        fwd: Fwd,
    ) -> Self {
        let text = match failure.status {
            StatusCode::GATEWAY_TIMEOUT => "the origin did not answer in time",
            _ if failure.detail == Kind::Resolve.as_str() => "the origin's name has no address",
            _ if failure.detail == Kind::NoServer.as_str() => {
                "no server of the origin may be asked at the moment"
            }
            StatusCode::SERVICE_UNAVAILABLE => "the origin takes no more requests at the moment",
            StatusCode::BAD_REQUEST => "the request's body broke off",
            StatusCode::REQUEST_TIMEOUT => "the request's body did not come in time",
            StatusCode::PAYLOAD_TOO_LARGE => "the request's body is too long",
            _ => "the origin gave no valid answer",
        };
        let mut answer = Answer::text(failure.status, text);
        // By it those who are asked why find the request in the logs.
        if let Some(name) = exchange.site().request_ids.field() {
            let id = exchange.request_id().clone();
            answer.fields.insert(name.clone(), id);
        }
        if failure.status.is_client_error() {
            answer
                .fields
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // Who asks again in a moment may find that a place has become free.
        if failure.status == StatusCode::SERVICE_UNAVAILABLE {
            let wait = in_seconds(failure.retry_after);
            answer.fields.insert(RETRY_AFTER, wait);
        }
        let (outcome, detail) = (Outcome::Error, failure.detail);
        Self {
            exchange,
            answer,
            outcome,
            detail,
            fwd: Some(fwd),
        }
    }

    /// The client wants nothing that is not stored, and nothing is (RFC 9111 §5.2.1.7).
    pub(in crate::pipeline) fn only_if_cached(exchange: Box<Exchange>) -> Self {
        let answer = Answer::text(StatusCode::GATEWAY_TIMEOUT, "nothing usable is stored");
        Self::own(exchange, answer, Outcome::Synth, "only-if-cached")
    }

    /// An OPTIONS that may go no further than here (RFC 9110 §7.6.2).
    pub(in crate::pipeline) fn final_recipient(exchange: Box<Exchange>) -> Self {
        let answer = Answer {
            status: StatusCode::NO_CONTENT,
            fields: HeaderMap::new(),
            body: Bytes::new(),
            told: None,
        };
        Self::own(exchange, answer, Outcome::Synth, "max-forwards")
    }

    /// The content that was needed to look for an answer did not come whole.
    pub(in crate::pipeline) fn upload_failed(exchange: Box<Exchange>, error: &body::Error) -> Self {
        let (status, detail) = match error {
            body::Error::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "upload-too-large"),
            body::Error::Stalled | body::Error::TooSlow => {
                (StatusCode::REQUEST_TIMEOUT, "upload-stalled")
            }
            _ => (StatusCode::BAD_REQUEST, "upload-broken"),
        };
        Self::failure(exchange, Failure::new(status, detail), Fwd::UriMiss)
    }

    /// Something of ours broke; it is logged where it happened.
    pub(in crate::pipeline) fn internal(exchange: Box<Exchange>, fwd: Fwd) -> Self {
        let failure = Failure::new(StatusCode::BAD_GATEWAY, "internal");
        Self::failure(exchange, failure, fwd)
    }

    fn own(
        exchange: Box<Exchange>,
        answer: Answer,
        outcome: Outcome,
        detail: &'static str,
    ) -> Self {
        Self {
            exchange,
            answer,
            outcome,
            detail,
            fwd: None,
        }
    }

    pub(in crate::pipeline) fn run(self) -> Step {
        Step::Done(self.response())
    }

    fn response(self) -> Response<Body> {
        let Self {
            mut exchange,
            mut answer,
            outcome,
            detail,
            fwd,
        } = self;
        answer.dress(&exchange, outcome);
        // RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a
        // status code of 1xx (Informational) or 204 (No Content)." That of a 304 would be the length
        // of a 200, which nobody knows here.
        let has_content =
            ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&answer.status);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.fields;
        match has_content {
            true if exchange.request.method == Method::HEAD => {
                let length = HeaderValue::from(answer.body.len());
                response.headers_mut().insert(CONTENT_LENGTH, length);
            }
            true => *response.body_mut() = Body::full(answer.body),
            false => {}
        }
        let hop = &exchange.site().hop;
        response.headers_mut().insert(VIA, hop.via());
        let status = match fwd {
            None => cache_status::own(hop, detail),
            Some(_) => CacheStatus {
                fwd,
                detail: Some(detail),
                ..CacheStatus::default()
            }
            .to_value(hop),
        };
        response.headers_mut().append(CACHE_STATUS, status);
        exchange.entry.record.detail = Some(detail);
        exchange.finish(response, outcome)
    }
}

/// The response to a request that the server could not let in.
pub(in crate::pipeline) fn refuse(exchange: Box<Exchange>, refusal: Refusal) -> Response<Body> {
    Synth::refusal(exchange, refusal).response()
}

/// What the server has to say, to the byte: nothing of it is stored anywhere.
pub(in crate::pipeline) fn tell(exchange: Box<Exchange>, text: Bytes) -> Response<Body> {
    let mut answer = Answer::text(StatusCode::OK, "");
    answer.body = text;
    Synth::own(exchange, answer, Outcome::Synth, "acme-challenge").response()
}

/// More steps than a journey has: rather an error than a request that never ends.
pub(in crate::pipeline) fn gone_in_circles() -> Response<Body> {
    let mut response = Response::new(Body::full(Bytes::from_static(b"gone in circles\n")));
    *response.status_mut() = StatusCode::LOOP_DETECTED;
    response
}

/// Rounded up, or who heeds it would come too soon (RFC 9110 §10.2.3: delay-seconds).
fn in_seconds(wait: Duration) -> HeaderValue {
    let secs = wait.as_nanos().div_ceil(1_000_000_000);
    HeaderValue::from(u64::try_from(secs).unwrap_or(u64::MAX).max(1))
}

fn redirected(exchange: &Exchange, redirect: &config::Redirect) -> Answer {
    let mut answer = Answer::text(redirect.status, "moved");
    // How long a redirection holds is told by its status (RFC 9110 §15.4).
    answer.fields.remove(CACHE_CONTROL);
    let to = match redirect.to.as_text() {
        Some(text) => text.to_owned(),
        None => Values::of(exchange).url(&redirect.to),
    };
    // All parts are valid in a URI, so they are valid in a field.
    if let Ok(to) = HeaderValue::try_from(redirect.target(to, &exchange.target())) {
        answer.fields.insert(LOCATION, to);
    }
    route::declare(&redirect.to, &mut answer.fields);
    answer
}

// === impl Answer ===

impl Answer {
    /// An answer of the configuration.
    fn fixed(config: &config::Answer) -> Self {
        Self {
            status: config.status,
            fields: config.fields.clone(),
            body: config.body.clone(),
            told: None,
        }
    }

    /// Edits its fields: by what is its own, by its route, and by rules of what clients get.
    fn edit(&mut self, exchange: &mut Exchange, own: Option<&Edits>, scope: Option<&Scope>) {
        let answered = Answered {
            outcome: Outcome::Synth,
            status: self.status,
            hits: 0,
            ttl_secs: None,
        };
        let of_route = scope.map(|it| &it.response_fields);
        for edits in own.into_iter().chain(of_route) {
            edits.apply(&mut self.fields, |template, fields| {
                let values = Values::of(exchange).answered(answered);
                values.field(template, fields)
            });
            edits.declare(&mut self.fields);
        }
        if let Some(chain) = scope
            .and_then(|it| it.rules.as_ref())
            .filter(|it| it.delivers)
        {
            ruled::deliver(exchange, chain, answered, &mut self.fields);
        }
    }

    /// A line of text that is not to be stored anywhere.
    fn text(status: StatusCode, text: &'static str) -> Self {
        let mut fields = HeaderMap::new();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        fields.insert(CONTENT_TYPE, plain);
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let body = Bytes::from(format!("{status}: {text}\n"));
        Self {
            status,
            fields,
            body,
            told: Some(text),
        }
    }

    /// Puts the operator's page in place of a line of ours that says that something failed.
    fn dress(&mut self, exchange: &Exchange, outcome: Outcome) {
        let is_error = self.status.is_client_error() || self.status.is_server_error();
        let Some(told) = self.told.filter(|_| is_error) else {
            return;
        };
        let answered = Answered {
            outcome,
            status: self.status,
            hits: 0,
            ttl_secs: None,
        };
        let pages = exchange.site().error_pages(exchange);
        if let Some(page) = pages.and_then(|it| ErrorPage::of(exchange, it, answered, Some(told))) {
            page.stamp(&mut self.fields);
            self.body = page.body;
        }
    }
}
