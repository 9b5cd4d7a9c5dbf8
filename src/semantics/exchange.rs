//! The exchange under judgement: a request, its final response, and the rules that apply to them.
//!
//! Only the values; what is made of them stands in `freshness.rs`, `storable.rs` and `policy.rs`,
//! the last of which gives these types their public path.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode};

/// What the operator decides where the RFCs leave a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The lifetime of a response that states none, if its status is heuristically cacheable; zero
    /// to give none.
    pub default_ttl: Duration,
    /// Whether such a response may get a lifetime from its Last-Modified (RFC 9111 §4.2.2).
    pub heuristic: bool,
    /// Whether a response with Set-Cookie may be stored, cookie and all (RFC 9111 §7.3).
    pub store_set_cookie: bool,
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
