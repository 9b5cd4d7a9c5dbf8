//! `health` of `[origins.NAME]`: what its servers are asked to know whether they are well.
//!
//! Not the probes themselves.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use serde::Deserialize;
use toml::Spanned;

use super::host as hosts;
use super::report::{Given, Report};
use super::units::{self, Count, Period};

const PORTS: RangeInclusive<usize> = 1..=65_535;
const IN_A_ROW: RangeInclusive<usize> = 1..=1_000;
/// A longer text would have to be searched for in more than is read of a body.
const TEXT_BYTES_MAX: usize = 4096;
/// As many statuses and ranges as may be expected.
const RANGES_MAX: usize = 64;

/// What servers are asked to know whether they are well.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// What is asked, and what is expected.
    pub question: Question,
    /// The port, where it is not the one that requests go to.
    pub port: Option<u16>,
    /// From the end of a probe to the next.
    pub interval: Duration,
    /// How long a probe may take as a whole.
    pub timeout: Duration,
    /// The part of the interval by which it may be longer or shorter, 0 to 1.
    pub jitter: f64,
    /// So many probes in a row succeed before a server is up again.
    pub rise: u32,
    /// So many in a row fail before it is down.
    pub fall: u32,
}

/// What a probe asks, and what it expects.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// An HTTP/1.1 request.
    Http {
        /// GET, HEAD or OPTIONS.
        method: Method,
        /// Path and query.
        path: PathAndQuery,
        /// The Host field; `None` for that of requests, or the server's own name.
        host: Option<HeaderValue>,
        /// The statuses expected.
        statuses: Vec<RangeInclusive<u16>>,
        /// What the first 64 KiB of the body must contain.
        body: Option<String>,
    },
    /// That a connection is accepted.
    Tcp,
    /// `grpc.health.v1.Health/Check` of the server as a whole, by HTTP/2.
    Grpc,
}

/// `health` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHealth {
    kind: Kind,
    path: Given<String>,
    host: Given<String>,
    port: Given<Count>,
    method: Given<String>,
    interval: Given<Period>,
    timeout: Given<Period>,
    jitter: Given<f64>,
    rise: Given<Count>,
    fall: Given<Count>,
    status: Given<String>,
    body: Given<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Http,
    Tcp,
    Grpc,
}

// === impl RawHealth ===

impl RawHealth {
    pub(super) fn resolve(&self, report: &mut Report) -> Health {
        let in_a_row = |given: &Given<Count>, default, report: &mut Report| {
            // The limits of a count fit.
            u32::try_from(units::count(given, default, IN_A_ROW, report)).unwrap_or(1)
        };
        let port = self
            .port
            .as_ref()
            .map(|_| units::count(&self.port, 80, PORTS, report));
        Health {
            question: self.question(report),
            port: port.and_then(|it| u16::try_from(it).ok()),
            interval: units::timeout(&self.interval, 5, report),
            timeout: units::timeout(&self.timeout, 2, report),
            jitter: units::share(&self.jitter, 0.1, report),
            rise: in_a_row(&self.rise, 2, report),
            fall: in_a_row(&self.fall, 3, report),
        }
    }

    fn question(&self, report: &mut Report) -> Question {
        if self.kind == Kind::Http {
            return self.http(report);
        }
        let of_http = [
            &self.path,
            &self.host,
            &self.method,
            &self.status,
            &self.body,
        ];
        for given in of_http.into_iter().flatten() {
            report.at(given.span(), "is for `kind = \"http\"`; leave it out");
        }
        match self.kind {
            Kind::Grpc => Question::Grpc,
            _ => Question::Tcp,
        }
    }

    fn http(&self, report: &mut Report) -> Question {
        Question::Http {
            method: read(&self.method, Method::GET, method, report),
            path: read(&self.path, PathAndQuery::from_static("/"), path, report),
            host: read(&self.host, None, |text| host(text).map(Some), report),
            statuses: read(&self.status, vec![200..=399], statuses, report),
            body: read(&self.body, None, |text| body(text).map(Some), report),
        }
    }
}

fn read<T>(
    given: &Given<String>,
    default: T,
    parse: impl Fn(&str) -> Result<T, String>,
    report: &mut Report,
) -> T {
    let Some(text) = given.as_ref().map(Spanned::get_ref) else {
        return default;
    };
    match (parse(text), given) {
        (Err(complaint), Some(given)) => {
            report.at(given.span(), complaint);
            default
        }
        (parsed, _) => parsed.unwrap_or(default),
    }
}

fn method(text: &str) -> Result<Method, String> {
    match text {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "OPTIONS" => Ok(Method::OPTIONS),
        _ => Err("is not for probes; write \"GET\", \"HEAD\" or \"OPTIONS\"".to_owned()),
    }
}

fn path(text: &str) -> Result<PathAndQuery, String> {
    let path = text.parse().ok().filter(|_| text.starts_with('/'));
    path.ok_or_else(|| "is not a path; write \"/health\"".to_owned())
}

fn host(text: &str) -> Result<HeaderValue, String> {
    hosts::parse_with_port(text)?;
    // A checked host is ASCII without controls, which every field value may hold.
    HeaderValue::from_str(text).map_err(|error| error.to_string())
}

fn body(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("is empty, which every body contains; leave it out".to_owned()),
        1..=TEXT_BYTES_MAX => Ok(text.to_owned()),
        _ => Err("is longer than 4096 bytes; shorten it".to_owned()),
    }
}

/// `200`, `200-399` and lists of both.
fn statuses(text: &str) -> Result<Vec<RangeInclusive<u16>>, String> {
    const FORMS: &str = "is no list of statuses; write \"200\", \"200-399\" or \"200-299,404\"";
    let status = |text: &str| {
        let is_status = text.len() == 3 && text.bytes().all(|it| it.is_ascii_digit());
        let status = text.parse().ok().filter(|_| is_status);
        status.filter(|it| (200..=599).contains(it)).ok_or(FORMS)
    };
    let parts = text.split(',').map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (status(first.trim())?, status(last.trim())?);
        (first <= last).then_some(first..=last).ok_or(FORMS)
    });
    let ranges: Vec<_> = parts.take(RANGES_MAX).collect::<Result<_, _>>()?;
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_of_statuses() {
        for (text, ranges) in [
            ("200", Some(vec![200..=200])),
            ("200-399", Some(vec![200..=399])),
            ("200-299, 404", Some(vec![200..=299, 404..=404])),
            ("", None),
            ("2xx", None),
            ("399-200", None),
            ("100", None),
            ("600", None),
            ("200-", None),
            ("200,", None),
        ] {
            assert_eq!(statuses(text).ok(), ranges, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_statuses_or_complained_of(text in "\\PC{0,8}|[0-9,-]{0,12}") {
            prop_assert!(statuses(&text).map_or(true, |it| !it.is_empty()));
        }
    }
}
