//! Parts of one representation: which answers bring one, and which belong together (RFC 9111 §3.3,
//! §3.4, RFC 9110 §15.3.7.3).
//!
//! Here parts are only ever asked for one at a time, with a known first and last byte. What a
//! client's Range gets of a stored response is in `range.rs`; bytes are joined elsewhere.

use std::time::SystemTime;

use http::header::CONTENT_RANGE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::conditional::Validators;
use super::range::{ByteRange, ContentRange, is_strong_tag, strong_date};

/// What an answer to a request for one range brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// A 206 with the representation from its first byte to its last: as good as a 200.
    Whole,
    /// The range, or what there is of it, of a representation of `complete` bytes.
    Part {
        /// The length of the whole.
        complete: u64,
        /// What every other part must share.
        version: Version,
    },
    /// A 416: the representation has nothing there.
    Nothing,
    /// A part that cannot be joined to another, or is not the one that was asked for.
    Unfit,
    /// No part: the answer stands for itself.
    Other,
}

/// The strong validator of a representation: parts that share it are parts of the same bytes.
///
/// RFC 9111 §3.4: "A cache MUST NOT combine […] unless they all share the same strong validator".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// A strong entity tag, quotes included.
    Tag(Box<[u8]>),
    /// A Last-Modified that RFC 9110 §8.8.2.2 lets count as strong.
    Date(SystemTime),
}

// === impl Brought ===

impl Brought {
    /// Reads the answer to a request for the bytes `asked`.
    pub fn of(asked: ByteRange, status: StatusCode, fields: &HeaderMap) -> Self {
        match status {
            StatusCode::RANGE_NOT_SATISFIABLE => Self::Nothing,
            StatusCode::PARTIAL_CONTENT => Self::of_part(asked, fields).unwrap_or(Self::Unfit),
            _ => Self::Other,
        }
    }

    fn of_part(asked: ByteRange, fields: &HeaderMap) -> Option<Self> {
        let (part, complete) = part(fields)?;
        let end = complete.checked_sub(1)?;
        if (part.first, part.last) == (0, end) && asked.first == 0 {
            return Some(Self::Whole);
        }
        if (part.first, part.last) != (asked.first, asked.last.min(end)) {
            return None;
        }
        let version = Version::of(fields)?;
        Some(Self::Part { complete, version })
    }
}

// === impl Version ===

impl Version {
    /// The strong validator of a response; `None` if it has none. An entity tag that is weak, or
    /// not one, is not made up for by a date: its origin does not vouch for the bytes.
    pub fn of(response: &HeaderMap) -> Option<Self> {
        let validators = Validators::of(response);
        match validators.etag {
            Some(tag) => is_strong_tag(tag).then(|| Self::Tag(tag.into())),
            None => strong_date(&validators).map(Self::Date),
        }
    }

    /// Whether an answer brought exactly the bytes `wanted` of the same representation, `complete`
    /// bytes long.
    pub fn has_part(&self, wanted: ByteRange, complete: u64, answer: &HeaderMap) -> bool {
        part(answer) == Some((wanted, complete)) && Self::of(answer).as_ref() == Some(self)
    }

    /// The length of the whole, if an answer brought all bytes from `first` on of the same
    /// representation.
    pub fn rest(&self, first: u64, answer: &HeaderMap) -> Option<u64> {
        let (range, complete) = part(answer)?;
        let is_rest = range.first == first && range.last.checked_add(1) == Some(complete);
        (is_rest && Self::of(answer).as_ref() == Some(self)).then_some(complete)
    }

    /// What If-Match says, so that the origin refuses to send parts of anything else. There is none
    /// for a date: If-Unmodified-Since would be answered by a version that is older.
    pub fn if_match(&self) -> Option<HeaderValue> {
        match self {
            Self::Tag(tag) => HeaderValue::from_bytes(tag).ok(),
            Self::Date(_) => None,
        }
    }

    /// Bytes of heap it keeps alive.
    pub fn weight_bytes(&self) -> usize {
        match self {
            Self::Tag(tag) => tag.len(),
            Self::Date(_) => 0,
        }
    }
}

/// The range of a 206 and the length of the whole, if both are said, in one line. RFC 9110
/// §15.3.7.2: of several parts the message's own fields have no Content-Range.
fn part(fields: &HeaderMap) -> Option<(ByteRange, u64)> {
    let mut lines = fields.get_all(CONTENT_RANGE).iter();
    let only = lines.next().filter(|_| lines.next().is_none())?;
    let ContentRange {
        first,
        last,
        complete,
    } = ContentRange::parse(only.as_bytes())?;
    Some((ByteRange { first, last }, complete?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{any_headers, at, headers};
    use super::*;

    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEXT_SECOND: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const ASKED: ByteRange = ByteRange {
        first: 100,
        last: 199,
    };

    type Lines = &'static [(&'static str, &'static str)];

    fn tag(text: &str) -> Version {
        Version::Tag(text.as_bytes().into())
    }

    fn of(complete: u64) -> Brought {
        let version = tag("\"a\"");
        Brought::Part { complete, version }
    }

    #[test]
    fn what_an_answer_brought() {
        const A: (&str, &str) = ("etag", "\"a\"");
        #[rustfmt::skip]
        let rows: [(&str, u16, Lines, Brought); 15] = [
            ("§14.4", 206, &[A, ("content-range", "bytes 100-199/1000")], of(1000)),
            ("§14.1.2, cut at the end", 206, &[A, ("content-range", "bytes 100-149/150")], of(150)),
            ("§14.4, too short", 206, &[A, ("content-range", "bytes 100-149/1000")], Brought::Unfit),
            ("§14.4, too long", 206, &[A, ("content-range", "bytes 100-200/1000")], Brought::Unfit),
            ("§14.4, elsewhere", 206, &[A, ("content-range", "bytes 0-99/1000")], Brought::Unfit),
            ("§14.4, elsewhere", 206, &[A, ("content-range", "bytes 0-9/10")], Brought::Unfit),
            ("§14.4, unknown length", 206, &[A, ("content-range", "bytes 100-199/*")], Brought::Unfit),
            ("§14.4, invalid", 206, &[A, ("content-range", "bytes 100-199/150")], Brought::Unfit),
            ("§14.4, other unit", 206, &[A, ("content-range", "lines 100-199/1000")], Brought::Unfit),
            ("§15.3.7.2", 206, &[A, ("content-type", "multipart/byteranges")], Brought::Unfit),
            ("§5.3", 206, &[A, ("content-range", "bytes 100-199/1000"),
                ("content-range", "bytes 100-199/1000")], Brought::Unfit),
            ("RFC 9111 §3.4", 206, &[("etag", "W/\"a\""), ("content-range", "bytes 100-199/1000")],
                Brought::Unfit),
            ("RFC 9111 §3.4", 206, &[("content-range", "bytes 100-199/1000")], Brought::Unfit),
            ("§15.5.17", 416, &[("content-range", "bytes */10")], Brought::Nothing),
            ("§14.2, ignored", 200, &[A], Brought::Other),
        ];
        for (section, status, fields, expected) in rows {
            let status = StatusCode::from_u16(status).unwrap();
            let brought = Brought::of(ASKED, status, &headers(fields));
            assert_eq!(brought, expected, "{section}: {fields:?}");
        }
    }

    #[test]
    fn a_part_that_is_all_needs_no_validator() {
        let asked = ByteRange { first: 0, last: 99 };
        let fields = headers(&[("content-range", "bytes 0-9/10")]);
        let brought = Brought::of(asked, StatusCode::PARTIAL_CONTENT, &fields);
        assert_eq!(brought, Brought::Whole);
    }

    #[test]
    fn what_binds_parts_together() {
        #[rustfmt::skip]
        let rows: [(&str, Lines, Option<Version>); 7] = [
            ("§8.8.3", &[("etag", "\"a\"")], Some(tag("\"a\""))),
            ("§8.8.3, weak", &[("etag", "W/\"a\"")], None),
            ("§8.8.3, no tag", &[("etag", "a")], None),
            ("§8.8.2.2", &[("last-modified", MODIFIED), ("date", NEXT_SECOND)],
                Some(Version::Date(at(MODIFIED)))),
            ("§8.8.2.2, within a second", &[("last-modified", MODIFIED), ("date", MODIFIED)], None),
            ("§8.8.2.2, no Date", &[("last-modified", MODIFIED)], None),
            ("§8.8.1, the tag decides",
                &[("etag", "W/\"a\""), ("last-modified", MODIFIED), ("date", NEXT_SECOND)], None),
        ];
        for (section, fields, expected) in rows {
            assert_eq!(
                Version::of(&headers(fields)),
                expected,
                "{section}: {fields:?}"
            );
        }
    }

    #[test]
    fn a_part_of_another_version_does_not_fit() {
        #[rustfmt::skip]
        let rows: [(&str, Lines, bool); 4] = [
            ("§14.4", &[("etag", "\"a\""), ("content-range", "bytes 100-199/1000")], true),
            ("RFC 9111 §3.4", &[("etag", "\"b\""), ("content-range", "bytes 100-199/1000")], false),
            ("§14.4, other length", &[("etag", "\"a\""), ("content-range", "bytes 100-199/999")],
                false),
            ("§14.4, other range", &[("etag", "\"a\""), ("content-range", "bytes 100-198/1000")],
                false),
        ];
        for (section, fields, fits) in rows {
            let found = tag("\"a\"").has_part(ASKED, 1000, &headers(fields));
            assert_eq!(found, fits, "{section}: {fields:?}");
        }
    }

    #[test]
    fn the_rest_reaches_to_the_end() {
        #[rustfmt::skip]
        let rows: [(&str, Lines, Option<u64>); 6] = [
            ("§14.4", &[("etag", "\"a\""), ("content-range", "bytes 100-199/200")], Some(200)),
            ("§14.4, cut short", &[("etag", "\"a\""), ("content-range", "bytes 100-198/200")], None),
            ("§14.4, elsewhere", &[("etag", "\"a\""), ("content-range", "bytes 99-199/200")], None),
            ("§14.4, unknown length", &[("etag", "\"a\""), ("content-range", "bytes 100-199/*")], None),
            ("RFC 9111 §3.4", &[("etag", "\"b\""), ("content-range", "bytes 100-199/200")], None),
            ("§15.3.7.2", &[("etag", "\"a\"")], None),
        ];
        for (section, fields, complete) in rows {
            let found = tag("\"a\"").rest(100, &headers(fields));
            assert_eq!(found, complete, "{section}: {fields:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_answer_panics(fields in any_headers(), first in any::<u64>(), last in any::<u64>()) {
            let asked = ByteRange { first, last };
            for status in [StatusCode::PARTIAL_CONTENT, StatusCode::RANGE_NOT_SATISFIABLE] {
                Brought::of(asked, status, &fields);
            }
        }
    }
}
