//! One server of an origin: its address and its connections.
//!
//! Idle connections are used last in, first out: the freshest is the likeliest to be alive, and
//! those not needed age out. Which server gets a request is `balance`'s business; what is known of
//! the server beyond its connections is in `vitals.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connect::{Connection, Lease};
use super::dial::Dial;
use super::error::{Error, Kind, Phase, Retry};
use super::gate::Gate;
use super::permit::{Permit, Permits};
use super::tls::Protocol;
use super::vitals::Vitals;
use crate::clock::{self, Instant};
use crate::config;

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
    /// Never held across an await: a push or a pop.
    idle: Mutex<VecDeque<Idle>>,
    /// Whether it has left the roster: nothing waits in the pool any more.
    retired: AtomicBool,
    /// One for each open connection.
    permits: Permits,
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
enum Way {
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
        Arc::new(Self {
            dial,
            gate: Gate::new(origin, &vitals),
            vitals,
            share: Mutex::new(share),
            nickname,
            limits: Limits {
                connect_timeout: origin.connect_timeout,
                connections_max: origin.connections_max,
                idle_timeout: origin.idle_timeout,
                idle_max: origin.idle_max,
            },
            idle: Mutex::default(),
            retired: AtomicBool::new(false),
            permits: Permits::new(origin.connections_max),
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
    }

    /// A connection to send one request on: a pooled one where allowed, else a new one.
    pub(super) async fn lease(self: &Arc<Self>, from_pool: bool) -> Result<Lease, Error> {
        let permit = match self.way(from_pool).await? {
            Way::Idle(connection) => {
                self.vitals.counters.reused.fetch_add(1, Ordering::Relaxed);
                return Ok(Lease::new(Arc::clone(self), connection, true));
            }
            Way::New(permit) => permit,
        };
        let timeout = self.limits.connect_timeout;
        let stream = self.dial.open(timeout, Protocol::Http1).await?;
        self.count_connect();
        let connection = Connection::open(stream, permit).await?;
        Ok(Lease::new(Arc::clone(self), connection, false))
    }

    /// A new connection for bytes of any protocol, and the leave to have it open.
    pub(super) async fn connect(&self) -> Result<(TcpStream, Permit), Error> {
        let full = || Error::new(Kind::Full, Phase::Connecting, Retry::Safe);
        let permit = self.permits.take().ok_or_else(full)?;
        let stream = self.dial.open_plain(self.limits.connect_timeout).await?;
        self.count_connect();
        Ok((stream, permit))
    }

    /// An idle connection where allowed, or leave to open one. Whoever asks is in flight, and no
    /// more requests are than connections may be: so if there is neither, a connection is being
    /// closed at this moment, or has become idle since we looked.
    async fn way(&self, from_pool: bool) -> Result<Way, Error> {
        if let Some(way) = self.find_way(from_pool).await {
            return Ok(way);
        }
        let full = || Error::new(Kind::Full, Phase::Connecting, Retry::Safe);
        let freed = self.permits.freed();
        let listener = freed.listen(self.limits.connections_max).ok_or_else(full)?;
        let look = async {
            loop {
                if let Some(way) = self.find_way(from_pool).await {
                    return way;
                }
                listener.heard().await;
            }
        };
        let found = timeout(self.limits.connect_timeout, look).await;
        found.map_err(|_| full())
    }

    async fn find_way(&self, from_pool: bool) -> Option<Way> {
        if from_pool && let Some(connection) = self.take_idle().await {
            return Some(Way::Idle(connection));
        }
        let permit = self.permits.take();
        if permit.is_none() && !from_pool {
            // The oldest of those that must not be used makes room.
            drop(self.idle.lock().pop_front());
        }
        permit.map(Way::New)
    }

    fn count_connect(&self) {
        let connects = &self.vitals.counters.connects;
        connects.fetch_add(1, Ordering::Relaxed);
    }

    /// The freshest idle connection that is alive.
    async fn take_idle(&self) -> Option<Connection> {
        loop {
            let mut idle = self.idle.lock().pop_back()?;
            if !idle.is_over() && idle.connection.ready().await {
                return Some(idle.connection);
            }
        }
    }

    /// Takes a connection back whose response has been read to its end.
    /// It waits for as long as is configured, or as its server `keeps` it, if that is less.
    pub(super) fn give_back(&self, connection: Connection, keeps: Option<Duration>) {
        if connection.is_closed() {
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
                since: clock::instant(),
                lasts,
            });
        }
        drop(idle);
        self.permits.freed().ring();
    }

    /// Closes connections that have been idle for too long or were closed by the server.
    pub(super) fn tidy(&self) {
        self.idle
            .lock()
            .retain(|idle| !idle.is_over() && !idle.connection.is_closed());
    }

    /// How many connections wait in the pool.
    pub(super) fn idle(&self) -> usize {
        self.idle.lock().len()
    }
}

// === impl Idle ===

impl Idle {
    fn is_over(&self) -> bool {
        self.since.elapsed() >= self.lasts
    }
}
