//! Checks that span tables: whether names are known, and whether things stand twice.
//!
//! Not the checks of single values, which each table makes for itself. A value that is wrong by
//! itself is passed over here, so that it is complained about once.

use std::collections::HashMap;
use std::hash::Hash;

use toml::Spanned;

use super::RawConfig;
use super::listen::{RawListen, RawProtocol};
use super::listen_address;
use super::path::PathPattern;
use super::report::{Place, ROOT, Report, join};
use super::rules;
use super::site::{HostPattern, RawSite};
use super::table::Written;
use super::wording;

/// Complains about all that is wrong between tables.
pub(super) fn check(raw: &RawConfig, report: &mut Report) {
    something_to_serve(raw, report);
    addresses_differ(raw, report);
    hosts_differ(raw, report);
    limits_differ(raw, report);
    limits_are_known(raw, report);
    let tunnelled = raw
        .listen
        .iter()
        .filter_map(|it| it.get_ref().origin.as_ref());
    origins_are_known(tunnelled, raw, report);
    for site in &raw.site {
        paths_differ(site.get_ref(), report);
        let routes = &site.get_ref().route;
        let named = routes.iter().filter_map(|it| it.get_ref().origin.as_ref());
        origins_are_known(named, raw, report);
    }
    let rules = rules::everywhere(&raw.rule, &raw.site);
    let chosen = rules.filter_map(|it| it.get_ref().origin.as_ref());
    origins_are_known(chosen, raw, report);
}

fn something_to_serve(raw: &RawConfig, report: &mut Report) {
    if raw.listen.is_empty() {
        let text = "is missing; add [[listen]] with `address = \"127.0.0.1:8080\"`";
        report.missing(ROOT, "listen", text);
    }
    if raw.origins.is_empty() && needs_origins(raw) {
        let text = "is missing; add [origins.NAME] with `servers = [\"http://127.0.0.1:8081\"]`";
        report.missing(ROOT, "origins", text);
    }
    if raw.site.is_empty() && !is_tcp_only(raw) {
        let text = "is missing; add [[site]] with `hosts = [\"*\"]` and the name of an `origin`";
        report.missing(ROOT, "site", text);
    }
}

/// A configuration without HTTP needs no sites.
fn is_tcp_only(raw: &RawConfig) -> bool {
    let is_tcp = |listen: &Written<RawListen>| listen.get_ref().protocol == RawProtocol::Tcp;
    !raw.listen.is_empty() && raw.listen.iter().all(is_tcp)
}

/// A configuration that only redirects and answers needs no origins.
fn needs_origins(raw: &RawConfig) -> bool {
    let mut routes = raw.site.iter().flat_map(|site| &site.get_ref().route);
    let mut listeners = raw.listen.iter();
    raw.site.is_empty()
        || routes.any(|route| route.get_ref().origin.is_some())
        || listeners.any(|listen| listen.get_ref().origin.is_some())
}

/// Port 0 is another port each time.
fn addresses_differ(raw: &RawConfig, report: &mut Report) {
    let listen = raw
        .listen
        .iter()
        .filter_map(|it| it.get_ref().address.as_ref());
    let admin = raw
        .admin
        .iter()
        .filter_map(|it| it.get_ref().address.as_ref());
    let addresses = listen.chain(admin).filter_map(|text| {
        let address = match text.get_ref().parse::<std::net::SocketAddr>() {
            Ok(address) if address.port() == 0 => return None,
            // However it is written: `[::1]:80` is `[0::1]:80`.
            Ok(address) => address.to_string(),
            Err(_) if listen_address::has_no_ip(text.get_ref()) => text.get_ref().clone(),
            Err(_) => return None,
        };
        Some((address, text.span()))
    });
    complain_of_repeats(addresses, "this address", report);
}

fn hosts_differ(raw: &RawConfig, report: &mut Report) {
    let lists = raw
        .site
        .iter()
        .filter_map(|site| site.get_ref().hosts.as_ref());
    let hosts = lists.flat_map(|list| list.get_ref()).filter_map(|text| {
        HostPattern::parse(text.get_ref())
            .ok()
            .map(|host| (host, text.span()))
    });
    complain_of_repeats(hosts, "this host", report);
}

fn limits_differ(raw: &RawConfig, report: &mut Report) {
    let names = raw.limit.iter().filter_map(|it| it.get_ref().name.as_ref());
    let names = names.map(|name| (name.get_ref().as_str(), name.span()));
    complain_of_repeats(names, "this name", report);
}

/// Wherever one is referred to: `[server]`, sites, routes and rules.
fn limits_are_known(raw: &RawConfig, report: &mut Report) {
    let names = raw.limit.iter().filter_map(|it| it.get_ref().name.as_ref());
    let names: Vec<&str> = names.map(|name| name.get_ref().as_str()).collect();
    // It may be the name that could not be read, or the table's that was misspelt.
    let is_told_already = names.len() < raw.limit.len() || report.was_written("limit");
    let sites = raw.site.iter().map(|site| site.get_ref());
    let of_sites = sites.flat_map(|site| {
        let routes = site.route.iter().flat_map(|it| &it.get_ref().limit);
        site.limit.iter().chain(routes)
    });
    let rules = rules::everywhere(&raw.rule, &raw.site);
    let of_rules = rules.flat_map(|it| &it.get_ref().limit);
    for limit in raw.server.limit.iter().chain(of_sites).chain(of_rules) {
        let is_known = names.contains(&limit.get_ref().as_str());
        if !is_known && !is_told_already {
            report.at(limit.span(), unknown("limit", limit.get_ref(), &names));
        }
    }
}

/// What is said of a name that refers to nothing.
fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match wording::closest(name, known) {
        Some(meant) => format!("unknown {what} `{name}`; did you mean `{meant}`?"),
        None if known.is_empty() => {
            format!("unknown {what} `{name}`; add [[{what}]] with `name = \"{name}\"`")
        }
        None => {
            let known = wording::list(known, "`", "and");
            format!("unknown {what} `{name}`; known are {known}")
        }
    }
}

/// Other programs take a URL where they send requests to.
fn url_for_a_name(url: &str, known: &str) -> String {
    format!(
        "is a URL, and here stands the name of an origin; write `origin = \"{known}\"`, or add \
         [origins.NAME] with `servers = [\"{url}\"]`"
    )
}

/// `/users/{id}` and `/users/{name}` are one path.
fn paths_differ(site: &RawSite, report: &mut Report) {
    let written = site
        .route
        .iter()
        .filter_map(|route| route.get_ref().path.as_ref());
    let paths = written.filter_map(|text| {
        let path = PathPattern::parse(text.get_ref()).ok()?;
        Some((path.patterns().to_vec(), text.span()))
    });
    complain_of_repeats(paths, "this path", report);
}

fn complain_of_repeats<T: Eq + Hash>(
    items: impl Iterator<Item = (T, Place)>,
    what: &str,
    report: &mut Report,
) {
    let mut first_places = HashMap::new();
    for (item, place) in items {
        match first_places.get(&item) {
            Some(first) => {
                let first = report.describe(first);
                report.at(
                    place,
                    format!("{what} is taken by {first}; remove one of the two"),
                );
            }
            None => {
                first_places.insert(item, place);
            }
        }
    }
}

fn origins_are_known<'a>(
    named: impl Iterator<Item = &'a Spanned<String>>,
    raw: &RawConfig,
    report: &mut Report,
) {
    let names: Vec<&str> = raw
        .origins
        .keys()
        .map(|name| name.get_ref().as_str())
        .collect();
    for origin in named {
        let name = origin.get_ref().as_str();
        // It may be the table that could not be read, or one of those under `[orgins.…]`.
        let is_told_already = names.is_empty()
            || report.was_written("origins")
            || report.was_written(&join("origins", name));
        if names.contains(&name) || is_told_already {
            continue;
        }
        let text = match name.contains("://") {
            true => url_for_a_name(name, names.first().unwrap_or(&"app")),
            false => unknown("origin", name, &names),
        };
        report.at(origin.span(), text);
    }
}
