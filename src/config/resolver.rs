//! `[resolver]`: who is asked for the addresses of servers that are names, and how often.
//!
//! Nothing is looked up here; which servers are names is in `server.rs`.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::report::{Given, Report};
use super::units::{self, Count, Period};

/// RFC 1035 §4.2.1: "Messages sent using UDP user server port 53 (decimal)."
const PORT: u16 = 53;
const ATTEMPTS: RangeInclusive<usize> = 1..=10;
const SERVERS_MAX: usize = 16;

/// How names are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// The DNS servers; none for those of the system, `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// How long one question to them may take.
    pub timeout: Duration,
    /// How often a question is asked that gets no answer, 1 to 10.
    pub attempts: usize,
    /// An answer is used for so long at least, whatever its TTL.
    pub ttl_min: Duration,
    /// And for no longer than this; not shorter than `ttl_min`.
    pub ttl_max: Duration,
    /// From a lookup that failed, or brought nothing, to the next.
    pub retry: Duration,
}

/// `[resolver]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawResolver {
    servers: Given<Vec<Spanned<String>>>,
    timeout: Given<Period>,
    attempts: Given<Count>,
    ttl_min: Given<Period>,
    ttl_max: Given<Period>,
    retry: Given<Period>,
}

// === impl RawResolver ===

impl RawResolver {
    pub(super) fn resolve(&self, report: &mut Report) -> Resolver {
        let ttl_min = units::timeout(&self.ttl_min, 1, report);
        let mut ttl_max = units::timeout(&self.ttl_max, 300, report);
        if ttl_max < ttl_min {
            if let Some(it) = self.ttl_max.as_ref().or(self.ttl_min.as_ref()) {
                let text = "`ttl_max`, 5m unless written, is shorter than `ttl_min`, 1s unless \
                            written; change one of the two";
                report.at(it.span(), text);
            }
            ttl_max = ttl_min;
        }
        Resolver {
            servers: self.resolve_servers(report),
            timeout: units::timeout(&self.timeout, 2, report),
            attempts: units::count(&self.attempts, 2, ATTEMPTS, report),
            ttl_min,
            ttl_max,
            retry: units::timeout(&self.retry, 1, report),
        }
    }

    fn resolve_servers(&self, report: &mut Report) -> Vec<SocketAddr> {
        let Some(list) = &self.servers else {
            return Vec::new();
        };
        if list.get_ref().is_empty() || list.get_ref().len() > SERVERS_MAX {
            let text = "has 1 to 16 servers; leave it out for those of the system";
            report.at(list.span(), text);
        }
        let mut servers = Vec::new();
        for written in list.get_ref() {
            match parse(written.get_ref()) {
                Some(address) => servers.push(address),
                None => report.at(
                    written.span(),
                    "is not the address of a DNS server; write \"10.0.0.2:53\" or \"[::1]:53\"",
                ),
            }
        }
        servers
    }
}

/// An address with a port, or with that of DNS.
fn parse(text: &str) -> Option<SocketAddr> {
    let with_port = text.parse().ok().filter(|it: &SocketAddr| it.port() > 0);
    with_port.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, PORT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_dns_servers() {
        for (text, address) in [
            ("10.0.0.2:5353", Some("10.0.0.2:5353")),
            ("10.0.0.2", Some("10.0.0.2:53")),
            ("::1", Some("[::1]:53")),
            ("[::1]:54", Some("[::1]:54")),
            ("[::1]", None),
            ("10.0.0.2:0", None),
            ("10.0.0.2:", None),
            ("dns.example", None),
            ("", None),
        ] {
            let address = address.map(|it| it.parse().unwrap());
            assert_eq!(parse(text), address, "{text}");
        }
    }
}
