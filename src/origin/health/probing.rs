//! Active health checks: one task for each server probes it, for as long as its pool is in force.
//!
//! What is asked is in `probe.rs`, what follows in `server/standing.rs` and `servers.rs`.

use std::sync::{Arc, Weak};

use http::HeaderValue;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::debug;

use super::probe::{self, Target};
use super::servers::Servers;
use super::tasks::{self, ServerTasks};
use crate::clock;
use crate::config;
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
    /// The Host field towards the servers, where that is configured.
    host: Option<HeaderValue>,
    tasks: ServerTasks,
}

// === impl Probes ===

impl Probes {
    pub(in crate::origin) fn new(config: &config::Origin) -> Self {
        Self {
            health: config.health.clone().map(Arc::new),
            protocol: config.wire.version.into(),
            introduction: config.wire.proxy_protocol,
            host: config.host.clone(),
            tasks: ServerTasks::default(),
        }
    }

    /// Probes begin with the next [`Self::align`], now that the pool is in force. What earlier ones
    /// have said is forgotten where there are none now.
    pub(in crate::origin) fn begin(&self, servers: &Servers) {
        if self.health.is_some() {
            return self.tasks.begin();
        }
        servers.learn(|| {
            for peer in servers.roster().peers() {
                peer.vitals.standing.lock().forget_probes();
            }
        });
    }

    /// Probes those who are on the roster now.
    pub(in crate::origin) fn align(&self, servers: &Arc<Servers>) {
        if let Some(health) = &self.health {
            let probe = |peer: &Arc<Peer>| self.probe(servers, peer, health);
            self.tasks.align(|| servers.roster(), probe);
        }
    }

    pub(in crate::origin) fn end(&self) {
        self.tasks.end();
    }

    fn probe(
        &self,
        servers: &Arc<Servers>,
        peer: &Arc<Peer>,
        health: &Arc<config::Health>,
    ) -> AbortHandle {
        let port = health.port;
        let target = Target {
            dial: port.map_or_else(|| peer.dial.clone(), |port| peer.dial.at_port(port)),
            host_field: self.host_field(peer),
            protocol: self.protocol,
            // Who listens at a port of its own for probes is not the one that expects it.
            header: match port {
                None => introduce::header(self.introduction, None),
                Some(_) => Vec::new(),
            },
        };
        let (servers, peer) = (Arc::downgrade(servers), Arc::clone(peer));
        tokio::spawn(watch(servers, peer, target, Arc::clone(health))).abort_handle()
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
}

/// Probes one server until its pool is gone.
async fn watch(
    servers: Weak<Servers>,
    peer: Arc<Peer>,
    target: Target,
    health: Arc<config::Health>,
) {
    let dice = Dice::new();
    // Not all at once, but soon.
    sleep(health.interval.mul_f64(health.jitter * dice.part())).await;
    loop {
        let result = probe::ask(&target, &health).await;
        let Some(servers) = servers.upgrade() else {
            return;
        };
        match result {
            Some(result) => note(&servers, &peer, &health, result),
            None => debug!(origin = &*servers.origin, "no file descriptor for a probe"),
        }
        drop(servers);
        sleep(tasks::pause(health.interval, health.jitter, &dice)).await;
    }
}

/// A probe of a server has ended.
fn note(servers: &Servers, peer: &Peer, health: &config::Health, result: Result<(), Fault>) {
    let by = Threshold {
        rise: health.rise,
        fall: health.fall,
    };
    let vitals = &peer.vitals;
    if let Err(fault) = result {
        vitals.conduct.count_probe_failure();
        debug!(origin = &*servers.origin, server = &*vitals.authority, %fault, "probe failed");
    }
    let now = clock::instant();
    let changed = servers.learn(|| vitals.standing.lock().probed(result, by, now));
    servers.tell(vitals, changed);
    if result.is_ok() {
        servers.reprieve(vitals);
    }
}
