//! Routes: whose requests they are for, what is done on them, and by which rules.
//!
//! Hosts and paths are looked up in `table.rs`; how a route's responses are cached, how often its
//! clients may ask and how many requests may be under way is each told in a file of its own. What is
//! done with a request is for the steps.

pub(super) mod buckets;
pub(super) mod caching;
pub(super) mod concurrency;
mod describe;
mod edits;
pub(super) mod limit;
pub(super) mod rules;
mod table;

use std::sync::Arc;

pub use describe::Handler;
pub(super) use describe::describe;
pub(super) use edits::{Edits, declare};
pub use table::BadPath;
pub(super) use table::{Destination, Parts, RouteId, Routes, without_port};

use crate::config::{self, ExchangeLimits};
use crate::origin::{Pool, Timeouts};
use crate::semantics::path_form::PathRule;
use crate::telemetry::SiteId;
use caching::Caching;
use limit::RouteBounds;
use rules::Chain;

/// A route to an origin.
pub(super) struct Route {
    pub(super) scope: Scope,
    pub(super) pool: Arc<Pool>,
    pub(super) strip_prefix: Option<Box<str>>,
    /// The protocols that clients may go on with.
    pub(super) upgrade: Box<[Box<str>]>,
    pub(super) request_fields: Edits,
    /// How long servers may be silent, where the route says it.
    pub(super) timeouts: Option<Timeouts>,
    pub(super) caching: Caching,
    /// The same route to the origins that its rules may choose, by their names.
    pub(super) others: Box<[(Arc<str>, RouteId)]>,
}

/// A route that is answered here, without an origin.
pub(super) struct OwnRoute {
    pub(super) scope: Scope,
    pub(super) answer: OwnAnswer,
}

/// What is answered.
pub(super) enum OwnAnswer {
    Redirect(config::Redirect),
    Fixed(config::Answer, Edits),
}

/// What every route has.
pub(super) struct Scope {
    /// Whose requests it is for, as the configuration has them: for people to read.
    pub(super) hosts: Arc<str>,
    /// By which its requests are counted.
    pub(super) site: SiteId,
    pub(super) path: Box<str>,
    /// How the spelling of its paths is taken.
    pub(super) path_rule: PathRule,
    pub(super) bounds: RouteBounds,
    pub(super) exchange_limits: ExchangeLimits,
    pub(super) https: config::Https,
    /// What stands before its action; `None` where nothing does.
    pub(super) gate: Option<Box<config::Gate>>,
    pub(super) response_fields: Edits,
    /// What is done where conditions hold; `None` without rules.
    pub(super) rules: Option<Arc<Chain>>,
}

// === impl OwnAnswer ===

impl OwnAnswer {
    fn fixed(config: &config::Answer) -> Self {
        let filled = Edits::new(&config::Edits {
            filled: config.filled.clone(),
            ..config::Edits::default()
        });
        Self::Fixed(config.clone(), filled)
    }
}

// === impl Route ===

impl Route {
    fn new(config: &config::Route, scope: Scope, pool: Arc<Pool>) -> Self {
        Self {
            scope,
            timeouts: timeouts(&config.exchange_limits, pool.timeouts()),
            pool,
            strip_prefix: config.strip_prefix.as_deref().map(Into::into),
            upgrade: config.upgrade.iter().map(|it| it.as_str().into()).collect(),
            request_fields: Edits::new(&config.request_fields),
            caching: Caching::new(&config.cache),
            others: Box::default(),
        }
    }

    /// The same route to another origin; itself where there is none of that name.
    pub(super) fn to_origin(&self, name: &str) -> Option<RouteId> {
        let found = self.others.iter().find(|it| *it.0 == *name);
        found.map(|it| it.1)
    }
}

/// Those of a route, if it has any, which are the origin's otherwise.
fn timeouts(limits: &ExchangeLimits, of_origin: Timeouts) -> Option<Timeouts> {
    let (first_byte, between_bytes) = (limits.first_byte_timeout, limits.between_bytes_timeout);
    first_byte.or(between_bytes).map(|_| Timeouts {
        first_byte: first_byte.unwrap_or(of_origin.first_byte),
        between_bytes: between_bytes.unwrap_or(of_origin.between_bytes),
    })
}

// === impl Scope ===

impl Scope {
    /// Whether rules do something with what clients get.
    pub(super) fn delivers(&self) -> bool {
        self.rules.as_ref().is_some_and(|it| it.delivers)
    }

    fn new(
        config: &config::Route,
        (hosts, site): (&Arc<str>, SiteId),
        bounds: RouteBounds,
        rules: Option<Arc<Chain>>,
    ) -> Self {
        Self {
            hosts: Arc::clone(hosts),
            site,
            path: config.path.to_string().into(),
            path_rule: config.path_rule,
            bounds,
            exchange_limits: config.exchange_limits.clone(),
            https: config.https.clone(),
            gate: (!config.gate.is_open()).then(|| Box::new(config.gate.clone())),
            response_fields: Edits::new(&config.response_fields),
            rules,
        }
    }
}
