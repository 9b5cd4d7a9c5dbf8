//! The second step: is there a stored response for this request, and may it be used?
//!
//! Comes from Receive and Query, and from Wait when what was waited for did not suit. Goes to
//! Deliver on a hit, fresh or in its grace; else to Wait, Fetch or Pass. What is to be done is
//! decided in `next.rs`. This is the hit path: nothing here allocates for a hit.

use std::sync::Arc;
use std::time::SystemTime;

use http::Response;

use super::deliver::{Deliver, Excuse, How};
use super::fetch::Fetch;
use super::pass::{Bypass, Pass};
use super::synth::Synth;
use super::wait::Wait;
use crate::body::Body;
use crate::clock;
use crate::origin::Pool;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::fetch::refresh::Refresh;
use crate::pipeline::fetch::settle::is_servable;
use crate::pipeline::flow::Step;
use crate::pipeline::next::{Asker, Next, wants_stored_only};
use crate::pipeline::route::Route;
use crate::pipeline::route::caching::Caching;
use crate::semantics::cache_status::{CacheStatus, Fwd};
use crate::semantics::facet::Facet;
use crate::semantics::freshness::Freshness;
use crate::semantics::key::KeyBuf;
use crate::semantics::no_vary_search::NoVarySearch;
use crate::semantics::vary::Selecting;
use crate::store::{Claim, Failure, Found, Leader, Object};

/// A cacheable request with its route and key.
pub(in crate::pipeline) struct Lookup {
    pub(in crate::pipeline) exchange: Box<Exchange>,
    /// Of the URI, or of an equivalent one whose response is used.
    pub(in crate::pipeline) key: KeyBuf,
    /// The URI's own key, where `key` is an equivalent one's, and by which word it is.
    pub(in crate::pipeline) own: Option<Box<(KeyBuf, Arc<NoVarySearch>)>>,
    /// What else is part of the key.
    pub(in crate::pipeline) facet: Facet,
    pub(in crate::pipeline) route: Arc<Route>,
    pub(in crate::pipeline) pool: Arc<Pool>,
    /// How often it has waited in vain.
    pub(in crate::pipeline) waited: u8,
}

// === impl Lookup ===

impl Lookup {
    pub(in crate::pipeline) fn run(mut self) -> Step {
        let found = match self.find(self.exchange.now) {
            Found::Absent { others } if self.own.is_none() => self.find_equivalent(others),
            found => found,
        };
        let next = self.asker().decide(found, || self.pool.is_sick());
        if next.asks() && wants_stored_only(&self.exchange.request.headers) {
            return Step::Synth(Synth::only_if_cached(self.exchange));
        }
        match next {
            Next::Hit(object) => self.deliver(object, How::Hit),
            Next::Stale(object, excuse) => self.deliver_stale(object, excuse),
            Next::Ask { fwd, stale } => self.ask(fwd, stale),
            Next::AskAlone { fwd, stale } => self.ask_alone(fwd, stale),
            Next::Pass { why, stored } => self.pass(why, stored),
            Next::Replace(object) => {
                let store = &self.exchange.site().store;
                store.forget(&self.key.to_key(), &object);
                Step::Lookup(self)
            }
        }
    }

    fn find(&self, now: SystemTime) -> Found {
        let store = &self.exchange.site().store;
        match store.find(&self.key, &self.selecting(), now) {
            Found::Object(object) if !self.suits(&object) => Found::Absent { others: true },
            found => found,
        }
    }

    /// Whether an object under our key is a response for our URI: under another URI's key, it must
    /// say so itself.
    pub(in crate::pipeline) fn suits(&self, object: &Object) -> bool {
        self.own.as_ref().is_none_or(|own| object.says(&own.1))
    }

    /// Looks where the response for an equivalent URI is. If there is none, the one to come is asked
    /// for under that key, together with others who want it.
    fn find_equivalent(&mut self, others: bool) -> Found {
        let store = &self.exchange.site().store;
        let elsewhere = match self.caching().no_vary_search {
            true => store.equivalent(&self.key),
            false => None,
        };
        let Some((place, word)) = elsewhere else {
            return Found::Absent { others };
        };
        let own = std::mem::replace(&mut self.key, KeyBuf::from(&place));
        self.own = Some(Box::new((own, word)));
        self.find(self.exchange.now)
    }

    /// The key of the URI itself.
    pub(in crate::pipeline) fn own_key(&self) -> &KeyBuf {
        self.own.as_ref().map_or(&self.key, |own| &own.0)
    }

    pub(in crate::pipeline) fn asker(&self) -> Asker<'_> {
        let request = &self.exchange.request;
        Asker {
            method: &request.method,
            fields: &request.headers,
            caching: self.caching(),
            now: self.exchange.now,
        }
    }

    pub(in crate::pipeline) fn caching(&self) -> &Caching {
        &self.route.caching
    }

    /// What chooses among the responses for the URI.
    pub(in crate::pipeline) fn selecting(&self) -> Selecting<'_> {
        Selecting {
            headers: &self.exchange.request.headers,
            facet: &self.facet,
        }
    }

    pub(in crate::pipeline) fn deliver(self, object: Arc<Object>, how: How) -> Step {
        let Self {
            exchange, route, ..
        } = self;
        Step::Deliver(Deliver::stored(exchange, route, object, how))
    }

    /// The origin's answer, for this client alone.
    pub(in crate::pipeline) fn deliver_passed(
        self,
        response: Response<Body>,
        status: CacheStatus,
    ) -> Step {
        let Self {
            exchange, route, ..
        } = self;
        Step::Deliver(Deliver::passed(exchange, route, response, status))
    }

    /// Serves it at once. Unless the client itself has asked for such a one it is refreshed
    /// meanwhile, by a task that no client waits for and one at a time.
    fn deliver_stale(self, object: Arc<Object>, excuse: Excuse) -> Step {
        if excuse.refreshes()
            && !self.asker().forbids_storing()
            && let Some(leave) = self.pool.leave_to_refresh()
            && let Claim::Leader(leader) = self.claim(is_fresh)
        {
            let refresh = Refresh::new(&self, leader, Arc::clone(&object), leave);
            tokio::spawn(refresh.run());
        }
        self.deliver(object, How::Stale(excuse))
    }

    /// The origin failed: what is stored at this moment may stand in for its answer.
    ///
    /// RFC 5861 §4: "when an error is encountered, a cached stale response MAY be used to satisfy
    /// the request, regardless of other freshness information."
    pub(in crate::pipeline) fn fail(self, failure: Failure, fwd: Fwd) -> Step {
        let now = clock::now();
        let Found::Object(object) = self.find(now) else {
            return Step::Synth(Synth::failure(self.exchange, failure, fwd));
        };
        match self.asker().may_use(object.term()) {
            true if is_fresh(&object, now) && fwd != Fwd::Request => {
                self.deliver(object, How::Collapsed { fwd })
            }
            true if is_fresh(&object, now) || object.term().stands_in(now) => self.deliver(
                object,
                How::Stale(Excuse::Failed {
                    fwd,
                    status: failure.origin_status,
                }),
            ),
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
    pub(in crate::pipeline) fn ask_alone(self, fwd: Fwd, stale: Option<Arc<Object>>) -> Step {
        if self.asker().is_head() {
            return self.pass(Bypass::Head, stale);
        }
        let leader = self.exchange.site().store.alone(&self.key.to_key());
        self.fetch(leader, fwd, stale, false)
    }

    fn claim(&self, usable: impl Fn(&Object, SystemTime) -> bool) -> Claim {
        let (store, now) = (&self.exchange.site().store, self.exchange.now);
        store.claim(&self.key.to_key(), &self.selecting(), |it| {
            usable(it, now) && self.suits(it)
        })
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

fn is_fresh(object: &Object, now: SystemTime) -> bool {
    matches!(object.term().freshness(now), Freshness::Fresh { .. })
}
