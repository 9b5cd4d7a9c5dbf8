//! Invalidation stamps: which births are over, told by comparing numbers and not by looking for
//! objects.
//!
//! A stamp says "what was asked for before me", of everything or of an area, which is how the keys of
//! its objects begin. So it costs the same however many objects it is about, and a record that
//! outlives the process could be compared with it as well. There may be so many areas and no more:
//! beyond that the older half is taken for everything, which makes for misses and never for hits.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::RwLock;

use super::born::Born;
use crate::semantics::key::KeyBuf;

/// Soft stamps of one area that are told apart by when they came.
const SOFT_MAX: usize = 16;

/// Areas with stamps of their own.
const AREAS_MAX: usize = 4096;

/// So many slashes of a path are looked at, and no area has more.
pub(super) const SLASHES_MAX: usize = 16;

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
    /// By the hash of how keys begin: two that share one share their stamps.
    areas: HashMap<u64, Stamp, foldhash::quality::RandomState>,
    /// The latest of the hard stamps.
    hard: Born,
    /// Up to where hard stamps have nothing left to be about.
    swept: Born,
}

/// What was said of one area, or of everything.
#[derive(Debug, Default)]
struct Stamp {
    /// What is older is gone.
    hard: Born,
    /// What is older than one of these is stale, since the moment of the first that it is older
    /// than. In order.
    soft: Vec<(Born, SystemTime)>,
}

// === impl Fate ===

impl Fate {
    /// The one that leaves less of it.
    fn or_worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Stale { since: one }, Self::Stale { since: two }) => Self::Stale {
                since: one.min(two),
            },
            _ => Self::Gone,
        }
    }
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

    /// What has become of what was born then under this key, if anything. Where no invalidation
    /// has come since, this is one comparison.
    pub(super) fn fate(&self, born: Born, key: &[u8]) -> Option<Fate> {
        match born < self.newest() {
            true => self.kept.read().fate(born, key),
            false => None,
        }
    }

    /// Whether what was asked for then must not be kept, although it was in no table meanwhile: a
    /// stamp that has been swept may be forgotten by now.
    pub(super) fn may_be_over(&self, born: Born, key: &[u8]) -> bool {
        let is_older = || {
            let kept = self.kept.read();
            born < kept.swept || kept.fate(born, key).is_some()
        };
        born < self.newest() && is_older()
    }

    /// Everything older has this fate. `tell` learns the number before anybody can bear it.
    pub(super) fn add(&self, fate: Fate, tell: impl FnOnce(Born)) {
        self.publish(fate, |kept, now| {
            tell(now);
            kept.all.add(now, fate);
        });
    }

    /// The same for what is older and has a key that begins like one of these, each of which ends
    /// with a slash of its path.
    pub(super) fn add_areas(&self, areas: &[KeyBuf], fate: Fate) {
        self.publish(fate, |kept, now| {
            for area in areas {
                let hash = kept.areas.hasher().hash_one(&area[..]);
                kept.areas.entry(hash).or_default().add(now, fate);
            }
            if kept.areas.len() > AREAS_MAX {
                kept.fold();
            }
        });
    }

    fn publish(&self, fate: Fate, stamp: impl FnOnce(&mut Kept, Born)) {
        let mut kept = self.kept.write();
        let now = self.newest().next();
        stamp(&mut kept, now);
        if fate == Fate::Gone {
            kept.hard = now;
        }
        self.newest.store(now.bits(), Ordering::Release);
    }

    /// The latest hard stamp, if there may still be something that it is about.
    pub(super) fn unswept(&self) -> Option<Born> {
        let kept = self.kept.read();
        (kept.swept < kept.hard).then_some(kept.hard)
    }

    /// Nothing is left that hard stamps up to this one are about: those of areas are forgotten.
    pub(super) fn note_swept(&self, upto: Born) {
        let mut kept = self.kept.write();
        kept.swept = upto;
        kept.areas.retain(|_, stamp| {
            let is_needed = stamp.hard > upto || !stamp.soft.is_empty();
            if stamp.hard <= upto {
                stamp.hard = Born::NEVER;
            }
            is_needed
        });
    }
}

// === impl Kept ===

impl Kept {
    fn fate(&self, born: Born, key: &[u8]) -> Option<Fate> {
        let all = self.all.fate(born);
        if self.areas.is_empty() {
            return all;
        }
        let path = memchr::memchr(b'?', key).unwrap_or(key.len());
        // Neither scheme nor authority has a slash.
        let ends = memchr::memchr_iter(b'/', &key[..path]).take(SLASHES_MAX);
        let areas = ends.filter_map(|end| {
            let hash = self.areas.hasher().hash_one(&key[..=end]);
            self.areas.get(&hash)?.fate(born)
        });
        all.into_iter().chain(areas).reduce(Fate::or_worse)
    }

    /// Takes what was said of the older half of the areas for said of everything.
    fn fold(&mut self) {
        let Self { all, areas, .. } = self;
        let mut latest: Vec<_> = areas.values().map(Stamp::latest).collect();
        let middle = latest.len() / 2;
        let upto = *latest.select_nth_unstable(middle).1;
        for (_, stamp) in areas.extract_if(|_, stamp| stamp.latest() <= upto) {
            all.hard = all.hard.max(stamp.hard);
            for (soft, since) in stamp.soft {
                all.soften(soft, since);
            }
        }
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

    fn add(&mut self, stamp: Born, fate: Fate) {
        match fate {
            Fate::Gone => self.hard = stamp,
            Fate::Stale { since } => self.soften(stamp, since),
        }
    }

    /// Of more than can be told apart the oldest two become one, as early as the first.
    fn soften(&mut self, stamp: Born, since: SystemTime) {
        let place = self.soft.partition_point(|(other, _)| *other <= stamp);
        self.soft.insert(place, (stamp, since));
        if self.soft.len() > SOFT_MAX {
            let (_, first) = self.soft.remove(0);
            self.soft[0].1 = self.soft[0].1.min(first);
        }
    }

    fn latest(&self) -> Born {
        let soft = self.soft.last().map_or(Born::NEVER, |(stamp, _)| *stamp);
        self.hard.max(soft)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::semantics::key::Scheme;

    const KEY: &[u8] = b"ha.test\0/one/two?three/four";

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(secs)
    }

    #[test]
    fn a_stamp_is_about_what_was_asked_for_before_it() {
        let stamps = Stamps::new();
        let first = stamps.newest();
        assert_eq!(stamps.fate(first, KEY), None);
        stamps.add(Fate::Stale { since: at(1) }, |_| {});
        let second = stamps.newest();
        assert_eq!(stamps.fate(first, KEY), Some(Fate::Stale { since: at(1) }));
        assert_eq!(stamps.fate(second, KEY), None);
        stamps.add(Fate::Gone, |_| {});
        assert_eq!(stamps.fate(first, KEY), Some(Fate::Gone));
        assert_eq!(stamps.fate(second, KEY), Some(Fate::Gone));
        assert_eq!(stamps.fate(stamps.newest(), KEY), None);
    }

    /// However many there are: never later than the first that it is older than.
    #[test]
    fn many_soft_stamps_make_nothing_stale_later() {
        let stamps = Stamps::new();
        let births: Vec<_> = (0..100)
            .map(|secs| {
                let born = stamps.newest();
                stamps.add(Fate::Stale { since: at(secs) }, |_| {});
                born
            })
            .collect();
        for (secs, born) in (0..).zip(births) {
            let fate = stamps.fate(born, KEY);
            assert!(
                matches!(fate, Some(Fate::Stale { since }) if since <= at(secs)),
                "{secs}: {fate:?}"
            );
            let is_recent = secs > 100 - SOFT_MAX as u64;
            assert!(!is_recent || fate == Some(Fate::Stale { since: at(secs) }));
        }
        assert_eq!(stamps.kept.read().all.soft.len(), SOFT_MAX);
    }

    fn area(path: &str) -> [KeyBuf; 1] {
        [KeyBuf::new(Scheme::Http, "a.test", path)]
    }

    #[test]
    fn an_area_is_how_a_key_begins() {
        let rows = [
            ("/", true),
            ("/one/", true),
            ("/one/two/", false),
            ("/one/two?three/", false),
            ("/on/", false),
        ];
        for (path, is_met) in rows {
            let stamps = Stamps::new();
            let born = stamps.newest();
            stamps.add_areas(&area(path), Fate::Gone);
            let fate = stamps.fate(born, KEY);
            assert_eq!(fate, is_met.then_some(Fate::Gone), "{path}");
            assert_eq!(stamps.fate(born, b"sa.test\0/one/two"), None);
            assert_eq!(stamps.fate(stamps.newest(), KEY), None);
        }
    }

    #[test]
    fn the_worst_of_all_that_was_said_holds() {
        let stamps = Stamps::new();
        let born = stamps.newest();
        for (path, secs) in [("/one/", 2), ("/", 1), ("/two/", 0)] {
            stamps.add_areas(&area(path), Fate::Stale { since: at(secs) });
        }
        assert_eq!(stamps.fate(born, KEY), Some(Fate::Stale { since: at(1) }));
        stamps.add_areas(&area("/one/"), Fate::Gone);
        assert_eq!(stamps.fate(born, KEY), Some(Fate::Gone));
    }

    #[test]
    fn a_hard_stamp_of_an_area_is_forgotten_when_it_has_been_swept() {
        let stamps = Stamps::new();
        let born = stamps.newest();
        stamps.add_areas(&area("/one/"), Fate::Gone);
        let upto = stamps.unswept().unwrap();
        stamps.add_areas(&area("/two/"), Fate::Gone);
        stamps.note_swept(upto);
        assert_eq!(stamps.kept.read().areas.len(), 1);
        assert_eq!(stamps.fate(born, KEY), None);
        assert!(stamps.may_be_over(born, KEY), "it may have been about this");
        assert!(stamps.unswept().is_some());
    }

    #[test]
    fn too_many_areas_become_everything() {
        let stamps = Stamps::new();
        let born = stamps.newest();
        stamps.add_areas(&area("/first/"), Fate::Gone);
        let later = stamps.newest();
        for number in 0..2 * AREAS_MAX {
            assert!(stamps.kept.read().areas.len() <= AREAS_MAX);
            stamps.add_areas(&area(&format!("/{number}/")), Fate::Stale { since: at(9) });
        }
        assert_eq!(stamps.fate(born, KEY), Some(Fate::Gone));
        assert_eq!(stamps.fate(later, KEY), Some(Fate::Stale { since: at(9) }));
        assert_eq!(stamps.fate(stamps.newest(), KEY), None);
    }
}
