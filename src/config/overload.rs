//! `requests_max` of `[origins.NAME]`: how many requests a server may have in flight.
//!
//! Not the requests that wait.

use std::ops::RangeInclusive;

use super::report::{Given, Report};
use super::units::{self, Count};

const REQUESTS: RangeInclusive<usize> = 0..=1_000_000;

/// How many requests a server may have in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestsMax {
    /// As many as it may have connections.
    Unlimited,
    /// So many.
    Fixed(u32),
}

/// What is written, or no bound.
pub(super) fn resolve(given: &Given<Count>, report: &mut Report) -> RequestsMax {
    // The limits of the count fit.
    match u32::try_from(units::count(given, 0, REQUESTS, report)) {
        Ok(count @ 1..) => RequestsMax::Fixed(count),
        _ => RequestsMax::Unlimited,
    }
}
