//! Reader of the PROXY protocol's header: who a connection comes from, as the proxy before us tells
//! it.
//!
//! What the bytes mean is in `semantics/proxy_protocol.rs`. How long a header may take to come is the
//! caller's business; how long it may be is bounded here. Not a byte behind it is taken, for that
//! belongs to the client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, copy, sink};
use tokio::time::{sleep, timeout};

use super::drain::Drain;
use super::socket::Socket;
use crate::config::AcceptProxy;
use crate::semantics::proxy_facts::{self, FIELDS_BYTES_MAX, ProxyFacts};
use crate::semantics::proxy_protocol::{
    ADDRESSES_BYTES_MAX, Endpoints, Head, Malformed, SIGNATURE, V1_BYTES_MAX, parse_addresses,
    parse_v1,
};

/// How a header of version 1 begins (§2.1).
const V1_START: &[u8] = b"PROXY ";
/// First bytes that leave open whether it is a header are looked at again after so long.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Who a connection is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Introduced {
    /// As they are, or as the header tells them.
    pub(super) endpoints: Endpoints,
    /// What the header tells beside.
    pub(super) facts: Option<Arc<ProxyFacts>>,
}

/// What a header says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Header {
    /// `None` where it tells nothing: the connection is the other proxy's own, such as a health
    /// check, or of a kind that has no such addresses.
    endpoints: Option<Endpoints>,
    facts: Option<ProxyFacts>,
}

/// Who a connection with these endpoints is from, by the header that it begins with if it may or
/// must. `None` where it must and does not within `time`.
///
/// "The receiver must be configured to only receive the protocol described in this specification and
/// must not try to guess" (§2): where it is optional this is for those alone who are believed anyway.
pub(super) async fn learn(
    socket: &mut Socket,
    own: Endpoints,
    accept: &AcceptProxy,
    time: Duration,
    drain: &Drain,
) -> Option<Introduced> {
    let is_believed = accept.believes(own.source.ip());
    if !accept.is_required {
        let is_request = !is_believed
            || tokio::select! {
                begins = timeout(time, begins(socket)) => !begins.unwrap_or(false),
                () = drain.begun() => true,
            };
        if is_request {
            return Some(own.into());
        }
    }
    if !is_believed {
        return None;
    }
    let header = timeout(time, read(socket)).await.ok()?.ok()?;
    Some(Introduced {
        endpoints: header.endpoints.unwrap_or(own),
        facts: header.facts.map(Arc::new),
    })
}

/// Whether a connection begins with a header, of which nothing is taken. What has begun like one
/// and does not go on is waited for.
async fn begins(socket: &Socket) -> bool {
    let mut start = [0; SIGNATURE.len()];
    loop {
        let Ok(seen @ 1..) = socket.peek(&mut start).await else {
            return false;
        };
        let seen = &start[..seen];
        if seen.starts_with(V1_START) || seen == SIGNATURE {
            return true;
        }
        if !V1_START.starts_with(seen) && !SIGNATURE.starts_with(seen) {
            return false;
        }
        // The socket stays readable, so there is nothing to wait for but time.
        sleep(LOOK_AGAIN).await;
    }
}

/// Reads a header of either version.
///
/// # Errors
/// [`Malformed`] as `InvalidData`, or the socket's own.
async fn read(socket: &mut Socket) -> io::Result<Header> {
    let mut start = [0; SIGNATURE.len()];
    socket.read_exact(&mut start).await?;
    if start == SIGNATURE {
        read_v2(socket).await
    } else {
        let endpoints = read_v1(socket, &start).await?;
        Ok(Header {
            endpoints,
            facts: None,
        })
    }
}

async fn read_v1(socket: &mut Socket, start: &[u8]) -> io::Result<Option<Endpoints>> {
    let (mut line, mut known) = ([0; V1_BYTES_MAX], start.len());
    line[..known].copy_from_slice(start);
    // Who speaks something else altogether need not be waited for.
    if !start.starts_with(V1_START) {
        return Err(Malformed.into());
    }
    while known < V1_BYTES_MAX {
        // Looked at before it is taken: what comes behind the line is the client's.
        let seen = socket.peek(&mut line[known..]).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = memchr::memchr(b'\n', &line[known..known + seen]);
        let taken = end.map_or(seen, |at| at + 1);
        socket.read_exact(&mut line[known..known + taken]).await?;
        known += taken;
        if end.is_some() {
            return Ok(parse_v1(&line[..known])?);
        }
    }
    Err(Malformed.into())
}

async fn read_v2(socket: &mut Socket) -> io::Result<Header> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).await?;
    let head = Head::parse(head)?;
    let mut addresses = [0; ADDRESSES_BYTES_MAX];
    let addresses = &mut addresses[..head.address_bytes()];
    socket.read_exact(addresses).await?;
    let rest = usize::from(head.length).saturating_sub(addresses.len());
    let mut fields = vec![0; rest.min(FIELDS_BYTES_MAX)];
    socket.read_exact(&mut fields).await?;
    // "[…] the rest of the header […] may be skipped" (§2.2).
    let rest = (rest - fields.len()) as u64;
    if copy(&mut socket.take(rest), &mut sink()).await? < rest {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Header {
        endpoints: parse_addresses(addresses),
        facts: proxy_facts::parse(&fields),
    })
}

// === impl Introduced ===

impl From<Endpoints> for Introduced {
    fn from(endpoints: Endpoints) -> Self {
        Self {
            endpoints,
            facts: None,
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
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn endpoints(source: &str, destination: &str) -> Endpoints {
        Endpoints {
            source: source.parse().expect("an address"),
            destination: destination.parse().expect("an address"),
        }
    }

    /// What is read of these bytes, and what is left of them for the client's protocol.
    async fn receive(bytes: &[u8]) -> (Option<Option<Endpoints>>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a bound socket");
        let mut sender = TcpStream::connect(address).await.expect("a listener");
        let (stream, _) = listener.accept().await.expect("a client");
        let mut socket = Socket::tcp(stream);
        sender.write_all(bytes).await.expect("a reader");
        drop(sender);
        let found = read(&mut socket).await.ok().map(|it| it.endpoints);
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.expect("a clean end");
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
}
