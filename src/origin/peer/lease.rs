//! Lease of a wire for one exchange: a connection of its own, or a stream on a shared one.
//!
//! A connection of HTTP/1.1 goes back to its pool only when the response has been read to its clean
//! end; whatever else happens to the exchange closes it, so that no request ever meets the rest of
//! another's answer. On HTTP/2 it ends the stream and no more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep, sleep_until, timeout_at};

use super::{Peer, Switched};
use crate::body::{self, Body, Progress, trailers};
use crate::clock;
use crate::origin::connect::{Incoming, Unsent, http1, http2};
use crate::origin::error::{Error, Kind, Phase, Retry};
use crate::origin::server::Flight;

/// What an exchange goes over.
pub(in crate::origin) enum Way {
    /// A connection of its own, for as long as it lasts.
    Whole(http1::Connection),
    /// A stream of a connection that others use as well.
    Stream(http2::Http2Stream),
}

/// What one exchange has for itself.
pub(in crate::origin) struct Lease {
    peer: Arc<Peer>,
    way: Way,
    reused: bool,
    /// The upload of the exchange, if it has one.
    upload: Option<Progress>,
    /// How long the server says that it keeps the connection.
    keeps: Option<Duration>,
    /// Counts the exchange as in flight, for as long as the lease lives.
    flight: Option<Flight>,
}

/// How long a server may be silent in one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the last byte of the request to the whole head of the response.
    pub first_byte: Duration,
    /// Within the body of the response.
    pub between_bytes: Duration,
}

/// What a failure on a connection may be put down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::origin) enum Blame {
    /// The server.
    Server,
    /// A connection that others use too may be ending.
    Shared,
    /// The connection has been good and may have died since.
    Stale,
}

/// An exchange that has brought no answer.
pub(in crate::origin) struct Unanswered {
    pub(in crate::origin) unsent: Unsent,
    /// Its place among those in flight, where another connection may carry it.
    pub(in crate::origin) flight: Option<Flight>,
}

/// The body of a response, which gives its connection back at its end.
struct OriginBody {
    body: Incoming,
    lease: Option<Lease>,
    silence_max: Duration,
    silence: Option<Pin<Box<Sleep>>>,
    /// Whether trailers have come, behind which there is nothing.
    has_ended: bool,
}

// === impl Lease ===

impl Lease {
    /// `reused` tells whether the way comes from the pool, so that it may have died unnoticed.
    pub(in crate::origin) fn new(peer: Arc<Peer>, way: Way, reused: bool) -> Self {
        Self {
            peer,
            way,
            reused,
            upload: None,
            keeps: None,
            flight: None,
        }
    }

    /// The same, which keeps `flight` until the exchange has ended.
    pub(in crate::origin) fn carrying(mut self, flight: Flight) -> Self {
        self.flight = Some(flight);
        self
    }

    /// By what it is judged whether a failure is only that of a connection.
    pub(in crate::origin) fn blame(&self) -> Blame {
        match &self.way {
            _ if !self.reused => Blame::Server,
            Way::Whole(_) => Blame::Stale,
            Way::Stream(stream) if stream.has_answered() => Blame::Stale,
            Way::Stream(_) => Blame::Shared,
        }
    }

    /// One exchange under the first-byte timeout, which runs from the last byte of the request.
    /// It is for the whole head: interim responses and single bytes do not extend it.
    pub(in crate::origin) async fn head(
        self,
        request: Request<Body>,
        upload: Option<&Progress>,
        timeouts: Timeouts,
    ) -> Result<Response<Body>, Unanswered> {
        let exchange = self.exchange(request, upload, timeouts.between_bytes);
        let sent = clock::instant();
        let timed_out =
            || Error::new(Kind::Timeout, Phase::AwaitingHead, Retry::IfIdempotent).into();
        let Some(upload) = upload else {
            let deadline = sent + timeouts.first_byte;
            return timeout_at(deadline, exchange)
                .await
                .unwrap_or_else(|_| Err(timed_out()));
        };
        let mut exchange = std::pin::pin!(exchange);
        let mut deadline = sent + timeouts.first_byte;
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
            let next = since + timeouts.first_byte;
            if next <= deadline {
                return Err(timed_out());
            }
            deadline = next;
        }
    }

    /// Sends one request and waits for the head of its response.
    async fn exchange(
        mut self,
        request: Request<Body>,
        upload: Option<&Progress>,
        silence_max: Duration,
    ) -> Result<Response<Body>, Unanswered> {
        self.upload = upload.cloned();
        let sent = match &mut self.way {
            Way::Whole(connection) => connection.send(request).await,
            Way::Stream(stream) => stream.send(request).await,
        };
        let response = sent.map_err(|unsent| Unanswered {
            unsent,
            flight: self.flight.take(),
        })?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(self.switched(response));
        }
        let is_uploading = self.is_uploading();
        if let Way::Whole(connection) = &mut self.way
            && is_uploading
        {
            connection.let_go();
        }
        self.keeps = http1::kept_alive(response.headers());
        Ok(response.map(|body| self.body(body, silence_max)))
    }

    /// The head of an answer with which the exchange ends and something else begins, if that was asked
    /// for.
    fn switched(self, response: Response<Incoming>) -> Response<Body> {
        let mut response = response.map(|_| Body::empty());
        if let Way::Whole(connection) = self.way
            && let Some(bare) = connection.into_bare()
        {
            Switched::new(bare, self.flight).put_into(&mut response);
        }
        response
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
            has_ended: false,
        })
    }

    /// An answer that came before the end of the upload ends both: nobody will read the rest. On a
    /// stream they end each for itself.
    fn give_back(self) {
        let is_uploading = self.is_uploading();
        match self.way {
            Way::Whole(_) if is_uploading => {}
            Way::Whole(connection) => self.peer.give_back(connection, self.keeps),
            Way::Stream(stream) => stream.finish(),
        }
    }

    fn is_uploading(&self) -> bool {
        let upload = self.upload.as_ref();
        upload.is_some_and(|upload| !upload.has_ended())
    }
}

// === impl Blame ===

impl Blame {
    /// Whether the failure says nothing against the server.
    pub(in crate::origin) fn spares_server(self, error: &Error) -> bool {
        let is_of_the_connection = matches!(error.kind, Kind::Closed | Kind::Tls);
        self != Self::Server && (error.retry == Retry::Safe || is_of_the_connection)
    }

    /// Whether there may be as many failures of this kind as requests, and not only as many as
    /// connections that had been good.
    pub(in crate::origin) fn may_be_many(self, error: &Error) -> bool {
        self != Self::Stale || error.kind == Kind::Reset
    }
}

// === impl Unanswered ===

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self {
            unsent: error.into(),
            flight: None,
        }
    }
}

// === impl OriginBody ===

impl OriginBody {
    /// Back to the pool, now that the message is whole.
    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.peer.vitals.conduct.note_whole_body();
            lease.give_back();
        }
    }

    /// Ends the exchange, for its server has not sent the message to its end. Where there is an
    /// upload, that may be the client's doing as well.
    fn break_off(&mut self) {
        if let Some(lease) = self.lease.take()
            && lease.upload.is_none()
        {
            lease.peer.vitals.break_off();
        }
    }

    /// Whether a body that gives no more is not whole. hyper takes a reset without an error for the
    /// end of the body, wherever it comes. It may come after the end, while there is an upload:
    ///
    /// "A server MAY request that the client abort transmission of a request without error by
    /// sending a RST_STREAM with an error code of NO_ERROR after sending a complete response"
    /// (RFC 9113 §8.1).
    fn is_cut(&self) -> bool {
        let Some(lease) = &self.lease else {
            return false;
        };
        matches!(lease.way, Way::Stream(_))
            && !self.body.is_end_stream()
            && (!lease.is_uploading() || self.body.size_hint().lower() > 0)
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
        let polled = match self.lease.as_mut().map(|lease| &mut lease.way) {
            Some(Way::Whole(connection)) => connection.poll_body(&mut self.body, cx),
            Some(Way::Stream(_)) | None => Pin::new(&mut self.body).poll_frame(cx),
        };
        polled.map_err(|error| body::Error::Broken(error.into()))
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
                this.has_ended |= frame.is_trailers();
                if this.is_end_stream() {
                    this.finish();
                }
                Poll::Ready(trailers::admitted(frame).map(Ok))
            }
            Poll::Ready(Some(Err(error))) => {
                this.break_off();
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) if this.is_cut() => {
                this.break_off();
                Poll::Ready(Some(Err(body::Error::Truncated)))
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Poll::Pending => this.poll_silence(cx).map(|()| {
                this.break_off();
                Some(Err(body::Error::Stalled))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
