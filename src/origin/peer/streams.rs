//! HTTP/2 connections of one server: which of them an exchange shares, and when there is another.
//!
//! One connection itself is in `connect/http2.rs`. Where the server may turn out to speak HTTP/1.1,
//! its connections are pooled in `mod.rs` as ever, once that is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::uri::Scheme;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use super::lease::{Lease, Way};
use super::{Found, Peer};
use crate::clock;
use crate::config;
use crate::origin::connect::http1;
use crate::origin::connect::http2::{Connection, Http2Stream};
use crate::origin::dial::tls::Protocol;
use crate::origin::error::{Error, Kind, Phase, Retry};
use crate::origin::permit::Permit;

/// How often a request waits for a connection whose room others have taken when it comes.
const ROUNDS_MAX: usize = 8;

/// The HTTP/2 connections of one server.
#[derive(Debug)]
pub(super) struct Streams {
    /// What is offered to the server: HTTP/2 or either.
    offer: Protocol,
    streams_max: usize,
    /// How many requests one connection carries at once, as far as is known: the streams of the newest
    /// one, as many as configured before there is one, and one if the server took HTTP/1.1. Written
    /// under the lock, together with `declined`.
    each: Arc<AtomicUsize>,
    /// Whether the server, given the choice, took HTTP/1.1 last.
    declined: AtomicBool,
    /// Never held across an await.
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Oldest first, which get streams first: so those beyond need fall idle.
    connections: Vec<Arc<Connection>>,
    opening: Option<Opening>,
}

/// A connection that is being opened for those who wait for it.
#[derive(Debug)]
struct Opening {
    waiting: usize,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What has become of an opening: none of a failure can be had twice, so all who waited get its
/// kind and its text.
type Outcome = Result<(), (Kind, Retry, Arc<str>)>;

/// What there is for an exchange at this moment.
enum Entry {
    Stream(Http2Stream),
    /// A connection is on its way.
    Wait(watch::Receiver<Option<Outcome>>),
}

/// A connection just opened.
enum Opened {
    Http1(http1::Connection),
    Http2(Arc<Connection>),
}

// === impl Streams ===

impl Streams {
    /// `None` for an origin that is spoken to in HTTP/1.1.
    pub(super) fn new(config: &config::Wire) -> Option<Self> {
        let offer = config.version.into();
        (offer != Protocol::Http1).then(|| Self {
            offer,
            streams_max: config.streams_max,
            each: Arc::new(AtomicUsize::new(config.streams_max)),
            declined: AtomicBool::new(false),
            shared: Mutex::default(),
        })
    }

    /// How many requests one connection carries at once, as far as is known at any time.
    pub(super) fn each(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.each)
    }

    /// A stream on a connection with room, or else on one that is opened. Many who come at once open
    /// no more connections than they need.
    pub(super) async fn lease(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        from_pool: bool,
    ) -> Result<Lease, Error> {
        for _ in 0..ROUNDS_MAX {
            if self.declined.load(Ordering::Relaxed) {
                return self.lease_alone(peer, from_pool).await;
            }
            let mut outcome = match self.enter(peer) {
                Entry::Stream(stream) => return Ok(on(peer, stream, from_pool)),
                Entry::Wait(outcome) => outcome,
            };
            let ended = outcome.wait_for(Option::is_some).await;
            match ended.ok().and_then(|it| it.clone()) {
                Some(Ok(())) => {}
                Some(Err((kind, retry, why))) => {
                    return Err(Error::new(kind, Phase::Connecting, retry).because(&*why));
                }
                // The runtime is being taken down.
                None => return Err(Error::connecting(Kind::Closed)),
            }
        }
        Err(Error::connecting(Kind::Full))
    }

    /// A connection of its own for each exchange, as long as the server wants it so.
    async fn lease_alone(&self, peer: &Arc<Peer>, from_pool: bool) -> Result<Lease, Error> {
        let permit = match peer.find(from_pool, None).await? {
            Found::Idle(connection) => {
                peer.count_reuse();
                return Ok(Lease::new(Arc::clone(peer), Way::Whole(connection), true));
            }
            Found::New(permit) => permit,
        };
        match self.open(peer, permit).await? {
            Opened::Http1(connection) => {
                Ok(Lease::new(Arc::clone(peer), Way::Whole(connection), false))
            }
            Opened::Http2(connection) => {
                let stream = connection.enter();
                self.add(peer, connection);
                let stream = stream.ok_or_else(|| Error::connecting(Kind::Full))?;
                Ok(on(peer, stream, from_pool))
            }
        }
    }

    fn enter(self: &Arc<Self>, peer: &Arc<Peer>) -> Entry {
        let (now, mut shared) = (clock::instant(), self.shared.lock());
        let is_good = |it: &Arc<Connection>| !it.is_closed() && !it.is_over(now);
        shared.connections.retain(is_good);
        if let Some(stream) = shared.connections.iter().find_map(Connection::enter) {
            return Entry::Stream(stream);
        }
        if let Some(opening) = &mut shared.opening
            && opening.waiting < self.each.load(Ordering::Relaxed)
        {
            opening.waiting += 1;
            return Entry::Wait(opening.outcome.clone());
        }
        let outcome = self.begin(peer);
        shared.opening = Some(Opening {
            waiting: 1,
            outcome: outcome.clone(),
        });
        Entry::Wait(outcome)
    }

    /// Opens a connection in a task of its own: who has caused it may leave, and others wait for it
    /// as well.
    fn begin(self: &Arc<Self>, peer: &Arc<Peer>) -> watch::Receiver<Option<Outcome>> {
        let (tell, outcome) = watch::channel(None);
        let (streams, peer, mine) = (Arc::clone(self), Arc::clone(peer), outcome.clone());
        tokio::spawn(async move {
            let opened = streams.open_in_turn(&peer).await;
            streams.forget(&mine);
            let shared = |error: Error| (error.kind, error.retry, text(&error).into());
            tell.send_replace(Some(opened.map_err(shared)));
        });
        outcome
    }

    /// Who comes now waits for another opening.
    fn forget(&self, outcome: &watch::Receiver<Option<Outcome>>) {
        let opening = &mut self.shared.lock().opening;
        let is_it = |it: &Opening| it.outcome.same_channel(outcome);
        if opening.as_ref().is_some_and(is_it) {
            *opening = None;
        }
    }

    /// Opens a connection as soon as there may be one more, unless there is room without it.
    async fn open_in_turn(&self, peer: &Arc<Peer>) -> Result<(), Error> {
        let is_needless = || self.declined.load(Ordering::Relaxed) || self.ready() > 0;
        match peer.permit_unless(is_needless).await? {
            Some(permit) => self.open_for_all(peer, permit).await,
            None => Ok(()),
        }
    }

    /// Opens a connection for whoever needs one.
    pub(super) async fn open_ahead(&self, peer: &Arc<Peer>) -> Result<(), Error> {
        self.open_for_all(peer, peer.permit()?).await
    }

    async fn open_for_all(&self, peer: &Arc<Peer>, permit: Permit) -> Result<(), Error> {
        match self.open(peer, permit).await? {
            Opened::Http1(connection) => {
                self.decline();
                peer.give_back(connection, None);
            }
            Opened::Http2(connection) => self.add(peer, connection),
        }
        Ok(())
    }

    fn add(&self, peer: &Peer, connection: Arc<Connection>) {
        let mut shared = self.shared.lock();
        self.declined.store(false, Ordering::Relaxed);
        self.learn_width(&connection);
        shared.connections.push(connection);
        drop(shared);
        peer.ring();
    }

    /// The server wants a connection of its own for each exchange.
    fn decline(&self) {
        let _shared = self.shared.lock();
        self.declined.store(true, Ordering::Relaxed);
        self.each.store(1, Ordering::Relaxed);
    }

    /// A server that allows no stream at this moment will allow one. The lock is held by who calls.
    fn learn_width(&self, newest: &Connection) {
        self.each.store(newest.width().max(1), Ordering::Relaxed);
    }

    async fn open(&self, peer: &Peer, permit: Permit) -> Result<Opened, Error> {
        let time_max = peer.connect_timeout();
        // The configuration's check keeps introductions to HTTP/1.1.
        let (stream, spoken) = peer.dial.open(time_max, self.offer, &[]).await?;
        peer.count_connect();
        if spoken != Protocol::Http2 {
            let opened = http1::Connection::open(stream, permit, peer.age.over_at(), None).await?;
            return Ok(Opened::Http1(opened));
        }
        let scheme = match peer.dial.is_secure() {
            true => Scheme::HTTPS,
            false => Scheme::HTTP,
        };
        let over_at = peer.age.over_at();
        let opened = Connection::open(stream, permit, scheme, self.streams_max, over_at);
        let opened = timeout(time_max, opened).await;
        let opened = opened.unwrap_or_else(|_| Err(Error::connecting(Kind::Timeout)))?;
        Ok(Opened::Http2(Arc::new(opened)))
    }

    /// Closes connections that nobody has used for so long or that are too old, and all that are
    /// idle beyond so many.
    pub(super) fn tidy(&self, idle_timeout: Duration, idle_max: usize) {
        let (now, mut idle) = (clock::instant(), 0);
        let connections = &mut self.shared.lock().connections;
        if let Some(newest) = connections.last()
            && !self.declined.load(Ordering::Relaxed)
        {
            self.learn_width(newest);
        }
        connections.retain(|connection| {
            if connection.is_closed() || connection.is_over(now) {
                return false;
            }
            let time = connection.idle();
            idle += usize::from(time.is_some());
            time.is_none_or(|time| time < idle_timeout && idle <= idle_max)
        });
    }

    /// Takes no more streams on those there are; each is closed when its last one has ended.
    pub(super) fn retire(&self) {
        self.shared.lock().connections.clear();
    }

    /// How many connections have room for a stream.
    pub(super) fn ready(&self) -> usize {
        let shared = self.shared.lock();
        let ready = shared.connections.iter().filter(|it| it.has_room());
        ready.count()
    }

    /// How many connections have no stream.
    pub(super) fn idle(&self) -> usize {
        let shared = self.shared.lock();
        let idle = shared.connections.iter().filter(|it| it.idle().is_some());
        idle.count()
    }
}

fn on(peer: &Arc<Peer>, stream: Http2Stream, from_pool: bool) -> Lease {
    if stream.is_reused() {
        peer.count_reuse();
    }
    Lease::new(Arc::clone(peer), Way::Stream(stream), from_pool)
}

/// What has happened beneath an error, for the log.
fn text(error: &Error) -> String {
    let cause = error.source.as_ref();
    cause.map_or_else(|| error.kind.to_string(), ToString::to_string)
}
