//! Request body of an HTTP/2 stream: taken from h2 as it comes, held for whoever reads it.
//!
//! h2 keeps each DATA frame for itself, so that many small ones cost far more than they bring. Here
//! they are joined. What is held is bounded by the stream's window, of which a share is given back only
//! as the reader takes bytes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Bytes, BytesMut};
use h2::{FlowControl, RecvStream};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;

use super::bell::Cord;
use super::request;

/// Shorter pieces are copied together. Longer ones keep the buffer that they were read into, which is
/// theirs for the most part.
const JOINED_BYTES_MAX: usize = 4 * 1024;
/// The size at which joined pieces go on as one.
const PIECE_BYTES: usize = 16 * 1024;
/// Room for the client is made in steps of this size, or when there is nothing to read.
const RELEASED_BYTES_MIN: usize = 16 * 1024;

/// Why a body does not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Stream(#[source] h2::Error),
    #[error("the trailers are malformed")]
    Trailers,
    #[error("the stream was given up")]
    GivenUp,
}

/// The connection's end of a body.
pub(super) struct Intake {
    stream: RecvStream,
    held: Arc<Mutex<Held>>,
    /// What came after nobody wanted it any more.
    pub(super) dropped_bytes: u64,
}

/// The reader's end of it.
pub(super) struct Upload {
    held: Arc<Mutex<Held>>,
    flow: FlowControl,
    cord: Arc<Cord>,
    left_bytes: Option<u64>,
    unreleased_bytes: usize,
}

#[derive(Debug, Default)]
struct Held {
    pieces: VecDeque<Bytes>,
    /// Small pieces, behind all others.
    joined: BytesMut,
    end: Option<End>,
    reader: Option<Waker>,
    /// Whether anybody has asked for it.
    is_wanted: bool,
    /// Whether the reader has left.
    is_left: bool,
}

#[derive(Debug)]
enum End {
    /// After these trailers.
    Whole(Option<HeaderMap>),
    Broken(Fault),
    /// All has been told.
    Told,
}

/// How a body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// There may be more.
    Some,
    /// It has come to its end.
    All,
    /// The stream is to be reset: what came is malformed.
    Malformed,
}

/// Both ends of a body of `length` bytes, if that is known.
pub(super) fn new(
    mut stream: RecvStream,
    length: Option<u64>,
    cord: &Arc<Cord>,
) -> (Intake, Upload) {
    let held = Arc::default();
    let upload = Upload {
        held: Arc::clone(&held),
        flow: stream.flow_control().clone(),
        cord: Arc::clone(cord),
        left_bytes: length,
        unreleased_bytes: 0,
    };
    let intake = Intake {
        stream,
        held,
        dropped_bytes: 0,
    };
    (intake, upload)
}

// === impl Intake ===

impl Intake {
    /// Takes all that has come.
    pub(super) fn take(&mut self, cx: &mut Context<'_>) -> Taken {
        let end = loop {
            match self.stream.poll_data(cx) {
                Poll::Ready(Some(Ok(bytes))) => self.hold(bytes),
                Poll::Ready(Some(Err(error))) => break End::Broken(Fault::Stream(error)),
                Poll::Ready(None) => match self.stream.poll_trailers(cx) {
                    Poll::Ready(Ok(trailers)) => break end(trailers),
                    Poll::Ready(Err(error)) => break End::Broken(Fault::Stream(error)),
                    Poll::Pending => return self.some(),
                },
                Poll::Pending => return self.some(),
            }
        };
        let taken = match &end {
            End::Broken(Fault::Trailers) => Taken::Malformed,
            _ => Taken::All,
        };
        self.finish(end);
        taken
    }

    /// Its trailers are malformed in a way that h2 does not tell.
    pub(super) fn refuse(&mut self) {
        self.finish(End::Broken(Fault::Trailers));
    }

    /// Whether it was asked for by its reader.
    pub(super) fn is_wanted(&self) -> bool {
        self.held.lock().is_wanted
    }

    fn finish(&mut self, end: End) {
        let mut held = self.held.lock();
        held.end.get_or_insert(end);
        held.wake();
    }

    fn some(&mut self) -> Taken {
        self.held.lock().wake();
        Taken::Some
    }

    fn hold(&mut self, bytes: Bytes) {
        let mut held = self.held.lock();
        if !held.is_left {
            return held.push(bytes);
        }
        drop(held);
        let len = bytes.len();
        self.dropped_bytes = self.dropped_bytes.saturating_add(len as u64);
        // Of a stream that is gone nothing can be given back.
        let _ = self.stream.flow_control().release_capacity(len);
    }
}

/// Whoever still reads is to know that nothing comes any more.
impl Drop for Intake {
    fn drop(&mut self) {
        self.finish(End::Broken(Fault::GivenUp));
    }
}

fn end(trailers: Option<HeaderMap>) -> End {
    let is_malformed = trailers.as_ref().is_some_and(request::have_edge_spaces);
    match is_malformed {
        true => End::Broken(Fault::Trailers),
        false => End::Whole(trailers),
    }
}

// === impl Held ===

impl Held {
    fn push(&mut self, bytes: Bytes) {
        if bytes.len() > JOINED_BYTES_MAX {
            self.part();
            self.pieces.push_back(bytes);
            return;
        }
        self.joined.extend_from_slice(&bytes);
        if self.joined.len() >= PIECE_BYTES {
            self.part();
        }
    }

    /// What has been joined goes on as one piece.
    fn part(&mut self) {
        if !self.joined.is_empty() {
            let joined = self.joined.split().freeze();
            self.pieces.push_back(joined);
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        if self.pieces.is_empty() {
            self.part();
        }
        self.pieces.pop_front()
    }

    fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.joined.is_empty()
    }

    fn wake(&mut self) {
        if (self.end.is_some() || !self.is_empty())
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }
}

// === impl Upload ===

impl Upload {
    /// Makes room for as much as has been read.
    fn release(&mut self) {
        let bytes = std::mem::take(&mut self.unreleased_bytes);
        if bytes > 0 {
            // Of a stream that is gone nothing can be given back.
            let _ = self.flow.release_capacity(bytes);
        }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        let mut held = this.held.lock();
        if !std::mem::replace(&mut held.is_wanted, true) {
            // The client may wait for leave to send it.
            this.cord.wake_by_ref();
        }
        if let Some(bytes) = held.pop() {
            let is_all = held.is_empty();
            drop(held);
            let len = bytes.len();
            this.left_bytes = this.left_bytes.map(|it| it.saturating_sub(len as u64));
            this.unreleased_bytes += len;
            if is_all || this.unreleased_bytes >= RELEASED_BYTES_MIN {
                this.release();
            }
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let end = held.end.as_mut().map(|it| std::mem::replace(it, End::Told));
        match end {
            Some(End::Whole(Some(trailers))) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(End::Whole(None) | End::Told) => Poll::Ready(None),
            Some(End::Broken(fault)) => Poll::Ready(Some(Err(fault))),
            None => {
                held.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let held = self.held.lock();
        held.is_empty() && matches!(held.end, Some(End::Whole(None) | End::Told))
    }

    fn size_hint(&self) -> SizeHint {
        self.left_bytes
            .map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let unread: usize = {
            let mut held = self.held.lock();
            held.is_left = true;
            held.part();
            std::mem::take(&mut held.pieces)
                .iter()
                .map(Bytes::len)
                .sum()
        };
        self.unreleased_bytes += unread;
        self.release();
        self.cord.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_joined_in_their_order() {
        let mut held = Held::default();
        for size in [10, 10, 5000, 3, 5000] {
            held.push(Bytes::from(vec![b'x'; size]));
        }
        let mut sizes = Vec::new();
        while let Some(bytes) = held.pop() {
            sizes.push(bytes.len());
        }
        assert_eq!(sizes, [20, 5000, 3, 5000]);
        (0..12_000).for_each(|_| held.push(Bytes::from_static(b"0123456789")));
        assert_eq!(held.pieces.len(), 12_000 * 10 / (PIECE_BYTES + 6));
    }
}
