//! `key` of `[cache]`: which parts of a request tell objects apart.
//!
//! Not the key itself, which scheme, authority and path are always part of.

use std::collections::BTreeMap;

use http::header::{self, HeaderName};
use serde::Deserialize;
use toml::Spanned;

use super::cookies;
use super::fields;
use super::names::{self, RawNames};
use super::report::{Given, Report};
use crate::semantics::headers;

/// Which parts of a request tell objects apart, beyond scheme, authority and path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheKey {
    /// Whether the order of query parameters makes no difference.
    pub sort_query: bool,
    /// The query parameters that count, by name or by the front of names and `*`; `None` for all.
    pub query_allow: Option<Vec<String>>,
    /// Those that do not count, even if allowed.
    pub query_deny: Vec<String>,
    /// Whether the origin sees the other query parameters as well.
    pub forward_query: bool,
    /// Request fields whose values are part of the key.
    pub fields: Vec<HeaderName>,
    /// Cookies whose values are part of the key, by name or by glob.
    pub cookies: Vec<String>,
    /// Classes of cookies, of which only it counts whether one is there; by their names.
    pub cookie_classes: Vec<(Box<str>, Vec<String>)>,
}

/// Lists of cookies by the names of their classes.
type RawClasses = BTreeMap<Spanned<String>, Spanned<Vec<Spanned<String>>>>;

/// `key` as written.
#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCacheKey {
    query: Option<Query>,
    query_allow: RawNames,
    query_deny: RawNames,
    query_forward: Option<Forward>,
    fields: RawNames,
    cookies: RawNames,
    cookie_classes: Given<RawClasses>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Query {
    Exact,
    Sort,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Forward {
    Key,
    All,
}

// === impl RawCacheKey ===

impl RawCacheKey {
    /// What is written here, and `base` for the rest.
    pub(super) fn over(&self, base: &CacheKey, report: &mut Report) -> CacheKey {
        let sort_query = self.query.map(|it| it == Query::Sort);
        let forward_query = self.query_forward.map(|it| it == Forward::All);
        let allow = self
            .query_allow
            .is_some()
            .then(|| names::over(&self.query_allow, &[], names::parameter, report));
        CacheKey {
            sort_query: sort_query.unwrap_or(base.sort_query),
            query_allow: allow.or_else(|| base.query_allow.clone()),
            query_deny: names::over(&self.query_deny, &base.query_deny, names::parameter, report),
            forward_query: forward_query.unwrap_or(base.forward_query),
            fields: names::over(&self.fields, &base.fields, key_field, report),
            cookies: names::over(&self.cookies, &base.cookies, names::key_cookies, report),
            cookie_classes: self.classes_over(&base.cookie_classes, report),
        }
    }

    fn classes_over(
        &self,
        base: &[(Box<str>, Vec<String>)],
        report: &mut Report,
    ) -> Vec<(Box<str>, Vec<String>)> {
        let Some(written) = &self.cookie_classes else {
            return base.to_vec();
        };
        let mut classes = Vec::new();
        for (name, cookies) in written.get_ref() {
            names::check_label(name, "classes", report);
            let resolved = cookies::globs(cookies.get_ref(), names::key_cookies, report);
            if cookies.get_ref().is_empty() {
                report.at(cookies.span(), "has no cookie; write one, as \"session*\"");
            }
            classes.push((name.get_ref().as_str().into(), resolved));
        }
        classes
    }
}

/// Whether a field says where a request came from or goes to: the client's own is not believed.
fn is_of_proxy(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-forwarded-")
        || headers::STEERING.contains(name)
        || [header::FORWARDED, header::VIA].contains(name)
        || name == "x-real-ip"
}

/// The name of a field that can be part of a key, or what is wrong with it and how to mend it.
fn key_field(text: &str) -> Result<HeaderName, &'static str> {
    let name = names::field(text)?;
    if fields::is_of_connection(&name) || name == "proxy-connection" {
        return Err("belongs to the connection and says nothing about the response; leave it out");
    }
    if is_of_proxy(&name) {
        return Err(
            "is written or removed by the proxy, so the origin never sees the client's; \
                    leave it out",
        );
    }
    match name {
        header::HOST => Err("is part of every key already; leave it out"),
        header::COOKIE => {
            Err("is another for each visitor; name the cookies that matter in `cookies`")
        }
        // RFC 9110 §13.1 and §14.2: these are about a response that has been chosen already.
        header::RANGE
        | header::IF_RANGE
        | header::IF_MATCH
        | header::IF_NONE_MATCH
        | header::IF_MODIFIED_SINCE
        | header::IF_UNMODIFIED_SINCE => {
            Err("asks for a part or a check of a response, not for another one; leave it out")
        }
        // RFC 9111 §5.2.1 and §5.4.
        header::CACHE_CONTROL | header::PRAGMA => {
            Err("says how the cache may be used; leave it out and see `request_directives`")
        }
        name => Ok(name),
    }
}
