//! Hit-for-miss: marks on keys whose last answer could not be shared, so that their requests wait for
//! nobody.
//!
//! Without this memory every request for such a page would first wait for another's answer, only
//! to learn that it has to ask itself. A mark is about a variant: a payload that may not be stored
//! takes nothing from the page that shares its URL. It ends with its time or with the first answer
//! that can be stored. Kept apart from the objects, so that marks never push a page out.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use smallvec::SmallVec;

use super::born::Born;
use super::moka::{Hasher, Mark, Marked, Marks};
use super::stamps::Stamps;
use crate::semantics::vary::{Selecting, Variant};

/// Variants of one key that are marked at a time; one more takes the place of the oldest.
const VARIANTS_MAX: usize = 8;

/// Bounded marks, each with an end.
pub(super) struct HitForMiss {
    marks: Marks,
    hasher: Hasher,
    lasts: Duration,
    stamps: Arc<Stamps>,
}

// === impl HitForMiss ===

impl HitForMiss {
    pub(super) fn new(marks_max: u64, lasts: Duration, stamps: &Arc<Stamps>) -> Self {
        Self {
            marks: Marks::new(marks_max, lasts),
            hasher: Hasher::default(),
            lasts,
            stamps: Arc::clone(stamps),
        }
    }

    pub(super) fn is_marked(&self, key: &[u8], request: &Selecting, now: SystemTime) -> bool {
        self.left(key, request, now).is_some()
    }

    /// How much longer the key is marked for such a request, if it is.
    pub(super) fn left(
        &self,
        key: &[u8],
        request: &Selecting,
        now: SystemTime,
    ) -> Option<Duration> {
        let mark = self.in_force(key, now)?;
        let is_meant = match &mark.what {
            Marked::All => true,
            Marked::Variants { names, hashes } => {
                hashes.contains(&self.hash(&Variant::new(names, request)))
            }
        };
        is_meant
            .then(|| mark.until.duration_since(now).ok())
            .flatten()
    }

    fn in_force(&self, key: &[u8], now: SystemTime) -> Option<Mark> {
        let mark = self.marks.get(key)?;
        (now < mark.until && self.stamps.fate(mark.born, key, None).is_none()).then_some(mark)
    }

    /// Marks the key by an answer to what was asked for then: for requests of its variant, or for
    /// all, if it has none.
    pub(super) fn mark(&self, key: &[u8], variant: Option<&Variant>, now: SystemTime, born: Born) {
        if self.lasts.is_zero() {
            return;
        }
        let before = self.in_force(key, now).map(|mark| mark.what);
        let what = match variant {
            None => Marked::All,
            Some(variant) => {
                let mut hashes = match before {
                    Some(Marked::Variants { names, hashes }) if *names == *variant.names() => {
                        hashes
                    }
                    _ => SmallVec::new(),
                };
                let hash = self.hash(variant);
                hashes.retain(|it| *it != hash);
                if hashes.len() == VARIANTS_MAX {
                    hashes.remove(0);
                }
                hashes.push(hash);
                Marked::Variants {
                    names: variant.names().into(),
                    hashes,
                }
            }
        };
        let until = now + self.lasts;
        self.marks.put(key, Mark { until, born, what });
    }

    /// An answer of this variant can be stored.
    pub(super) fn unmark_variant(&self, key: &[u8], variant: &Variant) {
        let Some(mut mark) = self.marks.get(key) else {
            return;
        };
        if let Marked::Variants { names, hashes } = &mut mark.what
            && **names == *variant.names()
        {
            let hash = self.hash(variant);
            hashes.retain(|it| *it != hash);
            if !hashes.is_empty() {
                return self.marks.put(key, mark);
            }
        }
        self.marks.remove(key);
    }

    pub(super) fn unmark(&self, key: &[u8]) {
        self.marks.remove(key);
    }

    pub(super) fn tidy(&self) {
        self.marks.tidy();
    }

    fn hash(&self, variant: &Variant) -> u64 {
        self.hasher.hash_one(variant)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::clock;

    const RSC: [HeaderName; 1] = [HeaderName::from_static("rsc")];

    fn fields(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(RSC[0].clone(), HeaderValue::from_static(value))])
    }

    fn misses() -> HitForMiss {
        HitForMiss::new(100, Duration::from_secs(10), &Arc::new(Stamps::new()))
    }

    #[test]
    fn a_mark_is_about_a_variant() {
        let (misses, now) = (misses(), clock::now());
        let (payload, page) = (fields("1"), HeaderMap::new());
        let (payload, page) = (Selecting::by(&payload), Selecting::by(&page));
        let variant = Variant::new(&RSC, &payload);
        misses.mark(b"/a", Some(&variant), now, Born::FIRST);
        assert!(misses.is_marked(b"/a", &payload, now));
        assert!(!misses.is_marked(b"/a", &page, now));
        misses.unmark_variant(b"/a", &Variant::new(&RSC, &page));
        assert!(
            misses.is_marked(b"/a", &payload, now),
            "the page has nothing to say of it"
        );
        misses.unmark_variant(b"/a", &variant);
        assert!(!misses.is_marked(b"/a", &payload, now));
        misses.mark(b"/a", None, now, Born::FIRST);
        assert!(misses.is_marked(b"/a", &payload, now) && misses.is_marked(b"/a", &page, now));
    }

    #[test]
    fn so_many_variants_are_marked_and_no_more() {
        let (misses, now) = (misses(), clock::now());
        let all: Vec<_> = (0..=VARIANTS_MAX).map(|it| it.to_string()).collect();
        let mark = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            let fields = HeaderMap::from_iter([(RSC[0].clone(), value)]);
            let variant = Variant::new(&RSC, &Selecting::by(&fields));
            misses.mark(b"/a", Some(&variant), now, Born::FIRST);
            fields
        };
        let requests: Vec<_> = all.iter().map(|it| mark(it)).collect();
        let is_marked = |it: &HeaderMap| misses.is_marked(b"/a", &Selecting::by(it), now);
        assert!(!is_marked(&requests[0]));
        assert!(requests[1..].iter().all(is_marked));
    }
}
