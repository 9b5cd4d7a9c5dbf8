//! Graceful shutdown: one signal that everybody can see, and the wait for those in progress.
//!
//! Draining closes nothing by itself; each connection ends when its request has been answered.

use std::sync::Arc;

use tokio::sync::watch;

/// The signal, cheap to clone.
#[derive(Clone, Debug)]
pub struct Drain(Arc<watch::Sender<bool>>);

// === impl Drain ===

impl Drain {
    /// A drain that has not begun.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Begins: from now on responses close their connections and listeners stop accepting.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it begins.
    pub async fn begun(&self) {
        // The sender is held by `self`, so the channel cannot close while this waits.
        let _ = self.0.subscribe().wait_for(|begun| *begun).await;
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}
