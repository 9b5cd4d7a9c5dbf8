//! Routes: whose requests they are for, what is done on them, and by which rules.
//!
//! Hosts and paths are looked up in `table.rs`; how a route's responses are cached, how often its
//! clients may ask and how many requests may be under way is each told in a file of its own. What is
//! done with a request is for the steps.

pub(super) mod buckets;
pub(super) mod caching;
pub(super) mod concurrency;
mod describe;
pub(super) mod limit;
mod table;

use std::sync::Arc;

use http::header::VARY;
use http::{HeaderMap, HeaderName, HeaderValue};

pub use describe::Handler;
pub(super) use describe::describe;
pub use table::BadPath;
pub(super) use table::{Destination, RouteId, Routes, without_port};

use crate::config::{self, ExchangeLimits, Part, Template, Value};
use crate::origin::{Pool, Timeouts};
use crate::semantics::path_form::PathRule;
use crate::semantics::vary::Vary;
use crate::telemetry::SiteId;
use caching::Caching;
use limit::RouteBounds;

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
}

/// Fields to set and to remove.
#[derive(Debug)]
pub(in crate::pipeline) struct Edits {
    set: Box<[(HeaderName, HeaderValue)]>,
    filled: Box<[(HeaderName, Template)]>,
    remove: Box<[HeaderName]>,
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
        }
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
    fn new(
        config: &config::Route,
        (hosts, site): (&Arc<str>, SiteId),
        bounds: RouteBounds,
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
        }
    }
}

// === impl Edits ===

impl Edits {
    fn new(config: &config::Edits) -> Self {
        Self {
            set: config.set.as_slice().into(),
            filled: config.filled.as_slice().into(),
            remove: config.remove.as_slice().into(),
        }
    }

    /// Removes, then sets. A field for which there is no value is removed: what somebody else has
    /// said in it is not to stand for ours.
    pub(in crate::pipeline) fn apply(
        &self,
        fields: &mut HeaderMap,
        value: impl Fn(&Template) -> Option<HeaderValue>,
    ) {
        self.apply_fixed(fields);
        for (name, template) in &self.filled {
            match value(template) {
                Some(value) => fields.insert(name.clone(), value),
                None => fields.remove(name),
            };
        }
    }

    /// The same without what is filled in.
    pub(in crate::pipeline) fn apply_fixed(&self, fields: &mut HeaderMap) {
        for name in &self.remove {
            fields.remove(name);
        }
        for (name, value) in &self.set {
            fields.insert(name.clone(), value.clone());
        }
    }

    /// Whether this field is set or removed.
    pub(in crate::pipeline) fn touch(&self, name: &HeaderName) -> bool {
        self.fill(name) || self.set.iter().any(|(set, _)| set == name) || self.remove.contains(name)
    }

    /// Whether this field is filled in, so that its value is not the client's and not in the key.
    pub(in crate::pipeline) fn fill(&self, name: &HeaderName) -> bool {
        self.filled.iter().any(|(filled, _)| filled == name)
    }

    /// Takes off what was filled in for one client or one request alone.
    pub(in crate::pipeline) fn forget_client(&self, fields: &mut HeaderMap) {
        for (name, template) in &self.filled {
            if template.parts().iter().any(is_personal) {
                fields.remove(name);
            }
        }
    }

    /// Tells caches behind us which request fields a response depends on that was filled in with
    /// them (RFC 9110 §12.5.5).
    pub(in crate::pipeline) fn declare(&self, fields: &mut HeaderMap) {
        for (_, template) in &self.filled {
            declare(template, fields);
        }
    }
}

fn is_personal(part: &Part) -> bool {
    let Part::Value(value, _) = part else {
        return false;
    };
    matches!(value, Value::Client | Value::ClientPort | Value::RequestId)
}

/// The same for one template.
pub(super) fn declare(template: &Template, fields: &mut HeaderMap) {
    for part in template.parts() {
        let Part::Value(Value::Header(name), _) = part else {
            continue;
        };
        let is_told = match Vary::of(fields) {
            Vary::Fields(names) => names.contains(name),
            Vary::Star => true,
        };
        if !is_told {
            fields.append(VARY, HeaderValue::from(name.clone()));
        }
    }
}
