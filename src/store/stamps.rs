//! Stamps: which births have been invalidated, told by comparing numbers and not by looking for
//! objects.
//!
//! A stamp says "what was asked for before me". So it costs the same however many objects it is
//! about, and a record that outlives the process could be compared with it as well.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::RwLock;

use super::born::Born;

/// Soft stamps that are told apart by when they came.
const SOFT_MAX: usize = 16;

/// What has become of something that was asked for before an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is no more.
    Gone,
    /// It is stale.
    Stale { since: SystemTime },
}

/// The invalidations in force.
#[derive(Debug)]
pub(super) struct Stamps {
    /// The number of the latest, and the birth of what is asked for now. Raised after what it
    /// stands for can be seen.
    newest: AtomicU64,
    /// Taken for what is older than the latest alone, so never for a hit while all is in order.
    kept: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    all: Stamp,
    /// Up to where hard stamps have no objects left.
    swept: Born,
}

/// What was said of everything.
#[derive(Debug, Default)]
struct Stamp {
    /// What is older is gone.
    hard: Born,
    /// What is older than one of these is stale, since the moment of the first that it is older
    /// than. In order.
    soft: Vec<(Born, SystemTime)>,
}

// === impl Stamps ===

impl Stamps {
    pub(super) fn new() -> Self {
        Self {
            newest: AtomicU64::new(Born::FIRST.bits()),
            kept: RwLock::default(),
        }
    }

    /// The birth of what is asked for now.
    pub(super) fn newest(&self) -> Born {
        Born::of_bits(self.newest.load(Ordering::Acquire))
    }

    /// What has become of what was born then, if anything. Where no invalidation has come since,
    /// this is one comparison.
    pub(super) fn fate(&self, born: Born) -> Option<Fate> {
        match born < self.newest() {
            true => self.kept.read().all.fate(born),
            false => None,
        }
    }

    /// Everything older is gone. `forget` is told by which number, before anybody can bear it.
    pub(super) fn kill_all(&self, forget: impl FnOnce(Born)) {
        self.add(|kept, now| {
            forget(now);
            kept.all.hard = now;
        });
    }

    /// Everything older is stale.
    pub(super) fn expire_all(&self, since: SystemTime) {
        self.add(|kept, now| kept.all.soften(now, since));
    }

    fn add(&self, stamp: impl FnOnce(&mut Kept, Born)) {
        let mut kept = self.kept.write();
        let now = self.newest().next();
        stamp(&mut kept, now);
        self.newest.store(now.bits(), Ordering::Release);
    }

    /// The latest hard stamp, if there may still be objects that are older.
    pub(super) fn unswept(&self) -> Option<Born> {
        let kept = self.kept.read();
        (kept.swept < kept.all.hard).then_some(kept.all.hard)
    }

    /// Nothing is left that hard stamps up to this one are about.
    pub(super) fn note_swept(&self, upto: Born) {
        self.kept.write().swept = upto;
    }
}

// === impl Stamp ===

impl Stamp {
    fn fate(&self, born: Born) -> Option<Fate> {
        if born < self.hard {
            return Some(Fate::Gone);
        }
        let first = self.soft.partition_point(|(stamp, _)| *stamp <= born);
        let (_, since) = *self.soft.get(first)?;
        Some(Fate::Stale { since })
    }

    /// Of more than can be told apart the oldest two become one, as early as the first.
    fn soften(&mut self, stamp: Born, since: SystemTime) {
        self.soft.push((stamp, since));
        if self.soft.len() > SOFT_MAX {
            let (_, first) = self.soft.remove(0);
            self.soft[0].1 = self.soft[0].1.min(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(secs)
    }

    #[test]
    fn a_stamp_is_about_what_was_asked_for_before_it() {
        let stamps = Stamps::new();
        let first = stamps.newest();
        assert_eq!(stamps.fate(first), None);
        stamps.expire_all(at(1));
        let second = stamps.newest();
        assert_eq!(stamps.fate(first), Some(Fate::Stale { since: at(1) }));
        assert_eq!(stamps.fate(second), None);
        stamps.kill_all(|_| {});
        assert_eq!(stamps.fate(first), Some(Fate::Gone));
        assert_eq!(stamps.fate(second), Some(Fate::Gone));
        assert_eq!(stamps.fate(stamps.newest()), None);
    }

    /// However many there are: never later than the first that it is older than.
    #[test]
    fn many_soft_stamps_make_nothing_stale_later() {
        let stamps = Stamps::new();
        let births: Vec<_> = (0..100)
            .map(|secs| {
                let born = stamps.newest();
                stamps.expire_all(at(secs));
                born
            })
            .collect();
        for (secs, born) in (0..).zip(births) {
            let fate = stamps.fate(born);
            assert!(
                matches!(fate, Some(Fate::Stale { since }) if since <= at(secs)),
                "{secs}: {fate:?}"
            );
            let is_recent = secs > 100 - SOFT_MAX as u64;
            assert!(!is_recent || fate == Some(Fate::Stale { since: at(secs) }));
        }
        assert_eq!(stamps.kept.read().all.soft.len(), SOFT_MAX);
    }
}
