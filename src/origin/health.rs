//! Active probes: one task for each server, for as long as its pool is in force.
//!
//! What is asked is in `probe.rs`, what follows in `standing.rs` and `triage.rs`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::HeaderValue;
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::debug;

use super::Pool;
use super::balance::Dice;
use super::peer::Peer;
use super::probe::{self, Fault, Target};
use super::standing::Threshold;
use crate::clock;
use crate::config;

/// The probes of a pool's servers; they end with it.
#[derive(Debug)]
pub(super) struct Probes {
    health: Option<Arc<config::Health>>,
    /// Of each server that is probed; `None` unless the pool is in force.
    tasks: Mutex<Option<Vec<Task>>>,
}

/// Who is probed, and the task that does it.
type Task = (Arc<Peer>, AbortHandle);

// === impl Probes ===

impl Probes {
    pub(super) fn new(health: Option<&config::Health>) -> Self {
        Self {
            health: health.cloned().map(Arc::new),
            tasks: Mutex::default(),
        }
    }

    fn end(&self) {
        let tasks = self.tasks.lock().take();
        let tasks = tasks.iter().flatten();
        tasks.for_each(|(_, task)| task.abort());
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.end();
    }
}

// === impl Pool: its probes ===

impl Pool {
    /// Begins to follow its servers and to probe them, now that it is in force. Without probes, what
    /// earlier ones have said is forgotten.
    pub fn begin(self: &Arc<Self>) {
        if self.probes.health.is_some() {
            *self.probes.tasks.lock() = Some(Vec::new());
            self.probe_all();
        } else {
            self.learn(|| {
                for peer in self.roster().peers() {
                    peer.vitals.standing.lock().forget_probes();
                }
            });
        }
        self.begin_to_follow();
    }

    /// Probes those who are on the roster and nobody else, unless the pool is not in force.
    pub(super) fn probe_all(self: &Arc<Self>) {
        let mut tasks = self.probes.tasks.lock();
        let (Some(health), Some(tasks)) = (&self.probes.health, tasks.as_mut()) else {
            return;
        };
        let roster = self.roster();
        tasks.retain(|(peer, task)| {
            let stays = roster.peers().iter().any(|it| Arc::ptr_eq(it, peer));
            if !stays {
                task.abort();
            }
            stays
        });
        for peer in roster.peers() {
            if !tasks.iter().any(|(probed, _)| Arc::ptr_eq(probed, peer)) {
                tasks.push((Arc::clone(peer), self.probe(peer, health)));
            }
        }
    }

    fn probe(self: &Arc<Self>, peer: &Arc<Peer>, health: &Arc<config::Health>) -> AbortHandle {
        let port = health.port;
        let target = Target {
            dial: port.map_or_else(|| peer.dial.clone(), |port| peer.dial.at_port(port)),
            host_field: self.host_field(peer),
        };
        let (pool, peer) = (Arc::downgrade(self), Arc::clone(peer));
        tokio::spawn(watch(pool, peer, target, Arc::clone(health))).abort_handle()
    }

    /// Follows and probes no more: another pool is in force, and asks the same servers.
    pub fn end(&self) {
        self.stop_following();
        self.probes.end();
    }

    /// What is configured, or the server's own name; a socket has none, so it is `localhost`.
    fn host_field(&self, peer: &Peer) -> HeaderValue {
        let own = || match peer.dial.host_and_port() {
            Some(text) => HeaderValue::from_str(&text).ok(),
            None => Some(HeaderValue::from_static("localhost")),
        };
        // A checked authority is ASCII; an empty host stands for none (RFC 9112 §3.2).
        let own = || own().unwrap_or(HeaderValue::from_static(""));
        self.host.clone().unwrap_or_else(own)
    }

    /// A probe of a server has ended.
    fn probed(&self, peer: &Peer, health: &config::Health, result: Result<(), Fault>) {
        let by = Threshold {
            rise: health.rise,
            fall: health.fall,
        };
        let vitals = &peer.vitals;
        if let Err(fault) = result {
            vitals.conduct.count_probe_failure();
            debug!(origin = &*self.name, server = &*vitals.authority, %fault, "probe failed");
        }
        let now = clock::instant();
        let changed = self.learn(|| vitals.standing.lock().probed(result, by, now));
        self.tell(vitals, changed);
    }
}

/// Probes one server until its pool is gone.
async fn watch(pool: Weak<Pool>, peer: Arc<Peer>, target: Target, health: Arc<config::Health>) {
    let dice = Dice::new();
    // Not all at once, but soon.
    sleep(health.interval.mul_f64(health.jitter * part(&dice))).await;
    loop {
        let result = probe::ask(&target, &health).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        pool.probed(&peer, &health, result);
        drop(pool);
        sleep(pause(&health, &dice)).await;
    }
}

/// The interval, longer or shorter by its jitter: many proxies shall not ask in step.
fn pause(health: &config::Health, dice: &Dice) -> Duration {
    let longer = health.jitter * (2.0 * part(dice) - 1.0);
    health.interval.mul_f64(1.0 + longer)
}

/// A number from 0 to 1.
fn part(dice: &Dice) -> f64 {
    const STEPS: u32 = 1000;
    dice.below(STEPS.into()) as f64 / f64::from(STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_keep_to_their_jitter() {
        let health = config::Health {
            question: config::Question::Tcp,
            port: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            jitter: 0.1,
            rise: 2,
            fall: 3,
        };
        let dice = Dice::new();
        let pauses: Vec<_> = (0..1000).map(|_| pause(&health, &dice)).collect();
        let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
        assert!(*least >= Duration::from_secs(9) && *least < Duration::from_millis(9200));
        assert!(*most <= Duration::from_secs(11) && *most > Duration::from_millis(10_800));
    }
}
