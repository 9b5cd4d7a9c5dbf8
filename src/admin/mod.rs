//! Admin listener of the operator: its own socket, its own token, never a way for traffic.
//!
//! What may be asked is the table of `routes.rs`. It asks the floors below itself; what only the top
//! floor knows is told by a [`Process`].

mod access;
mod answer;
mod api;
mod call;
mod dashboard;
mod explain;
mod explain_text;
mod figures;
mod metrics;
mod origins;
mod process;
mod purge;
mod requests;
mod routes;

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::RwLock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::info;

use crate::config::{self, Change, Document, Scope};
use crate::pipeline::Current;
use crate::store::Store;
use crate::telemetry::Telemetry;
use access::Access;
use answer::{Answer, text};
use call::Call;
use routes::{Handler, Routes};

/// The longest request body the API reads.
const BODY_BYTES_MAX: usize = 64 * 1024;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be used over and over.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// What the listener calls itself, so that the commands know whom they give a token to.
pub const NAME: &str = "copal admin";
/// The same where a token is wanted (RFC 6750 §3).
pub const CHALLENGE: &str = "Bearer realm=\"copal admin\"";
const NAME_REFUSED: &str = "without a token, only an IP address, localhost or a name below localhost is \
                            taken as Host; use one, or set `token` of [admin]";

/// The process as a whole, which only the floor above knows.
pub trait Process: Send + Sync {
    /// Client connections open at this moment.
    fn connections(&self) -> u64;

    /// Those of them that have been answered and are only heard out.
    fn lingering(&self) -> u64;

    /// How many there may be.
    fn connections_max(&self) -> u64;

    /// Whether new traffic is welcome.
    fn is_ready(&self) -> bool;

    /// Reads the configuration again; what is different then.
    ///
    /// # Errors
    /// The complaints, if it was refused.
    fn reload(&self) -> Result<Vec<Change>, String>;

    /// How the last load of the configuration ended.
    fn last_reload(&self) -> LastReload;

    /// The configuration in force.
    fn document(&self) -> Document;

    /// Whose memory it allocates from.
    fn allocator(&self) -> &'static str;
}

/// How the last load of the configuration ended; the first was the process's start.
#[derive(Clone, Debug)]
pub struct LastReload {
    /// Whether it was put in force.
    pub is_good: bool,
    /// Since when what is in force has been.
    pub in_force_since: SystemTime,
}

/// A call that was to change something, for the log.
struct Audit {
    who: Arc<str>,
    peer: IpAddr,
    what: String,
    body: Bytes,
}

/// A connection, with or without TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A socket on which operators are awaited.
pub trait Accepting: Send + Sync + 'static {
    /// The next connection, and whose it is.
    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, IpAddr)>> + Send;
}

/// A handshake; `None` when it fails.
pub type Securing = Pin<Box<dyn Future<Output = Option<Box<dyn Stream>>> + Send>>;

/// What shakes hands with a client before it is listened to.
pub type Secure = Arc<dyn Fn(TcpStream) -> Securing + Send + Sync>;

/// The admin listener's service.
pub struct Admin {
    routes: Routes,
    current: Arc<Current>,
    store: Arc<Store>,
    telemetry: Arc<Telemetry>,
    process: Box<dyn Process>,
    access: Access,
    /// `None` where operators speak in clear.
    secure: RwLock<Option<Secure>>,
}

// === impl Admin ===

impl Admin {
    /// A service that opens with `config`'s token, or to anybody where it has none.
    pub fn new(
        config: &config::Admin,
        current: &Arc<Current>,
        store: &Arc<Store>,
        telemetry: &Arc<Telemetry>,
        process: impl Process + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            routes: Routes::new(),
            current: Arc::clone(current),
            store: Arc::clone(store),
            telemetry: Arc::clone(telemetry),
            process: Box::new(process),
            access: Access::new(config),
            secure: RwLock::new(None),
        })
    }

    /// Has requests carry other tokens from now on, those of open connections too.
    pub fn set_access(&self, config: &config::Admin) {
        self.access.change(config);
    }

    /// Has operators shake hands from now on, or speak in clear.
    pub fn set_secure(&self, secure: Option<Secure>) {
        *self.secure.write() = secure;
    }

    /// Serves these until the task is ended; not by a drain, which an operator wants to see too.
    /// Operators and scrapers may have so many connections at once.
    pub async fn run<A: Accepting>(self: Arc<Self>, listeners: Vec<A>, connections_max: usize) {
        let permits = Arc::new(Semaphore::new(connections_max));
        let serving = listeners
            .into_iter()
            .map(|it| Arc::clone(&self).serve_all(it, Arc::clone(&permits)));
        // They end with this task.
        JoinSet::from_iter(serving).join_all().await;
    }

    async fn serve_all(self: Arc<Self>, listener: impl Accepting, permits: Arc<Semaphore>) {
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let Ok((stream, peer)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let admin = Arc::clone(&self);
            tokio::spawn(async move {
                admin.serve(stream, peer).await;
                drop(permit);
            });
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, peer: IpAddr) {
        let secure = self.secure.read().clone();
        let secured: Option<Box<dyn Stream>> = match secure {
            Some(secure) => secure(stream).await,
            None => Some(Box::new(stream)),
        };
        let Some(stream) = secured else { return };
        let service = service_fn(|request| async {
            let answered = timeout(REQUEST_TIMEOUT, self.answer(request, peer)).await;
            let late = || text(StatusCode::REQUEST_TIMEOUT, "the request took too long\n");
            Ok::<_, Infallible>(answered.unwrap_or_else(|_| late()))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        // A client that reads nothing must not hold one of the few places for ever. That one
        // breaks off is its own affair.
        if timeout(CONNECTION_TIMEOUT, connection.as_mut())
            .await
            .is_err()
        {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(REQUEST_TIMEOUT, connection).await;
        }
    }

    async fn answer(self: &Arc<Self>, request: Request<Incoming>, peer: IpAddr) -> Answer {
        let (head, body) = request.into_parts();
        let found = self.routes.find(&head.method, head.uri.path());
        // What there is not, nobody is told without a token.
        let scope = found.as_ref().map_or(Some(Scope::Read), |(it, _)| it.scope);
        let admitted = scope.map(|scope| self.access.admit(&head.headers, &head.uri, scope));
        let who = match admitted.transpose() {
            Ok(who) => who,
            Err(refused) => return *refused,
        };
        let (endpoint, parameters) = match found {
            Ok(found) => found,
            Err(answer) => return *answer,
        };
        let body = match head.method {
            Method::GET | Method::HEAD => Bytes::new(),
            _ => match read(body).await {
                Ok(body) => body,
                Err(refused) => return refused,
            },
        };
        let audit = who.filter(|_| endpoint.changes()).map(|who| Audit {
            who,
            peer,
            what: format!("{} {}", head.method, head.uri.path()),
            body: body.clone(),
        });
        let call = Call {
            head,
            parameters,
            body,
        };
        let answer = self.call(endpoint.handler, call).await;
        if let Some(audit) = audit {
            audit.tell(&answer);
        }
        answer
    }

    /// On a thread that may wait: a reload reads files, and all that traffic needs is the others.
    async fn call(self: &Arc<Self>, handler: Handler, call: Call) -> Answer {
        let admin = Arc::clone(self);
        let answered = tokio::task::spawn_blocking(move || handler(&admin, &call));
        let failed = |_| text(StatusCode::INTERNAL_SERVER_ERROR, "the answer failed\n");
        answered.await.unwrap_or_else(failed)
    }
}

// === impl Audit ===

impl Audit {
    fn tell(&self, answer: &Answer) {
        /// Of a body that is longer, so many bytes are told.
        const BYTES_MAX: usize = 500;
        let (who, peer, status) = (&self.who, self.peer, answer.status().as_u16());
        let body = &self.body[..self.body.len().min(BYTES_MAX)];
        let body = String::from_utf8_lossy(body);
        // Escaped: whoever sends it must not write lines of the log.
        info!(%who, %peer, status, body = ?body, "admin: {}", self.what);
    }
}

async fn read(body: Incoming) -> Result<Bytes, Answer> {
    let body = Limited::new(body, BODY_BYTES_MAX);
    let whole = body.collect().await;
    whole.map(|body| body.to_bytes()).map_err(|_| {
        text(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body broke off or is longer than 64 KiB\n",
        )
    })
}
