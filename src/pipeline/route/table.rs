//! Table of hosts and paths: compiled once, looked up without allocating.
//!
//! An exact host stands before a wildcard, the longest wildcard before a shorter one, and `*`
//! last. Within a site the most specific path wins.

use std::collections::HashMap;
use std::ops::Index;
use std::sync::Arc;

use super::limit::Bounds;
use super::rules::{Chain, Rule};
use super::{OwnAnswer, OwnRoute, Route, Scope};
use crate::config;
use crate::origin::Pool;
use crate::pipeline::client::Session;
use crate::semantics::key::KeyBuf;
use crate::telemetry::{RuleTally, SiteId};

/// All sites' routes.
pub(in crate::pipeline) struct Routes {
    exact: HashMap<Box<str>, Arc<Paths>, foldhash::quality::RandomState>,
    /// Suffixes with their dot, longest first.
    suffixes: Vec<(Box<str>, Arc<Paths>)>,
    any: Option<Arc<Paths>>,
    /// Whether a site says anything of client certificates.
    has_client_auth: bool,
    /// Those that lead to an origin, by their numbers.
    to_origins: Vec<Arc<Route>>,
    /// The rules of requests that no route is for.
    elsewhere: Option<Arc<Chain>>,
}

/// The number of a route to an origin. It is good for the table that gave it, and spares each
/// request a count of the route's owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) struct RouteId(usize);

/// Where a path leads.
#[derive(Clone)]
pub(in crate::pipeline) enum Destination {
    Origin(RouteId),
    Own(Arc<OwnRoute>),
}

/// What routes are built with.
pub(in crate::pipeline) struct Parts<'a> {
    pub(in crate::pipeline) bounds: &'a Bounds,
    /// Finds an origin's pool by its name.
    pub(in crate::pipeline) pool: &'a dyn Fn(&str) -> Option<Arc<Pool>>,
    /// What a site is counted by.
    pub(in crate::pipeline) number: &'a dyn Fn(&str) -> SiteId,
    /// What a rule is counted by.
    pub(in crate::pipeline) tally: &'a dyn Fn(&str) -> &'static RuleTally,
}

/// The rules of the places around a route.
struct Around<'a> {
    rules: &'a [Arc<Rule>],
    chain: &'a Option<Arc<Chain>>,
}

/// One site's routes.
struct Paths {
    client_auth: Option<Arc<config::ClientAuth>>,
    exact: matchit::Router<Destination>,
    /// `/*` patterns by their depth, deepest first; see [`config::PathPattern::depth`].
    prefixes: Vec<(usize, matchit::Router<Destination>)>,
}

/// A pattern that matchit did not take, although the configuration was checked.
#[derive(Debug, thiserror::Error)]
#[error("path {path}: {source}")]
pub struct BadPath {
    path: String,
    source: matchit::InsertError,
}

// === impl Routes ===

impl Routes {
    /// Compiles the sites, with the rules of all.
    pub(in crate::pipeline) fn build(
        sites: &[config::Site],
        rules: &[config::Rule],
        parts: &Parts<'_>,
    ) -> Result<Self, BadPath> {
        let rules = compiled(rules, parts);
        let everywhere = Chain::new(&rules);
        let mut routes = Self {
            exact: HashMap::default(),
            suffixes: Vec::new(),
            any: None,
            has_client_auth: sites.iter().any(|it| it.client_auth.is_some()),
            to_origins: Vec::new(),
            elsewhere: everywhere.clone(),
        };
        let top = Around {
            rules: &rules,
            chain: &everywhere,
        };
        for site in sites {
            let paths = Paths::build(site, &top, parts, &mut routes.to_origins)?;
            let paths = Arc::new(paths);
            for host in &site.hosts {
                routes.add(host, &paths);
            }
        }
        routes
            .suffixes
            .sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        Ok(routes)
    }

    fn add(&mut self, host: &config::HostPattern, paths: &Arc<Paths>) {
        let paths = Arc::clone(paths);
        match host {
            config::HostPattern::Exact(host) => {
                self.exact.insert(host.as_str().into(), paths);
            }
            config::HostPattern::Suffix(suffix) => {
                self.suffixes.push((suffix.as_str().into(), paths));
            }
            config::HostPattern::Any => self.any = Some(paths),
        }
    }

    /// Where requests for a target, a path with perhaps a query, lead.
    pub(in crate::pipeline) fn lead(&self, authority: &str, target: &str) -> Option<&Destination> {
        let path = match target.split('?').next() {
            // `OPTIONS *` is about the host as a whole.
            None | Some("*") => "/",
            Some(path) => path,
        };
        self.find(authority, path)
    }

    /// Where requests lead for a normal authority (see [`crate::semantics::key::normal_authority`]) and a
    /// path without query.
    pub(in crate::pipeline) fn find(&self, authority: &str, path: &str) -> Option<&Destination> {
        self.paths(without_port(authority))?.find(path)
    }

    /// Whether there are routes for a normal authority, whatever the path.
    pub(in crate::pipeline) fn have(&self, authority: &str) -> bool {
        self.paths(without_port(authority)).is_some()
    }

    /// Whether a client that has come this way may ask for what has this key: whether it was asked for
    /// the certificate that the site of its authority wants.
    pub(in crate::pipeline) fn admit(&self, key: &KeyBuf, session: Option<&Session>) -> bool {
        if !self.has_client_auth {
            return true;
        }
        let paths = self.paths(without_port(key.authority()));
        let wanted = paths.and_then(|it| it.client_auth.as_ref());
        match session {
            Some(session) => *wanted.unwrap_or(&session.listener_auth) == session.client_auth,
            // Nobody is asked for anything in clear.
            None => wanted.is_none_or(|it| it.mode != config::ClientAuthMode::Require),
        }
    }

    /// What a destination has, whoever answers there.
    pub(in crate::pipeline) fn scope<'a>(&'a self, destination: &'a Destination) -> &'a Scope {
        match destination {
            Destination::Origin(id) => &self[*id].scope,
            Destination::Own(route) => &route.scope,
        }
    }

    /// The rules of requests that lead there, or nowhere.
    pub(in crate::pipeline) fn rules<'a>(
        &'a self,
        destination: Option<&'a Destination>,
    ) -> Option<&'a Arc<Chain>> {
        match destination {
            Some(destination) => self.scope(destination).rules.as_ref(),
            None => self.elsewhere.as_ref(),
        }
    }

    /// Whether two lookups have come to one route.
    pub(in crate::pipeline) fn are_same(
        &self,
        one: Option<&Destination>,
        other: Option<&Destination>,
    ) -> bool {
        let scope = |it: &Destination| std::ptr::from_ref(self.scope(it));
        one.map(scope) == other.map(scope)
    }

    fn paths(&self, host: &str) -> Option<&Paths> {
        let by_suffix = || {
            let found = self
                .suffixes
                .iter()
                .find(|(suffix, _)| is_below(host, suffix));
            found.map(|(_, paths)| paths)
        };
        self.exact
            .get(host)
            .or_else(by_suffix)
            .or(self.any.as_ref())
            .map(|paths| &**paths)
    }
}

impl Index<RouteId> for Routes {
    type Output = Arc<Route>;

    /// A number is only given for what is in the table, so it leads to a route of its own table.
    fn index(&self, id: RouteId) -> &Arc<Route> {
        &self.to_origins[id.0]
    }
}

/// Whether `host` is a name below `suffix`, which begins with its dot.
fn is_below(host: &str, suffix: &str) -> bool {
    host.len() > suffix.len() && host.ends_with(suffix)
}

/// A pattern as it stands in the configuration.
fn written(host: &config::HostPattern) -> String {
    match host {
        config::HostPattern::Exact(host) => host.clone(),
        config::HostPattern::Suffix(suffix) => format!("*{suffix}"),
        config::HostPattern::Any => "*".to_owned(),
    }
}

/// The host of an authority. Only an IPv6 address has colons within its brackets.
pub(in crate::pipeline) fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

// === impl Paths ===

impl Paths {
    fn build(
        site: &config::Site,
        top: &Around<'_>,
        parts: &Parts<'_>,
        to_origins: &mut Vec<Arc<Route>>,
    ) -> Result<Self, BadPath> {
        let mut paths = Self {
            client_auth: site.client_auth.clone(),
            exact: matchit::Router::new(),
            prefixes: Vec::new(),
        };
        let rules = [top.rules, &compiled(&site.rules, parts)].concat();
        let chain = match site.rules.is_empty() {
            true => top.chain.clone(),
            false => Chain::new(&rules),
        };
        let around = Around {
            rules: &rules,
            chain: &chain,
        };
        let hosts: Vec<_> = site.hosts.iter().map(written).collect();
        let number = (parts.number)(hosts.first().map_or("", String::as_str));
        let named = (&Arc::from(hosts.join(", ")), number);
        for config in &site.routes {
            let Some(destination) = destination((site, config), named, &around, parts, to_origins)
            else {
                continue;
            };
            let router = paths.router(config.path.depth());
            for pattern in config.path.patterns() {
                router
                    .insert(pattern.as_str(), destination.clone())
                    .map_err(|source| BadPath {
                        path: pattern.clone(),
                        source,
                    })?;
            }
        }
        paths
            .prefixes
            .sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
        Ok(paths)
    }

    /// The router that holds patterns of this depth.
    fn router(&mut self, depth: Option<usize>) -> &mut matchit::Router<Destination> {
        let Some(depth) = depth else {
            return &mut self.exact;
        };
        let known = self.prefixes.iter().position(|(other, _)| *other == depth);
        let index = known.unwrap_or_else(|| {
            self.prefixes.push((depth, matchit::Router::new()));
            self.prefixes.len() - 1
        });
        &mut self.prefixes[index].1
    }

    fn find(&self, path: &str) -> Option<&Destination> {
        let exact = self.exact.at(path).ok();
        let found = exact.or_else(|| {
            self.prefixes
                .iter()
                .find_map(|(_, router)| router.at(path).ok())
        });
        found.map(|found| found.value)
    }
}

/// Where a route leads; `None` where its origin is none, which the configuration's check has made sure
/// of.
fn destination(
    (site, config): (&config::Site, &config::Route),
    named: (&Arc<str>, SiteId),
    around: &Around<'_>,
    parts: &Parts<'_>,
    to_origins: &mut Vec<Arc<Route>>,
) -> Option<Destination> {
    let rules = match config.rules.is_empty() {
        true => around.chain.clone(),
        false => Chain::new(&[around.rules, &compiled(&config.rules, parts)].concat()),
    };
    let scope = || {
        let bounds = parts.bounds.of_route(site, config);
        Scope::new(config, named, bounds, rules.clone())
    };
    let own = |answer| {
        let scope = scope();
        Destination::Own(Arc::new(OwnRoute { scope, answer }))
    };
    Some(match &config.action {
        config::Action::Origin(name) => {
            let mut route = Route::new(config, scope(), (parts.pool)(name)?);
            let chosen = rules.as_ref().map(|it| it.origins()).unwrap_or_default();
            let mut others = Vec::with_capacity(chosen.len());
            for origin in chosen {
                let Some(pool) = (parts.pool)(&origin) else {
                    continue;
                };
                to_origins.push(Arc::new(Route::new(config, scope(), pool)));
                others.push((origin, RouteId(to_origins.len() - 1)));
            }
            route.others = others.into();
            to_origins.push(Arc::new(route));
            Destination::Origin(RouteId(to_origins.len() - 1))
        }
        config::Action::Redirect(it) => own(OwnAnswer::Redirect(it.clone())),
        config::Action::Answer(it) => own(OwnAnswer::fixed(it)),
    })
}

fn compiled(rules: &[config::Rule], parts: &Parts<'_>) -> Vec<Arc<Rule>> {
    let rules = rules.iter().map(|it| Rule::new(it, parts.tally));
    rules.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_no_part_of_a_host() {
        for (authority, host) in [
            ("a.example", "a.example"),
            ("a.example:8080", "a.example"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
        ] {
            assert_eq!(without_port(authority), host);
        }
    }

    #[test]
    fn a_wildcard_does_not_match_its_own_apex() {
        assert!(is_below("a.b.example", ".b.example"));
        assert!(!is_below(".b.example", ".b.example"));
        assert!(!is_below("b.example", ".b.example"));
        assert!(!is_below("xb.example", ".b.example"));
    }
}
