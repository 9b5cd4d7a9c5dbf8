//! Stored response: head, term and content, for its readers, complete or still filling.
//!
//! Objects never change, but for the count of their hits and the invalidations that they have
//! outlived. A 304 or a soft purge makes a new object that shares the old one's bytes, so a client
//! reading one is never surprised. How a body grows is in `growing.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::SystemTime;

use http::header::{self, HeaderMap};

use super::born::Born;
use super::content::Content;
use super::head::Head;
use super::slices::Slices;
use crate::body::Body;
use crate::semantics::conditional::Validators;
use crate::semantics::freshness::Term;
use crate::semantics::range::{ByteRange, Length};
use crate::semantics::tags::TagRule;
use crate::semantics::vary::Variant;

/// What the allocator and the index spend on an object beside the bytes counted one by one:
/// this struct, its shelf, moka's entry and queue node, and the allocator's rounding.
pub(super) const OVERHEAD_BYTES: usize = 520;

/// What an object with tags costs in the index of tags, and each of its tags, on the whole.
pub(super) const TAGGED_BYTES: usize = 24;
pub(super) const TAG_BYTES: usize = 14;

/// Where the count of hits stops. It is far enough below what fits that all threads that find it
/// one short may add theirs.
const HITS_MAX: u32 = u32::MAX / 2;

/// A response as the store keeps it.
#[derive(Debug)]
pub struct Object {
    head: Head,
    term: Term,
    variant: Variant,
    content: Content,
    /// When it was asked for; raised to the latest invalidation that it is known to have outlived.
    born: AtomicU64,
    /// Nothing is decided by it.
    hits: AtomicU32,
    /// Its number in the index of tags and one more; 0 for none. Only the index looks at it.
    listed: AtomicU32,
}

// === impl Object ===

impl Object {
    pub(super) fn new(
        head: Head,
        term: Term,
        variant: Variant,
        content: Content,
        born: Born,
    ) -> Self {
        Self {
            head,
            term,
            variant,
            content,
            born: AtomicU64::new(born.bits()),
            hits: AtomicU32::new(0),
            listed: AtomicU32::new(0),
        }
    }

    /// The same with the hits of the object whose place it takes.
    fn succeeding(mut self, old: &Self) -> Self {
        *self.hits.get_mut() = old.hits();
        self
    }

    /// Notes that a request was answered with it and without its origin.
    pub fn count_hit(&self) {
        if self.hits() < HITS_MAX {
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many requests were answered with it and without its origin, those before it was
    /// confirmed or soft purged included. The count stops at two thousand million.
    pub fn hits(&self) -> u32 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Status and fields as stored.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How old it is and how long it stays fresh.
    pub fn term(&self) -> &Term {
        &self.term
    }

    /// Which requests it answers, by its `Vary`.
    pub fn variant(&self) -> &Variant {
        &self.variant
    }

    /// The body from its first byte. Every call is one more reader.
    pub fn body(&self) -> Body {
        self.content.body()
    }

    /// The same; `None` where the body broke off, or will not be kept and has begun to go.
    pub fn join(&self) -> Option<Body> {
        self.content.join()
    }

    /// Whether a request for these bytes needs the origin: a part of them is kept in slices, and
    /// not here at the moment.
    pub fn lacks(&self, range: ByteRange) -> bool {
        self.slices().is_some_and(|slices| !slices.has(range))
    }

    /// Whether it is kept in slices.
    pub fn is_sliced(&self) -> bool {
        self.slices().is_some()
    }

    pub(super) fn slices(&self) -> Option<&Arc<Slices>> {
        self.content.slices()
    }

    /// What is known of the body's length.
    pub fn length(&self) -> Length {
        self.content.length()
    }

    /// Whether all its bytes are here, even if it has not been filed yet, or can be had any time.
    pub fn is_whole(&self) -> bool {
        self.content.is_whole()
    }

    /// Whether its bytes broke off, or the first ones are gone: no longer a thing to hand out.
    pub fn is_gone(&self) -> bool {
        self.content.is_gone()
    }

    /// What conditional requests are compared with.
    pub fn validators(&self) -> Validators<'_> {
        Validators {
            etag: self.head.get(&header::ETAG),
            last_modified: self.head.get(&header::LAST_MODIFIED),
            date: self.head.get(&header::DATE),
        }
    }

    /// The same response under the fields and the term that a 304 brought (RFC 9111 §4.3.4).
    pub fn refreshed(
        &self,
        fields: &HeaderMap,
        tags: &TagRule,
        term: Term,
        variant: Variant,
    ) -> Option<Self> {
        let head = Head::tagged(self.head.status(), fields, tags).ok()?;
        let content = self.content.clone();
        Some(Self::new(head, term, variant, content, self.born()).succeeding(self))
    }

    /// The same response, stale since that moment: what a soft purge leaves. It has outlived all
    /// invalidations up to `newest`.
    pub(super) fn expired(&self, since: SystemTime, newest: Born) -> Self {
        Self::new(
            self.head.clone(),
            self.term.expired(since),
            self.variant.clone(),
            self.content.clone(),
            newest,
        )
        .succeeding(self)
    }

    /// The birth by which it is compared with invalidations: older ones are not about it.
    pub(super) fn born(&self) -> Born {
        Born::of_bits(self.born.load(Ordering::Relaxed))
    }

    /// The same with another birth: that of the request whose 304 confirmed it.
    pub(super) fn reborn(mut self, born: Born) -> Self {
        *self.born.get_mut() = born.bits();
        self
    }

    /// Notes that no invalidation up to `newest` is about it, so that the next look need not ask.
    pub(super) fn outlive(&self, newest: Born) {
        self.born.fetch_max(newest.bits(), Ordering::Relaxed);
    }

    /// Its number in the index of tags.
    pub(super) fn listed(&self) -> Option<u32> {
        self.listed.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(super) fn list(&self, id: Option<u32>) {
        let listed = id.map_or(0, |id| id + 1);
        self.listed.store(listed, Ordering::Relaxed);
    }

    /// Its tags, each once, in order.
    pub fn tags(&self) -> Vec<String> {
        let mut tags = Vec::new();
        self.head
            .each_tag(|tag| tags.push(String::from_utf8_lossy(tag).into_owned()));
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// Real bytes this object keeps alive, index and allocator included.
    pub fn weight_bytes(&self) -> usize {
        let index = match usize::from(self.head.tags()) {
            0 => 0,
            tags => TAGGED_BYTES + tags * TAG_BYTES,
        };
        OVERHEAD_BYTES
            + index
            + self.head.weight_bytes()
            + self.variant.weight_bytes()
            + self.content.weight_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::super::whole::Whole;
    use super::*;

    fn object() -> Object {
        let head = Head::pack(StatusCode::OK, &HeaderMap::new()).unwrap();
        let term = Term::new(SystemTime::UNIX_EPOCH, Duration::from_secs(60));
        Object::new(
            head,
            term,
            Variant::default(),
            Content::Whole(Whole::Empty),
            Born::FIRST,
        )
    }

    #[test]
    fn an_object_stays_in_its_size_class() {
        // With the two counts of its `Arc`; jemalloc's next class has 192 bytes.
        assert!(size_of::<Object>() + 16 <= 160, "{}", size_of::<Object>());
    }

    #[test]
    fn hits_outlive_a_confirmation_and_a_soft_purge() {
        let first = object();
        first.count_hit();
        let (term, variant) = (*first.term(), first.variant().clone());
        let second = first
            .refreshed(&HeaderMap::new(), &TagRule::default(), term, variant)
            .unwrap();
        second.count_hit();
        let third = second.expired(SystemTime::UNIX_EPOCH, Born::FIRST);
        assert_eq!([first.hits(), second.hits(), third.hits()], [1, 2, 2]);
    }

    #[test]
    fn the_count_of_hits_stops_and_does_not_begin_anew() {
        let object = object();
        object.hits.store(HITS_MAX - 1, Ordering::Relaxed);
        object.count_hit();
        object.count_hit();
        assert_eq!(object.hits(), HITS_MAX);
    }
}
