//! Wrapper of an HTTP/2 client's socket that notes what goes through it in the connection's [`Ledger`].
//!
//! It changes no byte. When h2 has done with it the socket is had back by [`Returned`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ledger::Ledger;
use crate::clock;
use crate::server::socket::Socket;

/// A socket under watch.
pub(super) struct Io {
    /// `None` only while it is dropped.
    socket: Option<Socket>,
    /// Bytes that were read before this wrapper was made.
    prefix: Bytes,
    ledger: Arc<Mutex<Ledger>>,
    /// What the socket had written at the last attempt.
    written: u64,
    returned: Returned,
}

/// Where a socket is found after its wrapper is gone.
#[derive(Clone, Default)]
pub(super) struct Returned(Arc<Mutex<Option<Socket>>>);

// === impl Returned ===

impl Returned {
    pub(super) fn take(&self) -> Option<Socket> {
        self.0.lock().take()
    }
}

// === impl Io ===

impl Io {
    /// A connection of which `prefix` has been read already.
    pub(super) fn new(socket: Socket, prefix: Bytes, ledger: Arc<Mutex<Ledger>>) -> Self {
        Self {
            socket: Some(socket),
            prefix,
            ledger,
            written: 0,
            returned: Returned::default(),
        }
    }

    pub(super) fn returned(&self) -> Returned {
        self.returned.clone()
    }

    fn socket(&mut self) -> io::Result<Pin<&mut Socket>> {
        let socket = self.socket.as_mut().map(Pin::new);
        socket.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// A client that takes a byte does not stall, though TLS, which holds more, takes none from us.
    fn note_write(&mut self, is_pending: bool) {
        let written = self.socket.as_ref().map_or(0, Socket::written);
        let before = std::mem::replace(&mut self.written, written);
        let is_stalled = is_pending && written == before;
        self.ledger.lock().wrote(is_stalled, clock::instant);
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let known = buf.filled().len();
        if this.ledger.lock().readable_bytes == 0 {
            // h2 would hold all that there is at once. Whoever drives it goes on.
            return Poll::Pending;
        }
        if this.prefix.is_empty() {
            ready!(this.socket()?.poll_read(cx, buf))?;
        } else {
            let taken = this.prefix.len().min(buf.remaining());
            buf.put_slice(&this.prefix[..taken]);
            this.prefix.advance(taken);
        }
        let bytes = &buf.filled()[known..];
        if !bytes.is_empty() {
            this.ledger.lock().read(bytes, clock::instant());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = self.socket()?.poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.ledger.lock().hear(&bytes[..count]);
        }
        self.note_write(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.socket()?.poll_write_vectored(cx, parts);
        if let Poll::Ready(Ok(count)) = polled {
            self.ledger.lock().hear(last_of(parts, count));
        }
        self.note_write(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.as_ref().is_some_and(Socket::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.socket()?.poll_flush(cx);
        // TLS takes what it is given and holds it until the client makes room.
        self.note_write(polled.is_pending());
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_shutdown(cx)
    }
}

/// What was written of the last of these of which anything was.
fn last_of<'a>(parts: &'a [IoSlice<'_>], mut count: usize) -> &'a [u8] {
    let mut last = &[][..];
    for part in parts {
        let written = &part[..part.len().min(count)];
        if written.is_empty() {
            break;
        }
        count -= written.len();
        last = written;
    }
    last
}

impl Drop for Io {
    fn drop(&mut self) {
        *self.returned.0.lock() = self.socket.take();
    }
}
