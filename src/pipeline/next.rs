//! What is to be done for a GET, by what the store has for it: decided here, done in Lookup, told
//! in advance by an explanation.
//!
//! Pure: the store has been looked into, the time is an argument, nothing is claimed or dropped.

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use http::header::{AUTHORIZATION, RANGE};

use super::deliver::Excuse;
use super::pass::Bypass;
use crate::semantics::cache_status::Fwd;
use crate::semantics::freshness::{Freshness, Term};
use crate::semantics::stale::Stale;
use crate::store::{Found, Object};

/// What is to be done.
pub(super) enum Next {
    /// Serve it: it is fresh.
    Hit(Arc<Object>),
    /// Serve it although it is stale, and have it refreshed.
    Stale(Arc<Object>, Excuse),
    /// Have it confirmed by the origin.
    Renew(Arc<Object>),
    /// Drop it, for it is good for nothing any more, and ask the origin anew.
    Replace(Arc<Object>),
    /// Ask the origin for this request alone: what is stored is not for one with credentials.
    Withhold,
    /// Ask the origin for this request alone: lately no answer could be shared.
    Alone,
    /// Ask the origin past the cache.
    Pass(Bypass),
    /// Ask the origin, in company.
    Ask(Fwd),
}

// === impl Next ===

impl Next {
    /// The next step of a request with these fields; `sick` tells whether its origin cannot be
    /// reached.
    pub(super) fn of(
        found: Found,
        fields: &HeaderMap,
        sick: impl FnOnce() -> bool,
        now: SystemTime,
    ) -> Self {
        let object = match found {
            Found::Object(object) => object,
            Found::Uncacheable if fields.contains_key(RANGE) => {
                return Self::Pass(Bypass::HitForMiss);
            }
            Found::Uncacheable => return Self::Alone,
            Found::Absent { others: true } => return Self::Ask(Fwd::VaryMiss),
            Found::Absent { others: false } => return Self::Ask(Fwd::UriMiss),
        };
        if !may_use(object.term(), fields) {
            return Self::Withhold;
        }
        if let Freshness::Fresh { .. } = object.term().freshness(now) {
            return Self::Hit(object);
        }
        match object.term().stale(now) {
            Stale::WhileRevalidate => Self::Stale(object, Excuse::Grace),
            Stale::IfError if sick() => Self::Stale(object, Excuse::Sick),
            Stale::IfError | Stale::Kept => Self::Renew(object),
            Stale::Over => Self::Replace(object),
        }
    }

    /// Why the origin is to be asked together with others; `None` if it is not to be asked, or for
    /// this request alone: because of its credentials, or as the object must be confirmed each time.
    pub(super) fn in_company(&self, fields: &HeaderMap) -> Option<Fwd> {
        match self {
            _ if fields.contains_key(AUTHORIZATION) => None,
            Self::Ask(fwd) => Some(*fwd),
            Self::Replace(_) => Some(Fwd::Stale),
            Self::Renew(object) if !object.term().always_validate() => Some(Fwd::Stale),
            _ => None,
        }
    }
}

/// A request with credentials gets a shared response only if its origin said that this may be:
/// "public", "s-maxage" or "must-revalidate" (RFC 9111 §3.5).
pub(super) fn may_use(term: &Term, fields: &HeaderMap) -> bool {
    term.for_authorized() || !fields.contains_key(AUTHORIZATION)
}
