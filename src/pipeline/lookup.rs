//! The second step: is there a stored response for this request, and may it be used?
//!
//! Comes from Receive, and from Wait when what was waited for did not suit. Goes to Deliver on a
//! hit, fresh or in its grace; else to Wait, Fetch or Pass. This is the hit path: nothing here
//! allocates for a hit.

use std::sync::Arc;

use http::header::{AUTHORIZATION, RANGE};
use http::{Method, Response};

use super::deliver::{Deliver, Excuse, How};
use super::exchange::Exchange;
use super::fetch::Fetch;
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
use crate::semantics::facet::Facet;
use crate::semantics::freshness::Freshness;
use crate::semantics::key::KeyBuf;
use crate::semantics::stale::Stale;
use crate::semantics::vary::Selecting;
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

// === impl Lookup ===

impl Lookup {
    pub(super) fn run(self) -> Step {
        let exchange = &self.exchange;
        let found = exchange
            .site()
            .store
            .find(&self.key, &self.selecting(), exchange.now);
        match found {
            Found::Object(object) if !self.may_use(&object) => self.ask_alone(Fwd::Request, None),
            Found::Object(object) => match object.term().freshness(exchange.now) {
                Freshness::Fresh { .. } => self.deliver(object, How::Hit),
                Freshness::Stale { .. } => self.use_stale(object),
            },
            Found::Uncacheable => self.ask_uncacheable(),
            Found::Absent { others: true } => self.ask(Fwd::VaryMiss, None),
            Found::Absent { others: false } => self.ask(Fwd::UriMiss, None),
        }
    }

    /// A request with credentials gets a shared response only if its origin said that this may
    /// be: "public", "s-maxage" or "must-revalidate" (RFC 9111 §3.5).
    fn may_use(&self, object: &Object) -> bool {
        object.term().for_authorized() || !self.is_authorized()
    }

    fn is_authorized(&self) -> bool {
        self.exchange.request.headers.contains_key(AUTHORIZATION)
    }

    pub(super) fn deliver(self, object: Arc<Object>, how: How) -> Step {
        let Self {
            exchange, route, ..
        } = self;
        Step::Deliver(Deliver::stored(exchange, route, object, how))
    }

    /// The origin's answer, for this client alone.
    pub(super) fn deliver_passed(self, response: Response<Body>, status: &CacheStatus) -> Step {
        let Self {
            exchange, route, ..
        } = self;
        Step::Deliver(Deliver::passed(exchange, route, response, *status))
    }

    /// Stale: what is it still good for?
    fn use_stale(self, object: Arc<Object>) -> Step {
        match object.term().stale(self.exchange.now) {
            Stale::WhileRevalidate => self.deliver_refreshing(object, Excuse::Grace),
            Stale::IfError if self.pool.is_sick() => self.deliver_refreshing(object, Excuse::Sick),
            Stale::IfError | Stale::Kept => self.renew(object),
            Stale::Over => {
                let key = self.key.to_key();
                self.exchange.site().store.forget(&key, &object);
                self.ask(Fwd::Stale, None)
            }
        }
    }

    /// Serves it at once, and has it refreshed by a task that no client waits for, unless somebody
    /// is at it.
    fn deliver_refreshing(self, object: Arc<Object>, excuse: Excuse) -> Step {
        if let Claim::Leader(leader) = self.claim() {
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
        let (exchange, now) = (&self.exchange, clock::now());
        let found = exchange
            .site()
            .store
            .find(&self.key, &self.selecting(), now);
        let Found::Object(object) = found else {
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

    /// To be confirmed by the origin. What must be confirmed every time is not waited for.
    fn renew(self, object: Arc<Object>) -> Step {
        if object.term().always_validate() {
            self.ask_alone(Fwd::Stale, Some(object))
        } else {
            self.ask(Fwd::Stale, Some(object))
        }
    }

    /// Not stored: asks the origin together with others, unless this request is special.
    fn ask(self, fwd: Fwd, stale: Option<Arc<Object>>) -> Step {
        if self.exchange.request.method == Method::HEAD {
            return self.pass(Bypass::Head);
        }
        if self.is_authorized() {
            return self.ask_alone(fwd, stale);
        }
        match self.claim() {
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

    fn claim(&self) -> Claim {
        let (exchange, key) = (&self.exchange, self.key.to_key());
        let now = exchange.now;
        let fresh =
            |object: &Object| matches!(object.term().freshness(now), Freshness::Fresh { .. });
        exchange.site().store.claim(&key, &self.selecting(), fresh)
    }

    /// What chooses among the responses for the URI.
    pub(super) fn selecting(&self) -> Selecting<'_> {
        Selecting {
            headers: &self.exchange.request.headers,
            facet: &self.facet,
        }
    }

    /// Hit-for-miss: a range is passed on as it is, all else may turn out to be storable now.
    fn ask_uncacheable(self) -> Step {
        if self.exchange.request.headers.contains_key(RANGE) {
            return self.pass(Bypass::HitForMiss);
        }
        self.ask_alone(Fwd::UriMiss, None)
    }

    /// Asks the origin without company: nobody waits for the answer, and we for nobody.
    pub(super) fn ask_alone(self, fwd: Fwd, stale: Option<Arc<Object>>) -> Step {
        if self.exchange.request.method == Method::HEAD {
            return self.pass(Bypass::Head);
        }
        let leader = self.exchange.site().store.alone(&self.key.to_key());
        self.fetch(leader, fwd, stale, false)
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

    fn pass(self, why: Bypass) -> Step {
        let Self {
            exchange,
            key,
            route,
            pool,
            ..
        } = self;
        Step::Pass(Pass {
            exchange,
            key,
            route,
            pool,
            why,
        })
    }
}
