//! The client's socket, wrapped: what goes through is noted for the connection's [`Watch`].
//!
//! It changes no byte. Timeouts and refusals are the driver's and the service's to act upon.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::framing::Framing;
use super::watch::Watch;

/// A socket under watch.
pub(super) struct Watched {
    stream: TcpStream,
    /// Bytes that were read before this wrapper was made.
    prefix: Bytes,
    watch: Arc<Watch>,
    /// `None` for HTTP/2, whose frames have lengths.
    framing: Option<Framing>,
}

// === impl Watched ===

impl Watched {
    /// An HTTP/1 connection, of which `prefix` has been read already.
    pub(super) fn http1(stream: TcpStream, prefix: Bytes, watch: Arc<Watch>) -> Self {
        Self {
            stream,
            prefix,
            watch,
            framing: Some(Framing::default()),
        }
    }

    /// An HTTP/2 connection, of which `prefix` has been read already.
    pub(super) fn http2(stream: TcpStream, prefix: Bytes, watch: Arc<Watch>) -> Self {
        Self {
            stream,
            prefix,
            watch,
            framing: None,
        }
    }

    /// The bare socket.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn follow(&mut self, bytes: &[u8]) {
        let Some(framing) = &mut self.framing else {
            return;
        };
        framing.follow(bytes);
        self.watch.note_head(framing.is_within_head());
        if let Some((number, why)) = framing.refused() {
            self.watch.refuse(number, why);
            self.framing = None;
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let known = buf.filled().len();
        if this.prefix.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let taken = this.prefix.len().min(buf.remaining());
            buf.put_slice(&this.prefix[..taken]);
            this.prefix.advance(taken);
        }
        this.follow(&buf.filled()[known..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch.note_write(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch.note_write(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes whenever it is polled, so this is where a reset is seen while nothing is
    /// read: when the driver has asked for a look.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.watch.wants_probe()
            && let Some(error) = self.stream.take_error()?
        {
            return Poll::Ready(Err(error));
        }
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        if polled.is_ready() {
            self.watch.note_flush();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
