//! Request to the origin: rebuilt from the client's, never passed on as it came.
//!
//! Framing, hop-by-hop fields, claims about who the client is and what could be taken for any of them do
//! not go through. The target does, byte for byte unless its route says otherwise, but for parameters
//! that its key does not hold. Whether the origin is asked at all is decided elsewhere.

use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderName, HeaderValue, VIA};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri, Version};

use crate::body::Body;
use crate::config::Template;
use crate::origin;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::route::Route;
use crate::pipeline::values::Values;
use crate::pipeline::wanted::Wanted;
use crate::semantics::forwarded::{FORWARDED, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use crate::semantics::headers;
use crate::semantics::mimicry;
use crate::semantics::proxy_protocol::Endpoints;
use crate::semantics::upgrade;

const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The request's head for the origin, with an empty body. What is done to it for the store comes before
/// it is edited.
pub(in crate::pipeline) fn request(wanted: &Wanted) -> Request<Body> {
    let (exchange, route, pool) = (&*wanted.exchange, wanted.route(), wanted.pool());
    let authority = wanted.key().authority();
    let mut request = Request::new(Body::empty());
    *request.method_mut() = exchange.request.method.clone();
    let target = wanted.target();
    *request.uri_mut() = onward(&target, route);
    let mut fields = exchange.request.headers.clone();
    headers::strip_hop_by_hop(&mut fields);
    headers::strip_framing(&mut fields);
    // RFC 9110 §10.1.1 would have a proxy forward an expectation, but hyper's client would not wait
    // for what comes of it. So we answer it ourselves, when the body is wanted: when a connection
    // to the origin is there and begins to take it.
    fields.remove(EXPECT);
    exchange
        .site()
        .hop
        .append_via(&mut fields, exchange.request.version);
    if exchange.request.method == Method::OPTIONS {
        headers::count_hop(&mut fields);
    }
    join_cookies(&mut fields);
    strip_mimics(&mut fields, exchange, route);
    name_client(&mut fields, exchange, authority);
    if let Some(name) = exchange.site().request_ids.field() {
        fields.insert(name.clone(), exchange.request_id().clone());
    }
    if let Some(host) = pool
        .host()
        .cloned()
        .or_else(|| HeaderValue::from_str(authority).ok())
    {
        fields.insert(HOST, host);
    }
    if exchange.body.is_empty() && expects_content(&exchange.request.method) {
        fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    if let Some(timeouts) = route.timeouts {
        request.extensions_mut().insert(timeouts);
    }
    let asked = || origin::Asked {
        client: exchange.client.address.ip(),
        authority,
        target: &target,
        fields: &exchange.request.headers,
        belongs: exchange.belongs,
    };
    if let Some(hint) = pool.hint(asked) {
        request.extensions_mut().insert(hint);
    }
    pool.introduce(request.extensions_mut(), || Endpoints {
        source: exchange.client.address,
        destination: exchange.client.local,
    });
    *request.headers_mut() = fields;
    *request.version_mut() = Version::HTTP_11;
    request
}

/// Sets, adds and removes what the route says, and then what its rules say. To be done once, and last.
pub(in crate::pipeline) fn edit(wanted: &Wanted, fields: &mut HeaderMap) {
    let value = |template: &Template, fields: &HeaderMap| {
        let values = Values::of(&wanted.exchange);
        values.asking_for(wanted.target()).field(template, fields)
    };
    wanted.route().request_fields.apply(fields, value);
    for rule in wanted.ruled().rules() {
        rule.request.fields.apply(fields, value);
    }
    // Whatever is edited, it is the connection's own.
    if let Some(wish) = &wanted.exchange.wish {
        upgrade::write(fields, wish.protocols.clone());
    }
}

/// The target in origin-form, without the prefix that the route strips.
fn onward(target: &str, route: &Route) -> Uri {
    let Some(prefix) = &route.strip_prefix else {
        return origin_form(target);
    };
    match target.strip_prefix(&**prefix) {
        Some(rest) if rest.starts_with('/') => origin_form(rest),
        Some(rest) => origin_form(&format!("/{rest}")),
        None => origin_form(target),
    }
}

fn origin_form(target: &str) -> Uri {
    // The target was parsed from the same bytes, so it parses again; a slash stands in if not.
    let target = PathAndQuery::try_from(target).unwrap_or(PathAndQuery::from_static("/"));
    Uri::from(target)
}

/// Tells the origin who asks and how. What the client says of itself here is not believed; what
/// trusted proxies say goes on by way of `client.rs`.
fn name_client(fields: &mut HeaderMap, exchange: &Exchange, authority: &str) {
    let claims: Vec<HeaderName> = fields
        .keys()
        .filter(|name| is_claim(name))
        .cloned()
        .collect();
    for name in claims {
        fields.remove(name);
    }
    let (client, asked) = (&exchange.client, &exchange.request.headers);
    let forwarded_by = exchange.forwarded_by.as_ref();
    let proxies = &exchange.site().trusted_proxies;
    proxies.tell(fields, client, forwarded_by, asked, authority);
}

/// Takes off what an origin might take for a field that we set or take off.
fn strip_mimics(fields: &mut HeaderMap, exchange: &Exchange, route: &Route) {
    let site = exchange.site();
    mimicry::strip(fields, &site.server.allow_fields, |name| {
        let rules = route.scope.rules.as_ref();
        route.request_fields.touch(name)
            || rules.is_some_and(|it| it.touch(name))
            || site.request_ids.field() == Some(name)
    });
}

/// What a client says of itself, in the words of proxies before us that we do not know.
fn is_claim(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-forwarded-") || name == FORWARDED || name == X_REAL_IP
}

/// Makes a request ask for what its key says.
pub(in crate::pipeline) fn unsteer(fields: &mut HeaderMap) {
    for name in &headers::STEERING {
        fields.remove(name);
    }
}

/// Whether a request asks for something else than its key says, as far as that can be told.
pub(in crate::pipeline) fn is_steered(fields: &HeaderMap) -> bool {
    headers::STEERING
        .iter()
        .any(|name| fields.contains_key(name))
}

/// Whether the origin chose by something that we wrote and that the key does not hold: then the
/// answer is this client's, although the client itself sent no such field.
pub(in crate::pipeline) fn is_written_by_us(name: &HeaderName) -> bool {
    let by_key = name == X_FORWARDED_HOST || name == X_FORWARDED_PROTO;
    (is_claim(name) && !by_key) || name == VIA
}

/// "If there are multiple Cookie header fields after decompression, these MUST be concatenated
/// into a single octet string using the two-octet delimiter of 0x3b, 0x20 […] before being passed
/// into a non-HTTP/2 context" (RFC 9113 §8.2.3).
fn join_cookies(fields: &mut HeaderMap) {
    let lines: Vec<&[u8]> = fields
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        fields.insert(COOKIE, joined);
    }
}

/// Methods whose lack of a body is worth saying: "A user agent SHOULD send Content-Length in a
/// request when the method defines a meaning for enclosed content" (RFC 9110 §8.6).
fn expects_content(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}
