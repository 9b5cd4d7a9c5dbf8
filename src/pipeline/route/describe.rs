//! A route put into words: which one it is, what it does, and by which rules it caches.
//!
//! For an explanation, where a person compares them with the file. Nothing here is decided.

use std::time::Duration;

use super::caching::{Caching, OnRange};
use super::{Destination, OwnAnswer, Route, Routes};
use crate::semantics::cookies::CookieRule;
use crate::semantics::policy::{Rules, Statuses};
use crate::semantics::tags::TagRule;

/// The route that a request takes, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// The site's hosts, with commas between.
    pub hosts: String,
    /// The pattern of the path.
    pub path: String,
    /// `origin`, `redirect` or `answer`.
    pub action: &'static str,
    /// The origin's name, or the status, with the target of a redirect.
    pub target: String,
    /// Names and values of what stands before that.
    pub gate: Vec<(&'static str, String)>,
    /// Names and values of the caching rules; `None` where nothing is cached.
    pub rules: Option<Vec<(&'static str, String)>>,
}

/// The route as the configuration has it.
pub(in crate::pipeline) fn describe(routes: &Routes, destination: &Destination) -> Handler {
    let (action, target, rules) = match destination {
        Destination::Origin(id) => of_origin(&routes[*id]),
        Destination::Own(route) => of_answer(&route.answer),
    };
    let scope = routes.scope(destination);
    Handler {
        hosts: scope.hosts.to_string(),
        path: scope.path.to_string(),
        action,
        target,
        gate: scope.gate.as_ref().map_or(Vec::new(), |it| it.in_words()),
        rules,
    }
}

type Described = (&'static str, String, Option<Vec<(&'static str, String)>>);

fn of_origin(route: &Route) -> Described {
    let caching = Some(&route.caching).filter(|it| it.enabled);
    (
        "origin",
        route.pool.name().to_string(),
        caching.map(rules_of),
    )
}

fn of_answer(answer: &OwnAnswer) -> Described {
    match answer {
        OwnAnswer::Redirect(it) => {
            let target = format!("{} {}", it.status.as_str(), it.to);
            ("redirect", target, None)
        }
        OwnAnswer::Fixed(it, _) => ("answer", it.status.as_str().to_owned(), None),
    }
}

/// The rules under the names and in the units of the configuration.
fn rules_of(caching: &Caching) -> Vec<(&'static str, String)> {
    let Rules {
        ttl,
        default_ttl,
        status_ttl,
        error_ttl_max,
        heuristic,
        heuristic_max,
        targets,
        grace,
        default_grace,
        stale_if_error,
        sick_grace,
        keep,
        ..
    } = &*caching.rules;
    let targets: Vec<_> = targets.iter().map(|name| name.as_str()).collect();
    let status_ttl: Vec<_> = status_ttl.iter().map(of_status).collect();
    let of_lifetimes = [
        ("ttl", ttl.as_ref().map(time)),
        ("default_ttl", Some(time(default_ttl))),
        (
            "status_ttl",
            (!status_ttl.is_empty()).then(|| status_ttl.join(", ")),
        ),
        ("error_ttl_max", error_ttl_max.as_ref().map(time)),
        ("heuristic", Some(heuristic.to_string())),
        ("heuristic_max", Some(time(heuristic_max))),
        (
            "targeted",
            (!targets.is_empty()).then(|| targets.join(", ")),
        ),
        ("grace", grace.as_ref().map(time)),
        ("default_grace", Some(time(default_grace))),
        ("stale_if_error", Some(time(stale_if_error))),
        ("sick_grace", sick_grace.as_ref().map(time)),
        ("stale_after", Some(time(&caching.stale_after))),
        ("keep", Some(time(keep))),
    ];
    let all = of_lifetimes.into_iter().chain(of_messages(caching));
    all.filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// What is made of what requests and responses say, and of which requests.
fn of_messages(caching: &Caching) -> [(&'static str, Option<String>); 10] {
    let rules = &caching.rules;
    let choice = |is: bool, yes: &str, no: &str| if is { yes } else { no }.to_owned();
    let set_cookie = match rules.drop_set_cookie {
        true => "drop".to_owned(),
        false => choice(rules.store_set_cookie, "store", "pass"),
    };
    let forwards = || choice(caching.forwards_query, "all", "key");
    let is_shared = rules.share_authorized;
    let is_lifted = rules.lift_must_revalidate;
    let requests = choice(caching.obeys_requests, "obey", "ignore");
    let content_max = caching.query_content_bytes_max.to_string();
    [
        ("set_cookie", Some(set_cookie)),
        ("cookies", Some(of_cookies(caching))),
        ("authorization", is_shared.then(|| "share".to_owned())),
        ("must_revalidate", is_lifted.then(|| "ignore".to_owned())),
        ("request_directives", Some(requests)),
        ("query_forward", caching.query.filters().then(forwards)),
        ("range", Some(of_range(caching.on_range))),
        ("no_vary_search", Some(caching.no_vary_search.to_string())),
        ("tags", Some(of_tags(&caching.tags))),
        ("query_body_max", Some(content_max)),
    ]
}

fn of_tags(rule: &TagRule) -> String {
    let names: Vec<_> = rule.fields.iter().map(|name| name.as_str()).collect();
    let shown = if rule.shown { ", shown" } else { "" };
    format!("{} at the most of {}{shown}", rule.max, names.join(", "))
}

fn of_status((statuses, ttl): &(Statuses, Duration)) -> String {
    match statuses {
        Statuses::One(status) => format!("{status} = {}", time(ttl)),
        Statuses::Class(digit) => format!("{digit}xx = {}", time(ttl)),
    }
}

fn of_cookies(caching: &Caching) -> String {
    let all = match caching.forwards_cookies {
        true => "forward",
        false => "ignore",
    };
    let rule = caching.cookies.as_ref();
    rule.map_or_else(|| all.to_owned(), CookieRule::in_words)
}

/// `0s`, `90s` or `250ms`.
fn time(time: &Duration) -> String {
    match time.is_zero() {
        true => "0s".to_owned(),
        false => format!("{time:?}"),
    }
}

fn of_range(on_range: OnRange) -> String {
    match on_range {
        OnRange::Whole => "whole".to_owned(),
        OnRange::Pass => "pass".to_owned(),
        OnRange::Slice { slice_bytes } => format!("slice of {slice_bytes} bytes"),
    }
}
