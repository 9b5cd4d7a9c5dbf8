//! `breaker` of `[origins.NAME]`: when an origin is not asked at all because of how requests ended.
//!
//! Not the breaker itself, nor the ejection of single servers.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use super::report::{Given, Report};
use super::units::{self, Count, Period};

const REQUESTS: RangeInclusive<usize> = 1..=1_000_000;
const TRIALS: RangeInclusive<usize> = 1..=1_000;

/// When an origin is not asked at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breaker {
    /// The share of failures that opens it, above 0 and up to 1.
    pub errors: f64,
    /// It is not opened by fewer requests.
    pub requests_min: u32,
    /// The time in which they are counted.
    pub window: Duration,
    /// How long it is open before the first trial.
    pub open_for: Duration,
    /// So many requests in a row have to end well before it shuts.
    pub trials: u32,
}

/// `breaker` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBreaker {
    errors: Given<f64>,
    requests_min: Given<Count>,
    window: Given<Period>,
    open_for: Given<Period>,
    trials: Given<Count>,
}

// === impl RawBreaker ===

impl RawBreaker {
    /// What is written, and the defaults for the rest.
    pub(super) fn resolve(&self, report: &mut Report) -> Breaker {
        let count = |given: &Given<Count>, default, limits, report: &mut Report| {
            // The limits of both counts fit.
            u32::try_from(units::count(given, default, limits, report)).unwrap_or(u32::MAX)
        };
        let errors = units::share(&self.errors, 0.5, report);
        if let Some(given) = self.errors.as_ref().filter(|_| errors <= 0.0) {
            report.at(
                given.span(),
                "would open the breaker for good; write more than 0",
            );
        }
        Breaker {
            errors,
            requests_min: count(&self.requests_min, 20, REQUESTS, report),
            window: units::timeout(&self.window, 10, report),
            open_for: units::timeout(&self.open_for, 10, report),
            trials: count(&self.trials, 3, TRIALS, report),
        }
    }
}
