//! Helpers for the tests of this floor: header maps written as tables, and arbitrary ones.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;

use super::date;
use super::freshness::Term;
use super::judged::{Answered, Rules};
use super::lifetime::Granted;
use super::targeted::Governing;

/// The moment that an HTTP-date names.
pub(super) fn at(text: &str) -> SystemTime {
    date::parse(text.as_bytes()).expect("an HTTP-date")
}

/// The term of a response that came at `now`.
pub(super) fn term(status: u16, headers: &HeaderMap, now: SystemTime) -> Term {
    term_under(&Rules::default(), status, headers, now)
}

/// The same under some rules.
pub(super) fn term_under(rules: &Rules, status: u16, headers: &HeaderMap, now: SystemTime) -> Term {
    let answered = Answered {
        status: StatusCode::from_u16(status).expect("a status"),
        headers,
        requested_at: now,
        received_at: now,
    };
    let governing = Governing::of(headers, &rules.targets);
    let granted = Granted::of(&answered, &governing, rules);
    Term::begin(&answered, &governing.directives, granted, rules)
}

/// A header map of these lines, in order.
pub(super) fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a field name");
        headers.append(name, HeaderValue::from_str(value).expect("a field value"));
    }
    headers
}

/// Header maps of up to eight lines: fields that this floor reads, with likely, nearly right and
/// senseless values.
pub(super) fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let name = prop_oneof![
        4 => proptest::sample::select(&NAMES[..]).prop_map(str::to_owned),
        1 => "[a-z-]{1,12}",
    ];
    proptest::collection::vec((name, any_value()), 0..8).prop_map(|lines| {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a field name");
            headers.append(name, value);
        }
        headers
    })
}

/// Any field value.
fn any_value() -> impl Strategy<Value = HeaderValue> {
    let text = prop_oneof![
        2 => proptest::sample::select(&VALUES[..]).prop_map(|text| text.as_bytes().to_vec()),
        2 => ("[a-zA-Z-]{1,22}", "[ ]?=?[ ]?", "[\"0-9a-z, ]{0,24}")
            .prop_map(|(a, b, c)| format!("{a}{b}{c}").into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    text.prop_filter_map("not a field value", |bytes| {
        HeaderValue::from_bytes(&bytes).ok()
    })
}

const NAMES: [&str; 20] = [
    "age",
    "authorization",
    "cache-control",
    "cache-control",
    "cache-control",
    "connection",
    "content-length",
    "cookie",
    "date",
    "etag",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "last-modified",
    "pragma",
    "set-cookie",
    "vary",
    "via",
];

const VALUES: [&str; 26] = [
    "",
    "0",
    "60",
    "18446744073709551615",
    "*",
    "accept-encoding, accept-language",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    "Mon, 01 Jan 1900 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 01 Jan 2027 00:00:00 GMT",
    "max-age=60",
    "max-age=60, s-maxage=99999999999999999999",
    "max-age=0",
    "max-age=600, must-understand, no-store",
    "no-cache",
    "no-cache=\"a, b\", private=\"c\"",
    "private",
    "public",
    "public, max-age=60, must-revalidate",
    "no-store",
    "\"a\", W/\"b\"",
    "W/\"b\"",
    "\"unclosed, W/",
    "1.1 copal, 1.0 other",
];
