//! What is known of one server: figures, load and standing, which outlive the pools that ask it.
//!
//! A reload builds pools anew, with connections of their own; what has been learnt of a server is
//! not unlearnt by it. Connections are in `peer/`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::bell::Bell;
use super::error::{Kind, Why};
use super::health::Record;
use super::health::Standing;
use super::load::Load;
use super::overload::Adaptive;
use super::retry::Races;

/// What is known of one server.
#[derive(Debug)]
pub(super) struct Vitals {
    /// `host:port`, or `unix:/path`.
    pub(super) authority: Arc<str>,
    pub(super) load: Arc<Load>,
    /// What its latency says of how many requests it can bear.
    pub(super) adaptive: Arc<Adaptive>,
    /// How many connections are open to it.
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) counters: Counters,
    pub(super) conduct: Conduct,
    pub(super) races: Races,
    /// Never held across an await.
    pub(super) standing: Mutex<Standing>,
}

/// How a server's requests end, for those who judge it.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    /// Failures without an answer between them.
    in_a_row: AtomicU32,
    /// Bodies that broke off, without a whole one between them. Each had a good head.
    broken_in_a_row: AtomicU32,
    good: AtomicU32,
    all: AtomicU32,
    ejected: AtomicU64,
    probe_failures: AtomicU64,
}

/// What happened with a server since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) connects: AtomicU64,
    pub(super) reused: AtomicU64,
    errors: [AtomicU64; Kind::ALL.len()],
    retries: [AtomicU64; Why::ALL.len()],
}

// === impl Vitals ===

impl Vitals {
    /// Nothing is known yet; `moved` is rung when one of its requests has ended.
    pub(super) fn new(authority: Arc<str>, moved: Arc<Bell>) -> Self {
        Self {
            authority,
            load: Arc::new(Load::ringing(moved)),
            adaptive: Arc::default(),
            connections: Arc::default(),
            counters: Counters::default(),
            conduct: Conduct::default(),
            races: Races::default(),
            standing: Mutex::default(),
        }
    }
}

// === impl Conduct ===

impl Conduct {
    /// A head has come, or not; how many in a row have not, or how many bodies, if those are more.
    pub(super) fn note(&self, good: bool) -> u32 {
        self.all.fetch_add(1, Ordering::Relaxed);
        let broken_in_a_row = self.broken_in_a_row.load(Ordering::Relaxed);
        if !good {
            let before = self.in_a_row.fetch_add(1, Ordering::Relaxed);
            return before.saturating_add(1).max(broken_in_a_row);
        }
        self.good.fetch_add(1, Ordering::Relaxed);
        clear(&self.in_a_row);
        broken_in_a_row
    }

    /// A body has broken off whose head was good.
    pub(super) fn note_broken_body(&self) {
        self.all.fetch_add(1, Ordering::Relaxed);
        self.broken_in_a_row.fetch_add(1, Ordering::Relaxed);
    }

    /// A body has come whole.
    pub(super) fn note_whole_body(&self) {
        clear(&self.broken_in_a_row);
    }

    /// What failed before does not count any more.
    pub(super) fn begin_anew(&self) {
        clear(&self.in_a_row);
        clear(&self.broken_in_a_row);
    }

    /// How requests ended since the last call.
    pub(super) fn take(&self) -> Record {
        let all = self.all.swap(0, Ordering::Relaxed);
        let good = self.good.swap(0, Ordering::Relaxed).min(all);
        Record { good, all }
    }

    pub(super) fn count_ejection(&self) {
        self.ejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_probe_failure(&self) {
        self.probe_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How many probes have failed since the start.
    pub(super) fn probe_failures(&self) -> u64 {
        self.probe_failures.load(Ordering::Relaxed)
    }

    /// How often it was ejected since the start.
    pub(super) fn ejected(&self) -> u64 {
        self.ejected.load(Ordering::Relaxed)
    }
}

// === impl Counters ===

impl Counters {
    pub(super) fn count_error(&self, kind: Kind) {
        count(&self.errors, &Kind::ALL, kind);
    }

    pub(super) fn errors(&self) -> [(Kind, u64); Kind::ALL.len()] {
        counts(&self.errors, Kind::ALL)
    }

    /// A request is sent again because of this server.
    pub(super) fn count_retry(&self, why: Why) {
        count(&self.retries, &Why::ALL, why);
    }

    pub(super) fn retries(&self) -> [(Why, u64); Why::ALL.len()] {
        counts(&self.retries, Why::ALL)
    }
}

/// Counts one of all that there are, each of which has a counter.
fn count<T: PartialEq, const N: usize>(counters: &[AtomicU64; N], all: &[T; N], one: T) {
    let counted = all.iter().zip(counters).find(|(it, _)| **it == one);
    if let Some((_, counter)) = counted {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often each was counted.
fn counts<T: Copy, const N: usize>(counters: &[AtomicU64; N], all: [T; N]) -> [(T, u64); N] {
    std::array::from_fn(|at| (all[at], counters[at].load(Ordering::Relaxed)))
}

/// Read first: a store would take the cache line from all other requests.
fn clear(count: &AtomicU32) {
    if count.load(Ordering::Relaxed) > 0 {
        count.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_bodies_are_counted_apart() {
        let conduct = Conduct::default();
        assert_eq!([conduct.note(false), conduct.note(false)], [1, 2]);
        assert_eq!(
            conduct.note(true),
            0,
            "a head makes up for those that did not come"
        );
        conduct.note_broken_body();
        assert_eq!(conduct.note(true), 1, "but not for a body");
        conduct.note_broken_body();
        assert_eq!([conduct.note(false), conduct.note(true)], [2, 2]);
        conduct.note_whole_body();
        assert_eq!(conduct.note(true), 0);
        conduct.note_broken_body();
        conduct.begin_anew();
        assert_eq!(conduct.note(true), 0);
        assert_eq!(conduct.take(), Record { good: 5, all: 11 });
    }
}
