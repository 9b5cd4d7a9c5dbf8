//! Comparison of what was expected with what has come.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::cases::{Asked, Expected, Step};
use super::origin::Seen;
use crate::telemetry::Outcome;

/// What has come of one request.
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    /// `None` where it was broken off.
    pub(super) body: Option<Bytes>,
    pub(super) outcome: Option<Outcome>,
    /// The rules that were true.
    pub(super) rules: Vec<String>,
    /// What origins were asked meanwhile.
    pub(super) asked: Vec<Seen>,
}

/// What is not as expected, one thing a line.
pub(super) fn check(step: &Step, got: &Got) -> Vec<String> {
    let expected = &step.expect;
    let mut wrong = Wrong::default();
    wrong.compare("status", expected.status, got.status.as_u16());
    let outcome = got.outcome.map_or("none", Outcome::as_str);
    wrong.compare("outcome", expected.outcome.as_deref(), outcome);
    if let Some(body) = &expected.body {
        match &got.body {
            Some(bytes) => wrong.compare("body", Some(&**body), &String::from_utf8_lossy(bytes)),
            None => wrong.say("the body broke off"),
        }
    }
    wrong.fields("", &expected.headers, &expected.without, &got.fields);
    cache_status(expected, got, &mut wrong);
    if let Some(rules) = &expected.rules {
        let wanted: BTreeSet<&str> = rules.iter().map(String::as_str).collect();
        let found: BTreeSet<&str> = got.rules.iter().map(String::as_str).collect();
        wrong.compare("rules", Some(wanted), found);
    }
    wrong.compare("fetches", expected.fetches, got.asked.len());
    if let Some(asked) = &step.asked {
        check_asked(asked, &got.asked, &mut wrong);
    }
    wrong.0
}

fn cache_status(expected: &Expected, got: &Got, wrong: &mut Wrong) {
    let found = text_of(&got.fields, "cache-status");
    let parameters: Vec<&str> = found.split([';', ',']).map(str::trim).collect();
    for wanted in &expected.cache_status {
        if !parameters.contains(&wanted.as_str()) {
            wrong.say(format!(
                "expected `{wanted}` in cache-status, got `{found}`"
            ));
        }
    }
}

/// The last one that was asked counts.
fn check_asked(expected: &Asked, asked: &[Seen], wrong: &mut Wrong) {
    let Some(seen) = asked.last() else {
        return wrong.say("no origin was asked");
    };
    wrong.compare("asked origin", expected.origin.as_deref(), &seen.origin);
    wrong.compare(
        "asked method",
        expected.method.as_deref(),
        seen.method.as_str(),
    );
    wrong.compare("asked target", expected.target.as_deref(), &seen.target);
    wrong.fields("asked ", &expected.headers, &expected.without, &seen.fields);
}

fn text_of(fields: &HeaderMap, name: &str) -> String {
    let lines = fields.get_all(name).iter();
    let lines: Vec<_> = lines
        .map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
        .collect();
    lines.join(", ")
}

/// What is wrong so far.
#[derive(Default)]
struct Wrong(Vec<String>);

// === impl Wrong ===

impl Wrong {
    fn say(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    fn compare<T: PartialEq + Debug>(&mut self, what: &str, wanted: Option<T>, found: T) {
        if let Some(wanted) = wanted.filter(|it| *it != found) {
            self.say(format!("expected {what} {wanted:?}, got {found:?}"));
        }
    }

    fn fields(
        &mut self,
        whose: &str,
        wanted: &BTreeMap<String, String>,
        without: &[String],
        found: &HeaderMap,
    ) {
        for (name, value) in wanted {
            match found.contains_key(name) {
                true => self.compare(
                    &format!("{whose}{name}"),
                    Some(value),
                    &text_of(found, name),
                ),
                false => self.say(format!(
                    "expected {whose}{name} {value:?}, and there is none"
                )),
            }
        }
        for name in without.iter().filter(|it| found.contains_key(it.as_str())) {
            let value = text_of(found, name);
            self.say(format!("expected no {whose}{name}, got {value:?}"));
        }
    }
}
