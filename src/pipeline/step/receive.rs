//! Step Receive, the first: is this a request we may act upon, whose is it, and what is to be done?
//!
//! Comes from the server. Goes to Lookup, Query, Pass, Purge or Synth. Rules are looked at when all else
//! is sound, and before a request is led on.

use std::net::IpAddr;

use http::{HeaderValue, Method};
use http_body::Body as _;

use super::lookup::Lookup;
use super::pass::Pass;
use super::purge::Purge;
use super::query::Query;
use super::synth::{Refusal, Synth};
use crate::pipeline::dispatch::Dispatch;
use crate::pipeline::exchange::{Entry, Exchange};
use crate::pipeline::flow::Step;
use crate::pipeline::purging::Asked;
use crate::pipeline::route::limit::Limited;
use crate::pipeline::route::{Destination, RouteId, without_port};
use crate::pipeline::ruled::{self, Ruled, matched, note};
use crate::pipeline::wanted::Wanted;
use crate::semantics::headers;
use crate::semantics::key::{KeyBuf, Scheme};

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
        let mut exchange = self.exchange;
        let (mut key, destination) = match check(&exchange).and_then(|()| locate(&exchange)) {
            Ok(located) => located,
            Err(refusal) => return Step::Synth(Synth::refusal(exchange, refusal)),
        };
        if let Some(destination) = &destination {
            let site = exchange.site().routes.scope(destination).site;
            exchange.entry.record.site = site;
        }
        if let Err(refusal) = hold_to_limits(&exchange, destination.as_ref()) {
            return Step::Synth(Synth::refusal(exchange, refusal));
        }
        if let Some(asked) = asked_to_purge(&exchange) {
            exchange.matched = matched(&exchange, &key, destination.as_ref(), true);
            rewrite(&mut exchange, &mut key, destination.as_ref());
            return purge(exchange, key, asked);
        }
        if let Err(limited) = limit(&exchange, destination.as_ref()) {
            return Step::Synth(Synth::limited(exchange, &limited));
        }
        if let Some(https) = destination
            .as_ref()
            .and_then(|it| elsewhere(&exchange, it, &key))
        {
            return Step::Synth(Synth::to_https(exchange, https));
        }
        if !exchange
            .site()
            .routes
            .admit(&key, exchange.client.session.as_deref())
        {
            return Step::Synth(Synth::refusal(exchange, Refusal::Misdirected));
        }
        exchange.hsts = destination.as_ref().and_then(|it| hsts(&exchange, it));
        if exchange.request.method == Method::OPTIONS
            && headers::goes_no_further(&exchange.request.headers)
        {
            return Step::Synth(Synth::final_recipient(exchange));
        }
        match exchange.site().routes.rules(destination.as_ref()) {
            None => lead(exchange, key, destination),
            Some(_) => ruled(exchange, key, destination),
        }
    }
}

/// Looks at the rules that hold there, and does what they say before it is led on.
fn ruled(mut exchange: Box<Exchange>, mut key: KeyBuf, destination: Option<Destination>) -> Step {
    let destination_ref = destination.as_ref();
    exchange.matched = matched(&exchange, &key, destination_ref, false);
    note_matched(&mut exchange, destination_ref);
    if let Err(limited) = limit_by_rules(&exchange, destination_ref) {
        return Step::Synth(Synth::limited(exchange, &limited));
    }
    if Ruled::of(&exchange, destination_ref).end().is_some() {
        return Step::Synth(Synth::of_rule(exchange, destination_ref));
    }
    rewrite(&mut exchange, &mut key, destination_ref);
    lead(exchange, key, destination)
}

/// Where its route leads.
fn lead(exchange: Box<Exchange>, key: KeyBuf, destination: Option<Destination>) -> Step {
    match destination {
        Some(Destination::Origin(route)) => {
            let route = chosen(&exchange, route);
            onward(Wanted::new(exchange, key, route))
        }
        Some(Destination::Own(route)) => Step::Synth(Synth::of_route(exchange, &route)),
        None => Step::Synth(Synth::no_route(exchange)),
    }
}

fn note_matched(exchange: &mut Exchange, destination: Option<&Destination>) {
    let Exchange { entry, matched, .. } = exchange;
    let Entry { site, record, .. } = entry;
    let chain = site.routes.rules(destination).map(|it| &**it);
    let log = record.asked.as_mut().map(|it| &mut it.rules);
    note(Ruled::new(chain, matched).rules(), log);
}

/// The route to the origin that rules have chosen.
fn chosen(exchange: &Exchange, route: RouteId) -> RouteId {
    let destination = Destination::Origin(route);
    let origin = Ruled::of(exchange, Some(&destination)).origin();
    let chosen = origin.and_then(|it| exchange.site().routes[route].to_origin(it));
    chosen.unwrap_or(route)
}

/// Has a request ask for what rules make of its path.
fn rewrite(exchange: &mut Exchange, key: &mut KeyBuf, destination: Option<&Destination>) {
    let Some(template) = Ruled::of(exchange, destination).rewrite() else {
        return;
    };
    let Some(uri) = ruled::rewritten(exchange, template) else {
        return;
    };
    exchange.request.uri = uri;
    let place = (exchange.client.scheme, key.authority(), &*exchange.target());
    *key = exchange.site().key_of(destination, place);
}

fn limit_by_rules(exchange: &Exchange, destination: Option<&Destination>) -> Result<(), Limited> {
    let site = exchange.site();
    let route = destination.map(|it| &site.routes.scope(it).bounds);
    let client = exchange.client.address.ip();
    let mut limits = Ruled::of(exchange, destination).limits();
    limits.try_for_each(|name| {
        let fields = &exchange.request.headers;
        site.bounds.check_named(name, route, client, fields)
    })
}

/// The request's key, and where it leads, if anywhere.
fn locate(exchange: &Exchange) -> Result<(KeyBuf, Option<Destination>), Refusal> {
    let (site, scheme) = (exchange.site(), exchange.client.scheme);
    let authority = exchange.authority().map_err(Refusal::Malformed)?;
    let (key, destination) = site.locate(scheme, &authority, &exchange.target());
    Ok((key, destination.cloned()))
}

/// Has the upload, if there is one, keep to the limits of its route in place of the server's.
fn hold_to_limits(exchange: &Exchange, destination: Option<&Destination>) -> Result<(), Refusal> {
    let Some(upload) = &exchange.upload else {
        return Ok(());
    };
    let site = exchange.site();
    let bytes_max = match destination {
        Some(destination) => {
            let limits = &site.routes.scope(destination).exchange_limits;
            upload.limit(limits.body_bytes_max, limits.body_timeout);
            limits.body_bytes_max
        }
        None => site.server.body_bytes_max,
    };
    match exchange.body.size_hint().lower() > bytes_max {
        true => Err(Refusal::BodyTooLong),
        false => Ok(()),
    }
}

fn limit(exchange: &Exchange, destination: Option<&Destination>) -> Result<(), Limited> {
    let site = exchange.site();
    let route = destination.map(|it| &site.routes.scope(it).bounds);
    let client = exchange.client.address.ip();
    site.bounds.check(route, client, &exchange.request.headers)
}

/// Where a request by http is to go instead, if only https will do.
fn elsewhere(exchange: &Exchange, destination: &Destination, key: &KeyBuf) -> Option<String> {
    let site = exchange.site();
    let is_asked = site.routes.scope(destination).https.only;
    if !is_asked || exchange.client.scheme == Scheme::Https {
        return None;
    }
    let (host, target) = (without_port(key.authority()), exchange.target());
    Some(match site.server.https_port {
        443 => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    })
}

/// RFC 6797 §7.2: "An HSTS Host MUST NOT include the STS header field in HTTP responses conveyed over
/// non-secure transport."
fn hsts(exchange: &Exchange, destination: &Destination) -> Option<HeaderValue> {
    let https = &exchange.site().routes.scope(destination).https;
    let is_secure = exchange.client.scheme == Scheme::Https;
    https.hsts.clone().filter(|_| is_secure)
}

/// What no request may look like, whatever it asks for.
fn check(exchange: &Exchange) -> Result<(), Refusal> {
    let request = &exchange.request;
    // TRACE would show the client the fields that we add; a tunnel is not what we are.
    if request.method == Method::CONNECT || request.method == Method::TRACE {
        return Err(Refusal::Method);
    }
    if exchange.target().len() > exchange.site().server.target_bytes_max {
        return Err(Refusal::TargetTooLong);
    }
    if exchange.site().hop.has_looped(&request.headers) {
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

/// `PURGE` and its like are ours only where networks are configured; else they are unknown methods
/// like any other.
fn asked_to_purge(exchange: &Exchange) -> Option<Asked> {
    if exchange.site().server.purge_from.is_empty() {
        return None;
    }
    Asked::of(&exchange.request.method, &exchange.request.headers)
}

fn purge(exchange: Box<Exchange>, key: KeyBuf, asked: Asked) -> Step {
    let address = match exchange.client.address.ip() {
        IpAddr::V6(address) => address.to_canonical(),
        address => address,
    };
    let networks = &exchange.site().server.purge_from;
    let may = networks.iter().any(|network| network.contains(&address));
    let refusal = match asked {
        _ if !may => Refusal::PurgeForbidden,
        Asked::Other => Refusal::PurgeUnknown,
        Asked::Page(how) => return Step::Purge(Purge { exchange, key, how }),
    };
    Step::Synth(Synth::refusal(exchange, refusal))
}

/// Through the cache or past it.
fn onward(mut wanted: Wanted) -> Step {
    let request = &wanted.exchange.request;
    if headers::wants_websocket(request.version, &request.headers) {
        return Step::Synth(Synth::refusal(wanted.exchange, Refusal::WebSocket));
    }
    wanted.take_sticky();
    let Exchange { request, body, .. } = &*wanted.exchange;
    let has_content = !body.is_empty();
    match Dispatch::of(
        wanted.caching(),
        &request.method,
        &request.headers,
        has_content,
        wanted.ruled(),
    ) {
        Dispatch::Lookup => {
            wanted.reduce();
            Step::Lookup(Lookup { wanted, waited: 0 })
        }
        Dispatch::Query => Step::Query(Query { wanted }),
        Dispatch::Pass(why) => Step::Pass(Pass {
            wanted,
            why,
            stored: None,
        }),
        Dispatch::OnlyIfCached => Step::Synth(Synth::only_if_cached(wanted.exchange)),
    }
}
