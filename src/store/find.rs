//! Lookup of a key: the one reader of shelves, and their edits.
//!
//! Whoever asks gets what invalidations have left: what they are about is taken off its shelf, or
//! filed as stale, when it is looked at.

use std::sync::Arc;
use std::time::SystemTime;

use super::Store;
use super::flight::Shard;
use super::object::Object;
use super::shelf::{Shelf, Weeded};
use super::stamps::Fate;
use crate::semantics::key::Key;
use crate::semantics::vary::Selecting;

/// A lookup's answer.
pub enum Found {
    /// A stored response for this request, fresh or stale.
    Object(Arc<Object>),
    /// The last answer could not be shared: wait for nobody (hit-for-miss).
    Uncacheable,
    /// Nothing for this request.
    Absent {
        /// Whether the key has responses for other requests, by their `Vary`.
        others: bool,
    },
}

// === impl Store: shelves ===

impl Store {
    /// The stored response for a request, if there is one. Waits for nothing.
    pub fn find(&self, key: &[u8], request: &Selecting, now: SystemTime) -> Found {
        let shelf = self.shelf(key);
        self.find_on(shelf.as_ref(), key, request, now)
    }

    pub(super) fn find_on(
        &self,
        shelf: Option<&Shelf>,
        key: &[u8],
        request: &Selecting,
        now: SystemTime,
    ) -> Found {
        match shelf {
            Some(shelf) => match shelf.find(request) {
                Some(object) => Found::Object(Arc::clone(object)),
                None if self.misses.is_marked(key, request, now) => Found::Uncacheable,
                None => Found::Absent { others: true },
            },
            None if self.misses.is_marked(key, request, now) => Found::Uncacheable,
            None => Found::Absent { others: false },
        }
    }

    /// What lies under a key. Its shard is taken only where an invalidation has come since, for the
    /// first look thereafter.
    fn shelf(&self, key: &[u8]) -> Option<Shelf> {
        let shelf = self.memory.get(key)?;
        match shelf.is_younger_than(self.stamps.newest()) {
            true => Some(shelf),
            false => self.shelf_in(&self.flights.shard(key).lock(), key),
        }
    }

    /// The same for who holds the key's shard, and so may edit the shelf.
    pub(super) fn shelf_in(&self, _: &Shard, key: &[u8]) -> Option<Shelf> {
        let newest = self.stamps.newest();
        let shelf = self.memory.get(key)?;
        if shelf.is_younger_than(newest) {
            return Some(shelf);
        }
        match shelf.weeded(newest, |object| self.fate(key, object)) {
            Weeded::Unchanged => Some(shelf),
            Weeded::Changed(left) => {
                self.memory.put_left(&Key::from(key), left.clone());
                left
            }
        }
    }

    /// What has become of an object, if anything.
    pub(super) fn fate(&self, key: &[u8], object: &Object) -> Option<Fate> {
        self.stamps.fate(object.born(), key, Some(object.head()))
    }

    /// Puts `object` on the key's shelf, in place of `replaced` if there is such a one. The caller
    /// holds the key's shard.
    pub(super) fn put(
        &self,
        shard: &Shard,
        key: &Key,
        object: Arc<Object>,
        replaced: Option<&Arc<Object>>,
    ) {
        let (mut shelf, born) = (self.shelf_in(shard, key.as_ref()), object.born());
        if let Some(replaced) = replaced {
            let Some(old) = shelf.filter(|shelf| shelf.holds(replaced)) else {
                return;
            };
            shelf = old.without(replaced);
        }
        self.misses.unmark_variant(key.as_ref(), object.variant());
        let bytes_max = self.limits.shelf_bytes_max;
        let shelf = match shelf {
            Some(shelf) => shelf.with(object, self.limits.variants_max, bytes_max),
            None => Shelf::new(object),
        };
        self.memory.put(key.clone(), shelf);
        // A purge by tag that came in this moment has not found it in the index. By now it is there, so
        // one that comes later does.
        if born < self.stamps.newest() {
            self.shelf_in(shard, key.as_ref());
        }
    }

    /// Takes one object off the key's shelf: it is of no more use.
    pub fn forget(&self, key: &Key, object: &Arc<Object>) {
        self.forget_if(key, |other| Arc::ptr_eq(other, object));
    }

    /// Takes the first object off the key's shelf that is meant.
    pub(super) fn forget_if(&self, key: &Key, is_meant: impl Fn(&Arc<Object>) -> bool) {
        let shard = self.flights.shard(key.as_ref()).lock();
        let Some(shelf) = self.shelf_in(&shard, key.as_ref()) else {
            return;
        };
        if let Some(object) = shelf.objects().iter().find(|object| is_meant(object)) {
            self.memory.put_left(key, shelf.without(object));
        }
    }
}
