//! Graceful shutdown: one signal that everybody can see, and the wait for those in progress.
//!
//! Draining closes nothing by itself; each connection ends when its request has been answered. What
//! has not ended by the deadline is cut.

use std::sync::Arc;

use tokio::sync::watch;

/// The signal, cheap to clone.
#[derive(Clone, Debug)]
pub struct Drain(Arc<watch::Sender<Stage>>);

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Serving,
    Draining,
    Cut,
}

// === impl Drain ===

impl Drain {
    /// A drain that has not begun.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Stage::Serving)))
    }

    /// Begins: from now on responses close their connections and listeners stop accepting.
    pub fn begin(&self) {
        self.0.send_replace(Stage::Draining);
    }

    /// Ends it before everybody has ended: connections whose protocol has no mark of its end are
    /// reset, so that their clients can tell.
    pub fn cut(&self) {
        self.0.send_replace(Stage::Cut);
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow() >= Stage::Draining
    }

    /// Waits until it begins.
    pub async fn begun(&self) {
        self.reached(Stage::Draining).await;
    }

    /// Waits until those who have not ended are cut.
    pub(super) async fn was_cut(&self) {
        self.reached(Stage::Cut).await;
    }

    async fn reached(&self, stage: Stage) {
        // The sender is held by `self`, so the channel cannot close while this waits.
        let _ = self.0.subscribe().wait_for(|now| *now >= stage).await;
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}
