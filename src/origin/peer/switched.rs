//! Connection on which a server has gone on with another protocol (RFC 9110 §7.8): bytes both ways, and
//! the end of all that is known of it.
//!
//! It is never pooled. For as long as it lives it is one of its server's connections, and its request is
//! in flight.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::Response;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::origin::connect::http1::Bare;
use crate::origin::dial::Stream;
use crate::origin::permit::Permit;
use crate::origin::server::Flight;

/// The connection, with what the server has said on it already.
pub struct Switched {
    stream: Stream,
    /// What came behind the head of its answer.
    unread: Bytes,
    _counted: (Permit, Option<Flight>),
}

/// How it travels with the head of the answer: whoever is first takes it.
#[derive(Clone)]
struct Carried(Arc<Mutex<Option<Switched>>>);

// === impl Switched ===

impl Switched {
    pub(super) fn new(bare: Bare, flight: Option<Flight>) -> Self {
        Self {
            stream: bare.stream,
            unread: bare.unread,
            _counted: (bare.permit, flight),
        }
    }

    /// Sends it along with the head that announced it.
    pub(super) fn put_into<B>(self, response: &mut Response<B>) {
        let carried = Carried(Arc::new(Mutex::new(Some(self))));
        response.extensions_mut().insert(carried);
    }

    /// Whether such a connection goes with an answer.
    pub(in crate::origin) fn is_in<B>(response: &Response<B>) -> bool {
        response.extensions().get::<Carried>().is_some()
    }

    /// The connection that goes with an answer, if one does.
    pub fn take<B>(response: &mut Response<B>) -> Option<Self> {
        let carried = response.extensions_mut().remove::<Carried>()?;
        carried.0.lock().take()
    }
}

impl AsyncRead for Switched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let taken = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..taken]);
        self.unread.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Switched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
