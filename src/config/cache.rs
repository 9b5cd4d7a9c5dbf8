//! `[cache]`, and `cache` of a route: by which rules responses are cached.
//!
//! Not the rules of RFC 9111 themselves: what stands here only bends or bounds them.

use std::time::Duration;

use serde::Deserialize;

use super::Profile;
use super::report::Given;
use super::units::{self, Period};

/// By which rules a route caches.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheRules {
    /// Whether the route caches at all.
    pub enabled: bool,
    /// The lifetime of a response that says nothing about its own.
    pub default_ttl: Duration,
    /// Whether a lifetime is guessed from Last-Modified (RFC 9111 §4.2.2).
    pub heuristic: bool,
    /// Whether a response with Set-Cookie is stored (RFC 9111 §7.3).
    pub store_set_cookie: bool,
    /// Whether a request with Cookie is served from the cache as if it had none.
    pub ignore_cookies: bool,
}

/// `[cache]`, or a route's `cache`, as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCacheRules {
    enabled: Option<bool>,
    pub(super) default_ttl: Given<Period>,
    heuristic: Option<bool>,
    set_cookie: Option<SetCookie>,
    cookies: Option<Cookies>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SetCookie {
    Pass,
    Store,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Cookies {
    Pass,
    Ignore,
}

// === impl CacheRules ===

impl CacheRules {
    /// What holds where nothing is written.
    pub(super) fn of_profile(profile: Profile) -> Self {
        let is_rfc = profile == Profile::Rfc;
        Self {
            enabled: true,
            default_ttl: Duration::ZERO,
            heuristic: is_rfc,
            store_set_cookie: is_rfc,
            ignore_cookies: is_rfc,
        }
    }
}

// === impl RawCacheRules ===

impl RawCacheRules {
    /// What is written here, and `base` for the rest.
    pub(super) fn over(&self, base: &CacheRules) -> CacheRules {
        let store = self.set_cookie.map(|it| it == SetCookie::Store);
        let ignore = self.cookies.map(|it| it == Cookies::Ignore);
        CacheRules {
            enabled: self.enabled.unwrap_or(base.enabled),
            default_ttl: units::period(&self.default_ttl, base.default_ttl),
            heuristic: self.heuristic.unwrap_or(base.heuristic),
            store_set_cookie: store.unwrap_or(base.store_set_cookie),
            ignore_cookies: ignore.unwrap_or(base.ignore_cookies),
        }
    }
}
