//! Counters of one server since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::origin::error::{Kind, Why};

/// What happened with a server since the start.
#[derive(Debug, Default)]
pub(in crate::origin) struct Counters {
    pub(in crate::origin) requests: AtomicU64,
    pub(in crate::origin) connects: AtomicU64,
    pub(in crate::origin) reused: AtomicU64,
    errors: [AtomicU64; Kind::ALL.len()],
    retries: [AtomicU64; Why::ALL.len()],
}

/// A server's part in races, since the start.
#[derive(Debug, Default)]
pub(in crate::origin) struct Races {
    /// Requests that were sent to another server as well, because this one was slow.
    hedged: AtomicU64,
    /// Those in which this server was the other one, and won.
    won: AtomicU64,
}

// === impl Counters ===

impl Counters {
    pub(in crate::origin) fn count_error(&self, kind: Kind) {
        count(&self.errors, &Kind::ALL, kind);
    }

    pub(in crate::origin) fn errors(&self) -> [(Kind, u64); Kind::ALL.len()] {
        counts(&self.errors, Kind::ALL)
    }

    /// A request is sent again because of this server.
    pub(in crate::origin) fn count_retry(&self, why: Why) {
        count(&self.retries, &Why::ALL, why);
    }

    pub(in crate::origin) fn retries(&self) -> [(Why, u64); Why::ALL.len()] {
        counts(&self.retries, Why::ALL)
    }
}

// === impl Races ===

impl Races {
    /// A request was sent to another server as well, because this one was slow.
    pub(in crate::origin) fn count_hedged(&self) {
        self.hedged.fetch_add(1, Ordering::Relaxed);
    }

    /// It was the other server, and won.
    pub(in crate::origin) fn count_won(&self) {
        self.won.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that were sent to another server as well, because this one was slow.
    pub(in crate::origin) fn hedged(&self) -> u64 {
        self.hedged.load(Ordering::Relaxed)
    }

    /// Those in which this server was the other one, and won.
    pub(in crate::origin) fn won(&self) -> u64 {
        self.won.load(Ordering::Relaxed)
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
