//! The one body type every floor passes: bytes in a stream, told apart only by where they lie.
//!
//! A body knows nothing of caching, of origins or of clients. What a stored object or an origin
//! connection has to do while its bytes flow is behind [`Body::stream`].

mod limit;
mod meter;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
pub use hyper::body::Incoming;

pub use limit::{Limits, Progress};
pub use meter::{Meter, Tally};

/// Why a body ended before its end. Whoever reads it must make the cut visible.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The peer's bytes stopped short of what its head announced, or were malformed.
    #[error("the message broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// The origin's part of the body stopped before its end.
    #[error("the origin's response broke off")]
    Truncated,
    /// No byte came for as long as the configuration allows.
    #[error("no byte came for too long")]
    Stalled,
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

enum Source {
    Empty,
    One(Bytes),
    Many {
        parts: Arc<[Bytes]>,
        next: usize,
        left_bytes: u64,
    },
    Stream(Pin<Box<dyn HttpBody<Data = Bytes, Error = Error> + Send>>),
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
            left_bytes,
        })
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

    /// A request's body as it comes in, held to `limits`.
    pub fn incoming(body: Incoming, limits: Limits) -> Self {
        if body.is_end_stream() {
            Self::empty()
        } else {
            Self::stream(limit::Limited::new(body, limits))
        }
    }

    /// The same body, which keeps `held` as long as it lives.
    pub fn holding(self, held: impl Send + 'static) -> Self {
        // The meter's function goes with the body, and what it has caught with it.
        self.metered(Meter::new(move |_| drop(held)))
    }

    /// The same body, counted; see [`Meter`].
    pub fn metered(mut self, meter: Meter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Whether there is nothing to read, now or later.
    pub fn is_empty(&self) -> bool {
        matches!(self.source, Source::Empty)
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
                left_bytes,
            } => Poll::Ready(parts.get(*next).map(|part| {
                *next += 1;
                *left_bytes -= part.len() as u64;
                Ok(Frame::data(part.clone()))
            })),
            Self::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::One(_) => false,
            Self::Many { parts, next, .. } => *next >= parts.len(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}
