//! Reader of a content in slices: joins them to one body, beginning anywhere.
//!
//! It holds the slice that it reads and at most one more, which it has opened ahead of its turn. So
//! a slow client holds two slices, however long the whole is. Where slices come from is not known
//! here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::slices::Slices;
use crate::body::{Body, Error, Seekable};

/// A stretch of a content in slices.
pub(super) struct Joined {
    slices: Arc<Slices>,
    at: u64,
    left_bytes: u64,
    /// What is still to be read of the slice that has the byte `at`.
    current: Option<Body>,
    /// A slice opened before its turn, whole, with its number.
    ahead: Option<(u64, Body)>,
}

// === impl Joined ===

impl Joined {
    /// A reader of the whole. It opens nothing until it is read.
    pub(super) fn new(slices: &Arc<Slices>) -> Self {
        Self {
            slices: Arc::clone(slices),
            at: 0,
            left_bytes: slices.about.complete,
            current: None,
            ahead: None,
        }
    }

    /// The same reader, who has opened a slice already.
    pub(super) fn expecting(mut self, index: u64, slice: Body) -> Self {
        self.ahead = Some((index, slice));
        self
    }

    /// What is wanted of the slice that has the next byte.
    fn open(&mut self) -> Result<Body, Error> {
        let index = self.at / self.slices.about.slice_bytes;
        let range = self.slices.range(index).ok_or(Error::Truncated)?;
        if self.at > range.last {
            return Err(Error::Truncated);
        }
        let slice = match self.ahead.take() {
            Some((ahead, slice)) if ahead == index => slice,
            _ => Slices::open(&self.slices, index)?,
        };
        let last = self.at.saturating_add(self.left_bytes - 1);
        Ok(slice.slice(self.at - range.first, last.min(range.last) - range.first))
    }

    /// Opens the next slice when half of the one that is being read has been given, if any of it
    /// is wanted. That it cannot be had will show when its turn comes.
    fn read_ahead(&mut self) {
        let slice_bytes = self.slices.about.slice_bytes;
        let next = self.at.div_ceil(slice_bytes);
        let Some(left_bytes) = next
            .checked_mul(slice_bytes)
            .and_then(|first| first.checked_sub(self.at))
        else {
            return;
        };
        let is_near = left_bytes <= slice_bytes / 2 && left_bytes < self.left_bytes;
        if is_near && self.ahead.is_none() {
            self.ahead = Slices::open(&self.slices, next)
                .ok()
                .map(|slice| (next, slice));
        }
    }

    fn give(&mut self, piece: Bytes) -> Frame<Bytes> {
        self.at += piece.len() as u64;
        self.left_bytes -= piece.len() as u64;
        if self.current.as_ref().is_some_and(HttpBody::is_end_stream) {
            self.current = None;
        }
        self.read_ahead();
        Frame::data(piece)
    }
}

impl Seekable for Joined {
    fn seek(&mut self, first: u64, len: u64) {
        self.at = self.at.saturating_add(first);
        self.left_bytes = len;
        self.current = None;
    }
}

impl HttpBody for Joined {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        while self.left_bytes > 0 {
            let mut current = match self.current.take() {
                Some(current) => current,
                None => self.open()?,
            };
            match Pin::new(&mut current).poll_frame(cx)? {
                Poll::Pending => {
                    self.current = Some(current);
                    return Poll::Pending;
                }
                // With its last piece a slice says that it was the last.
                Poll::Ready(None) => return Poll::Ready(Some(Err(Error::Truncated))),
                Poll::Ready(Some(frame)) => {
                    self.current = Some(current);
                    // Slices have no trailers: those of one answer say nothing of the whole.
                    if let Ok(piece) = frame.into_data() {
                        return Poll::Ready(Some(Ok(self.give(piece))));
                    }
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}
