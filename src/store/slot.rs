//! The one writer of a slice: bytes from the origin into readers and store at once.
//!
//! A slot that is dropped before [`Slot::complete`] has failed: the readers of its slice see the
//! cut, and who asks for the slice later has it sent for again. It is to a slice what a filler is
//! to an object; but it knows how long its body has to be.

use std::future::{pending, poll_fn};
use std::sync::Arc;

use super::Store;
use super::fill::{InFlight, Unwanted};
use super::growing::Growing;
use super::slices::Slices;
use crate::semantics::combine::Version;
use crate::semantics::range::ByteRange;

/// The right to write one slice.
pub struct Slot {
    slices: Arc<Slices>,
    index: u64,
    range: ByteRange,
    growing: Arc<Growing>,
    len: u64,
    /// No room: a stream to one reader, not to be stored.
    transit: bool,
    /// Whether it is wanted although nobody reads it any more.
    finish: bool,
    complete: bool,
    _count: InFlight,
}

// === impl Slot ===

impl Slot {
    pub(super) fn new(
        slices: &Arc<Slices>,
        index: u64,
        growing: Arc<Growing>,
        transit: bool,
        store: &Store,
    ) -> Self {
        Self {
            slices: Arc::clone(slices),
            index,
            // Only slices that there are get a slot.
            range: slices
                .range(index)
                .unwrap_or(ByteRange { first: 0, last: 0 }),
            growing,
            len: 0,
            transit,
            finish: store.limits.finish_fill,
            complete: false,
            _count: InFlight::new(&store.fills),
        }
    }

    /// The bytes that are to be written.
    pub fn range(&self) -> ByteRange {
        self.range
    }

    /// The length of the whole that they are a part of.
    pub fn complete_bytes(&self) -> u64 {
        self.slices.about.complete
    }

    /// Which whole that is.
    pub fn version(&self) -> &Version {
        &self.slices.about.version
    }

    /// Appends a piece. In transit it waits until the reader wants more.
    ///
    /// # Errors
    /// [`Unwanted`] when the reader in transit has left, or the piece goes beyond the slice's end.
    pub async fn push(&mut self, piece: &[u8]) -> Result<(), Unwanted> {
        self.len += piece.len() as u64;
        if self.len > self.range.bytes() {
            return Err(Unwanted);
        }
        self.growing.push(piece);
        poll_fn(|cx| self.growing.poll_demand(cx)).await.into()
    }

    /// Ends when nobody reads and the slice is not wanted for its own sake.
    pub async fn unwanted(&self) {
        if self.finish && !self.transit {
            return pending().await;
        }
        poll_fn(|cx| self.growing.poll_deserted(cx)).await;
    }

    /// The body has ended: files the slice, if it is whole.
    pub fn complete(mut self) {
        if self.len != self.range.bytes() {
            return;
        }
        self.complete = true;
        if !self.transit {
            self.slices.file(self.index, self.growing.content());
        }
        self.growing.finish();
    }

    /// The origin has another version by now, or none: this slice will never come, and the object
    /// is dropped with all its slices.
    pub fn outdate(self) {
        self.slices.outdate();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.complete {
            // First off the table, so that nobody joins what has failed.
            self.slices.give_up(self.index, &self.growing);
            self.growing.fail();
        }
    }
}
