//! Rules of an origin's answer: what becomes of it before it is judged, and so before it is stored.
//!
//! They are applied once for each answer, in the fetch's own task, and know of the request what its key
//! has: what is stored is the same for all who get it. Nothing here makes storable what is not.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use smallvec::SmallVec;

use super::request::Ruled;
use crate::config::{Lifetime, Template, Value};
use crate::pipeline::exchange::Exchange;
use crate::pipeline::route::Route;
use crate::pipeline::route::rules::{Chain, Matched, Rule};
use crate::pipeline::route::without_port;
use crate::pipeline::values::{cut_out, divide, filled, first, show};
use crate::rules::{self, Facts, Phase, Request, Response};
use crate::semantics::key::{KeyBuf, Scheme};
use crate::semantics::policy::{Rules, Statuses};
use crate::telemetry::RuleTally;

/// A longer life is as good as this one (RFC 9111 §1.2.2).
const SECONDS_MAX: u64 = 1 << 31;

/// The rules that hold for the answer to a request, and what they need to know of it.
pub(in crate::pipeline) struct ResponseRules {
    chain: Arc<Chain>,
    /// Those that were true of the request and do something with its answer.
    early: Matched,
    route: Arc<Route>,
    asked: Asked,
}

/// A request, as its key has it.
struct Asked {
    scheme: Scheme,
    authority: Box<str>,
    target: Box<str>,
    fields: HeaderMap,
    client: IpAddr,
}

/// What rules have said of an answer.
#[derive(Clone, Debug, Default)]
pub(in crate::pipeline) struct Ruling {
    /// The rule by which it is not stored.
    pub(in crate::pipeline) declined: Option<&'static RuleTally>,
    /// The rule that has set its lifetime.
    pub(in crate::pipeline) timed: Option<&'static RuleTally>,
    /// By what it is judged, where they have set that.
    pub(in crate::pipeline) rules: Option<Arc<Rules>>,
    /// Those that were true, and were not known to be before.
    pub(in crate::pipeline) late: SmallVec<[&'static RuleTally; 4]>,
}

// === impl ResponseRules ===

impl ResponseRules {
    /// `None` where no rule has anything to say of the answer.
    pub(in crate::pipeline) fn of(
        exchange: &Exchange,
        route: &Arc<Route>,
        key: &KeyBuf,
    ) -> Option<Arc<Self>> {
        let chain = route.scope.rules.as_ref()?;
        let matched = exchange.matched.iter().copied();
        let early: Matched = matched
            .filter(|it| !chain.rule(*it).response.is_empty())
            .collect();
        if early.is_empty() && chain.on_response.is_empty() {
            return None;
        }
        let asked = Asked {
            scheme: exchange.client.scheme,
            authority: key.authority().into(),
            target: String::from_utf8_lossy(key.to_key().path_and_query()).into(),
            fields: exchange.request.headers.clone(),
            client: exchange.client.address.ip(),
        };
        Some(Arc::new(Self {
            chain: Arc::clone(chain),
            early,
            route: Arc::clone(route),
            asked,
        }))
    }

    /// Edits the fields of an answer, and tells how it is to be judged; `lifetime` is what its own fields
    /// give it, in seconds. What they leave open is judged by `base`.
    pub(in crate::pipeline) fn apply(
        &self,
        status: StatusCode,
        fields: &mut HeaderMap,
        base: &Arc<Rules>,
        lifetime: &dyn Fn(&HeaderMap) -> Option<u64>,
    ) -> Ruling {
        let late = self.late(status, fields, lifetime);
        let mut numbers = self.early.clone();
        numbers.extend_from_slice(&late);
        numbers.sort_unstable();
        late.iter()
            .for_each(|it| self.chain.rule(*it).tally.count());
        let mut ruling = Ruling {
            late: late.iter().map(|it| self.chain.rule(*it).tally).collect(),
            ..Ruling::default()
        };
        for rule in Ruled::new(Some(&self.chain), &numbers).rules() {
            ruling.heed(rule, status, base, |template| {
                self.text(template, status, fields)
            });
            let value = |template: &Template, fields: &HeaderMap| -> Option<HeaderValue> {
                filled(template, |value, out| {
                    self.write(value, status, fields, out)
                })
            };
            rule.response.fields.apply(fields, value);
        }
        ruling
    }

    fn late(
        &self,
        status: StatusCode,
        fields: &HeaderMap,
        lifetime: &dyn Fn(&HeaderMap) -> Option<u64>,
    ) -> Matched {
        let asked = &self.asked;
        let lifetime = || lifetime(fields);
        let is_healthy = || !self.route.pool.is_sick();
        let facts = Facts::of(Request {
            // What is stored is the answer to a GET, whoever asks.
            method: "GET",
            scheme: asked.scheme.as_str(),
            host: without_port(&asked.authority),
            target: &asked.target,
            fields: &asked.fields,
            client: asked.client,
            is_healthy: &is_healthy,
        });
        let facts = facts.answered(Response {
            status: status.as_u16(),
            fields,
            lifetime: &lifetime,
        });
        let all = self.chain.on_response.iter().copied();
        all.filter(|it| self.chain.rule(*it).holds(&facts))
            .collect()
    }

    fn text(&self, template: &Template, status: StatusCode, fields: &HeaderMap) -> Option<String> {
        let value = filled(template, |value, out| {
            self.write(value, status, fields, out)
        });
        Some(value?.to_str().ok()?.to_owned())
    }

    /// Of what is not the same for all there is nothing: the configuration's check has refused it.
    fn write(&self, value: &Value, status: StatusCode, fields: &HeaderMap, out: &mut Vec<u8>) {
        let asked = &self.asked;
        let (path, query) = divide(&asked.target);
        match value {
            Value::Authority => out.extend_from_slice(asked.authority.as_bytes()),
            Value::Host => out.extend_from_slice(without_port(&asked.authority).as_bytes()),
            Value::Path => out.extend_from_slice(path.as_bytes()),
            Value::Query => out.extend_from_slice(query.as_bytes()),
            Value::Target => out.extend_from_slice(asked.target.as_bytes()),
            Value::Scheme => out.extend_from_slice(asked.scheme.as_str().as_bytes()),
            Value::Ext => out.extend(
                rules::extension(path)
                    .bytes()
                    .map(|it| it.to_ascii_lowercase()),
            ),
            Value::Reason => show(out, status.canonical_reason()),
            Value::Status => show(out, Some(status.as_u16())),
            Value::ResponseHeader(name) => out.extend_from_slice(first(fields, name)),
            Value::Cut(of, cut) => cut_out(of, cut, out, |value, out| {
                self.write(value, status, fields, out);
            }),
            _ => {}
        }
    }
}

// === impl Ruling ===

impl Ruling {
    /// Notes in the books of a request which rules were true of its answer.
    pub(in crate::pipeline) fn note(&self, exchange: &mut Exchange) {
        if let Some(asked) = &mut exchange.entry.record.asked {
            asked.rules.extend(self.late.iter().map(|it| it.name()));
        }
    }

    /// What a further rule says goes before what others have said.
    fn heed(
        &mut self,
        rule: &Rule,
        status: StatusCode,
        base: &Arc<Rules>,
        text: impl Fn(&Template) -> Option<String>,
    ) {
        let response = &rule.response;
        match response.store {
            Some(true) => self.declined = None,
            Some(false) => self.declined = Some(rule.tally),
            None => {}
        }
        let time = |it: &Option<Lifetime>| -> Option<Duration> {
            match it.as_ref()? {
                Lifetime::Fixed(time) => Some(*time),
                Lifetime::Filled(template) => {
                    let secs = rules::quantity(&text(template)?)?;
                    Some(Duration::from_secs(secs.min(SECONDS_MAX)))
                }
            }
        };
        let lives = [
            time(&response.ttl),
            time(&response.grace),
            time(&response.keep),
        ];
        if lives.iter().all(Option::is_none) {
            return;
        }
        let mut rules = Rules::clone(self.rules.as_ref().unwrap_or(base));
        let [ttl, grace, keep] = lives;
        if let Some(time) = ttl {
            self.timed = Some(rule.tally);
            rules.ttl = ttl;
            // An error gets no lifetime that was meant for pages, but by a rule that has looked at it.
            if rule.phase() > Phase::Request {
                rules
                    .status_ttl
                    .insert(0, (Statuses::One(status.as_u16()), time));
            }
        }
        rules.grace = grace.or(rules.grace);
        rules.keep = keep.unwrap_or(rules.keep);
        self.rules = Some(Arc::new(rules));
    }
}
