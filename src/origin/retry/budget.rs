//! Retry budget: how many requests may be sent a second time, a share of all and a few a second in
//! any case.
//!
//! When every server fails, each retry is one more request for those that suffer already. With a
//! budget of a fifth the worst is 1.2 times what clients ask, however many tries one request could
//! have. Where another server answers, a retry harms nobody, and is given back. A budget says how
//! many, not which: that is in `mod.rs`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{self, Instant};

/// A retry, in the unit of account.
const RETRY: i64 = 1_000_000;
/// As many retries as can be saved up, or owed.
const SAVED_MAX: i64 = 100 * RETRY;
/// Retries a second that are there for a pool with little to do,
const TRICKLE_PER_SEC: f64 = 3.0;
/// and how many of them are there at once: those that it takes to eject a server.
const TRICKLE_MAX: f64 = 5.0;

/// What is left of one pool's retries.
#[derive(Debug)]
pub(in crate::origin) struct Budget {
    /// What each request pays in, in millionths of a retry.
    per_request: i64,
    /// In millionths of a retry; below zero after a trickle.
    saved: AtomicI64,
    /// Not taken as long as there are savings.
    trickle: Option<Mutex<Trickle>>,
}

#[derive(Debug)]
struct Trickle {
    tokens: f64,
    since: Instant,
}

// === impl Budget ===

impl Budget {
    /// This share of all requests, 0 to 1, and a trickle. With a share of nothing there is none.
    pub(in crate::origin) fn of_retries(share: f64) -> Self {
        let trickle = Trickle {
            tokens: TRICKLE_MAX,
            since: clock::instant(),
        };
        Self {
            trickle: (share > 0.0).then(|| Mutex::new(trickle)),
            ..Self::strict(share)
        }
    }

    /// This share of all requests, 0 to 1, and never more.
    pub(super) fn strict(share: f64) -> Self {
        Self {
            // A part of a retry is no more than it.
            per_request: (share.clamp(0.0, 1.0) * RETRY as f64) as i64,
            saved: AtomicI64::new(0),
            trickle: None,
        }
    }

    /// A client's request is on its way.
    pub(in crate::origin) fn deposit(&self) {
        // Read first: savings are full nearly always, and a write would take the cache line from
        // all other threads. That some may see the same reading overdraws by next to nothing.
        if self.saved.load(Ordering::Relaxed) < SAVED_MAX {
            self.saved.fetch_add(self.per_request, Ordering::Relaxed);
        }
    }

    /// A retry that was taken has been answered well.
    pub(in crate::origin) fn give_back(&self) {
        let earn = |saved: i64| Some((saved + RETRY).min(SAVED_MAX));
        let _ = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, earn);
    }

    /// Takes a retry, if there is one.
    pub(in crate::origin) fn withdraw(&self) -> bool {
        let spend = |saved| (saved >= RETRY).then_some(saved - RETRY);
        let spent = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend);
        if spent.is_ok() {
            return true;
        }
        let trickle = self.trickle.as_ref();
        let trickled = trickle.is_some_and(|it| it.lock().take(clock::instant()));
        if trickled {
            // It counts against the share, or a pool could spend both.
            self.owe();
        }
        trickled
    }

    /// Counts a retry that was not asked for: those to come must make up for it.
    pub(super) fn owe(&self) {
        let owe = |saved: i64| Some((saved - RETRY).max(-SAVED_MAX));
        let _ = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, owe);
    }
}

// === impl Trickle ===

impl Trickle {
    fn take(&mut self, now: Instant) -> bool {
        let passed: Duration = now.saturating_duration_since(self.since);
        self.since = now;
        let grown = self.tokens + passed.as_secs_f64() * TRICKLE_PER_SEC;
        self.tokens = grown.min(TRICKLE_MAX);
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn withdrawn(budget: &Budget, tries: usize) -> usize {
        (0..tries).filter(|_| budget.withdraw()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_fifth_of_all_requests_may_be_retried() {
        let budget = Budget::of_retries(0.2);
        let mut retried = 0;
        for _ in 0..1000 {
            budget.deposit();
            retried += withdrawn(&budget, 2);
        }
        assert_eq!(retried, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_strict_has_its_share_and_no_more() {
        for (share, most) in [(0.0, 0), (0.05, 50), (1.0, 1000)] {
            let budget = Budget::strict(share);
            assert_eq!(withdrawn(&budget, 10), 0, "nothing is saved yet");
            let mut taken = 0;
            for _ in 0..1000 {
                budget.deposit();
                taken += withdrawn(&budget, 2);
            }
            assert_eq!(taken, most, "{share}");
        }
        assert_eq!(withdrawn(&Budget::of_retries(0.0), 10), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_with_little_to_do_has_three_a_second() {
        let budget = Budget::of_retries(0.2);
        assert_eq!(withdrawn(&budget, 10), 5);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(withdrawn(&budget, 10), 3);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(withdrawn(&budget, 10), 5, "they are not saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_asked_for_is_made_up_for() {
        let budget = Budget::of_retries(0.5);
        assert_eq!(withdrawn(&budget, 10), 5, "the trickle, for which it owes");
        (0..5).for_each(|_| budget.owe());
        (0..20).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget, 10), 0);
        (0..6).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget, 10), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_answered_well_costs_nothing() {
        let budget = Budget::of_retries(0.2);
        for _ in 0..10 {
            budget.deposit();
        }
        for _ in 0..100 {
            assert!(budget.withdraw());
            budget.give_back();
        }
        assert_eq!(withdrawn(&budget, 10), 2 + 5);
    }

    #[tokio::test(start_paused = true)]
    async fn savings_have_an_end() {
        let budget = Budget::of_retries(0.2);
        (0..1_000_000).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget, 1000), 100 + 5);
    }
}
