//! Bytes held of a growing body, and the places of its readers: what a writer and its readers share.
//!
//! Pieces are copied into storage of their own size, since a chunk as hyper hands it out pins the
//! whole read buffer it was cut from. Small pieces gather in a tail; a reader at the live edge
//! copies from the tail, one further back shares whole segments. It has no lock and wakes nobody:
//! that is `growing.rs`.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::Bytes;
use slab::Slab;

use crate::body::{Body, Error};

/// A tail this long becomes a segment; a piece this long becomes one without passing the tail.
pub(super) const SEGMENT_BYTES: usize = 16 * 1024;
/// A body announced as no longer than this is gathered in one block.
const BLOCK_BYTES_MAX: u64 = 64 * 1024;
/// In transit no reader takes more at once, so that one who takes anything is seen to move.
const SIP_BYTES_MAX: usize = 64 * 1024;
/// How far a writer in transit may run ahead of its fastest reader.
pub(super) const AHEAD_BYTES: u64 = 256 * 1024;
/// How far a reader in transit may fall behind before the others wait for it, where there is room.
pub(super) const WINDOW_BYTES: u64 = 1024 * 1024;

/// How far a fill has come (Varnish: BOC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    Filling,
    Complete,
    Failed,
}

/// What has come of a body and not been let go, with its readers.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) fill: Fill,
    /// Whether the body was announced as so short that one block is made for it.
    in_one_block: bool,
    /// Whole segments; the first one held has the number `first`.
    segments: VecDeque<Bytes>,
    first: usize,
    /// Bytes that came before the first segment held.
    passed: u64,
    tail: Vec<u8>,
    pub(super) len: u64,
    readers: Slab<Place>,
    pub(super) writer: Option<Waker>,
    /// In transit, how far behind a reader may be before the others wait for it.
    pub(super) window: Option<u64>,
    /// Nobody is to be asked for the rest: the origin does not have these bytes any more.
    pub(super) refused: bool,
}

/// Where a reader stands.
#[derive(Debug, Default)]
struct Place {
    at: u64,
    waker: Option<Waker>,
    going: Going,
    /// Where it stood when the others began to wait for it.
    lagged_at: Option<u64>,
}

/// Whether a reader goes with the others.
#[derive(Debug, Default)]
enum Going {
    #[default]
    Along,
    /// The rest from this byte on is being asked for, for it alone.
    Parting(u64),
    /// The rest was asked for in vain.
    Stays,
    /// The rest is here, for it alone.
    Parted(Body),
    /// It held the others up and took nothing: what it has not read is let go.
    Cut,
}

/// How far a reader has come, as it knows itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    pub(super) at: u64,
    segment: usize,
    offset: usize,
}

// === impl Held ===

impl Held {
    /// Nothing yet of a body of this announced length.
    pub(super) fn new(announced: Option<u64>) -> Self {
        let block = announced.filter(|len| *len <= BLOCK_BYTES_MAX);
        Self {
            fill: Fill::Filling,
            in_one_block: block.is_some(),
            segments: VecDeque::new(),
            first: 0,
            passed: 0,
            // At most BLOCK_BYTES_MAX, so the cast cannot cut.
            tail: Vec::with_capacity(block.unwrap_or(0) as usize),
            len: 0,
            readers: Slab::new(),
            writer: None,
            window: None,
            refused: false,
        }
    }

    /// Bytes that are held.
    pub(super) fn kept(&self) -> u64 {
        self.len - self.passed
    }

    /// Whether its first byte can still be read.
    pub(super) fn has_begin(&self) -> bool {
        self.passed == 0 && self.fill != Fill::Failed
    }

    pub(super) fn append(&mut self, piece: &[u8]) {
        self.len += piece.len() as u64;
        if piece.len() >= SEGMENT_BYTES && !self.in_one_block {
            self.freeze_tail();
            self.segments.push_back(Bytes::copy_from_slice(piece));
            return;
        }
        self.tail.extend_from_slice(piece);
        if self.tail.len() >= SEGMENT_BYTES && !self.in_one_block {
            self.freeze_tail();
        }
    }

    fn freeze_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail).into_boxed_slice();
            self.segments.push_back(Bytes::from(tail));
        }
    }

    /// All segments; nothing is appended any more.
    pub(super) fn segments(&mut self) -> Vec<Bytes> {
        self.freeze_tail();
        self.segments.iter().cloned().collect()
    }

    /// In transit: drops the segments that every reader has passed.
    pub(super) fn let_go(&mut self) {
        if self.window.is_none() {
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

    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        self.readers
            .iter_mut()
            .filter_map(|(_, place)| place.waker.take())
            .collect()
    }
}

// === impl Held: one reader ===

/// A reader has its place until it leaves, so that its number is always somebody's.
impl Held {
    /// A place for a reader that begins.
    pub(super) fn enter(&mut self) -> usize {
        self.readers.insert(Place::default())
    }

    /// The reader has gone. What it leaves behind is to be dropped without the lock.
    pub(super) fn leave(&mut self, id: usize) -> Option<Body> {
        let place = self.readers.remove(id);
        self.let_go();
        match place.going {
            Going::Parted(rest) => Some(rest),
            _ => None,
        }
    }

    /// Whom to wake when there is more for this reader.
    pub(super) fn wake_later(&mut self, id: usize, waker: &Waker) {
        self.readers[id].waker = Some(waker.clone());
    }

    /// The rest of the body for this reader alone, once it is here.
    pub(super) fn take_rest(&mut self, id: usize) -> Option<Body> {
        let going = &mut self.readers[id].going;
        match going {
            Going::Parted(rest) => {
                let rest = std::mem::take(rest);
                *going = Going::Cut;
                Some(rest)
            }
            _ => None,
        }
    }

    /// The next bytes that are here already, and the step over them.
    ///
    /// # Errors
    /// They have been let go.
    pub(super) fn next(&mut self, id: usize, mark: &mut Mark) -> Result<Option<Bytes>, Error> {
        let place = &mut self.readers[id];
        if mark.at < self.passed || matches!(place.going, Going::Cut) {
            return Err(Error::Lagged);
        }
        if mark.segment < self.first {
            // The segment that was read to its end has been let go since.
            (mark.segment, mark.offset) = (self.first, 0);
        }
        let Some(bytes) = self.peek(mark) else {
            return Ok(None);
        };
        mark.at += bytes.len() as u64;
        self.readers[id].at = mark.at;
        self.let_go();
        Ok(Some(bytes))
    }

    fn peek(&self, mark: &mut Mark) -> Option<Bytes> {
        let sip = self.window.map_or(usize::MAX, |_| SIP_BYTES_MAX);
        while let Some(segment) = self.segments.get(mark.segment - self.first) {
            let rest = segment.len() - mark.offset;
            if rest > sip {
                let from = mark.offset;
                mark.offset += sip;
                return Some(segment.slice(from..mark.offset));
            }
            let from = std::mem::take(&mut mark.offset);
            mark.segment += 1;
            if rest > 0 {
                return Some(segment.slice(from..));
            }
        }
        let fresh = &self.tail[mark.offset..];
        mark.offset += fresh.len();
        (!fresh.is_empty()).then(|| Bytes::copy_from_slice(fresh))
    }
}

// === impl Held: readers in transit ===

impl Held {
    /// Where the readers are that go together.
    fn places(&self) -> impl Iterator<Item = u64> {
        let together = |place: &&Place| !matches!(place.going, Going::Parted(_) | Going::Cut);
        let places = self.readers.iter().map(|(_, place)| place);
        places.filter(together).map(|place| place.at)
    }

    /// How far the reader has come that is ahead; `None` where nobody reads.
    pub(super) fn fastest(&self) -> Option<u64> {
        self.places().max()
    }

    /// How far one must have come for the others not to wait for it. Who reads alone, or as fast as
    /// all others, holds up nobody.
    fn lags_before(&self) -> Option<u64> {
        let (window, fastest) = (self.window?, self.fastest()?);
        Some(self.len.saturating_sub(window).min(fastest))
    }

    /// Whether the others wait for somebody.
    pub(super) fn has_laggards(&self) -> bool {
        self.lags_before()
            .is_some_and(|bound| self.places().any(|at| at < bound))
    }

    /// Notes where those stand for whom the others begin to wait; whether there are any.
    pub(super) fn note_laggards(&mut self) -> bool {
        let bound = self.lags_before().unwrap_or(0);
        let mut any = false;
        for (_, place) in &mut self.readers {
            let lags = place.goes_along() && place.at < bound;
            place.lagged_at = lags.then_some(place.at);
            any |= lags;
        }
        any
    }

    /// Cuts off who has not moved since it was noted; how many.
    pub(super) fn cut_stopped(&mut self) -> u64 {
        let mut cut = 0;
        for (_, place) in &mut self.readers {
            if place.goes_along() && place.lagged_at == Some(place.at) {
                place.going = Going::Cut;
                cut += 1;
            }
        }
        self.let_go();
        cut
    }

    /// Those who have used up half of what they may fall behind, and for whom nobody has asked: from
    /// now on somebody does.
    pub(super) fn part(&mut self) -> Vec<(usize, u64)> {
        let (false, Some(window), Some(fastest)) = (self.refused, self.window, self.fastest())
        else {
            return Vec::new();
        };
        let bound = self.len.saturating_sub(window / 2).min(fastest);
        let mut parting = Vec::new();
        for (id, place) in &mut self.readers {
            if matches!(place.going, Going::Along) && place.at < bound {
                place.going = Going::Parting(place.at);
                parting.push((id, place.at));
            }
        }
        parting
    }

    /// The rest from the byte `from` on is here, up to the end of the `complete` bytes; tells whom to
    /// wake.
    ///
    /// # Errors
    /// Its reader does not want it any more.
    pub(super) fn bring(
        &mut self,
        (id, from): (usize, u64),
        rest: Body,
        complete: u64,
    ) -> Result<[Option<Waker>; 2], Body> {
        let stretch = |place: &Place| {
            // A reader goes on while the rest is asked for.
            let passed = place.at.checked_sub(from)?;
            Some((passed, complete.checked_sub(from)?.checked_sub(1)?))
        };
        let Some(place) = self.parting(id, from) else {
            return Err(rest);
        };
        let Some((first, last)) = stretch(place) else {
            return Err(rest);
        };
        place.going = Going::Parted(rest.slice(first, last));
        let reader = place.waker.take();
        self.let_go();
        Ok([reader, self.writer.take()])
    }

    /// The rest will not come, so that its reader goes with the others.
    pub(super) fn keep_together(&mut self, id: usize, from: u64) {
        if let Some(place) = self.parting(id, from) {
            place.going = Going::Stays;
        }
    }

    fn parting(&mut self, id: usize, from: u64) -> Option<&mut Place> {
        let place = self.readers.get_mut(id)?;
        // The place may be somebody else's by now.
        matches!(place.going, Going::Parting(it) if it == from).then_some(place)
    }
}

// === impl Place ===

impl Place {
    fn goes_along(&self) -> bool {
        !matches!(self.going, Going::Parted(_) | Going::Cut)
    }
}
