//! HTTP connection of a client: hyper parses, the pipeline answers, the watch keeps the time.
//!
//! The door to hyper's server. A connection alternates between being driven here and waiting in
//! `park.rs`. What a request means is the pipeline's business.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::{Method, Request, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::Service;
use super::interim::{Queue, Turn};
use super::io::Watched;
use super::park::{self, First};
use super::socket::{LAST_WORD, Socket};
use super::watch::{ConnectionTimeouts, Idle, InProgress, Stream, Verdict, Watch};
use crate::acme::Challenges;
use crate::body::{Body, Error, Incoming, Limits, Progress};
use crate::clock;
use crate::config;
use crate::pipeline::{self, Client, Refusal, SiteHandle};
use crate::semantics::client_cert::{CLIENT_CERT, CLIENT_CERT_CHAIN};

/// The largest buffer of one connection: two of the largest heads, and a bound on what a slow
/// client keeps in memory.
const BUFFER_BYTES_MIN: usize = 64 * 1024;
const STREAMS_MAX: u32 = 100;
const STREAM_BUFFER_BYTES: usize = 64 * 1024;

/// What the requests of one connection have in common, as long as it is driven.
struct Conversation {
    service: Arc<Service>,
    client: Client,
    /// The site in force, as far as this connection has noticed.
    site: Mutex<SiteHandle>,
    watch: Arc<Watch>,
    /// `None` for HTTP/2.
    interim: Option<Arc<Queue>>,
}

/// How a driven connection came back.
enum Driven {
    /// It is over.
    Closed,
    /// Nothing is happening on it, or it is to go on by another site's settings.
    Idle(Socket, Bytes),
}

/// A body that keeps its connection busy until it is gone.
struct Tracked {
    body: Body,
    hold: Hold,
}

/// How a body keeps its connection busy.
enum Hold {
    /// By itself: what it has handed out is hyper's to write at once.
    Body { _in_progress: InProgress },
    /// With each of its pieces: h2 takes one whole and sends it as the client makes room.
    Stream(Arc<Stream>),
}

/// A piece of a body on its way to the socket.
struct Piece {
    bytes: Bytes,
    stream: Option<Arc<Stream>>,
}

// === impl Conversation ===

impl Conversation {
    /// The site in force at this moment.
    fn site(&self) -> SiteHandle {
        let mut site = self.site.lock();
        site.renew(&self.service.shared.current);
        site.clone()
    }

    fn timeouts(&self) -> ConnectionTimeouts {
        ConnectionTimeouts::new(self.site().server())
    }

    /// Polls the connection, and looks at its watch whenever the alarm rings. Gives `Ended` when the
    /// connection has ended by itself, `Close` when it must end; `Park` when nothing happens on it, or when
    /// another site has taken the place of the one that its settings are of, if they can change.
    async fn drive(
        &self,
        mut connection: Pin<&mut impl Future<Output = hyper::Result<()>>>,
        settings_of: Option<&SiteHandle>,
    ) -> Verdict {
        let idle = settings_of.map_or(Idle::Stays, |_| Idle::Parks);
        let mut alarm = pin!(sleep(self.timeouts().shortest()));
        let mut drain = pin!(self.service.drain.begun());
        let mut draining = false;
        poll_fn(move |cx| {
            loop {
                let is_outdated = settings_of.is_some_and(|site| site.is_replaced());
                if is_outdated && self.watch.is_between_requests() {
                    return Poll::Ready(Verdict::Park);
                }
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    self.note_end(ended);
                    return Poll::Ready(Verdict::Ended);
                }
                if !draining && drain.as_mut().poll(cx).is_ready() {
                    draining = true;
                    alarm.as_mut().reset(clock::instant());
                }
                if alarm.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                match self.watch.verdict(&self.timeouts(), draining, idle) {
                    Verdict::GoOn(time) => alarm.as_mut().reset(clock::instant() + time),
                    verdict => return Poll::Ready(verdict),
                }
                // While a response is awaited nothing is read, so a reset would not be seen: the
                // connection, polled again, looks for one.
                self.watch.ask_for_probe();
            }
        })
        .await
    }

    /// One request through the pipeline.
    async fn answer(
        &self,
        request: Request<impl Incoming>,
    ) -> Result<Response<Tracked>, Infallible> {
        let (in_progress, ambiguity) = self.watch.begin();
        let site = self.site();
        let refusal = ambiguity
            .map(|why| Refusal::Malformed(why.as_str()))
            .or_else(|| refusal(&request, site.server()));
        let version = request.version();
        let request = self.hold_to_limits(request, site.server());
        let request = self.name_client(request);
        let expected = expected_body(&request);
        // "Since HTTP/1.0 did not define any 1xx status codes, a server MUST NOT send a 1xx response
        // to an HTTP/1.0 client." (RFC 9110 §15.2)
        let interim = self.interim.as_ref();
        let turn = interim
            .filter(|_| version == Version::HTTP_11)
            .map(Queue::begin);
        let mut response = match refusal {
            None => {
                let interim = turn.as_ref().map(Turn::interim);
                let client = self.client.clone();
                match self.proof(request.method(), request.uri().path()).await {
                    Some(proof) => pipeline::tell(site, client, request, proof),
                    None => pipeline::serve(site, client, request, interim).await,
                }
            }
            Some(refusal) => pipeline::refuse(site, self.client.clone(), request, refusal),
        };
        if let Some(turn) = turn {
            turn.end().await;
        }
        let unread = expected.is_some_and(|body| !body.has_ended());
        if version != Version::HTTP_2 && (unread || self.service.drain.has_begun()) {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let hold = match version {
            Version::HTTP_2 => Hold::Stream(self.watch.stream(in_progress)),
            _ => Hold::Body {
                _in_progress: in_progress,
            },
        };
        Ok(response.map(|body| Tracked { body, hold }))
    }

    /// Says which certificate the client has shown, and lets nobody else say so: what a client writes
    /// into these fields must never get through (RFC 9440 §4).
    fn name_client(&self, mut request: Request<Body>) -> Request<Body> {
        let fields = request.headers_mut();
        fields.remove(CLIENT_CERT);
        fields.remove(CLIENT_CERT_CHAIN);
        let session = self.client.session.as_ref();
        if let Some(certificate) = session.and_then(|it| it.certificate.as_ref()) {
            fields.insert(CLIENT_CERT, certificate.clone());
        }
        request
    }

    /// What a CA is to see under this path, before all that routes say of it (RFC 8555 §8.3).
    async fn proof(&self, method: &Method, path: &str) -> Option<Bytes> {
        let is_asked = matches!(*method, Method::GET | Method::HEAD);
        if !is_asked || !Challenges::is_path(path) {
            return None;
        }
        self.service.shared.hatch.challenges.page(path).await
    }

    /// hyper has answered a head it could not read by itself; this is the trace of it.
    fn note_end(&self, ended: hyper::Result<()>) {
        let Err(error) = ended else { return };
        debug!(%error, "a connection ended");
        if error.is_parse() || error.is_parse_too_large() {
            self.service.shared.telemetry.metrics.bad_request();
        }
    }

    /// Holds the request's body to its limits, and the connection for as long as it is read: what
    /// is left of a body must never be taken for a request.
    fn hold_to_limits(
        &self,
        mut request: Request<impl Incoming>,
        config: &config::Server,
    ) -> Request<Body> {
        if request.body().is_end_stream() {
            return request.map(|_| Body::empty());
        }
        let progress = Progress::new(clock::instant());
        request.extensions_mut().insert(progress.clone());
        let limits = Limits {
            bytes_max: config.body_bytes_max,
            silence_max: config.body_timeout,
            progress,
        };
        request.map(|body| Body::incoming(body, limits).holding(self.watch.hold()))
    }
}

// === impl Tracked ===

impl HttpBody for Tracked {
    type Data = Piece;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        let stream = match &this.hold {
            Hold::Body { .. } => None,
            Hold::Stream(stream) => Some(stream),
        };
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| frame.map_data(|bytes| Piece::new(bytes, stream.cloned())))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Piece ===

impl Piece {
    fn new(bytes: Bytes, stream: Option<Arc<Stream>>) -> Self {
        if let Some(stream) = &stream {
            stream.note(true);
        }
        Self { bytes, stream }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(stream) = &self.stream {
            stream.note(!self.bytes.is_empty());
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            stream.note(false);
        }
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve(mut socket: Socket, client: Client, service: Arc<Service>) {
    let timeouts = service.timeouts();
    let before_first = |draining| {
        if draining {
            timeouts.parked(true)
        } else {
            timeouts.idle
        }
    };
    if !park::wakes(&mut socket, &service.drain, before_first).await {
        return socket.end().await;
    }
    let first = timeout(timeouts.header, park::first_bytes(&mut socket)).await;
    let mut first = match first {
        Ok(Ok(first)) if speaks_http2(&first, &client) => {
            let bytes = first.into_bytes();
            return Box::pin(drive_http2(socket, bytes, client, service)).await;
        }
        Ok(Ok(first)) => first.into_bytes(),
        Ok(Err(_)) | Err(_) => return,
    };
    loop {
        // Boxed, and gone before the wait: a parked connection carries no driver along.
        let driven = Box::pin(drive_http1(socket, first, client.clone(), &service)).await;
        let Driven::Idle(idle, rest) = driven else {
            return;
        };
        (socket, first) = (idle, rest);
        let timeouts = service.timeouts();
        let parked = |draining| timeouts.parked(draining);
        if first.is_empty() && !park::wakes(&mut socket, &service.drain, parked).await {
            return socket.end().await;
        }
    }
}

/// Whether a connection is one of HTTP/2. In clear its first bytes say so; over TLS the client has
/// chosen before, and what does not fit that is refused by who reads it.
///
/// "HTTP/2 over TLS uses the "h2" protocol identifier." (RFC 9113 §3.2)
fn speaks_http2(first: &First, client: &Client) -> bool {
    match &client.session {
        Some(session) => session.is_http2,
        None => matches!(first, First::Http2(_)),
    }
}

/// Drives an HTTP/1 connection until it ends, nothing happens on it, or its settings have changed.
async fn drive_http1(
    socket: Socket,
    first: Bytes,
    client: Client,
    service: &Arc<Service>,
) -> Driven {
    let site = service.shared.current.handle();
    let interim = Arc::new(Queue::default());
    let conversation = Conversation {
        service: Arc::clone(service),
        client,
        site: Mutex::new(site.clone()),
        watch: Watch::new(),
        interim: Some(Arc::clone(&interim)),
    };
    let io = Watched::http1(socket, first, Arc::clone(&conversation.watch), interim);
    let answer = service_fn(|request| conversation.answer(request));
    let mut connection = http1(site.server()).serve_connection(TokioIo::new(io), answer);
    let driver = Pin::new(&mut connection);
    let verdict = conversation.drive(driver, Some(&site)).await;
    let is_over = verdict != Verdict::Park;
    // What has ended by itself has had its last word, or must not have one: whoever was cut off is to
    // see that something is missing.
    if is_over && !(verdict == Verdict::Close && conversation.watch.is_between_requests()) {
        return Driven::Closed;
    }
    let parts = connection.into_parts();
    let (socket, unread) = parts.io.into_inner().into_parts();
    if is_over {
        socket.end().await;
        return Driven::Closed;
    }
    // Even empty, hyper's buffer would keep its memory.
    Driven::Idle(socket, [&parts.read_buf[..], &unread].concat().into())
}

/// Drives an HTTP/2 connection until it ends.
async fn drive_http2(socket: Socket, first: Bytes, client: Client, service: Arc<Service>) {
    let site = service.shared.current.handle();
    let builder = http2(site.server());
    let conversation = Arc::new(Conversation {
        service,
        client,
        site: Mutex::new(site),
        watch: Watch::new(),
        interim: None,
    });
    let io = Watched::http2(socket, first, Arc::clone(&conversation.watch));
    let answer = {
        let conversation = Arc::clone(&conversation);
        service_fn(move |request| {
            let conversation = Arc::clone(&conversation);
            async move { conversation.answer(request).await }
        })
    };
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), answer));
    tokio::select! {
        verdict = conversation.drive(connection.as_mut(), None) => {
            if verdict == Verdict::Close && conversation.watch.is_between_requests() {
                // Its last word: a GOAWAY, and over TLS a close_notify.
                connection.as_mut().graceful_shutdown();
                let _ = timeout(LAST_WORD, connection).await;
            }
            return;
        }
        () = conversation.service.drain.begun() => {}
    }
    // GOAWAY: no new streams, those open go on (RFC 9113 §6.8).
    connection.as_mut().graceful_shutdown();
    conversation.drive(connection, None).await;
}

/// hyper's settings for one connection. They cost no more to make than to copy.
fn http1(config: &config::Server) -> http1::Builder {
    let mut http1 = http1::Builder::new();
    http1
        // A client that has said all it wants may close its half and still be answered.
        .half_close(true)
        // The watch has one timer for all; hyper's would be set for every request.
        .header_read_timeout(None)
        .max_headers(config.header_fields_max)
        .max_header_size(config.header_bytes_max)
        .max_buf_size((2 * config.header_bytes_max).max(BUFFER_BYTES_MIN));
    http1
}

fn http2(config: &config::Server) -> http2::Builder<TokioExecutor> {
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .keep_alive_interval(config.idle_timeout)
        .max_concurrent_streams(STREAMS_MAX)
        .max_send_buf_size(STREAM_BUFFER_BYTES)
        .max_header_list_size(u32::try_from(config.header_bytes_max).unwrap_or(u32::MAX));
    http2
}

/// The body that a client announces and perhaps keeps back, for it waits for a `100 Continue`;
/// hyper sends that when somebody begins to read the body.
///
/// "A server that responds with a final status code before reading the entire request content
/// SHOULD indicate whether it intends to close the connection […] or continue reading the request
/// content." (RFC 9110 §10.1.1) We close: whether the body still comes is the client's choice, so
/// where the next request begins is not known.
fn expected_body(request: &Request<Body>) -> Option<Progress> {
    if !request.headers().contains_key(EXPECT) {
        return None;
    }
    request.extensions().get().cloned()
}

/// What hyper lets through although it is more than configured.
fn refusal(request: &Request<impl Incoming>, config: &config::Server) -> Option<Refusal> {
    if request.headers().len() > config.header_fields_max {
        return Some(Refusal::HeadTooLong);
    }
    let is_too_long = request.body().size_hint().lower() > config.body_bytes_max;
    is_too_long.then_some(Refusal::BodyTooLong)
}
