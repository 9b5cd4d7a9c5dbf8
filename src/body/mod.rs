//! Body type that every floor passes on: bytes in a stream, told apart only by where they lie.
//!
//! A body knows nothing of caching, of origins or of clients. What a stored object or an origin
//! connection has to do while its bytes flow is behind [`Body::stream`].

mod discard;
mod limit;
mod meter;
mod slice;
pub mod trailers;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

pub use limit::{Incoming, Limits, Pace, Progress};
pub use meter::{Meter, Tally};

/// Why a body ended before its end. Whoever reads it must make the cut visible.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The peer's bytes stopped short of what its head announced, or were malformed.
    #[error("the message broke off: {0}")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The origin's part of the body stopped before its end.
    #[error("the origin's response broke off")]
    Truncated,
    /// No byte came for as long as the configuration allows.
    #[error("no byte came for too long")]
    Stalled,
    /// Bytes came, and fewer than the configuration wants in a time.
    #[error("the bytes came too slowly")]
    TooSlow,
    /// The request's body is longer than the configuration allows.
    #[error("the request body is longer than allowed")]
    TooLarge,
    /// This reader fell behind further than the bytes are kept.
    #[error("the reader fell behind the bytes that are kept")]
    Lagged,
}

/// A stream of bytes with a known or unknown length.
///
/// An error comes one poll later than its source gave it: hyper drops what it has buffered when a
/// body fails, and the reader should get the head and all bytes before the cut.
pub struct Body {
    source: Source,
    meter: Option<Meter>,
    error: Option<Error>,
}

/// A stream that can begin anywhere: a stretch of it is had without reading what comes before.
pub trait Seekable: HttpBody<Data = Bytes, Error = Error> + Send + Unpin {
    /// Leaves only `len` bytes, from the byte `first` on, counted from where it stands. What it
    /// does not have it must fail at, as [`Error::Truncated`].
    fn seek(&mut self, first: u64, len: u64);
}

enum Source {
    Empty,
    One(Bytes),
    Many {
        parts: Arc<[Bytes]>,
        next: usize,
        /// Bytes at the beginning of the next piece that are not to be given.
        skip: usize,
        left_bytes: u64,
    },
    Stream(Pin<Box<dyn HttpBody<Data = Bytes, Error = Error> + Send>>),
    Seekable(Box<dyn Seekable>),
}

// === impl Body ===

impl Body {
    /// No bytes at all.
    pub const fn empty() -> Self {
        Self::new(Source::Empty)
    }

    /// Bytes that are all here.
    pub fn full(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self::new(Source::One(bytes))
        }
    }

    /// Bytes that are all here, in several pieces, none of them empty.
    pub fn pieces(parts: Arc<[Bytes]>) -> Self {
        let left_bytes = parts.iter().map(|part| part.len() as u64).sum();
        Self::new(Source::Many {
            parts,
            next: 0,
            skip: 0,
            left_bytes,
        })
    }

    /// Several bodies as one, in this order. Its length is known if all of theirs are.
    pub fn chain(bodies: impl IntoIterator<Item = Body>) -> Self {
        Self::stream(slice::Chain::new(bodies))
    }

    /// Bytes that are still to come.
    pub fn stream<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error = Error> + Send + 'static,
    {
        if body.is_end_stream() {
            Self::empty()
        } else {
            Self::new(Source::Stream(Box::pin(body)))
        }
    }

    /// Bytes that are still to come, of which any stretch can come first.
    pub fn seekable(body: impl Seekable + 'static) -> Self {
        Self::new(Source::Seekable(Box::new(body)))
    }

    /// A request's body as it comes in, held to `limits`.
    pub fn incoming(body: impl Incoming, limits: Limits) -> Self {
        if body.is_end_stream() {
            Self::empty()
        } else {
            Self::stream(limit::Limited::new(body, limits))
        }
    }

    /// The bytes from `first` to `last`, counted from 0 and both included. They end with the last
    /// of them, whether or not more is to come, and a body that ends before it fails as
    /// [`Error::Truncated`]. There are none where `last` comes before `first`.
    pub fn slice(mut self, first: u64, last: u64) -> Self {
        let len = last
            .checked_sub(first)
            .map_or(0, |gap| gap.saturating_add(1));
        if let (Source::Seekable(body), None) = (&mut self.source, &self.meter) {
            body.seek(first, len);
            return self;
        }
        // Only what is cut on the way lets the meter of this body see what went through it.
        let cut = match self.meter {
            None => self.source.cut(first, len),
            Some(_) => None,
        };
        match cut {
            Some(source) => Self::new(source),
            None => Self::stream(slice::Slice::new(self, first, len)),
        }
    }

    /// The same body, which keeps `held` as long as it lives.
    pub fn holding(self, held: impl Send + 'static) -> Self {
        // The meter's function goes with the body, and what it has caught with it.
        self.metered(Meter::new(move |_| drop(held)))
    }

    /// The same body, counted; see [`Meter`]. A meter that it has already goes on beneath.
    pub fn metered(self, meter: Meter) -> Self {
        let mut body = match self.meter {
            None => self,
            Some(_) => Self::stream(self),
        };
        body.meter = Some(meter);
        body
    }

    /// Whether there is nothing to read, now or later.
    pub fn is_empty(&self) -> bool {
        matches!(self.source, Source::Empty)
    }

    /// All the bytes, if they are here in one piece.
    pub fn whole(&self) -> Option<Bytes> {
        match &self.source {
            Source::Empty => Some(Bytes::new()),
            Source::One(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }

    const fn new(source: Source) -> Self {
        Self {
            source,
            meter: None,
            error: None,
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let polled = match this.error.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None => match this.source.poll(cx) {
                Poll::Ready(Some(Err(error))) => {
                    this.error = Some(error);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                polled => polled,
            },
        };
        if let (Some(meter), Poll::Ready(frame)) = (&mut this.meter, &polled) {
            meter.note(frame, this.source.is_end());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::One(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Many { left_bytes, .. } => SizeHint::with_exact(*left_bytes),
            Source::Stream(body) => body.size_hint(),
            Source::Seekable(body) => body.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(meter) = &mut self.meter {
            meter.end(self.source.is_end());
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("size_hint", &self.size_hint())
            .finish_non_exhaustive()
    }
}

// === impl Source ===

impl Source {
    /// `len` bytes from `first` on, if they are all here.
    fn cut(&self, first: u64, len: u64) -> Option<Self> {
        if len == 0 {
            return Some(Self::Empty);
        }
        match self {
            Self::One(bytes) => {
                let start = usize::try_from(first).ok()?;
                let end = start.checked_add(usize::try_from(len).ok()?)?;
                (end <= bytes.len()).then(|| Self::One(bytes.slice(start..end)))
            }
            Self::Many {
                parts,
                next,
                skip,
                left_bytes,
            } => {
                (first.checked_add(len)? <= *left_bytes).then_some(())?;
                let skip = usize::try_from(first).ok()?.checked_add(*skip)?;
                let (next, skip) = piece_at(parts, *next, skip);
                Some(Self::Many {
                    parts: Arc::clone(parts),
                    next,
                    skip,
                    left_bytes: len,
                })
            }
            Self::Empty | Self::Stream(_) | Self::Seekable(_) => None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::One(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Many {
                parts,
                next,
                skip,
                left_bytes,
            } => Poll::Ready(parts.get(*next).filter(|_| *left_bytes > 0).map(|part| {
                let mut piece = part.slice(*skip..);
                piece.truncate(usize::try_from(*left_bytes).unwrap_or(usize::MAX));
                (*next, *skip) = (*next + 1, 0);
                *left_bytes -= piece.len() as u64;
                Ok(Frame::data(piece))
            })),
            Self::Stream(body) => body.as_mut().poll_frame(cx),
            Self::Seekable(body) => Pin::new(body.as_mut()).poll_frame(cx),
        }
    }

    fn is_end(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::One(_) => false,
            Self::Many { left_bytes, .. } => *left_bytes == 0,
            Self::Stream(body) => body.is_end_stream(),
            Self::Seekable(body) => body.is_end_stream(),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

/// The piece that has the byte `skip` bytes after the beginning of piece `next`, and where in it.
fn piece_at(parts: &[Bytes], mut next: usize, mut skip: usize) -> (usize, usize) {
    while let Some(part) = parts.get(next).filter(|part| part.len() <= skip) {
        skip -= part.len();
        next += 1;
    }
    (next, skip)
}
