//! HTTP/1.1 connection to a server: one exchange at a time (RFC 9112).
//!
//! What becomes of it between exchanges is in `peer/`.

use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::UPGRADE;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::{AbortHandle, unconstrained};
use tokio::time::timeout;

use super::{FIELDS_MAX, HEAD_BYTES_MAX, Unsent, kind_of_upload};
use crate::body::{self, Body};
use crate::clock::Instant;
use crate::origin::age;
use crate::origin::dial::Stream;
use crate::origin::dial::tls;
use crate::origin::error::{Error, Kind, Phase, Retry};
use crate::origin::permit::Permit;
use crate::semantics::proxy_protocol::Endpoints;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What one connection may buffer.
const BUFFER_BYTES_MAX: usize = 128 * 1024;

/// How long a connection from the pool may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_millis(10);

/// An open connection. Nothing goes on here unless somebody polls it: who awaits the answer drives
/// the exchange, so that it costs no task and no way from one thread to another.
#[derive(Debug)]
pub(in crate::origin) struct Connection {
    sender: http1::SendRequest<Body>,
    driver: Driver,
    /// When it is too old to be used again.
    over_at: Option<Instant>,
    /// Whose it was said to be, where servers are told.
    client: Option<Endpoints>,
    /// Whether the exchange under way may end in another protocol, so that the wire is kept then.
    may_switch: bool,
}

/// A connection that has gone on with another protocol.
pub(in crate::origin) struct Bare {
    pub(in crate::origin) stream: Stream,
    /// What has come behind the head of the answer.
    pub(in crate::origin) unread: Bytes,
    pub(in crate::origin) permit: Permit,
}

/// What moves the bytes.
#[derive(Debug)]
enum Driver {
    /// Whoever holds the connection.
    Holder(Pin<Box<Wire>>, Permit),
    /// A task, since the answer came before the end of the upload: both go on at their own pace.
    Task(AbortHandle),
    /// Nobody, since the server has switched protocols: what hyper has left of it.
    Switched(Pin<Box<Wire>>, Permit),
    /// Nobody: it is closed.
    None,
}

type Wire = http1::Connection<TokioIo<Stream>, Body>;

// === impl Connection ===

impl Connection {
    /// Speaks HTTP on a new connection; the permit is kept for as long as it is open.
    pub(in crate::origin) async fn open(
        stream: Stream,
        permit: Permit,
        over_at: Option<Instant>,
        client: Option<Endpoints>,
    ) -> Result<Self, Error> {
        let (sender, wire) = http1::Builder::new()
            .max_headers(FIELDS_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Error::connecting(Kind::Closed).because(error))?;
        let driver = Driver::Holder(Box::pin(wire), permit);
        Ok(Self {
            sender,
            driver,
            over_at,
            client,
            may_switch: false,
        })
    }

    /// Waits the moment until the last exchange is off the wire; false if the connection is dead,
    /// or still busy with an upload that its server did not wait for.
    pub(in crate::origin) async fn ready(&mut self) -> bool {
        let ready = poll_fn(|cx| {
            self.drive(cx);
            self.sender.poll_ready(cx)
        });
        matches!(timeout(READY_TIMEOUT, ready).await, Ok(Ok(())))
    }

    /// Whether the server has closed it, as far as has been heard.
    pub(in crate::origin) fn is_closed(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.sender.is_closed()
    }

    /// Whether it may carry a request of this client.
    pub(in crate::origin) fn is_for(&self, client: Option<Endpoints>) -> bool {
        self.client == client
    }

    /// Whether it is too old to be used again.
    pub(in crate::origin) fn is_over(&self, now: Instant) -> bool {
        age::is_over(self.over_at, now)
    }

    /// Sends one request and waits for the head of its response.
    pub(in crate::origin) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, Unsent> {
        self.may_switch = request.headers().contains_key(UPGRADE);
        let sending = self.sender.try_send_request(request);
        let sent = self.driving(sending).await.map_err(|mut failed| {
            let request = failed.take_message().map(Box::new);
            let error = sort(failed.into_error(), request.is_some());
            Unsent {
                request,
                ..error.into()
            }
        });
        let is_101 = |it: &Response<_>| it.status() == StatusCode::SWITCHING_PROTOCOLS;
        match self.may_switch && sent.as_ref().is_ok_and(is_101) {
            true => self.until_idle().await,
            false => self.stay(),
        }
        sent
    }

    /// The server goes on with HTTP.
    fn stay(&mut self) {
        self.may_switch = false;
        self.bury();
    }

    /// Drops what hyper has left of the connection, for only by that its other half hears of its end.
    fn bury(&mut self) {
        if let Driver::Switched(..) = self.driver {
            self.driver = Driver::None;
        }
    }

    /// hyper gives the wire back in its own time, once the head of the answer is out.
    async fn until_idle(&mut self) {
        poll_fn(|cx| {
            self.drive(cx);
            match self.driver {
                Driver::Holder(..) => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
    }

    /// The bare connection, if its server has switched protocols.
    pub(in crate::origin) fn into_bare(mut self) -> Option<Bare> {
        let Driver::Switched(wire, permit) = mem::replace(&mut self.driver, Driver::None) else {
            return None;
        };
        let parts = Pin::into_inner(wire).into_parts();
        Some(Bare {
            stream: parts.io.into_inner(),
            unread: parts.read_buf,
            permit,
        })
    }

    /// Drives while it waits for `sent`, which only the bytes of this connection can bring about.
    async fn driving<T>(&mut self, sent: impl Future<Output = T>) -> T {
        // Without a budget of its own, for that would wake who asks, and nobody does.
        let mut sent = pin!(unconstrained(sent));
        poll_fn(|cx| {
            self.drive(cx);
            let polled = sent.as_mut().poll(&mut self.listening(cx));
            if polled.is_pending() && matches!(self.driver, Driver::Switched(..)) {
                // It has ended, and not with an answer.
                self.bury();
                return sent.as_mut().poll(cx);
            }
            polled
        })
        .await
    }

    /// Moves what can be moved, and has `cx` woken when there is more.
    fn drive(&mut self, cx: &mut Context<'_>) {
        // An error here is also the error of the exchange that is under way.
        let Driver::Holder(wire, _) = &mut self.driver else {
            return;
        };
        if wire.as_mut().poll(cx).is_ready() {
            let ended = mem::replace(&mut self.driver, Driver::None);
            if let Driver::Holder(wire, permit) = ended
                && self.may_switch
            {
                self.driver = Driver::Switched(wire, permit);
            }
        }
    }

    /// For what is looked at right after [`Self::drive`]: by whom it is to be woken. Who drives is
    /// woken by the socket already, and need not be told by itself of what it has just moved.
    fn listening<'a>(&self, cx: &'a Context<'_>) -> Context<'a> {
        Context::from_waker(match self.driver {
            Driver::Task(_) => cx.waker(),
            Driver::Holder(..) | Driver::Switched(..) | Driver::None => Waker::noop(),
        })
    }

    /// What has come of a body, or what comes by looking.
    pub(in crate::origin) fn poll_body(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let there = Pin::new(&mut *body).poll_frame(&mut self.listening(cx));
        if there.is_ready() {
            return there;
        }
        self.drive(cx);
        Pin::new(body).poll_frame(&mut self.listening(cx))
    }

    /// Leaves the bytes to a task of their own.
    pub(in crate::origin) fn let_go(&mut self) {
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

/// How long a server says that it keeps an idle connection: `Keep-Alive: timeout=5` (RFC 2068
/// §19.7.1.1), which Node.js sends unasked. A request that meets a connection just closed cannot
/// always be sent again, so a fifth is left for what is on the wire.
pub(in crate::origin) fn kept_alive(fields: &HeaderMap) -> Option<Duration> {
    let words = fields.get(KEEP_ALIVE)?.to_str().ok()?;
    let timeout = words
        .split([',', ' '])
        .find_map(|word| word.trim().strip_prefix("timeout="))?;
    let seconds: u32 = timeout.parse().ok()?;
    Some(Duration::from_secs(seconds.into()) * 4 / 5)
}

/// What hyper's error means for the exchange.
fn sort(error: hyper::Error, unsent: bool) -> Error {
    let (kind, retry) = if unsent {
        (Kind::Closed, Retry::Safe)
    } else if let Some(kind) = upload_error(&error) {
        (kind, Retry::No)
    } else if error.is_parse() || error.is_parse_status() || error.is_parse_too_large() {
        (Kind::Malformed, Retry::IfIdempotent)
    } else if tls::is_at_fault(&error) {
        (Kind::Tls, Retry::IfIdempotent)
    } else {
        (Kind::Closed, Retry::IfIdempotent)
    };
    Error::new(kind, Phase::AwaitingHead, retry).because(error)
}

/// Whether it was the client's body that failed, and how.
fn upload_error(error: &hyper::Error) -> Option<Kind> {
    let cause = std::error::Error::source(error);
    match cause.and_then(|cause| cause.downcast_ref::<body::Error>()) {
        Some(cause) => Some(kind_of_upload(cause)),
        None => error.is_user().then_some(Kind::UploadBroken),
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
