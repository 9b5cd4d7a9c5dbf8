//! How the connections to an origin's servers are spoken: the version of HTTP, and how many requests
//! share a connection.
//!
//! Not how many there may be, nor how long anything may take: those are in `origin.rs`.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::origin::RawOrigin;
use super::report::Report;
use super::units;

/// A connection has room for what all its streams may send unread, which is bounded.
const STREAMS: RangeInclusive<usize> = 1..=1000;

/// How the connections to an origin's servers are spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The version of HTTP.
    pub version: HttpVersion,
    /// Requests at once on one connection of HTTP/2.
    pub streams_max: usize,
}

/// Which version of HTTP servers are spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[default]
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2: agreed on by ALPN where there is TLS, and else by prior knowledge
    /// (RFC 9113 §3.2 and §3.3).
    #[serde(rename = "2")]
    Http2,
    /// What is agreed on by ALPN where there is TLS, and else HTTP/1.1.
    #[serde(rename = "auto")]
    Auto,
}

// === impl RawOrigin ===

impl RawOrigin {
    pub(super) fn resolve_wire(&self, report: &mut Report) -> Wire {
        let version = self.http_version.as_ref().map(|it| *it.get_ref());
        let version = version.unwrap_or_default();
        let streams_max = units::count(&self.streams_max, 100, STREAMS, report);
        if let Some(given) = &self.streams_max
            && version == HttpVersion::Http1
        {
            let text =
                "is for HTTP/2; write `http_version = \"2\"` or \"auto\" too, or leave it out";
            report.at(given.span(), text);
        }
        Wire {
            version,
            streams_max,
        }
    }
}
