//! Counters of rules: how many requests and responses each was true of.
//!
//! A counter is known by the name of its rule and outlives reloads, so it is never given back: their
//! number is bounded, and rules beyond that share one. Each thread adds to a cell of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::exposition::Family;
use super::metrics::seat;

/// As many rules are counted apart.
const RULES_MAX: usize = 4_096;

/// More threads than these share cells.
const CELLS: usize = 8;

/// The name of what is counted together.
const OTHER: &str = "other";

/// The counter of one rule, and what the rule is called.
#[derive(Debug)]
pub struct RuleTally {
    name: &'static str,
    detail: &'static str,
    cells: [Cell; CELLS],
}

/// A cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Cell(AtomicU64);

/// All counters, by name. Locked by a reload and a scrape, never by a request.
#[derive(Debug, Default)]
pub struct Rules(Mutex<BTreeMap<&'static str, &'static RuleTally>>);

// === impl RuleTally ===

impl RuleTally {
    fn new(name: &str) -> &'static Self {
        let name: &'static str = Box::leak(name.into());
        let detail = Box::leak(format!("rule-{name}").into_boxed_str());
        Box::leak(Box::new(Self {
            name,
            detail,
            cells: Default::default(),
        }))
    }

    /// What the rule is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The same for Cache-Status: `rule-NAME`.
    pub fn detail(&self) -> &'static str {
        self.detail
    }

    /// Counts a request or a response that it was true of.
    pub fn count(&self) {
        self.cells[seat() % CELLS].0.fetch_add(1, Relaxed);
    }

    /// How many there have been.
    pub fn matches(&self) -> u64 {
        let cells = self.cells.iter().map(|it| it.0.load(Relaxed));
        cells.fold(0, u64::wrapping_add)
    }
}

// === impl Rules ===

impl Rules {
    /// The counter of the rule of this name.
    pub fn tally(&self, name: &str) -> &'static RuleTally {
        let mut tallies = self.0.lock();
        let name = match tallies.len() >= RULES_MAX && !tallies.contains_key(name) {
            true => OTHER,
            false => name,
        };
        if let Some(tally) = tallies.get(name) {
            return tally;
        }
        let tally = RuleTally::new(name);
        tallies.insert(tally.name, tally);
        tally
    }

    /// How often each was true, by name.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let tallies = self.0.lock();
        tallies.values().map(|it| (it.name, it.matches())).collect()
    }

    /// All of them, for a scrape.
    pub fn families(&self) -> Vec<Family> {
        let help = "Requests and responses that a rule was true of.";
        let family = Family::counter("copal_rule_matches_total", help);
        let tallies = self.0.lock();
        let all = tallies.values().fold(family, |family, tally| {
            family.labelled(
                vec![("rule", tally.name.to_owned())],
                tally.matches() as f64,
            )
        });
        vec![all]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_keeps_its_counter_and_too_many_share_one() {
        let rules = Rules::default();
        let first = rules.tally("first");
        first.count();
        first.count();
        assert_eq!(rules.tally("first").matches(), 2);
        assert_eq!((first.name(), first.detail()), ("first", "rule-first"));
        for number in 0..RULES_MAX {
            rules.tally(&number.to_string());
        }
        assert_eq!(rules.tally("late").name(), OTHER);
        assert_eq!(rules.tally("later").name(), OTHER);
        assert_eq!(rules.tally("first").matches(), 2);
    }
}
