//! `ejection` of `[origins.NAME]`: when a server is left alone because of how it answered.
//!
//! Not the probes, which ask without a client's need.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use super::report::{Given, Report};
use super::table::Table;
use super::units::{self, Count, Period};

const FAILURES: RangeInclusive<usize> = 1..=1_000_000;

/// When a server is left alone because of how it answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Ejection {
    /// Whether servers are ejected at all.
    pub enabled: bool,
    /// So many failures without an answer between them eject a server.
    pub consecutive: u32,
    /// How long the first ejection lasts; the second twice that, and so on.
    pub base: Duration,
    /// No ejection lasts longer.
    pub max: Duration,
    /// The share of an origin's servers that may be ejected at once, 0 to 1.
    pub share_max: f64,
    /// Whether a server is ejected that fails clearly more often than its siblings.
    pub success_rate: bool,
}

/// `ejection` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEjection {
    enabled: Option<bool>,
    consecutive: Given<Count>,
    base: Given<Period>,
    max: Given<Period>,
    share_max: Given<f64>,
    success_rate: Option<bool>,
}

/// What is written, and the defaults for the rest.
pub(super) fn resolve(raw: &Table<RawEjection>, report: &mut Report) -> Ejection {
    let consecutive = units::count(&raw.consecutive, 5, FAILURES, report);
    let base = units::timeout(&raw.base, 10, report);
    let max = units::timeout(&raw.max, 300, report);
    if let Some(given) = raw
        .base
        .as_ref()
        .or(raw.max.as_ref())
        .filter(|_| max < base)
    {
        report.at(
            given.span(),
            "`base` is longer than `max`; change one of the two",
        );
    }
    Ejection {
        enabled: raw.enabled.unwrap_or(true),
        // The limits of a count fit.
        consecutive: u32::try_from(consecutive).unwrap_or(u32::MAX),
        base,
        max,
        share_max: units::share(&raw.share_max, 0.5, report),
        success_rate: raw.success_rate.unwrap_or(true),
    }
}
