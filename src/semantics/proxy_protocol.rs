//! The PROXY protocol, versions 1 and 2: the endpoints of a connection, as one proxy tells them to
//! the next. Written and read here as bytes; the socket is the reader's in `server`, the writer's
//! in `server` and `origin`.
//!
//! By HAProxy's `proxy-protocol.txt`, which is what § refers to here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// "The receiver must be configured to only receive the protocol described in this specification
/// and must not try to guess" (§2); but which of its versions it is, the first bytes tell.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// "A 108-byte buffer is always enough to store all the line and a trailing zero" (§2.1).
pub const V1_BYTES_MAX: usize = 107;
/// Two addresses and two ports of IPv6 (§2.2).
pub const ADDRESSES_BYTES_MAX: usize = 36;
/// The same of IPv4.
const IPV4_BYTES: usize = 12;

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

/// What is not a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no PROXY header, or one that is malformed")]
pub struct Malformed;

/// The fixed part of a header of version 2, behind the signature (§2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whether the connection is relayed, and its endpoints are told.
    is_relayed: bool,
    family: u8,
    /// Bytes that follow, addresses and further fields together.
    pub length: u16,
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

// === impl Head ===

impl Head {
    /// The four bytes behind the signature.
    ///
    /// # Errors
    /// [`Malformed`] where they say something that no header says.
    pub fn parse([version_and_command, family, high, low]: [u8; 4]) -> Result<Self, Malformed> {
        let is_relayed = match version_and_command {
            0x20 => false,
            VERSION_AND_PROXY => true,
            // "Any other value […] must be rejected" (§2.2).
            _ => return Err(Malformed),
        };
        let head = Self {
            is_relayed,
            family,
            length: u16::from_be_bytes([high, low]),
        };
        if usize::from(head.length) < head.address_bytes() {
            return Err(Malformed);
        }
        Ok(head)
    }

    /// How many of the bytes that follow are addresses that we know: for LOCAL "the receiver […]
    /// must discard the protocol block including the family", and other families are skipped.
    pub fn address_bytes(self) -> usize {
        match self.family {
            TCP_OVER_IPV4 if self.is_relayed => IPV4_BYTES,
            TCP_OVER_IPV6 if self.is_relayed => ADDRESSES_BYTES_MAX,
            _ => 0,
        }
    }
}

/// A whole line of version 1 with its CRLF (§2.1). `None` where it tells no endpoints.
///
/// # Errors
/// [`Malformed`] where it is no such line.
pub fn parse_v1(line: &[u8]) -> Result<Option<Endpoints>, Malformed> {
    let line = line.strip_suffix(b"\r\n").ok_or(Malformed)?;
    let line = std::str::from_utf8(line).map_err(|_| Malformed)?;
    let mut words = line.strip_prefix("PROXY ").ok_or(Malformed)?.split(' ');
    let family = words.next();
    // "[…] the receiver must ignore anything presented before the CRLF" behind UNKNOWN.
    if family == Some("UNKNOWN") {
        return Ok(None);
    }
    let mut word = || words.next().ok_or(Malformed);
    let (source, destination) = (word()?, word()?);
    let (from, to) = (parse_port(word()?)?, parse_port(word()?)?);
    if words.next().is_some() {
        return Err(Malformed);
    }
    let parse = |text: &str| -> Result<IpAddr, Malformed> {
        match family {
            Some("TCP4") => text.parse::<Ipv4Addr>().map(Into::into),
            Some("TCP6") => text.parse::<Ipv6Addr>().map(Into::into),
            _ => return Err(Malformed),
        }
        .map_err(|_| Malformed)
    };
    Ok(Some(Endpoints {
        source: SocketAddr::new(parse(source)?, from),
        destination: SocketAddr::new(parse(destination)?, to),
    }))
}

/// "[…] in range [0..65535] […] with no heading zero" (§2.1).
fn parse_port(text: &str) -> Result<u16, Malformed> {
    let is_plain = text.bytes().all(|it| it.is_ascii_digit());
    if !is_plain || (text.len() > 1 && text.starts_with('0')) {
        return Err(Malformed);
    }
    text.parse().map_err(|_| Malformed)
}

/// Of as many bytes as [`Head::address_bytes`] says; none stand for no addresses.
pub fn parse_addresses(bytes: &[u8]) -> Option<Endpoints> {
    match bytes.len() {
        IPV4_BYTES => parse_addresses_of::<4>(bytes),
        ADDRESSES_BYTES_MAX => parse_addresses_of::<16>(bytes),
        _ => None,
    }
}

fn parse_addresses_of<const N: usize>(bytes: &[u8]) -> Option<Endpoints>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = bytes.split_first_chunk::<N>()?;
    let (destination, ports) = rest.split_first_chunk::<N>()?;
    let [a, b, c, d] = ports.try_into().ok()?;
    Some(Endpoints {
        source: SocketAddr::new((*source).into(), u16::from_be_bytes([a, b])),
        destination: SocketAddr::new((*destination).into(), u16::from_be_bytes([c, d])),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn endpoints(source: &str, destination: &str) -> Endpoints {
        Endpoints {
            source: source.parse().expect("an address"),
            destination: destination.parse().expect("an address"),
        }
    }

    #[test]
    fn lines_of_version_1() {
        let four = Some(endpoints("192.0.2.1:56324", "192.0.2.9:443"));
        let six = Some(endpoints("[2001:db8::1]:1", "[2001:db8::2]:65535"));
        for (line, expected) in [
            // §2.1
            ("PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\n", Ok(four)),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", Ok(six)),
            ("PROXY UNKNOWN\r\n", Ok(None)),
            ("PROXY UNKNOWN ffff::1 ::2 1 2\r\n", Ok(None)),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.9 0 0\r\n",
                Ok(Some(endpoints("192.0.2.1:0", "192.0.2.9:0"))),
            ),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\n", Err(Malformed)),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.9 056324 443\r\n",
                Err(Malformed),
            ),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 +1 443\r\n", Err(Malformed)),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.9 65536 443\r\n",
                Err(Malformed),
            ),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 1\r\n", Err(Malformed)),
            ("PROXY TCP4 192.0.2.1 192.0.2.9 1 2 3\r\n", Err(Malformed)),
            ("PROXY TCP4 192.0.2.1  192.0.2.9 1 2\r\n", Err(Malformed)),
            ("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", Err(Malformed)),
            ("PROXY TCP6 192.0.2.1 192.0.2.9 1 2\r\n", Err(Malformed)),
            ("PROXY UDP4 192.0.2.1 192.0.2.9 1 2\r\n", Err(Malformed)),
            ("PROXY \r\n", Err(Malformed)),
            ("proxy UNKNOWN\r\n", Err(Malformed)),
            ("GET / HTTP/1.1\r\n", Err(Malformed)),
            ("", Err(Malformed)),
        ] {
            assert_eq!(parse_v1(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn heads_of_version_2() {
        for (head, address_bytes) in [
            // §2.2: version and command, family, length of what follows.
            ([0x21, 0x11, 0, 12], Some(12)),
            ([0x21, 0x11, 1, 12], Some(12)),
            ([0x21, 0x21, 0, 36], Some(36)),
            // LOCAL, UNSPEC, UDP and Unix sockets: skipped.
            ([0x20, 0x11, 0, 12], Some(0)),
            ([0x20, 0, 0, 0], Some(0)),
            ([0x21, 0, 0, 0], Some(0)),
            ([0x21, 0x12, 0, 12], Some(0)),
            ([0x21, 0x31, 0, 216], Some(0)),
            // Too short; another version; another command.
            ([0x21, 0x11, 0, 11], None),
            ([0x21, 0x21, 0, 12], None),
            ([0x11, 0x11, 0, 12], None),
            ([0x22, 0x11, 0, 12], None),
        ] {
            let found = Head::parse(head).ok().map(Head::address_bytes);
            assert_eq!(found, address_bytes, "{head:x?}");
        }
    }

    #[test]
    fn both_ends_are_told_in_one_family() {
        for (source, destination, line) in [
            (
                "192.0.2.1:1",
                "192.0.2.2:2",
                "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            ),
            ("[::1]:1", "[::1]:2", "PROXY TCP6 ::1 ::1 1 2\r\n"),
            (
                "[::ffff:192.0.2.1]:1",
                "[::ffff:192.0.2.2]:2",
                "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            ),
            (
                "192.0.2.1:1",
                "[::1]:2",
                "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n",
            ),
        ] {
            let header = endpoints(source, destination).to_v1();
            assert_eq!(String::from_utf8_lossy(&header), line);
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "(PROXY )?(TCP4|TCP6|UNKNOWN)?[ 0-9a-f:.]{0,60}(\r\n)?") {
            let _ = parse_v1(line.as_bytes());
        }

        #[test]
        fn any_bytes_are_read(
            line in prop::collection::vec(any::<u8>(), 0..107),
            head in any::<[u8; 4]>(),
        ) {
            let _ = parse_v1(&line);
            if let Ok(head) = Head::parse(head) {
                prop_assert!(head.address_bytes() <= usize::from(head.length));
            }
            let told = parse_addresses(&line);
            prop_assert_eq!(told.is_some(), [IPV4_BYTES, ADDRESSES_BYTES_MAX].contains(&line.len()));
        }

        #[test]
        fn what_is_written_is_read(source in any::<([u8; 4], u16)>(), to in any::<([u8; 16], u16)>()) {
            let source = SocketAddr::from(source);
            for destination in [SocketAddr::from(to), source] {
                let endpoints = Endpoints { source, destination }.of_one_family();
                prop_assert_eq!(parse_v1(&endpoints.to_v1()), Ok(Some(endpoints)));
                prop_assert!(endpoints.to_v1().len() <= V1_BYTES_MAX);
                prop_assert_eq!(parse_addresses(&endpoints.to_v2()[16..]), Some(endpoints));
            }
        }
    }
}
