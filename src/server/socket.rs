//! Socket of a client's connection, whatever lies beneath it.
//!
//! The only file that knows what that is; everything else in this floor reads, writes and asks here.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// An accepted connection.
#[derive(Debug)]
pub(super) enum Socket {
    /// Bytes as they come over TCP.
    Tcp(TcpStream),
}

// === impl Socket ===

impl Socket {
    /// A connection that was accepted over TCP.
    pub(super) fn tcp(stream: TcpStream) -> Self {
        // Without it small responses wait for the client's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        Self::Tcp(stream)
    }

    /// Where it was accepted.
    ///
    /// # Errors
    /// When the client has left already.
    pub(super) fn local(&self) -> io::Result<SocketAddr> {
        let Self::Tcp(stream) = self;
        stream.local_addr()
    }

    /// Waits until there is a byte to read; false when the client has left instead.
    ///
    /// A socket may be said to be readable without having a byte, so this looks at one.
    pub(super) async fn wakes(&self) -> bool {
        matches!(self.peek(&mut [0]).await, Ok(1))
    }

    /// Waits for bytes and copies some of them, which are read again afterwards. None at the end.
    ///
    /// # Errors
    /// The socket's own.
    pub(super) async fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let Self::Tcp(stream) = self;
        stream.peek(bytes).await
    }

    /// The error that the socket has had and not told yet, such as a reset while nothing was read.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        let Self::Tcp(stream) = self;
        stream.take_error()
    }

    /// Has the client see a reset instead of an end. One that is gone already cannot be told.
    pub(super) fn set_zero_linger(&self) {
        let Self::Tcp(stream) = self;
        let _ = stream.set_zero_linger();
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        let Self::Tcp(stream) = self.get_mut();
        Pin::new(stream)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
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
        let Self::Tcp(stream) = self;
        stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}
