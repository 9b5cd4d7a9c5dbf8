//! `[cache]`, and `cache` of a route: by which rules responses are cached.
//!
//! Not the rules of RFC 9111 themselves: what stands here only bends or bounds them. The tables
//! within are read by `cookies.rs`, `key.rs`, `fold.rs` and `status_ttl.rs`.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderName;
use serde::Deserialize;

use crate::semantics::policy::Rules;
use crate::semantics::tags::TagRule;

use super::Profile;
use super::cookies::{self, CookieLists, RawCookies};
use super::fold::{Fold, RawFold};
use super::key::{CacheKey, RawCacheKey};
use super::names::{self, RawNames};
use super::report::{Given, Report};
use super::status_ttl::{self, RawStatusTtl};
use super::table::Table;
use super::tags::RawTags;
use super::units::{self, KIB, MIB, Period, Size};

const SLICE: RangeInclusive<u64> = 64 * KIB..=64 * MIB;
/// The body of a QUERY is held in memory until its hash is known.
const QUERY_BODY: RangeInclusive<u64> = 0..=MIB;

/// By which rules a route caches.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheRules {
    /// Whether the route caches at all.
    pub enabled: bool,
    /// What may be stored and for how long.
    pub rules: Rules,
    /// How long a request waits for an origin before a stale response that may stand in for it is
    /// served.
    pub stale_after: Duration,
    /// Which cookies make a request somebody's own; one without these is served as if it had none
    /// but those of the key.
    pub cookies: CookieLists,
    /// Whether the directives of requests are obeyed (RFC 9111 §5.2.1). `only-if-cached` always is.
    pub obey_requests: bool,
    /// What a miss with Range asks the origin for.
    pub range: RangeMiss,
    /// Whether a response's No-Vary-Search is honoured.
    pub no_vary_search: bool,
    /// The largest body of a QUERY whose response is stored; 0 stores none.
    pub query_body_bytes_max: u64,
    /// Which parts of a request tell objects apart.
    pub key: CacheKey,
    /// Which request fields are reduced to what matters.
    pub fold: Fold,
    /// Which fields of responses have tags.
    pub tags: TagRule,
}

/// What a request with Range (RFC 9110 §14.2) asks the origin for when nothing is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeMiss {
    /// For the whole response, of which the client gets its part.
    Whole,
    /// For the same range; the answer is not stored.
    Pass,
    /// For the slices that hold the range, each stored by itself.
    Slice {
        /// The length of all slices but the last.
        slice_bytes: u64,
    },
}

/// What a `cache` table is laid over.
pub(super) struct CacheBase {
    pub(super) rules: CacheRules,
    /// Counts as soon as `range` says so, be it in a table above.
    slice_bytes: u64,
}

/// `[cache]`, or a route's `cache`, as written.
#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCacheRules {
    enabled: Given<bool>,
    ttl: Given<Period>,
    pub(super) default_ttl: Given<Period>,
    status_ttl: Option<RawStatusTtl>,
    error_ttl_max: Given<Period>,
    heuristic: Option<bool>,
    heuristic_max: Given<Period>,
    targeted: RawNames,
    grace: Given<Period>,
    default_grace: Given<Period>,
    stale_if_error: Given<Period>,
    sick_grace: Given<Period>,
    stale_after: Given<Period>,
    keep: Given<Period>,
    set_cookie: Option<SetCookie>,
    cookies: RawCookies,
    authorization: Option<Authorization>,
    must_revalidate: Option<MustRevalidate>,
    request_directives: Option<RequestDirectives>,
    range: Option<Range>,
    slice_size: Given<Size>,
    no_vary_search: Option<bool>,
    query_body_max: Given<Size>,
    key: Table<RawCacheKey>,
    fold: Table<RawFold>,
    tags: Table<RawTags>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SetCookie {
    Pass,
    Store,
    Drop,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Authorization {
    Rfc,
    Share,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MustRevalidate {
    Obey,
    Ignore,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RequestDirectives {
    Ignore,
    Obey,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Range {
    Whole,
    Pass,
    Slice,
}

// === impl CacheRules ===

impl CacheRules {
    /// What holds where nothing is written.
    fn of_profile(profile: Profile) -> Self {
        Self {
            enabled: true,
            rules: rules_of_profile(profile),
            stale_after: Duration::from_secs(5),
            cookies: match profile {
                Profile::Rfc => CookieLists::ignoring_all(),
                Profile::Cautious => CookieLists::default(),
            },
            obey_requests: false,
            range: RangeMiss::Whole,
            no_vary_search: true,
            query_body_bytes_max: 64 * KIB,
            key: CacheKey::default(),
            fold: Fold::default(),
            tags: TagRule::default(),
        }
    }
}

fn rules_of_profile(profile: Profile) -> Rules {
    let is_rfc = profile == Profile::Rfc;
    Rules {
        error_ttl_max: (!is_rfc).then_some(Duration::from_secs(10)),
        heuristic: true,
        // As long as Varnish keeps what says nothing of its lifetime.
        heuristic_max: match is_rfc {
            true => Duration::from_secs(86_400),
            false => Duration::from_secs(120),
        },
        targets: vec![HeaderName::from_static("cdn-cache-control")],
        stale_if_error: Duration::from_secs(3_600),
        keep: Duration::from_secs(86_400),
        store_set_cookie: is_rfc,
        ..Rules::default()
    }
}

// === impl CacheBase ===

impl CacheBase {
    /// What `[cache]` is laid over.
    pub(super) fn of_profile(profile: Profile) -> Self {
        Self {
            rules: CacheRules::of_profile(profile),
            slice_bytes: MIB,
        }
    }
}

// === impl RawCacheRules ===

impl RawCacheRules {
    /// What is written here, and `base` for the rest.
    pub(super) fn over(&self, base: &CacheBase, report: &mut Report) -> CacheBase {
        let slice_bytes = units::bytes(&self.slice_size, base.slice_bytes, SLICE, report);
        let base = &base.rules;
        let obey = self
            .request_directives
            .map(|it| it == RequestDirectives::Obey);
        let enabled = self.enabled.as_ref().map(|it| *it.get_ref());
        let query_body = base.query_body_bytes_max;
        let cookies = cookies::over(&self.cookies, &base.cookies, report);
        let rules = CacheRules {
            enabled: enabled.unwrap_or(base.enabled),
            rules: Rules {
                shared_only: cookies.forward,
                ..self.rules_over(&base.rules, report)
            },
            stale_after: units::period(&self.stale_after, base.stale_after),
            cookies,
            obey_requests: obey.unwrap_or(base.obey_requests),
            range: self.range_over(base.range, slice_bytes),
            no_vary_search: self.no_vary_search.unwrap_or(base.no_vary_search),
            query_body_bytes_max: units::bytes(
                &self.query_body_max,
                query_body,
                QUERY_BODY,
                report,
            ),
            key: self.key.over(&base.key, report),
            fold: self.fold.over(&base.fold, report),
            tags: self.tags.over(&base.tags, report),
        };
        CacheBase { rules, slice_bytes }
    }

    fn rules_over(&self, base: &Rules, report: &mut Report) -> Rules {
        let status_ttl = self.status_ttl.as_ref();
        let store_set_cookie = self.set_cookie.map(|it| it == SetCookie::Store);
        let drop_set_cookie = self.set_cookie.map(|it| it == SetCookie::Drop);
        let share = self.authorization.map(|it| it == Authorization::Share);
        let lift = self.must_revalidate.map(|it| it == MustRevalidate::Ignore);
        Rules {
            ttl: units::given_period(&self.ttl).or(base.ttl),
            default_ttl: units::period(&self.default_ttl, base.default_ttl),
            status_ttl: status_ttl.map_or(base.status_ttl.clone(), |it| {
                status_ttl::resolve(it, report)
            }),
            error_ttl_max: units::given_period(&self.error_ttl_max).or(base.error_ttl_max),
            heuristic: self.heuristic.unwrap_or(base.heuristic),
            heuristic_max: units::period(&self.heuristic_max, base.heuristic_max),
            targets: names::over(&self.targeted, &base.targets, targeted_field, report),
            grace: units::given_period(&self.grace).or(base.grace),
            default_grace: units::period(&self.default_grace, base.default_grace),
            stale_if_error: units::period(&self.stale_if_error, base.stale_if_error),
            sick_grace: units::given_period(&self.sick_grace).or(base.sick_grace),
            keep: units::period(&self.keep, base.keep),
            store_set_cookie: store_set_cookie.unwrap_or(base.store_set_cookie),
            drop_set_cookie: drop_set_cookie.unwrap_or(base.drop_set_cookie),
            shared_only: base.shared_only,
            share_authorized: share.unwrap_or(base.share_authorized),
            lift_must_revalidate: lift.unwrap_or(base.lift_must_revalidate),
        }
    }

    fn range_over(&self, base: RangeMiss, slice_bytes: u64) -> RangeMiss {
        match (self.range, base) {
            (Some(Range::Whole), _) | (None, RangeMiss::Whole) => RangeMiss::Whole,
            (Some(Range::Pass), _) | (None, RangeMiss::Pass) => RangeMiss::Pass,
            (Some(Range::Slice), _) | (None, RangeMiss::Slice { .. }) => {
                RangeMiss::Slice { slice_bytes }
            }
        }
    }

    /// Rules of a route beside its own `enabled = false`, where nothing can make them act. In
    /// `[cache]` they are for the routes that switch caching on.
    pub(super) fn check_has_effect(&self, report: &mut Report) {
        let Some(off) = self.enabled.as_ref().filter(|it| !it.get_ref()) else {
            return;
        };
        let alone = Self {
            enabled: Some(off.clone()),
            ..Self::default()
        };
        if *self != alone {
            let text = "leaves the other keys of this table without effect; leave those out, or \
                        this";
            report.at(off.span(), text);
        }
    }
}

/// The name of a field for caches like this one, or what is wrong with it and how to mend it.
fn targeted_field(text: &str) -> Result<HeaderName, &'static str> {
    match names::field(text)? {
        // RFC 9213 §2.2: where no targeted field is valid, the cache falls back to Cache-Control.
        http::header::CACHE_CONTROL => {
            Err("counts anyway where none of these is sent; leave it out")
        }
        name => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use crate::semantics::policy::Statuses;

    use super::super::parse;
    use super::*;

    /// The least that is a configuration but for `[cache]`.
    const MINIMAL: &str = "\
[[listen]]
address = \"127.0.0.1:8080\"
[origins.a]
servers = [\"http://127.0.0.1:8081\"]
[[site]]
hosts = [\"*\"]
origin = \"a\"
";

    /// The rules of a route whose `cache` has these lines, below a `[cache]` with those.
    fn cache_rules(base: &str, own: &str) -> CacheRules {
        let route = "[[site.route]]\npath = \"/x\"\norigin = \"a\"\n[site.route.cache]\n";
        let text = format!("[cache]\n{base}\n{MINIMAL}{route}{own}\n");
        let config = parse(&text, "f").unwrap_or_else(|told| panic!("{told}"));
        config.sites[0].routes[0].cache.clone()
    }

    const EVERY_RULE: &str = r#"
enabled = false
ttl = "1m"
default_ttl = "2m"
status_ttl = { "4xx" = "5s", 404 = "10s", "301" = "1h" }
error_ttl_max = "3m"
heuristic = true
heuristic_max = "8m"
targeted = ["Copal-Cache-Control", "cdn-cache-control"]
grace = "4m"
default_grace = "5m"
stale_if_error = "6m"
sick_grace = "9m"
stale_after = "10m"
keep = "7m"
set_cookie = "store"
authorization = "share"
must_revalidate = "ignore"
cookies = { pass = ["a*"], ignore = ["b"] }
request_directives = "obey"
range = "slice"
slice_size = "2MiB"
no_vary_search = false
query_body_max = 0
key = { query = "sort", query_allow = ["a*"], query_deny = ["ab"], query_forward = "all", fields = ["X-A"], cookies = ["b"], cookie_classes = { c = ["d*"] } }
fold = { accept_encoding = ["GZIP"], accept_language = ["en"], user_agent = true }
tags = { fields = ["X-Tags"], max = 10, show = true, purged_by = ["X-Purge"] }
"#;

    #[test]
    fn every_rule_can_be_written_in_both_places() {
        let minutes = |it: u64| Duration::from_secs(60 * it);
        let text = |it: &str| vec![it.to_owned()];
        let status_ttl = vec![
            (Statuses::One(301), minutes(60)),
            (Statuses::One(404), Duration::from_secs(10)),
            (Statuses::Class(4), Duration::from_secs(5)),
        ];
        let wanted = CacheRules {
            enabled: false,
            rules: Rules {
                ttl: Some(minutes(1)),
                default_ttl: minutes(2),
                status_ttl,
                error_ttl_max: Some(minutes(3)),
                heuristic: true,
                heuristic_max: minutes(8),
                targets: ["copal-cache-control", "cdn-cache-control"]
                    .map(HeaderName::from_static)
                    .to_vec(),
                grace: Some(minutes(4)),
                default_grace: minutes(5),
                stale_if_error: minutes(6),
                sick_grace: Some(minutes(9)),
                keep: minutes(7),
                store_set_cookie: true,
                drop_set_cookie: false,
                shared_only: false,
                share_authorized: true,
                lift_must_revalidate: true,
            },
            stale_after: minutes(10),
            cookies: CookieLists {
                pass: text("a*"),
                ignore: text("b"),
                forward: false,
            },
            obey_requests: true,
            range: RangeMiss::Slice {
                slice_bytes: 2 << 20,
            },
            no_vary_search: false,
            query_body_bytes_max: 0,
            key: CacheKey {
                sort_query: true,
                query_allow: Some(text("a*")),
                query_deny: text("ab"),
                forward_query: true,
                fields: vec![HeaderName::from_static("x-a")],
                cookies: text("b"),
                cookie_classes: vec![("c".into(), text("d*"))],
            },
            fold: Fold {
                accept_encoding: text("gzip"),
                accept_language: text("en"),
                user_agent: true,
            },
            tags: TagRule {
                fields: vec![HeaderName::from_static("x-tags")],
                max: 10,
                shown: true,
                purged_by: vec![HeaderName::from_static("x-purge")],
            },
        };
        assert_eq!(cache_rules(EVERY_RULE, ""), wanted);
        // Beside its own `enabled = false` a route can have no rules.
        let enabled = EVERY_RULE.replace("enabled = false", "enabled = true");
        let wanted = CacheRules {
            enabled: true,
            ..wanted
        };
        assert_eq!(cache_rules("", &enabled), wanted);
        assert_eq!(cache_rules(EVERY_RULE, "enabled = true"), wanted);
    }

    #[test]
    fn a_route_overrides_the_base_key_by_key() {
        let second = Duration::from_secs(1);
        let base = "status_ttl = { 404 = \"1s\" }\nslice_size = \"2MiB\"\n\
                    key = { query = \"sort\", cookies = [\"b\"] }\n\
                    fold = { accept_encoding = [], user_agent = true }";
        let own = "status_ttl = { \"5xx\" = \"1s\" }\nrange = \"slice\"\n\
                   key = { cookies = [], query_allow = [] }\nfold.accept_language = [\"en\"]";
        let rules = cache_rules(base, own);
        assert_eq!(rules.rules.status_ttl, [(Statuses::Class(5), second)]);
        let slice_bytes = 2 << 20;
        assert_eq!(rules.range, RangeMiss::Slice { slice_bytes });
        assert!(rules.key.sort_query && rules.key.cookies.is_empty());
        assert_eq!(rules.key.query_allow, Some(Vec::new()));
        assert!(rules.fold.user_agent && rules.fold.accept_encoding.is_empty());
        assert_eq!(rules.fold.accept_language, ["en"]);
        let below = cache_rules("range = \"slice\"", "slice_size = \"64KiB\"");
        let slice_bytes = 64 << 10;
        assert_eq!(below.range, RangeMiss::Slice { slice_bytes });
        let whole = cache_rules("range = \"slice\"", "range = \"whole\"");
        assert_eq!(whole.range, RangeMiss::Whole);
    }
}
