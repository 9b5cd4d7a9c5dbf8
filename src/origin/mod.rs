//! Pool of servers that answer the same requests: where bytes come from.
//!
//! Choice of server, connection reuse, timeouts and retries are inside [`Pool::send`]. Whether to
//! ask at all, and what an answer is worth, is the pipeline's business.

mod age;
mod answer;
mod balance;
mod bell;
mod connect;
mod dial;
mod dice;
mod discovery;
mod error;
mod failures;
mod handover;
mod health;
mod hint;
mod interim;
mod overload;
mod peer;
mod permit;
mod race;
mod raw;
mod registry;
mod resolve;
mod retry;
mod roster;
mod send;
mod server;
mod stats;
mod sticky;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use answer::Answer;
pub use dial::Dialer;
pub use dial::tls::BadTls;
pub use error::{Error, Kind, Phase, Retry, Why};
pub use hint::{Asked, Belongs, Hint};
pub use interim::{Interim, Sink};
pub use overload::{BreakerState, OverloadStats, Shed};
pub use peer::{Switched, Timeouts};
pub use raw::RawConnection;
pub use registry::Registry;
pub use resolve::{LookupStats, Resolver};
pub use server::{Ailment, Downed, Durations, Fault, State, Verdict};
pub use stats::ServerStats;

use crate::config;
use crate::semantics::proxy_protocol::Endpoints;
use balance::Candidate;
use discovery::Discovery;
use failures::Failures;
use handover::Handover;
use health::{Agents, Probes, Reachability, Servers};
use hint::Common;
use overload::Overload;
use peer::Peer;
use retry::{Hedging, Retries};
use roster::Roster;
use sticky::Sticky;

/// One origin: servers that answer the same requests.
pub struct Pool {
    name: Arc<str>,
    host: Option<HeaderValue>,
    servers: Arc<Servers>,
    /// By which the servers change.
    discovery: Discovery,
    /// What requests of one server have in common, where the balance hashes.
    common: Option<Common>,
    /// How clients come back to their server, where they do.
    sticky: Option<Sticky>,
    /// The field in which servers say how full they are, where the balance listens.
    load_field: Option<HeaderName>,
    retries: Retries,
    /// Where slow requests are sent to another server as well.
    hedging: Option<Hedging>,
    timeouts: Timeouts,
    refuse_unknown_coding: bool,
    /// Whether servers are told whose a connection is.
    introduces: bool,
    probes: Probes,
    agents: Agents,
    reachability: Reachability,
    overload: Overload,
    failures: Failures,
    handover: Handover,
    refreshes: Arc<Semaphore>,
}

// === impl Pool ===

impl Pool {
    /// A pool without connections, which goes on with what `registry` knows of its servers, and has
    /// names looked up by `resolver`. It is not yet in force: see [`Self::begin`].
    ///
    /// # Errors
    /// The origin's `tls` table cannot be used.
    pub fn new(
        config: &config::Origin,
        registry: &Registry,
        resolver: &Arc<Resolver>,
    ) -> Result<Arc<Self>, BadTls> {
        // Held from here on, so that the servers find these and no others.
        let (overload, in_force) = registry.origin(&config.name);
        let discovery = Discovery::new(config, registry, resolver)?;
        let sticky = Sticky::new(config);
        let load_field = match &config.balance {
            config::Balance::Resource { field } => Some(field.clone()),
            _ => None,
        };
        Ok(Arc::new(Self {
            name: Arc::clone(&config.name),
            host: config.host.clone(),
            servers: Servers::new(config, discovery.first(sticky.as_ref())),
            discovery,
            common: Common::of(&config.balance),
            sticky,
            load_field,
            retries: Retries::new(&config.retry),
            hedging: config.hedge.as_ref().map(Hedging::new),
            timeouts: Timeouts {
                first_byte: config.first_byte_timeout,
                between_bytes: config.between_bytes_timeout,
            },
            refuse_unknown_coding: config.refuse_unknown_coding,
            introduces: config.wire.proxy_protocol.is_some(),
            probes: Probes::new(config),
            agents: Agents::new(config.agent.as_ref()),
            reachability: Reachability::default(),
            overload: Overload::new(config, overload),
            failures: Failures::default(),
            handover: Handover::new(in_force),
            refreshes: Arc::new(Semaphore::new(refreshes_max(config))),
        }))
    }

    /// Begins to follow its servers, to probe them and to ask their agents, now that it is in force.
    /// What earlier probes and agents have said is forgotten where there are none now. Those who wait
    /// for a server look among its own at once.
    pub fn begin(self: &Arc<Self>) {
        self.probes.begin(&self.servers);
        self.agents.begin(&self.servers);
        self.align_tasks();
        let pool = Arc::downgrade(self);
        self.discovery.begin(move || match pool.upgrade() {
            Some(pool) => {
                pool.follow();
                true
            }
            None => false,
        });
        self.handover.take_over(&self.servers);
        self.overload.relieve();
    }

    /// Follows, probes and asks agents no more: another pool is in force, and asks the same servers.
    /// Its idle connections are closed: nobody looks after them any more, and a response that is
    /// under way may keep its server, with all that belongs to it, for hours.
    pub fn end(&self) {
        self.handover.retire();
        self.discovery.end();
        self.probes.end();
        self.agents.end();
        self.roster().peers().iter().for_each(|peer| peer.retire());
        self.tell_rest();
    }

    /// Takes in what is known of its servers' names now.
    fn follow(&self) {
        self.discovery.follow(&self.servers, self.sticky.as_ref());
        self.align_tasks();
    }

    /// Probes, and asks the agents of, those who are its servers now.
    fn align_tasks(&self) {
        self.probes.align(&self.servers);
        let way_to = |host: &Arc<str>, port| self.discovery.way_to(host, port);
        self.agents.align(&self.servers, way_to);
    }

    /// The origin's name in the configuration.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How long its servers may be silent, unless a request has [`Timeouts`] of its own among its
    /// extensions.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// What `Host` says towards the servers, when it is not what the client asked for.
    pub fn host(&self) -> Option<&HeaderValue> {
        self.host.as_ref()
    }

    /// What decides on the server of a request; `None` where nothing does, and then the request
    /// is not looked at.
    pub fn hint<'a>(&self, asked: impl FnOnce() -> Asked<'a>) -> Option<Hint> {
        let is_wanted = self.common.is_some() || self.sticky.is_some();
        is_wanted.then(|| Hint::by(self.common.as_ref(), &asked()))
    }

    /// Takes our cookie out of a request's fields; the server that it names, if it is good.
    pub fn take_sticky(&self, fields: &mut HeaderMap, now: SystemTime) -> Option<Belongs> {
        let sticky = self.sticky.as_ref()?;
        sticky.take(|| self.roster(), fields, now)
    }

    /// The `Set-Cookie` for a client that `server` has answered, if it needs one.
    pub fn sticky_cookie(
        &self,
        server: &str,
        had: Option<Belongs>,
        now: SystemTime,
        is_secure: bool,
    ) -> Option<HeaderValue> {
        let sticky = self.sticky.as_ref()?;
        sticky.cookie(&self.roster(), server, had, now, is_secure)
    }

    /// Has a request tell whose it is, if the servers want to know.
    pub fn introduce(&self, request: &mut Extensions, client: impl FnOnce() -> Endpoints) {
        if self.introduces {
            request.insert(client());
        }
    }

    /// Leave to ask for what no client waits for; `None` while that takes its share of the
    /// connections already.
    pub fn leave_to_refresh(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.refreshes).try_acquire_owned().ok()
    }

    /// Whether it could not be reached just now, or its breaker is open, or none of its servers is
    /// usable: what can be had without it should be.
    pub fn is_sick(&self) -> bool {
        self.servers.is_sick() || self.reachability.is_sick() || self.overload.is_cut_off()
    }

    /// Whether so few servers are usable that all are asked.
    pub fn panics(&self) -> bool {
        self.servers.panics()
    }

    /// How long a request waits for the head of its answer before it is sent to another server as
    /// well; `None` where none is, or not yet.
    pub fn hedges_after(&self) -> Option<Duration> {
        self.hedging.as_ref()?.after()
    }

    /// Sets what the operator wants of a server: its state, or that its agent decides again; and a
    /// weight in place of the configured one, or that again. What is not given stays. False if there
    /// is no such server.
    pub fn adjust(
        &self,
        server: &str,
        state: Option<Option<State>>,
        weight: Option<Option<u32>>,
    ) -> bool {
        self.servers.adjust(server, state, weight)
    }

    /// The figures of its servers, in the order of the configuration.
    pub fn stats(&self) -> Vec<ServerStats> {
        let roster = self.roster();
        let of = |(peer, candidate): (&Arc<Peer>, &Candidate)| {
            ServerStats::of(peer, candidate, self.servers.report(peer))
        };
        roster.candidates().map(of).collect()
    }

    /// How the lookups of its servers' names have ended.
    pub fn lookups(&self) -> Vec<LookupStats> {
        self.discovery.lookups()
    }

    /// What its origin has to do beyond what its servers can bear.
    pub fn overload(&self) -> OverloadStats {
        self.overload.stats()
    }

    /// Closes idle connections that are too old, lets servers come back whose time it is, has
    /// connections ready, and has those who wait look again; to be called several times a second.
    pub fn tidy(&self) {
        self.roster().peers().iter().for_each(|peer| peer.tidy());
        self.servers.tick();
        if let Some(hedging) = &self.hedging {
            hedging.tick();
        }
        for peer in self.roster().peers() {
            peer.warm(|| self.servers.report(peer).verdict.is_usable());
        }
        self.tell_untold();
        self.overload.relieve();
    }

    /// The servers at this moment.
    fn roster(&self) -> Arc<Roster> {
        self.servers.roster()
    }

    /// The servers to be asked at this moment: those of the pool in force.
    fn roster_in_force(&self) -> Arc<Roster> {
        self.handover.roster(&self.servers)
    }
}

/// A quarter of all connections: the rest is for clients who wait.
fn refreshes_max(config: &config::Origin) -> usize {
    let connections = config.connections_max.saturating_mul(config.servers.len());
    (connections / 4).clamp(1, Semaphore::MAX_PERMITS)
}
