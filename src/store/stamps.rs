//! Invalidation stamps: which births are over, told by comparing numbers and not by looking for
//! objects.
//!
//! A stamp says "what was asked for before me", of everything, of an area, which is how the keys of
//! its objects begin, of a tag, or of what meets a pattern. So it costs the same however many objects it
//! is about, and a record that outlives the process could be compared with it as well. There may be so
//! many of each kind and no more: beyond that the older half is taken for everything, which makes for
//! misses and never for hits.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::RwLock;

use super::born::Born;
use super::head::Head;
use super::pattern::Pattern;
use super::tags::{ByTag, TagHash, TagHasher};
use crate::semantics::key::{Key, KeyBuf};

/// Soft stamps of one area that are told apart by when they came.
const SOFT_MAX: usize = 16;

/// Areas with stamps of their own.
const AREAS_MAX: usize = 4096;

/// Tags with stamps of their own; hard ones are forgotten as soon as they have been swept.
const TAGS_MAX: usize = 65_536;

/// Patterns in force, each of which is tried on what is older when that is asked for first.
const PATTERNS_MAX: usize = 1000;

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

/// Keys that are purged together.
#[derive(Debug)]
pub(super) enum Area {
    /// Those that begin like this one, which ends with a slash of its path.
    Below(KeyBuf),
    /// Those of this path, whatever their queries.
    Path(KeyBuf),
}

/// The invalidations in force.
#[derive(Debug)]
pub(super) struct Stamps {
    /// The number of the latest, and the birth of what is asked for now. Raised after what it
    /// stands for can be seen.
    newest: AtomicU64,
    hasher: TagHasher,
    /// Taken for what is older than the latest alone, so never for a hit while all is in order.
    kept: RwLock<Kept>,
}

/// How many there are that have stamps of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// Hosts, prefixes and paths.
    pub areas: usize,
    /// Tags, and tags of one origin.
    pub tags: usize,
    /// Patterns.
    pub patterns: usize,
}

#[derive(Debug, Default)]
struct Kept {
    hasher: TagHasher,
    all: Stamp,
    /// By the hash of how keys begin: two that share one share their stamps.
    areas: HashMap<u64, Stamp, foldhash::quality::RandomState>,
    tags: HashMap<TagHash, Stamp, ByTag>,
    /// Whether some of the tags are those of one origin alone.
    has_origins: bool,
    /// The one that was said last comes last.
    patterns: Vec<(Pattern, Stamp)>,
    /// The latest for which all objects must be walked through.
    to_walk: Born,
    /// Up to where that has been done.
    walked: Born,
    /// Up to where all objects of tags that hard stamps are about have been looked at.
    tags_swept: Born,
    /// Stamps up to here may have been forgotten.
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
        let hasher = TagHasher::default();
        Self {
            newest: AtomicU64::new(Born::FIRST.bits()),
            kept: RwLock::new(Kept {
                hasher: hasher.clone(),
                ..Kept::default()
            }),
            hasher,
        }
    }

    /// What makes the hashes that stamps of tags are about.
    pub(super) fn hasher(&self) -> &TagHasher {
        &self.hasher
    }

    /// The birth of what is asked for now.
    pub(super) fn newest(&self) -> Born {
        Born::of_bits(self.newest.load(Ordering::Acquire))
    }

    /// What has become of what was born then under this key, if anything. Where no invalidation
    /// has come since, this is one comparison. Without its head, only what the key tells is known.
    pub(super) fn fate(&self, born: Born, key: &[u8], head: Option<&Head>) -> Option<Fate> {
        match born < self.newest() {
            true => self.kept.read().fate(born, key, head),
            false => None,
        }
    }

    /// Whether what was asked for then must not be kept, although it was in no table meanwhile: a
    /// stamp that has been swept may be forgotten by now.
    pub(super) fn may_be_over(&self, born: Born, key: &[u8]) -> bool {
        let is_older = || {
            let kept = self.kept.read();
            born < kept.swept || kept.fate(born, key, None).is_some()
        };
        born < self.newest() && is_older()
    }

    /// Everything older has this fate. `tell` learns the number before anybody can bear it.
    pub(super) fn add(&self, fate: Fate, tell: impl FnOnce(Born)) {
        let stamp = |kept: &mut Kept, now| {
            tell(now);
            kept.all.add(now, fate);
            kept.walk_for(now, fate);
        };
        self.publish(stamp, |_| {});
    }

    /// The same for what is older and has a key in one of these areas.
    pub(super) fn add_areas(&self, areas: &[Area], fate: Fate) {
        let stamp = |kept: &mut Kept, now| {
            for area in areas {
                let hash = area.hash(kept.areas.hasher());
                kept.areas.entry(hash).or_default().add(now, fate);
            }
            kept.walk_for(now, fate);
            kept.bound();
        };
        self.publish(stamp, |_| {});
    }

    /// The same for what is older and has one of these tags: anywhere, or in one origin alone. `after`
    /// is told the number when all can see it, before any other is given.
    pub(super) fn add_tags(
        &self,
        tags: &[TagHash],
        origin: Option<&[u8]>,
        fate: Fate,
        after: impl FnOnce(Born),
    ) {
        let stamp = |kept: &mut Kept, now| {
            for tag in tags {
                let tag = origin.map_or(*tag, |origin| self.hasher.within(*tag, origin));
                kept.tags.entry(tag).or_default().add(now, fate);
            }
            kept.has_origins |= origin.is_some();
            kept.bound();
        };
        self.publish(stamp, after);
    }

    /// The same for what is older and meets this pattern. One that was said before is said anew.
    pub(super) fn add_pattern(&self, pattern: &Pattern, fate: Fate) {
        let stamp = |kept: &mut Kept, now| {
            let known = kept.patterns.iter().position(|it| it.0 == *pattern);
            let (pattern, mut stamp) = match known {
                Some(at) => kept.patterns.remove(at),
                None => (pattern.clone(), Stamp::default()),
            };
            stamp.add(now, fate);
            kept.patterns.push((pattern, stamp));
            kept.to_walk = now;
            kept.bound();
        };
        self.publish(stamp, |_| {});
    }

    fn publish(&self, stamp: impl FnOnce(&mut Kept, Born), after: impl FnOnce(Born)) {
        let mut kept = self.kept.write();
        let now = self.newest().next();
        stamp(&mut kept, now);
        self.newest.store(now.bits(), Ordering::Release);
        after(now);
    }

    /// The latest for which all objects must be walked through, if that has not been done.
    pub(super) fn unwalked(&self) -> Option<Born> {
        let kept = self.kept.read();
        (kept.walked < kept.to_walk).then_some(kept.to_walk)
    }

    /// Nothing is left that hard stamps up to this one are about, nor soft ones of patterns: those of
    /// areas are forgotten.
    pub(super) fn note_walked(&self, upto: Born) {
        let mut kept = self.kept.write();
        kept.walked = upto;
        kept.swept = kept.swept.max(upto);
        kept.areas.retain(|_, stamp| stamp.forget_hard(upto));
    }

    /// Nothing is left that hard stamps of tags up to this one are about.
    pub(super) fn note_tags_swept(&self, upto: Born) {
        let mut kept = self.kept.write();
        kept.tags_swept = kept.tags_swept.max(upto);
        kept.swept = kept.swept.max(upto);
    }

    /// Forgets what was said of tags and patterns and has been done with. What is in the air is the
    /// `oldest` of its kind, and of what its answer will be like nothing is known: stamps that are
    /// younger stay.
    pub(super) fn forget(&self, oldest: Option<Born>) {
        let mut kept = self.kept.write();
        let limit = |done: Born| oldest.map_or(done, |oldest| done.min(oldest));
        let (tags, patterns) = (limit(kept.tags_swept), limit(kept.walked));
        kept.tags.retain(|_, stamp| stamp.forget_hard(tags));
        kept.has_origins &= !kept.tags.is_empty();
        kept.patterns.retain(|(_, stamp)| stamp.latest() > patterns);
    }

    /// How many there are.
    pub(super) fn in_force(&self) -> InForce {
        let kept = self.kept.read();
        InForce {
            areas: kept.areas.len(),
            tags: kept.tags.len(),
            patterns: kept.patterns.len(),
        }
    }

    /// Whether what is over by a soft stamp must be filed as stale, so that the stamp can go.
    pub(super) fn is_met_by_pattern(&self, born: Born, key: &[u8], head: &Head) -> bool {
        let kept = self.kept.read();
        kept.by_pattern(born, key, Some(head)).is_some()
    }
}

// === impl Area ===

impl Area {
    fn hash(&self, hasher: &impl BuildHasher) -> u64 {
        match self {
            Self::Below(key) => hasher.hash_one(&key[..]),
            Self::Path(key) => hash_path(hasher, key.without_query()),
        }
    }
}

fn hash_path(hasher: &impl BuildHasher, path: &[u8]) -> u64 {
    hasher.hash_one((b'?', path))
}

// === impl Kept ===

impl Kept {
    fn fate(&self, born: Born, key: &[u8], head: Option<&Head>) -> Option<Fate> {
        let fates = [
            self.all.fate(born),
            self.by_area(born, key),
            head.and_then(|head| self.by_tag(born, key, head)),
            self.by_pattern(born, key, head),
        ];
        fates.into_iter().flatten().reduce(Fate::or_worse)
    }

    fn by_area(&self, born: Born, key: &[u8]) -> Option<Fate> {
        if self.areas.is_empty() {
            return None;
        }
        let fate = |hash| self.areas.get(&hash)?.fate(born);
        let hasher = self.areas.hasher();
        let path = &key[..memchr::memchr(b'?', key).unwrap_or(key.len())];
        // Neither scheme nor authority has a slash.
        let ends = memchr::memchr_iter(b'/', path).take(SLASHES_MAX);
        let areas = ends.filter_map(|end| fate(hasher.hash_one(&path[..=end])));
        areas
            .chain(fate(hash_path(hasher, path)))
            .reduce(Fate::or_worse)
    }

    fn by_tag(&self, born: Born, key: &[u8], head: &Head) -> Option<Fate> {
        if self.tags.is_empty() || head.tags() == 0 {
            return None;
        }
        let mut worst: Option<Fate> = None;
        let mut meet = |hash: TagHash| {
            let fate = self.tags.get(&hash).and_then(|stamp| stamp.fate(born));
            worst = worst.into_iter().chain(fate).reduce(Fate::or_worse);
        };
        let origin = Key::origin(key);
        head.each_tag(|tag| {
            let tag = self.hasher.hash(tag);
            meet(tag);
            if self.has_origins {
                meet(self.hasher.within(tag, origin));
            }
        });
        worst
    }

    fn by_pattern(&self, born: Born, key: &[u8], head: Option<&Head>) -> Option<Fate> {
        let younger = self.patterns.iter().rev();
        let younger = younger.take_while(|(_, stamp)| born < stamp.latest());
        let fates = younger.filter_map(|(pattern, stamp)| {
            let fate = stamp.fate(born)?;
            pattern.is_met(key, head).then_some(fate)
        });
        fates.reduce(Fate::or_worse)
    }

    /// Only a walk through all objects finds what a hard stamp of an area, or of everything, is about.
    fn walk_for(&mut self, now: Born, fate: Fate) {
        if fate == Fate::Gone {
            self.to_walk = now;
        }
    }

    /// Of what is too much, takes what was said of the older half for said of everything.
    fn bound(&mut self) {
        let mut folded = Vec::new();
        if self.areas.len() > AREAS_MAX {
            folded.extend(older_half(&mut self.areas));
        }
        if self.tags.len() > TAGS_MAX {
            folded.extend(older_half(&mut self.tags));
        }
        if self.patterns.len() > PATTERNS_MAX {
            let older = self.patterns.drain(..PATTERNS_MAX / 2);
            folded.extend(older.map(|(_, stamp)| stamp));
        }
        for stamp in folded {
            self.all.hard = self.all.hard.max(stamp.hard);
            self.to_walk = self.to_walk.max(stamp.hard);
            for (soft, since) in stamp.soft {
                self.all.soften(soft, since);
            }
        }
    }
}

fn older_half<K: Eq + Hash, S: BuildHasher>(stamps: &mut HashMap<K, Stamp, S>) -> Vec<Stamp> {
    let mut latest: Vec<_> = stamps.values().map(Stamp::latest).collect();
    let middle = latest.len() / 2;
    let upto = *latest.select_nth_unstable(middle).1;
    let older = stamps.extract_if(|_, stamp| stamp.latest() <= upto);
    older.map(|(_, stamp)| stamp).collect()
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

    /// Drops the hard one, if it is no younger than this. Whether anything is left.
    fn forget_hard(&mut self, upto: Born) -> bool {
        if self.hard <= upto {
            self.hard = Born::NEVER;
        }
        self.hard > Born::NEVER || !self.soft.is_empty()
    }

    fn latest(&self) -> Born {
        let soft = self.soft.last().map_or(Born::NEVER, |(stamp, _)| *stamp);
        self.hard.max(soft)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::super::pattern::Subject;
    use super::*;
    use crate::semantics::key::Scheme;
    use crate::semantics::tags::TagRule;

    const KEY: &[u8] = b"ha.test\0/one/two?three/four";

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(secs)
    }

    #[test]
    fn a_stamp_is_about_what_was_asked_for_before_it() {
        let stamps = Stamps::new();
        let first = stamps.newest();
        assert_eq!(stamps.fate(first, KEY, None), None);
        stamps.add(Fate::Stale { since: at(1) }, |_| {});
        let second = stamps.newest();
        assert_eq!(
            stamps.fate(first, KEY, None),
            Some(Fate::Stale { since: at(1) })
        );
        assert_eq!(stamps.fate(second, KEY, None), None);
        stamps.add(Fate::Gone, |_| {});
        assert_eq!(stamps.fate(first, KEY, None), Some(Fate::Gone));
        assert_eq!(stamps.fate(second, KEY, None), Some(Fate::Gone));
        assert_eq!(stamps.fate(stamps.newest(), KEY, None), None);
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
            let fate = stamps.fate(born, KEY, None);
            assert!(
                matches!(fate, Some(Fate::Stale { since }) if since <= at(secs)),
                "{secs}: {fate:?}"
            );
            let is_recent = secs > 100 - SOFT_MAX as u64;
            assert!(!is_recent || fate == Some(Fate::Stale { since: at(secs) }));
        }
        assert_eq!(stamps.kept.read().all.soft.len(), SOFT_MAX);
    }

    fn area(path: &str) -> [Area; 1] {
        [Area::Below(KeyBuf::new(Scheme::Http, "a.test", path))]
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
            let fate = stamps.fate(born, KEY, None);
            assert_eq!(fate, is_met.then_some(Fate::Gone), "{path}");
            assert_eq!(stamps.fate(born, b"sa.test\0/one/two", None), None);
            assert_eq!(stamps.fate(stamps.newest(), KEY, None), None);
        }
    }

    #[test]
    fn a_path_is_all_its_queries_and_nothing_below_it() {
        let rows = [
            ("/one/two", true),
            ("/one/two?three/four", true),
            ("/one/", false),
            ("/one", false),
            ("/one/two/", false),
        ];
        for (path, is_met) in rows {
            let stamps = Stamps::new();
            let born = stamps.newest();
            let key = KeyBuf::new(Scheme::Http, "a.test", path);
            stamps.add_areas(&[Area::Path(key)], Fate::Gone);
            let fate = stamps.fate(born, KEY, None);
            assert_eq!(fate, is_met.then_some(Fate::Gone), "{path}");
        }
    }

    fn tagged(tags: &str) -> Head {
        let value = HeaderValue::from_str(tags).unwrap();
        let fields = HeaderMap::from_iter([(HeaderName::from_static("xkey"), value)]);
        Head::tagged(StatusCode::OK, &fields, &TagRule::default()).unwrap()
    }

    #[test]
    fn a_tag_is_met_by_what_has_it_anywhere_or_in_its_origin() {
        let origins = [
            (None, true),
            (Some(&b"ha.test"[..]), true),
            (Some(b"sa.test"), false),
            (Some(b"ha.test:80"), false),
        ];
        for (origin, is_met) in origins {
            let stamps = Stamps::new();
            let born = stamps.newest();
            let tag = stamps.hasher().hash(b"b");
            stamps.add_tags(&[tag], origin, Fate::Gone, |_| {});
            let fate = |tags| stamps.fate(born, KEY, Some(&tagged(tags)));
            assert_eq!(fate("a b"), is_met.then_some(Fate::Gone), "{origin:?}");
            assert_eq!(fate("a c"), None);
            assert_eq!(stamps.fate(born, KEY, None), None);
            assert_eq!(stamps.fate(stamps.newest(), KEY, Some(&tagged("b"))), None);
        }
    }

    #[test]
    fn what_was_said_of_tags_is_forgotten_when_nothing_older_is_in_the_air() {
        let (stamps, head) = (Stamps::new(), tagged("a"));
        let born = stamps.newest();
        let tag = stamps.hasher().hash(b"a");
        let mut stamp = Born::NEVER;
        stamps.add_tags(&[tag], None, Fate::Gone, |now| stamp = now);
        stamps.forget(None);
        assert_eq!(stamps.in_force().tags, 1, "it has not been swept");
        stamps.note_tags_swept(stamp);
        stamps.forget(Some(born));
        assert_eq!(stamps.fate(born, KEY, Some(&head)), Some(Fate::Gone));
        stamps.forget(Some(stamp));
        assert_eq!(stamps.in_force().tags, 0);
        assert!(stamps.may_be_over(born, KEY), "it may have had the tag");
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::new(&[(Subject::Path, text)]).unwrap()
    }

    #[test]
    fn a_pattern_said_twice_is_one() {
        let stamps = Stamps::new();
        let first = stamps.newest();
        stamps.add_pattern(&pattern("two"), Fate::Stale { since: at(1) });
        stamps.add_pattern(&pattern("none"), Fate::Gone);
        let second = stamps.newest();
        stamps.add_pattern(&pattern("two"), Fate::Stale { since: at(2) });
        assert_eq!(stamps.in_force().patterns, 2);
        let stale = |secs| Some(Fate::Stale { since: at(secs) });
        assert_eq!(stamps.fate(first, KEY, None), stale(1));
        assert_eq!(stamps.fate(second, KEY, None), stale(2));
        let upto = stamps.unwalked().unwrap();
        stamps.note_walked(upto);
        stamps.forget(None);
        assert_eq!(stamps.in_force(), InForce::default());
    }

    #[test]
    fn too_many_patterns_become_everything() {
        let stamps = Stamps::new();
        let born = stamps.newest();
        for number in 0..=PATTERNS_MAX {
            stamps.add_pattern(&pattern(&format!("^/none/{number}$")), Fate::Gone);
        }
        assert!(stamps.in_force().patterns <= PATTERNS_MAX);
        assert_eq!(stamps.fate(born, KEY, None), Some(Fate::Gone));
        assert_eq!(stamps.fate(stamps.newest(), KEY, None), None);
    }

    #[test]
    fn the_worst_of_all_that_was_said_holds() {
        let stamps = Stamps::new();
        let born = stamps.newest();
        for (path, secs) in [("/one/", 2), ("/", 1), ("/two/", 0)] {
            stamps.add_areas(&area(path), Fate::Stale { since: at(secs) });
        }
        assert_eq!(
            stamps.fate(born, KEY, None),
            Some(Fate::Stale { since: at(1) })
        );
        stamps.add_areas(&area("/one/"), Fate::Gone);
        assert_eq!(stamps.fate(born, KEY, None), Some(Fate::Gone));
    }

    #[test]
    fn a_hard_stamp_of_an_area_is_forgotten_when_it_has_been_swept() {
        let stamps = Stamps::new();
        let born = stamps.newest();
        stamps.add_areas(&area("/one/"), Fate::Gone);
        let upto = stamps.unwalked().unwrap();
        stamps.add_areas(&area("/two/"), Fate::Gone);
        stamps.note_walked(upto);
        assert_eq!(stamps.kept.read().areas.len(), 1);
        assert_eq!(stamps.fate(born, KEY, None), None);
        assert!(stamps.may_be_over(born, KEY), "it may have been about this");
        assert!(stamps.unwalked().is_some());
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
        assert_eq!(stamps.fate(born, KEY, None), Some(Fate::Gone));
        assert_eq!(
            stamps.fate(later, KEY, None),
            Some(Fate::Stale { since: at(9) })
        );
        assert_eq!(stamps.fate(stamps.newest(), KEY, None), None);
    }
}
