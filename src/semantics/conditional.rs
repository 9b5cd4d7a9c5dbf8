//! Preconditions of clients (RFC 9110 §13) and validation towards origins (RFC 9111 §4.3).
//!
//! Whether to ask the origin at all is not decided here. If-Range is `range.rs`'s: without a range
//! it means nothing.

use std::time::SystemTime;

use http::header::{
    AGE, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, DATE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE, TRAILER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::date;
use super::headers::{is_query, strip_hop_by_hop};
use super::list;

/// What a stored response can be validated by, as its fields have it (RFC 9110 §8.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validators<'a> {
    /// ETag.
    pub etag: Option<&'a [u8]>,
    /// Last-Modified.
    pub last_modified: Option<&'a [u8]>,
    /// Date, which stands in for a Last-Modified that is not there (RFC 9111 §4.3.2).
    pub date: Option<&'a [u8]>,
}

/// What a client's preconditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// They hold, or there are none: answer as if they were not there.
    Proceed,
    /// The client has this representation: answer 304.
    NotModified,
    /// One failed: answer 412.
    Failed,
}

/// An entity tag (RFC 9110 §8.8.3). Tags without quotes, which some origins make, stand for
/// themselves, so that their clients can be answered 304.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EntityTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

/// The entity tags of one field line.
struct EntityTags<'a>(&'a [u8]);

// === impl Validators ===

impl<'a> Validators<'a> {
    /// The validators among the fields of a response.
    pub fn of(response: &'a HeaderMap) -> Self {
        let field = |name| {
            response
                .get(name)
                .map(HeaderValue::as_bytes)
                .filter(|value| !value.is_empty())
        };
        Self {
            etag: field(ETAG),
            last_modified: field(LAST_MODIFIED),
            date: field(DATE),
        }
    }

    /// Whether the origin can be asked if the response is still right: only with an ETag or a
    /// Last-Modified that is a date.
    pub fn can_validate(&self) -> bool {
        self.etag.is_some() || self.last_modified.and_then(date::parse).is_some()
    }

    fn tag(&self) -> Option<EntityTag<'a>> {
        self.etag.map(EntityTag::read)
    }
}

// === impl EntityTag ===

impl<'a> EntityTag<'a> {
    fn read(text: &'a [u8]) -> Self {
        // RFC 9110 §8.8.3: `weak = %s"W/"`, which is case-sensitive.
        match text.strip_prefix(b"W/") {
            Some(opaque) => Self { weak: true, opaque },
            None => Self {
                weak: false,
                opaque: text,
            },
        }
    }

    /// RFC 9110 §8.8.3.2: "two entity tags are equivalent if both are not weak and their
    /// opaque-tags match character-by-character".
    fn equals_strongly(self, other: Self) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// RFC 9110 §8.8.3.2: "two entity tags are equivalent if their opaque-tags match
    /// character-by-character, regardless of either or both being tagged as weak".
    fn equals_weakly(self, other: Self) -> bool {
        self.opaque == other.opaque
    }
}

// === impl EntityTags ===

impl<'a> Iterator for EntityTags<'a> {
    type Item = EntityTag<'a>;

    fn next(&mut self) -> Option<EntityTag<'a>> {
        while let [b',' | b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
        if self.0.is_empty() {
            return None;
        }
        let end = tag_len(self.0);
        let (tag, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(EntityTag::read(list::trim(tag)))
    }
}

/// Evaluates a client's preconditions against the response that would be served.
///
/// Call it only where that is a 2xx, for RFC 9110 §13.2.1 has a server ignore them otherwise.
/// If-Match and If-Unmodified-Since apply to origin servers, which is what a reverse proxy "acts as
/// \[...\] for the outbound connection" (§3.7). The order is that of §13.2.2. Allocates nothing.
pub fn evaluate(method: &Method, request: &HeaderMap, stored: &Validators) -> Precondition {
    // RFC 10008: a QUERY is as safe as a GET, and its conditions mean the same.
    let read_only = [Method::GET, Method::HEAD].contains(method) || is_query(method);
    if request.contains_key(IF_MATCH) {
        if !any_tag(request, &IF_MATCH, stored, EntityTag::equals_strongly) {
            return Precondition::Failed;
        }
    } else if changed_since(request, stored) == Some(true) {
        return Precondition::Failed;
    }
    if request.contains_key(IF_NONE_MATCH) {
        // §13.1.3: "A recipient MUST ignore If-Modified-Since if the request contains an
        // If-None-Match header field".
        return match any_tag(request, &IF_NONE_MATCH, stored, EntityTag::equals_weakly) {
            false => Precondition::Proceed,
            true if read_only => Precondition::NotModified,
            true => Precondition::Failed,
        };
    }
    match read_only && unchanged_since(request, stored) == Some(true) {
        true => Precondition::NotModified,
        false => Precondition::Proceed,
    }
}

/// Whether a request has a condition whose answer may be a 304 (RFC 9110 §13.1).
pub fn may_bring_304(request: &HeaderMap) -> bool {
    request.contains_key(IF_NONE_MATCH) || request.contains_key(IF_MODIFIED_SINCE)
}

/// Removes a client's conditions and ranges from a request whose answer is to be stored: it must be
/// the whole 200, whatever this client has already.
pub fn strip(request: &mut HeaderMap) {
    for name in [
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
        IF_RANGE,
        RANGE,
    ] {
        request.remove(name);
    }
}

/// Makes `request` ask whether the stored response is still right (RFC 9111 §4.3.1), in place of
/// whatever the client itself asked.
pub fn ask(request: &mut HeaderMap, stored: &Validators) {
    strip(request);
    // §4.3.1: with a date that is no HTTP-date there is nothing to ask by.
    let changed = stored
        .last_modified
        .filter(|text| date::parse(text).is_some());
    for (name, value) in [(IF_NONE_MATCH, stored.etag), (IF_MODIFIED_SINCE, changed)] {
        if let Some(Ok(value)) = value.map(HeaderValue::from_bytes) {
            request.insert(name, value);
        }
    }
}

/// Whether a 304 to [`ask`] speaks of the stored response (RFC 9111 §4.3.4).
///
/// A 304 without validators answers the question it was asked. One that has an ETag must have the
/// stored one; weakly compared, because origins that compress make `W/"x"` of `"x"` in a 200 and
/// not in its 304. Without an ETag, a Last-Modified must not contradict the stored one.
pub fn confirms(stored: &Validators, answer_304: &HeaderMap) -> bool {
    let answer = Validators::of(answer_304);
    if let Some(tag) = answer.tag() {
        return stored.tag().is_some_and(|known| known.equals_weakly(tag));
    }
    match (stored.last_modified, answer.last_modified) {
        (Some(known), Some(given)) => same_date(known, given),
        _ => true,
    }
}

/// The stored fields, brought up to date by those of a 304 (RFC 9111 §3.2).
///
/// "The cache MUST add each header field in the provided response to the stored response, replacing
/// field values that are already present", all lines of it; except those of the hop (§3.1),
/// Content-Length, and those that the integrity of the kept body rests on. A stored Age or Date
/// goes even if the 304 has none: they tell the age of the old answer, not of this confirmation.
pub fn merge(mut stored: HeaderMap, answer_304: &HeaderMap) -> HeaderMap {
    let mut update = answer_304.clone();
    strip_hop_by_hop(&mut update);
    for name in [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_RANGE] {
        update.remove(name);
    }
    for name in [AGE, DATE].iter().chain(update.keys()) {
        stored.remove(name);
    }
    for (name, value) in &update {
        stored.append(name, value.clone());
    }
    stored
}

/// Whether a 200 to a HEAD says that the stored response to a GET, of `len_bytes` if that is known,
/// is out of date.
///
/// RFC 9111 §4.3.5: "if the stored response and HEAD response have matching values for any received
/// validator fields (ETag and Last-Modified) and, if the HEAD response has a Content-Length header
/// field, the value of Content-Length matches that of the stored response, the cache SHOULD update
/// the stored response as described below; otherwise, the cache SHOULD consider the stored response
/// to be stale." Entity tags are compared weakly, for the reason that [`confirms`] has.
pub fn head_disagrees(
    stored: &Validators,
    len_bytes: Option<u64>,
    answer_to_head: &HeaderMap,
) -> bool {
    let answer = Validators::of(answer_to_head);
    let same_tag = answer
        .tag()
        .is_none_or(|given| stored.tag().is_some_and(|known| known.equals_weakly(given)));
    let same_time = answer.last_modified.is_none_or(|given| {
        stored
            .last_modified
            .is_some_and(|known| same_date(known, given))
    });
    let same_len = len_bytes.is_none_or(|known| {
        let mut lines = answer_to_head.get_all(CONTENT_LENGTH).iter();
        lines.all(|given| content_length(given) == Some(known))
    });
    !(same_tag && same_time && same_len)
}

/// Whether a 304 that we make carries this field of the stored response.
///
/// RFC 9110 §15.4.5 demands Content-Location, Date, ETag, Vary, Cache-Control and Expires, and says
/// that "a sender SHOULD NOT generate representation metadata other than the above listed fields
/// unless said metadata exists for the purpose of guiding cache updates", as Last-Modified does.
/// All else describes the response, not the representation, and goes along: Age, Via, CORS.
pub fn not_modified_fields(name: &HeaderName) -> bool {
    const OF_THE_BODY: [HeaderName; 8] = [
        CONTENT_DISPOSITION,
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        TRAILER,
        TRANSFER_ENCODING,
    ];
    !OF_THE_BODY.contains(name)
}

/// Whether a list of entity tags is `*` or has one that equals the stored one.
fn any_tag<'a>(
    request: &'a HeaderMap,
    name: &HeaderName,
    stored: &Validators<'a>,
    equal: fn(EntityTag<'a>, EntityTag<'a>) -> bool,
) -> bool {
    request.get_all(name).iter().any(|line| {
        // §13.1.1, §13.1.2: "*" is met by any current representation, and here there is one.
        list::trim(line.as_bytes()) == b"*"
            || stored
                .tag()
                .is_some_and(|known| EntityTags(line.as_bytes()).any(|tag| equal(tag, known)))
    })
}

/// RFC 9110 §13.1.4: whether the response changed after If-Unmodified-Since. "A recipient MUST
/// ignore the If-Unmodified-Since header field if the received field value is not a valid
/// HTTP-date" or "if the resource does not have a modification date available".
fn changed_since(request: &HeaderMap, stored: &Validators) -> Option<bool> {
    let since = only_date(request, &IF_UNMODIFIED_SINCE)?;
    Some(date::parse(stored.last_modified?)? > since)
}

/// RFC 9110 §13.1.3: whether the response has not changed after If-Modified-Since, which is ignored
/// if it isn't one valid date.
///
/// RFC 9111 §4.3.2: "If a request contains an If-Modified-Since header field and the Last-Modified
/// header field is not present in a stored response, a cache SHOULD use the stored response's Date
/// field value".
fn unchanged_since(request: &HeaderMap, stored: &Validators) -> Option<bool> {
    let since = only_date(request, &IF_MODIFIED_SINCE)?;
    let changed = stored.last_modified.or(stored.date)?;
    Some(date::parse(changed)? <= since)
}

/// The date of a field that has just one line.
fn only_date(request: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut lines = request.get_all(name).iter();
    let only = lines.next().filter(|_| lines.next().is_none())?;
    date::parse(only.as_bytes())
}

fn same_date(left: &[u8], right: &[u8]) -> bool {
    left == right || date::parse(left).is_some_and(|left| date::parse(right) == Some(left))
}

/// RFC 9110 §8.6: `Content-Length = 1*DIGIT`.
fn content_length(value: &HeaderValue) -> Option<u64> {
    let digits = value.to_str().ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

/// Length of the entity tag at the start of `text`; of one without quotes, up to the next comma.
fn tag_len(text: &[u8]) -> usize {
    let prefix = if text.starts_with(b"W/") { 2 } else { 0 };
    let quoted = text[prefix..]
        .strip_prefix(b"\"")
        .and_then(|inside| memchr::memchr(b'"', inside));
    match quoted {
        Some(len) => prefix + 1 + len + 1,
        None => memchr::memchr(b',', text).unwrap_or(text.len()),
    }
}

#[cfg(test)]
mod tests {
    use Precondition::{Failed, NotModified, Proceed};
    use proptest::prelude::*;

    use super::super::testing::{any_headers, headers};
    use super::*;

    type Lines = &'static [(&'static str, &'static str)];

    /// (section, fields of the request, fields of the stored response, verdict)
    type Row = (&'static str, Lines, Lines, Precondition);

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const RFC850: &str = "Sunday, 06-Nov-94 08:49:37 GMT";
    const SINCE_AFTER: (&str, &str) = ("if-modified-since", AFTER);
    const HAVE_A: (&str, &str) = ("if-none-match", "\"a\"");

    const TAGGED: Lines = &[("etag", "\"a\"")];
    const WEAKLY: Lines = &[("etag", "W/\"a\"")];
    const DATED: Lines = &[("last-modified", THEN)];
    const BOTH: Lines = &[("etag", "\"a\""), ("last-modified", THEN)];

    fn verdict(method: &Method, request: Lines, stored: Lines) -> Precondition {
        evaluate(method, &headers(request), &Validators::of(&headers(stored)))
    }

    #[test]
    fn preconditions_of_a_get() {
        #[rustfmt::skip]
        let rows: [Row; 48] = [
            ("§13.1", &[], BOTH, Proceed),
            // If-None-Match: weak comparison, lists, `*`.
            ("§13.1.2", &[("if-none-match", "\"a\"")], TAGGED, NotModified),
            ("§13.1.2", &[("if-none-match", "\"b\"")], TAGGED, Proceed),
            ("§8.8.3.2", &[("if-none-match", "W/\"a\"")], TAGGED, NotModified),
            ("§8.8.3.2", &[("if-none-match", "\"a\"")], WEAKLY, NotModified),
            ("§8.8.3.2", &[("if-none-match", "W/\"a\"")], WEAKLY, NotModified),
            ("§13.1.2", &[("if-none-match", "\"b\", \"a\"")], TAGGED, NotModified),
            ("§13.1.2", &[("if-none-match", "\"b\",,W/\"a\" , \"c\"")], TAGGED, NotModified),
            ("§5.3", &[("if-none-match", "\"b\""), HAVE_A], TAGGED, NotModified),
            ("§13.1.2", &[("if-none-match", "*")], TAGGED, NotModified),
            ("§13.1.2", &[("if-none-match", "*")], &[], NotModified),
            ("§13.1.2", &[("if-none-match", "\"*\"")], TAGGED, Proceed),
            ("§13.1.2", &[("if-none-match", "\"a\"")], &[], Proceed),
            ("§13.1.2", &[("if-none-match", "")], TAGGED, Proceed),
            ("§8.8.3", &[("if-none-match", "\"x,a\"")], TAGGED, Proceed),
            ("§8.8.3", &[("if-none-match", "\"x\\\", \"a\"")], TAGGED, NotModified),
            ("§8.8.3", &[("if-none-match", "\"A\"")], TAGGED, Proceed),
            ("§8.8.3", &[("if-none-match", "w/\"a\"")], TAGGED, Proceed),
            ("§8.8.3", &[("if-none-match", "a")], TAGGED, Proceed),
            ("§8.8.3", &[("if-none-match", "\"a")], TAGGED, Proceed),
            ("§8.8.3", &[("if-none-match", "b, a")], &[("etag", "a")], NotModified),
            // If-Modified-Since: any form of date, ignored if it isn't one.
            ("§13.1.3", &[("if-modified-since", THEN)], DATED, NotModified),
            ("§13.1.3", &[("if-modified-since", AFTER)], DATED, NotModified),
            ("§13.1.3", &[("if-modified-since", BEFORE)], DATED, Proceed),
            ("§5.6.7", &[("if-modified-since", RFC850)], DATED, NotModified),
            ("§5.6.7", &[("if-modified-since", "Sun Nov  6 08:49:37 1994")], DATED, NotModified),
            ("§13.1.3", &[("if-modified-since", "0")], DATED, Proceed),
            ("§13.1.3", &[SINCE_AFTER, SINCE_AFTER], DATED, Proceed),
            ("RFC 9111 §4.3.2", &[("if-modified-since", AFTER)], &[("date", THEN)], NotModified),
            ("RFC 9111 §4.3.2", &[("if-modified-since", BEFORE)], &[("date", THEN)], Proceed),
            ("RFC 9111 §4.3.2", &[("if-modified-since", AFTER)], &[], Proceed),
            // Precedence.
            ("§13.2.2", &[("if-none-match", "\"b\""), SINCE_AFTER], BOTH, Proceed),
            ("§13.2.2", &[HAVE_A, ("if-modified-since", BEFORE)], BOTH, NotModified),
            // If-Match: strong comparison.
            ("§13.1.1", &[("if-match", "\"a\"")], TAGGED, Proceed),
            ("§13.1.1", &[("if-match", "\"b\"")], TAGGED, Failed),
            ("§13.1.1", &[("if-match", "\"b\", \"a\"")], TAGGED, Proceed),
            ("§8.8.3.2", &[("if-match", "W/\"a\"")], TAGGED, Failed),
            ("§8.8.3.2", &[("if-match", "W/\"a\"")], WEAKLY, Failed),
            ("§8.8.3.2", &[("if-match", "\"a\"")], WEAKLY, Failed),
            ("§13.1.1", &[("if-match", "*")], &[], Proceed),
            ("§13.1.1", &[("if-match", "\"a\"")], &[], Failed),
            ("§13.2.2", &[("if-match", "\"a\""), ("if-none-match", "\"a\"")], TAGGED, NotModified),
            ("§13.2.2", &[("if-match", "\"a\""), ("if-unmodified-since", BEFORE)], BOTH, Proceed),
            // If-Unmodified-Since.
            ("§13.1.4", &[("if-unmodified-since", THEN)], DATED, Proceed),
            ("§13.1.4", &[("if-unmodified-since", BEFORE)], DATED, Failed),
            ("§13.1.4", &[("if-unmodified-since", "0")], DATED, Proceed),
            ("§13.1.4", &[("if-unmodified-since", BEFORE)], TAGGED, Proceed),
            ("§13.2.2", &[("if-unmodified-since", AFTER), HAVE_A], BOTH, NotModified),
        ];
        for (section, request, stored, expected) in rows {
            let found = verdict(&Method::GET, request, stored);
            assert_eq!(found, expected, "{section}: {request:?} {stored:?}");
            assert_eq!(
                verdict(&Method::HEAD, request, stored),
                expected,
                "{section}: HEAD"
            );
        }
    }

    #[test]
    fn other_methods_get_no_304() {
        // RFC 9110 §13.1.2, §13.1.3.
        let rows: [(Lines, Precondition); 3] = [
            (&[("if-none-match", "\"a\"")], Failed),
            (&[("if-none-match", "\"b\"")], Proceed),
            (&[("if-modified-since", AFTER)], Proceed),
        ];
        for (request, expected) in rows {
            assert_eq!(
                verdict(&Method::PUT, request, BOTH),
                expected,
                "{request:?}"
            );
        }
    }

    #[test]
    fn a_validation_asks_by_the_stored_validators_alone() {
        // All rows: RFC 9111 §4.3.1.
        #[rustfmt::skip]
        let rows: [(Lines, Lines); 5] = [
            (&[], &[]),
            (BOTH, &[("if-none-match", "\"a\""), ("if-modified-since", THEN)]),
            (WEAKLY, &[("if-none-match", "W/\"a\"")]),
            (DATED, &[("if-modified-since", THEN)]),
            (&[("last-modified", "yesterday")], &[]),
        ];
        for (stored, expected) in rows {
            let mut request = headers(&[
                ("if-match", "\"c\""),
                ("if-none-match", "\"c\""),
                ("if-modified-since", AFTER),
                ("if-unmodified-since", AFTER),
                ("if-range", "\"c\""),
                ("range", "bytes=0-1"),
            ]);
            let stored = headers(stored);
            let validators = Validators::of(&stored);
            ask(&mut request, &validators);
            assert_eq!(request, headers(expected));
            assert_eq!(validators.can_validate(), !expected.is_empty());
        }
    }

    #[test]
    fn a_304_must_speak_of_the_stored_response() {
        // All rows: RFC 9111 §4.3.4.
        #[rustfmt::skip]
        let rows: [(Lines, Lines, bool); 12] = [
            (BOTH, &[], true),
            (BOTH, TAGGED, true),
            (BOTH, &[("etag", "\"b\"")], false),
            (BOTH, &[("etag", "\"b\""), ("last-modified", THEN)], false),
            (TAGGED, WEAKLY, true),
            (WEAKLY, TAGGED, true),
            (WEAKLY, &[("etag", "W/\"b\"")], false),
            (DATED, TAGGED, false),
            (DATED, &[("last-modified", THEN)], true),
            (DATED, &[("last-modified", "Sunday, 06-Nov-94 08:49:37 GMT")], true),
            (BOTH, &[("last-modified", AFTER)], false),
            (TAGGED, DATED, true),
        ];
        for (stored, answer, expected) in rows {
            let stored_headers = headers(stored);
            let found = confirms(&Validators::of(&stored_headers), &headers(answer));
            assert_eq!(found, expected, "{stored:?} {answer:?}");
        }
    }

    #[test]
    fn a_head_must_agree_with_the_stored_response() {
        const LEN: (&str, &str) = ("content-length", "10");
        // All rows: RFC 9111 §4.3.5.
        #[rustfmt::skip]
        let rows: [(Lines, Lines, bool); 19] = [
            (BOTH, &[], false),
            (&[], &[], false),
            (BOTH, &[("etag", "\"a\""), ("last-modified", THEN), LEN], false),
            (BOTH, &[("etag", "\"b\""), ("last-modified", THEN), LEN], true),
            (BOTH, &[("etag", "\"a\""), ("last-modified", AFTER), LEN], true),
            (BOTH, &[("last-modified", BEFORE)], true),
            (BOTH, &[("last-modified", RFC850)], false),
            (BOTH, TAGGED, false),
            (BOTH, WEAKLY, false),
            // What was received must match, so it must be there.
            (DATED, TAGGED, true),
            (TAGGED, DATED, true),
            (&[], TAGGED, true),
            (&[], &[LEN], false),
            (BOTH, &[("content-length", "11")], true),
            (BOTH, &[("content-length", "010")], false),
            (BOTH, &[LEN, ("content-length", "11")], true),
            (BOTH, &[("content-length", "+10")], true),
            (BOTH, &[("content-length", "")], true),
            (BOTH, &[("content-length", "99999999999999999999")], true),
        ];
        for (stored, answer, expected) in rows {
            let (stored, answer) = (headers(stored), headers(answer));
            let found = head_disagrees(&Validators::of(&stored), Some(10), &answer);
            assert_eq!(found, expected, "{stored:?} {answer:?}");
        }
        let longer = headers(&[("content-length", "11")]);
        assert!(!head_disagrees(&Validators::default(), None, &longer));
    }

    #[test]
    fn a_304_brings_the_stored_fields_up_to_date() {
        // All rows: RFC 9111 §3.2.
        #[rustfmt::skip]
        let rows: [(Lines, Lines, Lines); 7] = [
            (
                &[("content-md5", "1"), ("content-digest", "1"), ("repr-digest", "1"), ("etag", "W/\"a\"")],
                &[("content-md5", "2"), ("content-digest", "2"), ("repr-digest", "2"), ("etag", "\"a\"")],
                &[("content-md5", "2"), ("content-digest", "2"), ("repr-digest", "2"), ("etag", "\"a\"")],
            ),
            (&[("a", "1"), ("b", "2")], &[("a", "3")], &[("a", "3"), ("b", "2")]),
            (&[("a", "1")], &[("b", "2")], &[("a", "1"), ("b", "2")]),
            (
                &[("a", "1"), ("b", "1"), ("b", "2")],
                &[("a", "3"), ("a", "4")],
                &[("a", "3"), ("a", "4"), ("b", "1"), ("b", "2")],
            ),
            (
                &[
                    ("content-length", "10"),
                    ("content-encoding", "gzip"),
                    ("content-type", "a/b"),
                ],
                &[
                    ("content-length", "0"),
                    ("content-encoding", "br"),
                    ("content-type", "c/d"),
                ],
                &[
                    ("content-length", "10"),
                    ("content-encoding", "gzip"),
                    ("content-type", "c/d"),
                ],
            ),
            (
                &[],
                &[
                    ("connection", "x"),
                    ("x", "1"),
                    ("keep-alive", "1"),
                    ("y", "2"),
                ],
                &[("y", "2")],
            ),
            (
                &[("age", "5"), ("date", BEFORE), ("a", "1")],
                &[("b", "2")],
                &[("a", "1"), ("b", "2")],
            ),
        ];
        for (stored, answer, expected) in rows {
            assert_eq!(
                merge(headers(stored), &headers(answer)),
                headers(expected),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn a_304_carries_no_fields_of_the_body() {
        // RFC 9110 §15.4.5.
        let carried = [
            "cache-control",
            "content-location",
            "date",
            "etag",
            "expires",
            "vary",
            "last-modified",
            "age",
            "via",
            "cache-status",
            "set-cookie",
            "access-control-allow-origin",
            "content-security-policy",
        ];
        let dropped = [
            "content-length",
            "content-type",
            "content-encoding",
            "content-range",
        ];
        let kept = |name: &&'static str| not_modified_fields(&HeaderName::from_static(name));
        assert_eq!(carried.iter().find(|name| !kept(name)), None);
        assert_eq!(dropped.iter().find(|name| kept(name)), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_headers_panic(request in any_headers(), response in any_headers()) {
            let stored = Validators::of(&response);
            let found = evaluate(&Method::GET, &request, &stored);
            let mut stripped = request.clone();
            strip(&mut stripped);
            prop_assert_eq!(evaluate(&Method::GET, &stripped, &stored), Proceed);
            ask(&mut stripped, &stored);
            let _ = (found, confirms(&stored, &request), merge(response.clone(), &request));
            prop_assert!(!head_disagrees(&stored, None, &response));
            let _ = head_disagrees(&stored, Some(0), &request);
        }

        #[test]
        fn what_is_asked_of_an_unchanged_response_is_answered_304(response in any_headers()) {
            let stored = Validators::of(&response);
            let mut request = HeaderMap::new();
            ask(&mut request, &stored);
            let one = stored.etag.is_none_or(|tag| EntityTags(tag).eq([EntityTag::read(tag)]));
            if stored.can_validate() && one {
                prop_assert_eq!(evaluate(&Method::GET, &request, &stored), NotModified);
            }
        }
    }
}
