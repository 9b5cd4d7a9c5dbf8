//! Order to stop: one signal that all connections see, and the wait for those in progress.
//!
//! Draining closes nothing by itself; each connection ends when its request has been answered. What
//! has not ended by the deadline is cut. A listener has a drain of its own, below the process's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::watch;

/// The signal, cheap to clone.
#[derive(Clone, Debug)]
pub struct Drain(Arc<Signal>);

#[derive(Debug)]
struct Signal {
    stage: watch::Sender<Stage>,
    /// The same for each request to look at, which costs them no lock.
    has_begun: AtomicBool,
    /// Those of its parts. What is told to the whole is told to them.
    parts: Mutex<Vec<Weak<Signal>>>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Serving,
    /// All is served, and nothing new is wanted.
    Leaving,
    Draining,
    Cut,
}

// === impl Drain ===

impl Drain {
    /// A drain that has not begun.
    pub fn new() -> Self {
        Self(Signal::new(Stage::Serving))
    }

    /// The drain of a part, such as one listener: it may begin before the whole's, and begins and
    /// is cut with it.
    pub(super) fn part(&self) -> Self {
        // Under this lock, so that no order falls between the look and the entry.
        let mut parts = self.0.parts.lock();
        let part = Signal::new(*self.0.stage.borrow());
        parts.retain(|part| part.strong_count() > 0);
        parts.push(Arc::downgrade(&part));
        Self(part)
    }

    /// Has others told that they should go elsewhere; all is served as ever.
    pub fn announce(&self) {
        self.0.send(Stage::Leaving);
    }

    /// Begins: from now on responses close their connections and listeners stop accepting.
    pub fn begin(&self) {
        self.0.send(Stage::Draining);
    }

    /// Ends it before everybody has ended: connections whose protocol has no mark of its end are
    /// reset, so that their clients can tell.
    pub fn cut(&self) {
        self.0.send(Stage::Cut);
    }

    /// Whether it has been announced, or has begun.
    pub fn is_announced(&self) -> bool {
        *self.0.stage.borrow() >= Stage::Leaving
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.0.has_begun.load(Ordering::Relaxed)
    }

    /// Waits until it begins.
    pub async fn begun(&self) {
        self.reached(Stage::Draining).await;
    }

    /// Waits until those who have not ended are cut.
    pub(super) async fn was_cut(&self) {
        self.reached(Stage::Cut).await;
    }

    /// Waits until it has come so far.
    pub(super) async fn reached(&self, stage: Stage) {
        // The sender is held by `self`, so the channel cannot close while this waits.
        let _ = self.0.stage.subscribe().wait_for(|now| *now >= stage).await;
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Signal ===

impl Signal {
    fn new(stage: Stage) -> Arc<Self> {
        Arc::new(Self {
            stage: watch::Sender::new(stage),
            has_begun: AtomicBool::new(stage >= Stage::Draining),
            parts: Mutex::default(),
        })
    }

    fn send(&self, stage: Stage) {
        let parts = self.parts.lock();
        let has_begun = stage >= Stage::Draining;
        self.has_begun.store(has_begun, Ordering::Relaxed);
        self.stage.send_replace(stage);
        parts
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|part| part.send(stage));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_begins_alone_or_with_the_whole() {
        let whole = Drain::new();
        let (one, other) = (whole.part(), whole.part());
        one.begin();
        assert!(one.has_begun() && !other.has_begun() && !whole.has_begun());
        whole.begin();
        other.begun().await;
        whole.cut();
        one.was_cut().await;
        assert!(whole.part().has_begun(), "it is too late for this one");
    }
}
