//! Request for the rest of a body that is not kept, on behalf of one reader that others would have to
//! wait for.
//!
//! It is the request that brought the body, for the bytes from where that reader stands. Only an answer
//! with exactly these bytes of the same representation will do: whatever else comes, the reader stays
//! with the others. Who falls behind, and when, is the store's business.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{IF_MATCH, REFERER};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use tracing::debug;

use super::slices::is_of_the_moment;
use crate::body::Body;
use crate::origin::{Answer, Hint};
use crate::pipeline::route::Route;
use crate::pipeline::route::concurrency::Permit;
use crate::semantics::combine::Version;
use crate::semantics::conditional;
use crate::semantics::forwarded::{FORWARDED, X_FORWARDED_FOR};
use crate::semantics::range;
use crate::store::{Remainder, Resume};

/// What an origin was asked, and where.
pub(in crate::pipeline) struct Asked {
    route: Arc<Route>,
    request: Request<Bytes>,
}

/// How the origin is asked for the rest of its answer.
pub(super) struct Resumption {
    asked: Asked,
    version: Version,
}

// === impl Asked ===

impl Asked {
    /// What brought this answer; `None` where that need not be known later, since an answer that
    /// announces its length is kept, or is one client's from the beginning.
    pub(super) fn of(
        route: Arc<Route>,
        request: Request<Bytes>,
        answer: &Response<Body>,
    ) -> Option<Self> {
        let is_open = answer.body().size_hint().exact().is_none();
        is_open.then_some(Self { route, request })
    }

    /// How the rest of this answer can be had; `None` where its origin does not offer parts of it, or
    /// nothing tells whether they are parts of the same bytes.
    pub(super) fn resumption(self, answer: &Response<Body>) -> Option<Resumption> {
        let fields = answer.headers();
        let offers = answer.status() == StatusCode::OK && range::are_offered(fields);
        let version = offers.then(|| Version::of(fields)).flatten()?;
        Some(Resumption {
            asked: self,
            version,
        })
    }

    /// The request for the bytes from `first` on, which says nothing of the client of the first.
    /// If-Match spares the transfer of a part of something else.
    fn rest(&self, first: u64, version: &Version) -> Request<Body> {
        let mut request = self.request.clone().map(Body::full);
        // Who the first client was is none of this connection's business.
        let extensions = request.extensions_mut();
        let hint = extensions.remove::<Hint>();
        extensions.clear();
        if let Some(hint) = hint {
            extensions.insert(hint);
        }
        if let Some(timeouts) = self.route.timeouts {
            extensions.insert(timeouts);
        }
        let fields = request.headers_mut();
        conditional::strip(fields);
        for name in [X_FORWARDED_FOR, FORWARDED, REFERER] {
            fields.remove(name);
        }
        let edits = &self.route.request_fields;
        edits.apply_fixed(fields);
        edits.forget_client(fields);
        range::ask_from(fields, first);
        if let Some(tag) = version.if_match() {
            fields.insert(IF_MATCH, tag);
        }
        request
    }
}

// === impl Resumption ===

impl Resume for Resumption {
    fn resume(&self, remainder: Remainder) {
        let route = Arc::clone(&self.asked.route);
        // Without a permit the reader stays where it is.
        if let Some(permit) = route.scope.bounds.enter() {
            let request = self.asked.rest(remainder.from(), &self.version);
            tokio::spawn(fetch(
                route,
                permit,
                request,
                self.version.clone(),
                remainder,
            ));
        }
    }
}

async fn fetch(
    route: Arc<Route>,
    permit: Permit,
    request: Request<Body>,
    version: Version,
    remainder: Remainder,
) {
    let origin = &**route.pool.name();
    match route.pool.send(request, None, None).await {
        Ok(Answer { response, .. }) => {
            let (status, first) = (response.status(), remainder.from());
            let complete = match status {
                StatusCode::PARTIAL_CONTENT => version.rest(first, response.headers()),
                _ => None,
            };
            if let Some(complete) = complete {
                return remainder.bring(permit.hold(response).into_body(), complete);
            }
            debug!(origin, %status, "no rest of a body");
            if !is_of_the_moment(status) {
                remainder.refuse();
            }
        }
        Err(error) => debug!(origin, error = %error.causes(), "no rest of a body"),
    }
}
