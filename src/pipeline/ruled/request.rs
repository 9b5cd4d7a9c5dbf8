//! Rules of a request: which are true, and what they say together.
//!
//! All that are true apply, and of two that say one thing the later one counts.

use std::sync::Arc;

use http::Uri;
use http::uri::PathAndQuery;

use crate::config::{RequestCookies, Template};
use crate::pipeline::asking::Asking;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::route::Destination;
use crate::pipeline::route::rules::{Chain, Matched, Number, Rule, RuledEnd};
use crate::pipeline::site::Site;
use crate::pipeline::values::Values;
use crate::semantics::facet::Facet;
use crate::semantics::key::KeyBuf;

/// The name of a rule, and what it adds to the key.
pub(in crate::pipeline) type KeyPart = (Arc<str>, Vec<u8>);

/// What the rules that are true of a request say together.
#[derive(Clone, Copy)]
pub(in crate::pipeline) struct Ruled<'a> {
    chain: Option<&'a Chain>,
    matched: &'a [Number],
}

/// The rules that are true of a request, by their numbers: of one for a purge those that are true of the
/// request whose response it is about.
pub(in crate::pipeline) fn matched(
    exchange: &Exchange,
    key: &KeyBuf,
    destination: Option<&Destination>,
    is_purge: bool,
) -> Matched {
    let site = exchange.site();
    let Some(chain) = site.routes.rules(destination) else {
        return Matched::new();
    };
    let request = &exchange.request;
    let asking = Asking {
        method: if is_purge {
            "GET"
        } else {
            request.method.as_str()
        },
        scheme: exchange.client.scheme,
        authority: key.authority(),
        target: &exchange.target(),
        fields: &request.headers,
        client: exchange.client.address.ip(),
    };
    asking.with_facts(site, destination, |facts| chain.of_request(facts))
}

/// Notes which rules were true: each is counted, and logged where there is a log.
pub(in crate::pipeline) fn note<'a>(
    rules: impl Iterator<Item = &'a Rule>,
    log: Option<&mut Vec<&'static str>>,
) {
    let counted = rules.map(|rule| {
        rule.tally.count();
        rule.tally.name()
    });
    match log {
        Some(log) => log.extend(counted),
        None => counted.for_each(drop),
    }
}

/// What a request asks for with another path, for key and origin alike. `None` where that would be
/// nothing that can be asked for.
pub(in crate::pipeline) fn rewritten(
    exchange: &Exchange,
    destination: Option<&Destination>,
    template: &Template,
) -> Option<Uri> {
    let site = exchange.site();
    let target = target(&Values::of(exchange), &exchange.target(), template);
    let target = site.as_seen_at(destination, target);
    if target.len() > site.server.target_bytes_max {
        return None;
    }
    let mut parts = exchange.request.uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

/// The same of a request that is only imagined.
pub(in crate::pipeline) fn rewritten_of(
    asking: &Asking<'_>,
    (site, destination): (&Site, Option<&Destination>),
    template: &Template,
) -> String {
    let target = target(&Values::asked(asking), asking.target, template);
    site.as_seen_at(destination, target)
}

/// The query stays where the template has none.
fn target(values: &Values<'_>, before: &str, template: &Template) -> String {
    let mut target = values.url(template);
    if !target.contains('?')
        && let Some((_, query)) = before.split_once('?')
    {
        target.push('?');
        target.push_str(query);
    }
    // RFC 3986 §3.3: without an authority a path cannot begin with two slashes.
    format!("/{}", target.trim_start_matches('/'))
}

// === impl Ruled ===

impl<'a> Ruled<'a> {
    pub(in crate::pipeline) fn new(chain: Option<&'a Chain>, matched: &'a [Number]) -> Self {
        Self { chain, matched }
    }

    /// What they say of a request that leads there.
    pub(in crate::pipeline) fn of(
        exchange: &'a Exchange,
        destination: Option<&'a Destination>,
    ) -> Self {
        let chain = exchange.site().routes.rules(destination);
        Self::new(chain.map(|it| &**it), &exchange.matched)
    }

    /// The rules that are true, in order.
    pub(in crate::pipeline) fn rules(self) -> impl DoubleEndedIterator<Item = &'a Rule> {
        let rule = |chain: &'a Chain, number: &Number| &**chain.rule(*number);
        self.chain
            .into_iter()
            .flat_map(move |chain| self.matched.iter().map(move |it| rule(chain, it)))
    }

    fn last<T>(self, pick: impl Fn(&'a Rule) -> Option<T>) -> Option<T> {
        self.rules().rev().find_map(pick)
    }

    /// Why the request goes past the cache, if it does, as Cache-Status has it.
    pub(in crate::pipeline) fn passes(self) -> Option<&'static str> {
        self.last(|it| it.request.passes.then(|| it.tally.detail()))
    }

    /// What its cookies mean.
    pub(in crate::pipeline) fn cookies(self) -> Option<RequestCookies> {
        self.last(|it| it.request.cookies)
    }

    /// Whether its origin is to be asked, whatever is stored.
    pub(in crate::pipeline) fn refreshes(self) -> bool {
        self.last(|it| it.request.refreshes).unwrap_or(false)
    }

    /// The origin that is chosen.
    pub(in crate::pipeline) fn origin(self) -> Option<&'a str> {
        self.last(|it| it.request.origin.as_deref())
    }

    /// What its path becomes.
    pub(in crate::pipeline) fn rewrite(self) -> Option<&'a Template> {
        self.last(|it| it.request.rewrite.as_ref())
    }

    /// What it gets at once, and the rule that says so.
    pub(in crate::pipeline) fn end(self) -> Option<(&'a Rule, &'a RuledEnd)> {
        self.last(|it| it.request.end.as_ref().map(|end| (it, end)))
    }

    /// The names of the limits that it is to meet.
    pub(in crate::pipeline) fn limits(self) -> impl Iterator<Item = &'a str> {
        self.rules()
            .flat_map(|it| &it.request.limits)
            .map(|it| &**it)
    }

    /// Adds to a facet what is to be part of the key. The values are those of the request as it came in.
    pub(in crate::pipeline) fn key_parts(self, values: &Values<'_>) -> Vec<KeyPart> {
        let mut parts = Vec::new();
        for rule in self.rules() {
            for template in &rule.request.key {
                let value = values.bytes(template);
                parts.push((Arc::clone(&rule.name), value));
            }
        }
        parts
    }
}

/// A facet with what rules have added.
pub(in crate::pipeline) fn with_parts(facet: Facet, parts: &[KeyPart]) -> Facet {
    match parts {
        [] => facet,
        parts => facet.with_parts(parts.iter().map(|(name, value)| (&**name, &value[..]))),
    }
}
