//! Answers that are not stored although they might have been: what of them a client gets that asked
//! under conditions or for a part.
//!
//! The origin was asked for the whole then, without conditions. It has given what they are evaluated
//! by; a part is asked for once more, so that no more of the whole is fetched than is wanted.

use http::header::RANGE;
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::partial::refused;
use super::stored::{is_conditional, not_modified};
use crate::body::Body;
use crate::semantics::conditional::{Precondition, Validators, evaluate};

/// Whether the client wants but a part of such an answer. Range counts "only if the result in absence
/// of the Range header field would be a 200 (OK) response" (RFC 9110 §14.2).
pub(in crate::pipeline) fn is_for_a_part(request: &Parts, status: StatusCode) -> bool {
    request.method == Method::GET && status == StatusCode::OK && request.headers.contains_key(RANGE)
}

/// The answer under the client's conditions. Only those of a success are evaluated (RFC 9110 §13.2.1).
pub(in crate::pipeline) fn under_conditions(
    request: &Parts,
    mut response: Response<Body>,
) -> Response<Body> {
    if !response.status().is_success() || !is_conditional(&request.headers) {
        return response;
    }
    let validators = Validators::of(response.headers());
    match evaluate(&request.method, &request.headers, &validators) {
        Precondition::Proceed => {}
        Precondition::NotModified => not_modified(&mut response),
        Precondition::Failed => refused(&mut response, StatusCode::PRECONDITION_FAILED),
    }
    if !response.status().is_success() {
        std::mem::take(response.body_mut()).discard();
    }
    response
}
