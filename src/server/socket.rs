//! Socket of a client's connection, whatever lies beneath it.
//!
//! The only file that knows what that is; everything else in this floor reads, writes and asks here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::tls::Secured;
use crate::config::SocketOptions;

/// How long is waited for the client to take our last word.
pub(super) const LAST_WORD: Duration = Duration::from_secs(1);

/// An accepted connection.
#[derive(Debug)]
pub(super) enum Socket {
    /// Bytes as they come over TCP.
    Tcp(TcpStream),
    /// Bytes in records of TLS over TCP.
    Tls(Secured),
}

// === impl Socket ===

impl Socket {
    /// A connection that was accepted over TCP.
    pub(super) fn tcp(stream: TcpStream) -> Self {
        // Without it small responses wait for the client's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        Self::Tcp(stream)
    }

    /// Tells the kernel what is wanted of it. A connection that is gone already cannot be told.
    pub(super) fn set_options(&self, options: &SocketOptions) {
        let socket = SockRef::from(self.beneath());
        if let Some(time) = options.user_timeout {
            let _ = socket.set_tcp_user_timeout(Some(time));
        }
        if let Some(bytes) = options.notsent_lowat {
            let _ = socket.set_tcp_notsent_lowat(bytes);
        }
    }

    /// Waits until there is a byte to read; false when the client has left instead.
    ///
    /// A socket may be said to be readable without having a byte, so this looks at one.
    pub(super) async fn wakes(&mut self) -> bool {
        match self {
            Self::Tcp(stream) => matches!(stream.peek(&mut [0]).await, Ok(1)),
            Self::Tls(stream) => stream.wakes().await,
        }
    }

    /// Waits for bytes of TCP and copies some of them, which are read again afterwards. None at the
    /// end. Of TLS they are records, of no use to anybody above.
    ///
    /// # Errors
    /// The socket's own.
    pub(super) async fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        self.beneath().peek(bytes).await
    }

    /// Bytes of TLS that went out so far, for it holds some that it was given; always 0 without it.
    pub(super) fn written(&self) -> u64 {
        match self {
            Self::Tcp(_) => 0,
            Self::Tls(stream) => stream.written(),
        }
    }

    /// What lies beneath everything, for a handshake. `None` if there has been one.
    pub(super) fn into_tcp(self) -> Option<TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Tls(_) => None,
        }
    }

    /// Ends a connection on which all has been said. Only TLS has a word for that, by which the client
    /// knows that nothing is missing: "Each party MUST send a "close_notify" alert before closing its
    /// write side of the connection" (RFC 8446 §6.1).
    pub(super) async fn end(mut self) {
        if matches!(self, Self::Tls(_)) {
            // Who does not take it is not waited for.
            let _ = timeout(LAST_WORD, self.shutdown()).await;
        }
    }

    fn beneath(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.tcp(),
        }
    }

    /// The error that the socket has had and not told yet, such as a reset while nothing was read.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.beneath().take_error()
    }

    /// Has the client see a reset instead of an end. One that is gone already cannot be told.
    pub(super) fn set_zero_linger(&self) {
        let _ = self.beneath().set_zero_linger();
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_kernel_is_told_what_is_configured() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a bound socket");
        let socket = Socket::tcp(TcpStream::connect(address).await.expect("a listener"));
        let seen = || {
            let socket = SockRef::from(socket.beneath());
            let time = socket.tcp_user_timeout().expect("an open socket");
            (time, socket.tcp_notsent_lowat().expect("an open socket"))
        };
        let untouched = seen();
        socket.set_options(&SocketOptions::default());
        assert_eq!(seen(), untouched);
        socket.set_options(&SocketOptions {
            user_timeout: Some(Duration::from_millis(1500)),
            notsent_lowat: Some(16_384),
            ..SocketOptions::default()
        });
        assert_eq!(seen(), (Some(Duration::from_millis(1500)), 16_384));
    }
}
