//! How many requests may be sent a second time: a fifth of all, and a few a second in any case.
//!
//! When every server fails, each retry is one more request for those that suffer already. With a
//! budget the worst is 1.2 times what clients ask, however many tries one request could have. A
//! budget says how many, not which: that is in `retry.rs`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{self, Instant};

/// Thousandths of a retry that each request pays in.
const PER_REQUEST: i64 = 200;
const RETRY: i64 = 1000;
/// As many retries as can be saved up, or owed.
const SAVED_MAX: i64 = 100 * RETRY;
/// Retries a second that are there for a pool with little to do,
const TRICKLE_PER_SEC: f64 = 3.0;
/// and how many of them are there at once: those that it takes to eject a server.
const TRICKLE_MAX: f64 = 5.0;

/// What is left of one pool's retries.
#[derive(Debug)]
pub(super) struct Budget {
    /// In thousandths of a retry; below zero after a trickle.
    saved: AtomicI64,
    /// Not taken as long as there are savings.
    trickle: Mutex<Trickle>,
}

#[derive(Debug)]
struct Trickle {
    tokens: f64,
    since: Instant,
}

// === impl Budget ===

impl Budget {
    pub(super) fn new() -> Self {
        let trickle = Trickle {
            tokens: TRICKLE_MAX,
            since: clock::instant(),
        };
        Self {
            saved: AtomicI64::new(0),
            trickle: Mutex::new(trickle),
        }
    }

    /// A client's request is on its way.
    pub(super) fn deposit(&self) {
        // Read first: savings are full nearly always, and a write would take the cache line from
        // all other threads. That some may see the same reading overdraws by next to nothing.
        if self.saved.load(Ordering::Relaxed) < SAVED_MAX {
            self.saved.fetch_add(PER_REQUEST, Ordering::Relaxed);
        }
    }

    /// Takes a retry, if there is one.
    pub(super) fn withdraw(&self) -> bool {
        let spend = |saved| (saved >= RETRY).then_some(saved - RETRY);
        let spent = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend);
        if spent.is_ok() {
            return true;
        }
        let trickled = self.trickle.lock().take(clock::instant());
        if trickled {
            // It counts against the fifth, or a pool could spend both.
            let owe = |saved: i64| Some((saved - RETRY).max(-SAVED_MAX));
            let _ = self
                .saved
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, owe);
        }
        trickled
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
        let budget = Budget::new();
        let mut retried = 0;
        for _ in 0..1000 {
            budget.deposit();
            retried += withdrawn(&budget, 2);
        }
        assert_eq!(retried, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pool_with_little_to_do_has_three_a_second() {
        let budget = Budget::new();
        assert_eq!(withdrawn(&budget, 10), 5);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(withdrawn(&budget, 10), 3);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(withdrawn(&budget, 10), 5, "they are not saved up");
    }

    #[tokio::test(start_paused = true)]
    async fn savings_have_an_end() {
        let budget = Budget::new();
        (0..1_000_000).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget, 1000), 100 + 5);
    }
}
