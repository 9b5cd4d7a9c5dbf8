//! Keys whose origin has lately let a request wait for too long: for some seconds the next requests need
//! not find out anew.

use std::time::{Duration, SystemTime};

use super::born::Born;
use super::moka::{Mark, Marked, Marks};

/// At most so many keys; beyond it the one not asked for longest is forgotten, which costs a wait.
const KEYS_MAX: u64 = 10_000;
const LASTS: Duration = Duration::from_secs(10);

/// Bounded marks, each with an end.
pub(super) struct Hanging(Marks);

// === impl Hanging ===

impl Hanging {
    pub(super) fn new() -> Self {
        Self(Marks::new(KEYS_MAX, LASTS))
    }

    pub(super) fn is_marked(&self, key: &[u8], now: SystemTime) -> bool {
        self.0.get(key).is_some_and(|mark| now < mark.until)
    }

    pub(super) fn mark(&self, key: &[u8], now: SystemTime, born: Born) {
        let (until, what) = (now + LASTS, Marked::All);
        self.0.put(key, Mark { until, born, what });
    }

    pub(super) fn tidy(&self) {
        self.0.tidy();
    }
}
