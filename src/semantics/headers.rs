//! Hop-by-hop fields and message framing.
//!
//! What a field means for caching stands in the modules of that name; this file only says which
//! fields may travel.

use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, DATE, ETAG, EXPECT, EXPIRES, HOST, LAST_MODIFIED, MAX_FORWARDS, PRAGMA,
    SET_COOKIE, TRANSFER_ENCODING, VARY, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use smallvec::SmallVec;

use super::client_cert::{CLIENT_CERT, CLIENT_CERT_CHAIN};
use super::list;

/// Fields by which frameworks let a request ask for something else than its URL and method say.
/// The key does not hold them, so on the way to the store they would poison it.
pub static STEERING: [HeaderName; 9] = [
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("x-wap-profile"),
    HeaderName::from_static("front-end-https"),
];

/// Other methods that are registered as safe.
const SAFE: [&str; 4] = ["QUERY", "PROPFIND", "REPORT", "SEARCH"];

/// Removes what is meant for this hop alone, from a request or a response.
///
/// RFC 9110 §7.6.1: "Intermediaries MUST parse a received Connection header field before a message
/// is forwarded and, for each connection-option in this field, remove any header or trailer
/// field(s) from the message with the same name as the connection-option, and then remove the
/// Connection header field itself". Fields that it cannot rightly name stay, or `Connection:
/// cache-control` would publish a private page; see [`connection_is_hostile`].
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Few messages have any, and none has many: looking is cheaper than removing what is not there.
    let found: SmallVec<[HeaderName; 2]> = headers
        .keys()
        .filter(|name| is_hop_by_hop(name))
        .cloned()
        .collect();
    if found.contains(&CONNECTION) {
        for name in named_by_connection(headers) {
            if !is_end_to_end(&name) {
                headers.remove(name);
            }
        }
    }
    for name in found {
        headers.remove(name);
    }
}

/// Whether Connection names a field that is not the connection's: a request smuggler's trick.
///
/// RFC 9110 §7.6.1: "A sender MUST NOT send a connection option corresponding to a field that is
/// intended for all recipients of the content. For example, Cache-Control is never appropriate as a
/// connection option".
pub fn connection_is_hostile(headers: &HeaderMap) -> bool {
    list::all_members(headers, &CONNECTION).any(|member| {
        // Nearly every Connection is one of these, and a name is not free to make.
        let usual = [&b"close"[..], b"keep-alive", b"upgrade", b"te"];
        !usual
            .iter()
            .any(|option| option.eq_ignore_ascii_case(member))
            && HeaderName::from_bytes(member).is_ok_and(|name| is_end_to_end(&name))
    })
}

/// "A field value MUST NOT start or end with an ASCII whitespace character" (RFC 9113 §8.2.1).
pub fn has_edge_space(headers: &HeaderMap) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    headers
        .values()
        .map(HeaderValue::as_bytes)
        .any(|value| is_space(value.first()) || is_space(value.last()))
}

/// Whether a request says whose it is: by Authorization, or by a certificate that was shown.
///
/// What RFC 9111 §3.5 says of the first is right for both, since neither is in the key.
pub fn has_credentials(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION) || headers.contains_key(CLIENT_CERT)
}

/// Whether a request is a stream of messages, each of which comes in its own time (gRPC over HTTP2:
/// `Content-Type → "content-type" "application/grpc" [("+proto" / "+json" / {custom})]`).
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|it| it.starts_with(b"application/grpc"))
}

/// Removes the fields that frame a body (RFC 9112 §6): whoever sends the message on frames it anew.
pub fn strip_framing(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
}

/// Whether a request expects something that nobody knows of.
///
/// RFC 9110 §10.1.1: "A server that receives an Expect field value containing a member other than
/// 100-continue MAY respond with a 417 (Expectation Failed) status code to indicate that the
/// unexpected expectation cannot be met." From HTTP/1.0 the field means nothing: "A server that
/// receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation."
pub fn expects_the_unknown(version: Version, headers: &HeaderMap) -> bool {
    version > Version::HTTP_10
        && list::all_members(headers, &EXPECT)
            .any(|member| !member.is_empty() && !member.eq_ignore_ascii_case(b"100-continue"))
}

/// Whether a successful answer to `method` may have changed the resource.
///
/// RFC 9111 §4.4: "A cache MUST invalidate the target URI when it receives a non-error status code
/// in response to an unsafe request method (including methods whose safety is unknown)." The safe
/// ones are those of RFC 9110 §9.2.1 and others of the registry that §16.1 speaks of.
pub fn invalidates(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
        && !SAFE.contains(&method.as_str())
}

/// Whether a request is a safe question with content (RFC 10008).
pub fn is_query(method: &Method) -> bool {
    method.as_str() == "QUERY"
}

/// Whether an OPTIONS has come as far as it may.
///
/// RFC 9110 §7.6.2: "If the received value is zero (0), the intermediary MUST NOT forward the
/// request; instead, the intermediary MUST respond as the final recipient."
pub fn goes_no_further(request: &HeaderMap) -> bool {
    max_forwards(request) == Some(0)
}

/// Counts this hop (RFC 9110 §7.6.2): "the intermediary MUST generate an updated Max-Forwards field
/// in the forwarded message with a field value that is \[...\] the received value decremented by
/// one".
pub fn count_hop(request: &mut HeaderMap) {
    if let Some(left) = max_forwards(request) {
        request.insert(MAX_FORWARDS, HeaderValue::from(left.saturating_sub(1)));
    }
}

fn max_forwards(request: &HeaderMap) -> Option<u64> {
    // `Max-Forwards = 1*DIGIT`, which has no greatest number.
    let digits = request.get(MAX_FORWARDS)?.as_bytes();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        let add = |value: u64, digit: &u8| {
            value
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        };
        digits.iter().fold(0, add)
    })
}

/// The fields that Connection names.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    list::all_members(headers, &CONNECTION)
        .filter_map(|member| HeaderName::from_bytes(member).ok())
        .collect()
}

/// Fields of the connection, whether Connection names them or not: RFC 9110 §7.6.1 lists
/// Proxy-Connection, Keep-Alive, TE, Transfer-Encoding and Upgrade. RFC 9111 §3.1 adds those that
/// authenticate towards a proxy; RFC 7540 §3.2.1 HTTP2-Settings; and Trailer announces fields that
/// are not forwarded (RFC 9110 §6.5.1).
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Fields "intended for all recipients of the content", or that routing and framing rest on.
fn is_end_to_end(name: &HeaderName) -> bool {
    const END_TO_END: [HeaderName; 20] = [
        AGE,
        AUTHORIZATION,
        CACHE_CONTROL,
        // The door has put them there, not the client.
        CLIENT_CERT,
        CLIENT_CERT_CHAIN,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        COOKIE,
        DATE,
        ETAG,
        EXPIRES,
        HOST,
        LAST_MODIFIED,
        PRAGMA,
        SET_COOKIE,
        TRANSFER_ENCODING,
        VARY,
        VIA,
    ];
    END_TO_END.contains(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hop::Hop;
    use super::super::testing::{any_headers, headers};
    use super::*;

    type Lines = &'static [(&'static str, &'static str)];

    #[test]
    fn what_is_of_the_hop_stays_behind() {
        // All rows: RFC 9110 §7.6.1.
        #[rustfmt::skip]
        let rows: [(Lines, Lines); 6] = [
            (&[("a", "1"), ("host", "b")], &[("a", "1"), ("host", "b")]),
            (&[("connection", "a, B"), ("a", "1"), ("b", "2"), ("c", "3")], &[("c", "3")]),
            (&[("connection", "a"), ("connection", "b"), ("a", "1"), ("b", "2")], &[]),
            (&[("connection", "close, a b, ,\"")], &[]),
            (
                &[
                    ("keep-alive", "1"),
                    ("proxy-connection", "1"),
                    ("te", "trailers"),
                    ("trailer", "x"),
                    ("transfer-encoding", "chunked"),
                    ("upgrade", "h2c"),
                    ("http2-settings", "x"),
                    ("proxy-authenticate", "x"),
                    ("proxy-authentication-info", "x"),
                    ("proxy-authorization", "x"),
                    ("x", "1"),
                ],
                &[("x", "1")],
            ),
            // Not the connection's to name.
            (
                &[
                    ("connection", "cache-control, set-cookie"),
                    ("cache-control", "no-store"),
                ],
                &[("cache-control", "no-store")],
            ),
        ];
        for (before, after) in rows {
            let mut found = headers(before);
            strip_hop_by_hop(&mut found);
            assert_eq!(found, headers(after), "{before:?}");
        }
    }

    #[test]
    fn a_connection_that_names_end_to_end_fields_is_hostile() {
        // RFC 9110 §7.6.1.
        let rows = [
            ("close", false),
            ("Keep-Alive, Upgrade", false),
            ("TE, x-custom", false),
            ("", false),
            ("Host", true),
            ("close, Content-Length", true),
            ("transfer-encoding", true),
            ("keep-alive, CACHE-CONTROL", true),
            ("cookie", true),
            ("client-cert", true),
            ("Client-Cert-Chain", true),
        ];
        for (value, expected) in rows {
            let found = connection_is_hostile(&headers(&[("connection", value)]));
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn only_one_expectation_is_known() {
        // RFC 9110 §10.1.1.
        #[rustfmt::skip]
        let rows: [(Version, Lines, bool); 8] = [
            (Version::HTTP_11, &[], false),
            (Version::HTTP_11, &[("expect", "100-Continue,")], false),
            (Version::HTTP_2, &[("expect", "100-continue")], false),
            (Version::HTTP_11, &[("expect", "200-ok")], true),
            (Version::HTTP_11, &[("expect", "100-continue, x")], true),
            (Version::HTTP_11, &[("expect", "100-continue"), ("expect", "x=y")], true),
            (Version::HTTP_2, &[("expect", "x")], true),
            (Version::HTTP_10, &[("expect", "x")], false),
        ];
        for (version, lines, expected) in rows {
            let found = expects_the_unknown(version, &headers(lines));
            assert_eq!(found, expected, "{version:?} {lines:?}");
        }
    }

    #[test]
    fn unsafe_and_unknown_methods_invalidate() {
        // RFC 9111 §4.4, RFC 9110 §9.2.1.
        let rows = [
            ("GET", false),
            ("HEAD", false),
            ("OPTIONS", false),
            ("TRACE", false),
            ("POST", true),
            ("PUT", true),
            ("DELETE", true),
            ("PATCH", true),
            ("M-SEARCH", true),
            ("get", true),
        ];
        for (name, expected) in rows {
            let method = Method::from_bytes(name.as_bytes()).expect("a method");
            assert_eq!(invalidates(&method), expected, "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn nothing_of_the_hop_survives(headers in any_headers()) {
            let mut stripped = headers.clone();
            strip_hop_by_hop(&mut stripped);
            strip_framing(&mut stripped);
            prop_assert!(!stripped.keys().any(is_hop_by_hop));
            prop_assert_eq!(stripped.get(CACHE_CONTROL), headers.get(CACHE_CONTROL));
            let _ = (connection_is_hostile(&headers), Hop::default().has_looped(&headers));
        }
    }
}
