//! HTTP-date (RFC 9110 §5.6.7): a strict parser of its three forms, and the formatter.
//!
//! Strict, because a date that caches read differently is a lifetime that caches read differently.
//! Letter case is the one freedom given (RFC 9111 §4.2): "a cache recipient SHOULD match the field
//! value case-insensitively." This is not a calendar: the weekday must be one, but needn't fit the
//! date, which is unambiguous without it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use time::{Date, Month};

/// The latest year that `parse` takes a two-digit year for.
const YEAR_MAX: i32 = 2076;

/// The last second that four digits of a year can name, in seconds since the epoch.
const LAST_SECOND: u64 = 253_402_300_799;

const WEEKDAYS: [&[u8]; 7] = [
    b"Monday",
    b"Tuesday",
    b"Wednesday",
    b"Thursday",
    b"Friday",
    b"Saturday",
    b"Sunday",
];

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// A moment in UTC, its numbers not yet checked.
#[derive(Clone, Copy, Debug)]
struct Civil {
    year: i32,
    month: u8,
    day: i32,
    time: TimeOfDay,
}

#[derive(Clone, Copy, Debug)]
struct TimeOfDay {
    hour: i32,
    minute: i32,
    second: i32,
}

/// The moment an HTTP-date names, or `None` if it is not exactly one of the three forms.
///
/// Where the moment of reading is known, [`parse_at`] settles two-digit years by it.
pub fn parse(value: &[u8]) -> Option<SystemTime> {
    read(value, YEAR_MAX)?.to_time()
}

/// As [`parse`], with the century of an RFC 850 date settled by `now`.
///
/// RFC 9110 §5.6.7: "Recipients of a timestamp value in rfc850-date format, which uses a two-digit
/// year, MUST interpret a timestamp that appears to be more than 50 years in the future as
/// representing the most recent year in the past that had the same last two digits."
pub fn parse_at(value: &[u8], now: SystemTime) -> Option<SystemTime> {
    // The mean Gregorian year: hours off at a turn of the year, which fifty years do not notice.
    const YEAR_SECS: u64 = 31_556_952;
    let elapsed = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let year = i32::try_from(elapsed.as_secs() / YEAR_SECS)
        .ok()?
        .checked_add(1970)?;
    read(value, year.checked_add(50)?)?.to_time()
}

/// `time` as an IMF-fixdate, held to the years 1970 to 9999 that the form can write.
pub fn format(time: SystemTime) -> HeaderValue {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let held = Duration::from_secs(since_epoch.as_secs().min(LAST_SECOND));
    let text = httpdate::fmt_http_date(UNIX_EPOCH + held);
    // An IMF-fixdate is made of ASCII letters, digits, spaces, a comma and colons.
    HeaderValue::try_from(text).expect("an IMF-fixdate is a field value")
}

fn read(value: &[u8], year_max: i32) -> Option<Civil> {
    match value.len() {
        29 => imf_fixdate(value),
        24 => asctime(value),
        _ => rfc850(value, year_max),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(value: &[u8]) -> Option<Civil> {
    let (weekday, rest) = value.split_at_checked(3)?;
    is_weekday(weekday, 3).then_some(())?;
    let (day, rest) = digits(rest.strip_prefix(b", ")?, 2)?;
    let (month, rest) = month(rest.strip_prefix(b" ")?)?;
    let (year, rest) = digits(rest.strip_prefix(b" ")?, 4)?;
    let (time, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    rest.eq_ignore_ascii_case(b" GMT").then_some(Civil {
        year,
        month,
        day,
        time,
    })
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(value: &[u8], year_max: i32) -> Option<Civil> {
    let (weekday, rest) = value.split_at_checked(memchr::memchr(b',', value)?)?;
    is_weekday(weekday, usize::MAX).then_some(())?;
    let (day, rest) = digits(rest.strip_prefix(b", ")?, 2)?;
    let (month, rest) = month(rest.strip_prefix(b"-")?)?;
    let (year, rest) = digits(rest.strip_prefix(b"-")?, 2)?;
    let (time, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    let year = year_max - (year_max - year).rem_euclid(100);
    rest.eq_ignore_ascii_case(b" GMT").then_some(Civil {
        year,
        month,
        day,
        time,
    })
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(value: &[u8]) -> Option<Civil> {
    let (weekday, rest) = value.split_at_checked(3)?;
    is_weekday(weekday, 3).then_some(())?;
    let (month, rest) = month(rest.strip_prefix(b" ")?)?;
    let rest = rest.strip_prefix(b" ")?;
    let (day, rest) = match rest.strip_prefix(b" ") {
        Some(rest) => digits(rest, 1)?,
        None => digits(rest, 2)?,
    };
    let (time, rest) = time_of_day(rest.strip_prefix(b" ")?)?;
    let (year, rest) = digits(rest.strip_prefix(b" ")?, 4)?;
    rest.is_empty().then_some(Civil {
        year,
        month,
        day,
        time,
    })
}

// === impl Civil ===

impl Civil {
    fn to_time(self) -> Option<SystemTime> {
        let month = Month::try_from(self.month).ok()?;
        let day = u8::try_from(self.day).ok()?;
        let date = Date::from_calendar_date(self.year, month, day).ok()?;
        SystemTime::from(date.midnight().as_utc()).checked_add(self.time.since_midnight()?)
    }
}

// === impl TimeOfDay ===

impl TimeOfDay {
    /// The grammar has a 60th second for leap seconds, which no calendar has.
    fn since_midnight(self) -> Option<Duration> {
        let fits = self.hour < 24 && self.minute < 60 && self.second <= 60;
        let seconds = self.hour * 3_600 + self.minute * 60 + self.second;
        fits.then(|| Duration::from_secs(seconds.unsigned_abs().into()))
    }
}

/// `08:49:37`
fn time_of_day(text: &[u8]) -> Option<(TimeOfDay, &[u8])> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, rest) = digits(rest.strip_prefix(b":")?, 2)?;
    let (second, rest) = digits(rest.strip_prefix(b":")?, 2)?;
    Some((
        TimeOfDay {
            hour,
            minute,
            second,
        },
        rest,
    ))
}

/// Exactly `count` digits, at most four, and what follows them.
fn digits(text: &[u8], count: usize) -> Option<(i32, &[u8])> {
    let (number, rest) = text.split_at_checked(count)?;
    let value = number.iter().try_fold(0, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + i32::from(digit - b'0'))
    })?;
    Some((value, rest))
}

/// The number of a month, from 1, and what follows its name.
fn month(text: &[u8]) -> Option<(u8, &[u8])> {
    let (name, rest) = text.split_at_checked(3)?;
    let number = (1..)
        .zip(MONTHS)
        .find(|(_, month)| month.eq_ignore_ascii_case(name))?
        .0;
    Some((number, rest))
}

/// Whether `name` is a weekday's name, cut to its first `len` letters.
fn is_weekday(name: &[u8], len: usize) -> bool {
    WEEKDAYS
        .iter()
        .any(|day| day[..len.min(day.len())].eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Option<SystemTime> {
        Some(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn the_three_forms_are_read() {
        // All rows: RFC 9110 §5.6.7.
        #[rustfmt::skip]
        let rows = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", at(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", at(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", at(784_111_777)),
            ("Sun Nov 16 08:49:37 1994", at(784_975_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", at(0)),
            ("Wed, 31 Dec 1969 23:59:50 GMT", UNIX_EPOCH.checked_sub(Duration::from_secs(10))),
            // Any letter case, as origins write it.
            ("THU, 18 AUG 2050 02:01:18 gMT", at(2_544_400_878)),
            ("thursday, 18-aug-50 02:01:18 gmt", at(2_544_400_878)),
            ("Thu Aug 18 02:01:18 2050", at(2_544_400_878)),
            // Beyond 32 bits, to the end of the four-digit year.
            ("Tue, 19 Jan 2038 14:14:08 GMT", at(2_147_523_248)),
            ("Sun, 21 Nov 2286 04:46:39 GMT", at(10_000_039_599)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", at(LAST_SECOND)),
            // Leap days and the leap second.
            ("Tue, 29 Feb 2000 00:00:00 GMT", at(951_782_400)),
            ("Sat, 31 Dec 2016 23:59:60 GMT", at(1_483_228_800)),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn all_else_is_refused() {
        let rows = [
            "",
            "0",
            "-1",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 2050 02:01:18 AEST",
            "Thu, 18 Aug 2050 02:01:18 +0000",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 18  Aug  2050 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Thu, 8 Aug 2050 02:01:18 GMT",
            "18 Aug 2050 02:01:18 GMT",
            "Thx, 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 Agu 2050 02:01:18 GMT",
            "Thu, +8 Aug 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 24:01:18 GMT",
            "Thu, 18 Aug 2050 02:60:18 GMT",
            "Thu, 18 Aug 2050 02:01:61 GMT",
            "Thu, 00 Aug 2050 02:01:18 GMT",
            "Thu, 31 Jun 2050 02:01:18 GMT",
            "Mon, 29 Feb 2100 02:01:18 GMT",
            " Thu, 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02:01:18 GMT ",
            "Thu, 18-Aug-50 02:01:18 GMT",
            "Thursday, 18 Aug 2050 02:01:18 GMT",
            "Thu Aug 8 02:01:18 2050",
            "Thu Aug 08 02:01:18 2050 GMT",
        ];
        for text in rows {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_two_digit_year_lies_at_most_fifty_years_ahead() {
        let now = |text: &str| parse(text.as_bytes()).expect("a date of this test");
        // (read in, two-digit year, the year meant)
        let rows = [
            ("Sun, 22 Nov 2026 06:00:00 GMT", "76", "2076"),
            ("Sun, 22 Nov 2026 06:00:00 GMT", "77", "1977"),
            ("Sun, 22 Nov 2026 06:00:00 GMT", "26", "2026"),
            ("Tue, 22 Nov 2095 06:00:00 GMT", "10", "2110"),
            ("Tue, 22 Nov 2095 06:00:00 GMT", "50", "2050"),
        ];
        for (read_at, two, four) in rows {
            let short = format!("Monday, 06-Jul-{two} 08:49:37 GMT");
            let long = format!("Mon, 06 Jul {four} 08:49:37 GMT");
            let found = parse_at(short.as_bytes(), now(read_at));
            assert_eq!(found, parse(long.as_bytes()), "{two} in {read_at}");
        }
    }

    #[test]
    fn times_that_the_form_cannot_write_are_held_to_its_ends() {
        let before = UNIX_EPOCH - Duration::from_secs(1);
        let after = UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 1);
        assert_eq!(format(before), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(format(after), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_is_formatted_is_read_back(seconds in 0..=LAST_SECOND) {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            prop_assert_eq!(parse(format(time).as_bytes()), Some(time));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), seconds: u64) {
            let now = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH);
            let _ = (parse(&bytes), parse_at(&bytes, now));
        }

        #[test]
        fn no_near_miss_panics(
            text in "[A-Za-z]{3,9},? [0-9]{2}[ -][A-Z][a-z]{2}[ -][0-9]{2,4} [0-9:]{8} GMT",
        ) {
            let _ = parse(text.as_bytes());
        }
    }
}
