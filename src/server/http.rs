//! HTTP connection of a client. Of HTTP/1 hyper parses, the pipeline answers, the watch keeps the time;
//! HTTP/2 is `http2/`.
//!
//! The door to hyper's server. A connection alternates between being driven here and waiting in
//! `park.rs`. What a request means is the pipeline's business.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body::Body as HttpBody;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::Service;
use super::answers::Answers;
use super::drain::Stage;
use super::http2;
use super::interim::{Queue, Turn};
use super::io::Watched;
use super::linger::linger;
use super::outgoing::Outgoing;
use super::park::{self, First};
use super::settings;
use super::socket::Socket;
use super::tunnel;
use super::unread::Unread;
use super::upload::{Drained, Uploads};
use super::watch::{Verdict, Watch};
use super::wear::Wear;
use crate::body::{Body, Incoming, Progress};
use crate::clock;
use crate::config;
use crate::pipeline::{Client, Refusal, SiteHandle, Tunnel};
use crate::telemetry::Ending;

/// What the requests of one connection have in common, as long as it is driven.
struct Conversation {
    answers: Answers,
    watch: Arc<Watch>,
    /// Why hyper has read no further, once it has not.
    unread: Mutex<Option<Unread>>,
    interim: Arc<Queue>,
    uploads: Arc<Uploads>,
    /// What becomes of the connection once its 101 is out.
    tunnel: Mutex<Option<Box<Tunnel>>>,
    wear: Arc<Wear>,
}

/// How a driven connection came back.
enum Driven {
    /// It is over.
    Closed,
    /// All has been said from our side. Whether the client is in the midst of something.
    Parts(Socket, bool),
    /// It goes on as a tunnel, and these bytes have been read of it.
    Switched(Socket, Bytes, Box<Tunnel>),
    /// Nothing is happening on it, or it is to go on by another site's settings.
    Idle(Socket, Bytes),
}

// === impl Conversation ===

impl Conversation {
    /// Polls the connection, and looks at its watch whenever the alarm rings. Gives `Ended` when the
    /// connection has ended by itself, `Close` when it must end; `Park` when nothing happens on it, or when
    /// another site has taken the place of the one that its settings are of.
    async fn drive(
        &self,
        mut connection: Pin<&mut impl Future<Output = hyper::Result<()>>>,
        settings_of: &SiteHandle,
    ) -> Verdict {
        let drain = &self.answers.service.drain;
        let mut alarm = pin!(sleep(self.answers.timeouts().shortest()));
        let mut order = pin!(drain.reached(Stage::Draining));
        let mut draining = false;
        // Of an upload that nobody reads any more, until hyper has heard of it.
        let mut held = None;
        poll_fn(move |cx| {
            loop {
                if settings_of.is_replaced() && held.is_none() && self.watch.is_between_requests() {
                    return Poll::Ready(Verdict::Park);
                }
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    self.note_end(ended);
                    return Poll::Ready(Verdict::Ended);
                }
                held = match self.drain_upload(cx) {
                    Drained::Some => continue,
                    Drained::All(hold) => Some(hold),
                    Drained::Waits => None,
                };
                if held.is_some() {
                    continue;
                }
                if order.as_mut().poll(cx).is_ready() {
                    if draining {
                        return Poll::Ready(Verdict::Close);
                    }
                    draining = true;
                    order.set(drain.reached(Stage::Cut));
                    alarm.as_mut().reset(clock::instant());
                    continue;
                }
                if alarm.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                match self.watch.verdict(&self.answers.timeouts(), draining) {
                    Verdict::GoOn(time) => alarm.as_mut().reset(clock::instant() + time),
                    verdict => {
                        self.note_ending(self.watch.take_ending());
                        return Poll::Ready(verdict);
                    }
                }
                self.wear.look(clock::instant);
                // While a response is awaited nothing is read, so a reset would not be seen: the
                // connection, polled again, looks for one.
                self.watch.ask_for_probe();
            }
        })
        .await
    }

    fn drain_upload(&self, cx: &mut Context<'_>) -> Drained {
        self.uploads.drain(&self.watch, cx)
    }

    /// One request through the pipeline.
    async fn answer(
        &self,
        request: Request<impl Incoming>,
    ) -> Result<Response<Outgoing>, Infallible> {
        let (in_progress, ambiguity) = self.watch.begin();
        let is_ambiguous = ambiguity.is_some();
        let site = self.answers.site();
        let refusal = ambiguity
            .map(|why| Refusal::Malformed(why.as_str()))
            .or_else(|| refusal(&request, site.server()));
        let version = request.version();
        let expects = expects_leave(&request);
        let request = self.hold_to_limits(request, expects, site.server());
        let upload = request.extensions().get().cloned();
        // "Since HTTP/1.0 did not define any 1xx status codes, a server MUST NOT send a 1xx response
        // to an HTTP/1.0 client." (RFC 9110 §15.2)
        let turn = (version == Version::HTTP_11).then(|| self.interim.begin());
        let interim = turn.as_ref().map(Turn::interim);
        let mut response = self.answers.answer(site, request, refusal, interim).await;
        if let Some(turn) = turn {
            turn.end().await;
        }
        if upload.as_ref().is_some_and(Progress::was_too_slow) {
            self.note_ending(Some(Ending::ReceiveRate));
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // No word of closing: the connection goes on, as something else.
            *self.tunnel.lock() = Tunnel::take(&mut response);
        } else {
            let unread = upload.is_some_and(|body: Progress| !body.has_ended());
            let worn = self.wear.carry_one();
            self.note_ending(worn);
            let is_last = is_ambiguous
                || worn.is_some()
                || self.answers.service.drain.has_begun()
                || unread && ends_with(&response, expects, &self.uploads);
            self.note_response(version, is_last, &mut response);
        }
        Ok(response.map(|body| Outgoing::new(body, in_progress)))
    }

    /// What an answer does to its connection.
    fn note_response(&self, version: Version, is_last: bool, response: &mut Response<Body>) {
        let body = response.body();
        let is_endless = version == Version::HTTP_10
            && !body.is_end_stream()
            && body.size_hint().exact().is_none();
        self.watch.note_response(is_endless);
        if is_last {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        if is_last || version == Version::HTTP_10 {
            self.uploads.close();
        }
    }

    /// Counts the connection among those that are ended for this.
    fn note_ending(&self, ending: Option<Ending>) {
        let endings = &self.answers.service.shared.telemetry.endings;
        ending.into_iter().for_each(|it| endings.count(it));
    }

    /// hyper has answered a head it could not read by itself; this is the trace of it.
    fn note_end(&self, ended: hyper::Result<()>) {
        let Err(error) = ended else { return };
        debug!(%error, "a connection ended");
        *self.unread.lock() = Unread::of(&error);
    }

    /// Counts and logs the head that was refused in this way, if one was, of which this was read.
    fn tell_unread(&self, read: &[u8]) {
        let unread = self.unread.lock().take();
        if let Some(unread) = unread {
            let record = unread.record(self.answers.client.address.ip(), read);
            self.answers.service.shared.telemetry.refused(&record);
        }
    }

    /// Holds the request's body to its limits, and the connection for as long as it is read: what
    /// is left of a body must never be taken for a request.
    fn hold_to_limits(
        &self,
        mut request: Request<impl Incoming>,
        expects: bool,
        config: &config::Server,
    ) -> Request<Body> {
        if request.body().is_end_stream() {
            return request.map(|_| Body::empty());
        }
        let progress = Progress::new(clock::instant());
        request.extensions_mut().insert(progress.clone());
        let limits = settings::limits(config, progress);
        let (hold, time_max) = (self.watch.hold(), config.linger_timeout);
        request.map(|body| {
            let upload = self.uploads.begin(body, expects, hold, time_max);
            Body::incoming(upload, limits)
        })
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve(mut socket: Socket, client: Client, service: Arc<Service>) {
    let (timeouts, began) = (service.timeouts(), clock::instant());
    // Who connects has something to say.
    let before_first = |draining| match draining {
        true => timeouts.parked(true),
        false => timeouts.header,
    };
    if !park::wakes(&mut socket, &service.drain, before_first).await {
        if began.elapsed() >= timeouts.header {
            service.shared.telemetry.endings.count(Ending::Silent);
        }
        return socket.end().await;
    }
    let first = timeout(timeouts.header, park::first_bytes(&mut socket)).await;
    let mut first = match first {
        Ok(Ok(first)) if speaks_http2(&first, &client) => {
            let bytes = first.into_bytes();
            return Box::pin(http2::drive(socket, bytes, client, service)).await;
        }
        Ok(Ok(first)) => first.into_bytes(),
        Ok(Err(_)) => return,
        Err(_) => return service.shared.telemetry.endings.count(Ending::Header),
    };
    let wear = Arc::new(service.wear(began));
    loop {
        // Boxed, and gone before the wait: a parked connection carries no driver along.
        let driven = Box::pin(drive_http1(socket, first, client.clone(), &service, &wear)).await;
        (socket, first) = match driven {
            Driven::Idle(idle, rest) => (idle, rest),
            Driven::Parts(socket, is_amid_request) => {
                return Box::pin(linger(socket, is_amid_request, &service)).await;
            }
            Driven::Switched(socket, unread, tunnel) => {
                return Box::pin(tunnel::serve(socket, unread, tunnel, &service.drain)).await;
            }
            Driven::Closed => return,
        };
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
    wear: &Arc<Wear>,
) -> Driven {
    wear.look(clock::instant);
    let site = service.shared.current.handle();
    let interim = Arc::new(Queue::default());
    let conversation = Conversation {
        answers: Answers::new(Arc::clone(service), client, site.clone()),
        watch: Watch::new(),
        unread: Mutex::default(),
        interim: Arc::clone(&interim),
        uploads: Arc::default(),
        tunnel: Mutex::default(),
        wear: Arc::clone(wear),
    };
    let io = Watched::new(socket, first, Arc::clone(&conversation.watch), interim);
    let answer = service_fn(|request| conversation.answer(request));
    let mut connection = settings::http1(site.server()).serve_connection(TokioIo::new(io), answer);
    let driver = Pin::new(&mut connection);
    let verdict = conversation.drive(driver, &site).await;
    let parts = connection.into_parts();
    if verdict != Verdict::Park {
        conversation.tell_unread(&parts.read_buf);
    }
    let watched = parts.io.into_inner();
    let is_amid_request = watched.is_amid_request();
    let (socket, unread) = watched.into_parts();
    // Even empty, hyper's buffer would keep its memory.
    let unread: Bytes = [&parts.read_buf[..], &unread].concat().into();
    let watch = &conversation.watch;
    if verdict == Verdict::Park {
        return Driven::Idle(socket, unread);
    }
    if let Some(tunnel) = conversation.tunnel.lock().take() {
        // Where the client has not even taken the 101 there is nothing to go on with: hyper keeps what
        // it could not write.
        if verdict == Verdict::Ended && watch.is_flushed() {
            return Driven::Switched(socket, unread, tunnel);
        }
        socket.set_zero_linger();
        return Driven::Closed;
    }
    if watch.would_feign_an_end() {
        socket.set_zero_linger();
    }
    if watch.has_parted() {
        return Driven::Parts(socket, is_amid_request || !unread.is_empty());
    }
    // What has ended by itself has had its last word, or must not have one: whoever was cut off is to
    // see that something is missing.
    if verdict == Verdict::Close && watch.is_between_requests() {
        socket.end().await;
    }
    Driven::Closed
}

/// Whether a client asks for leave to send its body.
///
/// "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that
/// expectation." (RFC 9110 §10.1.1)
fn expects_leave(request: &Request<impl HttpBody>) -> bool {
    !request.body().is_end_stream()
        && request.version() > Version::HTTP_10
        && request.headers().contains_key(EXPECT)
}

/// Whether a connection ends with an answer that comes before the end of its upload. Where the rest
/// is short we read it and go on.
///
/// "A server that responds with a final status code before reading the entire request content
/// SHOULD indicate whether it intends to close the connection […] or continue reading the request
/// content." (RFC 9110 §10.1.1) Who has asked for leave to send it may keep it back, so where the next
/// request begins is not known. Who was waited for in vain has been given up.
fn ends_with(response: &Response<Body>, expects: bool, uploads: &Uploads) -> bool {
    expects || response.status() == StatusCode::REQUEST_TIMEOUT || uploads.is_long()
}

/// What hyper lets through although it is more than configured. How long a body may be is its route's
/// to say.
fn refusal(request: &Request<impl Incoming>, config: &config::Server) -> Option<Refusal> {
    let is_too_long = request.headers().len() > config.header_fields_max;
    is_too_long.then_some(Refusal::HeadTooLong)
}
