//! Service discovery by DNS: servers join a pool's roster and leave it while requests are under
//! way.
//!
//! Who should be on the roster is reckoned in `plan.rs`, and names are looked up in `resolve/`.
//! A server that leaves gets no new requests; those that it has end as they would have, and its
//! idle connections are closed.

mod plan;

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use super::dial::Dial;
use super::dial::tls::{BadTls, Terms};
use super::health::Servers;
use super::peer::{Peer, Share};
use super::registry::Registry;
use super::resolve::{Known, LookupStats, Name, Resolver};
use super::roster::Roster;
use super::sticky::Sticky;
use crate::config;
use plan::{Identity, Source, Wanted};

/// What servers of a pool are made of, now and whenever DNS says something else.
pub(super) struct Discovery {
    /// The limits of its servers, their balance, and how many there may be.
    origin: config::Origin,
    /// In the order written.
    servers: Box<[Template]>,
    /// The names that they have, each once.
    names: Vec<Arc<Name>>,
    registry: Registry,
    resolver: Arc<Resolver>,
    /// Whether the origin was at work already when the pool was made, by a reload.
    is_late: bool,
    /// Those who wait for news; none before the pool is in force.
    followers: Mutex<JoinSet<()>>,
}

/// A server as it is written.
struct Template {
    dial: Dial,
    authority: Arc<str>,
    share: Share,
    /// Whether it stands for as many as its name leads to, by this port or that of SRV records.
    many: Option<u16>,
}

/// The servers of a pool by what is known now.
struct Muster {
    peers: Vec<Arc<Peer>>,
    /// Those of them that are new.
    joined: Vec<Arc<Peer>>,
    /// Those that are no longer among them.
    left: Vec<Arc<Peer>>,
    /// How many were found beyond `servers_max`.
    left_out: usize,
}

// === impl Discovery ===

impl Discovery {
    pub(super) fn new(
        origin: &config::Origin,
        registry: &Registry,
        resolver: &Arc<Resolver>,
    ) -> Result<Self, BadTls> {
        let terms = Terms::of(origin)?;
        let template = |server: &config::OriginServer| {
            let dial = match registry.dialer() {
                Some(dialer) => Dial::Memory(dialer.clone(), Arc::clone(&origin.name)),
                None => Dial::new(server, origin, terms.as_ref(), registry.names())?,
            };
            Ok(Template {
                dial,
                authority: server.url.authority().into(),
                share: Share {
                    weight: server.weight,
                    backup: server.backup,
                },
                many: many(server),
            })
        };
        let servers = origin.servers.iter().map(template);
        let servers = servers.collect::<Result<Box<[Template]>, BadTls>>()?;
        Ok(Self {
            names: names(&servers),
            servers,
            origin: origin.clone(),
            registry: registry.clone(),
            resolver: Arc::clone(resolver),
            is_late: registry.is_at_work(&origin.name),
            followers: Mutex::default(),
        })
    }

    /// The servers of a pool that begins.
    pub(super) fn first(&self, sticky: Option<&Sticky>) -> Roster {
        let muster = self.muster(&[], sticky);
        Roster::new(muster.peers, &self.origin.balance)
    }

    /// The servers by what is known now, after those `before`. Who stays is the same, with its
    /// connections, but for its share.
    fn muster(&self, before: &[Arc<Peer>], sticky: Option<&Sticky>) -> Muster {
        let sources: Vec<_> = self.servers.iter().map(Template::source).collect();
        let (wanted, left_out) = plan::wanted(&sources, self.origin.servers_max);
        let identities: Vec<_> = before.iter().map(|it| identity(it)).collect();
        let change = plan::change(&identities, &wanted);
        let mut muster = Muster {
            peers: Vec::with_capacity(wanted.len()),
            joined: Vec::new(),
            left: Vec::new(),
            left_out,
        };
        for (wanted, at) in wanted.iter().zip(change.stay) {
            if let Some(peer) = at.and_then(|at| before.get(at)) {
                peer.set_share(wanted.share);
                muster.peers.push(Arc::clone(peer));
            } else if let Some(peer) = self.peer(wanted, &identities, sticky) {
                muster.peers.push(Arc::clone(&peer));
                muster.joined.push(peer);
            }
        }
        let left = change.leave.into_iter().filter_map(|at| before.get(at));
        muster.left = left.cloned().collect();
        muster
    }

    /// A new server. It starts slowly if others are at work: those that were there before the pool,
    /// or that the same name led to.
    fn peer(
        &self,
        wanted: &Wanted,
        before: &[Identity],
        sticky: Option<&Sticky>,
    ) -> Option<Arc<Peer>> {
        let template = self.servers.get(wanted.source)?;
        let dial = match wanted.address {
            Some(address) => template.dial.found_at(address),
            None => template.dial.in_epoch(wanted.identity.epoch),
        };
        let found_by = &wanted.identity.found_by;
        let is_further = found_by.is_some() && before.iter().any(|it| it.found_by == *found_by);
        let slowly = self.is_late || is_further;
        let authority = &wanted.identity.authority;
        let vitals = self.registry.enter(&self.origin.name, authority, slowly);
        let nickname = sticky.map(|sticky| sticky.nickname(authority));
        Some(Peer::new(
            dial,
            wanted.share,
            nickname,
            &self.origin,
            vitals,
        ))
    }

    /// The way to a host beside the servers, whose name is looked up from here on.
    pub(super) fn way_to(&self, host: &Arc<str>, port: u16) -> Dial {
        let dial = Dial::plain(host, port, self.registry.names());
        if let Some(name) = dial.name() {
            name.begin(&self.resolver);
        }
        dial
    }

    /// Waits until one of the first lookups has brought something or all have ended, or for as long
    /// as a connection may take. Whether there are servers now.
    async fn has_found_any(&self) -> bool {
        let mut answers = JoinSet::new();
        for name in &self.names {
            let name = Arc::clone(name);
            answers.spawn(async move { name.first_endpoints().await.is_some() });
        }
        let found = async {
            while let Some(answer) = answers.join_next().await {
                if answer.is_ok_and(|is_good| is_good) {
                    return true;
                }
            }
            false
        };
        let found = timeout(self.origin.connect_timeout, found).await;
        // Who waits in vain finds no server.
        found.unwrap_or(false)
    }

    /// Where there is no server as yet, for the names of all are still being looked up for the first
    /// time, that is waited for.
    pub(super) async fn staffed(&self, servers: &Servers, sticky: Option<&Sticky>) {
        if servers.is_empty() && self.has_found_any().await {
            self.follow(servers, sticky);
        }
    }

    /// Has names looked up, and `follow` called at once and whenever there is news of one, until it
    /// says that its pool is gone.
    pub(super) fn begin(&self, follow: impl Fn() -> bool + Clone + Send + 'static) {
        let mut followers = self.followers.lock();
        for name in &self.names {
            followers.spawn(watch(follow.clone(), name.news()));
            name.begin(&self.resolver);
        }
    }

    /// Calls for news no more: another pool is in force.
    pub(super) fn end(&self) {
        self.followers.lock().abort_all();
    }

    /// Takes in what is known of the servers' names now.
    pub(super) fn follow(&self, servers: &Servers, sticky: Option<&Sticky>) {
        let mut changed = None;
        servers.replace(|roster| {
            let muster = self.muster(roster.peers(), sticky);
            let next = (!muster.is_same_as(roster.peers()))
                .then(|| Roster::new(muster.peers.iter().cloned(), &self.origin.balance));
            changed = Some(muster);
            next
        });
        if let Some(muster) = changed {
            muster.left.iter().for_each(|peer| peer.retire());
            muster.tell(&self.origin.name);
        }
    }

    /// How the lookups of the servers' names have ended.
    pub(super) fn lookups(&self) -> Vec<LookupStats> {
        self.names.iter().map(|it| it.stats()).collect()
    }
}

// === impl Template ===

impl Template {
    /// What it stands for by what is known now.
    fn source(&self) -> Source {
        let (name, share) = (self.dial.name(), self.share);
        match (self.many, name) {
            (Some(port), Some(name)) => Source::Many {
                name: Arc::clone(name.text()),
                port,
                share,
                endpoints: name.known().endpoints,
            },
            _ => Source::One {
                authority: Arc::clone(&self.authority),
                share,
                epoch: name.map_or(0, |it| it.known().epoch),
            },
        }
    }
}

// === impl Muster ===

impl Muster {
    fn is_same_as(&self, peers: &[Arc<Peer>]) -> bool {
        let pairs = || self.peers.iter().zip(peers);
        self.peers.len() == peers.len() && pairs().all(|(one, other)| Arc::ptr_eq(one, other))
    }

    fn tell(&self, origin: &str) {
        for peer in &self.joined {
            let server = &**peer.authority();
            match peer.dial.found_by() {
                Some(name) => info!(origin, server, name = &**name, "server found"),
                None => info!(origin, server, "server has other addresses"),
            }
        }
        for peer in self.left.iter().filter(|it| it.dial.found_by().is_some()) {
            info!(origin, server = &**peer.authority(), "server gone");
        }
        let has_changed = !self.joined.is_empty() || !self.left.is_empty();
        if self.left_out > 0 && has_changed {
            let left_out = self.left_out;
            warn!(
                origin,
                left_out, "DNS names more servers than `servers_max`"
            );
        }
    }
}

/// The names that servers have, each once.
fn names(servers: &[Template]) -> Vec<Arc<Name>> {
    let mut names: Vec<Arc<Name>> = Vec::new();
    for name in servers.iter().filter_map(|it| it.dial.name()) {
        if !names.iter().any(|it| Arc::ptr_eq(it, name)) {
            names.push(Arc::clone(name));
        }
    }
    names
}

/// Whether a server stands for many, and the port of those without SRV record.
fn many(server: &config::OriginServer) -> Option<u16> {
    match (server.resolve, &server.url) {
        (config::Resolve::Each | config::Resolve::Srv, config::ServerUrl::Tcp { port, .. }) => {
            Some(*port)
        }
        _ => None,
    }
}

fn identity(peer: &Peer) -> Identity {
    Identity {
        authority: Arc::clone(peer.authority()),
        found_by: peer.dial.found_by().cloned(),
        epoch: peer.dial.epoch(),
    }
}

/// Follows a name for as long as `follow` says that its pool is there.
async fn watch(follow: impl Fn() -> bool, mut news: watch::Receiver<Known>) {
    while follow() {
        if news.changed().await.is_err() {
            return;
        }
    }
}
