//! Queue of the requests of one origin that wait until a server has room: first in, first out.
//!
//! One at a time stands at the front and looks whenever something has moved; the others wait for
//! the front, in their order. Who leaves gives up its place, the front included, so what was free
//! is the next one's. Which server has room is asked of whoever calls.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::origin::bell::Bell;

/// Those who wait.
#[derive(Debug)]
pub(super) struct Queue {
    /// One permit: to stand there. Semaphores of tokio are fair.
    front: Semaphore,
    /// Rung when a server may have room. All who wait listen, and only the front wakes.
    moved: Arc<Bell>,
}

/// How many may wait, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueLimits {
    pub(super) pending_max: usize,
    pub(super) timeout: Duration,
}

/// Why a request was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnedAway {
    /// As many wait as may.
    Full,
    /// It has waited for as long as it may.
    TimedOut,
}

// === impl Queue ===

impl Queue {
    pub(super) fn new(moved: Arc<Bell>) -> Self {
        let front = Semaphore::new(1);
        Self { front, moved }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.moved.listeners()
    }

    /// Has the next one look again.
    pub(super) fn nudge(&self) {
        self.moved.ring();
    }

    /// What `look` finds: at once if nobody waits, else when it is this one's turn.
    ///
    /// # Errors
    /// Nothing was found within these bounds.
    pub(super) async fn enter<T>(
        &self,
        limits: QueueLimits,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<T, TurnedAway> {
        // Nobody overtakes those who wait.
        if self.len() == 0
            && let Some(found) = look()
        {
            return Ok(found);
        }
        let place = self.moved.listen(limits.pending_max);
        let place = place.ok_or(TurnedAway::Full)?;
        let turn = async {
            // It fails only when the semaphore is closed, which nobody does.
            let _front = self.front.acquire().await;
            loop {
                if let Some(found) = look() {
                    return found;
                }
                place.heard().await;
            }
        };
        let waited = timeout(limits.timeout, turn).await;
        waited.map_err(|_| TurnedAway::TimedOut)
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use tokio::task::JoinHandle;

    use super::*;

    /// A queue before some places, which are let go by hand.
    struct Inn {
        queue: Queue,
        free: Mutex<usize>,
    }

    const LIMITS: QueueLimits = QueueLimits {
        pending_max: 100,
        timeout: Duration::from_secs(3),
    };

    impl Inn {
        fn new(free: usize) -> Arc<Self> {
            let queue = Queue::new(Arc::default());
            let free = Mutex::new(free);
            Arc::new(Self { queue, free })
        }

        async fn enter(&self, limits: QueueLimits) -> Result<(), TurnedAway> {
            let look = || {
                let mut free = self.free.lock();
                *free = free.checked_sub(1)?;
                Some(())
            };
            self.queue.enter(limits, look).await
        }

        fn free(&self, places: usize) {
            *self.free.lock() += places;
            (0..places).for_each(|_| self.queue.nudge());
        }

        /// A guest who asks to come in, and writes its number into `book` when it is.
        async fn guest(self: &Arc<Self>, number: usize, book: &Book) -> JoinHandle<()> {
            let (inn, book) = (Arc::clone(self), Arc::clone(book));
            let guest = tokio::spawn(async move {
                let entered = inn.enter(LIMITS).await;
                book.lock().push((number, entered));
            });
            rest().await;
            guest
        }
    }

    type Book = Arc<Mutex<Vec<(usize, Result<(), TurnedAway>)>>>;

    /// All tasks go as far as they can: paused time only moves when nobody has anything to do.
    async fn rest() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    fn numbers(book: &Book) -> Vec<usize> {
        book.lock().iter().map(|(number, _)| *number).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_came_first_is_let_in_first() {
        let (inn, book) = (Inn::new(1), Book::default());
        for number in 0..6 {
            inn.guest(number, &book).await;
        }
        assert_eq!((numbers(&book), inn.queue.len()), (vec![0], 5));
        inn.free(2);
        rest().await;
        assert_eq!(numbers(&book), [0, 1, 2]);
        inn.free(3);
        rest().await;
        assert_eq!((numbers(&book), inn.queue.len()), ((0..6).collect(), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_overtakes() {
        let (inn, book) = (Inn::new(0), Book::default());
        inn.guest(0, &book).await;
        // Room that nobody has been told of yet.
        *inn.free.lock() += 1;
        inn.guest(1, &book).await;
        assert!(numbers(&book).is_empty());
        inn.queue.nudge();
        rest().await;
        assert_eq!(numbers(&book), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_wait_than_may() {
        let (inn, book) = (Inn::new(0), Book::default());
        let bounds = |pending_max| QueueLimits {
            pending_max,
            ..LIMITS
        };
        assert_eq!(inn.enter(bounds(0)).await, Err(TurnedAway::Full));
        inn.guest(0, &book).await;
        assert_eq!(inn.enter(bounds(1)).await, Err(TurnedAway::Full));
        assert_eq!(inn.queue.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_may() {
        let (inn, book) = (Inn::new(0), Book::default());
        inn.guest(0, &book).await;
        tokio::time::advance(Duration::from_secs(2)).await;
        inn.guest(1, &book).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        rest().await;
        assert_eq!(*book.lock(), [(0, Err(TurnedAway::TimedOut))]);
        inn.free(1);
        rest().await;
        assert_eq!(book.lock()[1], (1, Ok(())));
        assert_eq!(inn.queue.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_gives_its_place_to_the_next() {
        let (inn, book) = (Inn::new(0), Book::default());
        let mut guests = Vec::new();
        for number in 0..4 {
            guests.push(inn.guest(number, &book).await);
        }
        // One in the midst, and the one at the front.
        guests[2].abort();
        guests[0].abort();
        rest().await;
        assert_eq!(inn.queue.len(), 2);
        inn.free(2);
        rest().await;
        assert_eq!(numbers(&book), [1, 3]);
    }

    /// The front is told, and leaves before it has looked.
    #[tokio::test(start_paused = true)]
    async fn what_a_leaver_was_told_of_is_the_nexts() {
        let (inn, book) = (Inn::new(0), Book::default());
        let front = inn.guest(0, &book).await;
        inn.guest(1, &book).await;
        inn.free(1);
        front.abort();
        rest().await;
        assert_eq!(numbers(&book), [1]);
    }
}
