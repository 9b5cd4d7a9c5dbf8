//! Fill loop: an origin's body poured into its one writer, be that of an object or of a slice.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body::Frame;
use http_body_util::BodyExt;
use tracing::debug;

use super::growing::Demand;
use crate::body::Body;

/// The one writer of a body. One that is dropped before it is complete has failed: its readers see
/// the cut, and nothing is stored.
pub trait Writer: Send + Sized {
    /// Appends a piece. In transit it waits until a reader wants more.
    ///
    /// # Errors
    /// [`Unwanted`] when there is no use in fetching more.
    fn push(&mut self, piece: &[u8]) -> impl Future<Output = Result<(), Unwanted>> + Send;

    /// Ends when nobody reads and the body is not wanted for its own sake.
    fn unwanted(&self) -> impl Future<Output = ()> + Send;

    /// The origin's body has ended: files what was written, if it is whole and may be filed, and
    /// lets its readers come to the end.
    fn complete(self);

    /// Writes until the origin's body ends, or nobody wants more of it.
    fn pour(mut self, mut body: Body) -> impl Future<Output = ()> + Send {
        async move {
            loop {
                let frame = tokio::select! {
                    biased;
                    frame = body.frame() => frame,
                    () = self.unwanted() => return,
                };
                match frame.map(|frame| frame.map(Frame::into_data)) {
                    None => return self.complete(),
                    Some(Ok(Ok(piece))) => {
                        if self.push(&piece).await.is_err() {
                            return;
                        }
                    }
                    // Trailers are about one answer; they are no part of the content.
                    Some(Ok(Err(_))) => {}
                    Some(Err(error)) => {
                        debug!(%error, "a fill broke off");
                        return;
                    }
                }
            }
        }
    }
}

/// Nobody reads this body, and it will not be stored: there is no use in fetching more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody wants the rest of this body")]
pub struct Unwanted;

/// Counts the fills in progress.
pub(super) struct InFlight(Arc<AtomicU64>);

// === impl Unwanted ===

impl From<Demand> for Result<(), Unwanted> {
    fn from(demand: Demand) -> Self {
        match demand {
            Demand::More => Ok(()),
            Demand::Nobody => Err(Unwanted),
        }
    }
}

// === impl InFlight ===

impl InFlight {
    pub(super) fn new(fills: &Arc<AtomicU64>) -> Self {
        fills.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(fills))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
