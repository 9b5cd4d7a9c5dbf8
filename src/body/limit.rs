//! Limits of a request's body: bounded in bytes, never silent for long, and not too slow.
//!
//! How slow it is is told by the time that its client is waited for, and by no other: who reads slowly
//! makes nobody slow.
//!
//! The limits are the server's until it is known which route the request takes. The body also notes
//! when it last moved, so that whoever waits for the answer to an upload can tell a slow upload from a
//! slow answer. Responses have other bounds; they are not cut here.

use std::error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::{Error, trailers};
use crate::clock::{self, Instant};

/// The body of a request as a protocol's library hands it over: hyper's, or another's.
pub trait Incoming:
    HttpBody<Data = Bytes, Error: Into<Box<dyn error::Error + Send + Sync>>> + Send + Unpin + 'static
{
}

impl<B> Incoming for B where
    B: HttpBody<Data = Bytes, Error: Into<Box<dyn error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static
{
}

/// What a request's body may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of data, chunk framing not counted.
    pub bytes_max: u64,
    /// The longest silence between two pieces.
    pub silence_max: Duration,
    /// How fast it must come.
    pub pace: Pace,
    /// Told whenever a piece went through.
    pub progress: Progress,
}

/// The least that is to come, where a client is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes a second; 0 for any number.
    pub rate_min: u64,
    /// Over how long that is measured.
    pub window: Duration,
}

/// How a body moves and how far it may, readable from another task.
#[derive(Clone, Debug)]
pub struct Progress {
    start: Instant,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    moved_ms: AtomicU64,
    awaits_client: AtomicBool,
    ended: AtomicBool,
    is_too_slow: AtomicBool,
    bytes_max: AtomicU64,
    silence_max_ms: AtomicU64,
    rate_min: AtomicU64,
}

/// An incoming body under [`Limits`].
pub(super) struct Limited<B> {
    body: B,
    taken_bytes: u64,
    progress: Progress,
    /// Over how long its pace is measured, and what there was of this so far.
    window: Duration,
    waited: Duration,
    waited_bytes: u64,
    /// Since when the client is waited for.
    waits_since: Option<Instant>,
    silence: Option<Pin<Box<Sleep>>>,
    /// Whether trailers have come, behind which there is nothing.
    has_ended: bool,
}

// === impl Progress ===

impl Progress {
    /// Nothing has moved since `start`.
    pub fn new(start: Instant) -> Self {
        let state = Arc::default();
        Self { start, state }
    }

    /// When the body last moved.
    pub fn moved(&self) -> Instant {
        self.start + Duration::from_millis(self.state.moved_ms.load(Ordering::Relaxed))
    }

    /// Whether it would go on if only the client sent more.
    pub fn awaits_client(&self) -> bool {
        self.state.awaits_client.load(Ordering::Relaxed)
    }

    /// Whether all of it has been read.
    pub fn has_ended(&self) -> bool {
        self.state.ended.load(Ordering::Relaxed)
    }

    /// Whether it was given up because it came too slowly.
    pub fn was_too_slow(&self) -> bool {
        self.state.is_too_slow.load(Ordering::Relaxed)
    }

    /// Puts other limits in the place of those that it began with; before anything of it is read.
    pub fn limit(&self, bytes_max: u64, silence_max: Duration, rate_min: u64) {
        let state = &self.state;
        state.bytes_max.store(bytes_max, Ordering::Relaxed);
        state.rate_min.store(rate_min, Ordering::Relaxed);
        state
            .silence_max_ms
            .store(millis(silence_max), Ordering::Relaxed);
    }

    fn bytes_max(&self) -> u64 {
        self.state.bytes_max.load(Ordering::Relaxed)
    }

    fn silence_max(&self) -> Duration {
        Duration::from_millis(self.state.silence_max_ms.load(Ordering::Relaxed))
    }

    fn note_moved(&self) {
        let moved_ms = millis(self.start.elapsed());
        self.state.moved_ms.store(moved_ms, Ordering::Relaxed);
    }

    fn note(&self, polled: &Poll<Option<Result<Frame<Bytes>, Error>>>, at_end: bool) {
        self.state
            .awaits_client
            .store(polled.is_pending(), Ordering::Relaxed);
        if at_end || matches!(polled, Poll::Ready(None)) {
            self.state.ended.store(true, Ordering::Relaxed);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

// === impl Limited ===

impl<B: Incoming> Limited<B> {
    pub(super) fn new(body: B, limits: Limits) -> Self {
        let progress = limits.progress;
        progress.limit(limits.bytes_max, limits.silence_max, limits.pace.rate_min);
        Self {
            body,
            taken_bytes: 0,
            progress,
            window: limits.pace.window,
            waited: Duration::ZERO,
            waited_bytes: 0,
            waits_since: None,
            silence: None,
            has_ended: false,
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let silence_max = self.progress.silence_max();
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(sleep(silence_max)));
        silence.as_mut().poll(cx)
    }

    fn poll_limited(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {
                self.has_ended = true;
                Poll::Ready(trailers::admitted(frame).map(Ok))
            }
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(self.admit(frame))),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Error::Broken(error.into())))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                self.waits_since.get_or_insert_with(clock::instant);
                ready!(self.poll_silence(cx));
                Poll::Ready(Some(Err(Error::Stalled)))
            }
        }
    }

    fn admit(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Error> {
        self.silence = None;
        self.progress.note_moved();
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.taken_bytes = self.taken_bytes.saturating_add(bytes);
        if self.taken_bytes > self.progress.bytes_max() {
            return Err(Error::TooLarge);
        }
        match self.keeps_pace(bytes) {
            true => Ok(frame),
            false => {
                let state = &self.progress.state;
                state.is_too_slow.store(true, Ordering::Relaxed);
                Err(Error::TooSlow)
            }
        }
    }

    /// Whether enough has come, now that so many bytes have. That none comes is for the silence.
    fn keeps_pace(&mut self, bytes: u64) -> bool {
        self.waited_bytes = self.waited_bytes.saturating_add(bytes);
        let Some(since) = self.waits_since.take() else {
            return true;
        };
        self.waited += since.elapsed();
        if self.waited < self.window {
            return true;
        }
        let rate_min = self.progress.state.rate_min.load(Ordering::Relaxed);
        let wanted = u128::from(rate_min) * self.waited.as_millis() / 1000;
        let has_come = u128::from(std::mem::take(&mut self.waited_bytes));
        self.waited = Duration::ZERO;
        has_come >= wanted
    }
}

impl<B: Incoming> HttpBody for Limited<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = self.poll_limited(cx);
        self.progress.note(&polled, self.is_end_stream());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
