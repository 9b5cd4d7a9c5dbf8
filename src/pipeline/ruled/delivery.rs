//! Rules of a delivery: what a client gets to see of a response's fields.

use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

use super::request::{Ruled, note};
use crate::config::Template;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::route::rules::{Chain, Matched};
use crate::pipeline::route::without_port;
use crate::pipeline::values::{Answered, Values};
use crate::rules::{Delivery, Facts, Request, Response};

/// Edits the fields that a client gets, by the rules that were true of its request and those that are
/// of its response.
pub(in crate::pipeline) fn deliver(
    exchange: &mut Exchange,
    chain: &Chain,
    answered: Answered,
    fields: &mut HeaderMap,
) {
    let late = late(exchange, chain, answered, fields);
    let mut numbers: Matched = exchange.matched.clone();
    numbers.extend_from_slice(&late);
    numbers.sort_unstable();
    let value = |template: &Template, fields: &HeaderMap| -> Option<HeaderValue> {
        Values::of(exchange)
            .answered(answered)
            .field(template, fields)
    };
    for rule in Ruled::new(Some(chain), &numbers).rules() {
        if !rule.deliver.is_empty() {
            rule.deliver.apply(fields, value);
            rule.deliver.declare(fields);
        }
    }
    let log = exchange.entry.record.asked.as_mut().map(|it| &mut it.rules);
    note(Ruled::new(Some(chain), &late).rules(), log);
}

/// Those that hang on the response.
fn late(exchange: &Exchange, chain: &Chain, answered: Answered, fields: &HeaderMap) -> Matched {
    if chain.on_delivery.is_empty() {
        return SmallVec::new();
    }
    let request = &exchange.request;
    let authority = exchange.authority().unwrap_or_default();
    let target = exchange.target_as_routed();
    let lifetime = || answered.ttl_secs;
    let facts = Facts::of(Request {
        method: request.method.as_str(),
        scheme: exchange.client.scheme.as_str(),
        host: without_port(&authority),
        target: &target,
        fields: exchange.original.as_deref().unwrap_or(&request.headers),
        client: exchange.client.address.ip(),
        is_healthy: &|| true,
    });
    let facts = facts
        .answered(Response {
            status: answered.status.as_u16(),
            fields,
            lifetime: &lifetime,
        })
        .delivered(Delivery {
            outcome: answered.outcome.as_str(),
            hits: answered.hits,
        });
    let all = chain.on_delivery.iter().copied();
    all.filter(|it| chain.rule(*it).holds(&facts)).collect()
}
