//! How many requests of a route may be under way to its origin at once.
//!
//! A place is held from before the request is sent until the origin's response has come to its end
//! or was given up, whoever reads it. Who finds none is not made to wait: waiting clients would
//! only be the next load. Limits of how often clients may ask are in `limit.rs`.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::Body;
use crate::store::Failure;

/// What becomes of a request that finds no place.
pub(in crate::pipeline) const FULL: Failure = Failure {
    status: StatusCode::SERVICE_UNAVAILABLE,
    detail: "route-full",
    origin_status: None,
    retry_after: Duration::ZERO,
};

/// The places of a route.
#[derive(Clone, Debug)]
pub(in crate::pipeline) struct Room {
    places: Arc<Semaphore>,
    places_max: usize,
}

/// A place that is held, where they are counted.
#[derive(Debug)]
pub(in crate::pipeline) struct Place(Option<OwnedSemaphorePermit>);

// === impl Room ===

impl Room {
    pub(in crate::pipeline) fn new(places_max: usize) -> Self {
        let places = Arc::new(Semaphore::new(places_max));
        Self { places, places_max }
    }

    /// How many there are, taken or not.
    pub(in crate::pipeline) fn places_max(&self) -> usize {
        self.places_max
    }

    fn enter(&self) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned();
        permit.ok().map(|permit| Place(Some(permit)))
    }
}

// === impl Place ===

impl Place {
    /// A place in `room`, if one is free; where there are no bounds, one always is.
    pub(in crate::pipeline) fn take(room: Option<&Room>) -> Option<Self> {
        match room {
            Some(room) => room.enter(),
            None => Some(Self(None)),
        }
    }

    /// The same response, which keeps the place until its end.
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
    async fn a_place_is_free_again_when_the_response_has_ended() {
        let room = Room::new(1);
        let place = Place::take(Some(&room)).unwrap();
        assert!(Place::take(Some(&room)).is_none());
        let response = place.hold(Response::new(Body::full(Bytes::from_static(b"hello"))));
        // The client's meter goes around it, and must not let go of the place.
        let body = response.into_body().metered(Meter::new(|_| ()));
        assert!(Place::take(Some(&room)).is_none());
        body.collect().await.unwrap();
        assert!(Place::take(Some(&room)).is_some());
    }

    #[test]
    fn a_place_is_free_again_when_nobody_asked_or_read() {
        let room = Room::new(1);
        drop(Place::take(Some(&room)).unwrap());
        let place = Place::take(Some(&room)).unwrap();
        drop(place.hold(Response::new(Body::full(Bytes::from_static(b"hello")))));
        assert!(Place::take(Some(&room)).is_some());
    }

    #[test]
    fn without_bounds_there_is_always_a_place() {
        let places: Vec<_> = (0..1000).map(|_| Place::take(None)).collect();
        assert!(places.iter().all(Option::is_some));
    }
}
