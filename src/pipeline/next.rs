//! Decision on a request by what the store has for it: made here, carried out by Lookup, told in advance
//! by an explanation.
//!
//! Pure: the store has been looked into, the time is an argument, nothing is claimed or dropped.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{CACHE_CONTROL, RANGE};
use http::{HeaderMap, Method, StatusCode};

use super::reasons::{Bypass, Excuse};
use super::route::caching::{Caching, OnRange};
use crate::semantics::cache_status::Fwd;
use crate::semantics::directives::Directives;
use crate::semantics::freshness::Term;
use crate::semantics::request_directives::Demand;
use crate::semantics::stale::Stale;
use crate::store::{Found, Object};

/// What is to be done.
pub(super) enum Next {
    /// Serve it: it is fresh.
    Hit(Arc<Object>),
    /// Serve it although it is stale.
    Stale(Arc<Object>, Excuse),
    /// Ask the origin, together with others; about a stale object, if there is one.
    Ask {
        fwd: Fwd,
        stale: Option<Arc<Object>>,
    },
    /// Ask it for this request alone: nobody waits for the answer, and it waits for nobody. Where
    /// nothing stale is to be confirmed, it asks as the client does, under its conditions and for its
    /// range, for the answer is likely to be nobody else's.
    AskAlone {
        fwd: Fwd,
        stale: Option<Arc<Object>>,
    },
    /// Drop it, for it is good for nothing any more, and look anew.
    Replace(Arc<Object>),
    /// Refuse the request: it wants nothing that is not stored.
    OnlyIfCached,
    /// Hand the request on as it is; `stored` is what its answer may have something to say of.
    Pass {
        why: Bypass,
        stored: Option<Arc<Object>>,
    },
}

/// What there is for a request whose origin failed.
pub(super) enum StandIn {
    /// A response that needs no excuse: it came meanwhile.
    Fresh(Arc<Object>),
    /// A stale one, which takes the place of the error.
    Stale(Arc<Object>),
    Nothing,
}

/// As much of a request as the decision hangs on.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) method: &'a Method,
    pub(super) fields: &'a HeaderMap,
    pub(super) caching: &'a Caching,
    /// Whether a rule has its origin asked, whatever is stored.
    pub(super) refreshes: bool,
    pub(super) now: SystemTime,
}

// === impl Next ===

impl Next {
    /// Whether the client has to wait for the origin.
    fn asks(&self) -> bool {
        !matches!(self, Self::Hit(_) | Self::Stale(..))
    }

    fn alone(fwd: Fwd, stale: Option<Arc<Object>>) -> Self {
        Self::AskAlone { fwd, stale }
    }

    fn pass(why: Bypass) -> Self {
        Self::Pass { why, stored: None }
    }
}

// === impl StandIn ===

impl StandIn {
    /// Of what is `found` at this moment, for a request that would else get an error of this
    /// `status`.
    pub(super) fn of(asker: &Asker, found: Found, status: StatusCode, now: SystemTime) -> Self {
        match found {
            Found::Object(object) if !asker.may_use(object.term()) => Self::Nothing,
            Found::Object(object) if object.term().is_fresh(now) => Self::Fresh(object),
            Found::Object(object) if object.term().stands_in_for(status, now) => {
                Self::Stale(object)
            }
            _ => Self::Nothing,
        }
    }
}

// === impl Asker ===

impl Asker<'_> {
    /// What is to be done; `sick` tells whether the origin cannot be reached.
    pub(super) fn decide(&self, found: Found, sick: impl FnOnce() -> bool) -> Next {
        let next = self.decide_on_found(found, sick);
        match next.asks() && wants_stored_only(self.fields) {
            true => Next::OnlyIfCached,
            false => next,
        }
    }

    fn decide_on_found(&self, found: Found, sick: impl FnOnce() -> bool) -> Next {
        match found {
            Found::Object(object) if !self.may_use(object.term()) => {
                Next::alone(Fwd::Request, None)
            }
            Found::Object(object) => self.decide_on(object, sick),
            Found::Uncacheable => Next::alone(Fwd::UriMiss, None),
            Found::Absent { others: true } => self.decide_on_miss(Fwd::VaryMiss),
            Found::Absent { others: false } => self.decide_on_miss(Fwd::UriMiss),
        }
    }

    fn decide_on_miss(&self, fwd: Fwd) -> Next {
        match self.caching.on_range {
            _ if self.is_head() => Next::pass(Bypass::Head { stale: false }),
            OnRange::Pass if self.has_range() => Next::pass(Bypass::Range),
            _ => self.ask(fwd, None),
        }
    }

    fn decide_on(&self, object: Arc<Object>, sick: impl FnOnce() -> bool) -> Next {
        let term = object.term();
        let is_fresh = term.is_fresh(self.now);
        let demand = match self.caching.obeys_requests {
            _ if self.refreshes => Demand::Validated,
            true => Directives::of_request(self.fields).demand(term, self.now),
            false => Demand::Content,
        };
        match demand {
            Demand::Content if is_fresh => Next::Hit(object),
            Demand::Content => self.decide_on_stale(object, sick),
            Demand::Stale => Next::Stale(object, Excuse::Accepted),
            Demand::Validated if is_fresh => Next::alone(Fwd::Request, Some(object)),
            Demand::Validated => Next::alone(Fwd::Stale, Some(object)),
        }
    }

    /// Stale: what is it still good for? What must be confirmed every time is not waited for.
    fn decide_on_stale(&self, object: Arc<Object>, sick: impl FnOnce() -> bool) -> Next {
        match object.term().stale(self.now) {
            Stale::WhileRevalidate => Next::Stale(object, Excuse::Grace),
            Stale::IfError if sick() => Next::Stale(object, Excuse::Sick),
            Stale::Over => Next::Replace(object),
            Stale::IfError | Stale::Kept if self.is_head() => Next::Pass {
                why: Bypass::Head { stale: true },
                stored: Some(object),
            },
            Stale::IfError | Stale::Kept if object.term().always_validate() => {
                Next::alone(Fwd::Stale, Some(object))
            }
            Stale::IfError | Stale::Kept => self.ask(Fwd::Stale, Some(object)),
        }
    }

    /// With others, unless this request is special.
    fn ask(&self, fwd: Fwd, stale: Option<Arc<Object>>) -> Next {
        match self.is_authorized() || self.forbids_storing() {
            true => Next::AskAlone { fwd, stale },
            false => Next::Ask { fwd, stale },
        }
    }

    /// A request with credentials gets a shared response only if its origin said that this may
    /// be: "public", "s-maxage" or "must-revalidate" (RFC 9111 §3.5).
    pub(super) fn may_use(&self, term: &Term) -> bool {
        term.for_authorized() || !self.is_authorized()
    }

    /// RFC 9111 §5.2.1.5: "a cache MUST NOT store any part of either this request or any response
    /// to it", where requests are obeyed.
    pub(super) fn forbids_storing(&self) -> bool {
        self.caching.obeys_requests
            && self.fields.contains_key(CACHE_CONTROL)
            && Directives::parse(self.fields).no_store
    }

    pub(super) fn is_head(&self) -> bool {
        *self.method == Method::HEAD
    }

    fn is_authorized(&self) -> bool {
        self.caching.rules.is_personal(self.fields)
    }

    fn has_range(&self) -> bool {
        self.fields.contains_key(RANGE)
    }
}

/// RFC 9111 §5.2.1.7: "Caches that honor this request directive SHOULD, upon receiving it, respond
/// with either a stored response consistent with the other constraints of the request or a 504
/// (Gateway Timeout) status code." It only ever asks for less, so it is honoured whether other
/// directives are or not.
pub(super) fn wants_stored_only(fields: &HeaderMap) -> bool {
    fields.contains_key(CACHE_CONTROL) && Directives::parse(fields).only_if_cached
}
