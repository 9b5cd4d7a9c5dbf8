//! Refusal of a request that we do not act upon, with what its client and the log are told.

use http::StatusCode;

/// A request that we do not act upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It breaks the rules of HTTP; the reason as a token.
    Malformed(&'static str),
    /// Its target is longer than allowed.
    TargetTooLong,
    /// Its head has more fields than allowed.
    HeadTooLong,
    /// Its announced body is longer than allowed.
    BodyTooLong,
    /// It has come by here too often.
    Loop,
    /// A method that is refused on principle.
    Method,
    /// It expects what we do not know (RFC 9110 §10.1.1).
    Expectation,
    /// A PURGE from a network that may not.
    PurgeForbidden,
    /// It wants the connection for WebSocket, which its route does not carry.
    WebSocket,
    /// There are as many tunnels as may be.
    TunnelsFull,
    /// Its host wants another certificate of its client than the name that the handshake was for.
    Misdirected,
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::PurgeForbidden => StatusCode::FORBIDDEN,
            Self::WebSocket => StatusCode::NOT_IMPLEMENTED,
            Self::TunnelsFull => StatusCode::SERVICE_UNAVAILABLE,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        }
    }

    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::Malformed(why) => why,
            Self::TargetTooLong => "target-too-long",
            Self::HeadTooLong => "head-too-long",
            Self::BodyTooLong => "body-too-long",
            Self::Loop => "loop",
            Self::Method => "method-refused",
            Self::Expectation => "expectation",
            Self::PurgeForbidden => "purge-forbidden",
            Self::WebSocket => "websocket",
            Self::TunnelsFull => "tunnels-full",
            Self::Misdirected => "misdirected",
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Malformed(why) => why,
            Self::TargetTooLong => "the request target is too long",
            Self::HeadTooLong => "the request has too many fields",
            Self::BodyTooLong => "the request body is too long",
            Self::Loop => "the request goes in circles",
            Self::Method => "this method is not served here",
            Self::Expectation => "only 100-continue can be expected here",
            Self::PurgeForbidden => "this client may not purge",
            Self::WebSocket => "WebSocket connections are not carried here",
            Self::TunnelsFull => "no more connections of this kind are carried at the moment",
            Self::Misdirected => {
                "this host wants a connection of its own, for it asks for other client certificates"
            }
        }
    }
}
