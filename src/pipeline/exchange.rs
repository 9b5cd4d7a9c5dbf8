//! Exchange of a request for its response: what every step needs to know of it and hands to the next.
//!
//! Only what all steps need is here. What a step alone has, such as a permit or an object, is in
//! that step's own struct.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use http::header::{HOST, STRICT_TRANSPORT_SECURITY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, Version};

use super::client::{Client, ForwardedBy};
use super::route::rules::Matched;
use super::site::{Site, SiteHandle};
use super::tunnel::{self, Tunnel, Wish};
use crate::body::{Body, Meter, Progress};
use crate::clock::{self, Instant};
use crate::origin::{Belongs, Interim, Switched};
use crate::semantics::key::normal_authority;
use crate::semantics::path_form::Normal;
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
    /// What it is to become, if its client wants to go on with another protocol and may.
    pub(super) wish: Option<Box<Wish>>,
    /// The form in which its target is seen, where that is not the client's.
    pub(super) spelling: Option<Box<Spelling>>,
    /// The target by which its route was found, where rules have written another in its place.
    pub(super) target_before: Option<Box<str>>,
    /// Strict-Transport-Security of the response, where that is not the origin's to say: `Some(None)`
    /// for none.
    pub(super) hsts: Option<Option<HeaderValue>>,
    /// The rules that are true of it, by their numbers among those of its route.
    pub(super) matched: Matched,
    /// Its fields as they came, where rules of its delivery want them.
    pub(super) original: Option<Box<HeaderMap>>,
    /// The rule that decided what becomes of the answer, as Cache-Status has it.
    pub(super) decided_by: Option<&'static str>,
    /// The wall time of arrival, by which freshness is judged.
    pub(super) now: SystemTime,
    /// What it is called, once somebody has asked.
    request_id: OnceLock<HeaderValue>,
}

/// A target that its client has spelt otherwise than in normal form.
#[derive(Debug)]
pub(super) struct Spelling {
    /// What routes, rules and the key see.
    pub(super) normal: Normal,
    /// Whether origins see what the client wrote.
    pub(super) is_sent: bool,
}

/// A request's entry in the books. It is closed when it is dropped, wherever the journey ended:
/// with the response's last byte, or because the client left before its first.
pub(super) struct Entry {
    pub(super) site: SiteHandle,
    pub(super) record: Record,
    arrived: Instant,
    /// Whether it is kept elsewhere by now.
    is_handed_on: bool,
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
        let mut request_id = OnceLock::new();
        if site.telemetry.wants_asked() {
            let mut asked = Asked::of(&request);
            if site.request_ids.field().is_some() {
                let id = site
                    .request_ids
                    .of(&request.headers, forwarded_by.is_some());
                asked.request_id = Some(id.clone());
                request_id = OnceLock::from(id);
            }
            asked.tls = client.session.as_ref().map(|it| Arc::clone(&it.facts));
            asked.proxy.clone_from(&client.proxy);
            record.asked = Some(Box::new(asked));
        }
        let entry = Entry {
            site,
            record,
            arrived,
            is_handed_on: false,
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
            spelling: None,
            target_before: None,
            wish: None,
            hsts: None,
            matched: Matched::new(),
            original: None,
            decided_by: None,
            now,
            request_id,
        })
    }

    /// What the steps work with.
    pub(super) fn site(&self) -> &Site {
        &self.entry.site
    }

    /// What the request is called: by a proxy that is believed, or by us.
    pub(super) fn request_id(&self) -> &HeaderValue {
        let ids = &self.entry.site.request_ids;
        let is_believed = self.forwarded_by.is_some();
        self.request_id
            .get_or_init(|| ids.of(&self.request.headers, is_believed))
    }

    /// The one effective host, for routing, key and origin alike, in its normal form; or why there is
    /// none, in a word. A list of hosts is none, although RFC 3986 allows a comma in a name.
    ///
    /// "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message
    /// that lacks a Host header field and to any request message that contains more than one Host
    /// header field line or a Host header field with an invalid field value." (RFC 9112 §3.2)
    pub(super) fn authority(&self) -> Result<Cow<'_, str>, &'static str> {
        let request = &self.request;
        let mut hosts = request.headers.get_all(HOST).iter();
        let (host, another) = (hosts.next(), hosts.next());
        if another.is_some() {
            return Err("several-hosts");
        }
        let scheme = self.client.scheme;
        let normal = |authority| {
            let normal = normal_authority(authority, scheme);
            normal.filter(|it| !it.contains(',')).ok_or("host")
        };
        let host = match host.map(|host| host.to_str()) {
            Some(Ok(host)) => Some(normal(host)?),
            Some(Err(_)) => return Err("host"),
            None if request.version == Version::HTTP_11 => return Err("no-host"),
            None => None,
        };
        // What a trusted proxy was asked for goes before what it asks us for. It is the one effective
        // host as any other, so the key holds it.
        let forwarded_by = self.forwarded_by.as_ref();
        if let Some(told) = forwarded_by.and_then(|it| it.host.as_deref()) {
            return normal(told);
        }
        // "When an origin server receives a request with an absolute-form of request-target, the
        // origin server MUST ignore the received Host header field (if any)." (RFC 9112 §3.2.2)
        match (request.uri.authority(), host) {
            (Some(named), Some(host)) if request.version > Version::HTTP_11 => {
                agreed(normal(named.as_str())?, &host)
            }
            (Some(named), _) => normal(named.as_str()),
            (None, Some(host)) => Ok(host),
            // "Clients that generate HTTP/2 requests directly MUST use the ":authority"
            // pseudo-header field" (RFC 9113 §8.3.1), unless they have none to name.
            (None, None) if request.version > Version::HTTP_11 => Err("no-host"),
            // HTTP/1.0 has no Host: what it asked for is what it connected to.
            (None, None) => {
                let local = self.client.local.to_string();
                Ok(Cow::Owned(
                    normal_authority(&local, scheme).map_or(local.clone(), Cow::into_owned),
                ))
            }
        }
    }

    /// The path and query as routes, rules and the key see them, always beginning with a slash.
    pub(super) fn target(&self) -> Cow<'_, str> {
        match &self.spelling {
            Some(spelling) => Cow::Borrowed(&spelling.normal.target),
            None => self.target_as_sent(),
        }
    }

    /// The same as they were before rules have written others in their place.
    pub(super) fn target_as_routed(&self) -> Cow<'_, str> {
        match &self.target_before {
            Some(target) => Cow::Borrowed(target),
            None => self.target(),
        }
    }

    /// The same as the client wrote them.
    pub(super) fn target_as_sent(&self) -> Cow<'_, str> {
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

    /// Its target is seen in another form than the client's.
    pub(super) fn note_spelling(&mut self, spelling: Box<Spelling>) {
        if let Some(asked) = &mut self.entry.record.asked {
            asked.normal_target = Some(spelling.normal.target.as_str().into());
        }
        self.spelling = Some(spelling);
    }

    /// The response is on its way; the entry goes with its body.
    pub(super) fn finish(self, mut response: Response<Body>, outcome: Outcome) -> Response<Body> {
        match self.hsts {
            None => {}
            Some(None) => {
                response.headers_mut().remove(STRICT_TRANSPORT_SECURITY);
            }
            Some(Some(hsts)) => {
                response
                    .headers_mut()
                    .insert(STRICT_TRANSPORT_SECURITY, hsts);
            }
        }
        let mut entry = self.entry;
        entry.record.outcome = outcome;
        entry.record.status = response.status().as_u16();
        entry.record.first_byte = Some(entry.arrived.elapsed());
        if let Some(server) = Switched::take(&mut response)
            && let Some(wish) = self.wish
        {
            return Tunnel::put_into(response, server, *wish, entry.hand_on());
        }
        let meter = Meter::new(move |tally| {
            // The whole entry, so that it is closed here.
            let mut entry = entry;
            entry.record.body_bytes = tally.bytes;
            entry.record.complete = tally.complete;
        });
        response.map(|body| body.metered(meter))
    }
}

/// "A server SHOULD treat a request as malformed if it contains a Host header field that identifies an
/// entity that differs from the entity in the ":authority" pseudo-header field." (RFC 9113 §8.3.1)
fn agreed<'a>(named: Cow<'a, str>, host: &str) -> Result<Cow<'a, str>, &'static str> {
    match named == host {
        true => Ok(named),
        false => Err("two-hosts"),
    }
}

// === impl Entry ===

impl Entry {
    /// The same for what outlives its site.
    fn hand_on(mut self) -> tunnel::Entry {
        self.is_handed_on = true;
        let (client, received) = (self.record.client, self.record.received);
        tunnel::Entry {
            telemetry: Arc::clone(self.site.telemetry()),
            record: std::mem::replace(&mut self.record, Record::new(client, received)),
            arrived: self.arrived,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.is_handed_on {
            return;
        }
        self.record.duration = self.arrived.elapsed();
        self.site.telemetry.finish(&self.record);
    }
}
