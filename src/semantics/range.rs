//! Byte ranges (RFC 9110 §14): which parts of a stored response a request asks for, and the fields
//! that say so.
//!
//! "A server MAY ignore the Range header field" (§14.2), so what is malformed, unknown or only
//! there to do harm gets the whole response, and never an error. Bytes are cut elsewhere. Without
//! a Range nothing is allocated, nor for a single range.

use std::time::{Duration, SystemTime};

use http::header::{ACCEPT_RANGES, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use smallvec::{SmallVec, smallvec};

use super::conditional::Validators;
use super::{date, list};

/// More ranges than this are nobody's who means well: a reader of PDF, the most eager of clients,
/// asks for a few dozen.
const RANGES_MAX: usize = 64;
/// So many ranges may come in any order; more have to ascend. "A set of many small ranges that are
/// not listed in ascending order" is one of the "indications of either a broken client or a
/// deliberate denial-of-service attack" (RFC 9110 §14.2).
const UNORDERED_RANGES_MAX: usize = 8;
/// So many ranges may overlap one before them; "more than two overlapping ranges" are another such
/// indication.
const OVERLAPS_MAX: usize = 2;
/// What a part of a multipart response costs beside its bytes. RFC 9110 §15.3.7.2: "the typical
/// overhead between each part of a multipart/byteranges is around 80 bytes".
const PART_OVERHEAD_BYTES: u64 = 80;

/// What a request for ranges gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangePlan {
    /// The whole response: no range is asked for, or none that is to be heeded.
    Whole,
    /// These parts of it, in a 206.
    Parts(Parts),
    /// A 416: nothing of what is asked for is there. Only of a body whose length is known.
    Unsatisfiable,
}

/// Bytes of a representation, counted from 0; `last` is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first of them.
    pub first: u64,
    /// The last of them, not before the first.
    pub last: u64,
}

/// One or more ranges in the order in which they are to be sent, each a good way from the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts(SmallVec<[ByteRange; 1]>);

/// What is known of a body's length, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// The whole is so long, whether all of it is here or not.
    Exact(u64),
    /// So much is here, and more may come.
    AtLeast(u64),
}

/// Which bytes a 206 brought: a Content-Range as received (RFC 9110 §14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte that came with it.
    pub first: u64,
    /// The last one, not before the first.
    pub last: u64,
    /// The length of the whole, more than `last`; `None` where the sender did not know it.
    pub complete: Option<u64>,
}

/// One member of a Range (RFC 9110 §14.1.1), its numbers cut to 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    /// `first-last`
    Closed(ByteRange),
    /// `first-`
    Open(u64),
    /// `-length`
    Suffix(u64),
}

/// The ranges that a request asks for, as they are read one by one.
#[derive(Debug)]
struct Chosen {
    parts: SmallVec<[ByteRange; 1]>,
    /// Bytes asked for, those asked for twice counted twice.
    bytes: u64,
    overlaps: usize,
    /// Where the latest began.
    latest: u64,
    ascending: bool,
}

// === impl ByteRange ===

impl ByteRange {
    /// How many bytes it has: at least one.
    pub fn bytes(self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// RFC 9110 §15.3.7.2: "a server MAY coalesce any of the ranges that overlap, or that are
    /// separated by a gap that is smaller than the overhead of sending multiple parts, regardless
    /// of the order".
    fn is_near(self, other: Self) -> bool {
        let gap = |before: Self, after: Self| after.first.saturating_sub(before.last);
        gap(self, other).max(gap(other, self)) <= PART_OVERHEAD_BYTES
    }

    fn joined(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

// === impl Parts ===

impl Parts {
    /// The only range, if it is one: a single range is never sent as multipart.
    pub fn single(&self) -> Option<ByteRange> {
        match self.0.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// The ranges, in the order in which they are to be sent.
    pub fn iter(&self) -> impl Iterator<Item = ByteRange> {
        self.0.iter().copied()
    }
}

// === impl Length ===

impl Length {
    /// The length of the whole, if it is known.
    pub fn exact(self) -> Option<u64> {
        match self {
            Self::Exact(bytes) => Some(bytes),
            Self::AtLeast(_) => None,
        }
    }
}

// === impl ContentRange ===

impl ContentRange {
    /// Reads the value of a Content-Range. `None` if it is in another unit, names no bytes (as in a
    /// 416) or is not valid.
    ///
    /// RFC 9110 §14.4: "A Content-Range field value is invalid if it contains a range-resp that has
    /// a last-pos value less than its first-pos value, or a complete-length value less than or
    /// equal to its last-pos value. The recipient of an invalid Content-Range MUST NOT attempt to
    /// recombine the received content with a stored representation."
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (range, complete) = split(in_bytes(value, b' ')?, b'/')?;
        let (first, last) = split(range, b'-')?;
        let (first, last) = (number(first)?, number(last)?);
        let complete = match complete {
            b"*" => None,
            digits => Some(number(digits)?),
        };
        // What was cut to 64 bits is not the number that was sent.
        let in_order = first <= last
            && last < u64::MAX
            && complete.is_none_or(|it| it > last && it < u64::MAX);
        in_order.then_some(Self {
            first,
            last,
            complete,
        })
    }
}

// === impl Spec ===

impl Spec {
    /// `None` if it is not one. "An int-range is invalid if the last-pos value is present and less
    /// than first-pos" (RFC 9110 §14.1.1).
    fn parse(text: &[u8]) -> Option<Self> {
        match split(text, b'-')? {
            (b"", length) => Some(Self::Suffix(number(length)?)),
            (first, b"") => Some(Self::Open(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Closed(ByteRange { first, last }))
            }
        }
    }

    /// Its bytes in a representation of `length` bytes; `None` if there are none. RFC 9110 §14.1.2:
    /// "If the selected representation is shorter than the specified suffix-length, the entire
    /// representation is used", and a `last` beyond the end means the end.
    fn within(self, length: u64) -> Option<ByteRange> {
        let end = length.checked_sub(1)?;
        let (first, last) = match self {
            Self::Closed(range) => (range.first, range.last.min(end)),
            Self::Open(first) => (first, end),
            Self::Suffix(0) => return None,
            Self::Suffix(suffix) => (length.saturating_sub(suffix), end),
        };
        (first <= end).then_some(ByteRange { first, last })
    }
}

// === impl Chosen ===

impl Chosen {
    fn new() -> Self {
        Self {
            parts: SmallVec::new(),
            bytes: 0,
            overlaps: 0,
            latest: 0,
            ascending: true,
        }
    }

    /// One more. It joins those that it is near to, in the place of the earliest: "A server that
    /// generates a multipart response SHOULD send the parts in the same order that the
    /// corresponding range-spec appeared in the received Range header field" (RFC 9110 §15.3.7.2).
    fn add(&mut self, range: ByteRange) {
        self.bytes = self.bytes.saturating_add(range.bytes());
        self.overlaps += usize::from(self.parts.iter().any(|part| part.overlaps(range)));
        self.ascending &= self.latest <= range.first;
        self.latest = range.first;
        let (mut joined, mut place) = (range, self.parts.len());
        while let Some(near) = self.parts.iter().position(|part| part.is_near(joined)) {
            joined = joined.joined(self.parts.remove(near));
            place = place.min(near);
        }
        self.parts.insert(place, joined);
    }

    /// Whether it is better to send the whole of `length` bytes; `count` ranges were asked for.
    ///
    /// RFC 9110 §17.15: "Servers ought to ignore, coalesce, or reject egregious range requests,
    /// such as requests for more than two overlapping ranges or for many small ranges in the set".
    fn is_not_worth_it(&self, count: usize, length: u64) -> bool {
        let sent = self.parts.iter().fold(0_u64, |sum, part| {
            sum.saturating_add(part.bytes())
                .saturating_add(PART_OVERHEAD_BYTES)
        });
        self.bytes > length
            || self.overlaps > OVERLAPS_MAX
            || (count > UNORDERED_RANGES_MAX && !self.ascending)
            || (self.parts.len() > 1 && sent > length)
    }
}

/// What a request gets of a stored 200 whose body has this length. Call it after the preconditions
/// (RFC 9110 §13.2.2).
///
/// Of a body of unknown length only a range is served whose bytes are all here: of any other it
/// cannot be said that it is there, nor how long the answer will be.
pub fn plan(
    method: &Method,
    request: &HeaderMap,
    stored: &Validators,
    length: Length,
) -> RangePlan {
    // RFC 9110 §14.2: "A server MUST ignore a Range header field received with a request method
    // that is unrecognized or for which range handling is not defined. For this specification, GET
    // is the only method for which range handling is defined."
    let asked = only_line(request, &RANGE).filter(|_| method == Method::GET);
    // "An origin server MUST ignore a Range header field that contains a range unit it does not
    // understand."
    let Some(set) = asked.and_then(|value| in_bytes(value, b'=')) else {
        return RangePlan::Whole;
    };
    if !may_be_partial(request, stored) {
        return RangePlan::Whole;
    }
    match length {
        Length::Exact(length) => of_known(set, length),
        Length::AtLeast(here) => of_unknown(set, here),
    }
    .unwrap_or(RangePlan::Whole)
}

/// Where the first range that a request asks for begins, as far as that can be told without the
/// length of the representation: 0 where it cannot, or where no range is asked for.
pub fn begins_at(request: &HeaderMap) -> u64 {
    let set = only_line(request, &RANGE).and_then(|value| in_bytes(value, b'='));
    match set.and_then(|set| specs(set).next()?) {
        Some(Spec::Closed(range)) => range.first,
        Some(Spec::Open(first)) => first,
        Some(Spec::Suffix(_)) | None => 0,
    }
}

/// Asks for one range, in place of any other.
pub fn ask(request: &mut HeaderMap, range: ByteRange) {
    let ByteRange { first, last } = range;
    request.insert(RANGE, to_value(format!("bytes={first}-{last}")));
}

/// Makes `request` ask for all bytes from `first` on.
pub fn ask_from(request: &mut HeaderMap, first: u64) {
    request.insert(RANGE, to_value(format!("bytes={first}-")));
}

/// Whether the sender of a response says that it gives parts of it. One that does not say so would often
/// send the whole.
///
/// RFC 9110 §14.3: "The 'Accept-Ranges' field in a response indicates whether an upstream server
/// supports range requests for the target resource."
pub fn are_offered(response: &HeaderMap) -> bool {
    let lines = response.get_all(ACCEPT_RANGES).iter();
    let mut units = lines.flat_map(|line| list::members(line.as_bytes()));
    units.any(|unit| unit.eq_ignore_ascii_case(b"bytes"))
}

/// The Content-Range of a part of a representation of `complete` bytes.
pub fn content_range(range: ByteRange, complete: Option<u64>) -> HeaderValue {
    let ByteRange { first, last } = range;
    match complete {
        Some(complete) => to_value(format!("bytes {first}-{last}/{complete}")),
        None => to_value(format!("bytes {first}-{last}/*")),
    }
}

/// The Content-Range of a 416 about a representation of `complete` bytes (RFC 9110 §15.5.17).
pub fn unsatisfied(complete: u64) -> HeaderValue {
    to_value(format!("bytes */{complete}"))
}

fn to_value(range: String) -> HeaderValue {
    // It is made of ASCII letters, digits, a space and punctuation.
    HeaderValue::try_from(range).expect("a range is a field value")
}

/// The ranges in a body of known length; `None` if they are to be ignored.
fn of_known(set: &[u8], length: u64) -> Option<RangePlan> {
    // Of nothing there is no part: the whole is as good an answer, and no error.
    if length == 0 {
        return None;
    }
    let (mut chosen, mut count) = (Chosen::new(), 0);
    for spec in specs(set) {
        count += 1;
        if count > RANGES_MAX {
            return None;
        }
        if let Some(range) = spec?.within(length) {
            chosen.add(range);
        }
    }
    if count == 0 || chosen.is_not_worth_it(count, length) {
        return None;
    }
    Some(match chosen.parts.is_empty() {
        true => RangePlan::Unsatisfiable,
        false => RangePlan::Parts(Parts(chosen.parts)),
    })
}

/// The one range in a body of which so many bytes are `here`; `None` for the whole.
fn of_unknown(set: &[u8], here: u64) -> Option<RangePlan> {
    let mut specs = specs(set);
    match (specs.next()??, specs.next()) {
        (Spec::Closed(range), None) if range.last < here => {
            Some(RangePlan::Parts(Parts(smallvec![range])))
        }
        _ => None,
    }
}

/// Whether If-Range allows a part (RFC 9110 §13.1.5). One that is not valid, or not one, allows
/// none: the whole is always right.
fn may_be_partial(request: &HeaderMap, stored: &Validators) -> bool {
    if !request.contains_key(IF_RANGE) {
        return true;
    }
    only_line(request, &IF_RANGE).is_some_and(|validator| {
        if is_strong_tag(validator) {
            // Two valid tags, neither of them weak, are equal strongly if their bytes are.
            stored.etag == Some(validator)
        } else {
            is_strong_date(validator, stored)
        }
    })
}

/// Whether a date is exactly the Last-Modified of the stored response, and a strong validator.
fn is_strong_date(validator: &[u8], stored: &Validators) -> bool {
    strong_date(stored).is_some_and(|modified| date::parse(validator) == Some(modified))
}

/// The Last-Modified of a response, if it is a strong validator.
///
/// RFC 9110 §8.8.2.2: it is weak unless "that cache entry includes a Date value which is at least
/// one second after the Last-Modified value", for within one second it could have changed twice.
pub(super) fn strong_date(response: &Validators) -> Option<SystemTime> {
    let read = |field: Option<&[u8]>| field.and_then(date::parse);
    let modified = read(response.last_modified)?;
    let distance = read(response.date)?.duration_since(modified).ok()?;
    (distance >= Duration::from_secs(1)).then_some(modified)
}

pub(super) fn is_strong_tag(text: &[u8]) -> bool {
    list::unquote(text).is_some_and(|opaque| !opaque.contains(&b'"'))
}

/// The value of a field that has just one line. Neither Range nor If-Range is a list.
fn only_line<'a>(request: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = request.get_all(name).iter();
    let only = lines.next().filter(|_| lines.next().is_none())?;
    Some(only.as_bytes())
}

/// The members of a range set; `None` for one that is no range. Empty ones are skipped (§5.6.1.2).
fn specs(set: &[u8]) -> impl Iterator<Item = Option<Spec>> {
    list::members(set)
        .filter(|member| !member.is_empty())
        .map(Spec::parse)
}

/// What follows the unit and `mark`, if the unit is bytes: "all range unit names are
/// case-insensitive" (RFC 9110 §14.1).
fn in_bytes(value: &[u8], mark: u8) -> Option<&[u8]> {
    let (unit, rest) = split(value, mark)?;
    unit.eq_ignore_ascii_case(b"bytes").then_some(rest)
}

/// The text before and after the first `mark`.
fn split(text: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(mark, text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// One or more digits. A number beyond 64 bits is the largest of them: no body is longer.
fn number(digits: &[u8]) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all_digits.then(|| {
        digits.iter().fold(0_u64, |number, digit| {
            number
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}

#[cfg(test)]
mod tests {
    use Length::{AtLeast, Exact};
    use proptest::prelude::*;

    use super::super::testing::{any_headers, headers};
    use super::*;

    /// What a row expects: the ranges in order, or one of the words.
    type Expected = Result<&'static [(u64, u64)], &'static str>;

    const WHOLE: Expected = Err("whole");
    const UNSATISFIABLE: Expected = Err("unsatisfiable");

    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const RFC850: &str = "Sunday, 06-Nov-94 08:49:37 GMT";
    const NEXT_SECOND: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn planned(range: &str, length: Length) -> RangePlan {
        let request = headers(&[("range", range)]);
        plan(&Method::GET, &request, &Validators::default(), length)
    }

    fn check(section: &str, range: &str, length: Length, expected: Expected) {
        let found = planned(range, length);
        let expected = match expected {
            Ok(ranges) => {
                let ranges = ranges
                    .iter()
                    .map(|&(first, last)| ByteRange { first, last });
                RangePlan::Parts(Parts(ranges.collect()))
            }
            Err("whole") => RangePlan::Whole,
            Err(_) => RangePlan::Unsatisfiable,
        };
        assert_eq!(found, expected, "{section}: {range} of {length:?}");
    }

    #[test]
    fn where_a_range_begins() {
        let rows: [(&str, u64); 9] = [
            ("bytes=500-999", 500),
            ("bytes=500-", 500),
            ("bytes=500-999,0-9", 500),
            ("bytes=,500-999", 500),
            ("bytes=-500", 0),
            ("bytes=999-500", 0),
            ("lines=500-999", 0),
            ("500", 0),
            ("bytes=", 0),
        ];
        for (range, first) in rows {
            assert_eq!(begins_at(&headers(&[("range", range)])), first, "{range}");
        }
        assert_eq!(begins_at(&HeaderMap::new()), 0);
    }

    #[test]
    fn single_ranges() {
        #[rustfmt::skip]
        let rows: [(&str, &str, u64, Expected); 32] = [
            ("§14.1.2", "bytes=0-499", 10_000, Ok(&[(0, 499)])),
            ("§14.1.2", "bytes=500-999", 10_000, Ok(&[(500, 999)])),
            ("§14.1.2", "bytes=-500", 10_000, Ok(&[(9500, 9999)])),
            ("§14.1.2", "bytes=9500-", 10_000, Ok(&[(9500, 9999)])),
            ("§14.1.2", "bytes=0-0", 10_000, Ok(&[(0, 0)])),
            ("§14.1.2", "bytes=-1", 10_000, Ok(&[(9999, 9999)])),
            ("§14.1.2, all of it", "bytes=0-", 10, Ok(&[(0, 9)])),
            ("§14.1.2, last beyond the end", "bytes=5-99", 10, Ok(&[(5, 9)])),
            ("§14.1.2, suffix too long", "bytes=-99", 10, Ok(&[(0, 9)])),
            ("§14.1.2, huge", "bytes=9-99999999999999999999999", 10, Ok(&[(9, 9)])),
            ("§14.1.2, huge", "bytes=-99999999999999999999999", 10, Ok(&[(0, 9)])),
            ("§14.1.2", "bytes=10-", 10, UNSATISFIABLE),
            ("§14.1.2", "bytes=10-20", 10, UNSATISFIABLE),
            ("§14.1.2", "bytes=-0", 10, UNSATISFIABLE),
            ("§14.1.2", "bytes=99999999999999999999999-", 10, UNSATISFIABLE),
            ("§14.1", "BYTES=0-1", 10, Ok(&[(0, 1)])),
            ("§14.1", "pages=0-1", 10, WHOLE),
            ("§14.1.1", "bytes=5-4", 10, WHOLE),
            ("§14.1.1", "bytes=", 10, WHOLE),
            ("§14.1.1", "bytes=-", 10, WHOLE),
            ("§14.1.1", "bytes=1", 10, WHOLE),
            ("§14.1.1", "bytes=+1-2", 10, WHOLE),
            ("§14.1.1", "bytes=1-+2", 10, WHOLE),
            ("§14.1.1", "bytes=--1", 10, WHOLE),
            ("§14.1.1", "bytes=1-2-3", 10, WHOLE),
            ("§14.1.1", "bytes=0x0-1", 10, WHOLE),
            ("§14.1.1", "bytes=0 -1", 10, WHOLE),
            ("§14.1.1", "bytes =0-1", 10, WHOLE),
            ("§14.1.1", "bytes:0-1", 10, WHOLE),
            ("§14.1.1", "0-1", 10, WHOLE),
            ("nothing to be had", "bytes=0-", 0, WHOLE),
            ("nothing to be had", "bytes=-1", 0, WHOLE),
        ];
        for (section, range, length, expected) in rows {
            check(section, range, Exact(length), expected);
        }
    }

    #[test]
    fn several_ranges() {
        #[rustfmt::skip]
        let rows: [(&str, &str, Expected); 17] = [
            ("§14.1.2", "bytes=0-0,-1", Ok(&[(0, 0), (9999, 9999)])),
            ("§14.1.2", "bytes= 0-999, 4500-5499, -1000", Ok(&[(0, 999), (4500, 5499), (9000, 9999)])),
            ("§15.3.7.2, order", "bytes=-1,5000-5001,0-0", Ok(&[(9999, 9999), (5000, 5001), (0, 0)])),
            ("§14.1.2, some are not there", "bytes=10000-,0-0,-0", Ok(&[(0, 0)])),
            ("§14.1.2, none is there", "bytes=10000-,-0,10001-10002", UNSATISFIABLE),
            ("§5.6.1.2", "bytes=,0-0,, ,1000-1000,", Ok(&[(0, 0), (1000, 1000)])),
            ("§5.6.1.2", "bytes=, ,", WHOLE),
            ("§14.1.1", "bytes=0-0,x", WHOLE),
            ("§14.1.1", "bytes=0-0,\"5-9\"", WHOLE),
            ("§14.1.1, one is invalid", "bytes=10000-,5-4", WHOLE),
            ("§15.3.7.2, overlapping", "bytes=500-700,601-999", Ok(&[(500, 999)])),
            ("§15.3.7.2, adjacent", "bytes=500-600,601-999", Ok(&[(500, 999)])),
            ("§15.3.7.2, near", "bytes=200-299,100-120", Ok(&[(100, 299)])),
            ("§15.3.7.2, not near", "bytes=200-299,100-119", Ok(&[(200, 299), (100, 119)])),
            (
                "§15.3.7.2, the gap is closed later, in the place of the first",
                "bytes=0-99,5000-5000,250-299,100-200",
                Ok(&[(0, 299), (5000, 5000)]),
            ),
            ("§17.15, more than there is", "bytes=0-,0-0", WHOLE),
            ("§17.15, parts cost more", "bytes=0-4949,5050-9998", WHOLE),
        ];
        for (section, range, expected) in rows {
            check(section, range, Exact(10_000), expected);
        }
    }

    #[test]
    fn egregious_ranges_get_the_whole() {
        // RFC 9110 §14.2, §17.15.
        const LENGTH: Length = Exact(1 << 30);
        fn set(firsts: impl Iterator<Item = usize>) -> String {
            let ranges: Vec<_> = firsts.map(|first| format!("{first}-{first}")).collect();
            format!("bytes={}", ranges.join(","))
        }
        let places = |count: usize| (0..count).map(|n| n * 1000);
        let parts = |range: &str| match planned(range, LENGTH) {
            RangePlan::Parts(parts) => parts.iter().count(),
            RangePlan::Whole => 0,
            RangePlan::Unsatisfiable => panic!("{range}"),
        };
        assert_eq!(parts(&set(places(RANGES_MAX))), RANGES_MAX);
        assert_eq!(parts(&set(places(RANGES_MAX + 1))), 0);
        let few = UNORDERED_RANGES_MAX;
        assert_eq!(parts(&set(places(few).rev())), few);
        assert_eq!(parts(&set(places(few + 1).rev())), 0);
        assert_eq!(parts("bytes=0-9,5-14,10-19"), 1, "two that overlap");
        assert_eq!(parts("bytes=0-9,5-14,10-19,15-24"), 0);
        let killer: String = (0..100).map(|n| format!(",5-{n}")).collect();
        assert_eq!(parts(&format!("bytes=0-{killer}")), 0, "CVE-2011-3192");
        // RangeAmp: many times the whole.
        assert_eq!(parts(&format!("bytes=0-{}", ",0-".repeat(20))), 0);
    }

    #[test]
    fn of_an_unknown_length_only_what_is_here() {
        #[rustfmt::skip]
        let rows: [(&str, &str, u64, Expected); 8] = [
            ("r01506", "bytes=2-9", 10, Ok(&[(2, 9)])),
            ("r01506", "bytes=2-10", 10, WHOLE),
            ("r01506", "bytes=20-30", 10, WHOLE),
            ("r01506", "bytes=2-", 10, WHOLE),
            ("r01506", "bytes=-2", 10, WHOLE),
            ("r01506", "bytes=0-0,5-5", 10, WHOLE),
            ("nothing is here", "bytes=0-0", 0, WHOLE),
            ("§14.1.1", "bytes=0-0,x", 10, WHOLE),
        ];
        for (section, range, here, expected) in rows {
            check(section, range, AtLeast(here), expected);
        }
    }

    #[test]
    fn only_a_get_with_one_range_field_gets_a_part() {
        let stored = Validators::default();
        let one = headers(&[("range", "bytes=0-0")]);
        let two = headers(&[("range", "bytes=0-0"), ("range", "bytes=0-0")]);
        let none = headers(&[("if-range", "\"a\"")]);
        let rows = [
            ("GET", &one, true),
            ("HEAD", &one, false),
            ("QUERY", &one, false),
            ("POST", &one, false),
            ("GET", &two, false),
            ("GET", &none, false),
        ];
        for (method, request, expected) in rows {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let found = plan(&method, request, &stored, Exact(10));
            assert_eq!(found != RangePlan::Whole, expected, "§14.2: {method}");
        }
    }

    #[test]
    fn if_range_is_compared_strongly() {
        let both = &[
            ("etag", "\"a\""),
            ("last-modified", MODIFIED),
            ("date", NEXT_SECOND),
        ][..];
        let weak = &[("etag", "W/\"a\"")][..];
        let young = &[("last-modified", MODIFIED), ("date", MODIFIED)][..];
        let undated = &[("last-modified", MODIFIED)][..];
        let bare = &[("etag", "a")][..];
        let rows = [
            ("§13.1.5", "\"a\"", both, true),
            ("§13.1.5", "\"b\"", both, false),
            ("§8.8.3.2", "W/\"a\"", both, false),
            ("§8.8.3.2", "W/\"a\"", weak, false),
            ("§8.8.3.2", "\"a\"", weak, false),
            ("§13.1.5, no list", "\"a\", \"b\"", both, false),
            ("§13.1.5, no list", "*", both, false),
            ("§8.8.3, no tag", "a", bare, false),
            ("§8.8.3, no tag", "\"", both, false),
            ("§13.1.5, date", MODIFIED, both, true),
            ("§5.6.7, the same date", RFC850, both, true),
            ("§13.1.5, exactly", NEXT_SECOND, both, false),
            ("§8.8.2.2, too young", MODIFIED, young, false),
            ("§8.8.2.2, no Date", MODIFIED, undated, false),
            ("§13.1.5, nothing stored", MODIFIED, &[], false),
            ("§13.1.5, nothing stored", "\"a\"", &[], false),
            ("§13.1.5, no date", "Sun, 06 Nov 1994", both, false),
            ("§13.1.5, empty", "", both, false),
        ];
        for (section, validator, stored, expected) in rows {
            let stored = headers(stored);
            let request = headers(&[("range", "bytes=0-0"), ("if-range", validator)]);
            let found = plan(&Method::GET, &request, &Validators::of(&stored), Exact(10));
            assert_eq!(
                found != RangePlan::Whole,
                expected,
                "{section}: {validator}"
            );
        }
        let twice = headers(&[
            ("range", "bytes=0-0"),
            ("if-range", "\"a\""),
            ("if-range", "\"a\""),
        ]);
        let stored = headers(both);
        let found = plan(&Method::GET, &twice, &Validators::of(&stored), Exact(10));
        assert_eq!(found, RangePlan::Whole, "§13.1.5: it is no list");
    }

    #[test]
    fn content_range_of_others_is_read_strictly() {
        let read = |first, last, complete| {
            Some(ContentRange {
                first,
                last,
                complete,
            })
        };
        #[rustfmt::skip]
        let rows = [
            ("bytes 42-1233/1234", read(42, 1233, Some(1234))),
            ("bytes 42-1233/*", read(42, 1233, None)),
            ("Bytes 0-0/1", read(0, 0, Some(1))),
            ("bytes 0-0/0", None),
            ("bytes 5-4/10", None),
            ("bytes 0-10/10", None),
            ("bytes */1234", None),
            ("bytes 0-9", None),
            ("bytes 0-/10", None),
            ("bytes -9/10", None),
            ("bytes 0-9/", None),
            ("bytes 0-9/+10", None),
            ("bytes 0-9/10 ", None),
            ("bytes  0-9/10", None),
            ("bytes=0-9/10", None),
            ("items 0-9/10", None),
            ("bytes 0-9/99999999999999999999999", None),
            ("bytes 0-99999999999999999999999/*", None),
            ("", None),
        ];
        for (value, expected) in rows {
            assert_eq!(
                ContentRange::parse(value.as_bytes()),
                expected,
                "§14.4: {value}"
            );
        }
    }

    #[test]
    fn content_range_of_ours() {
        let range = ByteRange { first: 2, last: 9 };
        assert_eq!(content_range(range, Some(10)), "bytes 2-9/10", "§14.4");
        assert_eq!(content_range(range, None), "bytes 2-9/*", "§14.4");
        assert_eq!(unsatisfied(10), "bytes */10", "§15.5.17");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn parts_lie_within_and_apart(
            range in "bytes=[0-9,-]{0,40}",
            length in prop_oneof![0..200_u64, any::<u64>()],
        ) {
            if let RangePlan::Parts(parts) = planned(&range, Exact(length)) {
                let parts: Vec<_> = parts.iter().collect();
                prop_assert!(!parts.is_empty() && parts.len() <= RANGES_MAX);
                for (at, part) in parts.iter().enumerate() {
                    prop_assert!(part.first <= part.last && part.last < length);
                    prop_assert!(parts[..at].iter().all(|it| !it.is_near(*part)));
                }
                for part in parts.into_iter().filter(|_| length < u64::MAX) {
                    let field = content_range(part, Some(length));
                    let expected = ContentRange {
                        first: part.first,
                        last: part.last,
                        complete: Some(length),
                    };
                    prop_assert_eq!(ContentRange::parse(field.as_bytes()), Some(expected));
                }
            }
        }

        #[test]
        fn nothing_panics(
            mut request in any_headers(),
            range in proptest::collection::vec(any::<u8>(), 0..40),
            stored in any_headers(),
            length in any::<u64>(),
        ) {
            let _ = ContentRange::parse(&range);
            if let Ok(value) = HeaderValue::from_bytes(&[b"bytes=", &range[..]].concat()) {
                request.append(RANGE, value);
            }
            let stored = Validators::of(&stored);
            let _ = plan(&Method::GET, &request, &stored, Exact(length));
            let _ = plan(&Method::GET, &request, &stored, AtLeast(length));
        }
    }
}
