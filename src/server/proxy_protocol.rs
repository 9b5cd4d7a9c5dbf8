//! Reader of the PROXY protocol's header: who a connection comes from, as the proxy before us tells
//! it.
//!
//! What the bytes mean is in `semantics/proxy_protocol.rs`. How long a header may take to come is the
//! caller's business; how long it may be is bounded here. Not a byte behind it is taken, for that
//! belongs to the client.

use std::io;

use tokio::io::{AsyncReadExt, copy, sink};

use super::socket::Socket;
use crate::semantics::proxy_protocol::{
    ADDRESSES_BYTES_MAX, Endpoints, Head, Malformed, SIGNATURE, V1_BYTES_MAX, parse_addresses,
    parse_v1,
};

/// Reads a header of either version. `None` where it tells nothing: the connection is the other
/// proxy's own, such as a health check, or of a kind that has no such addresses.
///
/// # Errors
/// [`Malformed`] as `InvalidData`, or the socket's own.
pub(super) async fn read(socket: &mut Socket) -> io::Result<Option<Endpoints>> {
    let mut start = [0; SIGNATURE.len()];
    socket.read_exact(&mut start).await?;
    if start == SIGNATURE {
        read_v2(socket).await
    } else {
        read_v1(socket, &start).await
    }
}

async fn read_v1(socket: &mut Socket, start: &[u8]) -> io::Result<Option<Endpoints>> {
    let (mut line, mut known) = ([0; V1_BYTES_MAX], start.len());
    line[..known].copy_from_slice(start);
    // Who speaks something else altogether need not be waited for.
    if !start.starts_with(b"PROXY ") {
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

async fn read_v2(socket: &mut Socket) -> io::Result<Option<Endpoints>> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).await?;
    let head = Head::parse(head)?;
    let mut addresses = [0; ADDRESSES_BYTES_MAX];
    let addresses = &mut addresses[..head.address_bytes()];
    socket.read_exact(addresses).await?;
    // "[…] the rest of the header […] may be skipped" (§2.2): a type, a length, a value each.
    let rest = u64::from(head.length).saturating_sub(addresses.len() as u64);
    if copy(&mut socket.take(rest), &mut sink()).await? < rest {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(parse_addresses(addresses))
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
        let found = read(&mut socket).await.ok();
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
