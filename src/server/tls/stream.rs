//! Connection after its handshake: bytes in records, and the wait for the next that holds no buffer.

use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What a connection may hold that the client has not taken yet, beside what is under way above: a
/// record.
const BUFFER_BYTES_MAX: usize = 16 * 1024;

/// A connection whose handshake has ended well.
#[derive(Debug)]
pub struct Secured(Box<TlsStream<Counted>>);

/// A socket that knows how many bytes it has taken.
#[derive(Debug)]
pub(super) struct Counted {
    tcp: TcpStream,
    written: u64,
}

/// A socket that rather fails than waits.
struct Unwaiting<'a>(&'a TcpStream);

// === impl Secured ===

impl Secured {
    pub(super) fn new(mut stream: TlsStream<Counted>) -> Self {
        stream.get_mut().1.set_buffer_limit(Some(BUFFER_BYTES_MAX));
        Self(Box::new(stream))
    }

    pub(super) fn session(&self) -> &ServerConnection {
        self.0.get_ref().1
    }

    /// What lies beneath.
    pub(in crate::server) fn tcp(&self) -> &TcpStream {
        &self.0.get_ref().0.tcp
    }

    /// Bytes that the socket has taken so far: what TLS holds is not among them.
    pub(in crate::server) fn written(&self) -> u64 {
        self.0.get_ref().0.written
    }

    /// Waits until there is a byte to read; false when the client has left instead.
    ///
    /// What comes over the socket may be a record without one, such as a request for new keys. It is
    /// taken in, and the wait goes on.
    pub(in crate::server) async fn wakes(&mut self) -> bool {
        loop {
            match self.take_in() {
                Ok(Some(has_byte)) => return has_byte,
                Ok(None) => {}
                Err(_) => return false,
            }
            if self.tcp().readable().await.is_err() || !self.read_records() {
                return false;
            }
        }
    }

    /// Whether there is a byte to read, or will never be one; `None` while nobody knows.
    fn take_in(&mut self) -> Result<Option<bool>, rustls::Error> {
        let (socket, session) = self.0.get_mut();
        let taken = session.process_new_packets();
        // An alert, or the answer to a request for new keys. What the socket does not take goes out
        // before the next response.
        while session.wants_write()
            && session
                .write_tls(&mut Unwaiting(&socket.tcp))
                .is_ok_and(|it| it > 0)
        {}
        let state = taken?;
        Ok(match state.plaintext_bytes_to_read() {
            0 => state.peer_has_closed().then_some(false),
            _ => Some(true),
        })
    }

    /// Reads what the socket has at this moment. False at its end.
    fn read_records(&mut self) -> bool {
        let (socket, session) = self.0.get_mut();
        match session.read_tls(&mut Unwaiting(&socket.tcp)) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut TlsStream<Counted>> {
        Pin::new(&mut *self.get_mut().0)
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

// === impl Counted ===

impl Counted {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp, written: 0 }
    }

    fn count(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &polled {
            self.written = self.written.wrapping_add(*count as u64);
        }
        polled
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.tcp).poll_write(cx, bytes);
        this.count(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.tcp).poll_write_vectored(cx, parts);
        this.count(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

// === impl Unwaiting ===

impl Read for Unwaiting<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(bytes)
    }
}

impl Write for Unwaiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
