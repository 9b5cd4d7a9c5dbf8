//! Interim responses (1xx): what of them goes on from an origin to the client that waits.
//!
//! RFC 9110 §15.2: "A proxy MUST forward 1xx responses unless the proxy itself requested the
//! generation of the 1xx response." When one can be written is the business of the [`Sink`].
//! None is ever stored, and nobody waits until one is delivered.

use std::sync::Weak;

use http::{HeaderMap, StatusCode};

use crate::semantics::headers;

/// Takes interim responses for one connection's client.
pub trait Sink: Send + Sync {
    /// Takes one that answers the connection's request of this number, or drops it. Never waits.
    fn offer(&self, request: u32, status: StatusCode, fields: &HeaderMap);
}

/// The way of interim responses to the client of one request. It keeps nothing alive: they are
/// dropped once the client has left, or has its final response.
///
/// They go on as they come, so a request that is tried again may bring those of each try. "A client
/// MUST be able to parse one or more 1xx responses received prior to a final response, even if the
/// client does not expect one." (RFC 9110 §15.2)
#[derive(Clone)]
pub struct Interim {
    sink: Weak<dyn Sink>,
    request: u32,
}

// === impl Interim ===

impl Interim {
    /// To the client of `sink`, as long as it waits for the answer to the request of this number.
    pub fn new(sink: Weak<dyn Sink>, request: u32) -> Self {
        Self { sink, request }
    }

    /// Hands on what a proxy must forward, without what belongs to the origin's connection.
    pub(super) fn forward(&self, status: StatusCode, fields: &HeaderMap) {
        if !is_forwarded(status) {
            return;
        }
        let Some(sink) = self.sink.upgrade() else {
            return;
        };
        let mut fields = fields.clone();
        headers::strip_hop_by_hop(&mut fields);
        // "A server MUST NOT send a Content-Length header field in any response with a status
        // code of 1xx (Informational) or 204 (No Content)." (RFC 9110 §8.6)
        headers::strip_framing(&mut fields);
        sink.offer(self.request, status, &fields);
    }
}

/// 100 answers an expectation, which is between each client and us, or each server and us; and a
/// switch of protocols is never asked for. All others go on, known or not.
fn is_forwarded(status: StatusCode) -> bool {
    let ours = [StatusCode::CONTINUE, StatusCode::SWITCHING_PROTOCOLS];
    status.is_informational() && !ours.contains(&status)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{HeaderName, HeaderValue};
    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct Client(Mutex<Vec<(u32, u16, HeaderMap)>>);

    impl Sink for Client {
        fn offer(&self, request: u32, status: StatusCode, fields: &HeaderMap) {
            let taken = (request, status.as_u16(), fields.clone());
            self.0.lock().push(taken);
        }
    }

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            let (name, value) = (*name, *value);
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        lines.iter().map(line).collect()
    }

    fn way_to(client: &Arc<Client>) -> Interim {
        let client: Arc<dyn Sink> = Arc::clone(client) as _;
        Interim::new(Arc::downgrade(&client), 7)
    }

    #[test]
    fn interim_responses_go_on_but_for_our_own() {
        for (section, status, goes_on) in [
            ("RFC 9110 §15.2.1", 100, false),
            ("RFC 9110 §15.2.2", 101, false),
            ("RFC 2518 §10.1", 102, true),
            ("RFC 8297 §2", 103, true),
            ("RFC 9110 §15", 199, true),
            ("RFC 9110 §15", 200, false),
        ] {
            let client = Arc::default();
            let status = StatusCode::from_u16(status).expect("a status");
            way_to(&client).forward(status, &HeaderMap::new());
            assert_eq!(client.0.lock().len() == 1, goes_on, "{section}: {status}");
        }
    }

    #[test]
    fn what_belongs_to_the_origins_connection_stays_behind() {
        let client = Arc::default();
        let fields = fields(&[
            ("link", "</a.css>; rel=preload"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
        ]);
        way_to(&client).forward(StatusCode::EARLY_HINTS, &fields);
        let expected = self::fields(&[("link", "</a.css>; rel=preload")]);
        assert_eq!(*client.0.lock(), [(7, 103, expected)]);
    }

    #[test]
    fn a_client_that_has_left_gets_nothing() {
        let client = Arc::default();
        let way = way_to(&client);
        drop(client);
        way.forward(StatusCode::EARLY_HINTS, &HeaderMap::new());
        assert!(way.sink.upgrade().is_none());
    }
}
