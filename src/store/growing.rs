//! Growing body, as its one writer has it: any number of readers follow, each from the first byte.
//!
//! A body that turns out too large to keep goes into **transit**: what every reader has passed is
//! let go, and the writer waits for the fastest reader. For one that falls behind it waits when that
//! is behind by a **window**; what becomes of it then is in `laggards.rs`. It does not know about keys,
//! flights or moka; that is `fill.rs`.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};

use super::budget::Share;
use super::held::{AHEAD_BYTES, Fill, Held, WINDOW_BYTES};
use super::whole::Whole;
use crate::semantics::range::Length;

/// A body of unknown length takes its room in steps of this size.
const STEP_BYTES: u64 = 64 * 1024;

/// Bytes that are still arriving.
#[derive(Debug)]
pub(super) struct Growing {
    /// The length the head announced.
    pub(super) announced: Option<u64>,
    /// The room it takes, until the last reader has gone: bytes that only a slow reader holds are
    /// held all the same.
    share: Mutex<Share>,
    /// Never held across an await: every section copies or swaps a few words.
    held: Mutex<Held>,
}

/// Whether the writer should go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    More,
    /// Nobody reads, and nothing of it will be kept.
    Nobody,
}

// === impl Growing ===

impl Growing {
    pub(super) fn new(announced: Option<u64>, share: Share) -> Arc<Self> {
        Arc::new(Self {
            announced,
            share: Mutex::new(share),
            held: Mutex::new(Held::new(announced)),
        })
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock()
    }

    pub(super) fn length(&self) -> Length {
        if let Some(announced) = self.announced {
            return Length::Exact(announced);
        }
        let held = self.held();
        match held.fill {
            Fill::Complete => Length::Exact(held.len),
            Fill::Filling | Fill::Failed => Length::AtLeast(held.len),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        let held = self.held();
        held.fill == Fill::Complete || self.announced == Some(held.len)
    }

    /// Whether readers wait for the end, though the bytes are here. Who has read a response to its
    /// last byte may ask for it again at once, and should find it: so it is filed first.
    pub(super) fn holds_back(&self, held: &Held) -> bool {
        held.fill == Fill::Filling && held.window.is_none() && self.announced == Some(held.len)
    }

    /// Ready when nobody reads any more.
    pub(super) fn poll_deserted(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut held = self.held();
        if held.fastest().is_none() {
            return Poll::Ready(());
        }
        held.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Appends a copy of `piece` and wakes the readers.
    pub(super) fn push(&self, piece: &[u8]) {
        let wakers = {
            let mut held = self.held();
            held.append(piece);
            held.let_go();
            match self.holds_back(&held) {
                true => Vec::new(),
                false => held.take_wakers(),
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

    /// From now on nothing is kept that the readers do not need. They may be as far apart as what is
    /// kept by now, and by a window at the least; where there is no room for one, by less.
    pub(super) fn go_into_transit(&self) {
        let window = self.held().kept().max(WINDOW_BYTES);
        let window = match self.charge(window) {
            true => window,
            false => self.share.lock().bytes().max(AHEAD_BYTES),
        };
        let mut held = self.held();
        held.window = Some(window);
        held.let_go();
    }

    /// In transit: gives back the room that readers who have come nearer do not need any more.
    pub(super) fn trim(&self) {
        let window = {
            let mut held = self.held();
            let kept = held.kept();
            let spare = |window: &u64| *window > WINDOW_BYTES && kept <= window / 2;
            let Some(window) = held.window.filter(spare) else {
                return;
            };
            *held.window.insert((window / 2).max(WINDOW_BYTES))
        };
        self.share.lock().shrink(window);
    }

    /// In transit: ready when the fastest reader is near enough, or when nobody reads.
    pub(super) fn poll_demand(&self, cx: &mut Context<'_>) -> Poll<Demand> {
        let mut held = self.held();
        if held.window.is_none() {
            return Poll::Ready(Demand::More);
        }
        let Some(fastest) = held.fastest() else {
            return Poll::Ready(Demand::Nobody);
        };
        if held.len - fastest < AHEAD_BYTES {
            return Poll::Ready(Demand::More);
        }
        held.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ready when nobody is waited for.
    pub(super) fn poll_together(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut held = self.held();
        if !held.has_laggards() {
            return Poll::Ready(());
        }
        held.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Cuts off who has held up the others and not moved since that was noted; how many.
    pub(super) fn cut_stopped(&self) -> u64 {
        let (cut, wakers) = {
            let mut held = self.held();
            (held.cut_stopped(), held.take_wakers())
        };
        wake(wakers);
        cut
    }

    /// All bytes are here: the shape they are stored in. Readers get the last of them after
    /// [`Growing::finish`].
    pub(super) fn whole(&self) -> Whole {
        let segments = self.held().segments();
        Whole::new(segments)
    }

    /// The end: what is to be filed has been.
    pub(super) fn finish(&self) {
        self.end(Fill::Complete);
    }

    /// The end: no more bytes will come, and those that came are not the whole.
    pub(super) fn fail(&self) {
        self.end(Fill::Failed);
    }

    fn end(&self, fill: Fill) {
        let wakers = {
            let mut held = self.held();
            held.fill = fill;
            held.take_wakers()
        };
        wake(wakers);
    }
}

pub(super) fn wake(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Budget;
    use super::super::reader::Reader;
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_length_is_known_when_it_was_announced_or_the_end_has_come() {
        let room = || Budget::new(u64::MAX).take(0).unwrap();
        let announced = Growing::new(Some(10), room());
        assert_eq!(announced.length(), Length::Exact(10));
        let growing = Growing::new(None, room());
        growing.push(b"half");
        assert_eq!(growing.length(), Length::AtLeast(4));
        growing.finish();
        assert_eq!(growing.length(), Length::Exact(4));
    }

    #[test]
    fn a_body_of_known_length_is_stored_in_one_block() {
        let room = Budget::new(u64::MAX).take(0).unwrap();
        let growing = Growing::new(Some(40_000), room);
        growing.push(&[1; 20_000]);
        growing.push(&[2; 20_000]);
        assert!(matches!(growing.whole(), Whole::One(bytes) if bytes.len() == 40_000));
    }

    #[test]
    fn a_window_is_room_that_is_taken_and_given_back() {
        let budget = Budget::new(9 * MIB as u64);
        let growing = Growing::new(None, budget.take(0).unwrap());
        let reader = Reader::new(&growing);
        assert!(growing.charge(8 * MIB as u64));
        growing.push(&vec![0; 8 * MIB]);
        growing.go_into_transit();
        growing.trim();
        assert_eq!(budget.used(), 8 * MIB as u64, "the reader needs it");
        drop(reader);
        for _ in 0..4 {
            growing.trim();
        }
        assert_eq!(budget.used(), WINDOW_BYTES);
        drop(growing);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn without_room_a_window_is_small() {
        let budget = Budget::new(10);
        let growing = Growing::new(None, budget.take(10).unwrap());
        growing.go_into_transit();
        assert_eq!(growing.held().window, Some(AHEAD_BYTES));
    }
}
