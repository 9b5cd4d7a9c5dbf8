//! Partial responses: the parts of a stored response that a client's Range asks for, as a 206, or a 416
//! where there are none.
//!
//! Part of Deliver. Which parts is decided in `semantics/range.rs`; here they become a response.
//! What passes by the cache is the origin's to cut.

use std::hash::{BuildHasher, Hasher, RandomState};

use bytes::Bytes;
use http::Method;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, DATE, HeaderName, HeaderValue,
    RANGE, VIA,
};
use http::request;
use http::{HeaderMap, Response, StatusCode};

use super::CACHE_STATUS;
use crate::body::Body;
use crate::semantics::range::{self, ByteRange, Length, Parts, RangePlan};
use crate::store::Object;

/// What describes the bytes of each part, and not the parts together.
const OF_A_PART: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_ENCODING];

/// What holds for the content of the message that carries it, hence not for a part of the whole
/// that was stored (RFC 9530 §2, RFC 1864).
const OF_THE_WHOLE: [HeaderName; 2] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
];

/// Gives `response`, which has the object's status and fields, its body: the whole `body`, or what
/// of it the request asks for.
pub(super) fn answer(
    response: &mut Response<Body>,
    request: &request::Parts,
    object: &Object,
    body: Body,
) {
    // RFC 9110 §14.2: Range counts "only if the result in absence of the Range header field would
    // be a 200 (OK) response".
    if response.status() != StatusCode::OK || !request.headers.contains_key(RANGE) {
        *response.body_mut() = body;
        return;
    }
    let (validators, length) = (object.validators(), object.length());
    let plan = range::plan(&request.method, &request.headers, &validators, length);
    match (plan, length) {
        (RangePlan::Parts(parts), _) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let fields = response.headers_mut();
            for name in &OF_THE_WHOLE {
                fields.remove(name);
            }
            let cut = match parts.single() {
                Some(range) => single(fields, range, length, body),
                None => multipart(fields, &parts, length, object),
            };
            *response.body_mut() = cut;
        }
        (RangePlan::Unsatisfiable, Length::Exact(length)) => {
            refused(response, StatusCode::RANGE_NOT_SATISFIABLE);
            let fields = response.headers_mut();
            fields.insert(CONTENT_RANGE, range::unsatisfied(length));
        }
        (RangePlan::Whole | RangePlan::Unsatisfiable, _) => *response.body_mut() = body,
    }
}

fn single(fields: &mut HeaderMap, range: ByteRange, length: Length, body: Body) -> Body {
    fields.insert(CONTENT_RANGE, range::content_range(range, length.exact()));
    body.slice(range.first, range.last)
}

/// Each part by a reader of its own. Several parts are only given of a body whose length is known,
/// and such a body is kept from its first byte: none of them holds up another.
fn multipart(fields: &mut HeaderMap, parts: &Parts, length: Length, object: &Object) -> Body {
    let boundary = boundary();
    let described = describe_parts(fields, &boundary);
    let mut bodies = Vec::new();
    for range in parts.iter() {
        let line_end = if bodies.is_empty() { "" } else { "\r\n" };
        let mut preamble = format!("{line_end}--{boundary}\r\n").into_bytes();
        preamble.extend_from_slice(&described);
        let content_range = range::content_range(range, length.exact());
        put_field(&mut preamble, &CONTENT_RANGE, &content_range);
        preamble.extend_from_slice(b"\r\n");
        bodies.push(Body::full(Bytes::from(preamble)));
        bodies.push(object.body().slice(range.first, range.last));
    }
    let end = format!("\r\n--{boundary}--\r\n");
    bodies.push(Body::full(Bytes::from(end)));
    Body::chain(bodies)
}

/// Takes what describes the representation out of `fields`, for it goes into the parts, and puts
/// the type of a multipart message in its place. "A server MUST NOT generate a Content-Range
/// header field in the HTTP header section of a multiple part response" (RFC 9110 §15.3.7.2).
fn describe_parts(fields: &mut HeaderMap, boundary: &str) -> Vec<u8> {
    let mut described = Vec::new();
    for name in &OF_A_PART {
        for value in fields.get_all(name) {
            put_field(&mut described, name, value);
        }
        fields.remove(name);
    }
    fields.remove(CONTENT_RANGE);
    let kind = format!("multipart/byteranges; boundary={boundary}");
    // It is made of ASCII letters, digits and punctuation.
    let kind = HeaderValue::try_from(kind).expect("a media type is a field value");
    fields.insert(CONTENT_TYPE, kind);
    described
}

fn put_field(text: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
        text.extend_from_slice(piece);
    }
}

/// Makes a 412 or a 416 of it, without the page's own fields: they would let a cache on the way
/// take this for the page.
pub(super) fn refused(response: &mut Response<Body>, status: StatusCode) {
    *response.status_mut() = status;
    let fields = response.headers_mut();
    let page = std::mem::take(fields);
    for name in [&DATE, &VIA, &CACHE_STATUS] {
        for value in page.get_all(name) {
            fields.append(name, value.clone());
        }
    }
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Whether the client gets bytes of a stored response that are not all here: then its hit is none.
pub(super) fn is_missing(request: &request::Parts, object: &Object) -> bool {
    if !object.is_sliced() || request.method != Method::GET {
        return false;
    }
    let (validators, length) = (object.validators(), object.length());
    let whole = || {
        let last = length.exact()?.checked_sub(1)?;
        Some(ByteRange { first: 0, last })
    };
    match range::plan(&request.method, &request.headers, &validators, length) {
        RangePlan::Parts(parts) => parts.iter().any(|range| object.lacks(range)),
        RangePlan::Whole => whole().is_some_and(|range| object.lacks(range)),
        RangePlan::Unsatisfiable => false,
    }
}

/// Text that nobody can have put into the content: what a hash with the keys of this moment makes
/// of nothing.
fn boundary() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
