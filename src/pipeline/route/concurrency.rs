//! Per-route concurrency limit: how many requests may be under way to the origin at once.
//!
//! A permit is held from before the request is sent until the origin's response has come to its end
//! or was given up, whoever reads it. A request that finds none does not wait: waiting clients would
//! only be the next load. Limits of how often clients may ask are in `limit.rs`.

use std::sync::Arc;

use http::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::Body;
use crate::store::Failure;

/// What becomes of a request that finds no permit.
pub(in crate::pipeline) const FULL: Failure =
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "route-full");

/// The limit of a route.
#[derive(Clone, Debug)]
pub(in crate::pipeline) struct Concurrency {
    permits: Arc<Semaphore>,
    requests_max: usize,
}

/// The right to ask the origin; counted where the route has a limit.
#[derive(Debug)]
pub(in crate::pipeline) struct Permit(Option<OwnedSemaphorePermit>);

// === impl Concurrency ===

impl Concurrency {
    pub(super) fn new(requests_max: usize) -> Self {
        let permits = Arc::new(Semaphore::new(requests_max));
        Self {
            permits,
            requests_max,
        }
    }

    /// How many requests there may be, under way or not.
    pub(super) fn requests_max(&self) -> usize {
        self.requests_max
    }

    fn enter(&self) -> Option<Permit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        permit.ok().map(|permit| Permit(Some(permit)))
    }
}

// === impl Permit ===

impl Permit {
    /// A permit of `limit`, if one is free; without a limit, one always is.
    pub(super) fn take(limit: Option<&Concurrency>) -> Option<Self> {
        match limit {
            Some(limit) => limit.enter(),
            None => Some(Self(None)),
        }
    }

    /// The same response, which keeps the permit until its end.
    pub(in crate::pipeline) fn hold(self, response: Response<Body>) -> Response<Body> {
        match self.0 {
            Some(permit) => response.map(|body| body.holding(permit)),
            None => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::BodyExt;

    use super::*;
    use crate::body::Meter;

    #[tokio::test]
    async fn a_permit_is_free_again_when_the_response_has_ended() {
        let limit = Concurrency::new(1);
        let permit = Permit::take(Some(&limit)).unwrap();
        assert!(Permit::take(Some(&limit)).is_none());
        let response = permit.hold(Response::new(Body::full(Bytes::from_static(b"hello"))));
        // The client's meter goes around it, and must not let go of the permit.
        let body = response.into_body().metered(Meter::new(|_| ()));
        assert!(Permit::take(Some(&limit)).is_none());
        body.collect().await.unwrap();
        assert!(Permit::take(Some(&limit)).is_some());
    }

    #[test]
    fn a_permit_is_free_again_when_nobody_asked_or_read() {
        let limit = Concurrency::new(1);
        drop(Permit::take(Some(&limit)).unwrap());
        let permit = Permit::take(Some(&limit)).unwrap();
        drop(permit.hold(Response::new(Body::full(Bytes::from_static(b"hello")))));
        assert!(Permit::take(Some(&limit)).is_some());
    }

    #[test]
    fn without_a_limit_there_is_always_a_permit() {
        let permits: Vec<_> = (0..1000).map(|_| Permit::take(None)).collect();
        assert!(permits.iter().all(Option::is_some));
    }
}
