//! The client's socket, wrapped: what goes through is noted for the connection's [`Watch`].
//!
//! It changes no byte. Timeouts and refusals are the driver's and the service's to act upon.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::framing::Framing;
use super::watch::Watch;

/// A socket under watch. The driver shares it, to see a reset while hyper reads nothing.
pub(super) struct Watched {
    stream: Arc<TcpStream>,
    /// Bytes that were read before this wrapper was made.
    prefix: Bytes,
    watch: Arc<Watch>,
    /// `None` for HTTP/2, whose frames have lengths.
    framing: Option<Framing>,
}

// === impl Watched ===

impl Watched {
    /// An HTTP/1 connection, of which `prefix` has been read already.
    pub(super) fn http1(stream: Arc<TcpStream>, prefix: Bytes, watch: Arc<Watch>) -> Self {
        Self {
            stream,
            prefix,
            watch,
            framing: Some(Framing::default()),
        }
    }

    /// An HTTP/2 connection, of which `prefix` has been read already.
    pub(super) fn http2(stream: Arc<TcpStream>, prefix: Bytes, watch: Arc<Watch>) -> Self {
        Self {
            stream,
            prefix,
            watch,
            framing: None,
        }
    }

    fn poll_socket(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read_buf(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }

    /// Writes with `write` as soon as the socket takes bytes.
    fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.stream.poll_write_ready(cx)?.is_pending() {
                self.watch.note_write(true);
                return Poll::Pending;
            }
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => {
                    self.watch.note_write(false);
                    return Poll::Ready(written);
                }
            }
        }
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
            ready!(this.poll_socket(cx, buf))?;
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
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream| stream.try_write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch.note_flush();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.stream).shutdown(Shutdown::Write))
    }
}
