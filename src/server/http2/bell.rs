//! Bell of an HTTP/2 connection: by it other tasks tell the connection's which streams have news.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;

use crate::pipeline::Sink;

/// Interim responses that wait for the connection's task; of more the latest are dropped.
const HEADS_MAX: usize = 64;
/// The fields of one; a longer head is dropped.
const FIELDS_BYTES_MAX: usize = 16 * 1024;

/// Tells the connection's task what has happened meanwhile.
#[derive(Debug, Default)]
pub(super) struct Bell(Mutex<Rung>);

#[derive(Debug, Default)]
struct Rung {
    streams: Vec<u32>,
    heads: Vec<Head>,
    task: Option<Waker>,
}

/// An interim response on its way.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) stream: u32,
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
}

/// What one stream rings by.
#[derive(Debug)]
pub(super) struct Cord {
    stream: u32,
    is_rung: AtomicBool,
    bell: Arc<Bell>,
}

// === impl Bell ===

impl Bell {
    /// Moves the streams that have news into `streams`; the next will wake this task.
    pub(super) fn answer(&self, cx: &Context<'_>, streams: &mut Vec<u32>) -> Vec<Head> {
        let mut rung = self.0.lock();
        streams.append(&mut rung.streams);
        let is_known = rung
            .task
            .as_ref()
            .is_some_and(|it| it.will_wake(cx.waker()));
        if !is_known {
            rung.task = Some(cx.waker().clone());
        }
        std::mem::take(&mut rung.heads)
    }

    /// Nobody answers any more.
    pub(super) fn still(&self) {
        *self.0.lock() = Rung::default();
    }

    fn ring(&self, stream: u32) {
        let task = {
            let mut rung = self.0.lock();
            rung.streams.push(stream);
            rung.task.clone()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Sink for Bell {
    fn offer(&self, request: u32, status: StatusCode, fields: &HeaderMap) {
        let bytes: usize = fields
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        let task = {
            let mut rung = self.0.lock();
            if bytes > FIELDS_BYTES_MAX || rung.heads.len() == HEADS_MAX {
                return;
            }
            rung.heads.push(Head {
                stream: request,
                status,
                fields: fields.clone(),
            });
            rung.task.clone()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

// === impl Cord ===

impl Cord {
    pub(super) fn new(stream: u32, bell: &Arc<Bell>) -> Arc<Self> {
        Arc::new(Self {
            stream,
            is_rung: AtomicBool::new(false),
            bell: Arc::clone(bell),
        })
    }

    /// The stream is looked at: what happens from now on is news.
    pub(super) fn hang(&self) {
        self.is_rung.store(false, Ordering::Release);
    }
}

impl Wake for Cord {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_rung.swap(true, Ordering::AcqRel) {
            self.bell.ring(self.stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_is_told_once_until_it_is_heard() {
        let bell = Arc::default();
        let (one, other) = (Cord::new(1, &bell), Cord::new(3, &bell));
        let cx = Context::from_waker(Waker::noop());
        one.wake_by_ref();
        other.wake_by_ref();
        one.wake_by_ref();
        let mut streams = Vec::new();
        bell.answer(&cx, &mut streams);
        assert_eq!(streams, [1, 3]);
        one.hang();
        one.wake_by_ref();
        other.wake_by_ref();
        bell.answer(&cx, &mut streams);
        assert_eq!(streams, [1, 3, 1]);
    }

    #[test]
    fn heads_are_bounded() {
        let bell = Bell::default();
        let cx = Context::from_waker(Waker::noop());
        for _ in 0..1000 {
            bell.offer(1, StatusCode::EARLY_HINTS, &HeaderMap::new());
        }
        assert_eq!(bell.answer(&cx, &mut Vec::new()).len(), HEADS_MAX);
        assert!(bell.answer(&cx, &mut Vec::new()).is_empty());
    }
}
