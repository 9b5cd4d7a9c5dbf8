//! `servers` of `[origins.NAME]`: where each is, and how much it should get.
//!
//! Not the choice among them.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::host;
use super::meant::addresses;
use super::origin_tls;
use super::report::{Given, Report};
use super::text_or::TextOr;
use super::units::{self, Count};

const WEIGHTS: RangeInclusive<usize> = 1..=256;

/// How the name of SRV records looks.
const SERVICE: &str = "http://_http._tcp.app.internal";

/// What fits into a `sockaddr_un` with the NUL behind it (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// One server of an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub url: ServerUrl,
    /// Its share among its siblings, 1 to 256.
    pub weight: u32,
    /// Whether it is only used when no other can answer.
    pub backup: bool,
    /// What its name stands for, if it is a name.
    pub resolve: Resolve,
}

/// What the name of a server stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resolve {
    /// One server, by whichever of its addresses.
    #[default]
    One,
    /// As many servers as it has addresses.
    Each,
    /// The servers that its SRV records name (RFC 2782); then the port of the URL is 0.
    Srv,
}

/// The address of one server: `http://host:port`, `https://host:port`, `unix:/path`, or `tcp://host:port`
/// behind TCP listeners.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerUrl {
    /// By TCP.
    Tcp {
        /// Whether it is spoken to through TLS.
        tls: bool,
        /// A name or an IP address, in lower case and without brackets.
        host: Arc<str>,
        /// 80 where none was written, or 443 with TLS; 0 where SRV records say it.
        port: u16,
    },
    /// By a Unix socket, of which this is the absolute path.
    Unix(Arc<str>),
}

/// A server as written: its URL, or a table.
pub(super) type RawServer = TextOr<RawServerTable>;

/// The table of a server as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawServerTable {
    url: Given<String>,
    weight: Given<Count>,
    backup: bool,
    resolve: Given<Resolve>,
}

// === impl Resolve ===

impl Resolve {
    fn parse(self, url: &str) -> Result<ServerUrl, String> {
        match self {
            Self::One | Self::Each => ServerUrl::parse(url),
            Self::Srv => ServerUrl::parse_service(url),
        }
    }
}

// === impl ServerUrl ===

impl ServerUrl {
    /// Its host, if that is a name and no address.
    fn name(&self) -> Option<&Arc<str>> {
        match self {
            Self::Tcp { host, .. } => host.parse::<IpAddr>().is_err().then_some(host),
            Self::Unix(_) => None,
        }
    }

    /// Whether its host is named as only SRV records are.
    fn is_service(&self) -> bool {
        self.name()
            .is_some_and(|it| service_domain(it).len() < it.len())
    }

    /// `host:port`, the port always written, an IPv6 address in brackets; or `unix:/path`.
    pub fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            Self::Unix(path) => format!("unix:{path}"),
        }
    }

    /// Whether it is spoken to through TLS.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }

    fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("unix:") {
            return parse_path(path).map(Self::Unix);
        }
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| addresses::server(url))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            // There is no port that all protocols share.
            "tcp" => return Self::parse_tcp(rest),
            "grpc" | "h2c" | "h2" => return Err(unknown_http2(scheme, "http")),
            "grpcs" => return Err(unknown_http2(scheme, "https")),
            _ => {
                return Err(format!(
                    "unknown scheme `{scheme}`; write \"http://…\" or \"https://…\""
                ));
            }
        };
        if rest.contains('@') {
            return Err("has user information, which is not sent; leave out all up to `@`".into());
        }
        // "http://host/" has the empty path, spelt out (RFC 3986 §6.2.3).
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err("has a path or a query; leave it out, paths are for routes".to_owned());
        }
        let (host, port) = host::parse_with_port(authority)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if tls {
            origin_tls::server_name(host)?;
        }
        Ok(Self::Tcp {
            tls,
            host: host.into(),
            // RFC 9110 §4.2.1 and §4.2.2: the default ports.
            port: port.unwrap_or(if tls { 443 } else { 80 }),
        })
    }

    /// The name of a service with its scheme (RFC 2782: `_Service._Proto.Name`); its records have
    /// the ports.
    fn parse_service(url: &str) -> Result<Self, String> {
        let wanted = || format!("is not the name of SRV records; write \"{SERVICE}\"");
        let (scheme, name) = url.split_once("://").ok_or_else(wanted)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" | "tcp" => false,
            "https" => true,
            _ => return Err(wanted()),
        };
        let name = name.strip_suffix('/').unwrap_or(name);
        let (name, port) = host::parse_with_port(name)?;
        if port.is_some() {
            return Err("has a port, which SRV records say; leave it out".to_owned());
        }
        if name.len() == service_domain(&name).len() {
            return Err(wanted());
        }
        Ok(Self::Tcp {
            tls,
            host: name.into(),
            port: 0,
        })
    }

    fn parse_tcp(authority: &str) -> Result<Self, String> {
        let (host, port) = host::parse_with_port(authority)?;
        let port = port.ok_or_else(|| format!("has no port; write \"tcp://{host}:6379\""))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').into();
        Ok(Self::Tcp {
            tls: false,
            host,
            port,
        })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { tls: true, .. } => write!(f, "https://{}", self.authority()),
            Self::Tcp { tls: false, .. } => write!(f, "http://{}", self.authority()),
            Self::Unix(_) => f.write_str(&self.authority()),
        }
    }
}

// === impl RawServerTable ===

impl RawServerTable {
    /// What the name in `url` stands for; `None` after a complaint.
    fn resolve_names(&self, url: &str, report: &mut Report) -> Option<Resolve> {
        let Some(written) = &self.resolve else {
            return Some(Resolve::One);
        };
        let resolve = *written.get_ref();
        let parsed = resolve.parse(url);
        if parsed.is_ok_and(|url| resolve != Resolve::One && url.name().is_none()) {
            let text = "is for servers that are names; leave it out";
            report.at(written.span(), text);
            return None;
        }
        if let Some(weight) = self.weight.as_ref().filter(|_| resolve == Resolve::Srv) {
            let text = "is what the SRV records say; leave it out";
            report.at(weight.span(), text);
        }
        Some(resolve)
    }
}

/// Other programs say by the scheme that HTTP/2 is spoken.
fn unknown_http2(scheme: &str, meant: &str) -> String {
    format!("unknown scheme `{scheme}`; write \"{meant}://…\" and `http_version = \"2\"`")
}

/// The domain that a service is offered for: its name without the service and the protocol. By
/// RFC 9525 §6.1 that is what its servers must prove to be, for the records name them unproven.
pub fn service_domain(service: &str) -> &str {
    let mut rest = service;
    for _ in 0..2 {
        match rest.split_once('.') {
            Some((label, domain)) if label.starts_with('_') => rest = domain,
            _ => return service,
        }
    }
    rest
}

fn parse_path(path: &str) -> Result<Arc<str>, String> {
    if !path.starts_with('/') || path.starts_with("//") {
        return Err("is not an absolute path; write \"unix:/run/app.sock\"".to_owned());
    }
    if path.len() > SOCKET_PATH_BYTES_MAX || path.contains(char::is_control) {
        return Err("is not the path of a socket, which has 107 bytes at most".to_owned());
    }
    Ok(path.into())
}

/// The servers of a list, each once and without those complained of.
pub(super) fn resolve(list: &Spanned<Vec<Spanned<RawServer>>>, report: &mut Report) -> Vec<Server> {
    if list.get_ref().is_empty() {
        report.at(list.span(), "is empty; write one server at least");
    }
    let mut servers: Vec<Server> = Vec::new();
    for raw in list.get_ref() {
        let Some(server) = resolve_one(raw, report) else {
            continue;
        };
        let authority = server.url.authority();
        if servers.iter().any(|it| it.url.authority() == authority) {
            let text = format!("{authority} is in this list already; remove one");
            report.at(raw.span(), text);
        } else {
            servers.push(server);
        }
    }
    if let Some(last) = list.get_ref().last()
        && !servers.is_empty()
        && servers.iter().all(|it| it.backup)
    {
        let text = "is a backup as all others; one server at least must not be";
        report.at(last.span(), text);
    }
    servers
}

/// `None` after a complaint.
fn resolve_one(raw: &Spanned<RawServer>, report: &mut Report) -> Option<Server> {
    let (text, place, weight, backup, resolve) = match raw.get_ref() {
        TextOr::Text(text) => (text, raw.span(), 1, false, Resolve::One),
        TextOr::Table(table) => {
            let weight = units::count(&table.weight, 1, WEIGHTS, report);
            let Some(url) = &table.url else {
                let text = "is missing; write `url = \"http://127.0.0.1:8081\"`";
                report.missing(raw.span(), "url", text);
                return None;
            };
            // The limits of a weight fit.
            let weight = u32::try_from(weight).unwrap_or(1);
            let resolve = table.resolve_names(url.get_ref(), report)?;
            (url.get_ref(), url.span(), weight, table.backup, resolve)
        }
    };
    match resolve.parse(text) {
        Ok(url) if resolve != Resolve::Srv && url.is_service() => {
            let table = format!("{{ url = {text:?}, resolve = \"srv\" }}");
            report.at(
                place,
                format!("is the name of SRV records; write `{table}`"),
            );
            None
        }
        Ok(url) => Some(Server {
            url,
            weight,
            backup,
            resolve,
        }),
        Err(complaint) => {
            report.at(place, complaint);
            None
        }
    }
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
            ("https://a", Some("a:443")),
            ("HTTPS://[::1]:8443/", Some("[::1]:8443")),
            ("https://a:80", Some("a:80")),
            ("https://", None),
            ("tcp://a:6379", Some("a:6379")),
            ("tcp://[::1]:1", Some("[::1]:1")),
            ("tcp://a", None),
            ("tcp://a:1/", None),
            ("ftp://a", None),
            ("unix:/run/app.sock", Some("unix:/run/app.sock")),
            ("unix:///run/app.sock", None),
            ("unix:app.sock", None),
            ("unix:", None),
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

    #[test]
    fn urls_of_services() {
        for (url, domain) in [
            ("http://_http._tcp.app.internal", Some("app.internal")),
            ("https://_HTTPS._tcp.App.internal/", Some("app.internal")),
            ("tcp://_redis._tcp.app", Some("app")),
            ("http://_http._tcp.app:80", None),
            ("http://_http._tcp", None),
            ("http://_http.app.internal", None),
            ("http://app.internal", None),
            ("unix:/run/app.sock", None),
            ("_http._tcp.app", None),
            ("ftp://_ftp._tcp.app", None),
        ] {
            let parsed = ServerUrl::parse_service(url).ok();
            let name = parsed.as_ref().and_then(|it| it.name());
            assert_eq!(name.map(|it| service_domain(it)), domain, "{url}");
        }
    }
}
