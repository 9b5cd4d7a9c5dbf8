//! Rules that hold on a route, compiled: those of the top, of its site and its own, in that order.
//!
//! Here is what they are and which of them are true; what follows for a request and its response is in
//! `pipeline/ruled/`. Routes without rules of their own share those of their site.

mod index;

use std::sync::Arc;

use smallvec::SmallVec;

use super::edits::Edits;
use crate::config::{self, End, Lifetime, RequestCookies, Template};
use crate::rules::{Condition, Facts, Phase, Read};
use crate::telemetry::RuleTally;
use index::Index;

/// A rule.
pub(in crate::pipeline) struct Rule {
    /// Its own name, which no other rule has.
    pub(in crate::pipeline) name: Arc<str>,
    /// What it is called, and how often it was true.
    pub(in crate::pipeline) tally: &'static RuleTally,
    pub(in crate::pipeline) when: Option<Condition>,
    pub(in crate::pipeline) request: OnRequest,
    pub(in crate::pipeline) response: OnResponse,
    pub(in crate::pipeline) deliver: Edits,
}

/// What it does with a request.
pub(in crate::pipeline) struct OnRequest {
    pub(in crate::pipeline) passes: bool,
    pub(in crate::pipeline) refreshes: Option<bool>,
    pub(in crate::pipeline) cookies: Option<RequestCookies>,
    pub(in crate::pipeline) origin: Option<Arc<str>>,
    pub(in crate::pipeline) rewrite: Option<Template>,
    pub(in crate::pipeline) key: Box<[Template]>,
    pub(in crate::pipeline) limits: Box<[Arc<str>]>,
    pub(in crate::pipeline) fields: Edits,
    pub(in crate::pipeline) end: Option<RuledEnd>,
}

/// What a request gets at once.
pub(in crate::pipeline) enum RuledEnd {
    Answer(config::Answer, Edits),
    Deny(http::StatusCode),
    Redirect(config::Redirect),
}

/// What it does with an origin's answer.
pub(in crate::pipeline) struct OnResponse {
    pub(in crate::pipeline) store: Option<bool>,
    pub(in crate::pipeline) ttl: Option<Lifetime>,
    pub(in crate::pipeline) grace: Option<Lifetime>,
    pub(in crate::pipeline) keep: Option<Lifetime>,
    pub(in crate::pipeline) fields: Edits,
}

/// All rules of a route.
pub(in crate::pipeline) struct Chain {
    rules: Box<[Arc<Rule>]>,
    /// Those that are known to be true as soon as there is a request.
    early: Index,
    /// Those that hang on a response and do something with it.
    pub(in crate::pipeline) on_response: Box<[Number]>,
    /// Those that hang on a response and do something with what its client gets.
    pub(in crate::pipeline) on_delivery: Box<[Number]>,
    /// Whether any rule does something with what a client gets.
    pub(in crate::pipeline) delivers: bool,
    /// Whether one of those that hang on a response reads what a request loses before it is looked up.
    pub(in crate::pipeline) needs_original: bool,
}

/// The place of a rule among those of its chain.
pub(in crate::pipeline) type Number = u16;

/// The rules that are true of a request, in order. Nearly always there are few, and nothing is
/// allocated for them.
pub(in crate::pipeline) type Matched = SmallVec<[Number; 12]>;

// === impl Rule ===

impl Rule {
    pub(super) fn new(
        config: &config::Rule,
        tally: impl Fn(&str) -> &'static RuleTally,
    ) -> Arc<Self> {
        let (request, response) = (&config.request, &config.response);
        Arc::new(Self {
            name: Arc::clone(&config.name),
            tally: tally(&config.name),
            when: config.when.clone(),
            request: OnRequest {
                passes: request.passes,
                refreshes: request.refreshes,
                cookies: request.cookies,
                origin: request.origin.clone(),
                rewrite: request.rewrite.clone(),
                key: request.key.as_slice().into(),
                limits: request.limits.as_slice().into(),
                fields: Edits::new(&request.fields),
                end: request.end.as_ref().map(RuledEnd::new),
            },
            response: OnResponse {
                store: response.store,
                ttl: response.ttl.clone(),
                grace: response.grace.clone(),
                keep: response.keep.clone(),
                fields: Edits::new(&response.fields),
            },
            deliver: Edits::new(&config.deliver),
        })
    }

    /// When it is known whether it is true.
    pub(in crate::pipeline) fn phase(&self) -> Phase {
        self.when.as_ref().map_or(Phase::Request, Condition::phase)
    }

    /// Whether it is true.
    pub(in crate::pipeline) fn holds(&self, facts: &Facts<'_>) -> bool {
        self.when.as_ref().is_none_or(|it| it.holds(facts))
    }

    fn reads(&self, what: impl Fn(&Read) -> bool) -> bool {
        let reads = self.when.as_ref().map_or(&[][..], Condition::reads);
        reads.iter().any(what)
    }
}

// === impl RuledEnd ===

impl RuledEnd {
    fn new(config: &End) -> Self {
        match config {
            End::Answer(answer) => {
                let filled = Edits::new(&config::Edits {
                    filled: answer.filled.clone(),
                    ..config::Edits::default()
                });
                Self::Answer(answer.clone(), filled)
            }
            End::Deny(status) => Self::Deny(*status),
            End::Redirect(redirect) => Self::Redirect(redirect.clone()),
        }
    }
}

// === impl OnResponse ===

impl OnResponse {
    /// Whether nothing is done.
    pub(in crate::pipeline) fn is_empty(&self) -> bool {
        let lives = [&self.ttl, &self.grace, &self.keep];
        self.store.is_none() && lives.iter().all(|it| it.is_none()) && self.fields.is_empty()
    }
}

// === impl Chain ===

impl Chain {
    /// `None` without rules.
    pub(super) fn new(rules: &[Arc<Rule>]) -> Option<Arc<Self>> {
        if rules.is_empty() {
            return None;
        }
        let numbered = || rules.iter().zip(0..);
        let late = |does: &dyn Fn(&Rule) -> bool| -> Box<[Number]> {
            let late = numbered().filter(|(it, _)| it.phase() > Phase::Request && does(it));
            late.map(|(_, number)| number).collect()
        };
        let on_delivery = late(&|it| !it.deliver.is_empty());
        let is_lost = |it: &Read| matches!(it, Read::Cookie(_) | Read::Header(_) | Read::Device);
        let reads_lost = |it: &Number| rules[usize::from(*it)].reads(is_lost);
        Some(Arc::new(Self {
            early: Index::new(numbered().filter(|(it, _)| it.phase() == Phase::Request)),
            on_response: late(&|it| !it.response.is_empty()),
            needs_original: on_delivery.iter().any(reads_lost),
            on_delivery,
            delivers: rules.iter().any(|it| !it.deliver.is_empty()),
            rules: rules.into(),
        }))
    }

    /// The rule of a number, which this chain has given.
    pub(in crate::pipeline) fn rule(&self, number: Number) -> &Arc<Rule> {
        &self.rules[usize::from(number)]
    }

    /// All of them, with their numbers.
    pub(in crate::pipeline) fn all(&self) -> impl Iterator<Item = (Number, &Arc<Rule>)> {
        (0..).zip(&self.rules)
    }

    /// The rules that are true of a request, up to the first that ends its way.
    pub(in crate::pipeline) fn of_request(&self, facts: &Facts<'_>) -> Matched {
        let mut matched = Matched::new();
        self.early.for_each(facts, |number| {
            let rule = self.rule(number);
            let holds = rule.holds(facts);
            if holds {
                matched.push(number);
            }
            !(holds && rule.request.end.is_some())
        });
        matched
    }

    /// Whether a rule edits this field of requests.
    pub(in crate::pipeline) fn touch(&self, name: &http::HeaderName) -> bool {
        self.rules.iter().any(|it| it.request.fields.touch(name))
    }

    /// Whether a rule fills in this field of requests with what is in no key. For all else that fills
    /// in fields the configuration's check has made sure that a key tells it.
    pub(in crate::pipeline) fn fills(&self, name: &http::HeaderName) -> bool {
        self.rules
            .iter()
            .any(|it| it.request.fields.fill_for_one(name))
    }

    /// The origins that its rules choose, each once.
    pub(super) fn origins(&self) -> Vec<Arc<str>> {
        let named = self.rules.iter().filter_map(|it| it.request.origin.clone());
        let mut origins: Vec<_> = named.collect();
        origins.sort_unstable();
        origins.dedup();
        origins
    }
}
