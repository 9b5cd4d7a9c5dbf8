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
pub(super) struct Spare {
    request: Option<Request<()>>,
    is_idempotent: bool,
}

// === impl Spare ===

impl Spare {
    /// Keeps a copy if there is no body, of which nothing would be left.
    pub(super) fn of(request: &Request<Body>) -> Self {
        let is_whole = request.body().is_empty();
        Self {
            request: is_whole.then(|| copy(request)),
            is_idempotent: is_idempotent(request.method()),
        }
    }

    /// The request to try again with, if `retry` allows it at all.
    ///
    /// "A proxy MUST NOT automatically retry non-idempotent requests." (RFC 9110 §9.2.2) One that
    /// has not been acted upon has not been made.
    pub(super) fn again(
        self,
        retry: Retry,
        unsent: Option<Box<Request<Body>>>,
    ) -> Option<Request<Body>> {
        match retry {
            Retry::Safe => unsent
                .map(|request| *request)
                .or_else(|| self.into_request()),
            Retry::IfIdempotent if self.is_idempotent => self.into_request(),
            Retry::IfIdempotent => None,
            Retry::No => None,
        }
    }

    fn into_request(self) -> Option<Request<Body>> {
        self.request.map(|request| request.map(|()| Body::empty()))
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
