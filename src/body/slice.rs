//! Slices and chains of bodies: a stretch of bytes out of a stream, and several bodies as one.
//!
//! Which stretches is decided elsewhere; bytes that are all here are cut in [`Body::slice`] itself.
//! A slice that cannot be had in full fails: it never ends short.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::{Body, Error};

/// So many pieces are skipped before other tasks get their turn.
const SKIPS_MAX: usize = 64;

/// A stretch of a stream that may be arriving still.
pub(super) struct Slice {
    /// Dropped as soon as the last byte wanted has been given: what follows is not waited for.
    body: Option<Body>,
    skip_bytes: u64,
    left_bytes: u64,
}

/// Bodies one after another.
pub(super) struct Chain(VecDeque<Body>);

// === impl Slice ===

impl Slice {
    pub(super) fn new(body: Body, skip_bytes: u64, left_bytes: u64) -> Self {
        let body = (left_bytes > 0).then_some(body);
        Self {
            body,
            skip_bytes,
            left_bytes,
        }
    }

    /// What of the next piece belongs to the slice.
    fn cut(&mut self, mut piece: Bytes) -> Bytes {
        let skipped = at_most(self.skip_bytes, piece.len());
        self.skip_bytes -= skipped as u64;
        let mut piece = piece.split_off(skipped);
        piece.truncate(at_most(self.left_bytes, piece.len()));
        self.left_bytes -= piece.len() as u64;
        if self.left_bytes == 0 {
            self.body = None;
        }
        piece
    }
}

impl HttpBody for Slice {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        for _ in 0..SKIPS_MAX {
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            let frame = match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                broken => {
                    self.body = None;
                    let error = broken.and_then(Result::err).unwrap_or(Error::Truncated);
                    return Poll::Ready(Some(Err(error)));
                }
            };
            // Trailers are about the whole.
            let piece = frame.into_data().map(|piece| self.cut(piece));
            if let Some(piece) = piece.ok().filter(|piece| !piece.is_empty()) {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}

// === impl Chain ===

impl Chain {
    pub(super) fn new(bodies: impl IntoIterator<Item = Body>) -> Self {
        Self(bodies.into_iter().filter(|body| !body.is_empty()).collect())
    }
}

impl HttpBody for Chain {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        while let Some(body) = self.0.front_mut() {
            let polled = ready!(Pin::new(&mut *body).poll_frame(cx));
            if polled.is_none() || body.is_end_stream() {
                self.0.pop_front();
            }
            match polled {
                Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
                Some(Err(error)) => {
                    // What would follow stands in the wrong place.
                    self.0.clear();
                    return Poll::Ready(Some(Err(error)));
                }
                None => {}
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    /// Exact if all bodies' are.
    fn size_hint(&self) -> SizeHint {
        let exact = self.0.iter().try_fold(0_u64, |sum, body| {
            sum.checked_add(body.size_hint().exact()?)
        });
        exact.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// `bytes`, or `len` if that is less.
fn at_most(bytes: u64, len: usize) -> usize {
    usize::try_from(bytes).map_or(len, |bytes| bytes.min(len))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use proptest::prelude::*;
    use tokio::sync::mpsc;

    use super::*;
    use crate::body::{Meter, Tally};

    /// A stream whose pieces a test sends; it ends when the sender is dropped.
    struct Arriving(mpsc::UnboundedReceiver<Result<Bytes, Error>>);

    impl HttpBody for Arriving {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            let polled = self.0.poll_recv(cx);
            polled.map(|piece| piece.map(|piece| piece.map(Frame::data)))
        }
    }

    fn arriving() -> (mpsc::UnboundedSender<Result<Bytes, Error>>, Body) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Body::stream(Arriving(receiver)))
    }

    fn streamed(pieces: &[Bytes]) -> Body {
        let (sender, body) = arriving();
        for piece in pieces {
            sender.send(Ok(piece.clone())).unwrap();
        }
        body
    }

    fn pieces(bodies: &[&'static str]) -> Vec<Bytes> {
        bodies
            .iter()
            .map(|it| Bytes::from_static(it.as_bytes()))
            .collect()
    }

    /// All shapes a body comes in.
    fn shapes(pieces: &[Bytes]) -> [Body; 4] {
        let whole = Bytes::from(pieces.concat());
        let report = |_: Tally| ();
        [
            Body::full(whole.clone()),
            Body::pieces(pieces.into()),
            streamed(pieces),
            Body::full(whole).metered(Meter::new(report)),
        ]
    }

    fn read(body: Body) -> Result<Bytes, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let collected = runtime.unwrap().block_on(body.collect());
        collected.map(http_body_util::Collected::to_bytes)
    }

    #[tokio::test]
    async fn a_slice_ends_before_what_follows_has_come() {
        let (sender, body) = arriving();
        let mut slice = body.slice(2, 5);
        assert_eq!(slice.size_hint().exact(), Some(4));
        sender.send(Ok(Bytes::from("abcd"))).unwrap();
        assert_eq!(
            slice.frame().await.unwrap().unwrap().into_data().unwrap(),
            "cd"
        );
        assert!(!slice.is_end_stream() && !sender.is_closed());
        sender.send(Ok(Bytes::from("efgh"))).unwrap();
        assert_eq!(
            slice.frame().await.unwrap().unwrap().into_data().unwrap(),
            "ef"
        );
        assert!(
            slice.is_end_stream() && sender.is_closed(),
            "the stream is let go"
        );
        assert!(slice.frame().await.is_none());
    }

    #[tokio::test]
    async fn a_long_skip_lets_others_have_their_turn() {
        let mut slice = streamed(&vec![Bytes::from("x"); 3 * SKIPS_MAX])
            .slice(2 * SKIPS_MAX as u64, 3 * SKIPS_MAX as u64 - 1);
        let first = std::future::poll_fn(|cx| {
            Poll::Ready(Pin::new(&mut slice).poll_frame(cx).is_pending())
        })
        .await;
        assert!(first);
        assert_eq!(slice.collect().await.unwrap().to_bytes().len(), SKIPS_MAX);
    }

    #[test]
    fn a_body_that_ends_before_its_slice_is_truncated() {
        for body in shapes(&pieces(&["ab", "cd"])) {
            assert!(matches!(read(body.slice(1, 4)), Err(Error::Truncated)));
        }
        assert!(matches!(
            read(Body::empty().slice(0, 0)),
            Err(Error::Truncated)
        ));
    }

    #[test]
    fn a_failure_within_a_slice_is_its_failure() {
        let (sender, body) = arriving();
        sender.send(Ok(Bytes::from("abcd"))).unwrap();
        sender.send(Err(Error::Stalled)).unwrap();
        assert!(matches!(read(body.slice(3, 4)), Err(Error::Stalled)));
    }

    #[test]
    fn a_chain_has_all_its_links_and_their_length() {
        let [one, many, stream, _] = shapes(&pieces(&["ab", "cd"]));
        let links = [
            one,
            Body::empty(),
            many,
            stream.slice(1, 2),
            Body::full("end".into()),
        ];
        let chain = Body::chain(links);
        assert_eq!(chain.size_hint().exact(), Some(13));
        assert_eq!(read(chain).unwrap(), "abcdabcdbcend");
        assert!(Body::chain([]).is_empty());
    }

    #[test]
    fn a_chain_fails_with_its_link() {
        let chain = Body::chain([
            streamed(&pieces(&["ab"])).slice(0, 2),
            Body::full("end".into()),
        ]);
        assert_eq!(chain.size_hint().exact(), Some(6));
        assert!(matches!(read(chain), Err(Error::Truncated)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn slices_of_pieces_are_slices_of_the_whole(
            pieces in proptest::collection::vec("[a-z]{1,9}", 1..9),
            first in 0..80_usize,
            len in 1..80_usize,
        ) {
            let pieces: Vec<_> = pieces.into_iter().map(Bytes::from).collect();
            let whole = Bytes::from(pieces.concat());
            let (first, last) = (first % whole.len(), (first % whole.len()) + len - 1);
            for body in shapes(&pieces) {
                let slice = body.slice(first as u64, last as u64);
                prop_assert_eq!(slice.size_hint().exact(), Some(len as u64));
                match whole.get(first..=last) {
                    Some(expected) => {
                        // A slice can be cut once more.
                        let half = slice.slice(len as u64 / 2, len as u64 - 1);
                        prop_assert_eq!(read(half).unwrap(), &expected[len / 2..]);
                    }
                    None => prop_assert!(matches!(read(slice), Err(Error::Truncated))),
                }
            }
        }
    }
}
