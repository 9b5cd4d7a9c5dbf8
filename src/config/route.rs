//! `[[site.route]]`: what becomes of the requests for a path.
//!
//! Not which hosts a site is for (`site.rs`), the form of paths (`path.rs`), nor answers of our
//! own (`action.rs`).

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::action::{Action, RawAnswer, RawRedirect};
use super::around::Around;
use super::cache::{CacheBase, CacheRules, RawCacheRules};
use super::exchange_limits::{ExchangeLimits, RawExchangeLimits};
use super::fields::{Edits, RawEdits};
use super::gate::{Gate, RawBasicAuth, RawErrorPages, RawGate, RawMaintenance, RawRedirects};
use super::https::{Https, RawHsts};
use super::limit;
use super::path::PathPattern;
use super::path_form::{self, RawPathForm};
use super::report::{Given, Place, Report};
use super::rule::{RawRules, Rule};
use super::table::{Table, Written};
use super::template::Purpose;
use super::text_or::TextOr;
use super::units::{self, Count, Period, Size};
use super::upgrade;
use crate::semantics::path_form::PathRule;

/// What a semaphore holds with ease.
const CONCURRENCY: RangeInclusive<usize> = 0..=1 << 24;

/// What becomes of the requests for a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Which paths it is for.
    pub path: PathPattern,
    /// How the spelling of its paths is taken.
    pub path_rule: PathRule,
    /// Who answers.
    pub action: Action,
    /// What is cut from the front of the path before the origin sees it. It ends before a `/` or
    /// at the end of the path; what is left of an empty path is `/`.
    pub strip_prefix: Option<String>,
    /// The protocols that clients may go on with (RFC 9110 §7.8), in lower case.
    pub upgrade: Vec<String>,
    /// Edits of the request towards the origin.
    pub request_fields: Edits,
    /// Edits of the response towards the client.
    pub response_fields: Edits,
    /// Names of the limits that hold for it, beside those of its site and of the server.
    pub limits: Vec<Arc<str>>,
    /// Requests that may be under way to the origin at once; zero for no limit.
    pub concurrency_max: usize,
    /// How much, and how long, its requests may take.
    pub exchange_limits: ExchangeLimits,
    /// What is wanted of the scheme of its requests.
    pub https: Https,
    /// Who is let in, and who is sent elsewhere.
    pub gate: Gate,
    /// By which rules responses are cached.
    pub cache: CacheRules,
    /// What is done where conditions hold, behind the rules of its site.
    pub rules: Vec<Rule>,
}

/// One `[[site.route]]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRoute {
    pub(super) path: Given<String>,
    path_form: Given<RawPathForm>,
    pub(super) origin: Given<String>,
    redirect: Option<Written<RawRedirect>>,
    answer: Option<Written<RawAnswer>>,
    strip_prefix: Given<String>,
    pub(super) upgrade: Given<Vec<Spanned<String>>>,
    request_fields: Option<Written<RawEdits>>,
    response_fields: Table<RawEdits>,
    pub(super) limit: Vec<Spanned<String>>,
    concurrency_max: Given<Count>,
    body_bytes_max: Given<Size>,
    body_timeout: Given<Period>,
    receive_rate_min: Given<Size>,
    first_byte_timeout: Given<Period>,
    between_bytes_timeout: Given<Period>,
    tunnel_idle_timeout: Given<Period>,
    tunnel_lifetime: Given<Period>,
    https_only: Option<bool>,
    hsts: Given<TextOr<RawHsts>>,
    allow: Given<Vec<Spanned<String>>>,
    deny: Vec<Spanned<String>>,
    pub(super) redirects: Given<TextOr<RawRedirects>>,
    maintenance: Given<RawMaintenance>,
    basic_auth: Given<TextOr<RawBasicAuth>>,
    error_pages: RawErrorPages,
    error_json: Option<bool>,
    intercept: Given<Vec<Spanned<String>>>,
    cache: Option<Written<RawCacheRules>>,
    pub(super) rule: RawRules,
}

// === impl RawRoute ===

impl RawRoute {
    /// What a site's own `origin` is short for.
    pub(super) fn everything_to(origin: Spanned<String>) -> Written<Self> {
        let place = origin.span();
        let path = Some(Spanned::new(place.clone(), "/*".to_owned()));
        let route = Self {
            path,
            origin: Some(origin),
            ..Self::default()
        };
        Spanned::new(place, route.into())
    }

    /// Has the site's origin answer, where the route says nothing; whether it does.
    pub(super) fn take_origin(&mut self, origin: &Spanned<String>) -> bool {
        let is_free = self.actions().is_empty();
        if is_free {
            self.origin = Some(origin.clone());
        }
        is_free
    }

    pub(super) fn is_for_all_paths(&self) -> bool {
        self.path.as_ref().is_some_and(|it| it.get_ref() == "/*")
    }

    /// `None` after a complaint.
    pub(super) fn resolve(
        raw: &Written<Self>,
        base: &CacheBase,
        around: &Around<'_>,
        report: &mut Report,
    ) -> Option<Route> {
        let place = raw.span();
        let raw = raw.get_ref();
        let path = raw.resolve_path(place.clone(), report);
        raw.check_one_action(place.clone(), report);
        let action = raw.resolve_action(path.as_ref(), report);
        raw.check_strip_prefix(report);
        raw.check_has_effect(report);
        raw.check_host_is_not_set(report);
        raw.cache
            .iter()
            .for_each(|it| it.get_ref().check_has_effect(report));
        let edits = raw
            .request_fields
            .as_ref()
            .map(|it| it.get_ref().resolve(Purpose::RequestField, report));
        let response_fields = raw.response_fields.resolve(Purpose::ResponseField, report);
        let cache = raw.cache.as_ref().map(|it| it.get_ref().over(base, report));
        let path_rule = path_form::over(&raw.path_form, around.path_rule, report);
        Some(Route {
            path: path?,
            path_rule,
            action: action?,
            strip_prefix: raw.strip_prefix.as_ref().map(|it| it.get_ref().clone()),
            upgrade: upgrade::resolve(&raw.upgrade, report),
            request_fields: edits.unwrap_or_default(),
            response_fields,
            limits: limit::names(&raw.limit),
            concurrency_max: units::count(&raw.concurrency_max, 0, CONCURRENCY, report),
            exchange_limits: raw.limits_of_exchanges().over(&around.limits, report),
            https: around.https.over(raw.https_only, &raw.hsts, report),
            gate: raw.gate().over(&around.gate, around.lists, report),
            cache: cache.as_ref().unwrap_or(base).rules.clone(),
            // They come when all routes are known.
            rules: Vec::new(),
        })
    }

    fn gate(&self) -> RawGate<'_> {
        RawGate {
            allow: &self.allow,
            deny: &self.deny,
            maintenance: &self.maintenance,
            basic_auth: &self.basic_auth,
            redirects: &self.redirects,
            error_pages: &self.error_pages,
            error_json: self.error_json,
            intercept: &self.intercept,
        }
    }

    fn limits_of_exchanges(&self) -> RawExchangeLimits<'_> {
        RawExchangeLimits {
            body_bytes_max: &self.body_bytes_max,
            body_timeout: &self.body_timeout,
            receive_rate_min: &self.receive_rate_min,
            first_byte_timeout: &self.first_byte_timeout,
            between_bytes_timeout: &self.between_bytes_timeout,
            tunnel_idle_timeout: &self.tunnel_idle_timeout,
            tunnel_lifetime: &self.tunnel_lifetime,
        }
    }

    fn resolve_path(&self, place: Place, report: &mut Report) -> Option<PathPattern> {
        let Some(path) = &self.path else {
            report.missing(
                place,
                "path",
                "is missing; write `path = \"/*\"` for all paths",
            );
            return None;
        };
        let parsed = PathPattern::parse(path.get_ref());
        parsed
            .map_err(|complaint| report.at(path.span(), complaint))
            .ok()
    }

    /// The actions written, with the names of their keys.
    fn actions(&self) -> Vec<(&'static str, Place)> {
        let origin = self.origin.as_ref().map(|it| ("origin", it.span()));
        let redirect = self.redirect.as_ref().map(|it| ("redirect", it.span()));
        let answer = self.answer.as_ref().map(|it| ("answer", it.span()));
        origin.into_iter().chain(redirect).chain(answer).collect()
    }

    fn check_one_action(&self, place: Place, report: &mut Report) {
        let actions = self.actions();
        let keys = ["origin", "redirect", "answer"];
        if actions.is_empty() && !keys.iter().any(|key| report.has_lost(&place, key)) {
            report.at(
                place,
                "leads nowhere; add one of `origin`, `redirect` and `answer`, or `origin` to its site",
            );
        }
        for (_, second) in actions.iter().skip(1) {
            let first = actions[0].0;
            let text = format!("this route has `{first}` already; keep one of the two");
            report.at(second.clone(), text);
        }
    }

    fn resolve_action(&self, path: Option<&PathPattern>, report: &mut Report) -> Option<Action> {
        if let Some(origin) = &self.origin {
            return Some(Action::Origin(origin.get_ref().as_str().into()));
        }
        if let Some(redirect) = &self.redirect {
            let place = redirect.span();
            return redirect
                .get_ref()
                .resolve(place, path, report)
                .map(Action::Redirect);
        }
        let answer = self.answer.as_ref()?;
        Some(Action::Answer(answer.get_ref().resolve(report)))
    }

    fn check_strip_prefix(&self, report: &mut Report) {
        let Some((prefix, path)) = self.strip_prefix.as_ref().zip(self.path.as_ref()) else {
            return;
        };
        let text = prefix.get_ref().as_str();
        let rest = path.get_ref().strip_prefix(text);
        let is_front = rest.is_some_and(|it| it.is_empty() || it.starts_with('/'));
        if text.len() < 2 || !text.starts_with('/') || text.ends_with('/') {
            report.at(
                prefix.span(),
                "must begin with `/`, name something and not end with `/`",
            );
        } else if text.contains(['{', '*']) {
            report.at(
                prefix.span(),
                "must be plain text, without `{name}` and `*`",
            );
        } else if !is_front {
            report.at(
                prefix.span(),
                format!("is not the front of `{}`", path.get_ref()),
            );
        }
    }

    /// Keys that only mean something on the way to an origin.
    fn check_has_effect(&self, report: &mut Report) {
        let Some((action, _)) = self
            .actions()
            .first()
            .filter(|it| it.0 != "origin")
            .cloned()
        else {
            return;
        };
        let strip_prefix = self.strip_prefix.as_ref().map(Spanned::span);
        let request_fields = self.request_fields.as_ref().map(Spanned::span);
        let cache = self.cache.as_ref().map(Spanned::span);
        let concurrency = self.concurrency_max.as_ref().map(Spanned::span);
        let upgrade = self.upgrade.as_ref().map(Spanned::span);
        let single = [strip_prefix, request_fields, cache, concurrency, upgrade];
        let limits = self.limits_of_exchanges();
        for place in single.into_iter().flatten().chain(limits.places()) {
            report.at(
                place,
                format!("has no effect beside `{action}`; leave it out"),
            );
        }
    }

    fn check_host_is_not_set(&self, report: &mut Report) {
        let edits = self.request_fields.iter().map(Spanned::get_ref);
        for name in edits.flat_map(|it| it.set.keys().chain(it.add.keys())) {
            if name.get_ref().eq_ignore_ascii_case("host") {
                report.at(
                    name.span(),
                    "is set by the key `host` of the origin; move it there",
                );
            }
        }
    }
}
