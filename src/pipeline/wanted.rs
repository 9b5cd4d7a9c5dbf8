//! Request for a response of an origin's: the exchange with its route, and the key that the response
//! is looked for and filed under.
//!
//! Every step between Receive and Deliver hands it on, each with what it alone has: a permit, an
//! object, a reason.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use super::exchange::Exchange;
use super::locator::Locator;
use super::next::Asker;
use super::route::caching::Caching;
use super::route::rules::Rule;
use super::route::{Route, RouteId};
use super::ruled::{ResponseRules, Ruled, with_parts};
use super::values::Values;
use crate::origin::Pool;
use crate::semantics::facet::Facet;
use crate::semantics::key::KeyBuf;
use crate::semantics::path_form::divide;
use crate::semantics::vary::Selecting;
use crate::store::{Found, Object, Store};

/// A request that a route leads to an origin.
pub(super) struct Wanted {
    pub(super) exchange: Box<Exchange>,
    pub(super) locator: Locator,
    /// What else than the URI is part of the key.
    pub(super) facet: Facet,
    route: RouteId,
    /// Whether it has cookies of which the key holds no more than that.
    pub(super) is_classed: bool,
    /// Whether what must not shape a stored response has been taken off.
    is_reduced: bool,
    /// Whether the origin sees the path as the client has spelt it, and not its normal form.
    is_sent_as_spelt: bool,
}

// === impl Wanted ===

impl Wanted {
    /// As it came in: the facet is not known yet.
    pub(super) fn new(exchange: Box<Exchange>, key: KeyBuf, route: RouteId) -> Self {
        let spelling = exchange.spelling.as_ref();
        Self {
            is_sent_as_spelt: spelling.is_some_and(|it| it.is_sent),
            exchange,
            locator: Locator::new(key),
            facet: Facet::NONE,
            route,
            is_classed: false,
            is_reduced: false,
        }
    }

    /// What is left of it once it is known what is delivered: the key is of no more use.
    pub(super) fn into_parts(self) -> (Box<Exchange>, RouteId) {
        (self.exchange, self.route)
    }

    pub(super) fn route(&self) -> &Arc<Route> {
        &self.exchange.entry.site.routes[self.route]
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.route().pool
    }

    pub(super) fn caching(&self) -> &Caching {
        &self.route().caching
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        &self.exchange.entry.site.store
    }

    /// Whether the origin can't be reached, or lately has let a request for the same wait for too long.
    pub(super) fn is_sick(&self) -> bool {
        let now = self.exchange.now;
        self.pool().is_sick() || self.store().is_hanging(self.key(), now)
    }

    pub(super) fn key(&self) -> &KeyBuf {
        self.locator.key()
    }

    /// Takes the cookie of a sticky client off the request: it is no reason to pass, and none of the
    /// origin's business.
    pub(super) fn take_sticky(&mut self) {
        let exchange = &mut *self.exchange;
        let pool = &exchange.entry.site.routes[self.route].pool;
        exchange.belongs = pool.take_sticky(&mut exchange.request.headers, exchange.now);
    }

    /// Takes off what must not shape a stored response, and notes what else is part of the key.
    pub(super) fn reduce(&mut self) {
        let parts = match self.exchange.matched.is_empty() {
            true => Vec::new(),
            false => self.ruled().key_parts(&Values::of(&self.exchange)),
        };
        let exchange = &mut *self.exchange;
        let route = &exchange.entry.site.routes[self.route];
        if route
            .scope
            .rules
            .as_ref()
            .is_some_and(|it| it.needs_original)
        {
            exchange.original = Some(Box::new(exchange.request.headers.clone()));
        }
        let facet = route.caching.reduce(&mut exchange.request.headers);
        self.facet = with_parts(facet, &parts);
        self.is_classed = route.caching.is_classed(&exchange.request.headers);
        self.is_reduced = true;
        if self.is_sent_as_spelt {
            self.tell_spellings_apart();
        }
    }

    /// What an origin says of one spelling is filed for that one alone: a 404 for `/%61` must not become
    /// that of `/a`. But where RFC 3986 calls them equivalent, what is stored for the normal form serves
    /// both, and if it has to be asked for again, it is in that form.
    fn tell_spellings_apart(&mut self) {
        let spelling = self.exchange.spelling.as_ref();
        let is_equivalent = spelling.is_some_and(|it| it.normal.is_equivalent);
        if is_equivalent && matches!(self.find(), Found::Object(_)) {
            self.is_sent_as_spelt = false;
            return;
        }
        let facet = std::mem::take(&mut self.facet);
        let target = self.exchange.target_as_sent();
        self.facet = facet.with_spelling(divide(&target).0);
    }

    /// Whether the key says of the path what the origin sees of it.
    pub(super) fn is_spelt_as_filed(&self) -> bool {
        !self.is_sent_as_spelt
    }

    /// What the rules that are true of it say.
    pub(super) fn ruled(&self) -> Ruled<'_> {
        Ruled::new(self.route().scope.rules.as_deref(), &self.exchange.matched)
    }

    /// The rules that are true of it and edit its fields.
    pub(super) fn editors(&self) -> Vec<Arc<Rule>> {
        let chain = self.route().scope.rules.as_ref();
        let matched = self.exchange.matched.iter();
        let rules = chain
            .into_iter()
            .flat_map(|it| matched.clone().map(|no| it.rule(*no)));
        rules
            .filter(|it| !it.request.fields.is_empty())
            .map(Arc::clone)
            .collect()
    }

    /// The rules that hold for its answer.
    pub(super) fn response_rules(&self) -> Option<Arc<ResponseRules>> {
        ResponseRules::of(&self.exchange, self.route(), self.locator.own_key())
    }

    /// The path and query that the origin is asked for: of a request that was looked up no more than
    /// its key says, for what others do not ask for must not shape what they get.
    pub(super) fn target(&self) -> Cow<'_, str> {
        let target = match self.is_sent_as_spelt {
            true => self.exchange.target_as_sent(),
            false => self.exchange.target(),
        };
        let caching = self.caching();
        match self.is_reduced && !caching.forwards_query {
            true => caching
                .query
                .without_others(&target)
                .map_or(target, Cow::Owned),
            false => target,
        }
    }

    /// As much of it as decisions hang on.
    pub(super) fn asker(&self) -> Asker<'_> {
        let request = &self.exchange.request;
        Asker {
            method: &request.method,
            fields: &request.headers,
            caching: self.caching(),
            refreshes: self.ruled().refreshes(),
            now: self.exchange.now,
        }
    }

    /// What chooses among the responses for the URI.
    pub(super) fn selecting(&self) -> Selecting<'_> {
        Selecting {
            headers: &self.exchange.request.headers,
            facet: &self.facet,
        }
    }

    /// What is stored for it. Where that lies under an equivalent URI, so does the request from now
    /// on.
    pub(super) fn find(&mut self) -> Found {
        let Self {
            exchange,
            locator,
            facet,
            route,
            ..
        } = self;
        let site = &exchange.entry.site;
        let selecting = Selecting {
            headers: &exchange.request.headers,
            facet,
        };
        match site.routes[*route].caching.no_vary_search {
            true => locator.find_or_move(&site.store, &selecting, exchange.now),
            false => locator.find(&site.store, &selecting, exchange.now),
        }
    }

    /// What is stored for it at a moment after it was looked up.
    pub(super) fn find_at(&self, now: SystemTime) -> Found {
        self.locator.find(self.store(), &self.selecting(), now)
    }

    /// Whether an object under its key is a response for its URI.
    pub(super) fn suits(&self, object: &Object) -> bool {
        self.locator.suits(object)
    }
}
