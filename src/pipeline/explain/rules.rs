//! Forecast of rules: which would be true of a request, why others would not, and what follows.

use super::forecast::RuleSeen;
use crate::pipeline::asking::Asking;
use crate::pipeline::route::Destination;
use crate::pipeline::route::rules::{Chain, Matched, Number, Rule};
use crate::pipeline::ruled::{self, Ruled};
use crate::pipeline::site::Site;
use crate::rules::{Condition, Facts, Phase};

/// What rules would make of a request.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) matched: Matched,
    pub(super) rules: Vec<RuleSeen>,
    /// The rule that would answer it, as Cache-Status has it.
    pub(super) end: Option<&'static str>,
    /// What it would ask for in place of its own target.
    pub(super) target: Option<String>,
}

/// Looks at the rules of a request that leads there.
pub(super) fn foresee(site: &Site, destination: Option<&Destination>, asking: &Asking<'_>) -> Seen {
    let Some(chain) = site.routes.rules(destination) else {
        return Seen::default();
    };
    asking.with_facts(site, destination, |facts| {
        let matched = chain.of_request(facts);
        let ruled = Ruled::new(Some(chain), &matched);
        let last = ruled.end().and_then(|_| matched.last().copied());
        let all = chain.all();
        Seen {
            rules: all.map(|it| seen(it, (&matched, last), facts)).collect(),
            end: ruled.end().map(|it| it.0.tally.detail()),
            target: ruled
                .rewrite()
                .map(|it| ruled::rewritten_of(asking, (site, destination), it)),
            matched,
        }
    })
}

fn seen(
    (number, rule): (Number, &std::sync::Arc<Rule>),
    (matched, last): (&Matched, Option<Number>),
    facts: &Facts<'_>,
) -> RuleSeen {
    let (is_true, why) = match rule.phase() {
        _ if last.is_some_and(|last| number > last) => (
            Some(false),
            "a rule before it answers the request".to_owned(),
        ),
        Phase::Request if matched.contains(&number) => (Some(true), String::new()),
        Phase::Request => {
            let failed = rule.when.as_ref().and_then(|it| it.fails_by(facts));
            (Some(false), failed.unwrap_or_default().to_owned())
        }
        Phase::Response | Phase::Delivery => {
            let when = rule.when.as_ref().map_or("", Condition::as_str);
            (None, format!("is known with the response: {when}"))
        }
    };
    RuleSeen {
        name: rule.tally.name(),
        is_true,
        why,
    }
}

// === impl Seen ===

impl Seen {
    /// What the rules say together.
    pub(super) fn ruled<'a>(
        &'a self,
        site: &'a Site,
        destination: Option<&'a Destination>,
    ) -> Ruled<'a> {
        let chain: Option<&Chain> = site.routes.rules(destination).map(|it| &**it);
        Ruled::new(chain, &self.matched)
    }

    /// Where the request leads, by the origin that they choose.
    pub(super) fn destination(
        &self,
        site: &Site,
        destination: Option<&Destination>,
    ) -> Option<Destination> {
        let origin = self.ruled(site, destination).origin();
        match (destination, origin) {
            (Some(Destination::Origin(route)), Some(origin)) => {
                let chosen = site.routes[*route].to_origin(origin);
                Some(Destination::Origin(chosen.unwrap_or(*route)))
            }
            (destination, _) => destination.cloned(),
        }
    }
}
