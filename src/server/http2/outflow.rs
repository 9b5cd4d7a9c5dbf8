//! Body of a response on its way into h2: never more than the client and the connection have room for.
//!
//! "Deployments with constrained resources (for example, memory) can employ flow control to limit the
//! amount of memory a peer can consume." (RFC 9113 §5.2.2) Nothing is read of a body before there is
//! room for it, so an origin is asked for no more than its client takes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::{Body as HttpBody, Frame};

use super::piece::{Piece, Unsent};
use crate::body::Body;
use crate::clock::{self, Instant};

/// As much is sent of one response before it is another's turn: one frame of the size that all clients
/// take (RFC 9113 §4.2).
const TURN_BYTES: usize = 16 * 1024;

/// A body that is being sent.
pub(super) struct Outflow {
    stream: SendStream<Piece>,
    body: Body,
    unsent: Arc<Unsent>,
    /// What was read and not sent.
    rest: Bytes,
    /// Since when the client has made no room for it.
    pub(super) stalled_since: Option<Instant>,
    handed_bytes: u64,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is more to send.
    More,
    /// The body has nothing at this moment, or its client no room.
    Waits,
    /// All has been sent.
    Done,
    /// It can't go on. The stream is reset, or was.
    Gone,
}

// === impl Outflow ===

impl Outflow {
    pub(super) fn new(stream: SendStream<Piece>, body: Body, unsent: &Arc<Unsent>) -> Self {
        Self {
            stream,
            body,
            unsent: Arc::clone(unsent),
            rest: Bytes::new(),
            stalled_since: None,
            handed_bytes: 0,
        }
    }

    /// Sends as much as one turn allows.
    pub(super) fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        let mut left = TURN_BYTES;
        while left > 0 {
            if self.rest.is_empty() {
                match self.read(cx) {
                    Poll::Ready(None) => {}
                    Poll::Ready(Some(ended)) => return ended,
                    Poll::Pending => return Turn::Waits,
                }
            }
            let room = match self.room(self.rest.len().min(left), cx) {
                Poll::Ready(Some(room)) => room,
                Poll::Ready(None) => return Turn::Gone,
                Poll::Pending => return Turn::Waits,
            };
            let bytes = self.rest.split_to(self.rest.len().min(room).min(left));
            left -= bytes.len();
            self.stalled_since = None;
            self.handed_bytes += bytes.len() as u64;
            let is_last = self.rest.is_empty() && self.body.is_end_stream();
            let sent = self
                .stream
                .send_data(Piece::new(bytes, &self.unsent), is_last);
            match (sent, is_last) {
                (Err(_), _) => return Turn::Gone,
                (Ok(()), true) => return Turn::Done,
                (Ok(()), false) => {}
            }
        }
        // What is kept is kept from others.
        self.stream.reserve_capacity(0);
        Turn::More
    }

    /// How many bytes were handed over since this was last asked.
    pub(super) fn take_handed(&mut self) -> u64 {
        std::mem::take(&mut self.handed_bytes)
    }

    /// Gives it up.
    pub(super) fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
    }

    /// How much may be sent at once; `None` if the stream is gone.
    fn room(&mut self, wanted: usize, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        self.stream.reserve_capacity(wanted);
        match self.stream.capacity() {
            0 => {}
            room => return Poll::Ready(Some(room)),
        }
        match self.stream.poll_capacity(cx) {
            Poll::Ready(Some(Ok(room))) => Poll::Ready(Some(room)),
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => {
                self.stalled_since.get_or_insert_with(clock::instant);
                Poll::Pending
            }
        }
    }

    /// Reads a piece, or the end, once there is room for a byte. It keeps that room: to have it given at
    /// each look would be news, and news has a stream looked at.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Turn>> {
        if ready!(self.room(1, cx)).is_none() {
            return Poll::Ready(Some(Turn::Gone));
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                // Nor is it missed that the client leaves meanwhile.
                let _left = ready!(self.stream.poll_reset(cx));
                return Poll::Ready(Some(Turn::Gone));
            };
            let Some(frame) = frame else {
                return Poll::Ready(Some(self.end(None)));
            };
            match frame.map(Frame::into_data) {
                Ok(Ok(bytes)) if bytes.is_empty() => {}
                Ok(Ok(bytes)) => {
                    self.rest = bytes;
                    return Poll::Ready(None);
                }
                Ok(Err(frame)) => return Poll::Ready(Some(self.end(Some(frame)))),
                Err(_) => {
                    self.reset(Reason::INTERNAL_ERROR);
                    return Poll::Ready(Some(Turn::Gone));
                }
            }
        }
    }

    fn end(&mut self, frame: Option<Frame<Bytes>>) -> Turn {
        let trailers = frame.and_then(|it| it.into_trailers().ok());
        let sent = match trailers {
            Some(trailers) => self.stream.send_trailers(trailers),
            None => {
                let nothing = Piece::new(Bytes::new(), &self.unsent);
                self.stream.send_data(nothing, true)
            }
        };
        match sent {
            Ok(()) => Turn::Done,
            Err(_) => Turn::Gone,
        }
    }
}
