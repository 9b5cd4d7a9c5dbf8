//! Tables `[[listen]]` and `[server]`: where clients come in, and what they may ask of us.
//!
//! Not the binding of sockets, nor which host leads where (`site.rs`).

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE, FORWARDED, HOST, HeaderName, VIA};
use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::accept_proxy::{self, AcceptProxy, RawAcceptProxy};
use super::care::Care;
use super::fields;
use super::gate::{Gate, RawErrorPages, RawGate, RawMaintenance};
use super::http2::{Http2, RawHttp2};
use super::limit;
use super::listen_address::{self, FOR_ALL, ListenAddress};
use super::names;
use super::networks;
use super::path_form::{self, RawPathForm};
use super::report::{Given, Place, Report};
use super::socket_options::{self, SocketOptions};
use super::table::Written;
use super::tls::{ListenTls, RawListenTls};
use super::units::{self, Count, KIB, MIB, Period, Size};
use crate::lists::Lists;
use crate::semantics::forwarded::Dialect;
use crate::semantics::mimicry;
use crate::semantics::path_form::{PathForm, PathRule};

const CONNECTIONS: RangeInclusive<usize> = 1..=1 << 24;
const CONNECTIONS_PER_CLIENT: RangeInclusive<usize> = 0..=1 << 24;
const REQUESTS_PER_CONNECTION: RangeInclusive<usize> = 0..=u32::MAX as usize;
const RATES: RangeInclusive<u64> = 0..=1 << 40;
/// Bytes a second that the worst of lines has, and who dribbles has not.
const RATE_MIN: u64 = 250;
const HOUR: Duration = Duration::from_secs(3600);
const TUNNELS: RangeInclusive<usize> = 0..=1 << 24;
const PORTS: RangeInclusive<usize> = 1..=65_535;
/// hyper reads into a buffer of at least 8 KiB.
const HEADER_BYTES: RangeInclusive<u64> = 8 * KIB..=MIB;
/// `http::HeaderMap` holds fewer than 32768 fields.
const HEADER_FIELDS: RangeInclusive<usize> = 1..=32_000;
/// `http::Uri` holds at most 65534 bytes.
const TARGET_BYTES: RangeInclusive<u64> = 1..=65_534;

/// Where the id of a request is, unless another field is named.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Fields that no id may stand in.
const TAKEN: [HeaderName; 5] = [AUTHORIZATION, COOKIE, FORWARDED, HOST, VIA];

/// One address at which clients are awaited.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// Where to bind.
    pub address: ListenAddress,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Which connections begin with a header of the PROXY protocol that says who they are from;
    /// `None` for none.
    pub accept_proxy: Option<AcceptProxy>,
    /// How clients shake hands; `None` where they speak in clear.
    pub tls: Option<ListenTls>,
    /// What the kernel is told of its sockets.
    pub socket: SocketOptions,
}

/// What a listener speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, and HTTP/2 by ALPN, or by prior knowledge where there is no TLS (RFC 9113 §3).
    Http,
    /// Whatever client and server speak: bytes are copied both ways.
    Tcp(Tunnel),
}

/// Where the connections of a TCP listener go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The name of the origin, one of whose servers each connection gets.
    pub origin: Arc<str>,
    /// How long a connection may carry no byte in either direction.
    pub idle_timeout: Duration,
    /// How servers are told who the client is; `None` where they are not.
    pub proxy_protocol: Option<ProxyVersion>,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl Listen {
    /// What it is called when it is bound.
    pub fn as_str(&self) -> &'static str {
        match self.protocol {
            Protocol::Http if self.tls.is_some() => "https",
            Protocol::Http => "http",
            Protocol::Tcp(_) => "tcp",
        }
    }
}

/// What any client may ask of us, whichever listener it came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Connections of clients at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Connections of one client at once, an IPv4 address or the /64 of an IPv6 one; further ones
    /// are closed. Zero for no limit.
    pub connections_per_client_max: usize,
    /// From a request's first byte to the end of its head.
    pub header_timeout: Duration,
    /// How long a connection may stay open without a request.
    pub idle_timeout: Duration,
    /// How long a client may take no byte of its response.
    pub send_timeout: Duration,
    /// How long a client may send no byte of its request body.
    pub body_timeout: Duration,
    /// How many bytes a second a client must send of its request body, where it is waited for; zero
    /// for any number.
    pub receive_rate_min: u64,
    /// The same for what it must take of its response.
    pub send_rate_min: u64,
    /// Over how long these two are measured.
    pub rate_window: Duration,
    /// How long a connection may last; `None` for as long as it likes.
    pub connection_lifetime: Option<Duration>,
    /// How many requests it may carry; zero for any number.
    pub requests_per_connection_max: usize,
    /// A longer request head is answered with 431 (RFC 6585 §5).
    pub header_bytes_max: usize,
    /// More request fields are answered with 431 (RFC 6585 §5).
    pub header_fields_max: usize,
    /// A longer request target is answered with 414 (RFC 9110 §15.5.15).
    pub target_bytes_max: usize,
    /// A longer request body is answered with 413 (RFC 9110 §15.5.14).
    pub body_bytes_max: u64,
    /// How long a client is heard out that was answered before the end of its request; zero for
    /// not at all.
    pub linger_timeout: Duration,
    /// From the order to stop until nothing more is accepted: in that time those who send us
    /// traffic are to notice that we are not ready any more.
    pub drain_delay: Duration,
    /// How long requests in progress may take after that.
    pub drain_timeout: Duration,
    /// Networks whose clients may send PURGE and SOFTPURGE; with none, these are unknown methods.
    pub purge_from: Vec<IpNet>,
    /// Names of the limits that hold for every request.
    pub limits: Vec<Arc<str>>,
    /// Who is let in, whatever is asked for.
    pub gate: Gate,
    /// Networks of proxies that are believed when they say whose a request is.
    pub trusted_proxies: Vec<IpNet>,
    /// In which words they say it, and we say it to origins.
    pub forwarded: Dialect,
    /// The field with the id of a request, which trusted proxies may give and origins are told;
    /// `None` for no such field.
    pub request_id: Option<HeaderName>,
    /// The port that clients are sent on to where only https will do.
    pub https_port: u16,
    /// How HTTP/2 is spoken.
    pub http2: Http2,
    /// How the spelling of paths is taken.
    pub path_rule: PathRule,
    /// Tunnels at once; a request for a further one is answered with 503.
    pub tunnels_max: usize,
    /// How long no byte may go either way through a tunnel.
    pub tunnel_idle_timeout: Duration,
    /// How long a tunnel may last in all; `None` for as long as it likes.
    pub tunnel_lifetime: Option<Duration>,
    /// Fields that origins get although they may be taken for others.
    pub allow_fields: Vec<HeaderName>,
}

/// One `[[listen]]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawListen {
    pub(super) address: Given<String>,
    pub(super) mode: Given<String>,
    pub(super) owner: Given<String>,
    pub(super) protocol: RawProtocol,
    /// These three are for `tcp` only.
    pub(super) origin: Given<String>,
    pub(super) idle_timeout: Given<Period>,
    pub(super) proxy_protocol: Given<RawProxyProtocol>,
    pub(super) accept_proxy: Given<RawAcceptProxy>,
    pub(super) proxy_from: Given<Vec<Spanned<String>>>,
    pub(super) tls: Given<RawListenTls>,
    pub(super) backlog: Given<Count>,
    pub(super) tcp_user_timeout: Given<Period>,
    pub(super) notsent_lowat: Given<Size>,
}

/// What a listener speaks, as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawProtocol {
    #[default]
    Http,
    Tcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawProxyProtocol {
    Off,
    V1,
    V2,
}

/// `[server]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawServer {
    connections_max: Given<Count>,
    connections_per_client_max: Given<Count>,
    header_timeout: Given<Period>,
    idle_timeout: Given<Period>,
    send_timeout: Given<Period>,
    body_timeout: Given<Period>,
    receive_rate_min: Given<Size>,
    send_rate_min: Given<Size>,
    rate_window: Given<Period>,
    connection_lifetime: Given<Period>,
    requests_per_connection_max: Given<Count>,
    header_bytes_max: Given<Size>,
    header_fields_max: Given<Count>,
    target_bytes_max: Given<Size>,
    body_bytes_max: Given<Size>,
    linger_timeout: Given<Period>,
    drain_delay: Given<Period>,
    drain_timeout: Given<Period>,
    purge_from: Vec<Spanned<String>>,
    pub(super) limit: Vec<Spanned<String>>,
    allow: Given<Vec<Spanned<String>>>,
    deny: Vec<Spanned<String>>,
    maintenance: Given<RawMaintenance>,
    error_pages: RawErrorPages,
    error_json: Option<bool>,
    intercept: Given<Vec<Spanned<String>>>,
    trusted_proxies: Vec<Spanned<String>>,
    forwarded: RawDialect,
    request_id: Given<String>,
    https_port: Given<Count>,
    http2: RawHttp2,
    path_form: Given<RawPathForm>,
    allow_fields: Vec<Spanned<String>>,
    tunnels_max: Given<Count>,
    tunnel_idle_timeout: Given<Period>,
    tunnel_lifetime: Given<Period>,
}

/// `forwarded` as written.
#[derive(Clone, Copy, Default, Deserialize)]
enum RawDialect {
    #[default]
    #[serde(rename = "x-forwarded")]
    XForwarded,
    #[serde(rename = "rfc7239")]
    Rfc7239,
    #[serde(rename = "both")]
    Both,
}

// === impl RawListen ===

impl RawListen {
    /// `None` after a complaint.
    pub(super) fn resolve(
        raw: &Written<Self>,
        care: Care<'_>,
        report: &mut Report,
    ) -> Option<Listen> {
        let keys = &**raw.get_ref();
        let protocol = keys.resolve_protocol(raw.span(), report);
        let accept_proxy = accept_proxy::resolve(&keys.accept_proxy, &keys.proxy_from, report);
        let tls = keys.tls.as_ref();
        let tls = tls.and_then(|it| it.get_ref().resolve(it.span(), care, report));
        let socket = keys.resolve_socket(report);
        let Some(address) = &keys.address else {
            report.missing(
                raw.span(),
                "address",
                "is missing; write `address = \"127.0.0.1:8080\"`",
            );
            return None;
        };
        let address = listen_address::Keys {
            address,
            mode: &keys.mode,
            owner: &keys.owner,
            usual_mode: FOR_ALL,
        };
        let address = address.resolve(report)?;
        Some(Listen {
            address,
            protocol: protocol?,
            accept_proxy,
            tls,
            socket,
        })
    }

    /// The table stands at `place`. `None` after a complaint.
    fn resolve_protocol(&self, place: Place, report: &mut Report) -> Option<Protocol> {
        if self.protocol == RawProtocol::Http {
            self.refuse_keys_of_tcp(report);
            return Some(Protocol::Http);
        }
        let idle_timeout = units::timeout(&self.idle_timeout, 600, report);
        let proxy_protocol = self.proxy_protocol.as_ref().map(Spanned::get_ref);
        let Some(origin) = &self.origin else {
            let text = "is missing; write the name of one, which is to get the connections";
            report.missing(place, "origin", text);
            return None;
        };
        Some(Protocol::Tcp(Tunnel {
            origin: origin.get_ref().as_str().into(),
            idle_timeout,
            proxy_protocol: proxy_protocol.and_then(|it| it.version()),
        }))
    }

    fn resolve_socket(&self, report: &mut Report) -> SocketOptions {
        let (backlog, lowat) = (&self.backlog, &self.notsent_lowat);
        socket_options::resolve(backlog, &self.tcp_user_timeout, lowat, report)
    }

    fn refuse_keys_of_tcp(&self, report: &mut Report) {
        let places = [
            self.origin.as_ref().map(Spanned::span),
            self.idle_timeout.as_ref().map(Spanned::span),
            self.proxy_protocol.as_ref().map(Spanned::span),
        ];
        for place in places.into_iter().flatten() {
            let text = "is only for `protocol = \"tcp\"`; write that too, or leave this out";
            report.at(place, text);
        }
    }
}

// === impl RawProxyProtocol ===

impl RawProxyProtocol {
    pub(super) fn version(self) -> Option<ProxyVersion> {
        match self {
            Self::Off => None,
            Self::V1 => Some(ProxyVersion::V1),
            Self::V2 => Some(ProxyVersion::V2),
        }
    }
}

// === impl RawServer ===

impl RawServer {
    pub(super) fn resolve(&self, lists: &Lists, report: &mut Report) -> Server {
        let header_bytes_max = fitting(units::bytes(
            &self.header_bytes_max,
            32 * KIB,
            HEADER_BYTES,
            report,
        ));
        let header_fields_max = units::count(&self.header_fields_max, 100, HEADER_FIELDS, report);
        let server = Server {
            http2: self
                .http2
                .resolve(header_bytes_max, header_fields_max, report),
            connections_max: units::count(&self.connections_max, 16_384, CONNECTIONS, report),
            connections_per_client_max: units::count(
                &self.connections_per_client_max,
                0,
                CONNECTIONS_PER_CLIENT,
                report,
            ),
            header_timeout: units::timeout(&self.header_timeout, 10, report),
            idle_timeout: units::timeout(&self.idle_timeout, 75, report),
            send_timeout: units::timeout(&self.send_timeout, 30, report),
            body_timeout: units::timeout(&self.body_timeout, 30, report),
            receive_rate_min: units::bytes(&self.receive_rate_min, RATE_MIN, RATES, report),
            send_rate_min: units::bytes(&self.send_rate_min, RATE_MIN, RATES, report),
            rate_window: units::timeout(&self.rate_window, 10, report),
            connection_lifetime: units::unless_zero(units::period(&self.connection_lifetime, HOUR)),
            requests_per_connection_max: units::count(
                &self.requests_per_connection_max,
                0,
                REQUESTS_PER_CONNECTION,
                report,
            ),
            header_bytes_max,
            header_fields_max,
            target_bytes_max: fitting(units::bytes(
                &self.target_bytes_max,
                8 * KIB,
                TARGET_BYTES,
                report,
            )),
            body_bytes_max: units::bytes(&self.body_bytes_max, 1 << 30, 0..=u64::MAX, report),
            linger_timeout: units::period(&self.linger_timeout, Duration::from_secs(30)),
            drain_delay: units::period(&self.drain_delay, Duration::ZERO),
            drain_timeout: units::period(&self.drain_timeout, Duration::from_secs(30)),
            purge_from: networks::resolve(&self.purge_from, report),
            limits: limit::names(&self.limit),
            gate: self.gate().over(&Gate::default(), lists, report),
            trusted_proxies: networks::resolve(&self.trusted_proxies, report),
            forwarded: match self.forwarded {
                RawDialect::XForwarded => Dialect::XForwarded,
                RawDialect::Rfc7239 => Dialect::Rfc7239,
                RawDialect::Both => Dialect::Both,
            },
            request_id: self.resolve_request_id(report),
            https_port: u16::try_from(units::count(&self.https_port, 443, PORTS, report))
                .unwrap_or(443),
            path_rule: path_form::over(&self.path_form, PathRule::of(PathForm::default()), report),
            allow_fields: self.resolve_allowed(report),
            tunnels_max: units::count(&self.tunnels_max, 8192, TUNNELS, report),
            tunnel_idle_timeout: units::timeout(&self.tunnel_idle_timeout, 600, report),
            tunnel_lifetime: units::unless_zero(units::period(
                &self.tunnel_lifetime,
                Duration::ZERO,
            )),
        };
        self.check_target_fits(&server, report);
        server
    }

    fn gate(&self) -> RawGate<'_> {
        RawGate {
            allow: &self.allow,
            deny: &self.deny,
            maintenance: &self.maintenance,
            basic_auth: &None,
            redirects: &None,
            error_pages: &self.error_pages,
            error_json: self.error_json,
            intercept: &self.intercept,
        }
    }

    fn resolve_request_id(&self, report: &mut Report) -> Option<HeaderName> {
        let Some(text) = &self.request_id else {
            return Some(REQUEST_ID);
        };
        if text.get_ref() == "off" {
            return None;
        }
        let parsed = names::field(text.get_ref());
        let is_own = |it: &HeaderName| !fields::is_of_connection(it) && !TAKEN.contains(it);
        match parsed {
            Ok(name) if is_own(&name) => return Some(name),
            Ok(_) => report.at(
                text.span(),
                "has a meaning of its own; write \"x-request-id\"",
            ),
            Err(complaint) => report.at(text.span(), complaint),
        }
        None
    }

    /// Names of fields that would be dropped.
    fn resolve_allowed(&self, report: &mut Report) -> Vec<HeaderName> {
        let mut allowed = Vec::new();
        for text in &self.allow_fields {
            match names::field(text.get_ref()) {
                // With an underscore it may be like a field that a route sets.
                Ok(name) if mimicry::is_always_stripped(&name) || name.as_str().contains('_') => {
                    allowed.push(name);
                }
                Ok(_) => report.at(text.span(), "is not dropped anyway; leave it out"),
                Err(complaint) => report.at(text.span(), complaint),
            }
        }
        allowed
    }

    fn check_target_fits(&self, server: &Server, report: &mut Report) {
        if server.target_bytes_max <= server.header_bytes_max {
            return;
        }
        if let Some(target) = &self.target_bytes_max {
            let text = "is more than `header_bytes_max`, which counts the target too; raise that";
            report.at(target.span(), text);
        }
    }
}

/// `usize` for limits that are checked to be far below its end.
fn fitting(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
