//! Upgrade (RFC 9110 §7.8): whether a client wants to go on with another protocol on its connection, and
//! whether a server does.
//!
//! An extended CONNECT of HTTP/2 (RFC 8441) says the same in other words; who translates it writes these
//! fields.

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Version};

use super::list;

const WEBSOCKET: &[u8] = b"websocket";

/// Whether a client wants to go on with another protocol.
///
/// "A sender of Upgrade MUST also send an "Upgrade" connection option" and "A server MUST ignore an
/// Upgrade header field that is received in an HTTP/1.0 request."
pub fn is_asked_for(version: Version, request: &HeaderMap) -> bool {
    version > Version::HTTP_10
        && request.contains_key(UPGRADE)
        && list::all_members(request, &CONNECTION)
            .any(|option| option.eq_ignore_ascii_case(b"upgrade"))
}

/// Whether that is WebSocket (RFC 6455 §4.1), which no client does without.
pub fn is_websocket(request: &HeaderMap) -> bool {
    list::all_members(request, &UPGRADE).any(|it| it.eq_ignore_ascii_case(WEBSOCKET))
}

/// Those of the protocols asked for that are in `allowed`, as a field of their own; `None` for none.
pub fn protocols_among(request: &HeaderMap, allowed: &[Box<str>]) -> Option<HeaderValue> {
    let wanted: Vec<&[u8]> = list::all_members(request, &UPGRADE)
        .filter(|it| is_among(it, allowed))
        .collect();
    match wanted.is_empty() {
        true => None,
        // Members of a field are valid in a field.
        false => HeaderValue::from_bytes(&wanted.join(&b", "[..])).ok(),
    }
}

/// Whether a 101 is an answer to what was asked for.
///
/// "A server MUST NOT switch to a protocol that was not indicated by the client in the corresponding
/// request's Upgrade header field."
pub fn is_answered(response: &HeaderMap, asked: &HeaderValue) -> bool {
    let asked: Vec<&[u8]> = asked.as_bytes().split(|byte| *byte == b',').collect();
    let mut named = list::all_members(response, &UPGRADE).filter(|it| !it.is_empty());
    let is_asked = |it: &[u8]| {
        asked
            .iter()
            .any(|asked| asked.trim_ascii().eq_ignore_ascii_case(it))
    };
    named.next().is_some_and(is_asked) && named.all(is_asked)
}

/// Asks for these protocols, or says that it is these.
pub fn write(fields: &mut HeaderMap, protocols: HeaderValue) {
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, protocols);
}

fn is_among(protocol: &[u8], allowed: &[Box<str>]) -> bool {
    allowed
        .iter()
        .any(|it| it.as_bytes().eq_ignore_ascii_case(protocol))
}

#[cfg(test)]
mod tests {
    use super::super::testing::headers;
    use super::*;

    type Lines = &'static [(&'static str, &'static str)];

    #[test]
    fn an_upgrade_is_asked_for_by_two_fields() {
        // RFC 9110 §7.8.
        #[rustfmt::skip]
        let rows: [(Version, Lines, bool); 6] = [
            (Version::HTTP_11, &[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")], true),
            (Version::HTTP_11, &[("connection", "upgrade"), ("upgrade", "h2c")], true),
            (Version::HTTP_11, &[("upgrade", "websocket")], false),
            (Version::HTTP_11, &[("connection", "upgrade")], false),
            (Version::HTTP_11, &[("connection", "upgrades"), ("upgrade", "websocket")], false),
            (Version::HTTP_10, &[("connection", "upgrade"), ("upgrade", "websocket")], false),
        ];
        for (version, lines, expected) in rows {
            let found = is_asked_for(version, &headers(lines));
            assert_eq!(found, expected, "{version:?} {lines:?}");
        }
    }

    #[test]
    fn only_what_is_allowed_goes_on() {
        let allowed = ["websocket".into(), "imap/4".into()];
        for (asked, wanted) in [
            ("websocket", Some("websocket")),
            ("h2c, WebSocket", Some("WebSocket")),
            ("websocket, imap/4", Some("websocket, imap/4")),
            ("h2c", None),
            ("websocket/13", None),
            ("", None),
        ] {
            let found = protocols_among(&headers(&[("upgrade", asked)]), &allowed);
            let wanted = wanted.map(HeaderValue::from_static);
            assert_eq!(found, wanted, "{asked}");
        }
    }

    #[test]
    fn a_server_switches_to_what_was_asked_for() {
        let asked = HeaderValue::from_static("WebSocket, imap/4");
        for (answered, expected) in [
            ("websocket", true),
            ("imap/4, websocket", true),
            ("h2c", false),
            ("websocket, h2c", false),
            ("", false),
        ] {
            let found = is_answered(&headers(&[("upgrade", answered)]), &asked);
            assert_eq!(found, expected, "{answered}");
        }
        assert!(!is_answered(&HeaderMap::new(), &asked));
    }
}
