//! The second step: is there a stored response for this request, and may it be used?
//!
//! Comes from Receive, and from Wait when what was waited for did not suit. Goes to Deliver on a
//! hit, fresh or in its grace; else to Wait, Fetch or Pass. First it is decided, then done. This is
//! the hit path: nothing here allocates for a hit.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{AUTHORIZATION, CACHE_CONTROL, RANGE};
use http::{Method, Response};

use super::caching::{Caching, OnRange};
use super::deliver::{Deliver, Excuse, How};
use super::exchange::Exchange;
use super::fetch::Fetch;
use super::filing::is_servable;
use super::flow::Step;
use super::pass::{Bypass, Pass};
use super::refresh::Refresh;
use super::route::Route;
use super::synth::Synth;
use super::wait::Wait;
use crate::body::Body;
use crate::clock;
use crate::origin::Pool;
use crate::semantics::cache_status::{CacheStatus, Fwd};
use crate::semantics::directives::Directives;
use crate::semantics::facet::Facet;
use crate::semantics::freshness::Freshness;
use crate::semantics::key::KeyBuf;
use crate::semantics::stale::Stale;
use crate::semantics::vary::Selecting;
use crate::semantics::wishes::Wish;
use crate::store::{Claim, Failure, Found, Leader, Object};

/// A cacheable request with its route and key.
pub(super) struct Lookup {
    pub(super) exchange: Exchange,
    pub(super) key: KeyBuf,
    /// What else is part of the key.
    pub(super) facet: Facet,
    pub(super) route: Arc<Route>,
    pub(super) pool: Arc<Pool>,
}

/// What is to be done for a request.
enum Next {
    /// Hand out what is stored.
    Deliver { object: Arc<Object>, how: How },
    /// The same, and have it refreshed meanwhile.
    Refresh { object: Arc<Object>, excuse: Excuse },
    /// Ask the origin, together with others.
    Ask {
        fwd: Fwd,
        stale: Option<Arc<Object>>,
    },
    /// Ask it without company: nobody waits for the answer, and this request for nobody.
    AskAlone {
        fwd: Fwd,
        stale: Option<Arc<Object>>,
    },
    /// Hand the request on as it is; `stored` is what it may be told of.
    Pass {
        why: Bypass,
        stored: Option<Arc<Object>>,
    },
}

// === impl Lookup ===

impl Lookup {
    pub(super) fn run(self) -> Step {
        let next = self.decide();
        if next.asks() && self.wants_stored_only() {
            return Step::Synth(Synth::only_if_cached(self.exchange));
        }
        match next {
            Next::Deliver { object, how } => self.deliver(object, how),
            Next::Refresh { object, excuse } => self.deliver_refreshing(object, excuse),
            Next::Ask { fwd, stale } => self.ask(fwd, stale),
            Next::AskAlone { fwd, stale } => self.ask_alone(fwd, stale),
            Next::Pass { why, stored } => self.pass(why, stored),
        }
    }

    fn decide(&self) -> Next {
        match self.find(self.exchange.now) {
            Found::Object(object) if !self.may_use(&object) => Next::alone(Fwd::Request, None),
            Found::Object(object) => self.decide_on(object),
            Found::Uncacheable if self.has_range() => Next::pass(Bypass::HitForMiss),
            Found::Uncacheable => Next::alone(Fwd::UriMiss, None),
            Found::Absent { others: true } => self.decide_on_miss(Fwd::VaryMiss),
            Found::Absent { others: false } => self.decide_on_miss(Fwd::UriMiss),
        }
    }

    fn decide_on(&self, object: Arc<Object>) -> Next {
        let (term, now) = (object.term(), self.exchange.now);
        let is_fresh = matches!(term.freshness(now), Freshness::Fresh { .. });
        let wish = match self.caching().obeys_requests {
            true => Directives::of_request(&self.exchange.request.headers).wish(term, now),
            false => Wish::Content,
        };
        match wish {
            Wish::Content if is_fresh => Next::deliver(object, How::Hit),
            Wish::Content => self.decide_on_stale(object),
            Wish::Stale => Next::deliver(object, How::Stale(Excuse::Accepted)),
            Wish::Validated if is_fresh => Next::alone(Fwd::Request, Some(object)),
            Wish::Validated => Next::alone(Fwd::Stale, Some(object)),
        }
    }

    /// Stale: what is it still good for? What must be confirmed every time is not waited for.
    fn decide_on_stale(&self, object: Arc<Object>) -> Next {
        let fwd = Fwd::Stale;
        match object.term().stale(self.exchange.now) {
            Stale::WhileRevalidate => Next::refresh(object, Excuse::Grace),
            Stale::IfError if self.pool.is_sick() => Next::refresh(object, Excuse::Sick),
            Stale::Over => {
                let key = self.key.to_key();
                self.exchange.site().store.forget(&key, &object);
                self.decide_on_miss(fwd)
            }
            _ if self.is_head() => Next::Pass {
                why: Bypass::Head,
                stored: Some(object),
            },
            _ if object.term().always_validate() => Next::alone(fwd, Some(object)),
            Stale::IfError | Stale::Kept => self.ask_with_others(fwd, Some(object)),
        }
    }

    fn decide_on_miss(&self, fwd: Fwd) -> Next {
        match self.caching().on_range {
            _ if self.is_head() => Next::pass(Bypass::Head),
            OnRange::Pass if self.has_range() => Next::pass(Bypass::Range),
            _ => self.ask_with_others(fwd, None),
        }
    }

    /// With others, unless this request is special.
    fn ask_with_others(&self, fwd: Fwd, stale: Option<Arc<Object>>) -> Next {
        match self.is_authorized() || self.forbids_storing() {
            true => Next::AskAlone { fwd, stale },
            false => Next::Ask { fwd, stale },
        }
    }

    fn find(&self, now: SystemTime) -> Found {
        let store = &self.exchange.site().store;
        store.find(&self.key, &self.selecting(), now)
    }

    /// A request with credentials gets a shared response only if its origin said that this may
    /// be: "public", "s-maxage" or "must-revalidate" (RFC 9111 §3.5).
    fn may_use(&self, object: &Object) -> bool {
        object.term().for_authorized() || !self.is_authorized()
    }

    fn is_authorized(&self) -> bool {
        self.exchange.request.headers.contains_key(AUTHORIZATION)
    }

    fn is_head(&self) -> bool {
        self.exchange.request.method == Method::HEAD
    }

    fn has_range(&self) -> bool {
        self.exchange.request.headers.contains_key(RANGE)
    }

    /// RFC 9111 §5.2.1.7: "Caches that honor this request directive SHOULD, upon receiving it,
    /// respond with either a stored response consistent with the other constraints of the request
    /// or a 504 (Gateway Timeout) status code." It only ever asks for less, so it is honoured
    /// whether other directives are or not.
    fn wants_stored_only(&self) -> bool {
        let fields = &self.exchange.request.headers;
        fields.contains_key(CACHE_CONTROL) && Directives::parse(fields).only_if_cached
    }

    /// RFC 9111 §5.2.1.5: "a cache MUST NOT store any part of either this request or any response
    /// to it", where requests are obeyed.
    pub(super) fn forbids_storing(&self) -> bool {
        let fields = &self.exchange.request.headers;
        self.caching().obeys_requests
            && fields.contains_key(CACHE_CONTROL)
            && Directives::parse(fields).no_store
    }

    pub(super) fn caching(&self) -> &Caching {
        &self.route.caching
    }

    /// What chooses among the responses for the URI.
    pub(super) fn selecting(&self) -> Selecting<'_> {
        Selecting {
            headers: &self.exchange.request.headers,
            facet: &self.facet,
        }
    }

    pub(super) fn deliver(self, object: Arc<Object>, how: How) -> Step {
        let Self {
            exchange, route, ..
        } = self;
        Step::Deliver(Deliver::stored(exchange, route, object, how))
    }

    /// The origin's answer, for this client alone.
    pub(super) fn deliver_passed(self, response: Response<Body>, status: CacheStatus) -> Step {
        let Self {
            exchange, route, ..
        } = self;
        Step::Deliver(Deliver::passed(exchange, route, response, status))
    }

    /// Serves it at once, and has it refreshed by a task that no client waits for, unless somebody
    /// is at it.
    fn deliver_refreshing(self, object: Arc<Object>, excuse: Excuse) -> Step {
        let is_fresh =
            |it: &Object, now| matches!(it.term().freshness(now), Freshness::Fresh { .. });
        if let Claim::Leader(leader) = self.claim(is_fresh) {
            let refresh = Refresh::new(&self, leader, Arc::clone(&object));
            tokio::spawn(refresh.run());
        }
        self.deliver(object, How::Stale(excuse))
    }

    /// The origin failed: what is stored at this moment may stand in for its answer.
    ///
    /// RFC 5861 §4: "when an error is encountered, a cached stale response MAY be used to satisfy
    /// the request, regardless of other freshness information."
    pub(super) fn fail(self, failure: Failure, fwd: Fwd) -> Step {
        let now = clock::now();
        let Found::Object(object) = self.find(now) else {
            return Step::Synth(Synth::failure(self.exchange, failure, fwd));
        };
        let is_fresh = matches!(object.term().freshness(now), Freshness::Fresh { .. });
        match self.may_use(&object) {
            true if is_fresh => self.deliver(object, How::Collapsed { fwd }),
            true if object.term().stands_in(now) => {
                self.deliver(object, How::Stale(Excuse::Failed(failure.origin_status)))
            }
            _ => Step::Synth(Synth::failure(self.exchange, failure, fwd)),
        }
    }

    fn ask(self, fwd: Fwd, stale: Option<Arc<Object>>) -> Step {
        match self.claim(|it, now| is_servable(it.term(), now)) {
            Claim::Landed(object) if object.is_whole() => self.deliver(object, How::Hit),
            Claim::Landed(object) => self.deliver(object, How::Collapsed { fwd }),
            Claim::Follower(follower) => Step::Wait(Wait {
                lookup: self,
                fwd,
                stale,
                follower,
            }),
            Claim::Leader(leader) => self.fetch(leader, fwd, stale, true),
            Claim::Crowded(leader) => self.fetch(leader, fwd, stale, false),
        }
    }

    /// Asks the origin without company.
    pub(super) fn ask_alone(self, fwd: Fwd, stale: Option<Arc<Object>>) -> Step {
        if self.is_head() {
            return self.pass(Bypass::Head, stale);
        }
        let leader = self.exchange.site().store.alone(&self.key.to_key());
        self.fetch(leader, fwd, stale, false)
    }

    fn claim(&self, usable: impl Fn(&Object, SystemTime) -> bool) -> Claim {
        let (store, now) = (&self.exchange.site().store, self.exchange.now);
        store.claim(&self.key.to_key(), &self.selecting(), |it| usable(it, now))
    }

    fn fetch(self, leader: Leader, fwd: Fwd, stale: Option<Arc<Object>>, in_company: bool) -> Step {
        Step::Fetch(Fetch {
            lookup: self,
            leader,
            fwd,
            stale,
            in_company,
        })
    }

    fn pass(self, why: Bypass, stored: Option<Arc<Object>>) -> Step {
        Step::Pass(Pass {
            exchange: self.exchange,
            key: self.key,
            route: self.route,
            pool: self.pool,
            why,
            stored,
        })
    }
}

// === impl Next ===

impl Next {
    fn deliver(object: Arc<Object>, how: How) -> Self {
        Self::Deliver { object, how }
    }

    fn refresh(object: Arc<Object>, excuse: Excuse) -> Self {
        Self::Refresh { object, excuse }
    }

    fn pass(why: Bypass) -> Self {
        Self::Pass { why, stored: None }
    }

    fn alone(fwd: Fwd, stale: Option<Arc<Object>>) -> Self {
        Self::AskAlone { fwd, stale }
    }

    /// Whether the client has to wait for the origin.
    fn asks(&self) -> bool {
        !matches!(self, Self::Deliver { .. } | Self::Refresh { .. })
    }
}
