//! Inspection of a key, for an explanation: nothing is served or claimed.
//!
//! One thing a look does: moka has no way to read an entry that is not a use of it, so to look at
//! a page defers its eviction as a request would. Its hits are not counted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::flight::{Met, meet};
use super::object::Object;
use super::{Found, Store};
use crate::semantics::freshness::Freshness;
use crate::semantics::key::Key;
use crate::semantics::vary::Selecting;

/// What lay under a key at one moment.
pub struct Inspection {
    /// That moment, by which ages are told.
    pub at: SystemTime,
    /// The stored responses, newest first, and after them those whose bodies still arrive.
    pub objects: Vec<Arc<Object>>,
    /// Which of them is the request's, fresh or stale.
    pub chosen: Option<usize>,
    /// How much longer the key is marked as one whose answers cannot be shared.
    pub hit_for_miss: Option<Duration>,
    /// What is being fetched.
    pub fetches: Fetches,
    /// Whom the request would meet, were it to ask the origin together with others.
    pub company: Company,
}

/// Whom a request meets that is not answered by what is stored.
#[derive(Clone)]
pub enum Company {
    /// Nobody asks for the same.
    Nobody,
    /// Another request does, and has no answer yet.
    Pending,
    /// Another request has brought this, complete or still filling.
    Object(Arc<Object>),
}

/// Requests to the origin that are in progress for one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetches {
    /// All of them, those whose bodies still arrive included.
    pub count: usize,
    /// Those whose answer others may share.
    pub open: usize,
    /// Requests that wait for the head of an answer.
    pub waiting: usize,
}

// === impl Store ===

impl Store {
    /// What a lookup for `request` would find under `key`, and all that lies there.
    pub fn inspect(&self, key: &Key, request: &Selecting, now: SystemTime) -> (Found, Inspection) {
        let shard = self.flights.shard(key.as_ref()).lock();
        let shelf = self.shelf_in(&shard, key.as_ref());
        let found = self.find_on(shelf.as_ref(), key.as_ref(), request, now);
        let stored = shelf.iter().flat_map(|shelf| shelf.objects());
        let mut objects: Vec<_> = stored.cloned().collect();
        let chosen = match &found {
            Found::Object(object) => objects.iter().position(|it| Arc::ptr_eq(it, object)),
            Found::Uncacheable | Found::Absent { .. } => None,
        };
        let mut fetches = Fetches::default();
        for flight in self.aloft(&shard, key) {
            fetches.count += 1;
            fetches.open += usize::from(flight.is_open());
            fetches.waiting += flight.followers();
            objects.extend(flight.object().filter(|object| !object.is_gone()));
        }
        let is_fresh =
            |object: &Object| matches!(object.term().freshness(now), Freshness::Fresh { .. });
        let company = match meet(self.aloft(&shard, key), shelf.as_ref(), request, is_fresh) {
            Met::Object(object) => Company::Object(object),
            Met::Pending(_) => Company::Pending,
            Met::Nobody(_) => Company::Nobody,
        };
        let inspection = Inspection {
            at: now,
            objects,
            chosen,
            hit_for_miss: self.misses.left(key.as_ref(), request, now),
            fetches,
            company,
        };
        (found, inspection)
    }
}
