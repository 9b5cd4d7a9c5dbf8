//! Notes on timeouts in the wrong order: those that end before what they wait for, and those that
//! never act because another ends first.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::super::units::Period;
use super::{Notebook, of_route};
use crate::config::{Action, Config, HedgeAfter, Origin, Route};

pub(super) fn look(config: &Config, book: &mut Notebook) {
    for origin in config.origins.values() {
        of_origin(origin, book);
    }
    followers(config, book);
    stale_after(config, book);
}

/// From a request's arrival until its origin has answered or failed, without retries.
fn answer_takes(origin: &Origin) -> Duration {
    origin.pending_timeout + origin.connect_timeout + origin.first_byte_timeout
}

fn of_origin(origin: &Origin, book: &mut Notebook) {
    let at = |key: &str| format!("origins.{}.{key}", origin.name);
    let first_byte = Period(origin.first_byte_timeout);
    if origin.connect_timeout > origin.first_byte_timeout && book.is_written(&at("connect_timeout"))
    {
        let text = format!(
            "is longer than `first_byte_timeout`, {first_byte}: a connection takes milliseconds, an \
             answer may take long; are the two swapped?"
        );
        book.at(&at("connect_timeout"), text);
    }
    if let Some(age_max) = origin.wire.age_max
        && origin.idle_timeout > age_max
        && book.is_written(&at("idle_timeout"))
    {
        let text = format!(
            "is longer than `age_max`, {}, by which connections end sooner; raise that",
            Period(age_max)
        );
        book.at(&at("idle_timeout"), text);
    }
    if let Some(hedge) = &origin.hedge
        && let HedgeAfter::Time(after) = hedge.after
        && after >= origin.first_byte_timeout
    {
        let text = format!(
            "is not shorter than `first_byte_timeout`, {first_byte}, so that it never acts; \
             shorten it"
        );
        book.at(&at("hedge.after"), text);
    }
}

/// Those who wait for another's answer and give up before it can come ask the origin all at once.
fn followers(config: &Config, book: &mut Notebook) {
    let wait = config.store.follower_timeout;
    for name in cached(config) {
        let Some(origin) = config.origins.get(name) else {
            continue;
        };
        let takes = answer_takes(origin);
        if wait >= takes {
            continue;
        }
        let text = format!(
            "an answer of origin `{name}` may take {} by its `pending_timeout`, `connect_timeout` \
             and `first_byte_timeout`, and those who wait for it ask themselves after {}, all at \
             once; raise `follower_timeout` of [store], or lower these",
            Period(takes),
            Period(wait)
        );
        let keys = ["first_byte_timeout", "connect_timeout", "pending_timeout"];
        let mut paths = vec!["store.follower_timeout".to_owned()];
        paths.extend(keys.map(|key| format!("origins.{name}.{key}")));
        if let Some(path) = book.first_written(&paths) {
            book.at(&path, text);
        }
    }
}

/// The origins that cached routes lead to.
fn cached(config: &Config) -> BTreeSet<&Arc<str>> {
    let routes = config.sites.iter().flat_map(|it| &it.routes);
    let cached = routes.filter(|it| it.cache.enabled);
    cached.filter_map(origin_of).collect()
}

fn origin_of(route: &Route) -> Option<&Arc<str>> {
    match &route.action {
        Action::Origin(name) => Some(name),
        Action::Redirect(_) | Action::Answer(_) => None,
    }
}

/// A wait for the origin that is as long as the origin may take.
fn stale_after(config: &Config, book: &mut Notebook) {
    let mut of_all = Vec::new();
    for (site_at, site) in config.sites.iter().enumerate() {
        for (route_at, route) in site.routes.iter().enumerate() {
            let origin = origin_of(route).and_then(|name| config.origins.get(name));
            let Some(origin) = origin.filter(|_| route.cache.enabled) else {
                continue;
            };
            let own = of_route(site_at, route_at, "cache.stale_after");
            let is_own = book.is_written(&own);
            let takes = answer_takes(origin);
            let is_late = route.cache.stale_after >= takes;
            if is_own && is_late {
                book.at(&own, never_acts(takes));
            } else if !is_own {
                of_all.push((is_late, takes));
            }
        }
    }
    let path = "cache.stale_after";
    let longest = of_all.iter().map(|it| it.1).max();
    if let Some(takes) = longest.filter(|_| of_all.iter().all(|it| it.0) && book.is_written(path)) {
        book.at(path, never_acts(takes));
    }
}

fn never_acts(takes: Duration) -> String {
    format!(
        "never acts, for the origin has answered or failed after {}; shorten it",
        Period(takes)
    )
}
