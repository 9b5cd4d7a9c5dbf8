//! `hedge` of `[origins.NAME]`: when a slow request is sent to another server as well.
//!
//! Not the race itself.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

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
    after: Given<String>,
    share_max: Given<f64>,
}

// === impl RawHedge ===

impl RawHedge {
    pub(super) fn resolve(&self, report: &mut Report) -> Hedge {
        let mut after = HedgeAfter::Percentile(PERCENTILE);
        if let Some(given) = &self.after {
            match parse(given.get_ref()) {
                Ok(parsed) => after = parsed,
                Err(complaint) => report.at(given.span(), complaint),
            }
        }
        Hedge {
            after,
            share_max: units::share(&self.share_max, 0.05, report),
        }
    }
}

fn parse(text: &str) -> Result<HedgeAfter, String> {
    let Some(percentile) = text.strip_prefix('p') else {
        return match Period::parse(text)?.0 {
            Duration::ZERO => Err("must not be zero; write \"p95\" or \"200ms\"".to_owned()),
            time => Ok(HedgeAfter::Time(time)),
        };
    };
    let is_number = percentile.len() == 2 && percentile.bytes().all(|it| it.is_ascii_digit());
    match percentile.parse() {
        Ok(percentile) if is_number && PERCENTILES.contains(&percentile) => {
            Ok(HedgeAfter::Percentile(percentile))
        }
        _ => Err("is no percentile; write \"p50\" to \"p99\"".to_owned()),
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
