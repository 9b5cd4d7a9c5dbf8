//! `[[site]]`: which hosts lead to which routes.
//!
//! Not the routes themselves (`route.rs`).

use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::around::Around;
use super::cache::CacheBase;
use super::care::Care;
use super::exchange_limits::RawExchangeLimits;
use super::gate::{RawBasicAuth, RawErrorPages, RawGate, RawMaintenance, RawRedirects};
use super::host;
use super::https::RawHsts;
use super::limit;
use super::path_form::{self, RawPathForm};
use super::report::{Given, Place, Report};
use super::route::{RawRoute, Route};
use super::rule::{RawRules, Rule};
use super::table::Written;
use super::text_or::TextOr;
use super::tls::{ClientAuth, RawSiteTls};
use super::units::{Period, Size};

/// Routes for some hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Which hosts it is for; no two sites share one.
    pub hosts: Vec<HostPattern>,
    /// Whether its clients show certificates; `None` for what their listener says.
    pub client_auth: Option<Arc<ClientAuth>>,
    /// Names of the limits that hold for all of it.
    pub limits: Vec<Arc<str>>,
    /// Its routes in the order written; no two have the same path.
    pub routes: Vec<Route>,
    /// What is done where conditions hold, behind the rules of the top.
    pub rules: Vec<Rule>,
}

/// Which hosts a site is for. An exact host comes before the longest fitting suffix, and that
/// before any host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host, in lower case and without a port; an IPv6 address has its brackets.
    Exact(String),
    /// `.shop.example`, with its dot, for `*.shop.example`: any longer host that ends with this, at
    /// any depth, so not `shop.example` itself.
    Suffix(String),
    /// Any host.
    Any,
}

/// One `[[site]]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSite {
    pub(super) hosts: Given<Vec<Spanned<String>>>,
    pub(super) origin: Given<String>,
    pub(super) tls: Option<Written<RawSiteTls>>,
    pub(super) https_only: Option<bool>,
    pub(super) hsts: Given<TextOr<RawHsts>>,
    pub(super) allow: Given<Vec<Spanned<String>>>,
    pub(super) deny: Vec<Spanned<String>>,
    pub(super) redirects: Given<TextOr<RawRedirects>>,
    pub(super) maintenance: Given<RawMaintenance>,
    pub(super) basic_auth: Given<TextOr<RawBasicAuth>>,
    pub(super) error_pages: RawErrorPages,
    pub(super) error_json: Option<bool>,
    pub(super) intercept: Given<Vec<Spanned<String>>>,
    pub(super) limit: Vec<Spanned<String>>,
    pub(super) path_form: Given<RawPathForm>,
    pub(super) body_bytes_max: Given<Size>,
    pub(super) body_timeout: Given<Period>,
    pub(super) receive_rate_min: Given<Size>,
    pub(super) first_byte_timeout: Given<Period>,
    pub(super) between_bytes_timeout: Given<Period>,
    pub(super) tunnel_idle_timeout: Given<Period>,
    pub(super) tunnel_lifetime: Given<Period>,
    pub(super) route: Vec<Written<RawRoute>>,
    pub(super) rule: RawRules,
}

// === impl HostPattern ===

impl HostPattern {
    /// What is written, or what is wrong with it and how to mend it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORMS: &str = "`*` stands alone or before a dot, as \"*.shop.example\"";
        if text == "*" {
            return Ok(Self::Any);
        }
        if text.starts_with('~') || text.contains(['\\', '^', '(', '|', '$']) {
            return Err("hosts are no regular expressions; write each, or \"*.shop.example\"");
        }
        if text.starts_with('.') {
            return Err("subdomains are written with a star, as \"*.shop.example\"");
        }
        let suffix = text.strip_prefix("*.");
        if suffix.unwrap_or(text).contains('*') {
            return Err(FORMS);
        }
        match suffix {
            Some(suffix) => Ok(Self::Suffix(format!(".{}", host::parse(suffix)?))),
            None => Ok(Self::Exact(host::parse(text)?)),
        }
    }
}

// === impl RawSite ===

impl RawSite {
    /// Gives the site's origin to the routes that name none, and to a route for all other paths.
    /// Complains of an origin that is left over.
    pub(super) fn write_out(&mut self, report: &mut Report) {
        let Some(origin) = self.origin.take() else {
            return;
        };
        let mut is_used = false;
        for route in &mut self.route {
            is_used |= route.get_mut().take_origin(&origin);
        }
        let mut routes = self.route.iter();
        if !routes.any(|route| route.get_ref().is_for_all_paths()) {
            self.route.push(RawRoute::everything_to(origin));
        } else if !is_used {
            let text = "has no effect: each route says itself who answers; leave it out";
            report.at(origin.span(), text);
        }
    }

    pub(super) fn resolve(
        raw: &Written<Self>,
        cache: &CacheBase,
        around: &Around<'_>,
        care: Care<'_>,
        report: &mut Report,
    ) -> Site {
        let place = raw.span();
        let raw = raw.get_ref();
        let lost = ["route", "origin"]
            .iter()
            .any(|key| report.has_lost(&place, key));
        if raw.route.is_empty() && !lost {
            report.at(
                place.clone(),
                "has no route; add a [[site.route]], or `origin` for one",
            );
        }
        let hosts = raw.resolve_hosts(place, report);
        let around = Around {
            limits: raw.limits_of_exchanges().over(&around.limits, report),
            path_rule: path_form::over(&raw.path_form, around.path_rule, report),
            https: around.https.over(raw.https_only, &raw.hsts, report),
            gate: raw.gate().over(&around.gate, around.lists, report),
            lists: around.lists,
        };
        let routes = raw
            .route
            .iter()
            .filter_map(|route| RawRoute::resolve(route, cache, &around, report))
            .collect();
        let limits = limit::names(&raw.limit);
        let tls = raw.tls.as_ref();
        let client_auth = tls.and_then(|it| it.get_ref().resolve(it.span(), care, report));
        Site {
            hosts,
            client_auth: client_auth.map(Arc::new),
            limits,
            routes,
            // They come when all routes are known.
            rules: Vec::new(),
        }
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

    fn resolve_hosts(&self, place: Place, report: &mut Report) -> Vec<HostPattern> {
        let Some(list) = &self.hosts else {
            report.missing(
                place,
                "hosts",
                "is missing; write `hosts = [\"*\"]` for any host",
            );
            return Vec::new();
        };
        if list.get_ref().is_empty() {
            report.at(list.span(), "is empty; write [\"*\"] for any host");
        }
        let mut hosts = Vec::new();
        for text in list.get_ref() {
            match HostPattern::parse(text.get_ref()) {
                Ok(host) => hosts.push(host),
                Err(complaint) => report.at(text.span(), complaint),
            }
        }
        hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_patterns() {
        let exact = |it: &str| Some(HostPattern::Exact(it.to_owned()));
        for (text, pattern) in [
            ("*", Some(HostPattern::Any)),
            ("Shop.example", exact("shop.example")),
            ("[::1]", exact("[::1]")),
            (
                "*.Shop.example",
                Some(HostPattern::Suffix(".shop.example".to_owned())),
            ),
            (".shop.example", None),
            ("*shop.example", None),
            ("a.*.example", None),
            ("*.*.example", None),
            ("*.", None),
            ("shop.example:80", None),
            ("http://shop.example", None),
            ("", None),
        ] {
            assert_eq!(HostPattern::parse(text).ok(), pattern, "{text}");
        }
    }
}
