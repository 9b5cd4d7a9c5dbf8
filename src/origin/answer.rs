//! Answer of an origin: the response, checked and without its framing, and which server gave it.
//!
//! hyper has parsed the head; this is about what it lets through that another recipient could read
//! differently (RFC 9112 §6.3). What the answer is worth is the pipeline's business.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode};

use super::error::{Error, is_failure};
use crate::body::Body;

/// A response, and which server gave it.
pub struct Answer {
    /// Head as the origin sent it, without framing fields; body as it arrives.
    pub response: Response<Body>,
    /// `host:port` of the server, or `unix:/path`.
    pub server: Arc<str>,
}

// === impl Answer ===

impl Answer {
    /// Whether it is none of the failures that a server is ejected for.
    pub(super) fn is_good(&self) -> bool {
        !is_failure(self.response.status())
    }
}

/// Refuses what a proxy must not pass on, and takes the framing off: on the way out the body
/// itself says how long it is. `has_switched` tells whether a 101 is what was asked for.
pub(super) fn checked(
    mut response: Response<Body>,
    refuse_unknown_coding: bool,
    has_switched: bool,
) -> Result<Response<Body>, Error> {
    // Where it was not asked for, `Upgrade` was not forwarded (RFC 9110 §7.8).
    if response.status() == StatusCode::SWITCHING_PROTOCOLS && !has_switched {
        return Err(Error::malformed("101 without having been asked to switch"));
    }
    let fields = response.headers_mut();
    one_content_length(fields)?;
    if fields.contains_key(TRANSFER_ENCODING) {
        check_coding(fields, refuse_unknown_coding)?;
        fields.remove(TRANSFER_ENCODING);
    }
    Ok(response)
}

fn check_coding(fields: &HeaderMap, refuse_unknown: bool) -> Result<(), Error> {
    // "[It] might indicate an attempt to perform request smuggling or response splitting […]
    // and ought to be handled as an error." (RFC 9112 §6.3, both framings in one message)
    if fields.contains_key(CONTENT_LENGTH) {
        return Err(Error::malformed(
            "both Content-Length and Transfer-Encoding",
        ));
    }
    let lines = fields.get_all(TRANSFER_ENCODING).iter();
    let codings: Vec<&[u8]> = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
    // What is coded beneath the chunks would reach the client as if it were the content.
    let beside_chunked = codings.len() > 1 && codings.iter().any(is_chunked);
    let unknown = !codings.iter().all(is_chunked);
    if beside_chunked || (unknown && refuse_unknown) {
        return Err(Error::malformed("a transfer coding other than chunked"));
    }
    Ok(())
}

/// A list of equal lengths becomes one, any other is refused (RFC 9110 §8.6): what goes on to the
/// client must leave no choice.
fn one_content_length(fields: &mut HeaderMap) -> Result<(), Error> {
    let lengths: Vec<&[u8]> = fields
        .get_all(CONTENT_LENGTH)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    let [first, others @ ..] = lengths.as_slice() else {
        return Ok(());
    };
    if first.is_empty()
        || !first.iter().all(u8::is_ascii_digit)
        || others.iter().any(|it| it != first)
    {
        return Err(Error::malformed("Content-Length"));
    }
    if !others.is_empty() {
        let one = HeaderValue::from_bytes(first);
        fields.insert(
            CONTENT_LENGTH,
            one.map_err(|_| Error::malformed("Content-Length"))?,
        );
    }
    Ok(())
}
