//! Values that verdicts are made of: a request, its final response, and the rules for them.
//!
//! Only the values; what is made of them stands in `freshness.rs`, `storable.rs` and `policy.rs`,
//! the last of which gives these types their public path.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::client_cert::CLIENT_CERT;
use super::headers;

/// RFC 9111 §4.2.2 sets no limit to a guess; RFC 7234 §5.5.4 wanted a warning above 24 hours, and one
/// that outlives a day is no longer noticed to be a guess.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What the operator decides where the RFCs leave a choice. The default is the RFCs' own word:
/// nothing is guessed, overridden or served stale that did not say so itself, and what can be
/// validated is kept while there is room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The lifetime of every response that may be stored, whatever it says of its own.
    pub ttl: Option<Duration>,
    /// The lifetime of a response that states none, if its status is heuristically cacheable; zero
    /// to give none.
    pub default_ttl: Duration,
    /// The same for some statuses, whether heuristically cacheable or not; the first that fits.
    pub status_ttl: Vec<(Statuses, Duration)>,
    /// The longest lifetime that a 5xx may state for itself.
    pub error_ttl_max: Option<Duration>,
    /// Whether such a response may get a lifetime from its Last-Modified (RFC 9111 §4.2.2).
    pub heuristic: bool,
    /// The longest lifetime that is guessed like this.
    pub heuristic_max: Duration,
    /// The targeted fields (RFC 9213) that are for this cache, in order of preference.
    pub targets: Vec<HeaderName>,
    /// How long a stale response may be served while it is refreshed, whatever it says itself.
    pub grace: Option<Duration>,
    /// The same for a response without `stale-while-revalidate` (RFC 5861 §3).
    pub default_grace: Duration,
    /// How long a response without `stale-if-error` (RFC 5861 §4) may stand in for an error.
    pub stale_if_error: Duration,
    /// The same, whatever the response says itself.
    pub sick_grace: Option<Duration>,
    /// How long a stale response is kept for validation beyond all that.
    pub keep: Duration,
    /// Whether a response with Set-Cookie may be stored, cookie and all (RFC 9111 §7.3).
    pub store_set_cookie: bool,
    /// Whether such a response is stored, and given away, without its cookie.
    pub drop_set_cookie: bool,
    /// Whether only what says in so many words that it is for many, and sets no cookie, is stored: the
    /// request had cookies that are not in the key.
    pub shared_only: bool,
    /// Whether Authorization makes no other answer, so that those to it are shared as any.
    pub share_authorized: bool,
    /// Whether `must-revalidate` and `proxy-revalidate` forbid nothing.
    pub lift_must_revalidate: bool,
}

/// One status or a whole class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statuses {
    /// This status.
    One(u16),
    /// All with this first digit.
    Class(u16),
}

/// The request, as the client sent it on.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its fields.
    pub headers: &'a HeaderMap,
}

/// The response, as the origin gave it.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its fields; or, after a 304, the stored ones brought up to date.
    pub headers: &'a HeaderMap,
    /// When the request was sent: `request_time` in RFC 9111 §4.2.3.
    pub requested_at: SystemTime,
    /// When the head of the response had come: `response_time` in RFC 9111 §4.2.3.
    pub received_at: SystemTime,
}

// === impl Rules ===

impl Rules {
    /// Whether a request says whose it is, in a way that by these rules its answer may hang on: by
    /// Authorization, or by a certificate that was shown.
    pub fn is_personal(&self, request: &HeaderMap) -> bool {
        match self.share_authorized {
            true => request.contains_key(CLIENT_CERT),
            false => headers::has_credentials(request),
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ttl: None,
            default_ttl: Duration::ZERO,
            status_ttl: Vec::new(),
            error_ttl_max: None,
            heuristic: false,
            heuristic_max: DAY,
            targets: Vec::new(),
            grace: None,
            default_grace: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            sick_grace: None,
            keep: Duration::MAX,
            store_set_cookie: false,
            drop_set_cookie: false,
            shared_only: false,
            share_authorized: false,
            lift_must_revalidate: false,
        }
    }
}

// === impl Statuses ===

impl Statuses {
    /// Whether `status` is meant.
    pub fn has(self, status: StatusCode) -> bool {
        match self {
            Self::One(one) => status.as_u16() == one,
            Self::Class(digit) => status.as_u16() / 100 == digit,
        }
    }
}
