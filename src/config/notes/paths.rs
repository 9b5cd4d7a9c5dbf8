//! Notes on paths of routes: one path where many were meant, and signs that other programs take for
//! more than they are here.

use super::{Notebook, of_route};
use crate::config::{Action, Config, Redirect, Route, Site};

pub(super) fn look(config: &Config, book: &mut Notebook) {
    for (site_at, site) in config.sites.iter().enumerate() {
        for (route_at, route) in site.routes.iter().enumerate() {
            let at = |key: &str| of_route(site_at, route_at, key);
            if let Some(text) = one_path_alone(site, route).or_else(|| literal(route)) {
                book.at(&at("path"), text);
            }
            if let Action::Redirect(redirect) = &route.action
                && leads_to_itself(route, redirect)
            {
                let text = "leads back to the path of this route, without end; write another path";
                book.at(&at("redirect.to"), text);
            }
        }
    }
}

/// A path with a slash at its end, to an origin, where nothing is for what lies below it.
fn one_path_alone(site: &Site, route: &Route) -> Option<String> {
    let path = route.path.to_string();
    let is_exact = route.path.depth().is_none();
    let is_below_routed = site
        .routes
        .iter()
        .any(|it| it.path.depth().is_some() && path.starts_with(it.path.stem()));
    if !is_exact || is_below_routed || !matches!(route.action, Action::Origin(_)) {
        return None;
    }
    if path.ends_with('/') {
        let meant = format!("{path}*");
        return Some(format!(
            "is for the path `{path}` alone, and no route is for what lies below; for that write \
             `path = \"{meant}\"`"
        ));
    }
    (route.strip_prefix.as_deref() == Some(&path[..])).then(|| {
        format!(
            "is for the path `{path}` alone, of which `strip_prefix` leaves `/`; for all below it \
             write `path = \"{path}/*\"`"
        )
    })
}

/// Signs that routers of other programs understand.
fn literal(route: &Route) -> Option<String> {
    let path = route.path.to_string();
    let mut segments = path.split('/');
    let is_named = |it: &&str| it.strip_prefix(':').is_some_and(starts_with_letter);
    if let Some(segment) = segments.find(is_named) {
        let name = segment.trim_start_matches(':');
        return Some(format!(
            "`{segment}` is taken letter by letter; any one segment is `{{{name}}}`"
        ));
    }
    let is_pattern = [".+", "(?", "+$", ")$"]
        .iter()
        .any(|sign| path.contains(sign));
    (is_pattern || path.ends_with('$')).then(|| {
        "is taken letter by letter, for paths are no regular expressions; write `/a/*`, or \
         `/users/{id}` for any one segment"
            .to_owned()
    })
}

fn starts_with_letter(text: &str) -> bool {
    text.starts_with(|it: char| it.is_ascii_alphabetic())
}

/// Whether whoever follows the redirect is on the same route again. Only for a path, since a URL may
/// lead to another scheme or port.
fn leads_to_itself(route: &Route, redirect: &Redirect) -> bool {
    // Where what is filled in leads is not known here.
    let Some(to) = redirect.to.as_text() else {
        return false;
    };
    let to = to.split(['?', '#']).next().unwrap_or_default();
    match route.path.depth() {
        Some(_) => to.starts_with('/') && to.starts_with(route.path.stem()),
        None => to == route.path.to_string(),
    }
}
