//! Whose a connection is, and how a server is told by a header of the PROXY protocol.
//!
//! By HAProxy's `proxy-protocol.txt`, which is what § refers to here. Such headers are read in
//! `server/proxy_protocol.rs`; when one is written is decided where connections are opened.

use std::net::{IpAddr, SocketAddr};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Two addresses and two ports of IPv6 (§2.2).
const ADDRESSES_BYTES_MAX: usize = 36;
/// `\x2`, the version, and the command PROXY.
const VERSION_AND_PROXY: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// A header of version 1 for a connection that is nobody's but ours (§2.1).
pub const OURS_V1: &[u8] = b"PROXY UNKNOWN\r\n";
/// One of version 2: the command LOCAL, "chosen on purpose by the proxy without being relayed"
/// (§2.2).
pub const OURS_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// The two ends of a connection, as its client sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The client's.
    pub source: SocketAddr,
    /// Where it was accepted.
    pub destination: SocketAddr,
}

// === impl Endpoints ===

impl Endpoints {
    /// A header of version 1 (§2.1).
    pub fn to_v1(self) -> Vec<u8> {
        let Self {
            source,
            destination,
        } = self.of_one_family();
        let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
        let (from, to) = (source.port(), destination.port());
        let (source, destination) = (source.ip(), destination.ip());
        format!("PROXY {family} {source} {destination} {from} {to}\r\n").into_bytes()
    }

    /// A header of version 2, without further fields (§2.2).
    pub fn to_v2(self) -> Vec<u8> {
        let Self {
            source,
            destination,
        } = self.of_one_family();
        let mut addresses = Vec::with_capacity(ADDRESSES_BYTES_MAX);
        for end in [source, destination] {
            match end.ip() {
                IpAddr::V4(ip) => addresses.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => addresses.extend_from_slice(&ip.octets()),
            }
        }
        for end in [source, destination] {
            addresses.extend_from_slice(&end.port().to_be_bytes());
        }
        let family = if source.is_ipv4() {
            TCP_OVER_IPV4
        } else {
            TCP_OVER_IPV6
        };
        // 12 or 36.
        let length = addresses.len() as u8;
        let head = [VERSION_AND_PROXY, family, 0, length];
        [&SIGNATURE[..], &head, &addresses].concat()
    }

    /// A header has one family for both. A listener for both families sees IPv4 within IPv6.
    pub fn of_one_family(self) -> Self {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let (source, destination) = (plain(self.source), plain(self.destination));
        if source.is_ipv4() == destination.is_ipv4() {
            return Self {
                source,
                destination,
            };
        }
        let mapped = |end: SocketAddr| match end.ip() {
            IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), end.port()),
            IpAddr::V6(_) => end,
        };
        Self {
            source: mapped(source),
            destination: mapped(destination),
        }
    }
}
