//! One connection to a server: opened, lent for one exchange, given back or dropped.
//!
//! The door to hyper's client. A connection goes back to its pool only when the response has been
//! read to its clean end; whatever else happens to the exchange closes it, so that no request
//! ever meets the rest of another's answer.

use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{AbortHandle, unconstrained};
use tokio::time::{Sleep, sleep, timeout};

use super::dial::Stream;
use super::error::{Error, Kind, Phase, Retry};
use super::interim::Interim;
use super::load::Flight;
use super::peer::Peer;
use super::tls;
use crate::body::{self, Body, Progress};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// The largest head an origin may send, and what one connection may buffer.
const HEAD_BYTES_MAX: usize = 96 * 1024;
const BUFFER_BYTES_MAX: usize = 128 * 1024;
/// As many fields as an origin's head may have.
const FIELDS_MAX: usize = 256;

/// How long a connection from the pool may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_millis(10);

/// An open connection. Nothing goes on here unless somebody polls it: who awaits the answer drives
/// the exchange, so that it costs no task and no way from one thread to another.
#[derive(Debug)]
pub(super) struct Connection {
    sender: http1::SendRequest<Body>,
    driver: Driver,
}

/// What moves the bytes.
#[derive(Debug)]
enum Driver {
    /// Whoever holds the connection.
    Holder(Pin<Box<Wire>>, OwnedSemaphorePermit),
    /// A task, since the answer came before the end of the upload: both go on at their own pace.
    Task(AbortHandle),
    /// Nobody: it is closed.
    None,
}

type Wire = http1::Connection<TokioIo<Stream>, Body>;

/// A connection that is one exchange's alone.
pub(super) struct Lease {
    peer: Arc<Peer>,
    connection: Connection,
    reused: bool,
    /// The upload of the exchange, if it has one.
    upload: Option<Progress>,
    /// How long the server says that it keeps the connection.
    keeps: Option<Duration>,
    /// Counts the exchange as in flight, for as long as the lease lives.
    flight: Option<Flight>,
}

/// A request that did not reach the origin, or whose answer did not come.
pub(super) struct Unsent {
    pub(super) error: Error,
    /// The request, when not a byte of it was written.
    pub(super) request: Option<Box<Request<Body>>>,
}

/// The body of a response, which gives its connection back at its end.
struct OriginBody {
    body: Incoming,
    lease: Option<Lease>,
    silence_max: Duration,
    silence: Option<Pin<Box<Sleep>>>,
}

// === impl Connection ===

impl Connection {
    /// Speaks HTTP on a new connection; the permit is kept for as long as it is open.
    pub(super) async fn open(stream: Stream, permit: OwnedSemaphorePermit) -> Result<Self, Error> {
        let failed = |kind| Error::new(kind, Phase::Connecting, Retry::Safe);
        let (sender, wire) = http1::Builder::new()
            .max_headers(FIELDS_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(Kind::Closed).because(error))?;
        let driver = Driver::Holder(Box::pin(wire), permit);
        Ok(Self { sender, driver })
    }

    /// Waits the moment until the last exchange is off the wire; false if the connection is dead,
    /// or still busy with an upload that its server did not wait for.
    pub(super) async fn ready(&mut self) -> bool {
        let ready = poll_fn(|cx| {
            self.drive(cx);
            self.sender.poll_ready(cx)
        });
        matches!(timeout(READY_TIMEOUT, ready).await, Ok(Ok(())))
    }

    /// Moves what can be moved, and has `cx` woken when there is more.
    fn drive(&mut self, cx: &mut Context<'_>) {
        // An error here is also the error of the exchange that is under way.
        if let Driver::Holder(wire, _) = &mut self.driver
            && wire.as_mut().poll(cx).is_ready()
        {
            self.driver = Driver::None;
        }
    }

    /// Drives while it waits for `sent`, which only the bytes of this connection can bring about.
    async fn driving<T>(&mut self, sent: impl Future<Output = T>) -> T {
        // Without a budget of its own, for that would wake who asks, and nobody does.
        let mut sent = pin!(unconstrained(sent));
        poll_fn(|cx| {
            self.drive(cx);
            sent.as_mut().poll(&mut self.listening(cx))
        })
        .await
    }

    /// For what is looked at right after [`Self::drive`]: by whom it is to be woken. Who drives is
    /// woken by the socket already, and need not be told by itself of what it has just moved.
    fn listening<'a>(&self, cx: &'a Context<'_>) -> Context<'a> {
        Context::from_waker(match self.driver {
            Driver::Task(_) => cx.waker(),
            Driver::Holder(..) | Driver::None => Waker::noop(),
        })
    }

    /// Leaves the bytes to a task of their own.
    fn let_go(&mut self) {
        match mem::replace(&mut self.driver, Driver::None) {
            Driver::Holder(wire, permit) => {
                let driving = tokio::spawn(async move {
                    let _ = wire.await;
                    drop(permit);
                });
                self.driver = Driver::Task(driving.abort_handle());
            }
            other => self.driver = other,
        }
    }

    /// Whether the server has closed it, as far as has been heard.
    pub(super) fn is_closed(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.sender.is_closed()
    }
}

/// Only a connection that is of no more use is dropped. Left to itself, hyper would go on trying
/// to send the rest of an upload that the server does not read.
impl Drop for Connection {
    fn drop(&mut self) {
        if let Driver::Task(task) = &self.driver {
            task.abort();
        }
    }
}

// === impl Lease ===

impl Lease {
    pub(super) fn new(peer: Arc<Peer>, connection: Connection, reused: bool) -> Self {
        Self {
            peer,
            connection,
            reused,
            upload: None,
            keeps: None,
            flight: None,
        }
    }

    /// The same, which keeps `flight` until the exchange has ended.
    pub(super) fn carrying(mut self, flight: Flight) -> Self {
        self.flight = Some(flight);
        self
    }

    /// Whether the connection came from the pool, so that it may have died unnoticed.
    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Sends one request and waits for the head of its response.
    pub(super) async fn exchange(
        mut self,
        request: Request<Body>,
        upload: Option<&Progress>,
        silence_max: Duration,
    ) -> Result<Response<Body>, Unsent> {
        self.upload = upload.cloned();
        let sending = self.connection.sender.try_send_request(request);
        match self.connection.driving(sending).await {
            Ok(response) => {
                if self.awaits_upload() {
                    self.connection.let_go();
                }
                self.keeps = kept_alive(response.headers());
                Ok(response.map(|body| self.body(body, silence_max)))
            }
            Err(mut failed) => {
                let request = failed.take_message().map(Box::new);
                let error = sort(failed.into_error(), request.is_some());
                Err(Unsent { error, request })
            }
        }
    }

    fn body(self, body: Incoming, silence_max: Duration) -> Body {
        if body.is_end_stream() {
            self.give_back();
            return Body::empty();
        }
        Body::stream(OriginBody {
            body,
            lease: Some(self),
            silence_max,
            silence: None,
        })
    }

    fn awaits_upload(&self) -> bool {
        let upload = self.upload.as_ref();
        upload.is_some_and(|upload| !upload.has_ended())
    }

    /// An answer that came before the end of the upload ends both: nobody will read the rest.
    fn give_back(self) {
        if self.awaits_upload() {
            return;
        }
        self.peer.give_back(self.connection, self.keeps);
    }
}

/// How long a server says that it keeps an idle connection: `Keep-Alive: timeout=5` (RFC 2068
/// §19.7.1.1), which Node.js sends unasked. A request that meets a connection just closed cannot
/// always be sent again, so a fifth is left for what is on the wire.
fn kept_alive(fields: &HeaderMap) -> Option<Duration> {
    let words = fields.get(KEEP_ALIVE)?.to_str().ok()?;
    let timeout = words
        .split([',', ' '])
        .find_map(|word| word.trim().strip_prefix("timeout="))?;
    let seconds: u32 = timeout.parse().ok()?;
    Some(Duration::from_secs(seconds.into()) * 4 / 5)
}

/// Has hyper report what the server says before its answer. Without a listener it drops that.
pub(super) fn report_interim(request: &mut Request<Body>, interim: Option<&Interim>) {
    let Some(interim) = interim.cloned() else {
        return;
    };
    hyper::ext::on_informational(request, move |response| {
        interim.forward(response.status(), response.headers());
    });
}

/// What hyper's error means for the exchange.
fn sort(error: hyper::Error, unsent: bool) -> Error {
    let (kind, retry) = if unsent {
        (Kind::Closed, Retry::Safe)
    } else if let Some(kind) = upload_error(&error) {
        (kind, Retry::No)
    } else if error.is_parse() || error.is_parse_status() || error.is_parse_too_large() {
        (Kind::Malformed, Retry::No)
    } else if tls::is_at_fault(&error) {
        (Kind::Tls, Retry::IfIdempotent)
    } else {
        (Kind::Closed, Retry::IfIdempotent)
    };
    Error::new(kind, Phase::AwaitingHead, retry).because(error)
}

/// Whether it was the client's body that failed, and how.
fn upload_error(error: &hyper::Error) -> Option<Kind> {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    match cause {
        Some(body::Error::Stalled) => Some(Kind::UploadStalled),
        Some(body::Error::TooLarge) => Some(Kind::UploadTooLarge),
        Some(_) => Some(Kind::UploadBroken),
        None => error.is_user().then_some(Kind::UploadBroken),
    }
}

// === impl OriginBody ===

impl OriginBody {
    /// Back to the pool, now that the message is whole.
    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    /// What has come, or what comes by looking.
    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(Lease { connection, .. }) = &mut self.lease else {
            return Pin::new(&mut self.body).poll_frame(cx);
        };
        let body = Pin::new(&mut self.body);
        let there = body.poll_frame(&mut connection.listening(cx));
        if there.is_ready() {
            return there;
        }
        connection.drive(cx);
        Pin::new(&mut self.body).poll_frame(&mut connection.listening(cx))
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let silence_max = self.silence_max;
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(sleep(silence_max)));
        silence.as_mut().poll(cx)
    }
}

impl HttpBody for OriginBody {
    type Data = Bytes;
    type Error = body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
        let this = &mut *self;
        match this.poll_body(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.silence = None;
                if this.body.is_end_stream() {
                    this.finish();
                }
                // Trailers are dropped: a recipient may merge only those it knows to be safe
                // (RFC 9110 §6.5.1), and nobody downstream waits for them.
                let data = frame.is_data().then_some(Ok(frame));
                if data.is_none() {
                    this.finish();
                }
                Poll::Ready(data)
            }
            Poll::Ready(Some(Err(error))) => {
                this.lease = None;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Poll::Pending => this.poll_silence(cx).map(|()| {
                this.lease = None;
                Some(Err(body::Error::Stalled))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_server_may_say_how_long_it_keeps_a_connection() {
        for (value, expected_ms) in [
            ("timeout=5", Some(4000)),
            ("timeout=5, max=1000", Some(4000)),
            ("max=1000, timeout=1", Some(800)),
            ("timeout=0", Some(0)),
            ("max=1000", None),
            ("timeout=soon", None),
            ("timeout=99999999999", None),
        ] {
            let fields = HeaderMap::from_iter([(KEEP_ALIVE, HeaderValue::from_static(value))]);
            let found = kept_alive(&fields);
            assert_eq!(found, expected_ms.map(Duration::from_millis), "{value}");
        }
    }
}
