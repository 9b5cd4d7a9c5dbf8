//! Content in slices, of a large object: which there are, which are arriving, and what they all must
//! share.
//!
//! The slices' bytes are entries of their own in memory, so that a cold one can be evicted alone;
//! they are found by the content's number, and when the last who knows the content has gone, they
//! go too. A slice that is missing when a reader gets there is asked for once, however many wait
//! for it. How it is asked for is the [`Source`]'s; its one writer is in `slot.rs`, and the readers
//! who join slices to a body are in `joined.rs`.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Store;
use super::graves::{Graves, SliceKey};
use super::growing::Growing;
use super::reader::Reader;
use super::slot::{Collector, Slot};
use super::whole::Whole;
use crate::body::{Body, Error};
use crate::semantics::combine::Version;
use crate::semantics::key::Key;
use crate::semantics::range::ByteRange;

/// Slices that have gone are noticed at the latest when there are twice as many notes as before,
/// and not while there are fewer than this.
const NOTES_MIN: usize = 64;

/// Who asks the origin for slices, long after the request that brought the first has gone.
pub trait Source: Send + Sync {
    /// Has a slice brought by a task of its own, which fills the slot or drops it.
    fn bring(&self, slot: Slot);

    /// Bytes of heap it keeps alive.
    fn weight_bytes(&self) -> usize;
}

/// What is known of a content before any of its slices is here.
pub struct Sliced {
    /// The length of the whole, in bytes; at least one.
    pub complete: u64,
    /// The length of every slice but the last, in bytes; at least one.
    pub slice_bytes: u64,
    /// What all slices share.
    pub version: Version,
    /// Where missing ones come from.
    pub source: Box<dyn Source>,
}

/// A content in slices.
pub(super) struct Slices {
    /// No other content of this store has the same.
    number: u64,
    key: Key,
    store: Weak<Store>,
    pub(super) about: Sliced,
    state: Mutex<State>,
    /// The origin has another version by now: what is missing cannot be had any more.
    outdated: AtomicBool,
    graves: Arc<Graves>,
}

/// Which slices there are.
#[derive(Default)]
struct State {
    arriving: HashMap<u64, Arc<Growing>>,
    /// Slices that were filed; those that have been evicted since are dead.
    filed: HashMap<u64, Weak<Whole>>,
    notes_max: usize,
}

/// How often a slice was opened, by where its bytes came from.
#[derive(Debug, Default)]
pub(super) struct SliceCounts {
    pub(super) contents: AtomicU64,
    pub(super) from_memory: AtomicU64,
    pub(super) from_origin: AtomicU64,
}

// === impl Slices ===

impl Slices {
    pub(super) fn new(store: &Arc<Store>, key: &Key, about: Sliced) -> Arc<Self> {
        Arc::new(Self {
            number: store.slices.contents.fetch_add(1, Ordering::Relaxed),
            key: key.clone(),
            store: Arc::downgrade(store),
            about,
            state: Mutex::default(),
            outdated: AtomicBool::new(false),
            graves: Arc::clone(store.memory.graves()),
        })
    }

    /// The bytes of the slice `index`; `None` beyond the end.
    pub(super) fn range(&self, index: u64) -> Option<ByteRange> {
        let first = index.checked_mul(self.about.slice_bytes)?;
        let end = self.about.complete.checked_sub(1)?;
        let last = first.saturating_add(self.about.slice_bytes - 1).min(end);
        (first <= end).then_some(ByteRange { first, last })
    }

    /// A reader of the slice `index`, from its first byte. A slice that is neither here nor
    /// arriving is sent for.
    ///
    /// # Errors
    /// It cannot be had: it is beyond the end, or the origin's version is another one by now.
    pub(super) fn open(this: &Arc<Self>, index: u64) -> Result<Body, Error> {
        let store = this.store.upgrade().ok_or(Error::Truncated)?;
        // Who reads on uses the object: it must not be evicted before its slices are.
        store.memory.touch(this.key.as_ref());
        let mut state = this.state.lock();
        if let Some(slice) = store.memory.slice(this.key_of(index)) {
            store.slices.from_memory.fetch_add(1, Ordering::Relaxed);
            return Ok(slice.body());
        }
        if let Some(growing) = state.arriving.get(&index) {
            return Ok(Body::stream(Reader::new(growing)));
        }
        if this.outdated.load(Ordering::Relaxed) || this.range(index).is_none() {
            return Err(Error::Truncated);
        }
        let (slot, body) = Self::begin(this, &mut state, &store, index);
        drop(state);
        this.about.source.bring(slot);
        Ok(body)
    }

    /// Whether all bytes of `range` are here at this moment. Looks no further than the first slice
    /// that is not.
    pub(super) fn has(&self, range: ByteRange) -> bool {
        let of = |at: u64| at / self.about.slice_bytes;
        self.store.upgrade().is_some_and(|store| {
            (of(range.first)..=of(range.last))
                .all(|index| store.memory.has_slice(self.key_of(index)))
        })
    }

    /// The writer of the slice that is here first, and its first reader.
    pub(super) fn first(this: &Arc<Self>, store: &Store, index: u64) -> (Slot, Body) {
        Self::begin(this, &mut this.state.lock(), store, index)
    }

    /// The writer of a slice, and its first reader. Where there is no room for it, the slice is in
    /// transit: it is this reader's alone and will not be kept.
    fn begin(this: &Arc<Self>, state: &mut State, store: &Store, index: u64) -> (Slot, Body) {
        store.slices.from_origin.fetch_add(1, Ordering::Relaxed);
        // Only slices that there are are begun.
        let range = this.range(index).unwrap_or(ByteRange { first: 0, last: 0 });
        let len = range.bytes();
        let room = match len <= store.limits.object_bytes_max {
            true => store.budget.take(len),
            false => None,
        };
        let transit = room.is_none();
        let share = room.unwrap_or_else(|| store.budget.nothing());
        let growing = Growing::new(Some(len), share);
        let body = Body::stream(Reader::new(&growing));
        if transit {
            growing.go_into_transit();
        } else {
            state.arriving.insert(index, Arc::clone(&growing));
        }
        let content = Arc::clone(this) as Arc<dyn Collector>;
        let slot = Slot::new(content, (index, range), growing, transit, store);
        (slot, body)
    }

    /// Bytes it keeps alive beside its slices.
    pub(super) fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.about.version.weight_bytes() + self.about.source.weight_bytes()
    }

    fn key_of(&self, index: u64) -> SliceKey {
        SliceKey::new(self.number, index)
    }
}

impl Collector for Slices {
    fn complete_bytes(&self) -> u64 {
        self.about.complete
    }

    fn version(&self) -> &Version {
        &self.about.version
    }

    fn file(&self, index: u64, slice: Whole) {
        let slice = Arc::new(slice);
        // Filed first: who no longer finds it arriving must find it here.
        if let Some(store) = self.store.upgrade() {
            store
                .memory
                .put_slice(self.key_of(index), Arc::clone(&slice));
        }
        let mut state = self.state.lock();
        state.note(index, Arc::downgrade(&slice));
        state.arriving.remove(&index);
    }

    fn give_up(&self, index: u64, growing: &Arc<Growing>) {
        let mut state = self.state.lock();
        let arriving = state.arriving.get(&index);
        if arriving.is_some_and(|other| Arc::ptr_eq(other, growing)) {
            state.arriving.remove(&index);
        }
    }

    fn outdate(&self) {
        self.outdated.store(true, Ordering::Relaxed);
        if let Some(store) = self.store.upgrade() {
            store.forget_if(&self.key, |object| {
                object
                    .slices()
                    .is_some_and(|slices| slices.number == self.number)
            });
        }
    }
}

impl Drop for Slices {
    fn drop(&mut self) {
        let filed = std::mem::take(&mut self.state.get_mut().filed);
        let alive = filed
            .into_iter()
            .filter(|(_, slice)| slice.strong_count() > 0);
        self.graves
            .dig(alive.map(|(index, _)| SliceKey::new(self.number, index)));
    }
}

impl fmt::Debug for Slices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slices")
            .field("number", &self.number)
            .field("complete", &self.about.complete)
            .finish_non_exhaustive()
    }
}

// === impl State ===

impl State {
    /// Notes what was filed, and forgets now and then what has been evicted: an origin that claims
    /// an endless length must not make the notes endless.
    fn note(&mut self, index: u64, slice: Weak<Whole>) {
        if self.filed.len() >= self.notes_max.max(NOTES_MIN) {
            self.filed.retain(|_, slice| slice.strong_count() > 0);
            self.notes_max = self.filed.len() * 2;
        }
        self.filed.insert(index, slice);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use http_body_util::BodyExt;
    use proptest::prelude::*;
    use tokio::task::yield_now;

    use super::super::shelf::Shelf;
    use super::super::{Claim, Found, Head, How, Invalidation, Object, What, Writer};
    use super::*;
    use crate::clock;
    use crate::config;
    use crate::semantics::facet::Facet;
    use crate::semantics::freshness::Term;
    use crate::semantics::key::{KeyBuf, Scheme};
    use crate::semantics::vary::{Selecting, Variant};

    const SLICE: u64 = 7;

    /// Brings slices of a text, or hands their slots to the test.
    #[derive(Clone, Default)]
    struct Text {
        text: Bytes,
        brought: Arc<AtomicU64>,
        held: Option<Arc<Mutex<Vec<Slot>>>>,
    }

    impl Source for Text {
        fn bring(&self, slot: Slot) {
            self.brought.fetch_add(1, Ordering::Relaxed);
            match &self.held {
                Some(held) => held.lock().push(slot),
                None => drop(tokio::spawn(write(self.text.clone(), slot))),
            }
        }

        fn weight_bytes(&self) -> usize {
            0
        }
    }

    async fn write(text: Bytes, mut slot: Slot) {
        let ByteRange { first, last } = slot.range();
        for at in first..=last {
            let at = at as usize;
            slot.push(&text[at..=at]).await.unwrap();
        }
        slot.complete();
    }

    fn store(fill_bytes_max: u64) -> Arc<Store> {
        Store::new(&config::Store {
            memory_bytes: 1 << 20,
            object_bytes_max: 1 << 16,
            fill_bytes_max,
            variants_max: 4,
            followers_max: 4,
            follower_timeout: Duration::from_secs(1),
            hit_for_miss: Duration::ZERO,
            hit_for_miss_max: 1,
            finish_fill: true,
        })
    }

    fn key() -> Key {
        KeyBuf::new(Scheme::Http, "a.test", "/").to_key()
    }

    /// An object of the text, of which slice 0 is to be written.
    fn begin(store: &Arc<Store>, source: &Text) -> (Slot, Arc<Object>, Body) {
        let (headers, facet) = (HeaderMap::new(), Facet::default());
        let selecting = Selecting {
            headers: &headers,
            facet: &facet,
        };
        let Claim::Leader(leader) = store.claim(&key(), &selecting, |_| true) else {
            panic!("nobody else asks");
        };
        let sliced = Sliced {
            complete: source.text.len() as u64,
            slice_bytes: SLICE,
            version: Version::Tag(b"\"a\""[..].into()),
            source: Box::new(source.clone()),
        };
        let head = Head::pack(StatusCode::OK, &headers).unwrap();
        let term = Term::new(clock::now(), Duration::from_secs(60));
        leader.begin_sliced(head, term, Variant::default(), sliced, 0, true)
    }

    fn text(len: usize) -> Text {
        let bytes = (0..len).map(|at| b'a' + (at % 26) as u8);
        Text {
            text: bytes.collect(),
            ..Text::default()
        }
    }

    async fn read(body: Body) -> Result<Bytes, Error> {
        body.collect().await.map(|body| body.to_bytes())
    }

    #[tokio::test]
    async fn slices_stay_and_go_with_their_object() {
        let (store, source) = (store(1 << 20), text(20));
        let (slot, object, body) = begin(&store, &source);
        tokio::spawn(write(source.text.clone(), slot));
        assert_eq!(read(body).await.unwrap(), source.text);
        assert_eq!(read(object.body()).await.unwrap(), source.text);
        assert_eq!(source.brought.load(Ordering::Relaxed), 2);
        assert!(!object.lacks(ByteRange { first: 0, last: 19 }));
        store.tidy();
        let slices = store.memory.bytes();
        store.forget(&key(), &object);
        store.tidy();
        assert!(store.memory.bytes() < slices && store.memory.bytes() > 0);
        drop(object);
        // moka lets go of what it has held when it comes to it.
        let deadline = Instant::now() + Duration::from_secs(10);
        while store.memory.bytes() > 0 {
            assert!(Instant::now() < deadline, "slices without an object stay");
            store.memory.put(Key::from(&b"other"[..]), shelf());
            store.memory.remove(b"other");
            store.tidy();
            yield_now().await;
        }
    }

    /// An object of some other store.
    fn shelf() -> Shelf {
        Shelf::new(begin(&store(1 << 20), &text(1)).1)
    }

    #[tokio::test]
    async fn a_slice_must_have_its_length() {
        for written in [&b"short"[..], b"too long"] {
            let (store, mut source) = (store(1 << 20), text(20));
            source.held = Some(Arc::default());
            let (mut slot, object, body) = begin(&store, &source);
            let reader = tokio::spawn(read(body.slice(0, 6)));
            let _ = slot.push(written).await;
            slot.complete();
            assert!(matches!(reader.await.unwrap(), Err(Error::Truncated)));
            assert!(object.lacks(ByteRange { first: 0, last: 0 }));
            assert_eq!(source.brought.load(Ordering::Relaxed), 0);
        }
    }

    #[tokio::test]
    async fn what_is_missing_of_an_old_version_is_not_asked_for() {
        let (store, source) = (store(1 << 20), text(20));
        let (slot, object, _) = begin(&store, &source);
        slot.outdate();
        assert_eq!(store.memory.get(key().as_ref()).map(|_| ()), None);
        assert!(matches!(read(object.body()).await, Err(Error::Truncated)));
        assert_eq!(source.brought.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_slice_that_comes_after_a_purge_brings_nothing_back() {
        for how in [How::Hard, How::Soft] {
            let (store, source) = (store(1 << 20), text(20));
            let (slot, object, body) = begin(&store, &source);
            let wanted = Invalidation {
                what: What::All,
                how,
            };
            store.invalidate(&wanted, |_| unreachable!(), clock::now());
            tokio::spawn(write(source.text.clone(), slot));
            assert_eq!(
                read(body).await.unwrap(),
                source.text,
                "its client is served"
            );
            let (headers, facet) = (HeaderMap::new(), Facet::default());
            let selecting = Selecting {
                headers: &headers,
                facet: &facet,
            };
            match store.find(key().as_ref(), &selecting, clock::now()) {
                Found::Object(found) => assert!(how == How::Soft && found.term().is_expired()),
                _ => assert_eq!(how, How::Hard),
            }
            assert!(!object.lacks(ByteRange { first: 0, last: 19 }));
        }
    }

    #[tokio::test]
    async fn notes_of_what_was_evicted_do_not_pile_up() {
        let mut state = State::default();
        let alive = Arc::new(Whole::Empty);
        for index in 0..100 * NOTES_MIN as u64 {
            let evicted = Arc::new(Whole::Empty);
            let content = if index % 100 == 0 { &alive } else { &evicted };
            state.note(index, Arc::downgrade(content));
        }
        assert!(state.filed.len() <= 3 * NOTES_MIN, "{}", state.filed.len());
        assert!(state.filed.contains_key(&0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_stretch_is_that_of_the_whole(
            len in 1..60_usize,
            stretches in proptest::collection::vec((0..70_usize, 1..70_usize), 1..6),
            room in prop_oneof![Just(0_u64), Just(SLICE), Just(1 << 20)],
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (store, source) = (store(room), text(len));
                let (slot, object, body) = begin(&store, &source);
                tokio::spawn(write(source.text.clone(), slot));
                let whole = source.text.clone();
                let mut bodies = vec![body];
                bodies.extend((1..stretches.len()).map(|_| object.body()));
                for (body, (first, count)) in bodies.into_iter().zip(stretches) {
                    let stretch = body.slice(first as u64, (first + count - 1) as u64);
                    match whole.get(first..first + count) {
                        Some(expected) => assert_eq!(read(stretch).await.unwrap(), expected),
                        None => assert!(read(stretch).await.is_err()),
                    }
                }
            });
        }
    }
}
