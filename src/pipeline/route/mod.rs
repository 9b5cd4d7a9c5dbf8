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

use http::{HeaderMap, HeaderName, HeaderValue};

pub use describe::Handler;
pub(super) use describe::describe;
pub use table::BadPath;
pub(super) use table::{Destination, RouteId, Routes, without_port};

use crate::config;
use crate::origin::Pool;
use caching::Caching;
use limit::RouteBounds;

/// A route to an origin.
pub(super) struct Route {
    pub(super) scope: Scope,
    pub(super) pool: Arc<Pool>,
    pub(super) strip_prefix: Option<Box<str>>,
    pub(super) request_fields: Edits,
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
    Fixed(config::Answer),
}

/// What every route has.
pub(super) struct Scope {
    /// Whose requests it is for, as the configuration has them: for people to read.
    pub(super) hosts: Arc<str>,
    pub(super) path: Box<str>,
    pub(super) bounds: RouteBounds,
    pub(super) https: config::Https,
    pub(super) response_fields: Edits,
}

/// Fields to set and to remove.
#[derive(Debug)]
pub(in crate::pipeline) struct Edits {
    set: Box<[(HeaderName, HeaderValue)]>,
    remove: Box<[HeaderName]>,
}

// === impl Route ===

impl Route {
    fn new(config: &config::Route, scope: Scope, pool: Arc<Pool>) -> Self {
        Self {
            scope,
            pool,
            strip_prefix: config.strip_prefix.as_deref().map(Into::into),
            request_fields: Edits::new(&config.request_fields),
            caching: Caching::new(&config.cache),
        }
    }
}

// === impl Scope ===

impl Scope {
    fn new(config: &config::Route, hosts: &Arc<str>, bounds: RouteBounds) -> Self {
        Self {
            hosts: Arc::clone(hosts),
            path: config.path.to_string().into(),
            bounds,
            https: config.https.clone(),
            response_fields: Edits::new(&config.response_fields),
        }
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
