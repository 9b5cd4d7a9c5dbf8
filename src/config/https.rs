//! Keys `https_only` and `hsts` of sites and routes: whether clients may speak in clear, and what
//! browsers are told of it.

use std::time::Duration;

use http::HeaderValue;
use serde::Deserialize;
use toml::Spanned;

use super::report::{Given, Report};
use super::text_or::TextOr;
use super::units::Period;

/// What the list that browsers are shipped with wants (<https://hstspreload.org>).
const PRELOAD_MIN: Duration = Duration::from_secs(365 * 24 * 3600);

/// What is wanted of the scheme of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Https {
    /// Whether those by `http` are sent on to `https`.
    pub only: bool,
    /// The value of Strict-Transport-Security for responses by `https` (RFC 6797 §6.1).
    pub hsts: Option<HeaderValue>,
}

/// `hsts` as a table.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHsts {
    max_age: Given<Period>,
    subdomains: bool,
    preload: bool,
}

// === impl Https ===

impl Https {
    /// What is written at a site or a route, over what holds around it.
    pub(super) fn over(
        &self,
        only: Option<bool>,
        hsts: &Given<TextOr<RawHsts>>,
        report: &mut Report,
    ) -> Self {
        Self {
            only: only.unwrap_or(self.only),
            hsts: match hsts {
                None => self.hsts.clone(),
                Some(written) => resolve(written, report),
            },
        }
    }
}

/// `None` where it is off, or after a complaint.
fn resolve(written: &Spanned<TextOr<RawHsts>>, report: &mut Report) -> Option<HeaderValue> {
    match written.get_ref() {
        TextOr::Text(text) if text == "off" => None,
        TextOr::Text(text) => match Period::parse(text) {
            Ok(Period(max_age)) => value(max_age, false, false),
            Err(complaint) => {
                report.at(written.span(), format!("{complaint}; or write \"off\""));
                None
            }
        },
        TextOr::Table(table) => {
            let Some(max_age) = &table.max_age else {
                let text = "is missing; write `max_age = \"365d\"`";
                report.missing(written.span(), "max_age", text);
                return None;
            };
            let Period(long) = *max_age.get_ref();
            if table.preload && !(table.subdomains && long >= PRELOAD_MIN) {
                let text = "has `preload`, which wants `subdomains = true` and a `max_age` of \"365d\" or more";
                report.at(written.span(), text);
            }
            value(long, table.subdomains, table.preload)
        }
    }
}

/// RFC 6797 §6.1; `preload` is what those who keep the browsers' list look for.
fn value(max_age: Duration, subdomains: bool, preload: bool) -> Option<HeaderValue> {
    let mut text = format!("max-age={}", max_age.as_secs());
    for (is_meant, word) in [(subdomains, "; includeSubDomains"), (preload, "; preload")] {
        if is_meant {
            text.push_str(word);
        }
    }
    HeaderValue::try_from(text).ok()
}
