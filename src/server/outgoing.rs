//! Body of a response on its way to hyper, which keeps its connection busy until it is gone.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::watch::InProgress;
use crate::body::{Body, Error};

/// A body that keeps its connection busy until it is gone: what it has handed out is hyper's to write at
/// once.
pub(super) struct Outgoing {
    body: Body,
    _in_progress: InProgress,
}

// === impl Outgoing ===

impl Outgoing {
    pub(super) fn new(body: Body, in_progress: InProgress) -> Self {
        Self {
            body,
            _in_progress: in_progress,
        }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
