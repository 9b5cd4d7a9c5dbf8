//! `[origins.NAME]`: where responses come from.
//!
//! Not the pool of connections, nor the choice among servers.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use serde::Deserialize;
use toml::Spanned;

use super::Profile;
use super::host;
use super::names;
use super::report::{Given, Place, Report};
use super::units::{self, Count, Period};

const CONNECTIONS: RangeInclusive<usize> = 1..=1_000_000;
const IDLE: RangeInclusive<usize> = 0..=1_000_000;

/// Servers that hold the same content.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Its name, which routes refer to: ASCII letters, digits, `_` and `-`.
    pub name: Arc<str>,
    /// Its servers in the order written: one at least, and each once.
    pub servers: Vec<ServerUrl>,
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
    /// Whether a response with a transfer coding other than `chunked` is refused
    /// (RFC 9112 §6.1).
    pub refuse_unknown_coding: bool,
}

/// The address of one server, `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    /// A name or an IP address, in lower case and without brackets.
    pub host: Arc<str>,
    /// 80 where none was written.
    pub port: u16,
}

/// `[origins.NAME]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawOrigin {
    servers: Given<Vec<Spanned<String>>>,
    host: Given<String>,
    connect_timeout: Given<Period>,
    first_byte_timeout: Given<Period>,
    between_bytes_timeout: Given<Period>,
    idle_timeout: Given<Period>,
    idle_max: Given<Count>,
    connections_max: Given<Count>,
    unknown_transfer_coding: Option<UnknownCoding>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnknownCoding {
    Refuse,
    Accept,
}

// === impl ServerUrl ===

impl ServerUrl {
    /// `host:port`, the port always written, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| format!("is not a URL; write \"http://{url}\""))?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => {
                return Err(
                    "https origins need TLS, which this version does not speak; \
                            write \"http://…\" or put a TLS client between"
                        .to_owned(),
                );
            }
            _ => return Err(format!("unknown scheme `{scheme}`; write \"http://…\"")),
        }
        if rest.contains('@') {
            return Err("has user information, which is not sent; leave out all up to `@`".into());
        }
        // "http://host/" has the empty path, spelt out (RFC 3986 §6.2.3).
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err("has a path or a query; leave it out, paths are for routes".to_owned());
        }
        let (host, port) = host::parse_with_port(authority)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').into();
        Ok(Self {
            host,
            port: port.unwrap_or(80),
        })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

// === impl RawOrigin ===

impl RawOrigin {
    /// A table that has only servers.
    pub(super) fn of_servers(servers: Spanned<Vec<Spanned<String>>>) -> Self {
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
        Origin {
            name: name.into(),
            servers: self.resolve_servers(place, report),
            host: self.host.as_ref().and_then(|it| resolve_host(it, report)),
            connect_timeout: units::timeout(&self.connect_timeout, 3, report),
            first_byte_timeout: units::timeout(&self.first_byte_timeout, 60, report),
            between_bytes_timeout: units::timeout(&self.between_bytes_timeout, 30, report),
            idle_timeout: units::timeout(&self.idle_timeout, 60, report),
            idle_max: units::count(&self.idle_max, 64, IDLE, report),
            connections_max: units::count(&self.connections_max, 1024, CONNECTIONS, report),
            refuse_unknown_coding: unknown_coding == UnknownCoding::Refuse,
        }
    }

    fn resolve_servers(&self, place: Place, report: &mut Report) -> Vec<ServerUrl> {
        let Some(list) = &self.servers else {
            let text = "is missing; write `servers = [\"http://127.0.0.1:8081\"]`";
            report.missing(place, "servers", text);
            return Vec::new();
        };
        if list.get_ref().is_empty() {
            report.at(list.span(), "is empty; write one server at least");
        }
        let mut servers: Vec<ServerUrl> = Vec::new();
        for text in list.get_ref() {
            match ServerUrl::parse(text.get_ref()) {
                Ok(server) if servers.contains(&server) => {
                    report.at(
                        text.span(),
                        format!("{server} is in this list already; remove one"),
                    );
                }
                Ok(server) => servers.push(server),
                Err(complaint) => report.at(text.span(), complaint),
            }
        }
        servers
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_urls() {
        // RFC 9110 §4.2.1: http-URI = "http" "://" authority path-abempty [ "?" query ].
        for (url, authority) in [
            ("http://127.0.0.1:8081", Some("127.0.0.1:8081")),
            ("http://127.0.0.1:8081/", Some("127.0.0.1:8081")),
            ("HTTP://App.Internal", Some("app.internal:80")),
            ("http://[::1]:8081", Some("[::1]:8081")),
            ("http://[::1]", Some("[::1]:80")),
            ("127.0.0.1:8081", None),
            ("https://a", None),
            ("ftp://a", None),
            ("unix:///run/app.sock", None),
            ("http://", None),
            ("http:///", None),
            ("http://user@a", None),
            ("http://a/b", None),
            ("http://a?b", None),
            ("http://a:0", None),
            ("http://a:b", None),
            ("http://a b", None),
        ] {
            let parsed = ServerUrl::parse(url).ok().map(|it| it.authority());
            assert_eq!(parsed.as_deref(), authority, "{url}");
        }
    }
}
