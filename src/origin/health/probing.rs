//! Active probes: one task for each server, for as long as its pool is in force.
//!
//! What is asked is in `probe.rs`, what follows in `server/standing.rs` and `triage.rs`.

use std::sync::{Arc, Weak};

use http::HeaderValue;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::debug;

use super::attend::{self, Attendants};
use super::probe::{self, Target};
use crate::clock;
use crate::config;
use crate::origin::Pool;
use crate::origin::dial::introduce;
use crate::origin::dial::tls::Protocol;
use crate::origin::dice::Dice;
use crate::origin::peer::Peer;
use crate::origin::server::{Fault, Threshold};

/// The probes of a pool's servers; they end with it.
#[derive(Debug)]
pub(in crate::origin) struct Probes {
    health: Option<Arc<config::Health>>,
    /// What probes by HTTP are spoken in, as requests are.
    protocol: Protocol,
    /// How servers are told whose a connection is, if they are.
    introduction: Option<config::ProxyVersion>,
    tasks: Attendants,
}

// === impl Probes ===

impl Probes {
    pub(in crate::origin) fn new(config: &config::Origin) -> Self {
        Self {
            health: config.health.clone().map(Arc::new),
            protocol: config.wire.version.into(),
            introduction: config.wire.proxy_protocol,
            tasks: Attendants::default(),
        }
    }
}

// === impl Pool: its probes ===

impl Pool {
    /// Begins to follow its servers, to probe them and to ask their agents, now that it is in force.
    /// What earlier probes and agents have said is forgotten where there are none now.
    pub fn begin(self: &Arc<Self>) {
        self.begin_probes();
        self.begin_agents();
        self.attend();
        self.begin_to_follow();
        self.succeed();
    }

    /// Attends to those who are its servers now.
    pub(in crate::origin) fn attend(self: &Arc<Self>) {
        self.probe_all();
        self.ask_agents();
    }

    fn begin_probes(&self) {
        if self.probes.health.is_some() {
            return self.probes.tasks.begin();
        }
        self.learn(|| {
            for peer in self.roster().peers() {
                peer.vitals.standing.lock().forget_probes();
            }
        });
    }

    fn probe_all(self: &Arc<Self>) {
        if let Some(health) = &self.probes.health {
            let tasks = &self.probes.tasks;
            tasks.align(|| self.roster(), |peer| self.probe(peer, health));
        }
    }

    fn probe(self: &Arc<Self>, peer: &Arc<Peer>, health: &Arc<config::Health>) -> AbortHandle {
        let port = health.port;
        let target = Target {
            dial: port.map_or_else(|| peer.dial.clone(), |port| peer.dial.at_port(port)),
            host_field: self.host_field(peer),
            protocol: self.probes.protocol,
            // Who listens at a port of its own for probes is not the one that expects it.
            header: match port {
                None => introduce::header(self.probes.introduction, None),
                Some(_) => Vec::new(),
            },
        };
        let (pool, peer) = (Arc::downgrade(self), Arc::clone(peer));
        tokio::spawn(watch(pool, peer, target, Arc::clone(health))).abort_handle()
    }

    /// Follows, probes and asks agents no more: another pool is in force, and asks the same servers.
    /// Its idle connections are closed: nobody looks after them any more, and a response that is
    /// under way may keep its server, with all that belongs to it, for hours.
    pub fn end(&self) {
        self.step_down();
        self.stop_following();
        self.probes.tasks.end();
        self.agents.end();
        self.roster().peers().iter().for_each(|peer| peer.retire());
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
    sleep(health.interval.mul_f64(health.jitter * dice.part())).await;
    loop {
        let result = probe::ask(&target, &health).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        pool.probed(&peer, &health, result);
        drop(pool);
        sleep(attend::pause(health.interval, health.jitter, &dice)).await;
    }
}
