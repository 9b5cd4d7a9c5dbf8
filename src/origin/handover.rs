//! Handover of an origin from one pool to the next, at a reload. Requests that began with the one
//! before go on with the servers of the new.
//!
//! Only when they look for a server: where one has been found, they stay with it to its answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::health::Servers;
use super::roster::Roster;

/// The servers in force, as all pools of their origin see them.
#[derive(Debug, Default)]
pub(super) struct InForce(Mutex<Weak<Servers>>);

/// One pool's part in it.
#[derive(Debug)]
pub(super) struct Handover {
    in_force: Arc<InForce>,
    /// Whether another pool has taken over.
    is_retired: AtomicBool,
}

// === impl Handover ===

impl Handover {
    pub(super) fn new(in_force: Arc<InForce>) -> Self {
        Self {
            in_force,
            is_retired: AtomicBool::new(false),
        }
    }

    /// The pool of these servers is in force from here on.
    pub(super) fn take_over(&self, servers: &Arc<Servers>) {
        *self.in_force.0.lock() = Arc::downgrade(servers);
    }

    /// The pool is in force no more.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    /// The servers to be asked at this moment instead of the pool's `own`: those in force, if the
    /// origin still has any, and once their names have led to some.
    pub(super) fn roster(&self, own: &Servers) -> Arc<Roster> {
        let roster = self.successors().map(|servers| servers.roster());
        let is_staffed = |it: &Arc<Roster>| !it.peers().is_empty();
        roster.filter(is_staffed).unwrap_or_else(|| own.roster())
    }

    /// `None` while the pool is in force itself, which costs no lock.
    fn successors(&self) -> Option<Arc<Servers>> {
        if !self.is_retired.load(Ordering::Relaxed) {
            return None;
        }
        self.in_force.0.lock().upgrade()
    }
}
