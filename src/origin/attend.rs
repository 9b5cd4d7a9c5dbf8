//! One task for each server of a pool, as long as the pool is in force and the server on its
//! roster.
//!
//! What a task does is its founder's business: probes are in `health.rs`, agents in `agent.rs`.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::peer::Peer;
use super::roster::Roster;

/// The tasks; they end with it.
#[derive(Debug, Default)]
pub(super) struct Attendants {
    /// `None` unless the pool is in force.
    tasks: Mutex<Option<Vec<Task>>>,
}

/// Who is attended to, and the task that does it.
type Task = (Arc<Peer>, AbortHandle);

// === impl Attendants ===

impl Attendants {
    /// The pool is in force from here on.
    pub(super) fn begin(&self) {
        self.tasks.lock().get_or_insert_default();
    }

    /// Attends to those who are on the roster and nobody else, unless the pool is not in force. The
    /// roster is asked for under the lock, so that of two who call the later one sees the newer.
    pub(super) fn align(
        &self,
        roster: impl FnOnce() -> Arc<Roster>,
        attend: impl Fn(&Arc<Peer>) -> AbortHandle,
    ) {
        let mut tasks = self.tasks.lock();
        let Some(tasks) = tasks.as_mut() else {
            return;
        };
        let roster = roster();
        tasks.retain(|(peer, task)| {
            let stays = roster.peers().iter().any(|it| is_same(it, peer));
            if !stays {
                task.abort();
            }
            stays
        });
        for peer in roster.peers() {
            if !tasks.iter().any(|(attended, _)| is_same(attended, peer)) {
                tasks.push((Arc::clone(peer), attend(peer)));
            }
        }
    }

    /// The pool is no longer in force.
    pub(super) fn end(&self) {
        let tasks = self.tasks.lock().take();
        let tasks = tasks.iter().flatten();
        tasks.for_each(|(_, task)| task.abort());
    }
}

impl Drop for Attendants {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether both are one server, reached by the same name. Its addresses may have changed between
/// the two, which is no reason to begin anew: where they change often, nothing would ever end.
fn is_same(one: &Arc<Peer>, other: &Arc<Peer>) -> bool {
    Arc::ptr_eq(&one.vitals, &other.vitals) && one.dial.found_by() == other.dial.found_by()
}
