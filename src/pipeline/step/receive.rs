//! Step Receive, the first: is this a request we may act upon, whose is it, and what is to be done?
//!
//! Comes from the server. Goes to Login, Lookup, Query, Pass, Purge or Synth.

use std::net::IpAddr;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};
use http_body::Body as _;

use super::login::Login;
use super::lookup::Lookup;
use super::pass::Pass;
use super::purge::Purge;
use super::query::Query;
use super::synth::{Refusal, Synth};
use crate::pipeline::dispatch::Dispatch;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::flow::Step;
use crate::pipeline::gate::{Denial, TurnedAway};
use crate::pipeline::login::Look;
use crate::pipeline::purging::Asked;
use crate::pipeline::route::limit::Limited;
use crate::pipeline::route::{Destination, without_port};
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
        let (key, destination) = match check(&exchange).and_then(|()| locate(&exchange)) {
            Ok(located) => located,
            Err(refusal) => return Step::Synth(Synth::refusal(exchange, refusal)),
        };
        if let Some(destination) = &destination {
            let site = exchange.site().routes.scope(destination).site;
            exchange.entry.record.site = site;
        }
        if let Err(denial) = admit(&exchange, destination.as_ref()) {
            return Step::Synth(Synth::turned_away(exchange, denial));
        }
        if let Err(refusal) = hold_to_limits(&exchange, destination.as_ref()) {
            return Step::Synth(Synth::refusal(exchange, refusal));
        }
        if let Some(asked) = asked_to_purge(&exchange) {
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
        match log_in(&exchange, destination.as_ref()) {
            Ok(None) => {}
            Ok(Some(Look::Known(user))) => let_in(&mut exchange, destination.as_ref(), user),
            Ok(Some(Look::Unknown(attempt))) => {
                return Step::Login(Login {
                    exchange,
                    key,
                    destination,
                    attempt,
                });
            }
            Err(denial) => return Step::Synth(Synth::turned_away(exchange, denial)),
        }
        go_on(exchange, key, destination)
    }
}

/// The client is let in: by where its request leads.
pub(super) fn go_on(
    exchange: Box<Exchange>,
    key: KeyBuf,
    destination: Option<Destination>,
) -> Step {
    if exchange.request.method == Method::OPTIONS
        && headers::goes_no_further(&exchange.request.headers)
    {
        return Step::Synth(Synth::final_recipient(exchange));
    }
    let redirects = exchange.site().redirects(destination.as_ref());
    if let Some((status, to)) = redirects.and_then(|it| it.find(&exchange.target())) {
        return Step::Synth(Synth::moved(exchange, status, to));
    }
    match destination {
        Some(Destination::Origin(route)) => onward(Wanted::new(exchange, key, route)),
        Some(Destination::Own(route)) => Step::Synth(Synth::of_route(exchange, &route)),
        None => Step::Synth(Synth::no_route(exchange)),
    }
}

/// The request's key, and where it leads, if anywhere.
fn locate(exchange: &Exchange) -> Result<(KeyBuf, Option<Destination>), Refusal> {
    let (site, scheme) = (exchange.site(), exchange.client.scheme);
    let authority = exchange.authority().map_err(Refusal::Malformed)?;
    let (key, destination) = site.locate(scheme, &authority, &exchange.target());
    Ok((key, destination.cloned()))
}

/// Whether the client is let in at all, be it for a hit.
fn admit(exchange: &Exchange, destination: Option<&Destination>) -> Result<(), Denial> {
    let gate = exchange.site().gate(destination);
    let client = exchange.client.address.ip();
    match gate.is_none_or(|it| it.access.admits(client)) {
        true => Ok(()),
        false => Err(Denial::by(TurnedAway::Address)),
    }
}

/// Who the client is, where that is asked; `None` where it is not.
fn log_in(exchange: &Exchange, destination: Option<&Destination>) -> Result<Option<Look>, Denial> {
    let site = exchange.site();
    let Some(gate) = site.gate(destination) else {
        return Ok(None);
    };
    let client = exchange.client.address.ip();
    if let Some(maintenance) = &gate.maintenance
        && site.switches.are_on(maintenance)
        && !maintenance.allow.hold(client)
    {
        return Err(Denial::by(TurnedAway::Maintenance).until(maintenance.retry_after));
    }
    let Some(auth) = &gate.basic_auth else {
        return Ok(None);
    };
    let look = site.logins.look(auth, &exchange.request.headers, client)?;
    Ok(Some(look))
}

/// The credentials were for us: what is answered does not hang on them, unless the origin is told.
pub(super) fn let_in(exchange: &mut Exchange, destination: Option<&Destination>, user: String) {
    let gate = exchange.site().gate(destination);
    let is_told = gate
        .and_then(|it| it.basic_auth.as_ref())
        .is_some_and(|it| it.forward);
    if !is_told {
        exchange.request.headers.remove(AUTHORIZATION);
    }
    if let Some(asked) = &mut exchange.entry.record.asked {
        asked.user = Some(user.into());
    }
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
