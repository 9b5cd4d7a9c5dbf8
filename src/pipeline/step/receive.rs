//! The first step: is this a request we may act upon, whose is it, and what is to be done?
//!
//! Comes from the server. Goes to Lookup, Query, Pass, Purge or Synth.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::HOST;
use http::{Method, Version};

use super::lookup::Lookup;
use super::pass::{Bypass, Pass};
use super::purge::Purge;
use super::query::Query;
use super::synth::{Refusal, Synth};
use crate::pipeline::exchange::Exchange;
use crate::pipeline::flow::Step;
use crate::pipeline::next::wants_stored_only;
use crate::pipeline::route::caching::Caching;
use crate::pipeline::route::limit;
use crate::pipeline::route::{Action, Route};
use crate::semantics::headers;
use crate::semantics::key::{KeyBuf, normal_authority};
use crate::store;

/// A request as it came in.
pub(in crate::pipeline) struct Receive {
    exchange: Box<Exchange>,
}

// === impl Receive ===

impl Receive {
    pub(in crate::pipeline) fn new(exchange: Box<Exchange>) -> Self {
        Self { exchange }
    }

    pub(in crate::pipeline) fn run(self) -> Step {
        let exchange = self.exchange;
        let found = check(&exchange).and_then(|()| find(&exchange));
        let (key, route) = match found {
            Ok(found) => found,
            Err(refusal) => return Step::Synth(Synth::refusal(exchange, refusal)),
        };
        if let Some(how) = asked_to_purge(&exchange) {
            return purge(exchange, key, how);
        }
        if let Err(limited) = limit::check(&exchange, route.as_ref().map(|it| &it.bounds)) {
            return Step::Synth(Synth::limited(exchange, &limited));
        }
        if exchange.request.method == Method::OPTIONS
            && headers::goes_no_further(&exchange.request.headers)
        {
            return Step::Synth(Synth::final_recipient(exchange));
        }
        match route {
            Some(route) => onward(exchange, key, route),
            None => Step::Synth(Synth::no_route(exchange)),
        }
    }
}

/// The request's key, and its route if there is one.
fn find(exchange: &Exchange) -> Result<(KeyBuf, Option<Arc<Route>>), Refusal> {
    let authority = authority(exchange)?;
    let target = exchange.target();
    let path = match target.split('?').next() {
        // `OPTIONS *` is about the host as a whole.
        None | Some("*") => "/",
        Some(path) => path,
    };
    let route = exchange.site().routes.find(&authority, path).cloned();
    let scheme = exchange.client.scheme;
    let key = match &route {
        Some(route) => route.key(scheme, &authority, &target),
        None => KeyBuf::new(scheme, &authority, &target),
    };
    Ok((key, route))
}

/// What no request may look like, whatever it asks for.
fn check(exchange: &Exchange) -> Result<(), Refusal> {
    let request = &exchange.request;
    // TRACE would show the client the fields that we add; a tunnel is not what we are.
    if request.method == Method::CONNECT || request.method == Method::TRACE {
        return Err(Refusal::Method);
    }
    if exchange.target().len() > exchange.site().target_bytes_max {
        return Err(Refusal::TargetTooLong);
    }
    if headers::via_loops(&request.headers) {
        return Err(Refusal::Loop);
    }
    if headers::expects_the_unknown(request.version, &request.headers) {
        return Err(Refusal::Expectation);
    }
    // The client must not have us strip what the message's framing or routing hangs on.
    if headers::connection_is_hostile(&request.headers) {
        return Err(Refusal::Malformed("connection-names-end-to-end-field"));
    }
    let uri = &request.uri;
    match (uri.scheme_str(), uri.authority()) {
        // `GET foo` reads as an authority: serving it would answer with the root's page.
        (None, Some(_)) => Err(Refusal::Malformed("request-target")),
        (None, None) if uri.path() == "*" && request.method == Method::OPTIONS => Ok(()),
        (None, None) if uri.path().starts_with('/') => Ok(()),
        (Some("http" | "https"), Some(_)) => Ok(()),
        _ => Err(Refusal::Malformed("request-target")),
    }
}

/// The one effective host, for routing, key and origin alike, in its normal form.
///
/// "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message
/// that lacks a Host header field and to any request message that contains more than one Host
/// header field line or a Host header field with an invalid field value." (RFC 9112 §3.2)
fn authority(exchange: &Exchange) -> Result<Cow<'_, str>, Refusal> {
    let request = &exchange.request;
    let mut hosts = request.headers.get_all(HOST).iter();
    let (host, another) = (hosts.next(), hosts.next());
    if another.is_some() {
        return Err(Refusal::Malformed("several-hosts"));
    }
    let scheme = exchange.client.scheme;
    let normal = |authority| normal_authority(authority, scheme).ok_or(Refusal::Malformed("host"));
    let host = match host.map(|host| host.to_str()) {
        Some(Ok(host)) => Some(normal(host)?),
        Some(Err(_)) => return Err(Refusal::Malformed("host")),
        None if request.version == Version::HTTP_11 => return Err(Refusal::Malformed("no-host")),
        None => None,
    };
    // What a trusted proxy was asked for goes before what it asks us for. It is the one effective
    // host as any other, so the key holds it.
    if let Some(told) = exchange.relayed.as_ref().and_then(|it| it.host.as_deref()) {
        return normal(told);
    }
    // "When an origin server receives a request with an absolute-form of request-target, the
    // origin server MUST ignore the received Host header field (if any)." (RFC 9112 §3.2.2)
    match (request.uri.authority(), host) {
        (Some(named), _) => normal(named.as_str()),
        (None, Some(host)) => Ok(host),
        // HTTP/1.0 has no Host: what it asked for is what it connected to.
        (None, None) => {
            let local = exchange.client.local.to_string();
            Ok(Cow::Owned(
                normal_authority(&local, scheme).map_or(local.clone(), Cow::into_owned),
            ))
        }
    }
}

/// `PURGE` and `SOFTPURGE` are ours only where networks are configured; else they are unknown
/// methods like any other.
fn asked_to_purge(exchange: &Exchange) -> Option<store::Purge> {
    if exchange.site().purge_from.is_empty() {
        return None;
    }
    match exchange.request.method.as_str() {
        "PURGE" => Some(store::Purge::Hard),
        "SOFTPURGE" => Some(store::Purge::Soft),
        _ => None,
    }
}

fn purge(exchange: Box<Exchange>, key: KeyBuf, how: store::Purge) -> Step {
    let address = match exchange.client.address.ip() {
        IpAddr::V6(address) => address.to_canonical(),
        address => address,
    };
    let networks = &exchange.site().purge_from;
    if networks.iter().any(|network| network.contains(&address)) {
        Step::Purge(Purge { exchange, key, how })
    } else {
        Step::Synth(Synth::refusal(exchange, Refusal::PurgeForbidden))
    }
}

/// The route's own answer, or the way to the origin: through the cache or past it.
fn onward(mut exchange: Box<Exchange>, key: KeyBuf, route: Arc<Route>) -> Step {
    let pool = match &route.action {
        Action::Origin(pool) => Arc::clone(pool),
        Action::Redirect(_) | Action::Answer(_) => {
            return Step::Synth(Synth::of_route(exchange, &route));
        }
    };
    // Our own cookie is no reason to pass, and none of the origin's business.
    exchange.belongs = pool.take_sticky(&mut exchange.request.headers, exchange.now);
    if let Some(why) = bypass(&exchange, &route.caching) {
        if why != Bypass::Method && wants_stored_only(&exchange.request.headers) {
            return Step::Synth(Synth::only_if_cached(exchange));
        }
        return Step::Pass(Pass {
            exchange,
            key,
            route,
            pool,
            why,
            stored: None,
        });
    }
    if headers::is_query(&exchange.request.method) {
        return Step::Query(Query {
            exchange,
            key,
            route,
            pool,
        });
    }
    let facet = route.caching.reduce(&mut exchange.request.headers);
    Step::Lookup(Lookup {
        exchange,
        key,
        own: None,
        facet,
        route,
        pool,
        waited: 0,
    })
}

/// Why a request must not be answered from the cache, if there is a reason.
fn bypass(exchange: &Exchange, caching: &Caching) -> Option<Bypass> {
    let request = &exchange.request;
    if !caching.enabled {
        return Some(Bypass::Disabled);
    }
    let is_query = headers::is_query(&request.method) && caching.query_content_bytes_max > 0;
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    if !is_read && !is_query {
        return Some(Bypass::Method);
    }
    if !is_query && !exchange.body.is_empty() {
        return Some(Bypass::RequestBody);
    }
    caching
        .is_personal(&request.headers)
        .then_some(Bypass::Cookie)
}
