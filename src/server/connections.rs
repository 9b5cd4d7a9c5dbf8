//! Limits of open connections, in all and for each client, and the wait until none is left.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::per_client::{ClientLimit, Counted};

/// The connections of all listeners.
pub(super) struct Connections {
    permits: Arc<Semaphore>,
    /// How many permits there are, or will be once those that are too many have ended.
    max: Mutex<u32>,
    per_client: ClientLimit,
    open: Arc<AtomicU64>,
    lingering: Arc<AtomicU64>,
}

/// A connection that lingers, for as long as this lives.
pub(super) struct Lingering(Arc<AtomicU64>);

/// A connection that is counted as long as this lives.
pub(super) struct Open {
    open: Arc<AtomicU64>,
    _counted: Counted,
    _permit: OwnedSemaphorePermit,
}

// === impl Connections ===

impl Connections {
    pub(super) fn new(max: usize) -> Self {
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        Self {
            permits: Arc::new(Semaphore::new(max as usize)),
            max: Mutex::new(max),
            per_client: ClientLimit::default(),
            open: Arc::default(),
            lingering: Arc::default(),
        }
    }

    /// Changes how many there may be at once. Of those that are too many none is closed; until they
    /// have ended none is accepted.
    pub(super) fn limit(&self, max: usize) {
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        let before = std::mem::replace(&mut *self.max.lock(), max);
        self.permits
            .add_permits(max.saturating_sub(before) as usize);
        let too_many = before.saturating_sub(max);
        if too_many > 0 {
            // The semaphore is fair: who asks behind this waits until it has had them all.
            let permits = Arc::clone(&self.permits);
            tokio::spawn(async move {
                if let Ok(gone) = permits.acquire_many_owned(too_many).await {
                    gone.forget();
                }
            });
        }
    }

    /// Leave for one more connection, as soon as there is room for it. Always some, for the
    /// semaphore is never closed.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// The same, if there is room at once.
    pub(super) fn permit_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// Counts a connection of the client at `address`, unless it has `each_max` already.
    pub(super) fn open(
        &self,
        permit: OwnedSemaphorePermit,
        address: IpAddr,
        each_max: usize,
    ) -> Option<Open> {
        let counted = self.per_client.count(address, each_max)?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Open {
            open: Arc::clone(&self.open),
            _counted: counted,
            _permit: permit,
        })
    }

    /// Leave to linger, which is had by a quarter of all: the others are for those who still want
    /// something.
    pub(super) fn linger(&self) -> Option<Lingering> {
        let max = u64::from(self.max() / 4).max(1);
        if self.lingering.fetch_add(1, Ordering::Relaxed) < max {
            return Some(Lingering(Arc::clone(&self.lingering)));
        }
        self.lingering.fetch_sub(1, Ordering::Relaxed);
        None
    }

    /// How many linger at this moment, of those that are open.
    pub(super) fn lingering(&self) -> u64 {
        self.lingering.load(Ordering::Relaxed)
    }

    /// How many there may be.
    pub(super) fn max(&self) -> u32 {
        *self.max.lock()
    }

    /// How many are open at this moment.
    pub(super) fn count(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Waits until all have ended, at most this long; tells whether they have.
    pub(super) async fn ended(&self, at_most: Duration) -> bool {
        let max = self.max();
        timeout(at_most, self.permits.acquire_many(max))
            .await
            .is_ok()
    }
}

// === impl Lingering ===

impl Drop for Lingering {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Open ===

impl Drop for Open {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn the_limit_follows_however_often_it_is_changed() {
        let connections = Connections::new(3);
        let mut held = vec![connections.permit().await, connections.permit().await];
        connections.limit(1);
        yield_now().await;
        assert!(
            connections.permit_now().is_none(),
            "two are open, one may be"
        );
        held.pop();
        yield_now().await;
        assert!(
            connections.permit_now().is_none(),
            "one is open, one may be"
        );
        connections.limit(2);
        yield_now().await;
        held.push(connections.permit().await);
        assert!(connections.permit_now().is_none());
        assert!(!connections.ended(Duration::ZERO).await);
        held.clear();
        assert!(connections.ended(Duration::ZERO).await);
    }
}
