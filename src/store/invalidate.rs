//! Purging: by key, hard or soft, and all at once.
//!
//! A purge also dooms what is being fetched at that moment: those clients get their answer, but
//! it does not become a hit, for it may have been made before the change that the purge is about.

use std::time::SystemTime;

use super::Store;
use super::flight::Flights;
use crate::clock;
use crate::semantics::key::Key;

/// What becomes of the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// They are gone.
    Hard,
    /// They are stale from now on: the next request revalidates them.
    Soft,
}

impl Store {
    /// Purges all variants under `key`; tells how many objects that were.
    pub fn purge(&self, key: &Key, how: Purge, now: SystemTime) -> u64 {
        let mut shard = self.flights.shard(key).lock();
        Flights::doom(&mut shard, key);
        self.misses.unmark(key.as_ref());
        match how {
            Purge::Hard => self.memory.remove(key.as_ref()),
            Purge::Soft => self.expire(key, now),
        }
    }

    /// Purges everything; tells how many objects that were.
    pub fn purge_all(&self, how: Purge) -> u64 {
        self.flights.doom_all();
        self.misses.clear();
        match how {
            Purge::Hard => {
                let count = self.memory.objects();
                self.memory.clear();
                self.memory.tidy();
                count
            }
            Purge::Soft => {
                let now = clock::now();
                self.memory
                    .keys()
                    .iter()
                    .map(|key| self.purge(key, how, now))
                    .sum()
            }
        }
    }

    fn expire(&self, key: &Key, now: SystemTime) -> u64 {
        let Some(shelf) = self.memory.get(key.as_ref()) else {
            return 0;
        };
        let stale = shelf.expired(now);
        let count = stale.objects().len() as u64;
        self.memory.put(key.clone(), stale);
        count
    }
}
