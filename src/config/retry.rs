//! `retry` of `[origins.NAME]`: which failed requests are sent again, and how many.
//!
//! Not the retries themselves, nor which requests are safe to repeat: that is not configurable.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use toml::Spanned;

use super::report::{Given, Report};
use super::table::Table;
use super::units::{self, Count, KIB, MIB, Period, Size};
use super::wording;

/// As many tries as one request may have.
pub const TRIES_MAX: usize = 5;

const TRIES: RangeInclusive<usize> = 1..=TRIES_MAX;
/// What is kept of a request is kept for each that is under way.
const BODY_BYTES: RangeInclusive<u64> = 0..=16 * MIB;

const FAILURES: [&str; 4] = ["connect", "reset", "timeout", "malformed"];

/// Which failed requests are sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// Tries at one request, the first one included; 1 to [`TRIES_MAX`].
    pub tries: usize,
    /// After which failures.
    pub on: RetryOn,
    /// Retries as a share of all requests, 0 to 1.
    pub budget: f64,
    /// How long to wait before a server is tried twice; zero where none is.
    pub backoff: Duration,
    /// The longest request body that is kept to be sent again.
    pub body_bytes_max: u64,
}

/// After which failures a request is sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// No connection came about.
    pub connect: bool,
    /// The connection ended before the head of the answer was whole.
    pub reset: bool,
    /// No answer came in time.
    pub timeout: bool,
    /// The answer was no HTTP.
    pub malformed: bool,
    /// The answer had one of these statuses, 400 to 599.
    pub statuses: Vec<StatusCode>,
}

/// `retry` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRetry {
    tries: Given<Count>,
    on: Option<Vec<Spanned<String>>>,
    budget: Given<f64>,
    backoff: Given<Period>,
    body_max: Given<Size>,
}

/// What is written, and the defaults for the rest.
pub(super) fn resolve(raw: &Table<RawRetry>, report: &mut Report) -> Retry {
    Retry {
        tries: units::count(&raw.tries, 3, TRIES, report),
        on: resolve_on(raw.on.as_deref(), report),
        budget: units::share(&raw.budget, 0.2, report),
        backoff: units::period(&raw.backoff, Duration::ZERO),
        body_bytes_max: units::bytes(&raw.body_max, 64 * KIB, BODY_BYTES, report),
    }
}

fn resolve_on(words: Option<&[Spanned<String>]>, report: &mut Report) -> RetryOn {
    let mut on = RetryOn::default();
    let Some(words) = words else {
        (on.connect, on.reset) = (true, true);
        return on;
    };
    for word in words {
        if let Err(complaint) = on.add(word.get_ref()) {
            report.at(word.span(), complaint);
        }
    }
    on
}

// === impl RetryOn ===

impl RetryOn {
    fn add(&mut self, word: &str) -> Result<(), String> {
        match word {
            "connect" => self.connect = true,
            "reset" => self.reset = true,
            "timeout" => self.timeout = true,
            "malformed" => self.malformed = true,
            _ => {
                let status = status(word)?;
                if !self.statuses.contains(&status) {
                    self.statuses.push(status);
                }
            }
        }
        Ok(())
    }
}

fn status(word: &str) -> Result<StatusCode, String> {
    let is_error = |it: &StatusCode| it.is_client_error() || it.is_server_error();
    match word.parse::<StatusCode>() {
        Ok(status) if is_error(&status) => Ok(status),
        Ok(_) => Err("is no status of an error; write \"400\" to \"599\"".to_owned()),
        Err(_) => Err(match wording::closest(word, &FAILURES) {
            Some(meant) => format!("`{word}` is not known; did you mean \"{meant}\"?"),
            None => {
                let known = wording::list(&FAILURES, "\"", "or");
                format!("`{word}` is not known; write {known}, or a status as \"503\"")
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_statuses() {
        for (word, is_known) in [
            ("connect", true),
            ("malformed", true),
            ("503", true),
            ("429", true),
            ("599", true),
            ("200", false),
            ("304", false),
            ("999", false),
            ("5xx", false),
            ("Reset", false),
            ("", false),
        ] {
            assert_eq!(RetryOn::default().add(word).is_ok(), is_known, "{word}");
        }
        let mut on = RetryOn::default();
        for word in ["503", "timeout", "503"] {
            on.add(word).unwrap();
        }
        assert!(on.timeout && !on.reset);
        assert_eq!(on.statuses, [StatusCode::SERVICE_UNAVAILABLE]);
    }
}
