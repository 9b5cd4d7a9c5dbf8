//! One server of an origin: its address and its connections.
//!
//! Idle connections are used last in, first out: the freshest is the likeliest to be alive, and
//! those not needed age out. Which server gets a request is `balance`'s business; what is known of
//! the server beyond its connections is in `vitals.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connect::{Connection, Lease};
use super::dial::Dial;
use super::error::{Error, Kind, Phase, Retry};
use super::tls::Protocol;
use super::vitals::Vitals;
use crate::clock::{self, Instant};
use crate::config;

/// One server.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) dial: Dial,
    pub(super) vitals: Arc<Vitals>,
    pub(super) share: Share,
    /// What it is called in cookies, where they name servers.
    pub(super) nickname: Option<Box<str>>,
    limits: Limits,
    /// Never held across an await: a push or a pop.
    idle: Mutex<VecDeque<Idle>>,
    /// One permit for each open connection.
    pub(super) connections: Arc<Semaphore>,
}

/// What the configuration gives a server among its siblings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) weight: u32,
    /// Whether it is only used when no other can answer.
    pub(super) backup: bool,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    connect_timeout: Duration,
    idle_timeout: Duration,
    idle_max: usize,
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
            vitals,
            share,
            nickname,
            limits: Limits {
                connect_timeout: origin.connect_timeout,
                idle_timeout: origin.idle_timeout,
                idle_max: origin.idle_max,
            },
            idle: Mutex::default(),
            connections: Arc::new(Semaphore::new(origin.connections_max)),
        })
    }

    /// `host:port`, or `unix:/path`, for the log.
    pub(super) fn authority(&self) -> &Arc<str> {
        &self.vitals.authority
    }

    /// A connection to send one request on: a pooled one where allowed, else a new one.
    pub(super) async fn lease(self: &Arc<Self>, from_pool: bool) -> Result<Lease, Error> {
        if from_pool && let Some(connection) = self.take_idle().await {
            self.vitals.counters.reused.fetch_add(1, Ordering::Relaxed);
            return Ok(Lease::new(Arc::clone(self), connection, true));
        }
        let permit = self.permit()?;
        let timeout = self.limits.connect_timeout;
        let stream = self.dial.open(timeout, Protocol::Http1).await?;
        self.count_connect();
        let connection = Connection::open(stream, permit).await?;
        Ok(Lease::new(Arc::clone(self), connection, false))
    }

    /// A new connection for bytes of any protocol, and the permit to have it open.
    pub(super) async fn connect(&self) -> Result<(TcpStream, OwnedSemaphorePermit), Error> {
        let permit = self.permit()?;
        let stream = self.dial.open_plain(self.limits.connect_timeout).await?;
        self.count_connect();
        Ok((stream, permit))
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        let full = || Error::new(Kind::Full, Phase::Connecting, Retry::Safe);
        Arc::clone(&self.connections)
            .try_acquire_owned()
            .map_err(|_| full())
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
    pub(super) fn give_back(&self, mut connection: Connection, keeps: Option<Duration>) {
        if connection.is_closed() {
            return;
        }
        let idle_timeout = self.limits.idle_timeout;
        let lasts = keeps.map_or(idle_timeout, |keeps| keeps.min(idle_timeout));
        let mut idle = self.idle.lock();
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
    }

    /// Closes connections that have been idle for too long or were closed by the server.
    pub(super) fn tidy(&self) {
        self.idle
            .lock()
            .retain_mut(|idle| !idle.is_over() && !idle.connection.is_closed());
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
