//! Work of one configuration: its CAs, its folder, the certificates that there are, and a keeper for
//! each name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

use super::authority::Authority;
use super::challenges::Challenges;
use super::disk::{Disk, Kept};
use crate::config::{self, AcmeName, Pair};
use crate::telemetry::Telemetry;

/// Orders under way at once: a thousand names are asked for one after another.
const ORDERS_AT_ONCE: usize = 2;

/// What certificates are handed to, each with the place that it is from.
pub type Feed = Arc<dyn Fn(Vec<(Arc<str>, Arc<Pair>)>) + Send + Sync>;

/// What all keepers of a configuration share.
pub(super) struct Work {
    pub(super) config: config::Acme,
    pub(super) disk: Disk,
    pub(super) authorities: Vec<Authority>,
    pub(super) orders: Semaphore,
    pub(super) challenges: Challenges,
    pub(super) telemetry: Arc<Telemetry>,
    feed: Feed,
    served: Mutex<BTreeMap<AcmeName, Kept>>,
    /// Rung whenever another certificate is served.
    pub(super) changed: Notify,
    keepers: Mutex<HashMap<AcmeName, AbortHandle>>,
    configured: HashSet<AcmeName>,
    /// Names whose last order failed: nobody waits for them.
    troubled: Mutex<HashSet<AcmeName>>,
}

// === impl Work ===

impl Work {
    pub(super) fn new(
        config: config::Acme,
        disk: Disk,
        authorities: Vec<Authority>,
        challenges: Challenges,
        telemetry: &Arc<Telemetry>,
        feed: Feed,
    ) -> Self {
        Self {
            configured: config.names.iter().cloned().collect(),
            troubled: Mutex::default(),
            config,
            disk,
            authorities,
            orders: Semaphore::new(ORDERS_AT_ONCE),
            challenges,
            telemetry: Arc::clone(telemetry),
            feed,
            served: Mutex::default(),
            changed: Notify::new(),
            keepers: Mutex::default(),
        }
    }

    /// Serves these.
    pub(super) fn serve(&self, kept: impl IntoIterator<Item = (AcmeName, Kept)>) {
        for (name, kept) in kept {
            self.troubled.lock().remove(&name);
            self.served.lock().insert(name, kept);
        }
        self.show();
    }

    /// Serves what there is for a name no more.
    pub(super) fn leave(&self, name: &AcmeName) {
        self.served.lock().remove(name);
        self.troubled.lock().remove(name);
        self.keepers.lock().remove(name);
        self.telemetry.acme.remove(&name.to_string());
        self.show();
    }

    /// In the order of the configuration: who asks for no known name is shown the first.
    fn show(&self) {
        let served = self.served.lock();
        let known = self.config.names.iter().filter_map(|it| served.get(it));
        let others = served
            .iter()
            .filter(|it| !self.is_configured(it.0))
            .map(|it| it.1);
        let place = |it: &Kept| (it.path.display().to_string().into(), Arc::clone(&it.pair));
        (self.feed)(known.chain(others).map(place).collect());
        self.changed.notify_waiters();
    }

    /// An order has failed, and another is not tried at once.
    pub(super) fn note_failure(&self, name: &AcmeName) {
        self.troubled.lock().insert(name.clone());
        self.changed.notify_waiters();
    }

    /// Whether there is a certificate, or there will be none for a while.
    pub(super) fn is_decided(&self, name: &AcmeName) -> bool {
        self.is_served(name) || self.troubled.lock().contains(name)
    }

    fn is_served(&self, name: &AcmeName) -> bool {
        self.served.lock().contains_key(name)
    }

    pub(super) fn is_configured(&self, name: &AcmeName) -> bool {
        self.configured.contains(name)
    }

    /// Has a task keep a name's certificate, unless one does.
    pub(super) fn keep<F>(&self, name: &AcmeName, keeper: impl FnOnce() -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut keepers = self.keepers.lock();
        if !keepers.contains_key(name) {
            let handle = tokio::spawn(keeper()).abort_handle();
            keepers.insert(name.clone(), handle);
        }
    }

    pub(super) fn is_kept(&self, name: &AcmeName) -> bool {
        self.keepers.lock().contains_key(name)
    }

    /// How many names are kept.
    pub(super) fn count(&self) -> usize {
        self.keepers.lock().len()
    }

    /// Ends all keepers. What is served stays until other certificates take its place.
    pub(super) fn stop(&self) {
        for (name, keeper) in self.keepers.lock().drain() {
            keeper.abort();
            self.telemetry.acme.remove(&name.to_string());
        }
    }
}

/// A number from 0 up to 1, by chance.
pub(super) fn part() -> f64 {
    let hasher = foldhash::quality::RandomState::default().build_hasher();
    // Its upper half fits into a float.
    let number = u32::try_from(hasher.finish() >> 32).unwrap_or_default();
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_spread() {
        let parts: Vec<_> = (0..1000).map(|_| part()).collect();
        assert!(parts.iter().all(|it| (0.0..1.0).contains(it)));
        let lower = parts.iter().filter(|it| **it < 0.5).count();
        assert!((350..650).contains(&lower), "{lower}");
    }
}
