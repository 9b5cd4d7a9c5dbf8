//! `[store]` and `[cache]`: how much is kept, and by which rules.
//!
//! Not the rules of RFC 9111 themselves: what stands here only bends or bounds them.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use super::Profile;
use super::report::{Given, Report};
use super::units::{self, Count, KIB, MIB, Period, Size};

const MEMORY: RangeInclusive<u64> = 64 * KIB..=1 << 50;
/// The store weighs an object in 32 bits; the last MiB is for its head.
const OBJECT: RangeInclusive<u64> = 1..=4095 * MIB;
const FILL_MEMORY: RangeInclusive<u64> = MIB..=1 << 50;
const VARIANTS: RangeInclusive<usize> = 1..=10_000;
const FOLLOWERS: RangeInclusive<usize> = 0..=1_000_000;
const HIT_FOR_MISS: RangeInclusive<usize> = 0..=100_000_000;

/// How much is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// For complete objects: bodies, heads, keys and index.
    pub memory_bytes: u64,
    /// A larger response is streamed through and not kept.
    pub object_bytes_max: u64,
    /// For objects that are still arriving.
    pub fill_bytes_max: u64,
    /// Responses kept for one URL whose Vary tells them apart (RFC 9111 §4.1).
    pub variants_max: usize,
    /// Requests that may wait for one request to the origin.
    pub followers_max: usize,
    /// How long they wait for its head before they ask themselves.
    pub follower_timeout: Duration,
    /// How long a URL is remembered as not shareable.
    pub hit_for_miss: Duration,
    /// How many such URLs are remembered.
    pub hit_for_miss_max: u64,
    /// Whether a fill goes on when the client that caused it has left.
    pub finish_fill: bool,
}

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

/// `[store]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStore {
    pub(super) memory: Given<Size>,
    object_max: Given<Size>,
    fill_memory: Given<Size>,
    variants_max: Given<Count>,
    followers_max: Given<Count>,
    follower_timeout: Given<Period>,
    hit_for_miss: Given<Period>,
    hit_for_miss_max: Given<Count>,
    finish_fill: Option<bool>,
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

// === impl RawStore ===

impl RawStore {
    pub(super) fn resolve(&self, report: &mut Report) -> Store {
        let memory_bytes = units::bytes(&self.memory, 256 * MIB, MEMORY, report);
        let (object_bytes_max, fill_bytes_max) = self.resolve_limits(memory_bytes, report);
        let hit_for_miss_max =
            units::count(&self.hit_for_miss_max, 65_536, HIT_FOR_MISS, report) as u64;
        Store {
            memory_bytes,
            object_bytes_max,
            fill_bytes_max,
            variants_max: units::count(&self.variants_max, 32, VARIANTS, report),
            followers_max: units::count(&self.followers_max, 10_000, FOLLOWERS, report),
            follower_timeout: units::timeout(&self.follower_timeout, 65, report),
            hit_for_miss: units::period(&self.hit_for_miss, Duration::from_secs(120)),
            hit_for_miss_max,
            finish_fill: self.finish_fill.unwrap_or(true),
        }
    }

    /// `object_max` and `fill_memory`: each default gives way to the other's written value, since
    /// an object must have room while it arrives.
    fn resolve_limits(&self, memory: u64, report: &mut Report) -> (u64, u64) {
        let written = |given: &Given<Size>| given.as_ref().map(|it| it.get_ref().0);
        let default_fill = (memory / 4)
            .max(written(&self.object_max).unwrap_or(MIB))
            .max(MIB);
        let fill = units::bytes(&self.fill_memory, default_fill, FILL_MEMORY, report);
        let default_object = (memory / 8).min(fill).min(*OBJECT.end());
        let object = units::bytes(&self.object_max, default_object, OBJECT, report);
        if let Some(given) = &self.object_max {
            if object > memory {
                report.at(
                    given.span(),
                    "is more than `memory`; lower it or raise that",
                );
            } else if object > fill {
                let text = "is more than `fill_memory`, so that it could never arrive; raise that";
                report.at(given.span(), text);
            }
        }
        (object, fill)
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
