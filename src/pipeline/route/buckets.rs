//! Token buckets of one limit: a table of fixed size, so that no flood of keys makes it grow.
//!
//! How a bucket fills and empties is governor's to know (GCRA): a bucket is but the moment at which
//! it is full again. The table has sets of sixteen places, as the caches of a processor have, and
//! a key belongs to one of them. A new key takes the place of the bucket that lacks least: an unused
//! place, else one that is full again and so says nothing, else the one nearest to that. Under a
//! flood of keys, those that were seen once go before those that have used up what they had.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::quality::RandomState;
use governor::nanos::Nanos;
use governor::state::StateStore;
use parking_lot::Mutex;

/// Places of a set: with half of all places in use, one key in 250 finds its set full.
const WAYS: usize = 16;

/// Whose bucket: an address, or a digest of what else tells clients apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::pipeline) struct Key([u64; 2]);

/// The buckets of all keys. A clone shows the same ones.
#[derive(Clone, Debug)]
pub(in crate::pipeline) struct Buckets {
    sets: Arc<[Mutex<[Bucket; WAYS]>]>,
    /// Seeded, so that nobody outside can aim at a set.
    hasher: RandomState,
}

/// One key's bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    key: Key,
    /// When it is full again, counted from the limiter's start. Zero for a place not yet used.
    full_at: u64,
}

// === impl Key ===

impl From<u128> for Key {
    fn from(bits: u128) -> Self {
        // Both halves, so nothing is cut off.
        Self([(bits >> 64) as u64, bits as u64])
    }
}

// === impl Buckets ===

impl Buckets {
    /// Places for at most `keys_max` keys, and for sixteen at least.
    pub(in crate::pipeline) fn new(keys_max: usize) -> Self {
        let sets = (keys_max / WAYS).max(1);
        Self {
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            hasher: RandomState::default(),
        }
    }

    /// How many buckets are not full at `now`.
    pub(in crate::pipeline) fn in_use(&self, now: Nanos) -> u64 {
        let lacking = |set: &Mutex<[Bucket; WAYS]>| {
            let set = set.lock();
            set.iter().filter(|it| it.full_at > now.as_u64()).count() as u64
        };
        self.sets.iter().map(lacking).sum()
    }

    /// Sets when a key's bucket is full again, by when it was to be; 0 for one that is not known.
    pub(in crate::pipeline) fn update<E>(
        &self,
        key: &Key,
        next: impl Fn(u64) -> Result<u64, E>,
    ) -> Result<(), E> {
        self.measure_and_replace(key, |full_at| {
            let full_at = next(full_at.map_or(0, |it| it.as_u64()))?;
            Ok(((), Nanos::new(full_at)))
        })
    }

    fn set(&self, key: &Key) -> &Mutex<[Bucket; WAYS]> {
        let hash = self.hasher.hash_one(key);
        // The rest of a division by their number is the number of a set.
        &self.sets[(hash % self.sets.len() as u64) as usize]
    }
}

impl StateStore for Buckets {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut set = self.set(key).lock();
        let known = set.iter().position(|it| it.key == *key);
        let full_at = known.map(|place| Nanos::new(set[place].full_at));
        let (outcome, full_at) = measure(full_at)?;
        let place = known.unwrap_or_else(|| least_lacking(&set));
        set[place] = Bucket {
            key: *key,
            full_at: full_at.as_u64(),
        };
        Ok(outcome)
    }
}

/// The place whose bucket is, or will be, full before all others.
fn least_lacking(set: &[Bucket; WAYS]) -> usize {
    let places = set.iter().enumerate();
    places.min_by_key(|(_, it)| it.full_at).map_or(0, |it| it.0)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Sets the bucket of a key to be full again at a moment, and tells when it was to be before.
    fn set(buckets: &Buckets, key: u128, full_at: u64) -> Option<u64> {
        let measured = buckets.measure_and_replace(&key.into(), |before| {
            Ok::<_, Infallible>((before.map(Nanos::as_u64), full_at.into()))
        });
        measured.unwrap()
    }

    #[test]
    fn a_bucket_is_found_again() {
        let buckets = Buckets::new(1024);
        assert_eq!(set(&buckets, 1, 5), None);
        assert_eq!(set(&buckets, 1 << 64, 7), None);
        assert_eq!(set(&buckets, 1, 9), Some(5));
        assert_eq!(set(&buckets, 1 << 64, 0), Some(7));
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let buckets = Buckets::new(16);
        set(&buckets, 1, 5);
        assert_eq!(
            buckets.measure_and_replace(&1.into(), |_| Err::<((), Nanos), _>(())),
            Err(())
        );
        assert_eq!(set(&buckets, 1, 5), Some(5));
    }

    #[test]
    fn the_bucket_that_lacks_least_makes_room() {
        let buckets = Buckets::new(16);
        for key in 1..=16 {
            set(&buckets, key, 100 + u64::try_from(key).unwrap());
        }
        assert_eq!(set(&buckets, 17, 200), None);
        assert_eq!(set(&buckets, 16, 116), Some(116), "lacks most of the old");
        assert_eq!(set(&buckets, 1, 201), None, "has made room");
        assert_eq!(set(&buckets, 17, 200), Some(200));
    }

    #[test]
    fn no_flood_of_keys_makes_it_grow_or_frees_who_has_used_up_most() {
        let buckets = Buckets::new(1024);
        set(&buckets, 0xbad, 1_000_000);
        for key in 0..100_000 {
            set(
                &buckets,
                0x1_0000 + key,
                1_000 + u64::try_from(key).unwrap(),
            );
        }
        assert_eq!(buckets.in_use(Nanos::new(0)), 1024);
        assert_eq!(buckets.in_use(Nanos::new(999_999)), 1);
        assert_eq!(set(&buckets, 0xbad, 0), Some(1_000_000));
    }
}
