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

/// In transit, readers that are far behind may cost the others this much time in all; then they
/// are cut off. A slow client's socket takes its bytes in large sips, so this is not short.
const PATIENCE: Duration = Duration::from_secs(10);

/// Leave to store a body, with the room for it.
#[derive(Debug)]
pub struct Admission {
    pub(super) announced: Option<u64>,
    pub(super) share: Share,
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
    len: u64,
    /// What is left of the time that laggards may cost the others.
    patience: Duration,
    /// Too large, or no room: a stream from here on, not to be stored.
    transit: bool,
    complete: bool,
    _count: InFlight,
}

/// Counts the fills in progress.
pub(super) struct InFlight(Arc<AtomicU64>);

// === impl Filler ===

impl Filler {
    pub(super) fn new(leader: Leader, object: Arc<Object>, growing: Arc<Growing>) -> Self {
        let count = InFlight::new(&leader.store().fills);
        Self {
            leader,
            object,
            growing,
            len: 0,
            patience: PATIENCE,
            transit: false,
            complete: false,
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
            let began = clock::instant();
            let demand = poll_fn(|cx| self.growing.poll_demand(cx));
            let Some(laggard) = laggard else {
                return demand.await.into();
            };
            let demand = timeout(self.patience, demand).await;
            self.patience = self.patience.saturating_sub(began.elapsed());
            match demand {
                Ok(demand) => return demand.into(),
                Err(_) => self.growing.cut(laggard),
            }
        }
    }

    /// Ends when nobody reads and the body is not wanted for its own sake.
    pub async fn unwanted(&self) {
        let to_the_end = self.leader.store().limits.finish_fill || self.leader.is_unattended();
        if to_the_end && !self.transit {
            return std::future::pending().await;
        }
        poll_fn(|cx| self.growing.poll_deserted(cx)).await;
    }

    /// The body is whole: files the object, unless it was too large or purged meanwhile, and lets
    /// its readers come to the end.
    pub fn complete(mut self) {
        self.complete = true;
        if !self.transit {
            let old = &self.object;
            let object = Object::new(
                old.head().clone(),
                *old.term(),
                old.variant().clone(),
                self.growing.content(),
            );
            self.leader.file(Arc::new(object), None);
        }
        self.growing.finish();
    }

    /// Whether the next `more` bytes may be kept.
    fn make_room(&mut self, more: u64) -> bool {
        let wanted = self.len + more;
        wanted <= self.leader.store().limits.object_bytes_max && self.growing.charge(wanted)
    }

    fn go_into_transit(&mut self) {
        self.transit = true;
        // An object too large today is too large tomorrow; want of room is a thing of the moment.
        let too_large = self.len >= self.leader.store().limits.object_bytes_max / 2;
        if too_large {
            // Else it would be served stale, and refreshed in vain, for as long as it has grace.
            self.leader.forget_replaced_by(&self.object);
        }
        // First off the table, so that nobody joins whose first bytes are gone.
        self.leader.withdraw(too_large, clock::now());
        self.growing.go_into_transit();
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

impl From<Demand> for Result<(), Unwanted> {
    fn from(demand: Demand) -> Self {
        match demand {
            Demand::More => Ok(()),
            Demand::Nobody => Err(Unwanted),
        }
    }
}

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
