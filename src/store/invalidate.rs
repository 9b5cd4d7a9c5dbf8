//! Purging: by key or URL, hard or soft, and all at once.
//!
//! A purge also dooms what is being fetched at that moment: those clients get their answer, but
//! it does not become a hit, for it may have been made before the change that the purge is about.

use std::time::SystemTime;

use http::Uri;

use super::Store;
use super::flight::Flights;
use crate::clock;
use crate::semantics::key::{Key, KeyBuf, Scheme, normal_authority};

/// What becomes of the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// They are gone.
    Hard,
    /// They are stale from now on: the next request revalidates them.
    Soft,
}

/// Not an absolute http or https URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an absolute http or https URL")]
pub struct BadUrl;

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

    /// Purges what is stored of an absolute URL, under either scheme: who purges a page means the
    /// page, not the way to it.
    ///
    /// # Errors
    /// [`BadUrl`] when `url` is not an absolute http or https URL.
    pub fn purge_url(&self, url: &str, how: Purge) -> Result<u64, BadUrl> {
        let uri: Uri = url.parse().map_err(|_| BadUrl)?;
        let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(BadUrl);
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        self.purge_page(authority.as_str(), target, how)
            .ok_or(BadUrl)
    }

    /// The same for a host and a target; `None` when the host is no valid one.
    pub fn purge_page(&self, host: &str, target: &str, how: Purge) -> Option<u64> {
        let now = clock::now();
        let mut count = 0;
        for scheme in [Scheme::Http, Scheme::Https] {
            let authority = normal_authority(host, scheme)?;
            count += self.purge(&KeyBuf::new(scheme, &authority, target).to_key(), how, now);
        }
        Some(count)
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
