//! Body of a response on its way to hyper, which keeps its connection busy until it is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::watch::{InProgress, Stream};
use crate::body::{Body, Error};

/// A body that keeps its connection busy until it is gone.
pub(super) struct Outgoing {
    body: Body,
    hold: Hold,
}

/// How a body keeps its connection busy.
pub(super) enum Hold {
    /// By itself: what it has handed out is hyper's to write at once.
    Body { _in_progress: InProgress },
    /// With each of its pieces: h2 takes one whole and sends it as the client makes room.
    Stream(Arc<Stream>),
}

/// A piece of a body on its way to the socket.
pub(super) struct Piece {
    bytes: Bytes,
    stream: Option<Arc<Stream>>,
}

// === impl Outgoing ===

impl Outgoing {
    pub(super) fn new(body: Body, hold: Hold) -> Self {
        Self { body, hold }
    }
}

impl HttpBody for Outgoing {
    type Data = Piece;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        let stream = match &this.hold {
            Hold::Body { .. } => None,
            Hold::Stream(stream) => Some(stream),
        };
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| frame.map_data(|bytes| Piece::new(bytes, stream.cloned())))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Piece ===

impl Piece {
    fn new(bytes: Bytes, stream: Option<Arc<Stream>>) -> Self {
        if let Some(stream) = &stream {
            stream.note(true);
        }
        Self { bytes, stream }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(stream) = &self.stream {
            stream.note(!self.bytes.is_empty());
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            stream.note(false);
        }
    }
}
