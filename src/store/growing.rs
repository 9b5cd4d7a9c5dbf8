//! Growing body: one writer, any number of readers, each from the first byte.
//!
//! Pieces are copied into storage of their own size, since a chunk as hyper hands it out pins the
//! whole read buffer it was cut from. Small pieces gather in a tail; a reader at the live edge
//! copies from the tail, one further back shares whole segments.
//!
//! A body that turns out too large to keep goes into **transit**: what every reader has passed is
//! let go, the writer waits for the fastest reader, and for the slowest when that is behind by as
//! much as is kept. One that then takes nothing at all is cut off, so that a silent client holds
//! up nobody for long. It does not know about keys, flights or moka; that is `fill.rs`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use slab::Slab;

use super::budget::Share;
use super::whole::Whole;
use crate::body::Error;
use crate::semantics::range::Length;

/// A tail this long becomes a segment; a piece this long becomes one without passing the tail.
const SEGMENT_BYTES: usize = 16 * 1024;
/// A body announced as no longer than this is gathered in one block.
const BLOCK_BYTES_MAX: u64 = 64 * 1024;
/// A body of unknown length takes its room in steps of this size.
const STEP_BYTES: u64 = 64 * 1024;
/// How far a writer in transit may run ahead of its fastest reader.
const TRANSIT_AHEAD_BYTES: u64 = 256 * 1024;
/// How far a reader in transit may fall behind before the others wait for it, at the least.
const TRANSIT_BEHIND_BYTES_MIN: u64 = 1024 * 1024;

/// How far a fill has come (Varnish: BOC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    Filling,
    Complete,
    Failed,
}

/// Bytes that are still arriving.
#[derive(Debug)]
pub(super) struct Growing {
    /// The length the head announced.
    announced: Option<u64>,
    /// The room it takes, until the last reader has gone: bytes that only a slow reader holds are
    /// held all the same.
    share: Mutex<Share>,
    /// Never held across an await: every section copies or swaps a few words.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    fill: Fill,
    /// Whole segments; the first one held has the number `first`.
    segments: VecDeque<Bytes>,
    first: usize,
    /// Bytes that came before the first segment held.
    passed: u64,
    tail: Vec<u8>,
    len: u64,
    readers: Slab<Place>,
    writer: Option<Waker>,
    transit: Option<Transit>,
}

/// What a body in transit keeps.
#[derive(Clone, Copy, Debug)]
struct Transit {
    behind_max: u64,
}

/// Where a reader stands.
#[derive(Debug, Default)]
struct Place {
    at: u64,
    waker: Option<Waker>,
    /// It held the others up: what it has not read is let go.
    cut: bool,
}

/// One reader of a growing body.
pub(super) struct Reader {
    growing: Arc<Growing>,
    id: usize,
    at: u64,
    segment: usize,
    offset: usize,
    finished: bool,
}

/// Whether the writer should go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    More,
    /// Nobody reads, and nothing of it will be kept.
    Nobody,
}

/// How far the slowest readers have come when they hold the writer up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Laggard(u64);

// === impl Growing ===

impl Growing {
    pub(super) fn new(announced: Option<u64>, share: Share) -> Arc<Self> {
        let block = announced.filter(|len| *len <= BLOCK_BYTES_MAX).unwrap_or(0);
        let state = State {
            fill: Fill::Filling,
            segments: VecDeque::new(),
            first: 0,
            passed: 0,
            // At most BLOCK_BYTES_MAX, so the cast cannot cut.
            tail: Vec::with_capacity(block as usize),
            len: 0,
            readers: Slab::new(),
            writer: None,
            transit: None,
        };
        Arc::new(Self {
            announced,
            share: Mutex::new(share),
            state: Mutex::new(state),
        })
    }

    /// A reader from the first byte. In transit the first byte may be gone: it then fails.
    pub(super) fn reader(this: &Arc<Self>) -> Reader {
        let id = this.state.lock().readers.insert(Place::default());
        let finished = this.announced == Some(0);
        Reader {
            growing: Arc::clone(this),
            id,
            at: 0,
            segment: 0,
            offset: 0,
            finished,
        }
    }

    pub(super) fn length(&self) -> Length {
        if let Some(announced) = self.announced {
            return Length::Exact(announced);
        }
        let state = self.state.lock();
        match state.fill {
            Fill::Complete => Length::Exact(state.len),
            Fill::Filling | Fill::Failed => Length::AtLeast(state.len),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        let state = self.state.lock();
        state.fill == Fill::Complete || self.announced == Some(state.len)
    }

    /// Whether readers wait for the end, though the bytes are here. Who has read a response to its
    /// last byte may ask for it again at once, and should find it: so it is filed first.
    fn holds_back(&self, state: &State) -> bool {
        state.fill == Fill::Filling && state.transit.is_none() && self.announced == Some(state.len)
    }

    pub(super) fn is_failed(&self) -> bool {
        self.state.lock().fill == Fill::Failed
    }

    /// Ready when nobody reads any more.
    pub(super) fn poll_deserted(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.readers.is_empty() {
            return Poll::Ready(());
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Appends a copy of `piece` and wakes the readers.
    pub(super) fn push(&self, piece: &[u8]) {
        let wakers = {
            let mut state = self.state.lock();
            state.append(piece, self.announced);
            state.let_go();
            match self.holds_back(&state) {
                true => Vec::new(),
                false => state.take_wakers(),
            }
        };
        wake(wakers);
    }

    /// Takes room for `wanted` bytes in all; false when there is none.
    pub(super) fn charge(&self, wanted: u64) -> bool {
        let mut share = self.share.lock();
        let missing = wanted.saturating_sub(share.bytes());
        missing == 0 || share.grow(missing.max(STEP_BYTES)) || share.grow(missing)
    }

    /// From now on nothing is kept that the readers do not need.
    pub(super) fn go_into_transit(&self) {
        let mut state = self.state.lock();
        let behind_max = (state.len - state.passed).max(TRANSIT_BEHIND_BYTES_MIN);
        state.transit = Some(Transit { behind_max });
        state.let_go();
    }

    /// In transit: ready when the readers are near enough, or when nobody reads.
    pub(super) fn poll_demand(&self, cx: &mut Context<'_>) -> Poll<Demand> {
        let mut state = self.state.lock();
        if state.transit.is_none() {
            return Poll::Ready(Demand::More);
        }
        let Some(fastest) = state.places().max() else {
            return Poll::Ready(Demand::Nobody);
        };
        if state.len - fastest < TRANSIT_AHEAD_BYTES && state.laggard().is_none() {
            return Poll::Ready(Demand::More);
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether a reader is behind by as much as is kept.
    pub(super) fn laggard(&self) -> Option<Laggard> {
        self.state.lock().laggard()
    }

    /// Cuts off who has not moved since it was seen to lag.
    pub(super) fn cut(&self, laggard: Laggard) {
        let wakers = {
            let mut state = self.state.lock();
            for (_, place) in &mut state.readers {
                place.cut |= place.at <= laggard.0;
            }
            state.let_go();
            state.take_wakers()
        };
        wake(wakers);
    }

    /// All bytes are here: the shape they are stored in. Readers get the last of them after
    /// [`Growing::finish`].
    pub(super) fn whole(&self) -> Whole {
        let segments: Vec<Bytes> = {
            let mut state = self.state.lock();
            state.freeze_tail();
            state.segments.iter().cloned().collect()
        };
        Whole::new(segments)
    }

    /// The end: what is to be filed has been.
    pub(super) fn finish(&self) {
        let wakers = {
            let mut state = self.state.lock();
            state.fill = Fill::Complete;
            state.take_wakers()
        };
        wake(wakers);
    }

    /// The end: no more bytes will come, and those that came are not the whole.
    pub(super) fn fail(&self) {
        let wakers = {
            let mut state = self.state.lock();
            state.fill = Fill::Failed;
            state.take_wakers()
        };
        wake(wakers);
    }
}

// === impl State ===

impl State {
    fn append(&mut self, piece: &[u8], announced: Option<u64>) {
        self.len += piece.len() as u64;
        let in_one_block = announced.is_some_and(|len| len <= BLOCK_BYTES_MAX);
        if piece.len() >= SEGMENT_BYTES && !in_one_block {
            self.freeze_tail();
            self.segments.push_back(Bytes::copy_from_slice(piece));
            return;
        }
        self.tail.extend_from_slice(piece);
        if self.tail.len() >= SEGMENT_BYTES && !in_one_block {
            self.freeze_tail();
        }
    }

    fn freeze_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail).into_boxed_slice();
            self.segments.push_back(Bytes::from(tail));
        }
    }

    /// Where the readers are that have not been cut off.
    fn places(&self) -> impl Iterator<Item = u64> {
        self.readers
            .iter()
            .filter(|(_, place)| !place.cut)
            .map(|(_, place)| place.at)
    }

    fn laggard(&self) -> Option<Laggard> {
        let behind_max = self.transit?.behind_max;
        let (slowest, fastest) = (self.places().min()?, self.places().max()?);
        // Who reads alone holds up nobody.
        (slowest < fastest && self.len - slowest > behind_max).then_some(Laggard(slowest))
    }

    /// In transit: drops the segments that every reader has passed.
    fn let_go(&mut self) {
        if self.transit.is_none() {
            return;
        }
        let keep_from = self.places().min().unwrap_or(self.len);
        while let Some(segment) = self.segments.front() {
            let end = self.passed + segment.len() as u64;
            if end > keep_from {
                break;
            }
            self.passed = end;
            self.first += 1;
            self.segments.pop_front();
        }
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        self.readers
            .iter_mut()
            .filter_map(|(_, place)| place.waker.take())
            .collect()
    }
}

// === impl Reader ===

impl Reader {
    /// The next bytes that are here already.
    fn next(&mut self, state: &State) -> Result<Option<Bytes>, Error> {
        if self.at < state.passed || state.readers.get(self.id).is_some_and(|place| place.cut) {
            return Err(Error::Lagged);
        }
        if self.segment < state.first {
            // The segment that was read to its end has been let go since.
            (self.segment, self.offset) = (state.first, 0);
        }
        while let Some(segment) = state.segments.get(self.segment - state.first) {
            let rest = segment.slice(self.offset..);
            self.segment += 1;
            self.offset = 0;
            if !rest.is_empty() {
                return Ok(Some(rest));
            }
        }
        let fresh = &state.tail[self.offset..];
        self.offset += fresh.len();
        Ok((!fresh.is_empty()).then(|| Bytes::copy_from_slice(fresh)))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let growing = Arc::clone(&self.growing);
        let mut state = growing.state.lock();
        if growing.holds_back(&state) {
            state.readers[self.id].waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let bytes = match self.next(&state) {
            Ok(bytes) => bytes,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        if let Some(bytes) = bytes {
            self.at += bytes.len() as u64;
            self.finished = growing.announced == Some(self.at)
                || (state.fill == Fill::Complete && self.at == state.len);
            let writer = self.step(&mut state);
            drop(state);
            wake(writer);
            return Poll::Ready(Some(Ok(bytes)));
        }
        match state.fill {
            Fill::Complete => Poll::Ready(None),
            Fill::Failed => Poll::Ready(Some(Err(Error::Truncated))),
            Fill::Filling => {
                state.readers[self.id].waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Notes how far this reader is; in transit that frees memory and the writer.
    fn step(&self, state: &mut State) -> Option<Waker> {
        state.readers[self.id].at = self.at;
        state.let_go();
        state.writer.take()
    }
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = self.poll(cx);
        if matches!(polled, Poll::Ready(None)) {
            self.finished = true;
        }
        polled.map(|bytes| bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.finished
    }

    fn size_hint(&self) -> SizeHint {
        let left = self
            .growing
            .announced
            .map(|announced| announced.saturating_sub(self.at));
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let writer = {
            let mut state = self.growing.state.lock();
            state.readers.remove(self.id);
            state.let_go();
            state.writer.take()
        };
        wake(writer);
    }
}

fn wake(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http_body_util::BodyExt;

    use super::super::budget::Budget;
    use super::*;

    fn room() -> Share {
        Budget::new(u64::MAX).take(0).unwrap()
    }

    fn held_bytes(growing: &Growing) -> u64 {
        let state = growing.state.lock();
        state.len - state.passed
    }

    async fn text(reader: Reader) -> Result<String, Error> {
        let bytes = reader.collect().await?.to_bytes();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    #[tokio::test]
    async fn readers_see_every_byte_whenever_they_join() {
        let growing = Growing::new(None, room());
        let early = tokio::spawn(text(Growing::reader(&growing)));
        growing.push(b"one ");
        tokio::task::yield_now().await;
        let late = tokio::spawn(text(Growing::reader(&growing)));
        growing.push(&[b'x'; SEGMENT_BYTES]);
        growing.push(b" end");
        growing.finish();
        let whole = format!("one {} end", "x".repeat(SEGMENT_BYTES));
        assert_eq!(early.await.unwrap().unwrap(), whole);
        assert_eq!(late.await.unwrap().unwrap(), whole);
    }

    #[test]
    fn a_length_is_known_when_it_was_announced_or_the_end_has_come() {
        let announced = Growing::new(Some(10), room());
        assert_eq!(announced.length(), Length::Exact(10));
        let growing = Growing::new(None, room());
        growing.push(b"half");
        assert_eq!(growing.length(), Length::AtLeast(4));
        growing.finish();
        assert_eq!(growing.length(), Length::Exact(4));
    }

    #[tokio::test]
    async fn a_failure_is_never_an_end() {
        let growing = Growing::new(Some(10), room());
        let reader = Growing::reader(&growing);
        growing.push(b"half");
        growing.fail();
        assert!(matches!(text(reader).await, Err(Error::Truncated)));
    }

    #[test]
    fn a_body_of_known_length_is_stored_in_one_block() {
        let growing = Growing::new(Some(40_000), room());
        growing.push(&[1; 20_000]);
        growing.push(&[2; 20_000]);
        assert!(matches!(growing.whole(), Whole::One(bytes) if bytes.len() == 40_000));
    }

    #[tokio::test]
    async fn a_reader_in_transit_that_takes_nothing_can_be_cut() {
        let growing = Growing::new(None, room());
        let (mut fast, mut slow) = (Growing::reader(&growing), Growing::reader(&growing));
        growing.push(&[0; SEGMENT_BYTES]);
        growing.go_into_transit();
        for _ in 0..200 {
            growing.push(&[0; SEGMENT_BYTES]);
            while fast.at < growing.state.lock().len {
                fast.frame().await.unwrap().unwrap();
            }
            if let Some(laggard) = growing.laggard() {
                growing.cut(laggard);
            }
            assert_eq!(poll_fn(|cx| growing.poll_demand(cx)).await, Demand::More);
        }
        assert!(held_bytes(&growing) <= TRANSIT_BEHIND_BYTES_MIN + SEGMENT_BYTES as u64);
        assert!(matches!(slow.frame().await, Some(Err(Error::Lagged))));
        drop((fast, slow));
        assert_eq!(poll_fn(|cx| growing.poll_demand(cx)).await, Demand::Nobody);
    }

    #[tokio::test]
    async fn transit_holds_the_writer_back() {
        let growing = Growing::new(None, room());
        let mut reader = Growing::reader(&growing);
        growing.go_into_transit();
        for _ in 0..TRANSIT_AHEAD_BYTES as usize / SEGMENT_BYTES {
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
    }
}
