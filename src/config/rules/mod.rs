//! All `[[rule]]`, `[[site.rule]]` and `[[site.route.rule]]`: where they stand, and what they may not do
//! together.
//!
//! Rules are looked at in that order. One rule is read in `config/rule/`.

mod safety;

use std::collections::HashMap;

use super::Config;
use super::report::{Place, Report};
use super::rule::{RawRule, RawRules, Rule};
use super::site::{RawSite, Site};
use super::table::Written;
use crate::lists::Lists;

/// As many rules as may hold for one request; each may be looked at.
const RULES_MAX: usize = 10_000;

// === impl Config ===

impl Config {
    /// All rules, wherever they stand.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        let of_sites = self.sites.iter().flat_map(|site| {
            let of_routes = site.routes.iter().flat_map(|it| &it.rules);
            site.rules.iter().chain(of_routes)
        });
        self.rules.iter().chain(of_sites)
    }
}

/// The rules of all places, put into the sites that were resolved; and those of the top.
pub(super) fn resolve(
    (top, sites): (&RawRules, &[Written<RawSite>]),
    resolved: &mut [Site],
    lists: &Lists,
    report: &mut Report,
) -> Vec<Rule> {
    let all = |rules: &RawRules, report: &mut Report| -> Vec<Rule> {
        rules
            .iter()
            .map(|it| RawRule::resolve(it, lists, report))
            .collect()
    };
    let rules = all(top, report);
    for (raw, site) in sites.iter().zip(resolved.iter_mut()) {
        site.rules = all(&raw.get_ref().rule, report);
        let raw = &raw.get_ref().route;
        let of_routes: Vec<_> = raw
            .iter()
            .map(|it| all(&it.get_ref().rule, report))
            .collect();
        // Fewer are resolved only where there is a complaint.
        if of_routes.len() == site.routes.len() {
            for (route, rules) in site.routes.iter_mut().zip(of_routes) {
                route.rules = rules;
            }
        }
    }
    names_differ((top, sites), report);
    safety::check((top, &rules), (sites, resolved), report);
    rules
}

/// By its name a rule is known to logs and metrics.
fn names_differ((top, sites): (&RawRules, &[Written<RawSite>]), report: &mut Report) {
    let mut seen: HashMap<&str, Place> = HashMap::new();
    let mut count = 0;
    for rule in everywhere(top, sites) {
        count += 1;
        if count == RULES_MAX + 1 {
            let text =
                format!("there are more than {RULES_MAX} rules with this; join some by lists");
            report.at(rule.span(), text);
        }
        let Some(name) = &rule.get_ref().name else {
            continue;
        };
        match seen.get(name.get_ref().as_str()) {
            Some(first) => {
                let first = report.describe(first);
                let text = format!("this name is taken by {first}; remove one of the two");
                report.at(name.span(), text);
            }
            None => {
                seen.insert(name.get_ref(), name.span());
            }
        }
    }
}

/// All rules, wherever they stand.
pub(super) fn everywhere<'a>(
    top: &'a RawRules,
    sites: &'a [Written<RawSite>],
) -> impl Iterator<Item = &'a Written<RawRule>> {
    let of_sites = sites.iter().flat_map(|site| {
        let routes = site.get_ref().route.iter();
        let of_routes = routes.flat_map(|it| &it.get_ref().rule);
        site.get_ref().rule.iter().chain(of_routes)
    });
    top.iter().chain(of_sites)
}
