//! Check that no rule shapes what is stored by what its key does not hold: then one client's request
//! would choose what others get.
//!
//! A rule that adds to the key tells its own responses apart. What is done to requests that are never
//! looked up shapes nothing.

use super::super::action::Action;
use super::super::key::CacheKey;
use super::super::report::{Place, Report};
use super::super::route::Route;
use super::super::rule::{RawRule, RawRules, Rule};
use super::super::site::{RawSite, Site};
use super::super::table::Written;
use super::super::template::{Template, Value};
use crate::rules::{Phase, Read};
use crate::semantics::globs::Globs;

/// A rule as written and as understood.
type Both<'a> = (&'a Written<RawRule>, &'a Rule);

/// Complains of each rule once, with the first route on which it does harm.
pub(super) fn check(
    (raw_top, top): (&RawRules, &[Rule]),
    (raw_sites, sites): (&[Written<RawSite>], &[Site]),
    report: &mut Report,
) {
    for (raw, site) in raw_sites.iter().zip(sites) {
        let routes = &raw.get_ref().route;
        if routes.len() != site.routes.len() {
            continue;
        }
        for (raw_route, route) in routes.iter().zip(&site.routes) {
            let is_stored = matches!(route.action, Action::Origin(_)) && route.cache.enabled;
            if !is_stored {
                continue;
            }
            let of_top = raw_top.iter().zip(top);
            let of_site = raw.get_ref().rule.iter().zip(&site.rules);
            let of_route = raw_route.get_ref().rule.iter().zip(&route.rules);
            let chain: Vec<Both<'_>> = of_top.chain(of_site).chain(of_route).collect();
            check_route(&chain, route, report);
        }
    }
}

fn check_route(chain: &[Both<'_>], route: &Route, report: &mut Report) {
    let always = chain.iter().filter(|it| it.1.when.is_none());
    let keyed: Vec<Read> = always.flat_map(|it| key_reads(it.1)).collect();
    let keyed = Keyed {
        key: &route.cache.key,
        more: keyed,
    };
    for (raw, rule) in chain {
        if rule.request.passes || rule.request.end.is_some() || keeps_off(rule) {
            continue;
        }
        for shape in shapes(raw, rule) {
            if let Some(read) = keyed.lacks(rule, &shape) {
                report.at(shape.place, complaint(read, rule, route));
            }
        }
    }
}

/// Whether it is about methods alone whose answers are not looked up.
fn keeps_off(rule: &Rule) -> bool {
    let methods = rule.when.as_ref().and_then(|it| it.methods());
    methods.is_some_and(|it| {
        !it.iter()
            .any(|it| ["GET", "HEAD", "QUERY"].contains(&&**it))
    })
}

/// Something that a rule does to what is stored, and where that is written.
struct Shape<'a> {
    place: Place,
    /// The texts that it is filled in by.
    templates: Vec<&'a Template>,
}

fn shapes<'a>(raw: &Written<RawRule>, rule: &'a Rule) -> Vec<Shape<'a>> {
    let raw = raw.get_ref();
    let mut shapes = Vec::new();
    if let Some(origin) = &raw.origin {
        shapes.push(Shape {
            place: origin.span(),
            templates: Vec::new(),
        });
    }
    let fields = &rule.request.fields;
    if let Some(request) = raw.request.as_ref().filter(|_| !fields.is_empty()) {
        let templates = fields.templates().collect();
        shapes.push(Shape {
            place: request.span(),
            templates,
        });
    }
    // What is not stored for a client's sake is only stored later.
    let response = &rule.response;
    let lives = [&response.ttl, &response.grace, &response.keep];
    let shapes_it = lives.iter().any(|it| it.is_some()) || !response.fields.is_empty();
    if let Some(response) = raw.response.as_ref().filter(|_| shapes_it) {
        shapes.push(Shape {
            place: response.span(),
            templates: Vec::new(),
        });
    }
    shapes
}

/// What the templates read that a rule adds to the key.
fn key_reads(rule: &Rule) -> impl Iterator<Item = Read> {
    let values = rule.request.key.iter().flat_map(Template::values);
    // A part of a value tells apart less than the value.
    values
        .filter(|it| !matches!(it, Value::Cut(..)))
        .map(Value::read)
}

/// What the key of a route holds.
struct Keyed<'a> {
    key: &'a CacheKey,
    /// By rules that always hold.
    more: Vec<Read>,
}

// === impl Keyed ===

impl Keyed<'_> {
    /// The first of what a rule reads for this that no key holds.
    fn lacks(&self, rule: &Rule, shape: &Shape<'_>) -> Option<Read> {
        let own: Vec<Read> = key_reads(rule).collect();
        // With a part of its own in the key, where it holds is told apart from where it does not.
        let tells_itself = !rule.request.key.is_empty();
        let of_condition = rule.reads().iter().filter(|_| !tells_itself).cloned();
        let values = shape.templates.iter().flat_map(|it| it.values());
        // As in `request_fields` of a route: an answer that varies by them is not stored.
        let is_told_anyway = |it: &&Value| {
            matches!(
                it.whole(),
                Value::Client | Value::ClientPort | Value::RequestId
            )
        };
        let of_values = values.filter(|it| !is_told_anyway(it)).map(Value::read);
        let mut lacking = of_condition
            .filter(|it| !self.holds(it) && !self.tells_method(rule, it))
            .chain(of_values.filter(|it| !own.contains(it) && !self.holds(it)));
        lacking.next()
    }

    /// GET and HEAD share what is stored, so a condition on both divides nothing.
    fn tells_method(&self, rule: &Rule, read: &Read) -> bool {
        let methods = rule.when.as_ref().and_then(|it| it.methods());
        let has = |name: &str| methods.is_some_and(|it| it.iter().any(|it| &**it == name));
        *read == Read::Method && has("GET") && has("HEAD")
    }

    fn holds(&self, read: &Read) -> bool {
        let key = self.key;
        let is_whole = key.query_allow.is_none() && key.query_deny.is_empty();
        let holds = match read {
            Read::Url | Read::Response | Read::Delivery => true,
            // No client makes an origin sick for itself.
            Read::Health => true,
            Read::Query => is_whole,
            Read::Param(name) => is_whole || self.holds_param(name),
            Read::Header(name) => key.fields.iter().any(|it| it.as_str() == &**name),
            Read::Device => key.fields.contains(&http::header::USER_AGENT),
            Read::Cookie(name) => {
                key.cookies.iter().any(|it| **it == **name)
                    || !name.contains('*') && Globs::new(&key.cookies).have(name.as_bytes())
            }
            Read::Method | Read::Client | Read::Bucket => false,
        };
        holds || self.more.contains(read)
    }

    fn holds_param(&self, name: &str) -> bool {
        let is_on = |list: &[String]| Globs::new(list).have(name.as_bytes());
        let is_allowed = self.key.query_allow.as_deref().is_none_or(is_on);
        !name.contains('*') && is_allowed && !is_on(&self.key.query_deny)
    }
}

fn complaint(read: Read, rule: &Rule, route: &Route) -> String {
    let is_value = matches!(
        read,
        Read::Header(_) | Read::Cookie(_) | Read::Param(_) | Read::Device
    );
    let mend = match rule.phase() {
        Phase::Request if is_value && rule.request.key.is_empty() => {
            format!("add `key = ['${{{read}}}']` to this rule, or `pass = true`")
        }
        Phase::Request => format!(
            "add `key = [\"{}\"]` to this rule, or `pass = true`",
            rule.name
        ),
        _ => {
            "put it into `key` of the route's `cache`, or leave the change to `deliver`".to_owned()
        }
    };
    format!(
        "shapes what is stored by `{read}`, which the key of route `{}` does not hold, so that one \
         client chooses what others get; {mend}",
        route.path
    )
}
