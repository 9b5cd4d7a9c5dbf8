//! `hedge` of `[origins.NAME]`: when a slow request is sent to another server as well.
//!
//! Not the race itself.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::report::{Given, Report};
use super::units::{self, Period};

/// Below a half most requests would be slow ones, and above 99 of 100 hardly any is seen.
const PERCENTILES: RangeInclusive<u8> = 50..=99;
const PERCENTILE: u8 = 95;

/// When a slow request is sent to another server as well.
#[derive(Clone, Debug, PartialEq)]
pub struct Hedge {
    /// How slow it must be.
    pub after: HedgeAfter,
    /// Such requests as a share of all, 0 to 1.
    pub share_max: f64,
}

/// How slow a request must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// The head of its answer has not come in this time.
    Time(Duration),
    /// It takes longer than so many per cent of the origin's requests did lately; 50 to 99.
    Percentile(u8),
}

/// `hedge` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHedge {
    after: Given<HedgeAfter>,
    share_max: Given<f64>,
}

// === impl HedgeAfter ===

impl<'de> Deserialize<'de> for HedgeAfter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parse;
        impl Visitor<'_> for Parse {
            type Value = HedgeAfter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as \"200ms\" or a percentile such as \"p95\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<HedgeAfter, E> {
                parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Parse)
    }
}

// === impl RawHedge ===

impl RawHedge {
    pub(super) fn resolve(&self, report: &mut Report) -> Hedge {
        let after = self.after.as_ref().map(|it| *it.get_ref());
        Hedge {
            after: after.unwrap_or(HedgeAfter::Percentile(PERCENTILE)),
            share_max: units::share(&self.share_max, 0.05, report),
        }
    }
}

fn parse(text: &str) -> Result<HedgeAfter, &'static str> {
    let Some(percentile) = text.strip_prefix('p') else {
        return match Period::parse(text) {
            Ok(Period(Duration::ZERO)) => Err("must not be zero; write \"p95\" or \"200ms\""),
            Ok(Period(time)) => Ok(HedgeAfter::Time(time)),
            Err(_) => Err("is neither a time nor a percentile; write \"200ms\" or \"p95\""),
        };
    };
    let is_number = percentile.len() == 2 && percentile.bytes().all(|it| it.is_ascii_digit());
    match percentile.parse() {
        Ok(percentile) if is_number && PERCENTILES.contains(&percentile) => {
            Ok(HedgeAfter::Percentile(percentile))
        }
        _ => Err("is no percentile; write \"p50\" to \"p99\""),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_and_percentiles() {
        let time = |millis| Some(HedgeAfter::Time(Duration::from_millis(millis)));
        for (text, after) in [
            ("200ms", time(200)),
            ("1s", time(1000)),
            ("p95", Some(HedgeAfter::Percentile(95))),
            ("p50", Some(HedgeAfter::Percentile(50))),
            ("p99", Some(HedgeAfter::Percentile(99))),
            ("p49", None),
            ("p999", None),
            ("p+9", None),
            ("p", None),
            ("95", None),
            ("0s", None),
            ("", None),
        ] {
            assert_eq!(parse(text).ok(), after, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "p?[0-9]{0,4}[a-z]{0,2}|\\PC{0,6}") {
            if let Ok(HedgeAfter::Percentile(percentile)) = parse(&text) {
                prop_assert!(PERCENTILES.contains(&percentile));
            }
        }
    }
}
