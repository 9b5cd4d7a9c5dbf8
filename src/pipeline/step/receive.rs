//! Step Receive, the first: is this a request we may act upon, whose is it, and what is to be done?
//!
//! Comes from the server. Goes to Login, Lookup, Query, Pass, Purge or Synth. Rules are looked at when all
//! else is sound, and before a request is led on.

use std::net::IpAddr;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, StatusCode, Uri, Version};
use http_body::Body as _;

use super::login::Login;
use super::lookup::Lookup;
use super::pass::Pass;
use super::purge::Purge;
use super::query::Query;
use super::refusal::Refusal;
use super::synth::Synth;
use crate::pipeline::dispatch::Dispatch;
use crate::pipeline::exchange::{Entry, Exchange};
use crate::pipeline::flow::Step;
use crate::pipeline::gate::{Denial, TurnedAway};
use crate::pipeline::login::Look;
use crate::pipeline::purge_forms::{self, Unclear};
use crate::pipeline::reasons::Bypass;
use crate::pipeline::route::limit::Limited;
use crate::pipeline::route::{Destination, RouteId, without_port};
use crate::pipeline::ruled::{self, Ruled, matched, note};
use crate::pipeline::tunnel::Wish;
use crate::pipeline::wanted::Wanted;
use crate::semantics::key::{KeyBuf, Scheme};
use crate::semantics::reference::Target;
use crate::semantics::{headers, upgrade};

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
        let (mut key, destination) = match check(&exchange).and_then(|()| locate(&mut exchange)) {
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
        if wants_a_purge(&exchange) {
            exchange.matched = matched(&exchange, &key, destination.as_ref(), true);
            rewrite(&mut exchange, &mut key, destination.as_ref());
            return purge(exchange, &key);
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
    match exchange.site().routes.rules(destination.as_ref()) {
        None => lead(exchange, key, destination),
        Some(_) => ruled(exchange, key, destination),
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
    let Some(uri) = ruled::rewritten(exchange, destination, template) else {
        return;
    };
    exchange.target_before = Some(exchange.target().into());
    exchange.request.uri = uri;
    // What the client wrote has no part in it.
    exchange.spelling = None;
    let (site, scheme) = (exchange.site(), exchange.client.scheme);
    *key = site.key(destination, scheme, key.authority(), &exchange.target());
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

/// The request's key, and where it leads, if anywhere. From here on its target is seen as the route sees
/// it.
fn locate(exchange: &mut Exchange) -> Result<(KeyBuf, Option<Destination>), Refusal> {
    let (site, scheme) = (exchange.site(), exchange.client.scheme);
    let authority = exchange.authority().map_err(Refusal::Malformed)?;
    let target = exchange.target_as_sent();
    let located = site.locate(scheme, &authority, &target);
    let located = located.map_err(Refusal::Malformed)?;
    let (key, destination) = (located.key, located.destination.cloned());
    if let Some(spelling) = located.spelling {
        exchange.note_spelling(spelling);
    }
    Ok((key, destination))
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
            // Messages of gRPC come when there is something to say.
            let rate_min = match headers::is_grpc(&exchange.request.headers) {
                true => 0,
                false => limits.receive_rate_min,
            };
            upload.limit(limits.body_bytes_max, limits.body_timeout, rate_min);
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
    let (host, target) = (without_port(key.authority()), exchange.target_as_sent());
    // `OPTIONS *` is for the server as a whole (RFC 9110 §9.3.7), which has no other URL.
    if !is_asked || exchange.client.scheme == Scheme::Https || target == "*" {
        return None;
    }
    Some(match site.server.https_port {
        443 => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    })
}

/// RFC 6797 §7.2: "An HSTS Host MUST NOT include the STS header field in HTTP responses conveyed over
/// non-secure transport."
fn hsts(exchange: &Exchange, destination: &Destination) -> Option<Option<HeaderValue>> {
    let hsts = exchange
        .site()
        .routes
        .scope(destination)
        .https
        .hsts
        .as_ref()?;
    let is_secure = exchange.client.scheme == Scheme::Https;
    Some(is_secure.then(|| hsts.clone()))
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
    // A parser of HTTP/1 takes the space around a value off, one of HTTP/2 leaves it.
    if request.version > Version::HTTP_11 && headers::has_edge_space(&request.headers) {
        return Err(Refusal::Malformed("edge-space"));
    }
    match has_form(&request.uri, &request.method) {
        true => Ok(()),
        false => Err(Refusal::Malformed("request-target")),
    }
}

/// Whether a target is in a form that its method may have (RFC 9112 §3.2, RFC 9113 §8.3.1).
fn has_form(uri: &Uri, method: &Method) -> bool {
    let has_path = match uri.path() {
        // "The asterisk-form of request-target is only used for a server-wide OPTIONS request".
        "*" => method == Method::OPTIONS,
        path => path.is_empty() || path.starts_with('/'),
    };
    let is_whole = match (uri.scheme_str(), uri.authority()) {
        // `GET foo` reads as an authority: serving it would answer with the root's page.
        (None, Some(_)) => false,
        (None, None) => !uri.path().is_empty(),
        (Some(scheme), Some(_)) => matches!(scheme, "http" | "https"),
        (Some(_), None) => false,
    };
    has_path && is_whole
}

/// `PURGE` and its like are ours only where networks are configured; else they are unknown methods
/// like any other.
fn wants_a_purge(exchange: &Exchange) -> bool {
    !exchange.site().server.purge_from.is_empty() && purge_forms::is_meant(&exchange.request.method)
}

fn purge(exchange: Box<Exchange>, key: &KeyBuf) -> Step {
    let address = match exchange.client.address.ip() {
        IpAddr::V6(address) => address.to_canonical(),
        address => address,
    };
    let networks = &exchange.site().server.purge_from;
    let may = networks.iter().any(|network| network.contains(&address));
    if !may {
        return Step::Synth(Synth::refusal(exchange, Refusal::PurgeForbidden));
    }
    let here = Target {
        scheme: exchange.client.scheme,
        authority: key.authority().to_owned(),
        path_and_query: exchange.target().into_owned(),
    };
    let request = &exchange.request;
    match purge_forms::read(&request.method, &request.headers, here) {
        Ok(wanted) => Step::Purge(Purge { exchange, wanted }),
        Err(unclear) => {
            let status = match unclear {
                Unclear::Unknown | Unclear::UnknownField(_) => StatusCode::NOT_IMPLEMENTED,
                Unclear::Nothing | Unclear::Field(..) | Unclear::Path(_) => StatusCode::BAD_REQUEST,
            };
            Step::Synth(Synth::not_purged(exchange, status, &unclear.to_string()))
        }
    }
}

/// What a request wants to become that asks for another protocol, if its route allows it. "A server MAY
/// ignore a received Upgrade header field if it wishes to continue using the current protocol on that
/// connection." (RFC 9110 §7.8) So it is where there is content: behind that nobody looks for another
/// protocol.
fn wish(wanted: &Wanted) -> Result<Option<Wish>, Refusal> {
    let (exchange, route) = (&wanted.exchange, wanted.route());
    let fields = &exchange.request.headers;
    let protocols = upgrade::protocols_among(fields, &route.upgrade);
    let Some(protocols) = protocols.filter(|_| exchange.body.is_empty()) else {
        return match upgrade::is_websocket(fields) {
            true => Err(Refusal::WebSocket),
            false => Ok(None),
        };
    };
    let site = exchange.site();
    let (limits, max) = (&route.scope.exchange_limits, site.server.tunnels_max);
    let wish = site.tunnels.wish(protocols, limits, max);
    wish.map(Some).ok_or(Refusal::TunnelsFull)
}

/// Through the cache or past it.
fn onward(mut wanted: Wanted) -> Step {
    let request = &wanted.exchange.request;
    if upgrade::is_asked_for(request.version, &request.headers) {
        match wish(&wanted) {
            Ok(wish) => wanted.exchange.wish = wish.map(Box::new),
            Err(refusal) => return Step::Synth(Synth::refusal(wanted.exchange, refusal)),
        }
    }
    wanted.take_sticky();
    if wanted.exchange.wish.is_some() {
        return Step::Pass(Pass {
            wanted,
            why: Bypass::Upgrade,
            stored: None,
        });
    }
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
