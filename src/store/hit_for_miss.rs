//! Keys whose last answer could not be shared: their requests wait for nobody (Varnish:
//! hit-for-miss).
//!
//! Without this memory every request for such a page would first wait for another's answer, only
//! to learn that it has to ask itself. A mark ends with its time or with the first answer that
//! can be stored. Kept apart from the objects, so that marks never push a page out.

use std::time::{Duration, SystemTime};

use super::moka::Marks;

/// Bounded marks, each with an end.
pub(super) struct HitForMiss {
    marks: Marks,
    lasts: Duration,
}

// === impl HitForMiss ===

impl HitForMiss {
    pub(super) fn new(marks_max: u64, lasts: Duration) -> Self {
        Self {
            marks: Marks::new(marks_max, lasts),
            lasts,
        }
    }

    pub(super) fn is_marked(&self, key: &[u8], now: SystemTime) -> bool {
        self.left(key, now).is_some()
    }

    /// How much longer the key is marked, if it is.
    pub(super) fn left(&self, key: &[u8], now: SystemTime) -> Option<Duration> {
        let left = self.marks.get(key)?.duration_since(now).ok()?;
        (!left.is_zero()).then_some(left)
    }

    pub(super) fn mark(&self, key: &[u8], now: SystemTime) {
        if !self.lasts.is_zero() {
            self.marks.put(key, now + self.lasts);
        }
    }

    pub(super) fn unmark(&self, key: &[u8]) {
        self.marks.remove(key);
    }

    pub(super) fn tidy(&self) {
        self.marks.tidy();
    }

    pub(super) fn clear(&self) {
        self.marks.clear();
    }
}
