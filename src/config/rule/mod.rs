//! `[[rule]]`: what is done with requests and responses for which a condition holds.
//!
//! The language of conditions is `crate::rules`, and what a rule does is read in `effects.rs`. Where rules
//! stand, and what they must not do to stored responses, is in `config/rules/`.

mod effects;
mod end;

use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

pub use self::effects::{Lifetime, RequestCookies, RequestEffects, ResponseEffects};
pub use self::end::End;

use self::effects::{RawRequest, RawResponse};
use super::action::{RawAnswer, RawRedirect};
use super::fields::{Edits, RawEdits};
use super::limit;
use super::names;
use super::report::{Given, Place, Report};
use super::table::Written;
use super::template::{Purpose, Template};
use super::units::Count;
use crate::lists::Lists;
use crate::rules::{Condition, Phase, Read};

/// As many parts of the key as one rule may add.
const KEY_MAX: usize = 16;

/// What is done where a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What it is called in Cache-Status, logs and metrics.
    pub name: Arc<str>,
    /// Where it holds; everywhere without one.
    pub when: Option<Condition>,
    /// What is done with the request.
    pub request: RequestEffects,
    /// What is done with the origin's answer, before it is stored.
    pub response: ResponseEffects,
    /// What is done with the fields that the client gets.
    pub deliver: Edits,
}

/// One `[[rule]]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRule {
    pub(super) name: Given<String>,
    when: Given<String>,
    pass: Given<bool>,
    refresh: Given<bool>,
    pub(super) origin: Given<String>,
    rewrite: Given<String>,
    key: Given<Vec<Spanned<String>>>,
    pub(super) limit: Vec<Spanned<String>>,
    pub(super) request: Option<Written<RawRequest>>,
    pub(super) response: Option<Written<RawResponse>>,
    deliver: Option<Written<RawEdits>>,
    answer: Option<Written<RawAnswer>>,
    deny: Given<Count>,
    redirect: Option<Written<RawRedirect>>,
}

/// Rules as written, in order.
pub(super) type RawRules = Vec<Written<RawRule>>;

// === impl Rule ===

impl Rule {
    /// When it is known whether it holds.
    pub fn phase(&self) -> Phase {
        self.when.as_ref().map_or(Phase::Request, Condition::phase)
    }

    /// What its condition reads.
    pub(super) fn reads(&self) -> &[Read] {
        self.when.as_ref().map_or(&[], Condition::reads)
    }
}

// === impl RawRule ===

impl RawRule {
    pub(super) fn resolve(raw: &Written<Self>, lists: &Lists, report: &mut Report) -> Rule {
        let (place, raw) = (raw.span(), raw.get_ref());
        raw.check_does_something(&place, report);
        raw.check_end(report);
        let when = raw.resolve_when(lists, report);
        raw.check_phase(when.as_ref(), report);
        let deliver = raw.deliver.as_ref();
        let response = raw.response.as_ref();
        Rule {
            name: raw.resolve_name(&place, report),
            when,
            request: raw.resolve_request(report),
            response: response
                .map(|it| it.get_ref().resolve(report))
                .unwrap_or_default(),
            deliver: deliver
                .map(|it| it.get_ref().resolve(Purpose::ResponseField, report))
                .unwrap_or_default(),
        }
    }

    /// A rule without a name is called by its line.
    fn resolve_name(&self, place: &Place, report: &mut Report) -> Arc<str> {
        match &self.name {
            Some(name) => {
                names::check_label(name, "rules", report);
                name.get_ref().as_str().into()
            }
            None => match report.line_of(place.start) {
                (0 | 1, line) => format!("line-{line}").into(),
                (file, line) => format!("file-{file}-line-{line}").into(),
            },
        }
    }

    fn resolve_when(&self, lists: &Lists, report: &mut Report) -> Option<Condition> {
        let when = self.when.as_ref()?;
        let parsed = Condition::parse(when.get_ref(), lists);
        parsed
            .map_err(|complaint| report.at(when.span(), complaint))
            .ok()
    }

    fn resolve_request(&self, report: &mut Report) -> RequestEffects {
        let request = self.request.as_ref().map(|it| it.get_ref());
        if let Some(pass) = self.pass.as_ref().filter(|it| !it.get_ref()) {
            let text = "undoes nothing, for what one rule passes is passed; say in that rule's \
                        `when` where it does not";
            report.at(pass.span(), text);
        }
        RequestEffects {
            passes: self.pass.is_some(),
            refreshes: self.refresh.as_ref().map(|it| *it.get_ref()),
            cookies: request.and_then(|it| it.cookies(report)),
            origin: self.origin.as_ref().map(|it| it.get_ref().as_str().into()),
            rewrite: self.resolve_rewrite(report),
            key: self.resolve_key(report),
            limits: limit::names(&self.limit),
            fields: request.map(|it| it.fields(report)).unwrap_or_default(),
            end: end::resolve(&self.answer, &self.deny, &self.redirect, report),
        }
    }

    fn resolve_rewrite(&self, report: &mut Report) -> Option<Template> {
        let written = self.rewrite.as_ref()?;
        let parsed = Template::parse_url(written.get_ref()).and_then(|template| {
            let sample = template.sample();
            let is_path = template.slashes() == 1 && sample.starts_with('/');
            match is_path && !sample.contains('#') {
                true => Ok(template),
                false => Err(
                    "must be a path, as \"/new${path}\"; for another host, `redirect` \
                              or choose an `origin`"
                        .to_owned(),
                ),
            }
        });
        parsed
            .map_err(|complaint| report.at(written.span(), complaint))
            .ok()
    }

    fn resolve_key(&self, report: &mut Report) -> Vec<Template> {
        let Some(list) = &self.key else {
            return Vec::new();
        };
        if list.get_ref().is_empty() {
            report.at(
                list.span(),
                "adds nothing to the key; name a class, as [\"mobile\"]",
            );
        }
        if list.get_ref().len() > KEY_MAX {
            report.at(
                list.span(),
                format!("has more than {KEY_MAX} parts; shorten it"),
            );
        }
        let mut parts = Vec::new();
        for text in list.get_ref() {
            match Template::parse(text.get_ref(), Purpose::RequestField) {
                Ok(part) if !is_visible(&part) => {
                    report.at(
                        text.span(),
                        "must be visible ASCII; write a word, as \"mobile\"",
                    );
                }
                Ok(part) => parts.push(part),
                Err(complaint) => report.at(text.span(), complaint),
            }
        }
        parts
    }

    /// The keys that are about the request, with their places.
    fn request_keys(&self) -> Vec<(&'static str, Place)> {
        let keys = [
            ("pass", self.pass.as_ref().map(Spanned::span)),
            ("refresh", self.refresh.as_ref().map(Spanned::span)),
            ("origin", self.origin.as_ref().map(Spanned::span)),
            ("rewrite", self.rewrite.as_ref().map(Spanned::span)),
            ("key", self.key.as_ref().map(Spanned::span)),
            ("limit", self.limit.first().map(Spanned::span)),
            ("request", self.request.as_ref().map(Spanned::span)),
        ];
        let given = |(key, place): (_, Option<Place>)| Some((key, place?));
        keys.into_iter().filter_map(given).collect()
    }

    /// The keys that end the request's way, with their places.
    fn ends(&self) -> Vec<(&'static str, Place)> {
        let keys = [
            ("answer", self.answer.as_ref().map(Spanned::span)),
            ("deny", self.deny.as_ref().map(Spanned::span)),
            ("redirect", self.redirect.as_ref().map(Spanned::span)),
        ];
        let given = |(key, place): (_, Option<Place>)| Some((key, place?));
        keys.into_iter().filter_map(given).collect()
    }

    fn check_does_something(&self, place: &Place, report: &mut Report) {
        const KEYS: [&str; 12] = [
            "pass", "refresh", "origin", "rewrite", "key", "limit", "request", "response",
            "deliver", "answer", "deny", "redirect",
        ];
        let does = !self.request_keys().is_empty()
            || !self.ends().is_empty()
            || self.response.is_some()
            || self.deliver.is_some();
        if !does && !KEYS.iter().any(|key| report.has_lost(place, key)) {
            let text = "does nothing; add `pass`, `origin`, `key`, `request`, `response`, \
                        `deliver`, `answer`, `deny` or `redirect`";
            report.at(place.clone(), text);
        }
    }

    /// What answers by itself leaves nothing for others to do.
    fn check_end(&self, report: &mut Report) {
        let ends = self.ends();
        let Some((end, _)) = ends.first() else {
            return;
        };
        for (_, place) in ends.iter().skip(1) {
            let text = format!("this rule has `{end}` already; keep one of the two");
            report.at(place.clone(), text);
        }
        let mut others = self.request_keys();
        others.retain(|it| it.0 != "limit");
        let response = self.response.as_ref().map(|it| ("response", it.span()));
        for (_, place) in others.into_iter().chain(response) {
            let text = format!("has no effect beside `{end}`; leave it out");
            report.at(place, text);
        }
    }

    /// Nothing is decided by what is known only later.
    fn check_phase(&self, when: Option<&Condition>, report: &mut Report) {
        let Some(when) = when.filter(|it| it.phase() > Phase::Request) else {
            return;
        };
        let late = |phase: Phase| when.reads().iter().find(move |it| it.phase() >= phase);
        let early = self.request_keys().into_iter().chain(self.ends());
        for (_, place) in early {
            let Some(read) = late(Phase::Response) else {
                continue;
            };
            let text = format!(
                "is done before the origin is asked, and `when` reads what is known later, {read}; \
                 divide the rule in two"
            );
            report.at(place, text);
        }
        if let Some(response) = &self.response
            && let Some(read) = late(Phase::Delivery)
        {
            let text = format!(
                "is done once, before the response is stored, and `when` reads what is another for \
                 each client, `{read}`; use `deliver`"
            );
            report.at(response.span(), text);
        }
    }
}

fn is_visible(part: &Template) -> bool {
    let sample = part.sample();
    !sample.is_empty() && sample.bytes().all(|it| it.is_ascii_graphic() || it == b' ')
}
