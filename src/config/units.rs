//! Sizes, durations and counts as users write them, and the limits they must keep to.
//!
//! Not a general parser of quantities: one number, one unit, no sums and no fractions.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

use super::meant::other_ways;
use super::report::{Given, Report};

/// One KiB, in bytes.
pub(super) const KIB: u64 = 1 << 10;
/// One MiB, in bytes.
pub(super) const MIB: u64 = 1 << 20;

/// The longest duration, in seconds: RFC 9111 §1.2.2, "a value of 2147483648 (2^31)" is what a
/// cache takes for any longer one.
const SECONDS_MAX: u64 = 1 << 31;

const SIZE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", KIB),
    ("MiB", MIB),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// A number of bytes: `"512MiB"`, `"1GB"` or `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// A length of time: `"250ms"`, `"30s"`, `"5m"`, `"2h"` or `"7d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period(pub(super) Duration);

/// A whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

// === impl Size ===

impl Size {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const WANTED: &str = "a size is a whole number with a unit, as \"512MiB\" or \"1GB\"";
        let (number, unit) = split(text).ok_or(WANTED)?;
        let factor = match SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => *factor,
            None if unit.is_empty() => 1,
            None => return Err(other_ways::size(text).unwrap_or_else(|| unknown_size(unit))),
        };
        number
            .checked_mul(factor)
            .map(Self)
            .ok_or_else(|| "is larger than 2^64 bytes".to_owned())
    }
}

impl Size {
    /// About so much, for people: `2.5GiB`.
    pub(super) fn rounded(self) -> String {
        let largest = SIZE_UNITS[..5].iter().rev().find(|it| self.0 >= it.1);
        let (name, unit) = largest.unwrap_or(&SIZE_UNITS[0]);
        let tenths = (u128::from(self.0) * 10 / u128::from(*unit)) as f64;
        format!("{}{name}", tenths / 10.0)
    }
}

fn unknown_size(unit: &str) -> String {
    let units = "KiB, MiB, GiB or TiB (powers of 1024), or KB, MB, GB or TB (powers of 1000)";
    format!("unknown unit `{unit}`; write {units}")
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest = SIZE_UNITS[..5]
            .iter()
            .rev()
            .find(|(_, unit)| self.0.is_multiple_of(*unit));
        match largest {
            Some((name, unit)) if self.0 > 0 => write!(f, "{}{name}", self.0 / unit),
            _ => write!(f, "{}B", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parse;
        impl Visitor<'_> for Parse {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"512MiB\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                Size::parse(text).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                let negative = |_| E::invalid_value(Unexpected::Signed(bytes), &self);
                u64::try_from(bytes).map(Size).map_err(negative)
            }
        }
        deserializer.deserialize_any(Parse)
    }
}

// === impl Period ===

impl Period {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const WANTED: &str =
            "a duration is a whole number with a unit, as \"250ms\", \"30s\" or \"5m\"";
        let (number, unit) = split(text).ok_or(WANTED)?;
        let factor = match DURATION_UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => *factor,
            None if unit.is_empty() => return Err(no_unit(number)),
            None => return Err(other_ways::period(text).unwrap_or_else(|| unknown_period(unit))),
        };
        match number.checked_mul(factor) {
            Some(millis) if millis <= SECONDS_MAX * 1_000 => {
                Ok(Self(Duration::from_millis(millis)))
            }
            _ => Err("is longer than 2^31 seconds; write at most \"24855d\"".to_owned()),
        }
    }
}

fn no_unit(number: impl fmt::Display) -> String {
    format!("has no unit; write \"{number}s\"")
}

fn unknown_period(unit: &str) -> String {
    format!("unknown unit `{unit}`; write ms, s, m, h or d")
}

/// In the largest unit of which it is a whole number.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The longest of all fits.
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let mut units = DURATION_UNITS.iter().rev();
        match units.find(|(_, unit)| millis.is_multiple_of(*unit)) {
            Some((name, unit)) if millis > 0 => write!(f, "{}{name}", millis / unit),
            _ => f.write_str("0s"),
        }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parse;
        impl Visitor<'_> for Parse {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"30s\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Period, E> {
                match number {
                    0.. => Err(E::custom(no_unit(number))),
                    _ => Err(E::invalid_value(Unexpected::Signed(number), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
                Period::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Parse)
    }
}

// === impl Count ===

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parse;
        impl Visitor<'_> for Parse {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 0 up")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Count, E> {
                let negative = |_| E::invalid_value(Unexpected::Signed(number), &self);
                u64::try_from(number).map(Count).map_err(negative)
            }
        }
        deserializer.deserialize_any(Parse)
    }
}

/// A number of bytes within limits, or the default where none is given or it is complained of.
pub(super) fn bytes(
    given: &Given<Size>,
    default: u64,
    limits: RangeInclusive<u64>,
    report: &mut Report,
) -> u64 {
    let Some(size) = given else {
        return default;
    };
    if limits.contains(&size.get_ref().0) {
        return size.get_ref().0;
    }
    let (least, most) = (Size(*limits.start()), Size(*limits.end()));
    report.at(
        size.span(),
        format!("is out of limits; write \"{least}\" to \"{most}\""),
    );
    default
}

/// A number within limits, or the default where none is given or it is complained of.
pub(super) fn count(
    given: &Given<Count>,
    default: usize,
    limits: RangeInclusive<usize>,
    report: &mut Report,
) -> usize {
    let Some(count) = given else {
        return default;
    };
    let number = usize::try_from(count.get_ref().0).unwrap_or(usize::MAX);
    if limits.contains(&number) {
        return number;
    }
    let (least, most) = (limits.start(), limits.end());
    report.at(
        count.span(),
        format!("is out of limits; write {least} to {most}"),
    );
    default
}

/// A share from 0 to 1, or the default where none is given or it is complained of.
pub(super) fn share(given: &Given<f64>, default: f64, report: &mut Report) -> f64 {
    let Some(share) = given else {
        return default;
    };
    if (0.0..=1.0).contains(share.get_ref()) {
        return *share.get_ref();
    }
    report.at(share.span(), "is no share; write 0 to 1, as 0.5 for a half");
    default
}

/// A length of time, zero included, or the default.
pub(super) fn period(given: &Given<Period>, default: Duration) -> Duration {
    given_period(given).unwrap_or(default)
}

/// The same where zero stands for no limit.
pub(super) fn unless_zero(time: Duration) -> Option<Duration> {
    Some(time).filter(|it| !it.is_zero())
}

/// A length of time, zero included, if one is given.
pub(super) fn given_period(given: &Given<Period>) -> Option<Duration> {
    given.as_ref().map(|it| it.get_ref().0)
}

/// A length of time that is not zero, or the default in seconds.
pub(super) fn timeout(given: &Given<Period>, default_secs: u64, report: &mut Report) -> Duration {
    let timeout = period(given, Duration::from_secs(default_secs));
    if let Some(it) = given.as_ref().filter(|_| timeout.is_zero()) {
        report.at(
            it.span(),
            "must not be zero; a long one, as \"1d\", is as good as none",
        );
    }
    timeout
}

/// The number at the front of `text` and the rest.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    // Cutting behind ASCII digits never cuts a character.
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("1B", Some(1)),
            ("512MiB", Some(512 << 20)),
            ("1 GiB", Some(1 << 30)),
            ("1KB", Some(1_000)),
            ("2TiB", Some(2 << 40)),
            ("1GB", Some(1_000_000_000)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("16777216TiB", None),
            ("1.5GiB", None),
            ("1m", None),
            ("-1", None),
            ("MiB", None),
            ("", None),
            ("1MiB1KiB", None),
            ("٣MiB", None),
        ] {
            assert_eq!(Size::parse(text).ok(), bytes.map(Size), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_in_their_largest_unit() {
        for (bytes, text) in [
            (0, "0B"),
            (1, "1B"),
            (1025, "1025B"),
            (8 * KIB, "8KiB"),
            (256 * MIB, "256MiB"),
            (1 << 50, "1024TiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    #[test]
    fn durations_are_shown_in_their_largest_unit() {
        for (millis, text) in [
            (0, "0s"),
            (250, "250ms"),
            (90_000, "90s"),
            (60_000, "1m"),
            (86_400_000, "1d"),
        ] {
            let period = Period(Duration::from_millis(millis));
            assert_eq!(period.to_string(), text);
        }
    }

    #[test]
    fn sizes_are_rounded_for_people() {
        for (bytes, text) in [
            (0, "0B"),
            (1000, "1000B"),
            (5 << 29, "2.5GiB"),
            (1 << 30, "1GiB"),
            (33_554_431_999, "31.2GiB"),
        ] {
            assert_eq!(Size(bytes).rounded(), text);
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in [
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("2 h", Some(7_200_000)),
            ("7d", Some(604_800_000)),
            ("2147483648s", Some(2_147_483_648_000)),
            ("2147483649s", None),
            ("24856d", None),
            ("99999999999999999999s", None),
            ("30", None),
            ("1.5s", None),
            ("1m30s", None),
            ("-1s", None),
            ("s", None),
            ("", None),
            ("5 minutes", None),
        ] {
            let wanted = millis.map(|millis| Period(Duration::from_millis(millis)));
            assert_eq!(Period::parse(text).ok(), wanted, "{text}");
        }
    }
}
