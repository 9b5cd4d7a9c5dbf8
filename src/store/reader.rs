//! Reader of a growing body, from its first byte to its end.
//!
//! In transit it may fall so far behind that the rest is brought to it alone; then it leaves the others
//! and reads that.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::growing::{Growing, wake};
use super::held::{Fill, Mark};
use crate::body::{Body, Error};

/// One reader of a growing body.
pub(super) struct Reader {
    growing: Arc<Growing>,
    id: usize,
    mark: Mark,
    /// What is left of the body, for this reader alone.
    rest: Option<Body>,
    finished: bool,
}

// === impl Reader ===

impl Reader {
    /// A reader from the first byte. In transit the first byte may be gone: it then fails.
    pub(super) fn new(growing: &Arc<Growing>) -> Self {
        let id = growing.held().enter();
        Self::at(growing, id)
    }

    /// The same where the first byte is still here.
    pub(super) fn join(growing: &Arc<Growing>) -> Option<Self> {
        let mut held = growing.held();
        let id = held.has_begin().then(|| held.enter())?;
        drop(held);
        Some(Self::at(growing, id))
    }

    fn at(growing: &Arc<Growing>, id: usize) -> Self {
        Self {
            growing: Arc::clone(growing),
            id,
            mark: Mark::default(),
            rest: None,
            finished: growing.announced == Some(0),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let growing = Arc::clone(&self.growing);
        let mut held = growing.held();
        if growing.holds_back(&held) {
            held.wake_later(self.id, cx.waker());
            return Poll::Pending;
        }
        if let Some(rest) = held.take_rest(self.id) {
            drop(held);
            self.rest = Some(rest);
            return self.poll_rest(cx);
        }
        let bytes = match held.next(self.id, &mut self.mark) {
            Ok(bytes) => bytes,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        if let Some(bytes) = bytes {
            self.finished = growing.announced == Some(self.mark.at)
                || (held.fill == Fill::Complete && self.mark.at == held.len);
            let writer = held.writer.take();
            drop(held);
            wake(writer);
            return Poll::Ready(Some(Ok(bytes)));
        }
        match held.fill {
            Fill::Complete => Poll::Ready(None),
            Fill::Failed => Poll::Ready(Some(Err(Error::Truncated))),
            Fill::Filling => {
                held.wake_later(self.id, cx.waker());
                Poll::Pending
            }
        }
    }

    /// The rest ends with its last byte, or fails: it was cut to its length.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(&mut *rest).poll_frame(cx);
        self.finished = rest.is_end_stream();
        // Trailers are about an answer that the client knows nothing of.
        polled.map(|frame| {
            frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()))
        })
    }
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = match self.rest {
            None => self.poll(cx),
            Some(_) => self.poll_rest(cx),
        };
        if matches!(polled, Poll::Ready(None)) {
            self.finished = true;
        }
        polled.map(|bytes| bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.finished
    }

    fn size_hint(&self) -> SizeHint {
        let announced = self.growing.announced;
        let left = announced.map(|announced| announced.saturating_sub(self.mark.at));
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let (writer, _left) = {
            let mut held = self.growing.held();
            let left = held.leave(self.id);
            (held.writer.take(), left)
        };
        wake(writer);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http_body_util::BodyExt;

    use super::super::budget::{Budget, Share};
    use super::super::growing::Demand;
    use super::super::held::{AHEAD_BYTES, SEGMENT_BYTES};
    use super::*;

    fn room() -> Share {
        Budget::new(u64::MAX).take(0).unwrap()
    }

    async fn text(reader: Reader) -> Result<String, Error> {
        let bytes = reader.collect().await?.to_bytes();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn readers_see_every_byte_whenever_they_join() {
        let growing = Growing::new(None, room());
        let early = tokio::spawn(text(Reader::new(&growing)));
        growing.push(b"one ");
        tokio::task::yield_now().await;
        let late = tokio::spawn(text(Reader::join(&growing).unwrap()));
        growing.push(&[b'x'; SEGMENT_BYTES]);
        growing.push(b" end");
        growing.finish();
        let whole = format!("one {} end", "x".repeat(SEGMENT_BYTES));
        assert_eq!(early.await.unwrap().unwrap(), whole);
        assert_eq!(late.await.unwrap().unwrap(), whole);
    }

    #[tokio::test]
    async fn a_failure_is_never_an_end() {
        let growing = Growing::new(Some(10), room());
        let reader = Reader::new(&growing);
        growing.push(b"half");
        growing.fail();
        assert!(matches!(text(reader).await, Err(Error::Truncated)));
    }

    #[tokio::test]
    async fn transit_holds_the_writer_back() {
        let growing = Growing::new(None, room());
        let mut reader = Reader::new(&growing);
        growing.go_into_transit();
        for _ in 0..AHEAD_BYTES as usize / SEGMENT_BYTES {
            growing.push(&[0; SEGMENT_BYTES]);
        }
        let mut demand = std::pin::pin!(poll_fn(|cx| growing.poll_demand(cx)));
        tokio::select! {
            biased;
            _ = &mut demand => panic!("the writer ran ahead"),
            () = std::future::ready(()) => {}
        }
        reader.frame().await.unwrap().unwrap();
        assert_eq!(demand.await, Demand::More);
        drop(reader);
        assert_eq!(poll_fn(|cx| growing.poll_demand(cx)).await, Demand::Nobody);
    }

    #[tokio::test]
    async fn nobody_joins_what_has_begun_to_go() {
        let growing = Growing::new(None, room());
        let mut first = Reader::new(&growing);
        growing.push(&[0; SEGMENT_BYTES]);
        growing.go_into_transit();
        assert!(Reader::join(&growing).is_some(), "all of it is here still");
        first.frame().await.unwrap().unwrap();
        assert!(Reader::join(&growing).is_none());
        let late = Reader::new(&growing);
        assert!(matches!(text(late).await, Err(Error::Lagged)));
    }

    #[tokio::test]
    async fn a_large_piece_is_taken_in_sips_in_transit() {
        let growing = Growing::new(None, room());
        let mut reader = Reader::new(&growing);
        growing.go_into_transit();
        let piece: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        growing.push(&piece);
        growing.finish();
        let mut read = Vec::new();
        while let Some(frame) = reader.frame().await {
            let bytes = frame.unwrap().into_data().unwrap();
            assert!(bytes.len() <= 64 * 1024);
            read.extend_from_slice(&bytes);
        }
        assert!(read == piece);
    }
}
