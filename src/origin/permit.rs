//! Permit for one more open connection to a server.
//!
//! Not what goes over it, nor how many requests a server gets: that is in `server/gate.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bell::Bell;

/// All connections that a server may have.
#[derive(Debug)]
pub(super) struct Permits {
    free: Arc<Semaphore>,
    /// Rung when one has become free.
    freed: Arc<Bell>,
    /// How many are open, those of the pools before this one included.
    open: Arc<AtomicUsize>,
}

/// One connection's leave to be open, for as long as this lives.
#[derive(Debug)]
pub(super) struct Permit {
    // Fields are dropped in their order: what is told has happened.
    _held: OwnedSemaphorePermit,
    _counted: Counted,
    told: Told,
}

#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

#[derive(Debug)]
struct Told(Arc<Bell>);

// === impl Permits ===

impl Permits {
    /// Leave for so many, which `open` counts.
    pub(super) fn new(connections_max: usize, open: &Arc<AtomicUsize>) -> Self {
        Self {
            free: Arc::new(Semaphore::new(connections_max)),
            freed: Arc::default(),
            open: Arc::clone(open),
        }
    }

    /// Leave to open a connection, if one more may be open.
    pub(super) fn take(&self) -> Option<Permit> {
        let held = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Permit {
            _held: held,
            _counted: Counted::new(&self.open),
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
        let permits = Permits::new(1, &Arc::default());
        let permit = permits.take().unwrap();
        assert!(permits.take().is_none());
        let listener = permits.freed().listen(1).unwrap();
        drop(permit);
        listener.heard().await;
        assert!(permits.take().is_some());
    }
}
