//! Which failures may be tried again, and how often.
//!
//! Nothing that an origin may have acted upon is sent twice, unless the method says that twice is
//! as once (RFC 9110 §9.2.2).

use http::{Method, Request};

use super::error::Retry;
use crate::body::Body;

/// Tries at one request, the first one included.
pub(super) const TRIES_MAX: usize = 3;

/// A request's head, kept while the request itself is on its way, so that it can be sent again.
pub(super) struct Spare(Option<Request<()>>);

// === impl Spare ===

impl Spare {
    /// Keeps a copy if the request may be sent twice: idempotent, and without a body.
    ///
    /// "A proxy MUST NOT automatically retry non-idempotent requests." (RFC 9110 §9.2.2)
    pub(super) fn of(request: &Request<Body>) -> Self {
        let repeatable = is_idempotent(request.method()) && request.body().is_empty();
        Self(repeatable.then(|| copy(request)))
    }

    /// The request to try again with, if `retry` allows it at all.
    pub(super) fn again(
        self,
        retry: Retry,
        unsent: Option<Box<Request<Body>>>,
    ) -> Option<Request<Body>> {
        match retry {
            Retry::Safe => unsent
                .map(|request| *request)
                .or_else(|| self.into_request()),
            Retry::IfIdempotent => self.into_request(),
            Retry::No => None,
        }
    }

    fn into_request(self) -> Option<Request<Body>> {
        self.0.map(|request| request.map(|()| Body::empty()))
    }
}

fn copy(request: &Request<Body>) -> Request<()> {
    let mut copy = Request::new(());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn is_idempotent(method: &Method) -> bool {
    method.is_safe() || *method == Method::PUT || *method == Method::DELETE
}
