//! `request` and `response` of a rule, and all else that it does to a request.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::header;
use serde::Deserialize;
use toml::Spanned;

use super::super::fields::{self, Edits, RawFields};
use super::super::report::{Given, Report};
use super::super::template::{Purpose, Template};
use super::super::units::Period;
use super::end::End;

/// What is done with a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestEffects {
    /// It goes past the cache.
    pub passes: bool,
    /// Its origin is asked although something fresh is stored, which the answer then replaces.
    pub refreshes: Option<bool>,
    /// What its cookies mean.
    pub cookies: Option<RequestCookies>,
    /// The name of the origin that is asked.
    pub origin: Option<Arc<str>>,
    /// The path, and perhaps query, in place of its own.
    pub rewrite: Option<Template>,
    /// What becomes part of its key.
    pub key: Vec<Template>,
    /// The names of further limits that hold for it.
    pub limits: Vec<Arc<str>>,
    /// What its origin sees of its fields.
    pub fields: Edits,
    /// What it gets at once.
    pub end: Option<End>,
}

/// What the cookies of a request mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestCookies {
    /// Nothing: those that are not part of the key are taken off.
    Ignore,
    /// Any of them makes the request somebody's own.
    Pass,
}

/// What is done with an origin's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseEffects {
    /// Whether it is stored, if it may be.
    pub store: Option<bool>,
    /// Its lifetime.
    pub ttl: Option<Lifetime>,
    /// How long it may be served stale while it is refreshed.
    pub grace: Option<Lifetime>,
    /// How long it is kept for validation beyond that.
    pub keep: Option<Lifetime>,
    /// What is stored and sent of its fields.
    pub fields: Edits,
}

/// A length of time.
#[derive(Clone, Debug, PartialEq)]
pub enum Lifetime {
    /// This one.
    Fixed(Duration),
    /// What this becomes by the response; where that is none, the rule sets none.
    Filled(Template),
}

/// `request` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawRequest {
    cookies: Given<String>,
    set: RawFields,
    add: RawFields,
    remove: Vec<Spanned<String>>,
}

/// `response` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawResponse {
    store: Given<bool>,
    ttl: Given<String>,
    grace: Given<String>,
    keep: Given<String>,
    set: RawFields,
    add: RawFields,
    remove: Vec<Spanned<String>>,
}

// === impl RequestEffects ===

impl RequestEffects {
    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

// === impl ResponseEffects ===

impl ResponseEffects {
    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

// === impl RawRequest ===

impl RawRequest {
    pub(super) fn cookies(&self, report: &mut Report) -> Option<RequestCookies> {
        let cookies = self.cookies.as_ref()?;
        match cookies.get_ref().as_str() {
            "ignore" => Some(RequestCookies::Ignore),
            "pass" => Some(RequestCookies::Pass),
            other => {
                let text = format!("`{other}` is not known; write \"ignore\" or \"pass\"");
                report.at(cookies.span(), text);
                None
            }
        }
    }

    pub(super) fn fields(&self, report: &mut Report) -> Edits {
        for name in self.set.keys().chain(self.add.keys()) {
            if name.get_ref().eq_ignore_ascii_case("host") {
                let text = "is set by the key `host` of the origin; choose an `origin` that has it";
                report.at(name.span(), text);
            }
        }
        let lists = (&self.set, &self.add, &self.remove[..]);
        fields::resolve(lists, Purpose::RequestField, report)
    }
}

// === impl RawResponse ===

impl RawResponse {
    pub(super) fn resolve(&self, report: &mut Report) -> ResponseEffects {
        let names = self.set.keys().chain(self.add.keys()).chain(&self.remove);
        for name in names {
            if let Some(text) = governs(name.get_ref()) {
                report.at(name.span(), text);
            }
        }
        let lists = (&self.set, &self.add, &self.remove[..]);
        ResponseEffects {
            store: self.store.as_ref().map(|it| *it.get_ref()),
            ttl: lifetime(&self.ttl, report),
            grace: lifetime(&self.grace, report),
            keep: lifetime(&self.keep, report),
            fields: fields::resolve(lists, Purpose::StoredField, report),
        }
    }
}

/// Why a field of a response is not edited before it is stored: what may be shared, and with whom, is
/// said by its origin.
fn governs(name: &str) -> Option<&'static str> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let is_control = name.as_str().ends_with("cache-control") || name == "surrogate-control";
    match name {
        _ if is_control => {}
        header::EXPIRES | header::PRAGMA | header::AGE | header::DATE => {}
        header::VARY => {
            return Some(
                "tells apart what is stored, which no rule changes; put the field into `key`, or \
                 `fold` it",
            );
        }
        header::CONTENT_ENCODING | header::CONTENT_RANGE => {
            return Some("says what the body is, which stays as it came; leave it out");
        }
        _ => return None,
    }
    Some(
        "says what may be stored, which its origin decides; write `store`, `ttl`, `grace` or `keep`, \
         and what clients are told into `deliver`",
    )
}

/// `None` after a complaint, too.
fn lifetime(given: &Given<String>, report: &mut Report) -> Option<Lifetime> {
    let given = given.as_ref()?;
    let parsed = Template::parse(given.get_ref(), Purpose::Lifetime).and_then(|template| {
        match template.as_text() {
            Some(text) => Period::parse(text).map(|it| Lifetime::Fixed(it.0)),
            None => Ok(Lifetime::Filled(template)),
        }
    });
    parsed
        .map_err(|complaint| report.at(given.span(), complaint))
        .ok()
}
