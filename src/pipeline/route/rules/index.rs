//! Index of rules by the hosts and paths that they are for, so that of many only those are looked at
//! that may be true.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Number, Rule};
use crate::rules::{Condition, Facts, Guard, PathGuard};

/// So few are looked at one by one sooner than they are found.
const FEW: usize = 16;

/// Rules in order.
pub(super) enum Index {
    Few(Box<[Number]>),
    Many(Box<Sorted>),
}

/// Rules by what they are for.
#[derive(Default)]
pub(super) struct Sorted {
    /// Those that may be true anywhere.
    anywhere: Vec<Number>,
    hosts: ByText,
    paths: ByText,
    /// In the order of their texts.
    prefixes: Vec<Prefix>,
}

type ByText = HashMap<Box<[u8]>, Vec<Number>, foldhash::quality::RandomState>;

/// The beginning of paths.
struct Prefix {
    text: Box<[u8]>,
    rules: Vec<Number>,
    /// The longest other one that this one begins with.
    shorter: Option<usize>,
}

/// Those that may be true of one request.
type Candidates = SmallVec<[Number; 32]>;

// === impl Index ===

impl Index {
    pub(super) fn new<'a>(rules: impl Iterator<Item = (&'a Arc<Rule>, Number)>) -> Self {
        let rules: Vec<_> = rules.collect();
        if rules.len() <= FEW {
            return Self::Few(rules.iter().map(|it| it.1).collect());
        }
        let mut sorted = Sorted::default();
        let mut prefixes = ByText::default();
        for (rule, number) in rules {
            match rule.when.as_ref().map_or(&Guard::None, Condition::guard) {
                Guard::None => sorted.anywhere.push(number),
                Guard::Hosts(hosts) => {
                    hosts
                        .iter()
                        .for_each(|it| file(&mut sorted.hosts, it, number));
                }
                Guard::Paths(paths) => {
                    for path in paths {
                        match path {
                            PathGuard::Exact(path) => file(&mut sorted.paths, path, number),
                            PathGuard::Prefix(prefix) => file(&mut prefixes, prefix, number),
                        }
                    }
                }
            }
        }
        sorted.prefixes = nested(prefixes);
        Self::Many(Box::new(sorted))
    }

    /// Calls `look` with those that may be true, in order, for as long as it wants more.
    pub(super) fn for_each(&self, facts: &Facts<'_>, mut look: impl FnMut(Number) -> bool) {
        match self {
            Self::Few(all) => {
                for number in all {
                    if !look(*number) {
                        return;
                    }
                }
            }
            Self::Many(sorted) => {
                for number in sorted.candidates(facts) {
                    if !look(number) {
                        return;
                    }
                }
            }
        }
    }
}

// === impl Sorted ===

impl Sorted {
    fn candidates(&self, facts: &Facts<'_>) -> Candidates {
        let (host, path) = facts.host_and_path();
        let (host, path) = (host.as_bytes(), path.as_bytes());
        let mut candidates = Candidates::from_slice(&self.anywhere);
        let known = candidates.len();
        for found in [self.hosts.get(host), self.paths.get(path)] {
            candidates.extend_from_slice(found.map_or(&[], |it| it));
        }
        self.for_each_prefix(path, |rules| candidates.extend_from_slice(rules));
        if candidates.len() > known {
            candidates.sort_unstable();
            // One may be for several beginnings of this path.
            candidates.dedup();
        }
        candidates
    }

    /// Of all that a path begins with, the longest stands right before it in order, or is a beginning
    /// of what does.
    fn for_each_prefix(&self, path: &[u8], mut call: impl FnMut(&[Number])) {
        let behind = self.prefixes.partition_point(|it| *it.text <= *path);
        let mut next = behind.checked_sub(1);
        while let Some(prefix) = next.and_then(|it| self.prefixes.get(it)) {
            if path.starts_with(&prefix.text) {
                call(&prefix.rules);
            }
            next = prefix.shorter;
        }
    }
}

fn file(by_text: &mut ByText, text: &[u8], number: Number) {
    let rules = by_text.entry(text.into()).or_default();
    // A rule may name a text twice.
    if rules.last() != Some(&number) {
        rules.push(number);
    }
}

/// The prefixes in order, each with the longest that it begins with.
fn nested(prefixes: ByText) -> Vec<Prefix> {
    let mut sorted: Vec<(Box<[u8]>, Vec<Number>)> = prefixes.into_iter().collect();
    sorted.sort_unstable();
    let mut nested: Vec<Prefix> = Vec::with_capacity(sorted.len());
    for (text, rules) in sorted {
        let mut shorter = nested.len().checked_sub(1);
        while let Some(at) = shorter
            && !text.starts_with(&nested[at].text)
        {
            shorter = nested[at].shorter;
        }
        nested.push(Prefix {
            text,
            rules,
            shorter,
        });
    }
    nested
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::config;
    use crate::rules::Request;
    use crate::telemetry::Rules;

    /// The numbers of the rules with these conditions that are true, by an index and one by one.
    fn found(conditions: &[String], host: &str, path: &str) -> (Vec<Number>, Vec<Number>) {
        let rules = conditions
            .iter()
            .map(|it| format!("[[rule]]\nwhen = '''{it}'''\npass = true\n"));
        let text = format!(
            "listen = [{{ address = '127.0.0.1:0' }}]\nsite = [{{ hosts = ['*'], origin = 'a' }}]\n\
             [origins.a]\nservers = ['http://127.0.0.1:1']\n{}",
            rules.collect::<String>()
        );
        let config = config::parse(&text, "f").unwrap();
        let tallies = Rules::default();
        let rules: Vec<_> = config
            .rules
            .iter()
            .map(|it| Rule::new(it, |name| tallies.tally(name)))
            .collect();
        let fields = HeaderMap::new();
        let facts = Facts::of(Request {
            method: "GET",
            scheme: "http",
            host,
            target: path,
            fields: &fields,
            client: "127.0.0.1".parse().unwrap(),
            is_healthy: &|| true,
        });
        let mut by_index = Vec::new();
        Index::new(rules.iter().zip(0..)).for_each(&facts, |number| {
            if rules[usize::from(number)].holds(&facts) {
                by_index.push(number);
            }
            true
        });
        let holds = |(rule, number): (&Arc<Rule>, Number)| rule.holds(&facts).then_some(number);
        (by_index, rules.iter().zip(0..).filter_map(holds).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_index_finds_what_looking_at_all_finds(
            kinds in proptest::collection::vec((0..6, "[ab]{0,3}", "[ab]{0,3}"), 17..60),
            host in "[ab]{1,3}",
            path in "/[ab]{0,4}",
        ) {
            let conditions: Vec<String> = kinds
                .iter()
                .map(|(kind, one, other)| match kind {
                    0 => format!("host == 'a{one}'"),
                    1 => format!("path == '/{one}'"),
                    2 => format!("path.startsWith('/{one}')"),
                    3 => format!("path.startsWith('/{one}') || path.startsWith('/{other}')"),
                    4 => format!("path in ['/{one}', '/{other}', '/{one}'] && host != 'x'"),
                    _ => format!("path.endsWith('{one}')"),
                })
                .collect();
            let (by_index, one_by_one) = found(&conditions, &host, &path);
            prop_assert_eq!(by_index, one_by_one);
        }
    }
}
