//! Facts of one request: filled along its way, read once by telemetry when its response's body has
//! ended. Facts only: nothing is counted, formatted or written here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{HOST, HeaderMap, HeaderName, REFERER, USER_AGENT};
use http::{HeaderValue, Method, Uri, Version, request};

use super::sites::SiteId;
use super::tunnel::Carried;
use crate::semantics::proxy_facts::ProxyFacts;
use crate::semantics::trace_context::TRACEPARENT;

/// The facts of one request. Building one allocates nothing while `asked` stays `None`.
#[derive(Clone, Debug)]
pub struct Record {
    /// The client's address, after PROXY protocol.
    pub client: IpAddr,
    /// Wall time at which the request's head had been read.
    pub received: SystemTime,
    /// How the request was served.
    pub outcome: Outcome,
    /// Status code sent to the client; 0 when no head was sent.
    pub status: u16,
    /// From `received` to the last body byte handed over, or to the abort.
    pub duration: Duration,
    /// From `received` to the response's head; `None` when no head was sent.
    pub first_byte: Option<Duration>,
    /// What was asked of an origin; `None` when none was involved.
    pub fetched: Option<Fetched>,
    /// The site that it met.
    pub site: SiteId,
    /// Bytes of response content handed to the client; heads and framing are not counted.
    pub body_bytes: u64,
    /// Whether the response reached its end; false when either side broke off.
    pub complete: bool,
    /// Why it went this way, in the words of the verdict; the `detail` of RFC 9211 §2.8.
    pub detail: Option<&'static str>,
    /// The request as the client put it; wanted only while an access log is on or somebody watches.
    pub asked: Option<Box<Asked>>,
    /// What went through the tunnel that it became; `None` for nearly all.
    pub tunnel: Option<Box<Carried>>,
    /// The first line of a head that could not be read, so that nothing is known to have been asked.
    pub unread: Option<Box<[u8]>>,
}

/// How a request was served: the label of its counters and a column of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// From a stored response that was fresh.
    Hit,
    /// From the origin, by the request that asked it.
    Miss,
    /// From the fetch of another request.
    Collapsed,
    /// From a stored response that the origin had just confirmed.
    Revalidated,
    /// From a stored response that was no longer fresh.
    Stale,
    /// From the origin, past the cache.
    Pass,
    /// From Copal itself: a configured answer, a redirect, the result of a purge.
    Synth,
    /// From Copal itself, because something failed.
    Error,
}

/// How a background refresh of a stale object ended: the label of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refreshed {
    /// A new response took the object's place.
    Replaced,
    /// The origin confirmed the object.
    Confirmed,
    /// The new response may not be stored.
    Declined,
    /// The origin gave no answer that is better than the object.
    Failed,
}

/// The part an origin had in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Name of the origin, as configured.
    pub origin: Arc<str>,
    /// The server that was asked last, `host:port`; `None` when none could be chosen.
    pub server: Option<Arc<str>>,
    /// From asking to the origin's response head, or to the failure; retries are included.
    pub duration: Duration,
}

/// The parts of a request head that only an access log shows.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Request method.
    pub method: Method,
    /// Request target as received, before routing changed it.
    pub target: Uri,
    /// The same as routes and the cache key see it; `None` where that is the same.
    pub normal_target: Option<Box<str>>,
    /// Protocol version.
    pub version: Version,
    /// `Host` field, or the target's authority where there is none (RFC 9113 §8.3.1).
    pub host: Option<HeaderValue>,
    /// `Referer` field (RFC 9110 §10.1.3).
    pub referer: Option<HeaderValue>,
    /// `User-Agent` field (RFC 9110 §10.1.5).
    pub user_agent: Option<HeaderValue>,
    /// What the request is called; `None` where requests have no ids.
    pub request_id: Option<HeaderValue>,
    /// The names of the rules that were true of it and of its response, in order.
    pub rules: Vec<&'static str>,
    /// `traceparent` field (W3C Trace Context §3.2).
    pub traceparent: Option<HeaderValue>,
    /// Who has logged in; `None` where nobody has to.
    pub user: Option<Box<str>>,
    /// What its connection's handshake agreed on; `None` without TLS.
    pub tls: Option<Arc<TlsFacts>>,
    /// What the proxy before us has told of it; `None` without a PROXY header that does.
    pub proxy: Option<Arc<ProxyFacts>>,
}

/// What a handshake agreed on: facts for the log, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, by the name that IANA has for it.
    pub suite: &'static str,
    /// The group of the key exchange, likewise; `None` where a resumed session needed none.
    pub group: Option<&'static str>,
    /// The name that the client asked for (RFC 6066 §3).
    pub name: Option<Box<str>>,
    /// Whether it went on from an earlier connection.
    pub is_resumed: bool,
}

// === impl Record ===

impl Record {
    /// A record of a request that has just been read and has had no answer yet.
    #[must_use]
    pub fn new(client: IpAddr, received: SystemTime) -> Self {
        Self {
            client,
            received,
            outcome: Outcome::Error,
            status: 0,
            duration: Duration::ZERO,
            first_byte: None,
            fetched: None,
            site: SiteId::NONE,
            body_bytes: 0,
            complete: false,
            detail: None,
            asked: None,
            tunnel: None,
            unread: None,
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Every outcome, in the order of declaration.
    pub const ALL: [Self; 8] = [
        Self::Hit,
        Self::Miss,
        Self::Collapsed,
        Self::Revalidated,
        Self::Stale,
        Self::Pass,
        Self::Synth,
        Self::Error,
    ];

    /// The name used in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Collapsed => "collapsed",
            Self::Revalidated => "revalidated",
            Self::Stale => "stale",
            Self::Pass => "pass",
            Self::Synth => "synth",
            Self::Error => "error",
        }
    }
}

// === impl Refreshed ===

impl Refreshed {
    /// Every end, in order.
    pub const ALL: [Self; 4] = [
        Self::Replaced,
        Self::Confirmed,
        Self::Declined,
        Self::Failed,
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Confirmed => "confirmed",
            Self::Declined => "declined",
            Self::Failed => "failed",
        }
    }
}

// === impl Asked ===

impl Asked {
    /// Copies what a log line needs out of a request head. Values are shared, not cloned.
    #[must_use]
    pub fn of(head: &request::Parts) -> Self {
        Self {
            method: head.method.clone(),
            target: head.uri.clone(),
            normal_target: None,
            version: head.version,
            host: field(&head.headers, HOST).or_else(|| authority(&head.uri)),
            referer: field(&head.headers, REFERER),
            user_agent: field(&head.headers, USER_AGENT),
            request_id: None,
            rules: Vec::new(),
            traceparent: field(&head.headers, TRACEPARENT),
            user: None,
            tls: None,
            proxy: None,
        }
    }
}

fn field(fields: &HeaderMap, name: HeaderName) -> Option<HeaderValue> {
    fields.get(name).cloned()
}

fn authority(target: &Uri) -> Option<HeaderValue> {
    let authority = target.authority()?;
    HeaderValue::from_str(authority.as_str()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_stand_at_their_own_index() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index, "{}", outcome.as_str());
        }
    }

    #[test]
    fn host_is_the_field_or_the_authority() {
        for (section, target, field, expected) in [
            ("RFC 9112 §3.2", "/", Some("a.example"), Some("a.example")),
            (
                "RFC 9113 §8.3.1",
                "http://b.example/",
                None,
                Some("b.example"),
            ),
            ("RFC 9112 §3.2.1", "/", None, None),
        ] {
            let mut request = http::Request::builder().uri(target);
            if let Some(host) = field {
                request = request.header(HOST, host);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            let host = Asked::of(&head).host;
            assert_eq!(
                host.as_ref().map(HeaderValue::as_bytes),
                expected.map(str::as_bytes),
                "{section}"
            );
        }
    }
}
