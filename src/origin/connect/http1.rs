//! One HTTP/1.1 connection to a server: one exchange at a time (RFC 9112).
//!
//! What becomes of it between exchanges is in `peer.rs`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{FIELDS_MAX, HEAD_BYTES_MAX, Unsent, kind_of_upload};
use crate::body::{self, Body};
use crate::clock::Instant;
use crate::origin::age;
use crate::origin::dial::Stream;
use crate::origin::error::{Error, Kind, Phase, Retry};
use crate::origin::permit::Permit;
use crate::origin::tls;
use crate::semantics::ends::Ends;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What one connection may buffer.
const BUFFER_BYTES_MAX: usize = 128 * 1024;

/// How long a connection from the pool may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_millis(10);

/// The sending half of an open connection.
#[derive(Debug)]
pub(in crate::origin) struct Connection {
    sender: http1::SendRequest<Body>,
    driver: AbortHandle,
    /// When it is too old to be used again.
    over_at: Option<Instant>,
    /// Whose it was said to be, where servers are told.
    client: Option<Ends>,
}

// === impl Connection ===

impl Connection {
    /// Speaks HTTP on a new connection; the permit is kept for as long as it is open.
    pub(in crate::origin) async fn open(
        stream: Stream,
        permit: Permit,
        over_at: Option<Instant>,
        client: Option<Ends>,
    ) -> Result<Self, Error> {
        let failed = |kind| Error::new(kind, Phase::Connecting, Retry::Safe);
        let (sender, driver) = http1::Builder::new()
            .max_headers(FIELDS_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(Kind::Closed).because(error))?;
        let driving = tokio::spawn(async move {
            // An error here is also the error of the exchange that was under way.
            let _ = driver.await;
            drop(permit);
        });
        let driver = driving.abort_handle();
        Ok(Self {
            sender,
            driver,
            over_at,
            client,
        })
    }

    /// Waits the moment until the last exchange is off the wire; false if the connection is dead,
    /// or still busy with an upload that its server did not wait for.
    pub(in crate::origin) async fn ready(&mut self) -> bool {
        if self.sender.is_ready() {
            return true;
        }
        matches!(
            timeout(READY_TIMEOUT, self.sender.ready()).await,
            Ok(Ok(()))
        )
    }

    pub(in crate::origin) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether it may carry a request of this client.
    pub(in crate::origin) fn is_for(&self, client: Option<Ends>) -> bool {
        self.client == client
    }

    /// Whether it is too old to be used again.
    pub(in crate::origin) fn is_over(&self, now: Instant) -> bool {
        age::is_over(self.over_at, now)
    }

    /// Sends one request and waits for the head of its response.
    pub(super) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, Unsent> {
        let sent = self.sender.try_send_request(request).await;
        sent.map_err(|mut failed| {
            let request = failed.take_message().map(Box::new);
            let error = sort(failed.into_error(), request.is_some());
            Unsent {
                error,
                request,
                flight: None,
            }
        })
    }
}

/// Only a connection that is of no more use is dropped. Left to itself, hyper would go on trying
/// to send the rest of an upload that the server does not read.
impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// How long a server says that it keeps an idle connection: `Keep-Alive: timeout=5` (RFC 2068
/// §19.7.1.1), which Node.js sends unasked. A request that meets a connection just closed cannot
/// always be sent again, so a fifth is left for what is on the wire.
pub(super) fn kept_alive(fields: &HeaderMap) -> Option<Duration> {
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
