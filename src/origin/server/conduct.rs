//! Conduct of one server: how its requests end, counted for those who judge it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How a server's requests end, for those who judge it.
#[derive(Debug, Default)]
pub(in crate::origin) struct Conduct {
    /// Failures without an answer between them.
    in_a_row: AtomicU32,
    /// Bodies that broke off, without a whole one between them. Each had a good head.
    broken_in_a_row: AtomicU32,
    good: AtomicU32,
    all: AtomicU32,
    ejected: AtomicU64,
    probe_failures: AtomicU64,
}

/// How a server's requests ended within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::origin) struct Record {
    pub(in crate::origin) good: u32,
    pub(in crate::origin) all: u32,
}

// === impl Conduct ===

impl Conduct {
    /// A head has come, or not; how many in a row have not, or how many bodies, if those are more.
    pub(in crate::origin) fn note(&self, good: bool) -> u32 {
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
    pub(in crate::origin) fn note_broken_body(&self) {
        self.all.fetch_add(1, Ordering::Relaxed);
        self.broken_in_a_row.fetch_add(1, Ordering::Relaxed);
    }

    /// A body has come whole.
    pub(in crate::origin) fn note_whole_body(&self) {
        clear(&self.broken_in_a_row);
    }

    /// What failed before does not count any more.
    pub(in crate::origin) fn begin_anew(&self) {
        clear(&self.in_a_row);
        clear(&self.broken_in_a_row);
    }

    /// How requests ended since the last call.
    pub(in crate::origin) fn take(&self) -> Record {
        let all = self.all.swap(0, Ordering::Relaxed);
        let good = self.good.swap(0, Ordering::Relaxed).min(all);
        Record { good, all }
    }

    pub(in crate::origin) fn count_ejection(&self) {
        self.ejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::origin) fn count_probe_failure(&self) {
        self.probe_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How many probes have failed since the start.
    pub(in crate::origin) fn probe_failures(&self) -> u64 {
        self.probe_failures.load(Ordering::Relaxed)
    }

    /// How often it was ejected since the start.
    pub(in crate::origin) fn ejected(&self) -> u64 {
        self.ejected.load(Ordering::Relaxed)
    }
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
