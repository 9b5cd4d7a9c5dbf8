//! Hit-for-miss: marks on keys whose last answer could not be shared, so that their requests wait for
//! nobody.
//!
//! Without this memory every request for such a page would first wait for another's answer, only
//! to learn that it has to ask itself. A mark ends with its time or with the first answer that
//! can be stored. Kept apart from the objects, so that marks never push a page out.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::born::Born;
use super::moka::{Mark, Marks};
use super::stamps::Stamps;

/// Bounded marks, each with an end.
pub(super) struct HitForMiss {
    marks: Marks,
    lasts: Duration,
    stamps: Arc<Stamps>,
}

// === impl HitForMiss ===

impl HitForMiss {
    pub(super) fn new(marks_max: u64, lasts: Duration, stamps: &Arc<Stamps>) -> Self {
        Self {
            marks: Marks::new(marks_max, lasts),
            lasts,
            stamps: Arc::clone(stamps),
        }
    }

    pub(super) fn is_marked(&self, key: &[u8], now: SystemTime) -> bool {
        self.left(key, now).is_some()
    }

    /// How much longer the key is marked, if it is.
    pub(super) fn left(&self, key: &[u8], now: SystemTime) -> Option<Duration> {
        let mark = self.marks.get(key)?;
        let left = mark.until.duration_since(now).ok()?;
        let is_in_force = !left.is_zero() && self.stamps.fate(mark.born, key).is_none();
        is_in_force.then_some(left)
    }

    /// Marks the key by an answer to what was asked for then.
    pub(super) fn mark(&self, key: &[u8], now: SystemTime, born: Born) {
        if !self.lasts.is_zero() {
            let until = now + self.lasts;
            self.marks.put(key, Mark { until, born });
        }
    }

    pub(super) fn unmark(&self, key: &[u8]) {
        self.marks.remove(key);
    }

    pub(super) fn tidy(&self) {
        self.marks.tidy();
    }
}
