//! Caching rules of a route: what the operator says, compiled, and what it makes of a request before it
//! is looked up.
//!
//! What may be stored is judged by `semantics`; here is what is looked for, and under which key.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::COOKIE;

use crate::config;
use crate::semantics::cookies::{self, CookieRule};
use crate::semantics::facet::{CookieClass, Facet, FacetRule};
use crate::semantics::fold::Fold;
use crate::semantics::globs::Globs;
use crate::semantics::policy::Rules;
use crate::semantics::query::QueryRule;
use crate::semantics::tags::TagRule;

/// How responses are cached.
#[derive(Debug)]
pub(in crate::pipeline) struct Caching {
    /// Whether it is done at all.
    pub(in crate::pipeline) enabled: bool,
    pub(in crate::pipeline) rules: Arc<Rules>,
    /// Which fields of responses have tags.
    pub(in crate::pipeline) tags: Arc<TagRule>,
    /// The same for requests in a class of cookies; `None` where there is no class.
    rules_of_class: Option<Arc<Rules>>,
    /// Whether the origin sees cookies that are not in the key.
    pub(super) forwards_cookies: bool,
    /// How long a request waits for the origin before a stale response stands in for its answer.
    pub(in crate::pipeline) stale_after: Duration,
    /// Whether Cache-Control of requests is obeyed.
    pub(in crate::pipeline) obeys_requests: bool,
    pub(in crate::pipeline) on_range: OnRange,
    pub(in crate::pipeline) no_vary_search: bool,
    /// The longest content of a QUERY whose response is stored; zero for none.
    pub(in crate::pipeline) query_content_bytes_max: usize,
    /// Which parameters of the URI are part of the key.
    pub(in crate::pipeline) query: QueryRule,
    /// Whether the origin sees the other parameters too, when it is asked for what may be stored.
    pub(in crate::pipeline) forwards_query: bool,
    /// Which fields and cookies are.
    facet: FacetRule,
    fold: Fold,
    /// Which cookies make a request somebody's own; `None` for none.
    pub(in crate::pipeline) cookies: Option<CookieRule>,
}

/// What a miss with Range asks the origin for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum OnRange {
    /// The whole response.
    Whole,
    /// The same range, which is not stored.
    Pass,
    /// Slices of this length, stored one by one.
    Slice { slice_bytes: u64 },
}

// === impl Caching ===

impl Caching {
    pub(in crate::pipeline) fn new(config: &config::CacheRules) -> Self {
        let (key, fold) = (&config.key, &config.fold);
        let fold = Fold::new(
            &fold.accept_encoding,
            &fold.accept_language,
            fold.user_agent,
        );
        let content_max = usize::try_from(config.query_body_bytes_max);
        Self {
            enabled: config.enabled,
            rules: Arc::new(config.rules.clone()),
            tags: Arc::new(config.tags.clone()),
            rules_of_class: (!key.cookie_classes.is_empty()).then(|| {
                Arc::new(Rules {
                    shared_only: true,
                    ..config.rules.clone()
                })
            }),
            forwards_cookies: config.cookies.forward,
            stale_after: config.stale_after,
            obeys_requests: config.obey_requests,
            on_range: match config.range {
                config::RangeMiss::Whole => OnRange::Whole,
                config::RangeMiss::Pass => OnRange::Pass,
                config::RangeMiss::Slice { slice_bytes } => OnRange::Slice { slice_bytes },
            },
            no_vary_search: config.no_vary_search,
            query_content_bytes_max: content_max.unwrap_or(usize::MAX),
            query: QueryRule::new(key.sort_query, key.query_allow.as_deref(), &key.query_deny),
            forwards_query: key.forward_query,
            facet: FacetRule::new(&key.fields, Globs::new(&key.cookies))
                .with_classes(key.cookie_classes.iter().map(class).collect()),
            // The configuration's check has made sure that it can be done.
            fold: fold.unwrap_or_default(),
            cookies: cookie_rule(&config.cookies),
        }
    }

    /// The cookie, by its name, that might make the answer to a request somebody's own.
    pub(in crate::pipeline) fn personal<'a>(&self, fields: &'a HeaderMap) -> Option<&'a [u8]> {
        let rule = self.cookies.as_ref()?;
        fields
            .contains_key(COOKIE)
            .then(|| rule.personal(fields, self.facet.kept()))?
    }

    /// By which rules the answer to a request is judged that is in a class of cookies, or in none.
    pub(in crate::pipeline) fn rules_of(&self, is_classed: bool) -> &Arc<Rules> {
        let of_class = self.rules_of_class.as_ref().filter(|_| is_classed);
        of_class.unwrap_or(&self.rules)
    }

    /// Whether a request is in a class of cookies.
    pub(in crate::pipeline) fn is_classed(&self, fields: &HeaderMap) -> bool {
        self.rules_of_class.is_some() && self.facet.is_classed(fields)
    }

    /// Takes off a request what must not shape a stored answer, folds what says one thing in many
    /// ways, and tells what beside the URI is part of the key.
    pub(in crate::pipeline) fn reduce(&self, fields: &mut HeaderMap) -> Facet {
        if fields.contains_key(COOKIE) && !self.forwards_cookies {
            // Ignored is ignored: an answer made for one client's cookies must not be stored.
            cookies::keep_only(fields, self.facet.kept());
        }
        if !self.fold.is_noop() {
            self.fold.apply(fields);
        }
        self.facet.facet(fields)
    }
}

fn class((name, cookies): &(Box<str>, Vec<String>)) -> CookieClass {
    CookieClass {
        name: name.clone(),
        cookies: Globs::new(cookies),
    }
}

fn cookie_rule(config: &config::CookieLists) -> Option<CookieRule> {
    let rule = || CookieRule::new(Globs::new(&config.pass), Globs::new(&config.ignore));
    (!config.ignore_all() && !config.forward).then(rule)
}
