//! Exchange of a request for its response: what every step needs to know of it and hands to the next.
//!
//! Only what all steps need is here. What a step alone has, such as a permit or an object, is in
//! that step's own struct.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::STRICT_TRANSPORT_SECURITY;
use http::request::Parts;
use http::{HeaderValue, Request, Response};

use super::client::{Client, ForwardedBy};
use super::site::{Site, SiteHandle};
use crate::body::{Body, Meter, Progress};
use crate::clock::{self, Instant};
use crate::origin::{Belongs, Interim};
use crate::telemetry::{Asked, Outcome, Record};

/// A request under way.
pub(super) struct Exchange {
    pub(super) entry: Entry,
    pub(super) client: Client,
    /// What was told of the client by a proxy that is believed, where one stands between.
    pub(super) forwarded_by: Option<ForwardedBy>,
    pub(super) request: Parts,
    pub(super) body: Body,
    /// How far the body has come, if there is one.
    pub(super) upload: Option<Progress>,
    /// The way of interim responses to the client, if it can be sent any.
    pub(super) interim: Option<Interim>,
    /// The server that the client belongs to, by its cookie.
    pub(super) belongs: Option<Belongs>,
    /// Strict-Transport-Security of the response.
    pub(super) hsts: Option<HeaderValue>,
    /// The wall time of arrival, by which freshness is judged.
    pub(super) now: SystemTime,
}

/// A request's entry in the books. It is closed when it is dropped, wherever the journey ended:
/// with the response's last byte, or because the client left before its first.
pub(super) struct Entry {
    pub(super) site: SiteHandle,
    pub(super) record: Record,
    arrived: Instant,
}

// === impl Exchange ===

impl Exchange {
    /// Boxed, for every step moves it on to the next.
    pub(super) fn new(site: SiteHandle, client: Client, request: Request<Body>) -> Box<Self> {
        let arrived = clock::instant();
        let now = clock::wall(arrived);
        let (client, forwarded_by) = site.trusted_proxies.of(client, request.headers());
        let (mut request, body) = request.into_parts();
        let upload = match body.is_empty() {
            true => None,
            false => request.extensions.remove::<Progress>(),
        };
        let mut record = Record::new(client.address.ip(), now);
        if site.telemetry.wants_lines() {
            let mut asked = Asked::of(&request);
            asked.tls = client.session.as_ref().map(|it| Arc::clone(&it.facts));
            record.asked = Some(Box::new(asked));
        }
        let entry = Entry {
            site,
            record,
            arrived,
        };
        Box::new(Self {
            entry,
            client,
            forwarded_by,
            request,
            body,
            upload,
            interim: None,
            belongs: None,
            hsts: None,
            now,
        })
    }

    /// What the steps work with.
    pub(super) fn site(&self) -> &Site {
        &self.entry.site
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

    /// The response is on its way; the entry goes with its body.
    pub(super) fn finish(self, mut response: Response<Body>, outcome: Outcome) -> Response<Body> {
        if let Some(hsts) = self.hsts {
            response
                .headers_mut()
                .insert(STRICT_TRANSPORT_SECURITY, hsts);
        }
        let mut entry = self.entry;
        entry.record.outcome = outcome;
        entry.record.status = response.status().as_u16();
        entry.record.first_byte = Some(entry.arrived.elapsed());
        let meter = Meter::new(move |tally| {
            // The whole entry, so that it is closed here.
            let mut entry = entry;
            entry.record.body_bytes = tally.bytes;
            entry.record.complete = tally.complete;
        });
        response.map(|body| body.metered(meter))
    }
}

// === impl Entry ===

impl Drop for Entry {
    fn drop(&mut self) {
        self.record.duration = self.arrived.elapsed();
        self.site.telemetry.finish(&self.record);
    }
}
