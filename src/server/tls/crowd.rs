//! Bound on handshakes under way: for one too many the oldest is cut, and few compute at once.
//!
//! Whoever begins handshakes only to leave them is the oldest before long. An honest client needs
//! its time once, and is seldom the oldest among thousands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::task::yield_now;

/// Handshakes under way.
pub(super) struct Crowd {
    places: Arc<Mutex<Places>>,
    /// One for each core: computing takes up to a millisecond, and requests are to come in between.
    computing: Semaphore,
}

struct Places {
    max: usize,
    next: u64,
    /// In the order in which they came.
    taken: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A handshake's place, until it is dropped.
pub(super) struct Place {
    number: u64,
    places: Arc<Mutex<Places>>,
    cut: oneshot::Receiver<()>,
}

// === impl Crowd ===

impl Crowd {
    /// Changes how many there may be. Those that are too many go on.
    pub(super) fn limit(&self, max: usize) {
        self.places.lock().max = max;
    }

    /// A place for one more.
    pub(super) fn enter(&self) -> Place {
        let mut places = self.places.lock();
        while places.taken.len() >= places.max {
            // Its receiver hears that the sender is gone.
            if places.taken.pop_first().is_none() {
                break;
            }
        }
        let (number, (sender, cut)) = (places.next, oneshot::channel());
        places.next += 1;
        places.taken.insert(number, sender);
        Place {
            number,
            places: Arc::clone(&self.places),
            cut,
        }
    }

    /// A turn to compute. Always some, for the semaphore is never closed.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(turn) = self.computing.try_acquire() {
            return Some(turn);
        }
        let turn = self.computing.acquire().await.ok();
        // Whoever is woken by a task goes next, before requests that have come in meanwhile.
        yield_now().await;
        turn
    }
}

impl Default for Crowd {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let places = Places {
            max: usize::MAX,
            next: 0,
            taken: BTreeMap::new(),
        };
        Self {
            places: Arc::new(Mutex::new(places)),
            computing: Semaphore::new(cores),
        }
    }
}

// === impl Place ===

impl Place {
    /// Waits until another needs the place.
    pub(super) async fn cut(&mut self) {
        // Nothing is ever sent: that the sender is gone is all there is to hear.
        let _ = (&mut self.cut).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_now::now;

    use super::*;

    mod futures_now {
        use std::pin::pin;
        use std::task::{Context, Poll, Waker};

        /// What a future has come to, polled once.
        pub(super) fn now<F: Future>(future: F) -> Option<F::Output> {
            match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            }
        }
    }

    #[test]
    fn the_oldest_makes_room() {
        let crowd = Crowd::default();
        crowd.limit(2);
        let (mut one, mut two) = (crowd.enter(), crowd.enter());
        assert_eq!(now(one.cut()), None);
        let mut three = crowd.enter();
        assert_eq!(now(one.cut()), Some(()));
        assert_eq!(now(two.cut()), None);
        drop(three);
        three = crowd.enter();
        assert_eq!((now(two.cut()), now(three.cut())), (None, None));
    }
}
