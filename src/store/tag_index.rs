//! Index from tags to stored objects: how many a purge by tag is about, and where its memory is to be
//! given back.
//!
//! Nothing that a purge decides hangs on it: that is told by stamps. Objects are weighed with what they
//! cost here on the whole; the real bytes are counted as well.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use slab::Slab;

use super::object::Object;
use super::tags::{ByTag, TagHash, TagHasher};
use crate::semantics::key::Key;

/// Ids of this and above stand for a set of ids, so no object has one.
const SETS: u32 = 1 << 31;

/// So many objects are gone through, and no more, to learn how many have one of several tags.
const UNION_MAX: usize = 10_000;

/// Objects by their tags.
#[derive(Debug, Default)]
pub(super) struct TagIndex {
    hasher: TagHasher,
    /// The one object of a tag, or which of the sets has them.
    tags: HashMap<TagHash, u32, ByTag>,
    sets: Slab<Ids>,
    set_bytes: usize,
    objects: Slots,
}

/// Numbers of objects, each once.
#[derive(Debug)]
pub(super) enum Ids {
    /// In a list that is gone through.
    Few(Vec<u32>),
    Many(Box<Table>),
}

type Table = HashSet<u32, BuildHasherDefault<IdHasher>>;

/// The longest list.
const FEW: usize = 16;
/// By so many a list grows: most tags have few objects, and room is all they cost.
const STEP: usize = 4;

/// The objects of a tag, taken out of the index.
#[derive(Debug)]
pub(super) enum Tagged {
    One(u32),
    Some(Ids),
}

/// Objects by number. In chunks, so that none is copied when there are more.
#[derive(Debug, Default)]
struct Slots {
    chunks: Vec<Vec<Slot>>,
    free: Option<u32>,
    len: u32,
}

#[derive(Debug)]
enum Slot {
    Free {
        next: Option<u32>,
    },
    Taken {
        key: Key,
        /// In how many shelves it stands: for a moment also in the one that takes another's place.
        shelves: u32,
    },
}

const CHUNK: usize = 1024;

/// Ids are small numbers in order; they are spread over the upper bits as well.
#[derive(Default)]
pub(super) struct IdHasher(u64);

// === impl TagIndex ===

impl TagIndex {
    pub(super) fn new(hasher: &TagHasher) -> Self {
        Self {
            hasher: hasher.clone(),
            ..Self::default()
        }
    }

    /// An object is put on a shelf.
    pub(super) fn come(&mut self, key: &Key, object: &Object) {
        if object.head().tags() == 0 {
            return;
        }
        if let Some(id) = object.listed() {
            self.objects.hold(id);
            return;
        }
        // Where there are two thousand million, the rest goes without.
        let Some(id) = self.objects.insert(key.clone()) else {
            return;
        };
        object.list(Some(id));
        let hasher = self.hasher.clone();
        object.head().each_tag(|tag| self.add(hasher.hash(tag), id));
    }

    /// A shelf with it is no more.
    pub(super) fn go(&mut self, object: &Object) {
        let Some(id) = object.listed() else { return };
        if self.objects.release(id) {
            object.list(None);
            let hasher = self.hasher.clone();
            object
                .head()
                .each_tag(|tag| self.remove(hasher.hash(tag), id));
        }
    }

    /// How many objects have one of the tags, unless that takes too long to find out.
    pub(super) fn count(&self, tags: &[TagHash]) -> Option<u64> {
        let mut sets: Vec<_> = tags.iter().filter_map(|tag| self.look(*tag)).collect();
        sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
        let Some((largest, others)) = sets.split_first() else {
            return Some(0);
        };
        let many: usize = others.iter().map(View::len).sum();
        if many > UNION_MAX {
            return None;
        }
        let mut more = Table::default();
        for other in others {
            other.each(|id| {
                if !largest.has(id) {
                    more.insert(id);
                }
            });
        }
        Some((largest.len() + more.len()) as u64)
    }

    /// Takes the objects of a tag out: they are about to go, and none of them counts any more.
    pub(super) fn take(&mut self, tag: TagHash) -> Option<Tagged> {
        let id = self.tags.remove(&tag)?;
        if id < SETS {
            return Some(Tagged::One(id));
        }
        let set = self.sets.try_remove((id - SETS) as usize)?;
        self.set_bytes -= set.bytes();
        Some(Tagged::Some(set))
    }

    /// The objects of a tag at this moment.
    pub(super) fn ids(&self, tag: TagHash) -> Vec<u32> {
        let mut ids = Vec::new();
        if let Some(set) = self.look(tag) {
            set.each(|id| ids.push(id));
        }
        ids
    }

    /// Where an object lies; another's key, or none, where that has gone meanwhile.
    pub(super) fn key(&self, id: u32) -> Option<Key> {
        match self.objects.get(id)? {
            Slot::Taken { key, .. } => Some(key.clone()),
            Slot::Free { .. } => None,
        }
    }

    /// How many tags are known.
    pub(super) fn tags(&self) -> usize {
        self.tags.len()
    }

    /// Bytes of heap that it takes.
    pub(super) fn bytes(&self) -> usize {
        // A table is full at seven eighths, and has a byte more for each place.
        let tags = self.tags.capacity() * 8 / 7 * (size_of::<(TagHash, u32)>() + 1);
        let sets = self.sets.capacity() * size_of::<(usize, Ids)>() + self.set_bytes;
        tags + sets + self.objects.chunks.len() * CHUNK * size_of::<Slot>()
    }

    fn add(&mut self, tag: TagHash, id: u32) {
        let place = self.tags.entry(tag).or_insert(id);
        if *place == id {
            return;
        }
        if *place < SETS {
            let both = Ids::of(*place, id);
            self.set_bytes += both.bytes();
            // There are fewer sets than objects.
            *place = SETS + self.sets.insert(both) as u32;
            return;
        }
        if let Some(set) = self.sets.get_mut((*place - SETS) as usize) {
            let before = set.bytes();
            set.insert(id);
            self.set_bytes += set.bytes() - before;
        }
    }

    fn remove(&mut self, tag: TagHash, id: u32) {
        let Some(place) = self.tags.get(&tag).copied() else {
            return;
        };
        if place < SETS {
            if place == id {
                self.tags.remove(&tag);
            }
            return;
        }
        let Some(set) = self.sets.get_mut((place - SETS) as usize) else {
            return;
        };
        let before = set.bytes();
        set.remove(id);
        self.set_bytes -= before - set.bytes();
        if set.len() == 0 {
            self.take(tag);
        }
    }

    fn look(&self, tag: TagHash) -> Option<View<'_>> {
        let id = *self.tags.get(&tag)?;
        match id < SETS {
            true => Some(View::One(id)),
            false => self.sets.get((id - SETS) as usize).map(View::Many),
        }
    }
}

// === impl Ids ===

impl Ids {
    fn of(one: u32, other: u32) -> Self {
        let mut list = Vec::with_capacity(STEP);
        list.extend([one, other]);
        Self::Few(list)
    }

    fn len(&self) -> usize {
        match self {
            Self::Few(list) => list.len(),
            Self::Many(table) => table.len(),
        }
    }

    fn has(&self, id: u32) -> bool {
        match self {
            Self::Few(list) => list.contains(&id),
            Self::Many(table) => table.contains(&id),
        }
    }

    fn insert(&mut self, id: u32) {
        match self {
            Self::Many(table) => {
                table.insert(id);
            }
            Self::Few(list) if list.contains(&id) => {}
            Self::Few(list) if list.len() == FEW => {
                let all = list.iter().copied().chain([id]);
                *self = Self::Many(Box::new(all.collect()));
            }
            Self::Few(list) => {
                if list.len() == list.capacity() {
                    list.reserve_exact(STEP);
                }
                list.push(id);
            }
        }
    }

    fn remove(&mut self, id: u32) {
        match self {
            Self::Few(list) => {
                if let Some(at) = list.iter().position(|it| *it == id) {
                    list.swap_remove(at);
                }
            }
            Self::Many(table) => {
                table.remove(&id);
                if table.len() * 8 < table.capacity() {
                    table.shrink_to(table.len() * 2);
                }
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Few(list) => list.capacity() * size_of::<u32>(),
            Self::Many(table) => {
                size_of::<Table>() + table.capacity() * 8 / 7 * (size_of::<u32>() + 1)
            }
        }
    }

    fn into_list(self) -> Vec<u32> {
        match self {
            Self::Few(list) => list,
            Self::Many(table) => table.into_iter().collect(),
        }
    }
}

/// The objects of a tag, where they are.
enum View<'a> {
    One(u32),
    Many(&'a Ids),
}

// === impl View ===

impl View<'_> {
    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(set) => set.len(),
        }
    }

    fn has(&self, id: u32) -> bool {
        match self {
            Self::One(one) => *one == id,
            Self::Many(set) => set.has(id),
        }
    }

    fn each(&self, take: impl FnMut(u32)) {
        match self {
            Self::One(id) => std::iter::once(*id).for_each(take),
            Self::Many(Ids::Few(list)) => list.iter().copied().for_each(take),
            Self::Many(Ids::Many(table)) => table.iter().copied().for_each(take),
        }
    }
}

// === impl Tagged ===

impl Tagged {
    pub(super) fn into_ids(self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![id],
            Self::Some(ids) => ids.into_list(),
        }
    }
}

// === impl Slots ===

impl Slots {
    fn get(&self, id: u32) -> Option<&Slot> {
        self.chunks
            .get(id as usize / CHUNK)?
            .get(id as usize % CHUNK)
    }

    fn get_mut(&mut self, id: u32) -> Option<&mut Slot> {
        self.chunks
            .get_mut(id as usize / CHUNK)?
            .get_mut(id as usize % CHUNK)
    }

    fn insert(&mut self, key: Key) -> Option<u32> {
        let slot = Slot::Taken { key, shelves: 1 };
        if let Some(id) = self.free
            && let Some(place) = self.get_mut(id)
        {
            let next = match place {
                Slot::Free { next } => *next,
                Slot::Taken { .. } => None,
            };
            *place = slot;
            self.free = next;
            return Some(id);
        }
        let id = self.len;
        if id >= SETS {
            return None;
        }
        if id as usize / CHUNK == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks.last_mut()?.push(slot);
        self.len += 1;
        Some(id)
    }

    fn hold(&mut self, id: u32) {
        if let Some(Slot::Taken { shelves, .. }) = self.get_mut(id) {
            *shelves += 1;
        }
    }

    /// Whether no shelf has it any more.
    fn release(&mut self, id: u32) -> bool {
        let next = self.free;
        match self.get_mut(id) {
            Some(Slot::Taken { shelves, .. }) if *shelves > 1 => {
                *shelves -= 1;
                false
            }
            Some(slot @ Slot::Taken { .. }) => {
                *slot = Slot::Free { next };
                self.free = Some(id);
                true
            }
            Some(Slot::Free { .. }) | None => false,
        }
    }
}

// === impl IdHasher ===

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        // The golden ratio, as Fibonacci hashing has it; folded, as tables look at both ends.
        let spread = (self.0 ^ u64::from(id)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = spread ^ (spread >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::super::born::Born;
    use super::super::content::Content;
    use super::super::head::Head;
    use super::super::object::{TAG_BYTES, TAGGED_BYTES};
    use super::super::whole::Whole;
    use super::*;
    use crate::semantics::freshness::Term;
    use crate::semantics::key::{KeyBuf, Scheme};
    use crate::semantics::tags::TagRule;
    use crate::semantics::vary::Variant;

    fn object(tags: &str) -> Arc<Object> {
        let value = HeaderValue::from_str(tags).unwrap();
        let fields = HeaderMap::from_iter([(HeaderName::from_static("xkey"), value)]);
        let head = Head::tagged(StatusCode::OK, &fields, &TagRule::default()).unwrap();
        let term = Term::new(SystemTime::UNIX_EPOCH, Duration::from_secs(60));
        let content = Content::Whole(Whole::Empty);
        Arc::new(Object::new(
            head,
            term,
            Variant::default(),
            content,
            Born::FIRST,
        ))
    }

    fn key(number: usize) -> Key {
        KeyBuf::new(Scheme::Http, "a.test", &format!("/{number}")).to_key()
    }

    fn count(index: &TagIndex, tags: &[&str]) -> Option<u64> {
        let hash = |tag: &&str| index.hasher.hash(tag.as_bytes());
        index.count(&tags.iter().map(hash).collect::<Vec<_>>())
    }

    #[test]
    fn objects_are_counted_by_their_tags() {
        let mut index = TagIndex::default();
        let objects: Vec<_> = ["a", "a b", "a b c", "c", ""].map(object).into();
        for (number, object) in objects.iter().enumerate() {
            index.come(&key(number), object);
        }
        let rows: [(&[&str], u64); 6] = [
            (&["a"], 3),
            (&["b"], 2),
            (&["d"], 0),
            (&["a", "c"], 4),
            (&["c", "b", "d"], 3),
            (&[], 0),
        ];
        for (tags, expected) in rows {
            assert_eq!(count(&index, tags), Some(expected), "{tags:?}");
        }
        // Put again beside another, and the shelf before it is gone.
        index.come(&key(1), &objects[1]);
        index.go(&objects[1]);
        assert_eq!(count(&index, &["b"]), Some(2));
        objects.iter().for_each(|object| index.go(object));
        assert_eq!(
            (count(&index, &["a", "b", "c"]), index.tags()),
            (Some(0), 0)
        );
    }

    #[test]
    fn what_is_taken_counts_no_more_and_tells_where_it_lies() {
        let mut index = TagIndex::default();
        let objects = ["a b", "a", "b"].map(object);
        for (number, object) in objects.iter().enumerate() {
            index.come(&key(number), object);
        }
        let hash = index.hasher.hash(b"a");
        let taken = index.take(hash).unwrap().into_ids();
        let mut keys: Vec<_> = taken.iter().filter_map(|id| index.key(*id)).collect();
        keys.sort_by_key(|key| key.display().to_string());
        assert_eq!(keys, [key(0), key(1)]);
        assert_eq!(
            (count(&index, &["a"]), count(&index, &["b"])),
            (Some(0), Some(2))
        );
        objects.iter().for_each(|object| index.go(object));
        assert_eq!((index.tags(), index.set_bytes), (0, 0));
    }

    #[test]
    fn too_many_objects_of_several_tags_are_not_gone_through() {
        let mut index = TagIndex::default();
        let objects: Vec<_> = (0..2 * UNION_MAX + 2)
            .map(|number| object(if number % 2 == 0 { "a" } else { "b" }))
            .collect();
        for (number, object) in objects.iter().enumerate() {
            index.come(&key(number), object);
        }
        assert_eq!(count(&index, &["a"]), Some(UNION_MAX as u64 + 1));
        assert_eq!(count(&index, &["a", "b"]), None);
    }

    /// One that all have, some that many or few have, and one of its own.
    #[test]
    fn an_object_of_five_tags_costs_96_bytes_on_the_whole() {
        let mut index = TagIndex::default();
        let mut most = 0;
        let mut objects = Vec::new();
        for number in 0..120_000 {
            let (site, kind, list) = (number % 100, number % 1000, number % 10_000);
            let object = object(&format!("all s{site} k{kind} l{list} p{number}"));
            index.come(&key(number), &object);
            objects.push(object);
            if number >= 40_000 && number % 1000 == 0 {
                most = most.max(index.bytes() / (number + 1));
            }
        }
        // The most is when a table has just been doubled.
        let (last, weighed) = (index.bytes() / objects.len(), TAGGED_BYTES + 5 * TAG_BYTES);
        assert!(
            last <= 96 && weighed <= 96 && most <= 104,
            "{last}, {weighed}, {most}"
        );
    }
}
