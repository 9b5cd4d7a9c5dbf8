//! `[origins.NAME]`: where responses come from.
//!
//! Not the pool of connections, nor the choice among servers.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use serde::Deserialize;
use toml::Spanned;

use super::Profile;
use super::agent::{Agent, RawAgent};
use super::balance::{self, Balance, RawBalance};
use super::breaker::{Breaker, RawBreaker};
use super::ejection::{self, Ejection, RawEjection};
use super::health::{Health, RawHealth};
use super::hedge::{Hedge, RawHedge};
use super::host;
use super::listen::RawProxyProtocol;
use super::names;
use super::origin_tls::{RawTls, Tls};
use super::overload::{self, RawRequestsMax, RequestsMax};
use super::report::{Given, Place, Report};
use super::retry::{self, RawRetry, Retry};
use super::server::{self, RawServer, Server};
use super::sticky::{RawSticky, Sticky};
use super::table::{Table, Written};
use super::text_or::TextOr;
use super::units::{self, Count, Period};
use super::wire::{HttpVersion, RawWire, Wire};

const CONNECTIONS: RangeInclusive<usize> = 1..=1_000_000;
/// As many servers as DNS may bring.
const FOUND: RangeInclusive<usize> = 1..=1024;
/// So many unless it is written.
pub(super) const FOUND_DEFAULT: usize = 64;
const IDLE: RangeInclusive<usize> = 0..=1_000_000;
const PENDING: RangeInclusive<usize> = 0..=1_000_000;

/// Servers that hold the same content.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Its name, which routes refer to: ASCII letters, digits, `_` and `-`.
    pub name: Arc<str>,
    /// Its servers in the order written: one at least, and each once.
    pub servers: Vec<Server>,
    /// As many servers as are taken of those that DNS names, beside those written as one.
    pub servers_max: usize,
    /// How one of them is chosen for a request.
    pub balance: Balance,
    /// What its servers are asked to know whether they are well; `None` for no probes.
    pub health: Option<Health>,
    /// Who is asked beside each server how much it can take; `None` for nobody.
    pub agent: Option<Agent>,
    /// When a server is left alone because of how it answered.
    pub ejection: Ejection,
    /// Which failed requests are sent again.
    pub retry: Retry,
    /// When a slow request is sent to another server as well; `None` for never.
    pub hedge: Option<Hedge>,
    /// Where a smaller share of the servers is usable, health is disregarded; 0 to 1.
    pub panic_threshold: f64,
    /// How long a server that comes back takes to its full weight; zero for none.
    pub slow_start: Duration,
    /// A cookie by which clients come back to their server, if there is one.
    pub sticky: Option<Sticky>,
    /// How its `https` servers are spoken to; `None` where it has none.
    pub tls: Option<Tls>,
    /// How connections to its servers are spoken and kept.
    pub wire: Wire,
    /// The Host field towards the servers; `None` leaves what the client asked for.
    pub host: Option<HeaderValue>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// From the request sent to the whole response head received.
    pub first_byte_timeout: Duration,
    /// How long a response body may be silent.
    pub between_bytes_timeout: Duration,
    /// How long a connection is kept in the pool without a request.
    pub idle_timeout: Duration,
    /// Connections kept in the pool, for each server; 0 keeps none.
    pub idle_max: usize,
    /// Connections in use and in the pool, for each server.
    pub connections_max: usize,
    /// Requests in flight, for each server.
    pub requests_max: RequestsMax,
    /// Requests of all servers together that wait until one has room.
    pub pending_max: usize,
    /// How long they wait.
    pub pending_timeout: Duration,
    /// When it is not asked at all because of how requests ended; `None` for never.
    pub breaker: Option<Breaker>,
    /// Whether a response with a transfer coding other than `chunked` is refused
    /// (RFC 9112 §6.1).
    pub refuse_unknown_coding: bool,
}

/// `[origins.NAME]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawOrigin {
    servers: Given<Vec<Spanned<RawServer>>>,
    servers_max: Given<Count>,
    balance: Given<TextOr<RawBalance>>,
    health: Option<Table<RawHealth>>,
    agent: Option<Written<RawAgent>>,
    ejection: Table<RawEjection>,
    retry: Table<RawRetry>,
    hedge: Option<Table<RawHedge>>,
    panic_threshold: Given<f64>,
    slow_start: Given<Period>,
    sticky: Option<Written<RawSticky>>,
    tls: Option<Written<RawTls>>,
    http_version: Given<HttpVersion>,
    streams_max: Given<Count>,
    idle_min: Given<Count>,
    age_max: Given<Period>,
    proxy_protocol: Given<RawProxyProtocol>,
    host: Given<String>,
    connect_timeout: Given<Period>,
    first_byte_timeout: Given<Period>,
    between_bytes_timeout: Given<Period>,
    idle_timeout: Given<Period>,
    idle_max: Given<Count>,
    connections_max: Given<Count>,
    requests_max: Given<RawRequestsMax>,
    pending_max: Given<Count>,
    pending_timeout: Given<Period>,
    breaker: Option<Table<RawBreaker>>,
    unknown_transfer_coding: Option<UnknownCoding>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnknownCoding {
    Refuse,
    Accept,
}

// === impl RawOrigin ===

impl RawOrigin {
    /// A table that has only servers.
    pub(super) fn of_servers(servers: Spanned<Vec<Spanned<RawServer>>>) -> Self {
        Self {
            servers: Some(servers),
            ..Self::default()
        }
    }

    /// The table stands at `place`.
    pub(super) fn resolve(
        &self,
        name: &str,
        place: Place,
        profile: Profile,
        report: &mut Report,
    ) -> Origin {
        let by_profile = match profile {
            Profile::Cautious => UnknownCoding::Refuse,
            Profile::Rfc => UnknownCoding::Accept,
        };
        let unknown_coding = self.unknown_transfer_coding.unwrap_or(by_profile);
        let servers = self.resolve_servers(place.clone(), report);
        let idle_max = units::count(&self.idle_max, 64, IDLE, report);
        let connections_max = units::count(&self.connections_max, 1024, CONNECTIONS, report);
        Origin {
            name: name.into(),
            agent: self
                .agent
                .as_ref()
                .and_then(|it| it.get_ref().resolve(&servers, it.span(), report)),
            tls: self.resolve_tls(&servers, place, report),
            servers,
            servers_max: units::count(&self.servers_max, FOUND_DEFAULT, FOUND, report),
            wire: self.wire().resolve(idle_max, connections_max, report),
            balance: balance::resolve(&self.balance, report),
            health: self.health.as_ref().map(|it| it.resolve(report)),
            ejection: ejection::resolve(&self.ejection, report),
            retry: retry::resolve(&self.retry, report),
            hedge: self.hedge.as_ref().map(|it| it.resolve(report)),
            panic_threshold: units::share(&self.panic_threshold, 0.5, report),
            slow_start: units::period(&self.slow_start, Duration::ZERO),
            sticky: self
                .sticky
                .as_ref()
                .and_then(|it| it.get_ref().resolve(it.span(), report)),
            host: self.host.as_ref().and_then(|it| resolve_host(it, report)),
            connect_timeout: units::timeout(&self.connect_timeout, 3, report),
            first_byte_timeout: units::timeout(&self.first_byte_timeout, 60, report),
            between_bytes_timeout: units::timeout(&self.between_bytes_timeout, 60, report),
            idle_timeout: units::timeout(&self.idle_timeout, 60, report),
            idle_max,
            connections_max,
            requests_max: overload::resolve(&self.requests_max, report),
            pending_max: units::count(&self.pending_max, 1024, PENDING, report),
            pending_timeout: units::timeout(&self.pending_timeout, 3, report),
            breaker: self.breaker.as_ref().map(|it| it.resolve(report)),
            refuse_unknown_coding: unknown_coding == UnknownCoding::Refuse,
        }
    }

    fn wire(&self) -> RawWire<'_> {
        RawWire {
            http_version: &self.http_version,
            streams_max: &self.streams_max,
            idle_min: &self.idle_min,
            age_max: &self.age_max,
            proxy_protocol: &self.proxy_protocol,
        }
    }

    fn resolve_servers(&self, place: Place, report: &mut Report) -> Vec<Server> {
        let Some(list) = &self.servers else {
            let text = "is missing; write `servers = [\"http://127.0.0.1:8081\"]`";
            report.missing(place, "servers", text);
            return Vec::new();
        };
        server::resolve(list, report)
    }

    /// Without the table, whatever the system trusts is trusted.
    fn resolve_tls(&self, servers: &[Server], place: Place, report: &mut Report) -> Option<Tls> {
        let is_used = servers.iter().any(|it| it.url.is_tls());
        match &self.tls {
            Some(tls) if is_used || servers.is_empty() => {
                Some(tls.get_ref().resolve(tls.span(), report))
            }
            Some(tls) => {
                let text = "is for https servers, of which there is none; leave it out";
                report.at(tls.span(), text);
                None
            }
            None if is_used => {
                let list = self.servers.as_ref().map_or(place, Spanned::span);
                Some(RawTls::default().resolve(list, report))
            }
            None => None,
        }
    }
}

fn resolve_host(text: &Spanned<String>, report: &mut Report) -> Option<HeaderValue> {
    if let Err(complaint) = host::parse_with_port(text.get_ref()) {
        report.at(text.span(), complaint);
        return None;
    }
    // A checked host is ASCII without controls, which every field value may hold.
    HeaderValue::from_str(text.get_ref()).ok()
}

/// Names stand in paths of the admin API and in labels of metrics.
pub(super) fn check_name(name: &Spanned<String>, report: &mut Report) {
    names::check_label(name, "origins", report);
}
