//! Permit for one more open connection to a server.
//!
//! Not what goes over it, nor how many requests a server gets: that is in `server/gate.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::bell::Bell;

/// How often who waits looks whether there are descriptors again.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// As many connections as the process has file descriptors for, whosever they are.
#[derive(Debug)]
pub(super) struct Ceiling {
    max: AtomicUsize,
    open: Arc<AtomicUsize>,
}

/// All connections that a server may have.
#[derive(Debug)]
pub(super) struct Permits {
    free: Arc<Semaphore>,
    /// Rung when one has become free.
    freed: Arc<Bell>,
    /// How many are open, those of the pools before this one included.
    open: Arc<AtomicUsize>,
    ceiling: Arc<Ceiling>,
}

/// One connection's leave to be open, for as long as this lives.
#[derive(Debug)]
pub(super) struct Permit {
    // Fields are dropped in their order: what is told has happened.
    _held: OwnedSemaphorePermit,
    _counted: [Counted; 2],
    told: Told,
}

#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

#[derive(Debug)]
struct Told(Arc<Bell>);

// === impl Ceiling ===

impl Ceiling {
    /// Changes how many there may be. Of those that are too many none is closed.
    pub(super) fn limit(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Whether as many are open as may be.
    pub(super) fn is_reached(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.max.load(Ordering::Relaxed)
    }

    fn enter(&self) -> Option<Counted> {
        let counted = Counted::new(&self.open);
        // This one is counted already.
        let is_within = self.open.load(Ordering::Relaxed) <= self.max.load(Ordering::Relaxed);
        is_within.then_some(counted)
    }
}

impl Default for Ceiling {
    fn default() -> Self {
        Self {
            max: AtomicUsize::new(usize::MAX),
            open: Arc::default(),
        }
    }
}

// === impl Permits ===

impl Permits {
    /// Leave for so many, which `open` counts, below the ceiling of all.
    pub(super) fn new(
        connections_max: usize,
        open: &Arc<AtomicUsize>,
        ceiling: &Arc<Ceiling>,
    ) -> Self {
        Self {
            free: Arc::new(Semaphore::new(connections_max)),
            freed: Arc::default(),
            open: Arc::clone(open),
            ceiling: Arc::clone(ceiling),
        }
    }

    /// Whether there is no leave for want of file descriptors, whatever this server may have.
    pub(super) fn is_out_of_descriptors(&self) -> bool {
        self.ceiling.is_reached()
    }

    /// Waits until it is worth looking for leave again: until somebody `rings`, or for a moment where
    /// another server's connections have to make room, for which nobody rings here.
    pub(super) async fn may_be_had(&self, rings: impl Future<Output = ()>) {
        match self.is_out_of_descriptors() {
            true => drop(timeout(LOOK_EVERY, rings).await),
            false => rings.await,
        }
    }

    /// Leave to open a connection, if one more may be open.
    pub(super) fn take(&self) -> Option<Permit> {
        let held = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Permit {
            _held: held,
            _counted: [Counted::new(&self.open), self.ceiling.enter()?],
            told: Told(Arc::clone(&self.freed)),
        })
    }

    /// Rung when a connection has been closed, and by whoever gives one back, or a part of it.
    pub(super) fn freed(&self) -> &Bell {
        &self.freed
    }
}

// === impl Permit ===

impl Permit {
    /// What is rung when it is free again: also for those who give back a part of its connection.
    pub(super) fn freed(&self) -> Arc<Bell> {
        Arc::clone(&self.told.0)
    }
}

// === impl Counted ===

impl Counted {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Told ===

impl Drop for Told {
    fn drop(&mut self) {
        self.0.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_told_when_a_permit_is_free() {
        let permits = Permits::new(1, &Arc::default(), &Arc::default());
        let permit = permits.take().unwrap();
        assert!(permits.take().is_none());
        let listener = permits.freed().listen(1).unwrap();
        drop(permit);
        listener.heard().await;
        assert!(permits.take().is_some());
    }

    #[test]
    fn one_ceiling_holds_for_all() {
        let ceiling = Arc::new(Ceiling::default());
        let [one, other] = [2, 2].map(|max| Permits::new(max, &Arc::default(), &ceiling));
        let held = one.take().unwrap();
        ceiling.limit(1);
        assert!(one.take().is_none() && other.take().is_none());
        assert!(other.is_out_of_descriptors());
        drop(held);
        assert!(!other.is_out_of_descriptors());
        assert!(other.take().is_some());
    }
}
