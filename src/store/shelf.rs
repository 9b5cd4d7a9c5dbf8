//! Shelf: the variants of one key, which are stored responses that their `Vary` tells apart.
//!
//! A shelf never changes; putting an object on it makes a new shelf. The newest stands first,
//! because RFC 9111 §4.1 wants the most recent of several that match. It does not store itself.

use std::sync::Arc;
use std::time::SystemTime;

use super::born::Born;
use super::object::Object;
use super::stamps::Fate;
use crate::semantics::vary::{Selecting, Variant};

/// One or more objects, newest first.
#[derive(Clone, Debug)]
pub(super) enum Shelf {
    One(Arc<Object>),
    Many(Arc<[Arc<Object>]>),
}

/// What invalidations have left of a shelf.
pub(super) enum Weeded {
    /// They were not about it.
    Unchanged,
    /// Other objects, or none.
    Changed(Option<Shelf>),
}

// === impl Shelf ===

impl Shelf {
    /// A shelf with this object alone.
    pub(super) fn new(object: Arc<Object>) -> Self {
        Self::One(object)
    }

    /// The objects, newest first.
    pub(super) fn objects(&self) -> &[Arc<Object>] {
        match self {
            Self::One(object) => std::slice::from_ref(object),
            Self::Many(objects) => objects,
        }
    }

    /// The newest object whose variant is this request's.
    pub(super) fn find(&self, request: &Selecting) -> Option<&Arc<Object>> {
        self.objects()
            .iter()
            .find(|object| object.variant().matches(request))
    }

    /// A shelf with `object` first, without those that it replaces, of at most `max` objects and
    /// `bytes_max` bytes.
    ///
    /// An object without `Vary` answers every request of its facet, so it replaces all those.
    /// Answers to questions with content, and to paths that are spelt otherwise, are bounded by
    /// themselves: anybody can ask many, and no page makes way for them.
    pub(super) fn with(&self, object: Arc<Object>, max: usize, bytes_max: u64) -> Self {
        let new = object.variant().clone();
        let mut bytes = object.weight_bytes() as u64;
        let others = self.objects().iter().filter(|old| !replaces(&new, old));
        let (alike, unlike): (Vec<_>, Vec<_>) =
            others.partition(|old| old.variant().is_free() == new.is_free());
        let kept = alike.into_iter().take(max.saturating_sub(1));
        let kept = kept.take_while(|old| {
            bytes += old.weight_bytes() as u64;
            bytes <= bytes_max
        });
        let all = std::iter::once(&object).chain(kept).chain(unlike);
        Self::from_objects(all.cloned().collect())
    }

    /// Whether this very object stands here.
    pub(super) fn holds(&self, object: &Arc<Object>) -> bool {
        self.objects()
            .iter()
            .any(|other| Arc::ptr_eq(other, object))
    }

    /// The shelf without this very object; `None` when nothing is left.
    pub(super) fn without(&self, gone: &Arc<Object>) -> Option<Self> {
        let left: Vec<_> = self
            .objects()
            .iter()
            .filter(|object| !Arc::ptr_eq(object, gone))
            .cloned()
            .collect();
        (!left.is_empty()).then(|| Self::from_objects(left))
    }

    /// The shelf without what `object` would replace; `None` when nothing is left.
    pub(super) fn without_replaced_by(&self, object: &Object) -> Option<Self> {
        let others = self.objects().iter();
        let left: Vec<_> = others
            .filter(|old| !replaces(object.variant(), old))
            .cloned()
            .collect();
        (!left.is_empty()).then(|| Self::from_objects(left))
    }

    /// The same objects, all stale from `now` on.
    pub(super) fn expired(&self, now: SystemTime) -> Self {
        let stale = self
            .objects()
            .iter()
            .map(|object| Arc::new(object.expired(now, object.born())));
        Self::from_objects(stale.collect())
    }

    /// Whether no object here is older than the invalidation `newest`.
    pub(super) fn is_younger_than(&self, newest: Born) -> bool {
        self.objects().iter().all(|object| object.born() >= newest)
    }

    /// The shelf without what is gone by its `fate`, and with what is stale as such. What is left
    /// has outlived all invalidations up to `newest`.
    pub(super) fn weeded(&self, newest: Born, fate: impl Fn(&Object) -> Option<Fate>) -> Weeded {
        let mut left = Vec::with_capacity(self.objects().len());
        let mut changed = false;
        for object in self.objects() {
            match fate(object) {
                Some(Fate::Gone) => changed = true,
                Some(Fate::Stale { since }) if !object.term().is_expired() => {
                    changed = true;
                    left.push(Arc::new(object.expired(since, newest)));
                }
                Some(Fate::Stale { .. }) | None => {
                    object.outlive(newest);
                    left.push(Arc::clone(object));
                }
            }
        }
        match changed {
            true => Weeded::Changed((!left.is_empty()).then(|| Self::from_objects(left))),
            false => Weeded::Unchanged,
        }
    }

    pub(super) fn weight_bytes(&self) -> usize {
        self.objects()
            .iter()
            .map(|object| object.weight_bytes())
            .sum()
    }

    fn from_objects(mut objects: Vec<Arc<Object>>) -> Self {
        if objects.len() == 1
            && let Some(only) = objects.pop()
        {
            return Self::One(only);
        }
        Self::Many(objects.into())
    }
}

/// Whether an object of the variant `new` answers all requests that `old` answers.
fn replaces(new: &Variant, old: &Object) -> bool {
    match new.names() {
        [] => old.variant().has_facet_of(new),
        _ => old.variant() == new,
    }
}
