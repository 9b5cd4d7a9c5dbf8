//! Adaptive concurrency limit: a bound on the requests in flight at one server that follows how
//! long its answers take.
//!
//! The gradient of Envoy's adaptive concurrency: the latency of a quiet server over that of now
//! shrinks the bound as soon as requests queue up in the server, and a square root on top keeps
//! feeling for more. Netflix's Gradient2 takes the mean of the past for the quiet server, which a
//! long overload becomes; so the quiet latency is measured, as in Envoy. But where Envoy lets three
//! requests through for that, which starves the clients of slow servers, here it is half the bound:
//! a bound that holds is less than twice what the server can bear, so at half of it nothing queues.
//!
//! Times come in as arguments. Who is let in by the bound is in `gate.rs`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Instant;

/// No server is held to less, and at so few no requests queue up because of us. It begins here, so
/// that what it learns first is how quick the server is when little is asked of it.
const LIMIT_MIN: f64 = 4.0;
const LIMIT_MAX: f64 = 1000.0;

/// A window is over after so long and with so many samples, whichever comes later.
const WINDOW: Duration = Duration::from_millis(250);
const SAMPLES_MIN: usize = 20;
/// As many samples as are kept of a window: all of its first, and when there is no more room every
/// second of those, and so on, so that they are spread over all of it.
const SAMPLES_MAX: usize = 64;

/// A latency up to this multiple of the quiet one is taken for chance.
const TOLERANCE: f64 = 1.25;
/// The bound is at most halved from one window to the next.
const GRADIENT_MIN: f64 = 0.5;
/// A latency up to this multiple of the quiet one confirms it,
const CONFIRMS: f64 = 1.1;
/// and one that nothing has confirmed for so long is measured anew.
const CONFIRMED_FOR: Duration = Duration::from_secs(60);

/// A server's bound, and what it is made of.
#[derive(Debug)]
pub(in crate::origin) struct Adaptive {
    limit: AtomicU32,
    /// Taken for each answer, for a few additions; with each window for the sorting of 64 numbers.
    gradient: Mutex<Gradient>,
}

/// How the bound follows latency.
#[derive(Debug)]
struct Gradient {
    limit: f64,
    quiet: Option<Quiet>,
    window: Window,
    /// The bound as it was, while it is halved to see how long answers take then.
    before_probe: Option<f64>,
}

/// The latency of the server while nothing queues.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    secs: f64,
    confirmed: Instant,
}

/// Latencies of some time, in which the bound was the same.
#[derive(Debug)]
struct Window {
    /// When it began; `None` before the first answer of all.
    began: Option<Instant>,
    samples: [f32; SAMPLES_MAX],
    kept: usize,
    /// Answers seen, of which every `stride`th is kept.
    count: usize,
    stride: usize,
    /// The most requests that were in flight at once.
    busiest: u32,
}

// === impl Adaptive ===

impl Adaptive {
    /// As many requests as may be in flight.
    pub(in crate::origin) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// An answer took so long while so many were in flight; whether the bound is higher now.
    pub(in crate::origin) fn observe(&self, latency: Duration, active: u32, now: Instant) -> bool {
        let limit = {
            let mut gradient = self.gradient.lock();
            gradient.observe(latency, active, now);
            gradient.limit()
        };
        self.limit.swap(limit, Ordering::Relaxed) < limit
    }
}

impl Default for Adaptive {
    fn default() -> Self {
        let gradient = Gradient::default();
        Self {
            limit: AtomicU32::new(gradient.limit()),
            gradient: Mutex::new(gradient),
        }
    }
}

// === impl Gradient ===

impl Gradient {
    /// As many as may be in flight: a whole number between the limits of the bound.
    fn limit(&self) -> u32 {
        self.limit as u32
    }

    fn observe(&mut self, latency: Duration, active: u32, now: Instant) {
        self.window.add(latency, active, now);
        let Some((median, busiest)) = self.window.take_if_over(now) else {
            return;
        };
        if let Some(limit) = self.before_probe.take() {
            self.quiet = Some(Quiet::new(median, now));
            self.limit = limit;
        } else {
            self.follow(median, busiest, now);
        }
    }

    /// A window is over, in which so many were in flight at the most.
    fn follow(&mut self, median: f64, busiest: u32, now: Instant) {
        let quiet = self.quiet(median, now);
        let gradient = (TOLERANCE * quiet.secs / median).max(GRADIENT_MIN);
        let wanted = self.limit * gradient + self.limit.sqrt();
        let is_made_use_of = f64::from(busiest) * 2.0 >= self.limit;
        // What nobody tried says nothing of what the server can bear.
        if wanted < self.limit || is_made_use_of {
            self.limit = wanted.clamp(LIMIT_MIN, LIMIT_MAX);
        }
        if now.saturating_duration_since(quiet.confirmed) >= CONFIRMED_FOR {
            self.before_probe = Some(self.limit);
            self.limit = (self.limit / 2.0).max(LIMIT_MIN);
        }
    }

    /// The quiet latency by what is known, this median included.
    fn quiet(&mut self, median: f64, now: Instant) -> Quiet {
        // At the least of all bounds it is the server that has become slower.
        let known = self.quiet.filter(|_| self.limit > LIMIT_MIN);
        let quiet = match known.filter(|it| it.secs <= median) {
            Some(known) if median <= known.secs * CONFIRMS => Quiet::new(known.secs, now),
            Some(known) => known,
            None => Quiet::new(median, now),
        };
        self.quiet = Some(quiet);
        quiet
    }
}

impl Default for Gradient {
    fn default() -> Self {
        Self {
            limit: LIMIT_MIN,
            quiet: None,
            window: Window::default(),
            before_probe: None,
        }
    }
}

// === impl Quiet ===

impl Quiet {
    fn new(secs: f64, confirmed: Instant) -> Self {
        Self { secs, confirmed }
    }
}

// === impl Window ===

impl Window {
    fn add(&mut self, latency: Duration, active: u32, now: Instant) {
        let window_began = *self.began.get_or_insert(now);
        self.busiest = self.busiest.max(active);
        // What was sent before has met the queue of another bound.
        if now
            .checked_sub(latency)
            .is_none_or(|sent| sent < window_began)
        {
            return;
        }
        let is_kept = self.count.is_multiple_of(self.stride);
        self.count = self.count.wrapping_add(1);
        if !is_kept {
            return;
        }
        if self.kept == SAMPLES_MAX {
            self.thin_out();
        }
        if let Some(sample) = self.samples.get_mut(self.kept) {
            // Never zero, for it is divided by.
            *sample = latency.as_secs_f32().max(1e-6);
            self.kept += 1;
        }
    }

    /// Every second sample is enough.
    fn thin_out(&mut self) {
        self.kept = SAMPLES_MAX / 2;
        for index in 0..self.kept {
            self.samples[index] = self.samples[2 * index];
        }
        self.stride = self.stride.saturating_mul(2);
    }

    /// The median in seconds and the most in flight, if it is over; then the next begins.
    fn take_if_over(&mut self, now: Instant) -> Option<(f64, u32)> {
        let began = self.began?;
        let is_over = now.saturating_duration_since(began) >= WINDOW;
        if !is_over || self.kept < SAMPLES_MIN {
            return None;
        }
        let next = Self {
            began: Some(now),
            ..Self::default()
        };
        let mut over = std::mem::replace(self, next);
        let samples = over.samples.get_mut(..over.kept)?;
        let middle = samples.len() / 2;
        let (_, median, _) = samples.select_nth_unstable_by(middle, f32::total_cmp);
        Some((f64::from(*median), over.busiest))
    }
}

impl Default for Window {
    fn default() -> Self {
        Self {
            began: None,
            samples: [0.0; SAMPLES_MAX],
            kept: 0,
            count: 0,
            stride: 1,
            busiest: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use super::*;
    use crate::clock;
    use crate::origin::dice::Dice;

    /// A server with so many workers and a queue before them, and clients of whom each has its next
    /// request ready: as many are in flight as the bound allows.
    struct World {
        gradient: Gradient,
        now: Instant,
        dice: Dice,
        service: Duration,
        clients: usize,
        /// When each worker is free.
        workers: BinaryHeap<Reverse<Instant>>,
        /// When each request in flight ends, and when it began.
        in_flight: BinaryHeap<Reverse<(Instant, Instant)>>,
    }

    impl World {
        fn new(workers: usize, service_ms: u64) -> Self {
            let now = clock::instant();
            Self {
                gradient: Gradient::default(),
                now,
                dice: Dice::seeded(1),
                service: Duration::from_millis(service_ms),
                clients: usize::MAX,
                workers: std::iter::repeat_n(Reverse(now), workers).collect(),
                in_flight: BinaryHeap::new(),
            }
        }

        /// Answers take half as long or half as long again, and all between.
        fn send(&mut self) {
            let Reverse(free) = self.workers.pop().expect("a worker");
            let takes = self.service * (500 + self.dice.below(1001) as u32) / 1000;
            let ends = free.max(self.now) + takes;
            self.workers.push(Reverse(ends));
            self.in_flight.push(Reverse((ends, self.now)));
        }

        /// Lets so many seconds pass; the least and the greatest bound of the last half.
        fn run(&mut self, secs: u64) -> (u32, u32) {
            let ends = self.now + Duration::from_secs(secs);
            let settled = ends - Duration::from_secs(secs) / 2;
            let (mut least, mut greatest) = (u32::MAX, 0);
            while self.now < ends {
                let limit = self.gradient.limit();
                while self.in_flight.len() < self.clients.min(limit as usize) {
                    self.send();
                }
                let Reverse((end, began)) = self.in_flight.pop().expect("one at least");
                self.now = self.now.max(end);
                let active = self.in_flight.len() as u32 + 1;
                self.gradient.observe(self.now - began, active, self.now);
                if self.now >= settled && self.gradient.before_probe.is_none() {
                    least = least.min(self.gradient.limit());
                    greatest = greatest.max(self.gradient.limit());
                }
            }
            (least, greatest)
        }
    }

    fn assert_within(found: (u32, u32), least: u32, greatest: u32, what: &str) {
        let is_within = found.0 >= least && found.1 <= greatest;
        assert!(is_within, "{what}: {found:?} in {least}..={greatest}");
    }

    /// Long enough for several measures of the quiet latency: nothing creeps upwards.
    #[test]
    fn the_bound_finds_what_a_server_can_bear_and_holds() {
        for (workers, service_ms, secs, least, greatest) in [
            (2, 10, 300, 4, 12),
            (10, 20, 300, 10, 25),
            (10, 1000, 1200, 10, 25),
            (100, 50, 300, 90, 200),
            (300, 300, 300, 270, 500),
            (5000, 100, 20, 900, 1000),
        ] {
            let found = World::new(workers, service_ms).run(secs);
            let what = format!("{workers} workers, {service_ms} ms");
            assert_within(found, least, greatest, &what);
        }
    }

    #[test]
    fn a_server_that_loses_workers_is_asked_less_at_once() {
        let mut world = World::new(100, 50);
        assert_within(world.run(20), 100, 160, "before");
        world.workers = std::iter::repeat_n(Reverse(world.now), 10).collect();
        assert_within(world.run(10), 4, 25, "after");
        assert_within(world.run(200), 10, 25, "and holds");
    }

    #[test]
    fn a_server_that_becomes_slower_is_asked_as_much_after_a_while() {
        for factor in [2, 5, 50] {
            let mut world = World::new(50, 20);
            assert_within(world.run(20), 50, 90, "before");
            world.service *= factor;
            world.run(120);
            let found = world.run(120);
            assert_within(found, 50, 90, &format!("{factor} times slower"));
        }
    }

    #[test]
    fn what_nobody_tries_is_not_allowed() {
        let mut world = World::new(1000, 100);
        world.clients = 30;
        assert_within(world.run(60), 30, 90, "thirty clients");
        world.clients = 200;
        assert_within(world.run(60), 200, 600, "two hundred");
    }

    #[test]
    fn the_bound_stays_within_its_limits_whatever_comes() {
        let (mut gradient, mut now) = (Gradient::default(), clock::instant());
        for latency in [Duration::ZERO, Duration::MAX, Duration::from_secs(1)] {
            for _ in 0..10_000 {
                now += Duration::from_millis(100);
                gradient.observe(latency, u32::MAX, now);
                assert!((4..=1000).contains(&gradient.limit()));
            }
        }
    }
}
