//! Where bytes come from: a pool of servers that answers requests.
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
mod health;
mod hint;
mod interim;
mod overload;
mod peer;
mod permit;
mod raw;
mod registry;
mod resolve;
mod retry;
mod roster;
mod send;
mod server;
mod stats;
mod sticky;
mod succession;

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use answer::Answer;
pub use dial::tls::BadTls;
pub use error::{Error, Kind, Phase, Retry, Why};
pub use hint::{Asked, Belongs, Hint};
pub use interim::{Interim, Sink};
pub use overload::{BreakerState, OverloadStats, Shed};
pub use raw::RawConnection;
pub use registry::Registry;
pub use resolve::{LookupStats, Resolver};
pub use server::{Downed, Fault, State, Verdict};
pub use stats::ServerStats;

use crate::config;
use crate::semantics::ends::Ends;
use discovery::Discovery;
use health::{Agents, Probes, Sickness, Triage};
use hint::Common;
use overload::{Bounds, Overload};
use peer::Timeouts;
use retry::{Hedging, Retries};
use roster::Roster;
use sticky::Sticky;
use succession::Over;

/// One origin: servers that answer the same requests.
pub struct Pool {
    name: Arc<str>,
    host: Option<HeaderValue>,
    roster: ArcSwap<Roster>,
    /// By which the roster changes.
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
    triage: Triage,
    probes: Probes,
    agents: Agents,
    sickness: Sickness,
    bounds: Bounds,
    overload: Arc<Overload>,
    over: Over,
    refreshes: Arc<Semaphore>,
}

// === impl Pool ===

impl Pool {
    /// A pool without connections; servers are connected to when needed. Who they are is the word of
    /// `discovery`, with what is known of them; what is known of all together comes along.
    fn new(
        config: &config::Origin,
        discovery: Discovery,
        overload: Arc<Overload>,
    ) -> Result<Arc<Self>, BadTls> {
        let sticky = Sticky::new(config);
        let load_field = match &config.balance {
            config::Balance::Resource { field } => Some(field.clone()),
            _ => None,
        };
        let pool = Self {
            name: Arc::clone(&config.name),
            host: config.host.clone(),
            roster: ArcSwap::from_pointee(discovery.first(sticky.as_ref())),
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
            triage: Triage::new(config),
            probes: Probes::new(config),
            agents: Agents::new(config.agent.as_ref()),
            sickness: Sickness::default(),
            bounds: Bounds::new(config),
            overload,
            over: Over::default(),
            refreshes: Arc::new(Semaphore::new(refreshes_max(config))),
        };
        pool.learn(|| ());
        Ok(Arc::new(pool))
    }

    /// The origin's name in the configuration.
    pub fn name(&self) -> &Arc<str> {
        &self.name
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
    pub fn introduce(&self, request: &mut Extensions, client: impl FnOnce() -> Ends) {
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
        self.triage.is_sick() || self.sickness.is_sick() || self.is_cut_off()
    }

    /// Whether so few servers are usable that all are asked.
    pub fn panics(&self) -> bool {
        self.triage.panics()
    }

    /// Closes idle connections that are too old, lets servers come back whose time it is, has
    /// connections ready, and has those who wait look again; to be called several times a second.
    pub fn tidy(&self) {
        self.roster().peers().iter().for_each(|peer| peer.tidy());
        self.tick();
        if let Some(hedging) = &self.hedging {
            hedging.tick();
        }
        self.warm();
        self.relieve();
    }

    /// The servers at this moment.
    fn roster(&self) -> Arc<Roster> {
        self.roster.load_full()
    }
}

/// A quarter of all connections: the rest is for clients who wait.
fn refreshes_max(config: &config::Origin) -> usize {
    let connections = config.connections_max.saturating_mul(config.servers.len());
    (connections / 4).clamp(1, Semaphore::MAX_PERMITS)
}
