//! Latency histogram of a pool: how long its answers took lately, and in which time most of them
//! came.
//!
//! Counted on every request, so a count is one addition and nothing waits. The time itself is
//! reckoned at each tick, and as coarse as its buckets: an eighth.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock;

/// Each doubling of the time has so many buckets.
const STEPS: u64 = 1 << STEP_BITS;
const STEP_BITS: u32 = 3;
/// The last bucket is for more than half an hour.
const BUCKETS: usize = 240;
/// Of fewer answers no share is told.
const ANSWERS_MIN: u64 = 20;
/// After this time each answer counts half.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// The latencies of one pool, and the time in which a share of its answers came.
#[derive(Debug)]
pub(super) struct Latencies {
    percentile: u8,
    counts: [AtomicU32; BUCKETS],
    /// In microseconds; 0 while unknown.
    within_us: AtomicU64,
    /// When the counts were halved, in milliseconds after the process's start.
    halved_ms: AtomicU64,
}

// === impl Latencies ===

impl Latencies {
    /// Without answers as yet; `percentile` is the share that is told, in per cent.
    pub(super) fn new(percentile: u8) -> Self {
        Self {
            percentile,
            counts: std::array::from_fn(|_| AtomicU32::new(0)),
            within_us: AtomicU64::new(0),
            halved_ms: AtomicU64::new(now_ms()),
        }
    }

    /// An answer took so long.
    pub(super) fn observe(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get(bucket(micros)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The time in which the share of the answers came; `None` while there are too few.
    pub(super) fn within(&self) -> Option<Duration> {
        let micros = self.within_us.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    /// Time passes; to be called at each tick, by one at a time.
    pub(super) fn tick(&self) {
        self.within_us.store(self.reckon(), Ordering::Relaxed);
        let now_ms = now_ms();
        let passed_ms = now_ms.saturating_sub(self.halved_ms.load(Ordering::Relaxed));
        if u128::from(passed_ms) >= HALF_LIFE.as_millis() {
            self.halved_ms.store(now_ms, Ordering::Relaxed);
            self.halve();
        }
    }

    fn reckon(&self) -> u64 {
        let counts = || self.counts.iter().map(|it| it.load(Ordering::Relaxed));
        let all: u64 = counts().map(u64::from).sum();
        if all < ANSWERS_MIN {
            return 0;
        }
        let wanted = (all * u64::from(self.percentile)).div_ceil(100);
        let mut sum = 0;
        let is_reached = |count: u32| {
            sum += u64::from(count);
            sum >= wanted
        };
        // Without a match answers were counted meanwhile, and the next tick will find one.
        counts().position(is_reached).map_or(0, upper_us)
    }

    /// An answer that is counted meanwhile may be lost, which one of many may.
    fn halve(&self) {
        for count in &self.counts {
            let half = count.load(Ordering::Relaxed) / 2;
            count.store(half, Ordering::Relaxed);
        }
    }
}

/// The index of the bucket for so many microseconds.
fn bucket(micros: u64) -> usize {
    let index = match micros.checked_ilog2() {
        None | Some(0..STEP_BITS) => micros,
        Some(octave) => {
            // As many bits below the first as there are steps.
            let shift = octave - STEP_BITS;
            u64::from(shift) * STEPS + (micros >> shift)
        }
    };
    usize::try_from(index).map_or(BUCKETS - 1, |it| it.min(BUCKETS - 1))
}

/// The first time that is too long for the bucket, in microseconds.
fn upper_us(bucket: usize) -> u64 {
    let next = bucket as u64 + 1;
    match (next / STEPS).checked_sub(1) {
        None => next,
        // The last bucket has 29 doublings.
        Some(shift) => (next % STEPS + STEPS) << shift,
    }
}

fn now_ms() -> u64 {
    u64::try_from(clock::uptime().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_most_answers_came() {
        for (percentile, least, most) in [(50, 50, 57), (95, 95, 107), (99, 99, 112)] {
            let latencies = Latencies::new(percentile);
            (1..=100).for_each(|millis| latencies.observe(ms(millis)));
            assert_eq!(latencies.within(), None, "not before a tick");
            latencies.tick();
            let within = latencies.within().unwrap();
            assert!(within >= ms(least) && within <= ms(most), "{within:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn few_answers_tell_nothing_and_old_ones_are_forgotten() {
        let latencies = Latencies::new(95);
        (0..19).for_each(|_| latencies.observe(ms(1000)));
        latencies.tick();
        assert_eq!(latencies.within(), None);
        latencies.observe(ms(1000));
        latencies.tick();
        assert!(latencies.within() >= Some(ms(1000)));
        for _ in 0..6 {
            tokio::time::advance(HALF_LIFE).await;
            (0..100).for_each(|_| latencies.observe(ms(1)));
            latencies.tick();
        }
        assert!(latencies.within() < Some(ms(2)), "{latencies:?}");
    }

    proptest! {
        #[test]
        fn a_bucket_ends_within_an_eighth(micros in 0u64..1 << 31) {
            let bucket = bucket(micros);
            let upper = upper_us(bucket);
            prop_assert!(micros < upper, "{bucket}");
            prop_assert!(upper - micros <= micros / STEPS + 1, "{bucket}");
        }

        #[test]
        fn any_time_has_a_bucket(micros: u64) {
            prop_assert!(bucket(micros) < BUCKETS);
        }
    }
}
