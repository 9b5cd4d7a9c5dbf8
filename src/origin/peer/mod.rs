//! Peer: one server of an origin, its address and its connections.
//!
//! Here are those of HTTP/1.1, in `streams.rs` those of HTTP/2; `warm.rs` opens some ahead. Idle
//! ones are used last in, first out: the freshest is the likeliest to be alive, and those not
//! needed age out. Which server gets a request is `balance/`'s business; what is known of a server
//! beyond its connections is in `server/`.

mod lease;
mod streams;
mod switched;
mod warm;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use lease::Timeouts;
pub(super) use lease::{Blame, Lease, Unanswered};
pub use switched::Switched;

use super::age::Age;
use super::connect::http1::Connection;
use super::dial::Dial;
use super::dial::introduce;
use super::dial::tls::Protocol;
use super::error::{Error, Kind};
use super::permit::{Permit, Permits};
use super::server::{Gate, Vitals};
use crate::clock::{self, Instant};
use crate::config;
use crate::semantics::proxy_protocol::Endpoints;
use lease::Way;
use streams::Streams;
use warm::Warmth;

/// One server.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) dial: Dial,
    pub(super) vitals: Arc<Vitals>,
    /// Never held across an await: it is copied. SRV records may change it.
    share: Mutex<Share>,
    /// What stands before it.
    pub(super) gate: Gate,
    /// What it is called in cookies, where they name servers.
    pub(super) nickname: Option<Box<str>>,
    limits: Limits,
    /// Its connections of HTTP/2, where it may be spoken to in that.
    streams: Option<Arc<Streams>>,
    /// Never held across an await: a push or a pop.
    idle: Mutex<VecDeque<Idle>>,
    /// Whether it has left the roster: nothing waits in the pool any more.
    retired: AtomicBool,
    /// One for each open connection.
    permits: Permits,
    /// How it is told whose a connection is, if it is.
    introduction: Option<config::ProxyVersion>,
    age: Age,
    warmth: Warmth,
}

/// What the configuration gives a server among its siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) weight: u32,
    /// Whether it is only used when no other can answer.
    pub(super) backup: bool,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    connect_timeout: Duration,
    connections_max: usize,
    idle_timeout: Duration,
    idle_max: usize,
}

/// What a request can be sent on.
enum Found {
    Idle(Connection),
    New(Permit),
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
    /// How long it is worth waiting here.
    lasts: Duration,
}

// === impl Peer ===

impl Peer {
    pub(super) fn new(
        dial: Dial,
        share: Share,
        nickname: Option<Box<str>>,
        origin: &config::Origin,
        vitals: Arc<Vitals>,
    ) -> Arc<Self> {
        let streams = Streams::new(&origin.wire).map(Arc::new);
        Arc::new(Self {
            dial,
            gate: Gate::new(origin, &vitals, streams.as_ref().map(|it| it.each())),
            permits: Permits::new(origin.connections_max, &vitals.connections, &vitals.ceiling),
            vitals,
            share: Mutex::new(share),
            nickname,
            limits: Limits {
                connect_timeout: origin.connect_timeout,
                connections_max: origin.connections_max,
                idle_timeout: origin.idle_timeout,
                idle_max: origin.idle_max,
            },
            streams,
            idle: Mutex::default(),
            retired: AtomicBool::new(false),
            introduction: origin.wire.proxy_protocol,
            age: Age::new(origin.wire.age_max),
            warmth: Warmth::new(origin.wire.idle_min),
        })
    }

    /// `host:port`, or `unix:/path`, for the log.
    pub(super) fn authority(&self) -> &Arc<str> {
        &self.vitals.authority
    }

    /// Its share among its siblings.
    pub(super) fn share(&self) -> Share {
        *self.share.lock()
    }

    /// Gives it another share, by which it is weighed when its siblings are weighed next.
    pub(super) fn set_share(&self, share: Share) {
        *self.share.lock() = share;
    }

    /// It has left the roster: its idle connections are closed, and those in use when they are
    /// given back.
    pub(super) fn retire(&self) {
        let mut idle = self.idle.lock();
        self.retired.store(true, Ordering::Relaxed);
        idle.clear();
        if let Some(streams) = &self.streams {
            streams.retire();
        }
    }

    /// A connection to send one request on: a pooled one where allowed, else a new one. Or a stream
    /// of one that is shared, unless the request `may_switch` protocols.
    pub(super) async fn lease(
        self: &Arc<Self>,
        from_pool: bool,
        client: Option<Endpoints>,
        may_switch: bool,
    ) -> Result<Lease, Error> {
        if let Some(streams) = self.streams.as_ref().filter(|_| !may_switch) {
            return streams.lease(self, from_pool).await;
        }
        let permit = match self.find(from_pool, client).await? {
            Found::Idle(connection) => {
                self.count_reuse();
                return Ok(Lease::new(Arc::clone(self), Way::Whole(connection), true));
            }
            Found::New(permit) => permit,
        };
        let connection = self.open(permit, client).await?;
        Ok(Lease::new(Arc::clone(self), Way::Whole(connection), false))
    }

    async fn open(&self, permit: Permit, client: Option<Endpoints>) -> Result<Connection, Error> {
        let timeout = self.limits.connect_timeout;
        let header = introduce::header(self.introduction, client);
        let opened = self.dial.open(timeout, Protocol::Http1, &header).await;
        let (stream, _) = opened?;
        self.count_connect();
        Connection::open(stream, permit, self.age.over_at(), client).await
    }

    /// Opens a connection that waits for a request.
    async fn open_ahead(self: &Arc<Self>) -> Result<(), Error> {
        match &self.streams {
            Some(streams) => streams.open_ahead(self).await,
            None => {
                self.give_back(self.open(self.permit()?, None).await?, None);
                Ok(())
            }
        }
    }

    /// A new connection for bytes of any protocol, and the leave to have it open.
    pub(super) async fn connect(&self) -> Result<(TcpStream, Permit), Error> {
        let permit = self.permit()?;
        let stream = self.dial.open_plain(self.limits.connect_timeout).await?;
        self.count_connect();
        Ok((stream, permit))
    }

    fn connect_timeout(&self) -> Duration {
        self.limits.connect_timeout
    }

    /// Leave to open one connection more.
    fn permit(&self) -> Result<Permit, Error> {
        self.permits.take().ok_or_else(|| self.full())
    }

    /// An idle connection where allowed, or leave to open one. Whoever asks is in flight, and no
    /// more requests are than connections may be: so if there is neither, a connection is being
    /// closed at this moment, or has become idle since we looked.
    async fn find(&self, from_pool: bool, client: Option<Endpoints>) -> Result<Found, Error> {
        if let Some(found) = self.look(from_pool, client).await {
            return Ok(found);
        }
        let freed = self.permits.freed();
        let listener = freed.listen(self.limits.connections_max);
        let listener = listener.ok_or_else(|| self.full())?;
        let look = async {
            loop {
                if let Some(found) = self.look(from_pool, client).await {
                    return found;
                }
                self.permits.may_be_had(listener.heard()).await;
            }
        };
        let found = timeout(self.limits.connect_timeout, look).await;
        // Of several rings that nobody was there to hear one is kept.
        freed.ring();
        found.map_err(|_| self.full())
    }

    /// Leave to open one connection more, as soon as there is any; `None` where that has become
    /// needless meanwhile.
    async fn permit_unless(&self, is_needless: impl Fn() -> bool) -> Result<Option<Permit>, Error> {
        if let Some(permit) = self.permits.take() {
            return Ok(Some(permit));
        }
        let freed = self.permits.freed();
        let listener = freed.listen(self.limits.connections_max);
        let listener = listener.ok_or_else(|| self.full())?;
        let look = async {
            loop {
                match self.permits.take() {
                    None if !is_needless() => self.permits.may_be_had(listener.heard()).await,
                    permit => return permit,
                }
            }
        };
        let permit = timeout(self.limits.connect_timeout, look).await;
        freed.ring();
        permit.map_err(|_| self.full())
    }

    /// Why there is no leave for a connection.
    fn full(&self) -> Error {
        match self.permits.is_out_of_descriptors() {
            true => Error::out_of_descriptors(),
            false => Error::connecting(Kind::Full),
        }
    }

    /// Has those look again who wait for a connection.
    fn ring(&self) {
        self.permits.freed().ring();
    }

    async fn look(&self, from_pool: bool, client: Option<Endpoints>) -> Option<Found> {
        if from_pool && let Some(connection) = self.take_idle(client).await {
            return Some(Found::Idle(connection));
        }
        if let Some(permit) = self.permits.take() {
            return Some(Found::New(permit));
        }
        if !from_pool || self.introduction.is_some() {
            // The oldest of those that must not be used makes room.
            drop(self.idle.lock().pop_front());
        }
        self.permits.take().map(Found::New)
    }

    fn count_connect(&self) {
        let connects = &self.vitals.counters.connects;
        connects.fetch_add(1, Ordering::Relaxed);
    }

    fn count_reuse(&self) {
        self.vitals.counters.reused.fetch_add(1, Ordering::Relaxed);
    }

    /// The freshest idle connection that is alive and may carry this client's requests: where
    /// nobody is introduced, all may.
    async fn take_idle(&self, client: Option<Endpoints>) -> Option<Connection> {
        loop {
            let mut idle = {
                let mut idle = self.idle.lock();
                let index = idle.iter().rposition(|it| it.connection.is_for(client))?;
                idle.remove(index)?
            };
            if !idle.is_over(clock::instant()) && idle.connection.ready().await {
                return Some(idle.connection);
            }
        }
    }

    /// Takes a connection back whose response has been read to its end. It waits for as long as is
    /// configured, or as its server `keeps` it, if that is less.
    pub(super) fn give_back(&self, mut connection: Connection, keeps: Option<Duration>) {
        let since = clock::instant();
        if connection.is_closed() || connection.is_over(since) {
            return;
        }
        let idle_timeout = self.limits.idle_timeout;
        let lasts = keeps.map_or(idle_timeout, |keeps| keeps.min(idle_timeout));
        let mut idle = self.idle.lock();
        // It is set under the same lock.
        if self.retired.load(Ordering::Relaxed) {
            return;
        }
        if idle.len() >= self.limits.idle_max {
            idle.pop_front();
        }
        if self.limits.idle_max > 0 {
            idle.push_back(Idle {
                connection,
                since,
                lasts,
            });
        }
        drop(idle);
        self.ring();
    }

    /// Closes connections that have been idle for too long, are too old, or were closed by the
    /// server; and all idle ones where descriptors are lacking.
    pub(super) fn tidy(&self) {
        let now = clock::instant();
        // Where descriptors are lacking, others may need them at once.
        let keeps = !self.permits.is_out_of_descriptors();
        self.idle
            .lock()
            .retain_mut(|idle| keeps && !idle.is_over(now) && !idle.connection.is_closed());
        if let Some(streams) = &self.streams {
            streams.tidy(self.limits.idle_timeout, self.limits.idle_max);
        }
    }

    /// How many connections wait in the pool.
    pub(super) fn idle(&self) -> usize {
        let streams = self.streams.as_ref().map_or(0, |it| it.idle());
        self.idle.lock().len() + streams
    }

    /// How many connections could take a request at once.
    fn ready(&self) -> usize {
        let streams = self.streams.as_ref().map_or(0, |it| it.ready());
        self.idle.lock().len() + streams
    }

    /// How many connections there may be.
    pub(super) fn connections_max(&self) -> usize {
        self.limits.connections_max
    }

    /// How many connections are open, or being opened, those from before a reload included.
    pub(super) fn opened(&self) -> usize {
        self.vitals.connections.load(Ordering::Relaxed)
    }
}

// === impl Idle ===

impl Idle {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= self.lasts || self.connection.is_over(now)
    }
}
