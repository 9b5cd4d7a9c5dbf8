//! Circuit breaker of an origin: whether it is asked at all, by how its requests end.
//!
//! Shut, it lets all through and counts. When too many of a window fail it opens, and for a while
//! nobody is let through. Then it is half-open: one request at a time is a trial, and so many have
//! to end well in a row before it shuts; one that fails opens it again. Times come in as arguments;
//! what becomes of those that are not let through is in `mod.rs`.

use std::time::Duration;

use crate::clock::Instant;
use crate::config;

/// As many parts as a window has: what has left it is forgotten by a tenth at a time.
const BUCKETS: usize = 10;

/// One origin's breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
    /// Counts the changes, so that what began before one is not judged by what holds after it.
    epoch: u64,
}

/// That a request was let through, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(u64);

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All requests are let through.
    Shut,
    /// One request at a time is let through, as a trial.
    HalfOpen,
    /// No request is let through for so long.
    Open(Duration),
}

/// What has changed in how a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// So many of so many requests had failed.
    Opened { failed: u32, requests: u32 },
    /// A trial has failed.
    OpenedAgain,
    /// It has been open for long enough.
    HalfOpened,
    /// The trials have ended well.
    Shut,
}

#[derive(Debug)]
enum State {
    Shut(Window),
    Open {
        until: Instant,
    },
    HalfOpen {
        /// How many trials have ended well.
        passed: u32,
        /// Whether one is under way.
        is_tried: bool,
    },
}

/// How requests of some time ended, by parts of it.
#[derive(Debug, Default)]
struct Window {
    /// When the newest part began.
    began: Option<Instant>,
    /// The newest first.
    buckets: [Tally; BUCKETS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    requests: u32,
    failed: u32,
}

// === impl Breaker ===

impl Breaker {
    /// Lets a request through, which then is to be [settled](Self::settle).
    ///
    /// # Errors
    /// It is not let through; when another may be.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Epoch, Duration> {
        match &mut self.state {
            State::Shut(_) => Ok(Epoch(self.epoch)),
            State::HalfOpen { is_tried, .. } if !*is_tried => {
                *is_tried = true;
                Ok(Epoch(self.epoch))
            }
            // How the trial ends is not known before.
            State::HalfOpen { .. } => Err(Duration::ZERO),
            State::Open { until } => Err(until.saturating_duration_since(now)),
        }
    }

    /// Whether what was let through may still be sent: since then it may have opened.
    ///
    /// # Errors
    /// It may not; when another may be.
    pub(super) fn confirm(&self, Epoch(epoch): Epoch, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Shut(_) => Ok(()),
            _ if epoch == self.epoch => Ok(()),
            State::HalfOpen { .. } => Err(Duration::ZERO),
            State::Open { until } => Err(until.saturating_duration_since(now)),
        }
    }

    /// A request that was let through has ended: well, badly, or in a way that says nothing.
    pub(super) fn settle(
        &mut self,
        Epoch(epoch): Epoch,
        is_good: Option<bool>,
        terms: &config::Breaker,
        now: Instant,
    ) -> Option<Change> {
        if epoch != self.epoch {
            return None;
        }
        let change = self.state.judge(is_good, terms, now)?;
        self.turn(change, terms, now);
        Some(change)
    }

    /// Time passes.
    pub(super) fn tick(&mut self, terms: &config::Breaker, now: Instant) -> Option<Change> {
        if !matches!(self.state, State::Open { until } if until <= now) {
            return None;
        }
        self.turn(Change::HalfOpened, terms, now);
        Some(Change::HalfOpened)
    }

    /// How it stands.
    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.state {
            State::Shut(_) => BreakerState::Shut,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
            State::Open { until } => BreakerState::Open(until.saturating_duration_since(now)),
        }
    }

    fn turn(&mut self, change: Change, terms: &config::Breaker, now: Instant) {
        self.epoch = self.epoch.wrapping_add(1);
        self.state = match change {
            Change::Opened { .. } | Change::OpenedAgain => State::Open {
                until: now + terms.open_for,
            },
            Change::HalfOpened => State::HalfOpen {
                passed: 0,
                is_tried: false,
            },
            Change::Shut => State::Shut(Window::default()),
        };
    }
}

// === impl BreakerState ===

impl BreakerState {
    /// A word for the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shut => "shut",
            Self::HalfOpen => "half-open",
            Self::Open(_) => "open",
        }
    }
}

// === impl State ===

impl State {
    /// What follows from a request that has ended.
    fn judge(
        &mut self,
        is_good: Option<bool>,
        terms: &config::Breaker,
        now: Instant,
    ) -> Option<Change> {
        match self {
            Self::Shut(window) => {
                let Tally { requests, failed } = window.note(is_good?, terms.window, now);
                let too_many = f64::from(failed) >= terms.errors * f64::from(requests);
                let is_enough = requests >= terms.requests_min && failed > 0;
                (is_enough && too_many).then_some(Change::Opened { failed, requests })
            }
            Self::HalfOpen { passed, is_tried } => {
                *is_tried = false;
                if !is_good? {
                    return Some(Change::OpenedAgain);
                }
                *passed = passed.saturating_add(1);
                (*passed >= terms.trials).then_some(Change::Shut)
            }
            // Nothing is let through, so nothing of now ends.
            Self::Open { .. } => None,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Shut(Window::default())
    }
}

// === impl Window ===

impl Window {
    /// Counts a request that has ended now, and tells of all that have within `length`.
    fn note(&mut self, is_good: bool, length: Duration, now: Instant) -> Tally {
        self.advance(length / BUCKETS as u32, now);
        let [newest, ..] = &mut self.buckets;
        newest.requests = newest.requests.saturating_add(1);
        newest.failed = newest.failed.saturating_add(u32::from(!is_good));
        let add = |sum: Tally, it: &Tally| Tally {
            requests: sum.requests.saturating_add(it.requests),
            failed: sum.failed.saturating_add(it.failed),
        };
        self.buckets.iter().fold(Tally::default(), add)
    }

    /// Begins as many parts as have passed since the newest.
    fn advance(&mut self, part: Duration, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        let parts = passed.as_nanos() / part.as_nanos().max(1);
        let Ok(parts @ 1..) = u32::try_from(parts) else {
            return;
        };
        let fresh = BUCKETS.min(parts as usize);
        self.buckets.rotate_right(fresh);
        self.buckets
            .iter_mut()
            .take(fresh)
            .for_each(|it| *it = Tally::default());
        self.began = Some(began + part * parts);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    const TERMS: config::Breaker = config::Breaker {
        errors: 0.5,
        requests_min: 4,
        window: Duration::from_secs(10),
        open_for: Duration::from_secs(10),
        trials: 2,
    };

    /// What happens to a breaker, one thing after the other.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        /// A request that is let through and ends at once: well, badly, or it says nothing.
        Good,
        Bad,
        Left,
        /// A request that is not let through, for so many seconds.
        Refused(u64),
        /// So many milliseconds pass.
        Pass(u64),
    }
    use Event::{Bad, Good, Left, Pass, Refused};

    fn play(events: &[Event]) -> BreakerState {
        let (mut breaker, mut now) = (Breaker::default(), clock::instant());
        for (index, event) in events.iter().enumerate() {
            let is_good = match event {
                Good => Some(true),
                Bad => Some(false),
                Left => None,
                Refused(secs) => {
                    let left = breaker.admit(now).expect_err("a breaker that is not shut");
                    assert_eq!(left, Duration::from_secs(*secs), "{index} of {events:?}");
                    continue;
                }
                Pass(millis) => {
                    now += Duration::from_millis(*millis);
                    breaker.tick(&TERMS, now);
                    continue;
                }
            };
            let admitted = breaker.admit(now);
            let epoch = admitted.unwrap_or_else(|_| panic!("{index} of {events:?}"));
            breaker.settle(epoch, is_good, &TERMS, now);
        }
        breaker.state(now)
    }

    #[test]
    fn a_breaker_opens_tries_and_shuts() {
        use BreakerState::{HalfOpen, Open, Shut};
        let open = Open(Duration::from_secs(10));
        let rows: [(&[Event], BreakerState); 17] = [
            (&[], Shut),
            // Too few to say anything.
            (&[Bad, Bad, Bad], Shut),
            (&[Bad, Bad, Bad, Bad], open),
            (&[Good, Good, Bad, Bad], open),
            (&[Good, Good, Good, Bad, Bad], Shut),
            (&[Good, Good, Good, Bad, Bad, Bad], open),
            // What says nothing does not count.
            (&[Left, Bad, Left, Bad, Left, Bad, Left], Shut),
            // What is older than the window is forgotten, the rest is not.
            (&[Bad, Bad, Pass(10_000), Bad, Bad], Shut),
            (&[Bad, Bad, Pass(8_999), Bad, Bad], open),
            (&[Bad, Bad, Pass(5_000), Bad, Pass(5_000), Bad, Bad], Shut),
            (&[Good, Pass(3_600_000), Bad, Bad, Bad, Bad], open),
            // Open, then half-open.
            (
                &[Bad, Bad, Bad, Bad, Refused(10), Pass(4_000), Refused(6)],
                Open(Duration::from_secs(6)),
            ),
            (&[Bad, Bad, Bad, Bad, Pass(10_000)], HalfOpen),
            (&[Bad, Bad, Bad, Bad, Pass(10_000), Good], HalfOpen),
            (&[Bad, Bad, Bad, Bad, Pass(10_000), Good, Left, Good], Shut),
            (
                &[Bad, Bad, Bad, Bad, Pass(10_000), Good, Bad, Refused(10)],
                open,
            ),
            // It begins anew.
            (
                &[Bad, Bad, Bad, Bad, Pass(10_000), Good, Good, Bad, Bad, Bad],
                Shut,
            ),
        ];
        for (events, state) in rows {
            assert_eq!(play(events), state, "{events:?}");
        }
    }

    #[test]
    fn one_trial_at_a_time() {
        let (mut breaker, now) = (Breaker::default(), clock::instant());
        for _ in 0..4 {
            let epoch = breaker.admit(now).unwrap();
            breaker.settle(epoch, Some(false), &TERMS, now);
        }
        let now = now + TERMS.open_for;
        assert_eq!(breaker.tick(&TERMS, now), Some(Change::HalfOpened));
        let trial = breaker.admit(now).unwrap();
        assert_eq!(breaker.admit(now), Err(Duration::ZERO));
        // Its client has left: that says nothing, but the next may try.
        assert_eq!(breaker.settle(trial, None, &TERMS, now), None);
        assert!(breaker.admit(now).is_ok());
    }

    /// Requests that were under way when it opened say nothing of how the origin is afterwards.
    #[test]
    fn what_began_before_a_change_does_not_count_after_it() {
        let (mut breaker, now) = (Breaker::default(), clock::instant());
        let all: Vec<_> = (0..9).map(|_| breaker.admit(now).unwrap()).collect();
        let changes = all
            .iter()
            .map(|epoch| breaker.settle(*epoch, Some(false), &TERMS, now));
        assert_eq!(changes.flatten().count(), 1);
        let now = now + TERMS.open_for;
        breaker.tick(&TERMS, now);
        assert_eq!(breaker.settle(all[8], Some(true), &TERMS, now), None);
        assert_eq!(breaker.state(now), BreakerState::HalfOpen);
    }

    proptest! {
        /// Whatever comes, it opens by enough failures alone, and open or half-open it shuts after
        /// a while in which all goes well.
        #[test]
        fn a_breaker_never_sticks(events in prop::collection::vec((0..3_u8, 0..3_000_u64), 0..200)) {
            let (mut breaker, mut now) = (Breaker::default(), clock::instant());
            for (kind, millis) in events {
                now += Duration::from_millis(millis);
                breaker.tick(&TERMS, now);
                if let Ok(epoch) = breaker.admit(now) {
                    let is_good = [Some(true), Some(false), None][usize::from(kind)];
                    let change = breaker.settle(epoch, is_good, &TERMS, now);
                    if let Some(Change::Opened { failed, requests }) = change {
                        prop_assert!(requests >= 4 && failed * 2 >= requests);
                    }
                }
            }
            now += TERMS.open_for;
            breaker.tick(&TERMS, now);
            for _ in 0..TERMS.trials {
                let epoch = breaker.admit(now).expect("nothing is under way");
                breaker.settle(epoch, Some(true), &TERMS, now);
            }
            prop_assert_eq!(breaker.state(now), BreakerState::Shut);
        }
    }
}
