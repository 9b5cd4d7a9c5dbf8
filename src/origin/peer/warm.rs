//! Connections opened ahead, so that a request after a pause need not wait for one.
//!
//! Only to servers that may be asked. How long they are kept, and how old they get, is as with all
//! others; those that end are replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::Peer;
use crate::clock::{self, Instant};

/// So long after connections were opened ahead the next are, whatever has become of those: a server
/// that closes them at once, or takes none, must not be beset.
const PAUSE: Duration = Duration::from_secs(1);

/// How many connections of one server are to be ready.
#[derive(Debug)]
pub(super) struct Warmth {
    idle_min: usize,
    opening: AtomicUsize,
    /// Not before then. Looked at by the pool's tick alone.
    next: Mutex<Instant>,
}

// === impl Warmth ===

impl Warmth {
    pub(super) fn new(idle_min: usize) -> Self {
        Self {
            idle_min,
            opening: AtomicUsize::new(0),
            next: Mutex::new(clock::instant()),
        }
    }

    /// How many connections to open now, if so many are ready.
    fn lacks(&self, ready: usize) -> usize {
        let ready = ready.saturating_add(self.opening.load(Ordering::Relaxed));
        let lacks = self.idle_min.saturating_sub(ready);
        let mut next = self.next.lock();
        if lacks == 0 || clock::instant() < *next {
            return 0;
        }
        *next = clock::instant() + PAUSE;
        lacks
    }
}

// === impl Peer ===

impl Peer {
    /// Has connections ready, if it may be asked; to be called several times a second.
    pub(in crate::origin) fn warm(self: &Arc<Self>, may_be_asked: impl FnOnce() -> bool) {
        if self.warmth.idle_min == 0 || !may_be_asked() {
            return;
        }
        for _ in 0..self.warmth.lacks(self.ready()) {
            self.warmth.opening.fetch_add(1, Ordering::Relaxed);
            let peer = Arc::clone(self);
            tokio::spawn(async move {
                if let Err(error) = peer.open_ahead().await {
                    peer.vitals.counters.count_error(error.kind);
                }
                peer.warmth.opening.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_lacking_is_opened_once_a_second() {
        let warmth = Warmth::new(3);
        assert_eq!(warmth.lacks(3), 0);
        assert_eq!(warmth.lacks(1), 2);
        warmth.opening.store(2, Ordering::Relaxed);
        assert_eq!(warmth.lacks(1), 0, "they are on their way");
        warmth.opening.store(0, Ordering::Relaxed);
        assert_eq!(warmth.lacks(0), 0, "a second has not passed");
        tokio::time::advance(PAUSE).await;
        assert_eq!((warmth.lacks(0), warmth.lacks(0)), (3, 0));
    }
}
