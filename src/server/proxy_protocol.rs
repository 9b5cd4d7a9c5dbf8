//! The PROXY protocol, versions 1 and 2: who a connection comes from, as the proxy before us tells
//! it. How we tell it to the server behind us is in `semantics/endpoints.rs`.
//!
//! By HAProxy's `proxy-protocol.txt`, which is what § refers to here. How long a header may take to
//! come is the caller's business; how long it may be is bounded here. Not a byte behind it is
//! taken, for that belongs to the client.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt, copy, sink};
use tokio::net::TcpStream;

use crate::pipeline::Endpoints;

/// "The receiver must be configured to only receive the protocol described in this specification
/// and must not try to guess" (§2); but which of its versions it is, the first bytes tell.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// "A 108-byte buffer is always enough to store all the line and a trailing zero" (§2.1).
const V1_BYTES_MAX: usize = 107;
/// Two addresses and two ports (§2.2).
const IPV4_BYTES: usize = 12;
const IPV6_BYTES: usize = 36;

/// `\x2`, the version, and the command PROXY.
const VERSION_AND_PROXY: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// What is not a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no PROXY header, or one that is malformed")]
pub(super) struct Malformed;

/// The fixed part of a header of version 2, behind the signature (§2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    /// Whether the connection is relayed, and its ends are told.
    is_relayed: bool,
    family: u8,
    /// Bytes that follow, addresses and further fields together.
    length: u16,
}

/// Reads a header of either version. `None` where it tells nothing: the connection is the other
/// proxy's own, such as a health check, or of a kind that has no such addresses.
///
/// # Errors
/// [`Malformed`] as `InvalidData`, or the socket's own.
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<Endpoints>> {
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        read_v2(stream).await
    } else {
        read_v1(stream, &start).await
    }
}

async fn read_v1(stream: &mut TcpStream, start: &[u8]) -> io::Result<Option<Endpoints>> {
    let (mut line, mut known) = ([0; V1_BYTES_MAX], start.len());
    line[..known].copy_from_slice(start);
    // Who speaks something else altogether need not be waited for.
    if !start.starts_with(b"PROXY ") {
        return Err(Malformed.into());
    }
    while known < V1_BYTES_MAX {
        // Looked at before it is taken: what comes behind the line is the client's.
        let seen = stream.peek(&mut line[known..]).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = memchr::memchr(b'\n', &line[known..known + seen]);
        let taken = end.map_or(seen, |at| at + 1);
        stream.read_exact(&mut line[known..known + taken]).await?;
        known += taken;
        if end.is_some() {
            return Ok(parse_v1(&line[..known])?);
        }
    }
    Err(Malformed.into())
}

async fn read_v2(stream: &mut TcpStream) -> io::Result<Option<Endpoints>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let head = Head::parse(head)?;
    let mut addresses = [0; IPV6_BYTES];
    let addresses = &mut addresses[..head.address_bytes()];
    stream.read_exact(addresses).await?;
    // "[…] the rest of the header […] may be skipped" (§2.2): a type, a length, a value each.
    let rest = u64::from(head.length).saturating_sub(addresses.len() as u64);
    if copy(&mut stream.take(rest), &mut sink()).await? < rest {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(parse_addresses(addresses))
}

/// A whole line with its CRLF (§2.1).
fn parse_v1(line: &[u8]) -> Result<Option<Endpoints>, Malformed> {
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
fn parse_addresses(bytes: &[u8]) -> Option<Endpoints> {
    match bytes.len() {
        IPV4_BYTES => parse_addresses_of::<4>(bytes),
        IPV6_BYTES => parse_addresses_of::<16>(bytes),
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

// === impl Head ===

impl Head {
    fn parse([version_and_command, family, high, low]: [u8; 4]) -> Result<Self, Malformed> {
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
    fn address_bytes(self) -> usize {
        match self.family {
            TCP_OVER_IPV4 if self.is_relayed => IPV4_BYTES,
            TCP_OVER_IPV6 if self.is_relayed => IPV6_BYTES,
            _ => 0,
        }
    }
}

// === impl Malformed ===

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

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

    /// What is read of these bytes, and what is left of them for the client's protocol.
    async fn receive(bytes: &[u8]) -> (Option<Option<Endpoints>>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a bound socket");
        let mut sender = TcpStream::connect(address).await.expect("a listener");
        let (mut stream, _) = listener.accept().await.expect("a client");
        sender.write_all(bytes).await.expect("a reader");
        drop(sender);
        let found = read(&mut stream).await.ok();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("a clean end");
        (found, rest)
    }

    #[tokio::test]
    async fn not_a_byte_behind_the_header_is_taken() {
        let known = endpoints("192.0.2.1:56324", "192.0.2.9:443");
        let six = endpoints("[2001:db8::1]:1", "[2001:db8::2]:2");
        let mut with_fields = known.to_v2();
        with_fields[15] += 6;
        with_fields.extend_from_slice(b"\x04\0\x03abc");
        for (header, expected) in [
            (known.to_v1(), Some(known)),
            (known.to_v2(), Some(known)),
            (six.to_v1(), Some(six)),
            (six.to_v2(), Some(six)),
            (with_fields, Some(known)),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), None),
        ] {
            let (found, rest) = receive(&[&header[..], b"x\r\ny"].concat()).await;
            assert_eq!(
                (found, &rest[..]),
                (Some(expected), &b"x\r\ny"[..]),
                "{header:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let endless = [&b"PROXY UNKNOWN "[..], &[b'a'; 200]].concat();
        for bytes in [
            &endless[..],
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"PROXY TCP4 192.0.2.1 ",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c1234",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10123456789012",
            b"PING\r\n",
            b"",
        ] {
            assert_eq!(receive(bytes).await.0, None, "{bytes:?}");
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
            prop_assert_eq!(told.is_some(), [IPV4_BYTES, IPV6_BYTES].contains(&line.len()));
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
