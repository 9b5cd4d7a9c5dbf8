//! Histogram of how long one server's answers took.
//!
//! One add a request to its bucket and one to the sum, once for each exchange with an origin; a hit
//! touches none of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets in microseconds, ascending: from an origin on the same machine to one
/// that is given up. One more bucket takes the rest.
const BOUNDS_US: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000, 60_000_000,
];

const BUCKETS: usize = BOUNDS_US.len() + 1;

/// Durations, counted.
#[derive(Debug, Default)]
pub(in crate::origin) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

/// What was counted until a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    /// Upper bound in seconds, ascending and ending with infinity, and how many fell between it and the
    /// one before.
    pub buckets: Vec<(f64, u64)>,
    /// The sum of all, in seconds.
    pub sum: f64,
}

// === impl Histogram ===

impl Histogram {
    pub(in crate::origin) fn observe(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // Bounds are inclusive, as in Prometheus; the index is a bucket's, for there is one more.
        let bucket = BOUNDS_US.partition_point(|&bound| bound < us);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(us, Relaxed);
    }

    pub(in crate::origin) fn durations(&self) -> Durations {
        let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6);
        let counts = self.buckets.iter().map(|it| it.load(Relaxed));
        Durations {
            buckets: bounds.chain([f64::INFINITY]).zip(counts).collect(),
            sum: self.sum_us.load(Relaxed) as f64 / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_bucket_whose_bound_holds_them() {
        assert!(BOUNDS_US.is_sorted_by(|a, b| a < b));
        for (us, bound) in [
            (0, 0.0005),
            (500, 0.0005),
            (501, 0.001),
            (60_000_000, 60.0),
            (60_000_001, f64::INFINITY),
        ] {
            let histogram = Histogram::default();
            histogram.observe(Duration::from_micros(us));
            let found = histogram.durations();
            let filled: Vec<_> = found
                .buckets
                .iter()
                .filter(|(_, count)| *count > 0)
                .collect();
            assert_eq!(filled, [&(bound, 1)], "{us} us");
            assert_eq!(found.sum, us as f64 / 1e6);
        }
    }
}
