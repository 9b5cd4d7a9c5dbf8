//! Writer of a slice: bytes from the origin into readers and store at once.
//!
//! A slot that is dropped before [`Writer::complete`] has failed: the readers of its slice see the
//! cut, and who asks for the slice later has it sent for again. It is to a slice what a filler is
//! to an object; but it knows how long its body has to be.

use std::future::{pending, poll_fn};
use std::sync::Arc;

use super::Store;
use super::growing::Growing;
use super::pour::{InFlight, Unwanted, Writer};
use super::whole::Whole;
use crate::semantics::combine::Version;
use crate::semantics::range::ByteRange;

/// The content that a slice is a part of, as its writer sees it.
pub(super) trait Collector: Send + Sync {
    /// The length of the whole.
    fn complete_bytes(&self) -> u64;

    /// Which whole it is.
    fn version(&self) -> &Version;

    /// The slice is whole: from here on it is found in memory.
    fn file(&self, index: u64, slice: Whole);

    /// The slice will not come: who asks for it again has it sent for again.
    fn give_up(&self, index: u64, growing: &Arc<Growing>);

    /// The origin has another version: the object is dropped, and who still reads it gets what is
    /// here and no more.
    fn outdate(&self);
}

/// The right to write one slice.
pub struct Slot {
    content: Arc<dyn Collector>,
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
        content: Arc<dyn Collector>,
        (index, range): (u64, ByteRange),
        growing: Arc<Growing>,
        transit: bool,
        store: &Store,
    ) -> Self {
        Self {
            content,
            index,
            range,
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
        self.content.complete_bytes()
    }

    /// Which whole that is.
    pub fn version(&self) -> &Version {
        self.content.version()
    }

    /// The origin has another version by now, or none: this slice will never come, and the object
    /// is dropped with all its slices.
    pub fn outdate(self) {
        self.content.outdate();
    }
}

impl Writer for Slot {
    /// Refuses a piece that goes beyond the slice's end.
    async fn push(&mut self, piece: &[u8]) -> Result<(), Unwanted> {
        self.len += piece.len() as u64;
        if self.len > self.range.bytes() {
            return Err(Unwanted);
        }
        self.growing.push(piece);
        poll_fn(|cx| self.growing.poll_demand(cx)).await.into()
    }

    async fn unwanted(&self) {
        if self.finish && !self.transit {
            return pending().await;
        }
        poll_fn(|cx| self.growing.poll_deserted(cx)).await;
    }

    fn complete(mut self) {
        if self.len != self.range.bytes() {
            return;
        }
        self.complete = true;
        if !self.transit {
            self.content.file(self.index, self.growing.whole());
        }
        self.growing.finish();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.complete {
            // First off the table, so that nobody joins what has failed.
            self.content.give_up(self.index, &self.growing);
            self.growing.fail();
        }
    }
}
