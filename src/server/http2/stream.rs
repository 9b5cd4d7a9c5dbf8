//! Stream of an HTTP/2 connection: a request that is being answered, its upload and its response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue, TE};
use http::header::{TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Response};
use http_body::Body as HttpBody;
use tokio::task::JoinHandle;

use super::bell::{Bell, Cord, Head};
use super::outflow::Outflow;
use super::piece::{Piece, Unsent};
use super::upload::{Intake, Taken};
use crate::body::Body;
use crate::clock::{self, Instant};
use crate::semantics::date;
use crate::semantics::priority::Priority;

/// As many interim responses as one request may bring; what comes beyond is dropped.
const HEADS_MAX: u8 = 8;

/// "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields."
/// (RFC 9113 §8.2.2)
const OF_CONNECTIONS: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    TE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// One request on its way.
pub(super) struct Stream {
    pub(super) cord: Arc<Cord>,
    /// Rings the same.
    pub(super) waker: Waker,
    pub(super) asked: Asked,
    pub(super) intake: Option<Intake>,
    pub(super) state: State,
    heads: u8,
}

/// A request, as far as its answer hangs on it.
pub(super) struct Asked {
    pub(super) id: u32,
    /// What its upload rings by, if it has one.
    pub(super) cord: Option<Arc<Cord>>,
    pub(super) respond: SendResponse<Piece>,
    pub(super) is_head: bool,
    /// Whether the client waits for leave to send its body.
    pub(super) expects: bool,
    pub(super) priority: Priority,
}

/// How far it is.
pub(super) enum State {
    /// The pipeline is at work.
    Answering(Answering),
    Sending(Outflow),
    /// All has been said, and the client is still sending.
    Answered {
        since: Instant,
        moved: Instant,
    },
}

/// The work of the pipeline, which ends with the stream.
pub(super) struct Answering(JoinHandle<Response<Body>>);

/// What the connection has to do for a stream that was looked at.
pub(super) enum Look {
    /// Nothing: it rings when it has news.
    Waits,
    /// Its answer is there.
    Answer(Box<Response<Body>>),
    /// It may have something to send.
    Sends,
    /// It is over.
    Over,
}

// === impl Stream ===

impl Stream {
    pub(super) fn new(
        mut asked: Asked,
        intake: Option<Intake>,
        state: State,
        bell: &Arc<Bell>,
    ) -> Self {
        let cord = asked.cord.take();
        let cord = cord.unwrap_or_else(|| Cord::new(asked.id, bell));
        Self {
            waker: Waker::from(Arc::clone(&cord)),
            cord,
            asked,
            intake,
            state,
            heads: 0,
        }
    }

    /// Looks at what is new.
    pub(super) fn look(&mut self) -> Look {
        self.cord.hang();
        let waker = self.waker.clone();
        let cx = &mut Context::from_waker(&waker);
        let is_uploaded = self.take_upload(cx);
        match &mut self.state {
            State::Answering(answering) => {
                if let Poll::Ready(answer) = answering.poll(cx) {
                    return answer.map_or_else(|| self.fail(), |it| Look::Answer(Box::new(it)));
                }
                match self.asked.respond.poll_reset(cx) {
                    Poll::Ready(_) => Look::Over,
                    Poll::Pending => Look::Waits,
                }
            }
            State::Sending(_) => Look::Sends,
            State::Answered { .. } if is_uploaded => Look::Over,
            State::Answered { .. } => Look::Waits,
        }
    }

    /// Sends an interim response, unless the final one has begun. Whatever h2 has against one, there is
    /// nobody to be told.
    pub(super) fn send_head(&mut self, head: Head) {
        if matches!(self.state, State::Answering(_)) && self.heads < HEADS_MAX {
            self.heads += 1;
            let mut response = Response::new(());
            *response.status_mut() = head.status;
            *response.headers_mut() = head.fields;
            strip(response.headers_mut());
            let _ = self.asked.respond.send_informational(response);
        }
    }

    /// Its trailers are malformed: "Malformed requests or responses that are detected MUST be treated as
    /// a stream error (Section 5.4.2) of type PROTOCOL_ERROR." (RFC 9113 §8.1.1)
    pub(super) fn refuse_trailers(&mut self) {
        if let Some(intake) = &mut self.intake {
            intake.refuse();
        }
        self.reset(Reason::PROTOCOL_ERROR);
    }

    pub(super) fn reset(&mut self, reason: Reason) {
        match &mut self.state {
            State::Sending(outflow) => outflow.reset(reason),
            _ => self.asked.respond.send_reset(reason),
        }
    }

    /// The pipeline has broken down; the trace of it is the panic's own.
    fn fail(&mut self) -> Look {
        self.reset(Reason::INTERNAL_ERROR);
        Look::Over
    }

    /// Takes in what has come of the request's body. Whether that was all.
    fn take_upload(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(intake) = &mut self.intake else {
            return true;
        };
        let dropped_bytes = intake.dropped_bytes;
        match intake.take(cx) {
            Taken::Some => {}
            Taken::All => {
                self.intake = None;
                return true;
            }
            Taken::Malformed => {
                self.refuse_trailers();
                self.intake = None;
                return true;
            }
        }
        if let State::Answered { moved, .. } = &mut self.state
            && intake.dropped_bytes > dropped_bytes
        {
            *moved = clock::instant();
        }
        let is_awaited = matches!(self.state, State::Answering(_));
        if is_awaited && self.asked.expects && intake.is_wanted() {
            self.asked.expects = false;
            let mut leave = Response::new(());
            *leave.status_mut() = http::StatusCode::CONTINUE;
            let _ = self.asked.respond.send_informational(leave);
        }
        false
    }
}

// === impl State ===

impl State {
    /// All is said at this moment.
    pub(super) fn answered(now: Instant) -> Self {
        Self::Answered {
            since: now,
            moved: now,
        }
    }
}

// === impl Asked ===

impl Asked {
    /// Sends the head of the answer. What is left is its body; `None` if there is none, or the stream
    /// is gone.
    pub(super) fn respond(
        &mut self,
        response: Response<Body>,
        unsent: &Arc<Unsent>,
    ) -> Option<Outflow> {
        let (mut head, body) = response.into_parts();
        self.priority = self.priority.merged(&head.headers);
        complete(&mut head.headers, &body);
        let is_whole = body.is_end_stream() || self.is_head;
        let head = Response::from_parts(head, ());
        let stream: SendStream<Piece> = match self.respond.send_response(head, is_whole) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "a response could not be sent");
                self.respond.send_reset(Reason::INTERNAL_ERROR);
                return None;
            }
        };
        (!is_whole).then(|| Outflow::new(stream, body, unsent))
    }
}

/// Leaves out what is of a connection, and adds what hyper adds for HTTP/1.
fn complete(fields: &mut HeaderMap, body: &Body) {
    strip(fields);
    fields
        .entry(DATE)
        .or_insert_with(|| date::format(clock::now()));
    if !body.is_end_stream()
        && let Some(length) = body.size_hint().exact()
    {
        fields
            .entry(CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(length));
    }
}

fn strip(fields: &mut HeaderMap) {
    for name in &OF_CONNECTIONS {
        fields.remove(name);
    }
}

// === impl Answering ===

impl Answering {
    pub(super) fn new(task: JoinHandle<Response<Body>>) -> Self {
        Self(task)
    }

    /// `None` if it has broken down.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Response<Body>>> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.abort();
    }
}
