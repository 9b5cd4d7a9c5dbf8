//! Response out of a stored object: the client's conditions are answered first, then its ranges
//! (RFC 9110 §13.2.2).

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{
    CONTENT_LENGTH, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body as _;

use super::How;
use super::partial::{self, refused};
use crate::body::Body;
use crate::semantics::conditional::{Precondition, evaluate, not_modified_fields};
use crate::semantics::hop::Hop;
use crate::store::Object;
use crate::telemetry::Outcome;

/// The response to a request that arrived at a time.
pub(in crate::pipeline) fn respond(
    request: &Parts,
    arrived: SystemTime,
    (hop, detail): (&Hop, Option<&'static str>),
    object: &Arc<Object>,
    how: How,
) -> (Response<Body>, Outcome) {
    let verdict = precondition(request, object);
    let how = match (verdict, how) {
        (Precondition::Proceed, How::Hit) if partial::is_missing(request, object) => How::Partial,
        (_, how) => how,
    };
    let outcome = how.outcome();
    if how.is_hit() {
        object.count_hit();
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = object.head().status();
    *response.headers_mut() = object.head().to_fields(3);
    how.stamp(response.headers_mut(), hop, (object, detail), arrived);
    match verdict {
        Precondition::NotModified => not_modified(&mut response),
        Precondition::Failed => refused(&mut response, StatusCode::PRECONDITION_FAILED),
        Precondition::Proceed if request.method == Method::HEAD => {
            declare_length(&mut response, &how.into_body(object));
        }
        Precondition::Proceed => {
            let body = how.into_body(object);
            partial::answer(&mut response, request, object, body);
        }
    }
    (response, outcome)
}

/// "A server MUST ignore all received preconditions if its response to the same request without
/// those conditions […] would have been a status code other than a 2xx (Successful) or 412
/// (Precondition Failed)." (RFC 9110 §13.2.1) Those of a POST were for the origin, which has acted
/// upon it.
fn precondition(request: &Parts, object: &Object) -> Precondition {
    let counts = request.method != Method::POST
        && object.head().status().is_success()
        && is_conditional(&request.headers);
    match counts {
        true => evaluate(&request.method, &request.headers, &object.validators()),
        false => Precondition::Proceed,
    }
}

/// Tells a HEAD how long the body would be.
fn declare_length(response: &mut Response<Body>, body: &Body) {
    // RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a
    // status code of 1xx (Informational) or 204 (No Content)."
    let has_content = response.status() != StatusCode::NO_CONTENT;
    if let Some(length) = body.size_hint().exact().filter(|_| has_content) {
        let fields = response.headers_mut();
        fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

pub(super) fn is_conditional(fields: &HeaderMap) -> bool {
    [
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
    ]
    .iter()
    .any(|name| fields.contains_key(name))
}

pub(super) fn not_modified(response: &mut Response<Body>) {
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
