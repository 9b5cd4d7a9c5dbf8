//! Load of one server: requests in flight, how quickly it answers, what it says of itself.
//!
//! Written on every request and read at every choice, so all of it is atomic and nothing waits.
//! That two readings may be of different moments does no harm: they are guesses anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::origin::bell::Bell;

/// A new sample counts this much against all before it.
const SHARE_OF_SAMPLE: u64 = 16;
/// A server that nobody asks is forgiven its slowness: it loses an eighth of it at each tick, so
/// that after two seconds a third is left.
const FORGIVEN_PER_TICK: u64 = 8;
/// All of a server's load that it reports, in per cent.
const FULL: u8 = 100;

/// The load of one server.
#[derive(Debug, Default)]
pub(in crate::origin) struct Load {
    active: AtomicU32,
    /// Mean time to the head of an answer, quick to rise; 0 until there is one.
    latency_ns: AtomicU64,
    /// Answers since the last tick.
    answers: AtomicU32,
    /// What it said last: 0 is idle, 100 is full.
    reported: AtomicU8,
    /// Requests that its agent lets it have in flight; 0 for no limit.
    active_max: AtomicU32,
    /// Rung when a request has ended: the server may have room for another.
    moved: Arc<Bell>,
}

/// One request in flight, for as long as this lives.
#[derive(Debug)]
pub(in crate::origin) struct Flight(Arc<Load>);

// === impl Load ===

impl Load {
    /// The load of a server whose requests ring this bell when they end.
    pub(in crate::origin) fn ringing(moved: Arc<Bell>) -> Self {
        Self {
            moved,
            ..Self::default()
        }
    }

    /// Counts a request from now until the flight is dropped, if fewer than `max` are in flight.
    pub(in crate::origin) fn begin_below(self: &Arc<Self>, max: u32) -> Option<Flight> {
        let begin = |active| (active < max).then_some(active + 1);
        let begun = self
            .active
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, begin);
        begun.is_ok().then(|| Flight(Arc::clone(self)))
    }

    /// The same without a bound.
    #[cfg(test)]
    pub(in crate::origin) fn begin(self: &Arc<Self>) -> Flight {
        self.begin_below(u32::MAX).expect("no bound to reach")
    }

    /// Has those who wait for room look again.
    pub(in crate::origin) fn nudge(&self) {
        self.moved.ring();
    }

    /// Requests in flight.
    pub(in crate::origin) fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// The mean time to the head of an answer; zero while unknown.
    pub(in crate::origin) fn latency(&self) -> Duration {
        Duration::from_nanos(self.latency_ns.load(Ordering::Relaxed))
    }

    /// An answer's head came after so long. One that took longer than usual counts whole at once,
    /// a quicker one by a share: peaks are where requests pile up (peak EWMA).
    pub(in crate::origin) fn observe(&self, latency: Duration) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        let sample = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).max(1);
        let known = self.latency_ns.load(Ordering::Relaxed);
        let next = if sample >= known {
            sample
        } else {
            known - (known - sample) / SHARE_OF_SAMPLE
        };
        self.latency_ns.store(next, Ordering::Relaxed);
    }

    /// Time passes; to be called at each tick.
    pub(in crate::origin) fn tick(&self) {
        if self.answers.swap(0, Ordering::Relaxed) > 0 || self.active() > 0 {
            return;
        }
        let known = self.latency_ns.load(Ordering::Relaxed);
        if known > 1 {
            self.latency_ns
                .store(known - known / FORGIVEN_PER_TICK, Ordering::Relaxed);
        }
    }

    /// The server has said how full it is, in per cent.
    pub(in crate::origin) fn report(&self, percent: u8) {
        self.reported.store(percent.min(FULL), Ordering::Relaxed);
    }

    /// Its agent has said how many requests it takes at once; 0 for any number.
    pub(in crate::origin) fn allow(&self, active_max: u32) {
        self.active_max.store(active_max, Ordering::Relaxed);
    }

    /// How many requests it may have in flight, by what its agent has said.
    pub(in crate::origin) fn allowed(&self) -> u32 {
        match self.active_max.load(Ordering::Relaxed) {
            0 => u32::MAX,
            active_max => active_max,
        }
    }

    /// What is free by its own account, in per cent. A full server keeps one, or it could never
    /// say that it is no longer full.
    pub(in crate::origin) fn free(&self) -> u8 {
        (FULL - self.reported.load(Ordering::Relaxed)).max(1)
    }
}

// === impl Flight ===

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
        self.0.nudge();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_counts_as_long_as_it_lives() {
        let load = Arc::new(Load::default());
        let flights = (load.begin(), load.begin());
        assert_eq!(load.active(), 2);
        drop(flights);
        assert_eq!(load.active(), 0);
    }

    #[test]
    fn latency_rises_at_once_and_falls_slowly() {
        let ms = Duration::from_millis;
        let load = Load::default();
        load.observe(ms(1));
        load.observe(ms(100));
        assert_eq!(load.latency(), ms(100));
        load.observe(ms(4));
        assert_eq!(load.latency(), ms(94));
        (0..200).for_each(|_| load.observe(ms(4)));
        assert!(load.latency() < ms(5), "{:?}", load.latency());
    }

    #[test]
    fn who_is_not_asked_is_forgiven() {
        let load = Load::default();
        load.observe(Duration::from_secs(5));
        load.tick();
        assert_eq!(load.latency(), Duration::from_secs(5), "it was asked");
        (0..80).for_each(|_| load.tick());
        assert!(load.latency() < Duration::from_millis(1));
    }

    #[test]
    fn a_full_server_keeps_a_little() {
        let load = Load::default();
        for (reported, free) in [(0, 100), (75, 25), (100, 1), (255, 1)] {
            load.report(reported);
            assert_eq!(load.free(), free, "{reported}");
        }
    }
}
