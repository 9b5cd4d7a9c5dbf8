//! Request of an HTTP/2 client, with what h2 lets through although RFC 9113 does not.

use bytes::{BufMut, BytesMut};
use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::config;
use crate::pipeline::{Refusal, Scheme};
use crate::semantics::key::normal_authority;

/// Makes one field of the client's cookies, and says why the request is refused, if it is.
pub(super) fn examine(
    request: &mut Parts,
    scheme: Scheme,
    config: &config::Server,
) -> Result<(), Refusal> {
    join_cookies(&mut request.headers);
    if request.headers.len() > config.header_fields_max {
        return Err(Refusal::HeadTooLong);
    }
    if have_edge_spaces(&request.headers) {
        return Err(Refusal::Malformed("edge-space"));
    }
    check_authority(request, scheme).map_err(Refusal::Malformed)
}

/// "A field value MUST NOT start or end with an ASCII whitespace character (ASCII SP or HTAB […])."
/// (RFC 9113 §8.2.1)
pub(super) fn have_edge_spaces(fields: &HeaderMap) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    fields.values().any(|value| {
        let bytes = value.as_bytes();
        is_space(bytes.first()) || is_space(bytes.last())
    })
}

/// The length that a request announces; h2 has seen to it that it is one, and that it is kept.
pub(super) fn length(fields: &HeaderMap) -> Option<u64> {
    fields.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// "If there are multiple Cookie header fields after decompression, these MUST be concatenated into a
/// single octet string using the two-octet delimiter of 0x3b, 0x20 […] before being passed into a
/// non-HTTP/2 context" (RFC 9113 §8.2.3).
fn join_cookies(fields: &mut HeaderMap) {
    let crumbs = fields.get_all(COOKIE);
    let (mut count, mut bytes) = (0, 0);
    for crumb in &crumbs {
        count += 1;
        bytes += crumb.len() + b"; ".len();
    }
    if count < 2 {
        return;
    }
    let mut joined = BytesMut::with_capacity(bytes);
    for crumb in &crumbs {
        if !joined.is_empty() {
            joined.put_slice(b"; ");
        }
        joined.put_slice(crumb.as_bytes());
    }
    // Pieces of field values, joined, are a field value.
    if let Ok(joined) = HeaderValue::from_maybe_shared(joined.freeze()) {
        fields.insert(COOKIE, joined);
    }
}

/// A request has an authority, and only one (RFC 9113 §8.3.1): "a server SHOULD treat a request as
/// malformed if it contains a Host header field that identifies an entity that differs from the entity
/// in the ":authority" pseudo-header field."
fn check_authority(request: &Parts, scheme: Scheme) -> Result<(), &'static str> {
    if request.method == Method::CONNECT {
        return Ok(());
    }
    let Some(host) = request.headers.get(HOST) else {
        return match request.uri.authority() {
            Some(_) => Ok(()),
            None => Err("no-host"),
        };
    };
    let Some(authority) = request.uri.authority() else {
        return Ok(());
    };
    if host
        .as_bytes()
        .eq_ignore_ascii_case(authority.as_str().as_bytes())
    {
        return Ok(());
    }
    let host = host
        .to_str()
        .ok()
        .and_then(|it| normal_authority(it, scheme));
    match host.is_some() && host == normal_authority(authority.as_str(), scheme) {
        true => Ok(()),
        false => Err("host-is-not-authority"),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn verdict(uri: &str, fields: &[(&str, &str)]) -> Option<&'static str> {
        let request = Request::get(uri);
        let request = fields
            .iter()
            .fold(request, |it, (name, value)| it.header(*name, *value));
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        check_authority(&parts, Scheme::Http).err()
    }

    #[test]
    fn a_request_has_one_authority() {
        // All rows: RFC 9113 §8.3.1.
        for (uri, fields, expected) in [
            ("http://a.test/", &[][..], None),
            ("http://a.test/", &[("host", "A.test")], None),
            ("http://a.test/", &[("host", "a.test:80")], None),
            ("/", &[("host", "a.test")], None),
            ("/", &[], Some("no-host")),
            (
                "http://a.test/",
                &[("host", "b.test")],
                Some("host-is-not-authority"),
            ),
            (
                "http://a.test/",
                &[("host", "a.test:81")],
                Some("host-is-not-authority"),
            ),
            (
                "http://a.test/",
                &[("host", "")],
                Some("host-is-not-authority"),
            ),
        ] {
            assert_eq!(verdict(uri, fields), expected, "{uri} {fields:?}");
        }
    }

    #[test]
    fn crumbs_are_one_cookie() {
        // RFC 9113 §8.2.3.
        let mut fields = HeaderMap::new();
        for crumb in ["a=1", "b=2", "c=3"] {
            fields.append(COOKIE, HeaderValue::from_static(crumb));
        }
        join_cookies(&mut fields);
        let cookies: Vec<_> = fields.get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c=3"]);
    }

    #[test]
    fn spaces_at_the_edge_are_seen() {
        for (value, expected) in [
            ("a b", false),
            ("", false),
            (" a", true),
            ("a\t", true),
            ("\t", true),
        ] {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            let fields = HeaderMap::from_iter([(COOKIE, value.clone())]);
            assert_eq!(have_edge_spaces(&fields), expected, "{value:?}");
        }
    }
}
