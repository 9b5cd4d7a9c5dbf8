//! The one writer of an object: bytes from the origin into readers and store at once.
//!
//! A fill that ends without [`Filler::complete`] has failed: its readers see the cut, nothing is
//! stored, and followers that have nothing yet may lead again. A fill that finds no room goes on
//! as a mere stream, so that a full store never costs a client its response.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::budget::Share;
use super::flight::{Leader, Outcome};
use super::growing::{Demand, Growing};
use super::object::Object;
use crate::clock;

/// A fill of unknown length takes its room in steps of this size.
const STEP_BYTES: u64 = 64 * 1024;

/// In transit, a reader that is far behind and takes nothing for this long is cut off. A slow
/// client's socket takes its bytes in large sips, so this is not short.
const PATIENCE: Duration = Duration::from_secs(10);

/// Leave to store a body, with the room for it.
#[derive(Debug)]
pub struct Admission {
    pub(super) announced: Option<u64>,
    pub(super) share: Share,
    pub(super) object_bytes_max: u64,
}

/// Nobody reads this body, and it will not be stored: there is no use in fetching more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody wants the rest of this body")]
pub struct Unwanted;

/// The right to write one object's body.
pub struct Filler {
    leader: Leader,
    object: Arc<Object>,
    growing: Arc<Growing>,
    admission: Admission,
    len: u64,
    /// Too large, or no room: a stream from here on, not to be stored.
    transit: bool,
    complete: bool,
    _count: InFlight,
}

/// Counts the fills in progress.
struct InFlight(Arc<AtomicU64>);

// === impl Admission ===

impl Admission {
    /// The length that the head announced.
    pub fn announced(&self) -> Option<u64> {
        self.announced
    }
}

// === impl Filler ===

impl Filler {
    pub(super) fn new(
        leader: Leader,
        object: Arc<Object>,
        growing: Arc<Growing>,
        admission: Admission,
    ) -> Self {
        let fills = Arc::clone(&leader.store().fills);
        fills.fetch_add(1, Ordering::Relaxed);
        let count = InFlight(fills);
        let (transit, complete) = (false, false);
        Self {
            leader,
            object,
            growing,
            admission,
            len: 0,
            transit,
            complete,
            _count: count,
        }
    }

    /// Appends a piece. In transit it waits until a reader wants more.
    ///
    /// # Errors
    /// [`Unwanted`] when all readers have left and the rest is not to be stored either.
    pub async fn push(&mut self, piece: &[u8]) -> Result<(), Unwanted> {
        if !self.transit && !self.make_room(piece.len() as u64) {
            self.go_into_transit();
        }
        self.len += piece.len() as u64;
        self.growing.push(piece);
        loop {
            let laggard = self.growing.laggard();
            match timeout(PATIENCE, poll_fn(|cx| self.growing.poll_demand(cx))).await {
                Ok(Demand::More) => return Ok(()),
                Ok(Demand::Nobody) => return Err(Unwanted),
                Err(_) => laggard
                    .into_iter()
                    .for_each(|laggard| self.growing.cut(laggard)),
            }
        }
    }

    /// Ends when nobody reads and the body is not wanted for its own sake.
    pub async fn unwanted(&self) {
        if self.leader.store().limits.finish_fill && !self.transit {
            return std::future::pending().await;
        }
        poll_fn(|cx| self.growing.poll_deserted(cx)).await;
    }

    /// The body is whole: files the object, unless it was too large or purged meanwhile.
    pub fn complete(mut self) {
        self.complete = true;
        let content = self.growing.complete();
        if self.transit {
            return;
        }
        let old = &self.object;
        let object = Object::new(
            old.head().clone(),
            *old.term(),
            old.variant().clone(),
            content,
        );
        self.leader.file(Arc::new(object));
    }

    /// Whether the next `more` bytes may be kept.
    fn make_room(&mut self, more: u64) -> bool {
        let wanted = self.len + more;
        if wanted > self.admission.object_bytes_max {
            return false;
        }
        let share = &mut self.admission.share;
        let missing = wanted.saturating_sub(share.bytes());
        missing == 0 || share.grow(missing.max(STEP_BYTES)) || share.grow(missing)
    }

    fn go_into_transit(&mut self) {
        self.transit = true;
        self.growing.go_into_transit();
        // An object too large today is too large tomorrow; want of room is a thing of the moment.
        let too_large = self.len >= self.admission.object_bytes_max / 2;
        self.leader.withdraw(too_large, clock::now());
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        if !self.complete {
            self.growing.fail();
            self.leader.close(Outcome::Abandoned);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
