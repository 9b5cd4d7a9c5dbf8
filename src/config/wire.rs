//! Connections to an origin's servers: the version of HTTP, how many requests share one, how many are
//! opened ahead, how old they get.
//!
//! Not how many there may be, nor how long anything may take: those are in `origin.rs`.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use super::listen::{ProxyVersion, RawProxyProtocol};
use super::report::{Given, Report};
use super::units::{self, Count, Period};

/// A connection has room for what all its streams may send unread, which is bounded.
const STREAMS: RangeInclusive<usize> = 1..=1000;
const IDLE_MIN: RangeInclusive<usize> = 0..=1000;
const HOUR: Duration = Duration::from_secs(3600);

/// How the connections to an origin's servers are spoken and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The version of HTTP.
    pub version: HttpVersion,
    /// Requests at once on one connection of HTTP/2.
    pub streams_max: usize,
    /// Connections opened ahead, for each server that is usable.
    pub idle_min: usize,
    /// How old a connection may be that is used again; `None` for any age.
    pub age_max: Option<Duration>,
    /// How servers are told whose a connection is; `None` where they are not.
    pub proxy_protocol: Option<ProxyVersion>,
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

/// The keys of an origin that tell how its connections are spoken and kept, as written.
pub(super) struct RawWire<'a> {
    pub(super) http_version: &'a Given<HttpVersion>,
    pub(super) streams_max: &'a Given<Count>,
    pub(super) idle_min: &'a Given<Count>,
    pub(super) age_max: &'a Given<Period>,
    pub(super) proxy_protocol: &'a Given<RawProxyProtocol>,
}

// === impl RawWire ===

impl RawWire<'_> {
    /// Each server may have `connections_max` connections, of which `idle_max` are kept.
    pub(super) fn resolve(
        &self,
        idle_max: usize,
        connections_max: usize,
        report: &mut Report,
    ) -> Wire {
        let version = self.http_version.as_ref().map(|it| *it.get_ref());
        let version = version.unwrap_or_default();
        let streams_max = units::count(self.streams_max, 100, STREAMS, report);
        if let Some(given) = self.streams_max
            && version == HttpVersion::Http1
        {
            let text =
                "is for HTTP/2; write `http_version = \"2\"` or \"auto\" too, or leave it out";
            report.at(given.span(), text);
        }
        let idle_min = units::count(self.idle_min, 0, IDLE_MIN, report);
        if let Some(given) = self.idle_min
            && idle_min > idle_max
        {
            let text = "is more than `idle_max`, beyond which none is kept; change one of the two";
            report.at(given.span(), text);
        }
        if let Some(given) = self.idle_min
            && idle_min > connections_max
        {
            let text = "is more than `connections_max`, beyond which none is opened; change one of the two";
            report.at(given.span(), text);
        }
        let age_max = units::period(self.age_max, HOUR);
        Wire {
            version,
            streams_max,
            idle_min,
            age_max: (!age_max.is_zero()).then_some(age_max),
            proxy_protocol: self.resolve_proxy_protocol(version, idle_min, report),
        }
    }

    /// A connection that is one client's can neither be shared nor opened before it has come.
    fn resolve_proxy_protocol(
        &self,
        version: HttpVersion,
        idle_min: usize,
        report: &mut Report,
    ) -> Option<ProxyVersion> {
        let given = self.proxy_protocol.as_ref()?;
        let chosen = given.get_ref().version()?;
        if version != HttpVersion::Http1 {
            let text = "is for `http_version = \"1.1\"`: requests of many clients share the \
                        connections of HTTP/2; leave one of the two out";
            report.at(given.span(), text);
        }
        if idle_min > 0 {
            let text = "needs a client, which connections opened ahead by `idle_min` do not have; \
                        leave one of the two out";
            report.at(given.span(), text);
        }
        Some(chosen)
    }
}
