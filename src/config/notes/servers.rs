//! Notes on servers of origins: those that are ourselves, and ports of the other scheme.

use std::net::{IpAddr, SocketAddr};

use super::Notebook;
use crate::config::{Action, Config, HostPattern, ListenAddress, Origin, Protocol, ServerUrl};

const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

pub(super) fn look(config: &Config, book: &mut Notebook) {
    for origin in config.origins.values() {
        for (at, server) in origin.servers.iter().enumerate() {
            let ServerUrl::Tcp { tls, host, port } = &server.url else {
                continue;
            };
            let said =
                ourselves(config, origin, host, *port).or_else(|| other_scheme(*tls, host, *port));
            if let Some(text) = said {
                book.at(&format!("origins.{}.servers[{at}]", origin.name), text);
            }
        }
    }
}

/// A server that is a listener of this configuration, or will be once DNS leads here.
fn ourselves(config: &Config, origin: &Origin, host: &str, port: u16) -> Option<String> {
    let is_here = |it: &ListenAddress| it.ip().is_some_and(|it| is_at(host, port, it));
    if config.admin.as_ref().is_some_and(|it| is_here(&it.address)) {
        return Some("is our own admin listener; write where the origin listens".to_owned());
    }
    for (number, listen) in config.listen.iter().enumerate() {
        if !leads_to(config, &listen.protocol, origin) {
            continue;
        }
        if is_here(&listen.address) {
            return Some(format!(
                "is our own `listen[{number}]`, so that requests go in circles; write where the \
                 origin listens"
            ));
        }
        let has_port = listen.address.ip().is_some_and(|it| it.port() == port);
        if has_port && is_host_of_a_site(config, host) {
            return Some(format!(
                "has the host of a site and the port of `listen[{number}]`: once that name leads \
                 here, requests go in circles; write the address of the origin itself"
            ));
        }
    }
    None
}

/// Whether what comes in at a listener of this kind may be sent to the origin.
fn leads_to(config: &Config, protocol: &Protocol, origin: &Origin) -> bool {
    let mut routes = config.sites.iter().flat_map(|it| &it.routes);
    match protocol {
        Protocol::Tcp(tunnel) => tunnel.origin == origin.name,
        Protocol::Http => {
            routes.any(|it| matches!(&it.action, Action::Origin(name) if *name == origin.name))
        }
    }
}

/// Whether a connection to host and port would come to this address. Of the machine's own addresses
/// only those of loopback are known. Port 0 is another port each time.
fn is_at(host: &str, port: u16, address: SocketAddr) -> bool {
    let ip = address.ip();
    if port == 0 || port != address.port() {
        return false;
    }
    match host.parse::<IpAddr>() {
        // A connection to the unspecified address goes to the machine itself.
        Ok(to) if to.is_loopback() || to.is_unspecified() => ip.is_unspecified() || ip == to,
        Ok(to) => ip == to,
        Err(_) => host == "localhost" && (ip.is_unspecified() || ip.is_loopback()),
    }
}

fn is_host_of_a_site(config: &Config, host: &str) -> bool {
    let mut hosts = config.sites.iter().flat_map(|it| &it.hosts);
    hosts.any(|it| matches!(it, HostPattern::Exact(name) if name == host))
}

fn other_scheme(tls: bool, host: &str, port: u16) -> Option<String> {
    let meant = match (tls, port) {
        (false, HTTPS_PORT) => format!("https://{host}"),
        (true, HTTP_PORT) => format!("http://{host}"),
        _ => return None,
    };
    Some(format!(
        "has the port of the other scheme; write \"{meant}\", or the port that it listens at"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_would_come_to_ourselves() {
        for (host, port, address, is_ours) in [
            ("127.0.0.1", 8080, "127.0.0.1:8080", true),
            ("127.0.0.1", 8080, "0.0.0.0:8080", true),
            ("localhost", 8080, "[::]:8080", true),
            ("localhost", 8080, "127.0.0.1:8080", true),
            ("0.0.0.0", 8080, "0.0.0.0:8080", true),
            ("10.0.0.1", 8080, "10.0.0.1:8080", true),
            ("127.0.0.1", 8081, "127.0.0.1:8080", false),
            ("127.0.0.2", 8080, "127.0.0.1:8080", false),
            ("10.0.0.1", 8080, "127.0.0.1:8080", false),
            ("10.0.0.1", 8080, "0.0.0.0:8080", false),
            ("app", 8080, "0.0.0.0:8080", false),
            ("127.0.0.1", 0, "127.0.0.1:0", false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(
                is_at(host, port, address),
                is_ours,
                "{host}:{port} {address}"
            );
        }
    }
}
