//! Wires to a server: a connection of HTTP/1.1, and a stream on one of HTTP/2.
//!
//! The door to hyper's client. Each sends one request and brings the head of its response; which
//! wire an exchange gets, and what becomes of that afterwards, is in `peer/lease.rs`.

mod convert;
pub(super) mod http1;
pub(super) mod http2;

use http::Request;
pub(super) use hyper::body::Incoming;

use super::error::{Error, Kind};
use super::interim::Interim;
use crate::body::{self, Body};

/// The largest head an origin may send.
const HEAD_BYTES_MAX: usize = 96 * 1024;
/// As many fields as an origin's head may have.
const FIELDS_MAX: usize = 256;

/// A request that did not reach the origin, or whose answer did not come.
pub(super) struct Unsent {
    pub(super) error: Error,
    /// The request, when not a byte of it was written.
    pub(super) request: Option<Box<Request<Body>>>,
}

// === impl Unsent ===

impl From<Error> for Unsent {
    fn from(error: Error) -> Self {
        Self {
            error,
            request: None,
        }
    }
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

/// Whose fault it is that a request's body failed.
fn kind_of_upload(error: &body::Error) -> Kind {
    match error {
        body::Error::Stalled | body::Error::TooSlow => Kind::UploadStalled,
        body::Error::TooLarge => Kind::UploadTooLarge,
        _ => Kind::UploadBroken,
    }
}
