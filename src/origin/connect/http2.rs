//! HTTP/2 connection to a server: many exchanges at a time, each a stream (RFC 9113).
//!
//! Which connection an exchange gets, and when another is opened, is in `peer/streams.rs`.
//! Framing and flow control are hyper's and h2's, and how a request is worded is in `convert.rs`; here
//! is what they leave to their user.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::uri::Scheme;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{FIELDS_MAX, HEAD_BYTES_MAX, Unsent, convert, kind_of_upload};
use crate::body::{self, Body};
use crate::clock::{self, Instant};
use crate::origin::age;
use crate::origin::bell::Bell;
use crate::origin::dial;
use crate::origin::error::{Error, Kind, Phase, Retry};
use crate::origin::permit::Permit;

/// What a server may send of one response before any of it has been read.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// What of one upload is held for a server that does not take it.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// A server that has been silent for so long while a stream is open is asked whether it lives. Not
/// much sooner: servers of gRPC think ill of clients that ask often.
const PING_AFTER: Duration = Duration::from_secs(20);
/// And then it has so long to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// An open connection.
pub(in crate::origin) struct Connection {
    sender: http2::SendRequest<Body>,
    engine: Arc<Engine>,
    /// As many streams as its server allowed when last looked at; 0 before it has said anything.
    allowed: AtomicUsize,
    /// As many as the configuration allows.
    streams_max: usize,
    open: AtomicUsize,
    scheme: Scheme,
    born: Instant,
    /// When it is too old for further streams.
    over_at: Option<Instant>,
    /// When the last of its streams ended, in milliseconds since it was born.
    idle_since_ms: AtomicU64,
    /// Whether a request has been sent on it.
    carried: AtomicBool,
    /// Whether an answer has come whole.
    answered: AtomicBool,
    /// Whether an exchange has found that it has ended, which hyper tells a moment later.
    has_ended: AtomicBool,
    /// Rung when a stream has ended: there may be room for another.
    freed: Arc<Bell>,
}

/// What runs the connection; empty when that has ended.
type Engine = Mutex<Option<http2::Connection<TokioIo<dial::Stream>, Body, Tasks>>>;

/// One exchange on a connection, which has room for another when this is dropped.
pub(in crate::origin) struct Http2Stream {
    room: Arc<StreamRoom>,
    /// Whether the connection had carried a request before.
    reused: bool,
}

/// What holds a stream's room on its connection: the response, and the upload if that lasts longer.
struct StreamRoom {
    connection: Arc<Connection>,
    /// Why the client's body failed. hyper resets the stream then and tells nobody.
    upload_fault: OnceLock<Kind>,
}

/// A request's body on a stream.
struct Upload {
    body: Body,
    room: Arc<StreamRoom>,
}

/// Runs the tasks of one connection, and tells whoever waits for its settings of every step.
#[derive(Clone, Default)]
struct Tasks(Arc<Steps>);

#[derive(Default)]
struct Steps {
    step: Notify,
    /// Nobody waits any more.
    settled: AtomicBool,
}

// === impl Connection ===

impl Connection {
    /// Speaks HTTP/2 on a new connection, and waits until its server does so too; the permit is
    /// kept for as long as it is open.
    ///
    /// A client need not wait for the server's settings (RFC 9113 §3.4). But with them comes how
    /// many streams there may be, and that the server speaks HTTP/2 at all: known before a request
    /// is sent, neither costs a client anything.
    pub(in crate::origin) async fn open(
        stream: dial::Stream,
        permit: Permit,
        scheme: Scheme,
        streams_max: usize,
        over_at: Option<Instant>,
    ) -> Result<Self, Error> {
        let tasks = Tasks::default();
        let handshake = builder(&tasks, streams_max).handshake(TokioIo::new(stream));
        let (sender, engine) = handshake.await.map_err(|error| closed().because(error))?;
        let (engine, freed) = (Arc::new(Mutex::new(Some(engine))), permit.freed());
        tasks.execute(drive(Arc::clone(&engine), permit));
        let connection = Self {
            sender,
            engine,
            allowed: AtomicUsize::new(0),
            streams_max,
            open: AtomicUsize::new(0),
            scheme,
            born: clock::instant(),
            over_at,
            idle_since_ms: AtomicU64::new(0),
            carried: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            freed,
        };
        connection.settle(&tasks.0).await?;
        Ok(connection)
    }

    /// Waits for the first settings of the server.
    async fn settle(&self, steps: &Steps) -> Result<(), Error> {
        loop {
            // Made before the look, so that no step between the two is missed.
            let step = steps.step.notified();
            if self.allowed() > 0 {
                steps.settled.store(true, Ordering::Relaxed);
                return Ok(());
            }
            if self.is_closed() {
                return Err(closed().because("the server does not speak HTTP/2"));
            }
            step.await;
        }
    }

    /// A stream, if there is room for one. To be called by one at a time.
    pub(in crate::origin) fn enter(self: &Arc<Self>) -> Option<Http2Stream> {
        if !self.has_room() {
            return None;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        let room = Arc::new(StreamRoom {
            connection: Arc::clone(self),
            upload_fault: OnceLock::new(),
        });
        let reused = self.carried.swap(true, Ordering::Relaxed);
        Some(Http2Stream { room, reused })
    }

    /// As many streams as the server allows. Where the connection is at work in this moment it is
    /// what it allowed before: nobody waits for the answer.
    fn allowed(&self) -> usize {
        if let Some(engine) = self.engine.try_lock()
            && let Some(engine) = &*engine
        {
            let allowed = engine.current_max_send_streams();
            self.allowed.store(allowed, Ordering::Relaxed);
        }
        self.allowed.load(Ordering::Relaxed)
    }

    /// Whether no further stream can be opened: it has ended, or the server is leaving.
    pub(in crate::origin) fn is_closed(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed) || self.sender.is_closed()
    }

    /// Whether it is too old for further streams.
    pub(in crate::origin) fn is_over(&self, now: Instant) -> bool {
        age::is_over(self.over_at, now)
    }

    /// Whether there is room for a stream.
    pub(in crate::origin) fn has_room(&self) -> bool {
        self.open.load(Ordering::Relaxed) < self.width()
    }

    /// How many streams it may have at once.
    pub(in crate::origin) fn width(&self) -> usize {
        self.streams_max.min(self.allowed())
    }

    /// For how long it has had no stream; `None` while it has any.
    pub(in crate::origin) fn idle(&self) -> Option<Duration> {
        let since = Duration::from_millis(self.idle_since_ms.load(Ordering::Relaxed));
        let is_idle = self.open.load(Ordering::Relaxed) == 0;
        is_idle.then(|| self.born.elapsed().saturating_sub(since))
    }

    fn leave(&self) {
        let age_ms = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.idle_since_ms.store(age_ms, Ordering::Relaxed);
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.freed.ring();
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

fn closed() -> Error {
    Error::connecting(Kind::Closed)
}

fn builder(tasks: &Tasks, streams_max: usize) -> http2::Builder<Tasks> {
    // Who does not read its response must not keep the others from theirs: the connection's window
    // has room for the windows of all streams.
    let streams = u32::try_from(streams_max).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(tasks.clone());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(STREAM_WINDOW_BYTES.saturating_mul(streams))
        // So that the server's word can be told from none.
        .initial_max_send_streams(0)
        // Larger than any that the configuration lets through: a u32 it is.
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

async fn drive(engine: Arc<Engine>, permit: Permit) {
    std::future::poll_fn(move |cx| {
        let mut engine = engine.lock();
        let Some(running) = engine.as_mut() else {
            return Poll::Ready(());
        };
        // An error here is also the error of the exchanges that were under way.
        let ended = Pin::new(running).poll(cx).map(drop);
        if ended.is_ready() {
            // Requests that it has not begun to send go back to who sent them.
            *engine = None;
        }
        ended
    })
    .await;
    drop(permit);
}

// === impl Http2Stream ===

impl Http2Stream {
    /// Whether the connection had carried a request before, so that it may have died unnoticed.
    pub(in crate::origin) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Whether an answer has come whole on this connection.
    pub(in crate::origin) fn has_answered(&self) -> bool {
        self.room.connection.answered.load(Ordering::Relaxed)
    }

    /// Notes that the answer has come whole.
    pub(in crate::origin) fn finish(self) {
        let answered = &self.room.connection.answered;
        answered.store(true, Ordering::Relaxed);
    }

    /// Sends one request and waits for the head of its response.
    pub(in crate::origin) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, Unsent> {
        let request = self.prepare(request);
        let mut sender = self.room.connection.sender.clone();
        match sender.try_send_request(request).await {
            Ok(response) if response.headers().len() > FIELDS_MAX => {
                Err(Error::malformed("too many fields").into())
            }
            Ok(response) => Ok(response),
            Err(mut failed) => {
                let request = failed.take_message();
                let fault = self.room.upload_fault.get().copied();
                let error = sort(failed.into_error(), request.is_some(), fault);
                if error.kind == Kind::Closed {
                    let has_ended = &self.room.connection.has_ended;
                    has_ended.store(true, Ordering::Relaxed);
                }
                let request = request.map(|request| Box::new(convert::to_http1(request)));
                Err(Unsent {
                    request,
                    ..error.into()
                })
            }
        }
    }

    /// The request as it goes out on this stream.
    fn prepare(&self, request: Request<Body>) -> Request<Body> {
        let request = convert::to_http2(request, &self.room.connection.scheme);
        if request.body().is_empty() {
            return request;
        }
        request.map(|body| {
            let room = Arc::clone(&self.room);
            Body::stream(Upload { body, room })
        })
    }
}

/// What hyper's error means for the exchange.
fn sort(error: hyper::Error, unsent: bool, upload_fault: Option<Kind>) -> Error {
    let of_h2 = std::error::Error::source(&error).and_then(|it| it.downcast_ref());
    let (kind, retry) = match (unsent, upload_fault) {
        (true, _) => (Kind::Closed, Retry::Safe),
        (false, Some(fault)) => (fault, Retry::No),
        (false, None) => of_h2.map_or((Kind::Closed, Retry::IfIdempotent), meaning),
    };
    Error::new(kind, Phase::AwaitingHead, retry).because(error)
}

/// "The REFUSED_STREAM error code can be included in a RST_STREAM frame to indicate that the stream
/// is being closed prior to any processing having occurred. Any request that was sent on the reset
/// stream can be safely retried." (RFC 9113 §8.7)
fn meaning(error: &h2::Error) -> (Kind, Retry) {
    let refused = error.reason() == Some(Reason::REFUSED_STREAM);
    match (error.is_remote(), error.is_reset(), error.is_go_away()) {
        (true, true, _) if refused => (Kind::Reset, Retry::Safe),
        (true, true, _) => (Kind::Reset, Retry::IfIdempotent),
        // Streams above the last one of a GOAWAY were not processed, and are safe to retry as well.
        // But hyper says the same of a stream that it is just opening when a GOAWAY comes, and
        // that may be processed.
        (true, _, true) => (Kind::Closed, Retry::IfIdempotent),
        // What h2 itself has found fault with: this response, or a neighbour's.
        (false, true, _) if error.is_library() => (Kind::Malformed, Retry::No),
        (false, _, true) if error.is_library() => (Kind::Malformed, Retry::IfIdempotent),
        _ => (Kind::Closed, Retry::IfIdempotent),
    }
}

// === impl StreamRoom ===

impl Drop for StreamRoom {
    fn drop(&mut self) {
        self.connection.leave();
    }
}

// === impl Upload ===

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Err(error))) = &polled {
            // A stream has one body, which fails once.
            let _ = self.room.upload_fault.set(kind_of_upload(error));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Tasks ===

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let steps = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut task = pin!(task);
            let stepping = std::future::poll_fn(move |cx| {
                let polled = task.as_mut().poll(cx);
                if !steps.settled.load(Ordering::Relaxed) {
                    steps.step.notify_waiters();
                }
                polled
            });
            stepping.await;
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;
    use crate::origin::permit::Permits;

    async fn open(stream: impl dial::Io + 'static) -> Result<Arc<Connection>, Error> {
        let permit = Permits::new(1, &Arc::default(), &Arc::default())
            .take()
            .unwrap();
        let opened = Connection::open(Box::new(stream), permit, Scheme::HTTP, 10, None);
        opened.await.map(Arc::new)
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_has_died_is_noticed_while_a_stream_is_open() {
        let (ours, theirs) = duplex(1 << 16);
        let server = tokio::spawn(async move {
            let mut connection = h2::server::handshake(theirs).await.unwrap();
            let accepted = connection.accept().await;
            // Kept, and never looked at again.
            (connection, accepted)
        });
        let connection = open(ours).await.unwrap();
        let stream = connection.enter().unwrap();
        let began = clock::instant();
        let sent = stream.send(Request::new(Body::empty())).await;
        let error = sent.err().unwrap().error;
        assert_eq!(
            (error.kind, error.retry),
            (Kind::Closed, Retry::IfIdempotent)
        );
        assert_eq!(
            began.elapsed().as_secs(),
            (PING_AFTER + PING_TIMEOUT).as_secs()
        );
        assert!(connection.is_closed());
        drop(server.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn the_room_of_a_stream_is_free_when_it_has_ended() {
        let (ours, theirs) = duplex(1 << 16);
        tokio::spawn(async move {
            let mut server = h2::server::Builder::new();
            let server = server.max_concurrent_streams(2);
            let mut connection = server.handshake::<_, Bytes>(theirs).await.unwrap();
            while connection.accept().await.is_some() {}
        });
        let connection = open(ours).await.unwrap();
        let one = connection.enter().unwrap();
        let two = connection.enter().unwrap();
        assert_eq!((one.is_reused(), two.is_reused()), (false, true));
        assert!(connection.enter().is_none() && connection.idle().is_none());
        drop(one);
        assert!(connection.enter().is_some());
        drop(two);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(connection.idle(), Some(Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_speak_http2_is_not_connected_to() {
        let (ours, theirs) = duplex(1 << 16);
        drop(theirs);
        let error = open(ours).await.err().unwrap();
        assert_eq!((error.phase, error.retry), (Phase::Connecting, Retry::Safe));
    }
}
