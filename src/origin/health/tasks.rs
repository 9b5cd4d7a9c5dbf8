//! Tasks of a pool's servers: one for each, as long as the pool is in force and the server on its
//! roster.
//!
//! What a task does between its pauses is its founder's business: probes are in `probing.rs`, agents
//! in `agent.rs`.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::origin::dice::Dice;
use crate::origin::peer::Peer;
use crate::origin::roster::Roster;

/// The tasks; they end with it.
#[derive(Debug, Default)]
pub(super) struct ServerTasks {
    /// `None` unless the pool is in force.
    tasks: Mutex<Option<Vec<Task>>>,
}

/// A server, and its task.
type Task = (Arc<Peer>, AbortHandle);

// === impl ServerTasks ===

impl ServerTasks {
    /// The pool is in force from here on.
    pub(super) fn begin(&self) {
        self.tasks.lock().get_or_insert_default();
    }

    /// Has a task for each server on the roster and for no other, unless the pool is not in force. The
    /// roster is asked for under the lock, so that of two who call the later one sees the newer.
    pub(super) fn align(
        &self,
        roster: impl FnOnce() -> Arc<Roster>,
        begin: impl Fn(&Arc<Peer>) -> AbortHandle,
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
            if !tasks.iter().any(|(known, _)| is_same(known, peer)) {
                tasks.push((Arc::clone(peer), begin(peer)));
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

impl Drop for ServerTasks {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether both are one server, reached by the same name. Its addresses may have changed between
/// the two, which is no reason to begin anew: where they change often, nothing would ever end.
fn is_same(one: &Arc<Peer>, other: &Arc<Peer>) -> bool {
    Arc::ptr_eq(&one.vitals, &other.vitals) && one.dial.found_by() == other.dial.found_by()
}

/// The interval, longer or shorter by its jitter: many proxies shall not ask in step.
pub(super) fn pause(interval: Duration, jitter: f64, dice: &Dice) -> Duration {
    let longer = jitter * (2.0 * dice.part() - 1.0);
    interval.mul_f64(1.0 + longer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_keep_to_their_jitter() {
        let (interval, dice) = (Duration::from_secs(10), Dice::new());
        let pauses: Vec<_> = (0..1000).map(|_| pause(interval, 0.1, &dice)).collect();
        let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(*least >= Duration::from_secs(9) && *least < Duration::from_millis(9200));
        assert!(*most <= Duration::from_secs(11) && *most > Duration::from_millis(10_800));
    }
}
