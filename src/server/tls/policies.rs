//! Policies of client certificates by the host that is asked for.
//!
//! The name of a handshake (SNI) is looked up here; a request's host is the pipeline's to look up.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{ClientAuth, HostPattern, Site};

/// What sites say of client certificates, where they say anything.
#[derive(Clone, Debug, Default)]
pub(super) struct SitePolicies {
    exact: HashMap<String, Option<Arc<ClientAuth>>>,
    /// `.shop.example`, the longest first.
    suffixes: Vec<(String, Option<Arc<ClientAuth>>)>,
    any: Option<Arc<ClientAuth>>,
}

// === impl SitePolicies ===

impl SitePolicies {
    pub(super) fn of(sites: &[Site]) -> Self {
        let mut policies = Self::default();
        for site in sites {
            for host in &site.hosts {
                let auth = site.client_auth.clone();
                match host {
                    HostPattern::Exact(host) => {
                        policies.exact.insert(host.clone(), auth);
                    }
                    HostPattern::Suffix(suffix) => policies.suffixes.push((suffix.clone(), auth)),
                    HostPattern::Any => policies.any = auth,
                }
            }
        }
        policies
            .suffixes
            .sort_by_key(|it| std::cmp::Reverse(it.0.len()));
        policies
    }

    /// What holds for this name; `None` for what the listener says. A client that names none may
    /// mean any.
    pub(super) fn find(&self, name: Option<&str>) -> Option<&Arc<ClientAuth>> {
        let Some(name) = name else {
            return self.any.as_ref();
        };
        if let Some(found) = self.exact.get(name) {
            return found.as_ref();
        }
        let mut suffixes = self.suffixes.iter();
        match suffixes.find(|(suffix, _)| name.ends_with(suffix.as_str())) {
            Some((_, found)) => found.as_ref(),
            None => self.any.as_ref(),
        }
    }

    /// Each that there is, some perhaps more than once.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<ClientAuth>> {
        let suffixes = self.suffixes.iter().map(|it| &it.1);
        self.exact
            .values()
            .chain(suffixes)
            .chain([&self.any])
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(host: &str, ca: Option<&str>) -> Site {
        let hosts = match host.strip_prefix('*') {
            Some("") => HostPattern::Any,
            Some(suffix) => HostPattern::Suffix(suffix.to_owned()),
            None => HostPattern::Exact(host.to_owned()),
        };
        let auth = |ca: &str| ClientAuth {
            ca: ca.into(),
            ..ClientAuth::default()
        };
        Site {
            hosts: vec![hosts],
            client_auth: ca.map(auth).map(Arc::new),
            limits: vec![],
            rules: Vec::new(),
            routes: vec![],
        }
    }

    #[test]
    fn the_nearest_site_decides() {
        let policies = SitePolicies::of(&[
            site("*", Some("any")),
            site("*.a.example", Some("a")),
            site("*.b.a.example", None),
            site("x.b.a.example", Some("x")),
        ]);
        for (name, ca) in [
            (None, Some("any")),
            (Some("other"), Some("any")),
            (Some("a.example"), Some("any")),
            (Some("y.a.example"), Some("a")),
            (Some("y.b.a.example"), None),
            (Some("x.b.a.example"), Some("x")),
        ] {
            assert_eq!(policies.find(name).map(|it| &*it.ca), ca, "{name:?}");
        }
        assert_eq!(policies.all().count(), 3);
    }
}
