//! The operator's door: its own listener, its own token, never a way for traffic.
//!
//! | path | does |
//! |---|---|
//! | `POST /api/v1/purge` | `{"url":…}`, `{"prefix":…}`, `{"host":…}` or `{"all":true}`, with `"soft":true` if wished |
//! | `POST /api/v1/reload` | reads the configuration again, as SIGHUP does |
//! | `GET /api/v1/explain?url=…` | what the cache knows of a URL, and what a GET would meet |
//! | `GET /api/v1/status` | counters, store and origins as JSON |
//! | `GET /api/v1/origins` | origins and how their servers stand |
//! | `PUT /api/v1/origins/{origin}/servers/{server}` | `{"state":…}`, `{"weight":…}` or both |
//! | `GET /metrics` | the same for Prometheus |
//! | `GET /healthz`, `GET /readyz` | alive; ready for traffic |
//!
//! It sees the floors below through [`Doors`], which whoever builds the program fills in.

mod api;
mod explain;
mod metrics;
mod note;
mod origins;

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config;
use crate::origin::Pool;
use crate::store::{Inspection, Invalidation, Store};
use crate::telemetry::{Family, Forecast, Telemetry};

/// The longest request body the API reads.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Operators and scrapers at once.
const CONNECTIONS_MAX: usize = 64;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be used over and over.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Forgets what is meant, and tells how many objects that were, where it is known.
pub type Invalidate = Box<dyn Fn(&Invalidation) -> Option<u64> + Send + Sync>;

/// What would become of a GET for a URL with these fields, and what is stored of it; why not, if it
/// is no URL.
pub type Explain =
    Box<dyn Fn(&str, HeaderMap) -> Result<(Forecast, Inspection), String> + Send + Sync>;

/// What the operator may see and do, handed in by whoever built it.
pub struct Doors {
    /// Where objects live.
    pub store: Arc<Store>,
    /// Where facts go.
    pub telemetry: Arc<Telemetry>,
    /// The origins in force at this moment.
    pub pools: Box<dyn Fn() -> Vec<Arc<Pool>> + Send + Sync>,
    /// What the rate limits have counted.
    pub limits: Box<dyn Fn() -> Vec<Family> + Send + Sync>,
    /// Client connections open at this moment.
    pub connections: Box<dyn Fn() -> u64 + Send + Sync>,
    /// How long the process has been running.
    pub uptime: Box<dyn Fn() -> Duration + Send + Sync>,
    /// Whether new traffic is welcome.
    pub ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// Purges.
    pub invalidate: Invalidate,
    /// Tells what the cache knows of an absolute URL.
    pub explain: Explain,
    /// Reads the configuration again; the complaints if it was refused.
    pub reload: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

/// The admin listener's service.
pub struct Admin {
    doors: Doors,
    token: Option<config::Secret>,
}

type Answer = Response<Full<Bytes>>;

// === impl Admin ===

impl Admin {
    /// A door that opens with `config`'s token, or to anybody where it has none.
    pub fn new(config: &config::Admin, doors: Doors) -> Arc<Self> {
        Arc::new(Self {
            doors,
            token: config.token.clone(),
        })
    }

    /// Serves `listener` for as long as the process lives: an operator wants to see a drain too.
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let admin = Arc::clone(&self);
            tokio::spawn(async move {
                admin.serve(stream).await;
                drop(permit);
            });
        }
    }

    async fn serve(&self, stream: TcpStream) {
        let service = service_fn(|request| async {
            let answered = timeout(REQUEST_TIMEOUT, self.answer(request)).await;
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

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
        let is_put = *request.method() == Method::PUT;
        let is_post = *request.method() == Method::POST;
        // Probes of an orchestrator come without a token.
        match path.as_str() {
            "/healthz" if is_get => return text(StatusCode::OK, "ok\n"),
            "/readyz" if is_get => return self.ready(),
            _ => {}
        }
        if let Err(refused) = self.admit(&request) {
            return *refused;
        }
        match path.as_str() {
            "/" if is_get => text(StatusCode::OK, INDEX),
            "/metrics" if is_get => metrics::answer_scrape(&self.doors),
            "/api/v1/status" if is_get => api::status(&self.doors),
            "/api/v1/explain" if is_get => explain::answer(&self.doors, &request),
            "/api/v1/purge" if is_post => match read(request).await {
                Ok(body) => api::purge(&self.doors, &body),
                Err(refused) => refused,
            },
            "/api/v1/reload" if is_post => api::reload(&self.doors),
            "/api/v1/origins" if is_get => origins::list(&self.doors),
            path if path.starts_with(ORIGINS) && is_put => match read(request).await {
                Ok(body) => origins::put(&self.doors, &path[ORIGINS.len()..], &body),
                Err(refused) => refused,
            },
            path if path.starts_with(ORIGINS) => {
                text(StatusCode::METHOD_NOT_ALLOWED, "wrong method\n")
            }
            "/" | "/metrics" | "/healthz" | "/readyz" | "/api/v1/status" | "/api/v1/explain"
            | "/api/v1/purge" | "/api/v1/reload" | "/api/v1/origins" => {
                text(StatusCode::METHOD_NOT_ALLOWED, "wrong method\n")
            }
            _ => text(StatusCode::NOT_FOUND, INDEX),
        }
    }

    fn ready(&self) -> Answer {
        if (self.doors.ready)() {
            text(StatusCode::OK, "ready\n")
        } else {
            text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        }
    }

    fn admit(&self, request: &Request<Incoming>) -> Result<(), Box<Answer>> {
        if is_from_another_site(request) {
            return Err(text(StatusCode::FORBIDDEN, "not from another site\n").into());
        }
        let Some(token) = &self.token else {
            return Ok(());
        };
        let given = request.headers().get(AUTHORIZATION);
        if given.is_some_and(|given| is_bearer(given.as_bytes(), token.expose())) {
            return Ok(());
        }
        let mut refused = text(StatusCode::UNAUTHORIZED, "a bearer token is wanted\n");
        let challenge = HeaderValue::from_static("Bearer");
        refused
            .headers_mut()
            .insert(http::header::WWW_AUTHENTICATE, challenge);
        Err(refused.into())
    }
}

/// Where servers are found, by origin.
const ORIGINS: &str = "/api/v1/origins/";

const INDEX: &str = "copal admin\n\n\
    POST /api/v1/purge    {\"url\":\"http://host/path\"}, {\"prefix\":\"http://host/path/\"}, {\"host\":\"host\"}\n\
    \x20                     or {\"all\":true}, with \"soft\":true if wished\n\
    POST /api/v1/reload\n\
    GET  /api/v1/status\n\
    GET  /api/v1/explain?url=http%3A%2F%2Fhost%2Fpath, with &header=Name%3A%20value if wished\n\
    GET  /api/v1/origins\n\
    PUT  /api/v1/origins/{origin}/servers/{server}  {\"state\":\"ready\", \"drain\" or \"maintenance\", \"weight\":0 to 256}\n\
    GET  /metrics\n\
    GET  /healthz\n\
    GET  /readyz\n";

/// A page of some other site in the operator's browser must not reach through: neither from its
/// own origin, nor under a name that it lets lead here. Only browsers say whence they come, and
/// they do for all that changes something.
fn is_from_another_site(request: &Request<Incoming>) -> bool {
    let Some(origin) = request.headers().get(ORIGIN) else {
        return false;
    };
    let from = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.parse::<Uri>().ok());
    let from = from.as_ref().and_then(Uri::authority);
    let is_here = from.is_some_and(|from| {
        let own = request.headers().get(HOST).map(HeaderValue::as_bytes);
        let name = from.host().trim_start_matches('[').trim_end_matches(']');
        let is_local = name.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost");
        is_local && own == Some(from.as_str().as_bytes())
    });
    !is_here
}

/// Whether these are the credentials of RFC 6750 §2.1, compared in constant time.
fn is_bearer(given: &[u8], token: &str) -> bool {
    let Some((scheme, rest)) = given.split_at_checked("Bearer ".len()) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"Bearer ") && rest.ct_eq(token.as_bytes()).into()
}

async fn read(request: Request<Incoming>) -> Result<Bytes, Answer> {
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX);
    let whole = body.collect().await;
    whole.map(|body| body.to_bytes()).map_err(|_| {
        text(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body broke off or is longer than 64 KiB\n",
        )
    })
}

fn text(status: StatusCode, text: &str) -> Answer {
    answer(status, "text/plain; charset=utf-8", text.to_owned())
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
