//! Interim responses (1xx) beside hyper, whose HTTP/1 server cannot send them: a short queue
//! between an origin's task and the client's socket.
//!
//! A head goes out whole between two messages: when the request it belongs to is still without
//! its final response, and hyper has nothing left to write. What goes on at all is decided where
//! it comes from. HTTP/1.0 and HTTP/2 clients have no queue: the former "MUST NOT" be sent a 1xx
//! (RFC 9110 §15.2), and hyper has no way to send one to the latter.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use tracing::debug;

use crate::pipeline::{Interim, Sink};

/// As many as one request may bring; what comes beyond is dropped.
const HEADS_MAX: usize = 8;
/// The fields of one; a longer head is dropped.
const FIELDS_BYTES_MAX: usize = 16 * 1024;

/// Heads for the client of one HTTP/1 connection.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Odd while a request waits for its final response, and then that request's number.
    turn: AtomicU32,
    /// Whether there is a head that has not been written to its end.
    waiting: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The turn of the latest head; those of an earlier one are of no more use.
    turn: u32,
    /// How many heads this turn has had.
    count: usize,
    heads: VecDeque<Bytes>,
    /// The connection's task, while it has nothing to write.
    waker: Option<Waker>,
    /// The final response is there, and waits for the queue to be empty.
    end_waits: bool,
}

/// The time in which one request may be sent interim responses.
pub(super) struct Turn<'a> {
    queue: &'a Arc<Queue>,
    number: u32,
}

// === impl Queue ===

impl Queue {
    /// A request has come. HTTP/1 answers one after the other, so none other is in its turn.
    pub(super) fn begin(self: &Arc<Self>) -> Turn<'_> {
        let number = self.turn.load(Ordering::Relaxed).wrapping_add(1);
        self.turn.store(number, Ordering::Release);
        Turn {
            queue: self,
            number,
        }
    }

    /// The next head to be written. To be asked when the one before is out and hyper has nothing
    /// to write; without one, the task is woken when one comes.
    pub(super) fn next(&self, cx: &mut Context<'_>) -> Option<Bytes> {
        let turn = self.turn.load(Ordering::Acquire);
        if turn.is_multiple_of(2) {
            return None;
        }
        let mut state = self.state.lock();
        if state.turn != turn {
            state.heads.clear();
        }
        let head = state.heads.pop_front();
        if head.is_none() {
            self.waiting.store(false, Ordering::Release);
            state.wait(cx.waker());
        }
        head
    }

    /// Ends the turn once all its heads are written; those that come later are dropped.
    fn poll_end(&self, turn: u32) -> Poll<()> {
        if self.waiting.load(Ordering::Acquire) {
            let mut state = self.state.lock();
            if state.turn == turn {
                state.end_waits = true;
                return Poll::Pending;
            }
            // They came too late for the request before.
            state.heads.clear();
            self.waiting.store(false, Ordering::Release);
        }
        self.turn.store(turn.wrapping_add(1), Ordering::Release);
        Poll::Ready(())
    }
}

impl Sink for Queue {
    fn offer(&self, request: u32, status: StatusCode, fields: &HeaderMap) {
        let Some(head) = encode(status, fields) else {
            return debug!(%status, "an interim response was too long");
        };
        let waker = {
            let mut state = self.state.lock();
            if self.turn.load(Ordering::Acquire) != request || !state.admit(request) {
                return;
            }
            state.heads.push_back(head);
            self.waiting.store(true, Ordering::Release);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

// === impl State ===

impl State {
    /// Whether the request may have one more.
    fn admit(&mut self, turn: u32) -> bool {
        if self.turn != turn {
            self.heads.clear();
            (self.turn, self.count) = (turn, 0);
        }
        self.count += 1;
        self.count <= HEADS_MAX
    }

    /// All is written: whoever waits for that may go on, and the next head wakes the task.
    fn wait(&mut self, waker: &Waker) {
        if std::mem::take(&mut self.end_waits) {
            waker.wake_by_ref();
        }
        if !self.waker.as_ref().is_some_and(|it| it.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }
}

// === impl Turn ===

impl Turn<'_> {
    /// The way by which the request's interim responses come here.
    pub(super) fn interim(&self) -> Interim {
        let queue: Weak<Queue> = Arc::downgrade(self.queue);
        Interim::new(queue, self.number)
    }

    /// Waits until what has come is written: the final response must not overtake it.
    pub(super) async fn end(self) {
        poll_fn(|_| self.queue.poll_end(self.number)).await;
    }
}

/// A head as it goes over the wire (RFC 9112 §4); `None` if it is too long.
fn encode(status: StatusCode, fields: &HeaderMap) -> Option<Bytes> {
    let line_bytes = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        name.as_str().len() + b": \r\n".len() + value.len()
    };
    let fields_bytes: usize = fields.iter().map(line_bytes).sum();
    if fields_bytes > FIELDS_BYTES_MAX {
        return None;
    }
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = Vec::with_capacity(b"HTTP/1.1 100 \r\n\r\n".len() + reason.len() + fields_bytes);
    for part in ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    for (name, value) in fields {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    Some(head.into())
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use http::HeaderValue;
    use http::header::LINK;

    use super::*;

    /// Counts how often the connection's task is woken.
    #[derive(Default)]
    struct Task(AtomicU32);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Task {
        fn next(self: &Arc<Self>, queue: &Queue) -> Option<Bytes> {
            let waker = Waker::from(Arc::clone(self));
            queue.next(&mut Context::from_waker(&waker))
        }

        fn wakes(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn offer(queue: &Queue, turn: u32) {
        queue.offer(turn, StatusCode::EARLY_HINTS, &HeaderMap::new());
    }

    #[test]
    fn a_head_is_written_as_it_is() {
        let fields = HeaderMap::from_iter([(LINK, HeaderValue::from_static("</a>"))]);
        let head = encode(StatusCode::EARLY_HINTS, &fields);
        let text = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
        assert_eq!(head.as_deref(), Some(text.as_bytes()));
        let unknown = StatusCode::from_u16(199).expect("a status");
        let head = encode(unknown, &HeaderMap::new());
        assert_eq!(head.as_deref(), Some(&b"HTTP/1.1 199 \r\n\r\n"[..]));
        let long = HeaderValue::try_from("x".repeat(FIELDS_BYTES_MAX)).expect("a value");
        let fields = HeaderMap::from_iter([(LINK, long)]);
        assert_eq!(encode(StatusCode::EARLY_HINTS, &fields), None);
    }

    #[test]
    fn a_head_wakes_the_task_that_waits_for_it() {
        let (queue, task) = (Arc::new(Queue::default()), Arc::new(Task::default()));
        let turn = queue.begin();
        assert_eq!(task.next(&queue), None);
        offer(&queue, turn.number);
        assert_eq!(task.wakes(), 1);
        assert!(task.next(&queue).is_some());
        assert_eq!(task.next(&queue), None);
    }

    #[test]
    fn a_turn_ends_when_all_of_it_is_written() {
        let (queue, task) = (Arc::new(Queue::default()), Arc::new(Task::default()));
        let turn = queue.begin();
        offer(&queue, turn.number);
        assert!(queue.poll_end(turn.number).is_pending());
        assert!(task.next(&queue).is_some());
        assert!(
            queue.poll_end(turn.number).is_pending(),
            "it may be half written"
        );
        assert_eq!(task.next(&queue), None);
        assert_eq!(task.wakes(), 1, "the final response may go on");
        assert!(queue.poll_end(turn.number).is_ready());
        assert_eq!(queue.begin().number, turn.number + 2);
    }

    #[test]
    fn what_comes_too_late_is_dropped() {
        let (queue, task) = (Arc::new(Queue::default()), Arc::new(Task::default()));
        let first = queue.begin().number;
        offer(&queue, first);
        // As if it had come between the last look and the end.
        queue.turn.store(first + 1, Ordering::Release);
        assert_eq!(task.next(&queue), None, "no request is in its turn");
        let second = queue.begin().number;
        offer(&queue, first);
        assert_eq!(task.next(&queue), None, "another request is in its turn");
        assert!(queue.poll_end(second).is_ready());
    }

    #[test]
    fn a_late_head_does_not_hold_up_the_next_request() {
        let queue = Arc::new(Queue::default());
        let first = queue.begin().number;
        offer(&queue, first);
        queue.turn.store(first + 1, Ordering::Release);
        let second = queue.begin().number;
        assert!(queue.poll_end(second).is_ready());
    }

    #[test]
    fn a_flood_is_cut_for_each_request_anew() {
        let (queue, task) = (Arc::new(Queue::default()), Arc::new(Task::default()));
        for _ in 0..2 {
            let turn = queue.begin().number;
            (0..1000).for_each(|_| offer(&queue, turn));
            let written = std::iter::from_fn(|| task.next(&queue)).count();
            assert_eq!(written, HEADS_MAX);
            assert!(queue.poll_end(turn).is_ready());
        }
    }
}
