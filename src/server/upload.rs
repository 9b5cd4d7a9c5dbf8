//! Request body of an HTTP/1 connection, and what becomes of the rest of one that nobody wants.
//!
//! An answer may come before the end of its upload. Where the rest is short it is read away, so that
//! the connection can go on; where it is long it is read away while the answer is being written, for
//! many clients write all before they read. After that it is `linger.rs`'s. hyper alone would stop
//! reading, and a client whose bytes meet a closed socket loses the answer.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use parking_lot::Mutex;
use tokio::time::{Sleep, sleep_until};

use super::linger;
use super::watch::{InProgress, Watch};
use crate::body::Incoming;
use crate::clock::{self, Instant};

/// As much is read away so that a connection can be used again; for more, another one is cheaper.
const DRAINED_BYTES_MAX: u64 = 64 * 1024;

/// Bytes of a body that is not said to have so many.
const UNKNOWN: u64 = u64::MAX;

/// The uploads of one connection: one at a time, for HTTP/1 answers one request after the other.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// Whether the connection has had one: others never look further.
    any: AtomicBool,
    /// What the client has said that is still to come of the latest.
    left_bytes: AtomicU64,
    /// Whether the connection ends with the answer.
    closes: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rest: Option<Rest>,
    /// The connection's task.
    driver: Option<Waker>,
}

/// A request's body on its way. When it is dropped its rest is left to the connection's driver.
pub(super) struct Upload<B: Incoming> {
    body: Option<B>,
    uploads: Arc<Uploads>,
    /// Whether the client may wait for leave to send it.
    expects: bool,
    has_begun: bool,
    has_ended: bool,
    hold: Option<InProgress>,
    time_max: Duration,
}

/// What nobody wants of a body.
#[derive(Debug)]
struct Rest {
    /// `None` where it is not to be read.
    body: Option<UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>>,
    read_bytes: u64,
    deadline: Instant,
    /// Set by the connection's driver: who drops a body may have no runtime any more.
    silence: Option<Pin<Box<Sleep>>>,
    hold: InProgress,
}

/// What has become of a rest.
pub(super) enum Drained {
    /// There is none, or it waits for the client.
    Waits,
    /// Some has been read: hyper can go on.
    Some,
    /// No more will be read. hyper has to hear of that before the connection counts as idle.
    All(InProgress),
}

// === impl Uploads ===

impl Uploads {
    /// The body of the request that begins, of which a rest may be read for so long. `hold` keeps the
    /// connection busy until hyper is past it.
    pub(super) fn begin<B: Incoming>(
        self: &Arc<Self>,
        body: B,
        expects: bool,
        hold: InProgress,
        time_max: Duration,
    ) -> Upload<B> {
        let length = body.size_hint().exact().unwrap_or(UNKNOWN);
        self.left_bytes.store(length, Ordering::Relaxed);
        self.closes.store(false, Ordering::Relaxed);
        self.any.store(true, Ordering::Relaxed);
        Upload {
            body: Some(body),
            uploads: Arc::clone(self),
            expects,
            has_begun: false,
            has_ended: false,
            hold: Some(hold),
            time_max,
        }
    }

    /// Whether more is to come than is read so that the connection can go on.
    pub(super) fn is_long(&self) -> bool {
        let left_bytes = self.left_bytes.load(Ordering::Relaxed);
        left_bytes != UNKNOWN && left_bytes > DRAINED_BYTES_MAX
    }

    /// The connection ends with the answer: the rest is read no longer than that takes.
    pub(super) fn close(&self) {
        self.closes.store(true, Ordering::Relaxed);
    }

    /// Reads some of the rest away, if there is one; to be asked after hyper has been polled.
    pub(super) fn drain(&self, watch: &Watch, cx: &mut Context<'_>) -> Drained {
        if !self.any.load(Ordering::Relaxed) {
            return Drained::Waits;
        }
        let mut state = self.state.lock();
        let Some(rest) = &mut state.rest else {
            let driver = state.driver.get_or_insert_with(|| cx.waker().clone());
            driver.clone_from(cx.waker());
            return Drained::Waits;
        };
        let closes = self.closes.load(Ordering::Relaxed);
        let read = match closes && watch.is_answered() {
            true => Poll::Ready(None),
            false => rest.read(closes, cx),
        };
        match read {
            Poll::Ready(Some(())) => return Drained::Some,
            Poll::Ready(None) => {}
            Poll::Pending => return Drained::Waits,
        }
        match state.rest.take() {
            Some(rest) => Drained::All(rest.hold),
            None => Drained::Waits,
        }
    }

    fn leave(&self, rest: Rest) {
        let driver = {
            let mut state = self.state.lock();
            state.rest = Some(rest);
            state.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

// === impl Rest ===

impl Rest {
    /// `None` when there is no more, or no more is to be read.
    fn read(&mut self, closes: bool, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                let bytes_max = match closes {
                    true => linger::BYTES_MAX,
                    false => DRAINED_BYTES_MAX,
                };
                self.read_bytes = self.read_bytes.saturating_add(bytes);
                self.silence = None;
                Poll::Ready((self.read_bytes <= bytes_max).then_some(()))
            }
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => {
                let until = (clock::instant() + linger::SILENCE_MAX).min(self.deadline);
                let silence = self
                    .silence
                    .get_or_insert_with(|| Box::pin(sleep_until(until)));
                silence.as_mut().poll(cx).map(|()| None)
            }
        }
    }
}

// === impl Upload ===

impl<B: Incoming> HttpBody for Upload<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        this.has_begun = true;
        let polled = Pin::new(body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                let left_bytes = this.uploads.left_bytes.load(Ordering::Relaxed);
                if left_bytes != UNKNOWN {
                    let left_bytes = left_bytes.saturating_sub(bytes);
                    let left = &this.uploads.left_bytes;
                    left.store(left_bytes, Ordering::Relaxed);
                }
            }
            // hyper has done with it, one way or the other.
            Poll::Ready(_) => this.has_ended = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or(SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl<B: Incoming> Drop for Upload<B> {
    fn drop(&mut self) {
        let has_ended = self.has_ended || self.is_end_stream();
        let (Some(body), Some(hold), false) = (self.body.take(), self.hold.take(), has_ended)
        else {
            return;
        };
        // Reading would have hyper send the leave to go on that the answer has refused.
        let is_refused = self.expects && !self.has_begun;
        let body = (!is_refused && !self.time_max.is_zero())
            .then(|| body.map_err(Into::into).boxed_unsync());
        self.uploads.leave(Rest {
            body,
            read_bytes: 0,
            deadline: clock::instant() + self.time_max,
            silence: None,
            hold,
        });
    }
}
