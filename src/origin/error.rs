//! Errors of an origin: whose fault, in which phase, and whether another try is safe.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rustix::io::Errno;

/// A request that an origin did not answer properly.
#[derive(Debug, thiserror::Error)]
#[error("{kind} while {phase}")]
pub struct Error {
    /// What happened.
    pub kind: Kind,
    /// How far the request had come.
    pub phase: Phase,
    /// Whether the same request may be sent again.
    pub retry: Retry,
    /// When another request may find more luck; zero while nobody knows.
    pub retry_after: Duration,
    /// The server that was asked last, `host:port`; `None` where none was chosen.
    pub server: Option<Arc<str>>,
    /// The library's error beneath, for the log.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The server's name has no address.
    Resolve,
    /// The server did not accept the connection.
    Refused,
    /// We have no file descriptor left for a connection.
    Descriptors,
    /// The server did not prove who it is, or does not speak TLS, or does not want us.
    Tls,
    /// No server has room for another request or connection, and as many requests wait as may.
    Full,
    /// No server had room for as long as a request may wait.
    QueueTimeout,
    /// The origin's breaker is open.
    Breaker,
    /// No server may be asked at this moment.
    NoServer,
    /// Nothing came within the time configured.
    Timeout,
    /// The connection ended before the response's head was whole.
    Closed,
    /// The server ended the exchange before the response's head, and not its connection.
    Reset,
    /// The answer is not HTTP that a proxy may pass on.
    Malformed,
    /// The client's request body broke off.
    UploadBroken,
    /// The client's request body stopped coming.
    UploadStalled,
    /// The client's request body is longer than allowed.
    UploadTooLarge,
}

/// How far a request had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No byte has been sent.
    Connecting,
    /// The request may have been seen.
    AwaitingHead,
}

/// Whether the same request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing of it was sent on that connection.
    Safe,
    /// It may have been acted upon: only a request that is safe to repeat may be repeated.
    IfIdempotent,
    /// Sending it again would not help.
    No,
}

/// Why a request was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The pooled connection had died; another to the same server took its place.
    Stale,
    /// No connection came about, or there was no room for one.
    Connect,
    /// The connection, or the stream, ended before the head of the answer was whole.
    Reset,
    /// No answer came in time.
    Timeout,
    /// The answer was no HTTP.
    Malformed,
    /// The answer had a status that another server may not give.
    Status,
}

// === impl Error ===

impl Error {
    pub(super) fn new(kind: Kind, phase: Phase, retry: Retry) -> Self {
        Self {
            kind,
            phase,
            retry,
            retry_after: Duration::ZERO,
            server: None,
            source: None,
        }
    }

    /// No connection has come about, so nothing was sent on it.
    pub(super) fn connecting(kind: Kind) -> Self {
        Self::new(kind, Phase::Connecting, Retry::Safe)
    }

    /// There is nobody whom a request could be sent to, nor if it is sent again at once.
    pub(super) fn no_server() -> Self {
        Self::new(Kind::NoServer, Phase::Connecting, Retry::No)
    }

    /// We lack what a connection takes, whichever server it is to.
    pub(super) fn out_of_descriptors() -> Self {
        Self::new(Kind::Descriptors, Phase::Connecting, Retry::No)
    }

    /// No connection has come about: the server's doing, or ours.
    pub(super) fn unconnected(error: io::Error) -> Self {
        let lacking = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        let is_ours = Errno::from_io_error(&error).is_some_and(|it| lacking.contains(&it));
        let error_of = match is_ours {
            true => Self::out_of_descriptors(),
            false => Self::connecting(Kind::Refused),
        };
        error_of.because(error)
    }

    pub(super) fn come_back_after(self, retry_after: Duration) -> Self {
        Self {
            retry_after,
            ..self
        }
    }

    /// It happened with this server.
    pub(super) fn at(mut self, server: &Arc<str>) -> Self {
        self.server = Some(Arc::clone(server));
        self
    }

    /// The error with what lies beneath it, on one line.
    pub fn causes(&self) -> String {
        let mut line = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            line = format!("{line}: {cause}");
            source = cause.source();
        }
        line
    }

    pub(super) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// An answer that breaks the rules of HTTP.
    pub fn malformed(why: &'static str) -> Self {
        Self::new(Kind::Malformed, Phase::AwaitingHead, Retry::IfIdempotent).because(why)
    }

    /// What the client is told (RFC 9110 §15.6).
    pub fn status(&self) -> StatusCode {
        match self.kind {
            Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Kind::Descriptors
            | Kind::Full
            | Kind::QueueTimeout
            | Kind::Breaker
            | Kind::NoServer
            | Kind::Resolve => StatusCode::SERVICE_UNAVAILABLE,
            Kind::UploadBroken => StatusCode::BAD_REQUEST,
            Kind::UploadStalled => StatusCode::REQUEST_TIMEOUT,
            Kind::UploadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Refused | Kind::Tls | Kind::Closed | Kind::Reset | Kind::Malformed => {
                StatusCode::BAD_GATEWAY
            }
        }
    }
}

// === impl Kind ===

impl Kind {
    /// All kinds, in the order of their counters.
    pub const ALL: [Self; 15] = [
        Self::Resolve,
        Self::Refused,
        Self::Descriptors,
        Self::Tls,
        Self::Full,
        Self::QueueTimeout,
        Self::Breaker,
        Self::NoServer,
        Self::Timeout,
        Self::Closed,
        Self::Reset,
        Self::Malformed,
        Self::UploadBroken,
        Self::UploadStalled,
        Self::UploadTooLarge,
    ];

    /// Whether it speaks against a server that there was no answer.
    pub(super) fn is_servers_fault(self) -> bool {
        match self {
            Self::Resolve
            | Self::Refused
            | Self::Tls
            | Self::Timeout
            | Self::Closed
            | Self::Reset
            | Self::Malformed => true,
            Self::Descriptors
            | Self::Full
            | Self::QueueTimeout
            | Self::Breaker
            | Self::NoServer
            | Self::UploadBroken
            | Self::UploadStalled
            | Self::UploadTooLarge => false,
        }
    }

    /// Whether the client's own body was the trouble, which is no news to an operator.
    pub(super) fn is_clients_fault(self) -> bool {
        matches!(
            self,
            Self::UploadBroken | Self::UploadStalled | Self::UploadTooLarge
        )
    }

    /// A token for metrics, the log and `Cache-Status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "origin-unresolved",
            Self::Refused => "origin-refused",
            Self::Descriptors => "out-of-descriptors",
            Self::Tls => "origin-tls",
            Self::Full => "origin-full",
            Self::QueueTimeout => "origin-queue-timeout",
            Self::Breaker => "origin-breaker",
            Self::NoServer => "origin-no-server",
            Self::Timeout => "origin-timeout",
            Self::Closed => "origin-closed",
            Self::Reset => "origin-reset",
            Self::Malformed => "origin-malformed",
            Self::UploadBroken => "upload-broken",
            Self::UploadStalled => "upload-stalled",
            Self::UploadTooLarge => "upload-too-large",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the server's name has no address",
            Self::Refused => "the server refused the connection",
            Self::Descriptors => "there was no file descriptor left",
            Self::Tls => "TLS with the server failed",
            Self::Full => "no server has room for more",
            Self::QueueTimeout => "no server had room for too long",
            Self::Breaker => "the origin's breaker is open",
            Self::NoServer => "no server may be asked",
            Self::Timeout => "no answer came in time",
            Self::Closed => "the connection was closed",
            Self::Reset => "the server reset the stream",
            Self::Malformed => "the answer was malformed",
            Self::UploadBroken => "the request's body broke off",
            Self::UploadStalled => "the request's body stopped coming",
            Self::UploadTooLarge => "the request's body is longer than allowed",
        })
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::AwaitingHead => "awaiting the response",
        })
    }
}

// === impl Why ===

impl Why {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 6] = [
        Self::Stale,
        Self::Connect,
        Self::Reset,
        Self::Timeout,
        Self::Malformed,
        Self::Status,
    ];

    /// A word for metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Status => "status",
        }
    }
}

/// Whether an answer speaks against the server that gave it.
pub(super) fn is_failure(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}
