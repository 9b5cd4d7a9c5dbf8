//! Notes on caching rules: those that are switched off, those that keep nothing, and keys that make a
//! page for each browser.

use std::time::Duration;

use http::HeaderName;
use http::header::{ACCEPT_LANGUAGE, USER_AGENT};

use super::{Notebook, of_route};
use crate::config::{Action, CacheRules, Config, RangeMiss};

pub(super) fn look(config: &Config, book: &mut Notebook) {
    slices_nowhere(config, book);
    cookies_dropped_everywhere(config, book);
    let mut of_all = Vec::new();
    for (site_at, site) in config.sites.iter().enumerate() {
        for (route_at, route) in site.routes.iter().enumerate() {
            if !matches!(route.action, Action::Origin(_)) {
                continue;
            }
            let at = |key: &str| of_route(site_at, route_at, key);
            let rules = &route.cache;
            let own = at("cache");
            if !rules.enabled {
                switched_off(&own, book);
                continue;
            }
            for (key, text) in said_of(rules) {
                // A rule of [cache] is told once, however many routes have it.
                let Some(path) =
                    book.first_written(&[format!("{own}.{key}"), format!("cache.{key}")])
                else {
                    continue;
                };
                if !of_all.contains(&path) {
                    book.at(&path, text);
                    of_all.push(path);
                }
            }
        }
    }
}

/// Rules of a route below a `[cache]` that is switched off.
fn switched_off(own: &str, book: &mut Notebook) {
    if book.is_written(own) && !book.is_written(&format!("{own}.enabled")) {
        let text = "has no effect, for `enabled = false` of [cache] switches caching off; add \
                    `enabled = true` here";
        book.at(own, text);
    }
}

fn said_of(rules: &CacheRules) -> Vec<(&'static str, &'static str)> {
    let mut said = Vec::new();
    if rules.rules.ttl == Some(Duration::ZERO) {
        let text = "lets every response be stale at once; for no caching at all write `enabled = \
                    false`, for a default of responses that say nothing `default_ttl`";
        said.push(("ttl", text));
    }
    if rules.rules.share_authorized {
        let text = "gives what is stored to whoever asks, with a token and without; leave it out unless \
                    that is what the origin does";
        said.push(("authorization", text));
    }
    let has = |name: &HeaderName| rules.key.fields.contains(name);
    if has(&USER_AGENT) && !rules.fold.user_agent {
        let text = "has `user-agent`, which makes a page for each version of each browser; add \
                    `fold = { user_agent = true }`, or leave it out";
        said.push(("key.fields", text));
    }
    if has(&ACCEPT_LANGUAGE) && rules.fold.accept_language.is_empty() {
        let text = "has `accept-language`, of which browsers send hundreds; add `fold = { \
                    accept_language = [\"en\", \"de\"] }` with the languages of the site";
        said.push(("key.fields", text));
    }
    said
}

/// Cookies that are dropped on all routes, one of which is likely to begin sessions.
fn cookies_dropped_everywhere(config: &Config, book: &mut Notebook) {
    let mut routes = config.sites.iter().flat_map(|it| &it.routes);
    if routes.any(|it| it.cache.rules.drop_set_cookie) && book.is_written("cache.set_cookie") {
        let text = "drops cookies on all routes, also those that begin a session with a page that could \
                    be stored; write it into the `cache` of the routes that are meant";
        book.at("cache.set_cookie", text);
    }
}

/// The length of slices where nothing is sliced.
fn slices_nowhere(config: &Config, book: &mut Notebook) {
    let text = "counts only beside `range = \"slice\"`; add that, or leave this out";
    let is_sliced = |rules: &CacheRules| matches!(rules.range, RangeMiss::Slice { .. });
    let mut is_anywhere = false;
    for (site_at, site) in config.sites.iter().enumerate() {
        for (route_at, route) in site.routes.iter().enumerate() {
            let path = of_route(site_at, route_at, "cache.slice_size");
            is_anywhere |= is_sliced(&route.cache);
            if book.is_written(&path) && !is_sliced(&route.cache) {
                book.at(&path, text);
            }
        }
    }
    if book.is_written("cache.slice_size") && !is_anywhere {
        book.at("cache.slice_size", text);
    }
}
