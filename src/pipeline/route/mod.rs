//! Hosts and paths to routes: compiled once, looked up without allocating.
//!
//! An exact host stands before a wildcard, the longest wildcard before a shorter one, and `*`
//! last. Within a site the most specific path wins. What is done on a route is for the steps.

pub(super) mod buckets;
pub(super) mod caching;
pub(super) mod concurrency;
mod describe;
pub(super) mod limit;

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config;
use crate::origin::Pool;
use caching::Caching;
pub use describe::Handler;
use limit::{Bounds, RouteBounds};

/// What to do with a request.
pub(in crate::pipeline) struct Route {
    /// Whose requests it is for, as the configuration has them: for people to read.
    pub(in crate::pipeline) hosts: Arc<str>,
    pub(in crate::pipeline) path: Box<str>,
    pub(in crate::pipeline) action: Action,
    pub(in crate::pipeline) strip_prefix: Option<Box<str>>,
    pub(in crate::pipeline) request_fields: Edits,
    pub(in crate::pipeline) response_fields: Edits,
    pub(in crate::pipeline) bounds: RouteBounds,
    pub(in crate::pipeline) caching: Caching,
}

/// Who answers.
pub(in crate::pipeline) enum Action {
    Origin(Arc<Pool>),
    Redirect(config::Redirect),
    Answer(config::Answer),
}

/// Fields to set and to remove.
#[derive(Debug)]
pub(in crate::pipeline) struct Edits {
    set: Box<[(HeaderName, HeaderValue)]>,
    remove: Box<[HeaderName]>,
}

/// All sites' routes.
pub(in crate::pipeline) struct Routes {
    exact: HashMap<Box<str>, Arc<Paths>, foldhash::quality::RandomState>,
    /// Suffixes with their dot, longest first.
    suffixes: Vec<(Box<str>, Arc<Paths>)>,
    any: Option<Arc<Paths>>,
}

/// One site's routes.
struct Paths {
    exact: matchit::Router<Arc<Route>>,
    /// `/*` patterns by their depth, deepest first; see [`config::PathPattern::depth`].
    prefixes: Vec<(usize, matchit::Router<Arc<Route>>)>,
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
    /// Compiles the sites; `pool` finds an origin's pool by name.
    pub(in crate::pipeline) fn build(
        sites: &[config::Site],
        bounds: &Bounds,
        pool: impl Fn(&str) -> Option<Arc<Pool>>,
    ) -> Result<Self, BadPath> {
        let mut routes = Self {
            exact: HashMap::default(),
            suffixes: Vec::new(),
            any: None,
        };
        for site in sites {
            let paths = Arc::new(Paths::build(site, bounds, &pool)?);
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

    /// The route for a normal authority (see [`crate::semantics::key::normal_authority`]) and a
    /// path without query.
    pub(in crate::pipeline) fn find(&self, authority: &str, path: &str) -> Option<&Arc<Route>> {
        self.paths(without_port(authority))?.find(path)
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
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

// === impl Paths ===

impl Paths {
    fn build(
        site: &config::Site,
        bounds: &Bounds,
        pool: &impl Fn(&str) -> Option<Arc<Pool>>,
    ) -> Result<Self, BadPath> {
        let mut paths = Self {
            exact: matchit::Router::new(),
            prefixes: Vec::new(),
        };
        let hosts: Vec<_> = site.hosts.iter().map(written).collect();
        let hosts = Arc::from(hosts.join(", "));
        for config in &site.routes {
            // The configuration's check has made sure that the origin exists.
            let bounds = bounds.of_route(site, config);
            let Some(route) = Route::build(config, &hosts, bounds, pool) else {
                continue;
            };
            let route = Arc::new(route);
            let router = paths.router(config.path.depth());
            for pattern in config.path.patterns() {
                router
                    .insert(pattern.as_str(), Arc::clone(&route))
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
    fn router(&mut self, depth: Option<usize>) -> &mut matchit::Router<Arc<Route>> {
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

    fn find(&self, path: &str) -> Option<&Arc<Route>> {
        let exact = self.exact.at(path).ok();
        let found = exact.or_else(|| {
            self.prefixes
                .iter()
                .find_map(|(_, router)| router.at(path).ok())
        });
        found.map(|found| found.value)
    }
}

// === impl Route ===

impl Route {
    fn build(
        config: &config::Route,
        hosts: &Arc<str>,
        bounds: RouteBounds,
        pool: &impl Fn(&str) -> Option<Arc<Pool>>,
    ) -> Option<Self> {
        let action = match &config.action {
            config::Action::Origin(name) => Action::Origin(pool(name)?),
            config::Action::Redirect(redirect) => Action::Redirect(redirect.clone()),
            config::Action::Answer(answer) => Action::Answer(answer.clone()),
        };
        Some(Self {
            hosts: Arc::clone(hosts),
            path: config.path.to_string().into(),
            action,
            strip_prefix: config.strip_prefix.as_deref().map(Into::into),
            request_fields: Edits::new(&config.request_fields),
            response_fields: Edits::new(&config.response_fields),
            bounds,
            caching: Caching::new(&config.cache),
        })
    }
}

// === impl Edits ===

impl Edits {
    fn new(config: &config::Edits) -> Self {
        Self {
            set: config.set.as_slice().into(),
            remove: config.remove.as_slice().into(),
        }
    }

    /// Removes, then sets.
    pub(in crate::pipeline) fn apply(&self, fields: &mut HeaderMap) {
        for name in &self.remove {
            fields.remove(name);
        }
        for (name, value) in &self.set {
            fields.insert(name.clone(), value.clone());
        }
    }
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
