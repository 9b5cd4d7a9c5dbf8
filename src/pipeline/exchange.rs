//! One request and what is known of it: the luggage that every step hands to the next.
//!
//! Only what all steps need is here. What a step alone has, such as a permit or an object, is in
//! that step's own struct.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::request::Parts;
use http::{Request, Response};

use super::Site;
use crate::body::{Body, Meter, Progress};
use crate::clock::{self, Instant};
pub use crate::semantics::key::Scheme;
use crate::telemetry::{Asked, Fetched, Outcome, Record};

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The client's address.
    pub address: SocketAddr,
    /// The address it connected to.
    pub local: SocketAddr,
    /// What it spoke.
    pub scheme: Scheme,
}

/// A request under way.
pub(super) struct Exchange {
    pub(super) site: Arc<Site>,
    pub(super) client: Client,
    pub(super) request: Parts,
    pub(super) body: Body,
    /// How far the body has come, if there is one.
    pub(super) upload: Option<Progress>,
    pub(super) arrived: Instant,
    /// The wall time of arrival, by which freshness is judged.
    pub(super) now: SystemTime,
    pub(super) record: Record,
}

// === impl Exchange ===

impl Exchange {
    pub(super) fn new(site: Arc<Site>, client: Client, request: Request<Body>) -> Self {
        let arrived = clock::instant();
        let now = clock::wall(arrived);
        let (mut request, body) = request.into_parts();
        let upload = request
            .extensions
            .remove::<Progress>()
            .filter(|_| !body.is_empty());
        let mut record = Record::new(client.address.ip(), now);
        if site.telemetry.wants_lines() {
            record.asked = Some(Box::new(Asked::of(&request)));
        }
        Self {
            site,
            client,
            request,
            body,
            upload,
            arrived,
            now,
            record,
        }
    }

    /// The path and query asked for, always beginning with a slash.
    pub(super) fn target(&self) -> Cow<'_, str> {
        match self
            .request
            .uri
            .path_and_query()
            .map(|target| target.as_str())
        {
            None | Some("") => Cow::Borrowed("/"),
            // An absolute URI may have a query without a path: `http://host?q`.
            Some(target) if target.starts_with('?') => Cow::Owned(format!("/{target}")),
            Some(target) => Cow::Borrowed(target),
        }
    }

    /// Notes what an origin had to do with it.
    pub(super) fn note_fetched(&mut self, fetched: Fetched) {
        self.record.fetched = Some(fetched);
    }

    /// The response is on its way; the record is closed when its last byte is.
    pub(super) fn finish(self, response: Response<Body>, outcome: Outcome) -> Response<Body> {
        let Self {
            site,
            mut record,
            arrived,
            ..
        } = self;
        record.outcome = outcome;
        record.status = response.status().as_u16();
        record.first_byte = Some(arrived.elapsed());
        let meter = Meter::new(move |tally| {
            record.duration = arrived.elapsed();
            record.body_bytes = tally.bytes;
            record.complete = tally.complete;
            site.telemetry.finish(record);
        });
        response.map(|body| body.metered(meter))
    }
}
