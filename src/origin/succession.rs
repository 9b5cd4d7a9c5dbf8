//! Which pool of an origin is in force. A reload puts another in the place of the one before, and
//! requests that began with that one go on with the servers of the new.
//!
//! Only when they look for a server: where one has been found, they stay with it to its answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Pool;
use super::roster::Roster;

/// The pool in force, as the pools before it see it.
#[derive(Debug, Default)]
pub(super) struct Succession(Mutex<Weak<Pool>>);

/// Whether a pool's time is over.
#[derive(Debug, Default)]
pub(super) struct Over(AtomicBool);

// === impl Pool: its successor ===

impl Pool {
    /// It is in force from here on. Those who wait for a server look among its own at once.
    pub(super) fn succeed(self: &Arc<Self>) {
        *self.overload.succession.0.lock() = Arc::downgrade(self);
        self.relieve();
    }

    /// It is in force no more.
    pub(super) fn step_down(&self) {
        self.over.0.store(true, Ordering::Relaxed);
    }

    /// The servers to be asked at this moment: those of the pool in force, if the origin still has
    /// one, and once their names have led to any.
    pub(super) fn roster_in_force(&self) -> Arc<Roster> {
        let roster = self.successor().map(|pool| pool.roster());
        let is_staffed = |it: &Arc<Roster>| !it.peers().is_empty();
        roster.filter(is_staffed).unwrap_or_else(|| self.roster())
    }

    /// `None` while it is in force itself, which costs no lock.
    fn successor(&self) -> Option<Arc<Self>> {
        if !self.over.0.load(Ordering::Relaxed) {
            return None;
        }
        self.overload.succession.0.lock().upgrade()
    }
}
