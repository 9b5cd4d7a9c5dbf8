//! Wake-up signal for those who wait until something has become free.
//!
//! Things become free with every request and are waited for rarely, so ringing is a read as long as
//! nobody listens. A bell says that it is worth another look, never what will be found.

use std::sync::atomic::{AtomicUsize, Ordering, fence};

use tokio::sync::Notify;

/// Rung when something may have become free.
#[derive(Debug, Default)]
pub(super) struct Bell {
    listeners: AtomicUsize,
    rung: Notify,
}

/// One who listens, for as long as this lives.
#[derive(Debug)]
pub(super) struct Listener<'a>(&'a Bell);

// === impl Bell ===

impl Bell {
    /// Whoever looks after this, and then waits, misses nothing. `None` if so many listen already.
    pub(super) fn listen(&self, listeners_max: usize) -> Option<Listener<'_>> {
        let join = |count| (count < listeners_max).then_some(count + 1);
        let joined = self
            .listeners
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, join);
        // Together with the fence in `ring`: either we see what became free, or who freed it sees
        // us and rings.
        fence(Ordering::SeqCst);
        joined.is_ok().then(|| Listener(self))
    }

    /// Something may have become free. One listener wakes, or else the next to wait does not.
    pub(super) fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.listeners() > 0 {
            self.rung.notify_one();
        }
    }

    /// How many listen.
    pub(super) fn listeners(&self) -> usize {
        self.listeners.load(Ordering::Relaxed)
    }
}

// === impl Listener ===

impl Listener<'_> {
    /// Waits for a ring. One that wakes somebody who leaves is passed on to the next.
    pub(super) async fn heard(&self) {
        self.0.rung.notified().await;
    }
}

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn hears(listener: &Listener<'_>) -> bool {
        let heard = timeout(Duration::from_millis(1), listener.heard());
        heard.await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_listens_misses_no_ring() {
        let bell = Bell::default();
        bell.ring();
        let listener = bell.listen(1).unwrap();
        assert!(!hears(&listener).await, "it was before");
        bell.ring();
        assert!(hears(&listener).await);
        assert!(!hears(&listener).await, "one ring, one look");
    }

    #[test]
    fn so_many_listen_and_no_more() {
        let bell = Bell::default();
        let listener = bell.listen(1);
        assert!(listener.is_some() && bell.listen(1).is_none());
        drop(listener);
        assert!(bell.listeners() == 0 && bell.listen(1).is_some());
    }
}
