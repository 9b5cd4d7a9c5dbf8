//! Trailer fields: which of them may go on behind the content, and to whom (RFC 9110 §6.5).
//!
//! They are passed and never stored, and never become fields of the head.

use http::header::{
    ACCEPT_RANGES, AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, COOKIE, DATE, EXPECT, EXPIRES, HOST, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LOCATION, MAX_FORWARDS, PRAGMA,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, RETRY_AFTER, SET_COOKIE, TE, TRAILER, VARY,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use super::{headers, list};

/// RFC 9110 §6.5.1: "Many fields cannot be processed outside the header section because their
/// evaluation is necessary prior to receiving the content, such as those that describe message
/// framing, routing, authentication, request modifiers, response controls, or content format."
/// Those that belong to a hop are known to [`headers`].
const OF_THE_HEAD: [HeaderName; 28] = [
    ACCEPT_RANGES,
    AGE,
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    DATE,
    EXPECT,
    EXPIRES,
    HOST,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    LOCATION,
    MAX_FORWARDS,
    PRAGMA,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    RANGE,
    RETRY_AFTER,
    SET_COOKIE,
    VARY,
    WWW_AUTHENTICATE,
];

/// Removes what must not stand behind the content, and what belongs to one hop.
pub fn keep_allowed(trailers: &mut HeaderMap) {
    headers::strip_hop_by_hop(trailers);
    for name in &OF_THE_HEAD {
        trailers.remove(name);
    }
}

/// Whether a client takes trailers. With HTTP/2 there is always a place for them (RFC 9113 §8.1).
pub fn are_taken(version: Version, request: &HeaderMap) -> bool {
    version == Version::HTTP_2 || are_asked_for(request)
}

/// Whether a request says `TE: trailers`.
///
/// RFC 9110 §6.5.1: "The presence of the keyword "trailers" in the TE header field (\[...\]) of a
/// request indicates that the client is willing to accept trailer fields, on behalf of itself and
/// any downstream clients."
pub fn are_asked_for(request: &HeaderMap) -> bool {
    list::all_members(request, &TE).any(|member| member.eq_ignore_ascii_case(b"trailers"))
}

/// The fields that a message announces in Trailer (RFC 9110 §6.6.2), unless that is only for us.
pub fn announced(fields: &HeaderMap) -> Vec<HeaderValue> {
    if !fields.contains_key(TRAILER) {
        return Vec::new();
    }
    let mut options = list::all_members(fields, &CONNECTION);
    if options.any(|member| member.eq_ignore_ascii_case(b"trailer")) {
        return Vec::new();
    }
    fields.get_all(TRAILER).iter().cloned().collect()
}

/// Asks the next hop for trailers, whichever version it speaks: "A sender of TE MUST also send a
/// "TE" connection option within the Connection header field" (RFC 9110 §10.1.4), which has no
/// place in HTTP/2 and is taken off there.
pub fn ask_for(request: &mut HeaderMap) {
    request.insert(TE, HeaderValue::from_static("trailers"));
    request.insert(CONNECTION, HeaderValue::from_static("te"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{any_headers, headers};
    use super::*;

    #[test]
    fn what_is_of_the_head_or_of_the_hop_does_not_go_on() {
        for (name, goes_on) in [
            ("grpc-status", true),
            ("server-timing", true),
            ("etag", true),
            ("digest", true),
            ("content-length", false),
            ("transfer-encoding", false),
            ("host", false),
            ("authorization", false),
            ("cache-control", false),
            ("content-type", false),
            ("set-cookie", false),
            ("connection", false),
            ("trailer", false),
            ("te", false),
        ] {
            let mut trailers = headers(&[(name, "1")]);
            keep_allowed(&mut trailers);
            assert_eq!(!trailers.is_empty(), goes_on, "RFC 9110 §6.5.1: {name}");
        }
    }

    #[test]
    fn trailers_are_for_who_takes_them() {
        let rows = [
            ("RFC 9113 §8.1", Version::HTTP_2, "", true),
            ("RFC 9110 §10.1.4", Version::HTTP_11, "trailers", true),
            (
                "RFC 9110 §10.1.4",
                Version::HTTP_11,
                "gzip;q=1, Trailers",
                true,
            ),
            ("RFC 9110 §10.1.4", Version::HTTP_11, "gzip", false),
            ("RFC 9110 §10.1.4", Version::HTTP_11, "", false),
        ];
        for (section, version, te, taken) in rows {
            let found = are_taken(version, &headers(&[("te", te)]));
            assert_eq!(found, taken, "{section}: {te}");
        }
    }

    #[test]
    fn an_announcement_goes_on_unless_it_is_the_connections() {
        for (connection, count) in [("close", 1), ("close, Trailer", 0)] {
            let fields = headers(&[("trailer", "x-sum"), ("connection", connection)]);
            assert_eq!(
                announced(&fields).len(),
                count,
                "RFC 9110 §7.6.1: {connection}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_trailers_are_read(mut fields in any_headers()) {
            let _ = (announced(&fields), are_asked_for(&fields));
            keep_allowed(&mut fields);
            prop_assert!(!OF_THE_HEAD.iter().any(|name| fields.contains_key(name)));
        }
    }
}
