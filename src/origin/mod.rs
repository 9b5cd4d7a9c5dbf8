//! Where bytes come from: a pool of servers that answers requests.
//!
//! Choice of server, connection reuse, timeouts and retries are inside [`Pool::send`]. Whether to
//! ask at all, and what an answer is worth, is the pipeline's business.

mod balance;
mod budget;
mod connect;
mod dial;
mod error;
mod health;
mod hint;
mod interim;
mod load;
mod outlier;
mod peer;
mod probe;
mod raw;
mod registry;
mod retry;
mod sickness;
mod standing;
mod stats;
mod sticky;
mod tls;
mod triage;
mod vitals;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep_until, timeout_at};

pub use error::{Error, Kind, Phase, Retry};
pub use hint::{Asked, Hint};
pub use interim::{Interim, Sink};
pub use probe::Fault;
pub use raw::RawConnection;
pub use registry::Registry;
pub use standing::{State, Verdict};
pub use stats::ServerStats;
pub use sticky::Belongs;
pub use tls::BadTls;

use crate::body::{Body, Progress};
use crate::clock;
use crate::config;
use balance::{Balance, Choice, Crowd, Seat};
use budget::Budget;
use connect::{Lease, Unsent};
use dial::Dial;
use health::Probes;
use hint::Common;
use peer::Peer;
use retry::{Spare, TRIES_MAX};
use sickness::Sickness;
use sticky::Sticky;
use tls::Terms;
use triage::Triage;
use vitals::Vitals;

/// One origin: servers that answer the same requests.
pub struct Pool {
    name: Arc<str>,
    host: Option<HeaderValue>,
    peers: Vec<Arc<Peer>>,
    /// The same servers, as the balance sees them.
    crowd: Crowd,
    balance: Box<dyn Balance>,
    /// What requests of one server have in common, where the balance hashes.
    common: Option<Common>,
    /// How clients come back to their server, where they do.
    sticky: Option<Sticky>,
    /// The field in which servers say how full they are, where the balance listens.
    load_field: Option<HeaderName>,
    budget: Budget,
    first_byte_timeout: Duration,
    between_bytes_timeout: Duration,
    refuse_unknown_coding: bool,
    triage: Triage,
    probes: Probes,
    sickness: Sickness,
    refreshes: Arc<Semaphore>,
}

/// A response, and which server gave it.
pub struct Answer {
    /// Head as the origin sent it, without framing fields; body as it arrives.
    pub response: Response<Body>,
    /// `host:port` of the server, or `unix:/path`.
    pub server: Arc<str>,
}

// === impl Pool ===

impl Pool {
    /// A pool without connections; servers are resolved and connected to when needed.
    /// What is known of them comes along, in their order.
    fn new(config: &config::Origin, vitals: Vec<Arc<Vitals>>) -> Result<Arc<Self>, BadTls> {
        let peers = peers(config, vitals)?;
        let seats = peers
            .iter()
            .map(|peer| Seat::new(peer.authority(), Arc::clone(&peer.vitals.load)));
        let load_field = match &config.balance {
            config::Balance::Resource { field } => Some(field.clone()),
            _ => None,
        };
        let pool = Self {
            name: Arc::clone(&config.name),
            host: config.host.clone(),
            crowd: Crowd::new(seats),
            peers,
            balance: balance::of(&config.balance),
            common: Common::of(&config.balance),
            sticky: Sticky::new(config),
            load_field,
            budget: Budget::new(),
            first_byte_timeout: config.first_byte_timeout,
            between_bytes_timeout: config.between_bytes_timeout,
            refuse_unknown_coding: config.refuse_unknown_coding,
            triage: Triage::new(config),
            probes: Probes::new(config.health.as_ref()),
            sickness: Sickness::default(),
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

    /// Leave to ask for what no client waits for; `None` while that takes its share of the
    /// connections already.
    pub fn leave_to_refresh(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.refreshes).try_acquire_owned().ok()
    }

    /// Whether it could not be reached just now, or none of its servers is usable: what can be had
    /// without it should be.
    pub fn is_sick(&self) -> bool {
        self.triage.is_sick() || self.sickness.is_sick()
    }

    /// Whether so few servers are usable that all are asked.
    pub fn panics(&self) -> bool {
        self.triage.panics()
    }

    /// Closes idle connections that are too old, and lets servers come back whose time it is; to be
    /// called several times a second.
    pub fn tidy(&self) {
        self.peers.iter().for_each(|peer| peer.tidy());
        self.tick();
    }

    /// Sends a request whose head is ready for the wire; `upload` tells how its body moves, and
    /// `interim` takes what its server says before the answer.
    ///
    /// A connection that died in the pool is replaced, and a server that fails is passed over for
    /// another, as far as the request is safe to send again and the budget of retries lasts.
    ///
    /// # Errors
    /// The last try's [`Error`], counted with the server it happened at.
    pub async fn send(
        &self,
        request: Request<Body>,
        upload: Option<&Progress>,
        interim: Option<&Interim>,
    ) -> Result<Answer, Error> {
        self.budget.deposit();
        let answer = self.try_servers(request, upload, interim).await;
        match &answer {
            Ok(_) => self.sickness.recover(),
            Err(error) => self.sickness.note(error),
        }
        answer
    }

    async fn try_servers(
        &self,
        mut request: Request<Body>,
        upload: Option<&Progress>,
        interim: Option<&Interim>,
    ) -> Result<Answer, Error> {
        let hint: Hint = request.extensions_mut().remove().unwrap_or_default();
        let mut choice = Choice::by(hint.key);
        let its_own = hint.belongs.filter(|index| self.keeps(*index));
        let chosen = its_own.or_else(|| self.choose(&choice));
        let mut index = chosen.ok_or_else(no_server)?;
        let (mut from_pool, mut tries_left) = (true, TRIES_MAX);
        loop {
            tries_left -= 1;
            // For each try anew: a spare has no extensions.
            connect::report_interim(&mut request, interim);
            let Some(peer) = self.peers.get(index) else {
                return Err(no_server());
            };
            let spare = Spare::of(&request);
            let tried = self.try_once(peer, request, from_pool, upload).await;
            let Failed { unsent, stale } = match tried {
                Ok(answer) => {
                    self.note_answer(index, answer.response.status());
                    return Ok(answer);
                }
                Err(failed) => failed,
            };
            let Unsent {
                error,
                request: unsent,
            } = unsent;
            peer.vitals.counters.count_error(error.kind);
            // A stale connection says nothing against the server; a failure does.
            if !stale {
                self.note_failure(index, &error);
            }
            request = match spare.again(error.retry, unsent) {
                Some(again) if tries_left > 0 => again,
                _ => return Err(error),
            };
            // One is replaced without the budget's leave: there are no more stale connections than
            // answers that came whole, and of a request's tries it takes one.
            from_pool = !stale;
            if !stale {
                choice.has_tried(index);
                index = match self.choose_another(&choice, &error) {
                    Some(another) => another,
                    None => return Err(error),
                };
            }
        }
    }

    /// Whether the server at `index` takes those who belong to it.
    fn keeps(&self, index: usize) -> bool {
        self.crowd.seat(index).is_some_and(Seat::keeps)
    }

    /// The index of the server for a request.
    fn choose(&self, choice: &Choice) -> Option<usize> {
        let picked = self.balance.pick(&self.crowd, choice);
        picked.or_else(|| self.balance.pick(&self.crowd, &choice.in_reserve()))
    }

    /// The index of a server for a request that failed at others, if it may be sent once more.
    fn choose_another(&self, choice: &Choice, error: &Error) -> Option<usize> {
        let another = self.choose(choice)?;
        // Who accepted no connection has been sent nothing: this will be the only request. But a
        // connection that is waited for in vain is a load as well, on us.
        let is_free = error.phase == Phase::Connecting && error.kind != Kind::Timeout;
        (is_free || self.budget.withdraw()).then_some(another)
    }

    async fn try_once(
        &self,
        peer: &Arc<Peer>,
        request: Request<Body>,
        from_pool: bool,
        upload: Option<&Progress>,
    ) -> Result<Answer, Failed> {
        let began = clock::instant();
        let flight = peer.vitals.load.begin();
        let lease = match peer.lease(from_pool).await {
            Ok(lease) => lease.carrying(flight),
            Err(error) => {
                let unsent = Unsent {
                    error,
                    request: Some(Box::new(request)),
                };
                return Err(Failed {
                    unsent,
                    stale: false,
                });
            }
        };
        let stale = lease.is_reused();
        peer.vitals
            .counters
            .requests
            .fetch_add(1, Ordering::Relaxed);
        let response = self
            .await_head(lease, request, upload)
            .await
            .and_then(|response| self.admit(response).map_err(|error| error.into()))
            .map_err(|unsent| Failed { unsent, stale })?;
        // How long an upload takes is the client's affair as well.
        if upload.is_none() {
            peer.vitals.load.observe(began.elapsed());
        }
        self.hear_load(peer, response.headers());
        Ok(Answer {
            response,
            server: Arc::clone(peer.authority()),
        })
    }

    /// Notes what a server says of how full it is, where the balance listens.
    fn hear_load(&self, peer: &Peer, fields: &HeaderMap) {
        let said = self.load_field.as_ref().and_then(|name| fields.get(name));
        let percent = said.and_then(|it| it.to_str().ok()?.trim().parse().ok());
        if let Some(percent) = percent {
            peer.vitals.load.report(percent);
        }
    }

    /// One exchange under the first-byte timeout, which runs from the last byte of the request.
    /// It is for the whole head: interim responses and single bytes do not extend it.
    async fn await_head(
        &self,
        lease: Lease,
        request: Request<Body>,
        upload: Option<&Progress>,
    ) -> Result<Response<Body>, Unsent> {
        let exchange = lease.exchange(request, upload, self.between_bytes_timeout);
        let sent = clock::instant();
        let timed_out = || Error::new(Kind::Timeout, Phase::AwaitingHead, Retry::No).into();
        let Some(upload) = upload else {
            let deadline = sent + self.first_byte_timeout;
            return timeout_at(deadline, exchange)
                .await
                .unwrap_or_else(|_| Err(timed_out()));
        };
        let mut exchange = std::pin::pin!(exchange);
        let mut deadline = sent + self.first_byte_timeout;
        loop {
            tokio::select! {
                head = &mut exchange => return head,
                () = sleep_until(deadline) => {}
            }
            // While the client is awaited the origin is not; its silence has a limit of its own.
            let since = if upload.awaits_client() {
                clock::instant()
            } else {
                upload.moved()
            };
            let next = since + self.first_byte_timeout;
            if next <= deadline {
                return Err(timed_out());
            }
            deadline = next;
        }
    }

    /// Refuses what a proxy must not pass on, and takes the framing off: on the way out the body
    /// itself says how long it is.
    fn admit(&self, mut response: Response<Body>) -> Result<Response<Body>, Error> {
        // 101 was never asked for, since `Upgrade` is not forwarded (RFC 9110 §7.8).
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::malformed("101 without having been asked to switch"));
        }
        let fields = response.headers_mut();
        one_content_length(fields)?;
        if fields.contains_key(TRANSFER_ENCODING) {
            self.admit_coding(fields)?;
            fields.remove(TRANSFER_ENCODING);
        }
        Ok(response)
    }

    fn admit_coding(&self, fields: &HeaderMap) -> Result<(), Error> {
        // "[It] might indicate an attempt to perform request smuggling or response splitting […]
        // and ought to be handled as an error." (RFC 9112 §6.3, both framings in one message)
        if fields.contains_key(CONTENT_LENGTH) {
            return Err(Error::malformed(
                "both Content-Length and Transfer-Encoding",
            ));
        }
        let lines = fields.get_all(TRANSFER_ENCODING).iter();
        let codings: Vec<&[u8]> = lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .collect();
        let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
        // What is coded beneath the chunks would reach the client as if it were the content.
        let beside_chunked = codings.len() > 1 && codings.iter().any(is_chunked);
        let unknown = !codings.iter().all(is_chunked);
        if beside_chunked || (unknown && self.refuse_unknown_coding) {
            return Err(Error::malformed("a transfer coding other than chunked"));
        }
        Ok(())
    }
}

/// A quarter of all connections: the rest is for clients who wait.
fn refreshes_max(config: &config::Origin) -> usize {
    let connections = config.connections_max.saturating_mul(config.servers.len());
    (connections / 4).clamp(1, Semaphore::MAX_PERMITS)
}

/// The servers of an origin, each with what is known of it.
fn peers(config: &config::Origin, vitals: Vec<Arc<Vitals>>) -> Result<Vec<Arc<Peer>>, BadTls> {
    let terms = Terms::of(config)?;
    let peer = |(server, vitals): (&config::OriginServer, _)| {
        let dial = Dial::new(&server.url, config, terms.as_ref())?;
        Ok(Peer::new(dial, config, vitals))
    };
    config.servers.iter().zip(vitals).map(peer).collect()
}

/// A list of equal lengths becomes one, any other is refused (RFC 9110 §8.6): what goes on to the
/// client must leave no choice.
fn one_content_length(fields: &mut HeaderMap) -> Result<(), Error> {
    let lengths: Vec<&[u8]> = fields
        .get_all(CONTENT_LENGTH)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    let [first, others @ ..] = lengths.as_slice() else {
        return Ok(());
    };
    if first.is_empty()
        || !first.iter().all(u8::is_ascii_digit)
        || others.iter().any(|it| it != first)
    {
        return Err(Error::malformed("Content-Length"));
    }
    if !others.is_empty() {
        let one = HeaderValue::from_bytes(first);
        fields.insert(
            CONTENT_LENGTH,
            one.map_err(|_| Error::malformed("Content-Length"))?,
        );
    }
    Ok(())
}

fn no_server() -> Error {
    Error::new(Kind::NoServer, Phase::Connecting, Retry::No)
}

/// A try that failed, and whether only because its pooled connection had died.
struct Failed {
    unsent: Unsent,
    stale: bool,
}

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        Self {
            error,
            request: None,
        }
    }
}
