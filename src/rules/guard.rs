//! Guards of conditions: the hosts or paths without which a condition cannot be true, by which rules are
//! sorted so that few of many are looked at.

use super::program::{Test, Text};

/// What a request must have for a condition to be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nothing that it could be sorted by.
    None,
    /// One of these hosts.
    Hosts(Vec<Box<[u8]>>),
    /// One of these paths.
    Paths(Vec<PathGuard>),
}

/// A path, or the beginning of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathGuard {
    /// This path.
    Exact(Box<[u8]>),
    /// A path that begins like this.
    Prefix(Box<[u8]>),
}

// === impl Guard ===

impl Guard {
    pub(super) fn of(test: &Test) -> Self {
        match test {
            Test::Equal(Text::Host, Text::Literal(host))
            | Test::Equal(Text::Literal(host), Text::Host) => Self::Hosts(vec![host.clone()]),
            Test::OneOf(Text::Host, hosts) => Self::Hosts(hosts.to_vec()),
            Test::Equal(Text::Path, Text::Literal(path))
            | Test::Equal(Text::Literal(path), Text::Path) => {
                Self::Paths(vec![PathGuard::Exact(path.clone())])
            }
            Test::OneOf(Text::Path, paths) => {
                Self::Paths(paths.iter().cloned().map(PathGuard::Exact).collect())
            }
            // Nearly all paths begin with less.
            Test::Starts(Text::Path, Text::Literal(prefix)) if prefix.len() > 1 => {
                Self::Paths(vec![PathGuard::Prefix(prefix.clone())])
            }
            // All of these must be true, so each of their guards will do.
            Test::All(tests) => {
                let mut guards = tests.iter().map(Self::of);
                guards.find(|it| *it != Self::None).unwrap_or(Self::None)
            }
            Test::Any(tests) => {
                let mut guards = tests.iter().map(Self::of);
                let first = guards.next().unwrap_or(Self::None);
                guards.fold(first, Self::or)
            }
            _ => Self::None,
        }
    }

    /// What must be there for one of two to be true.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Hosts(mut some), Self::Hosts(more)) => {
                some.extend(more);
                Self::Hosts(some)
            }
            (Self::Paths(mut some), Self::Paths(more)) => {
                some.extend(more);
                Self::Paths(some)
            }
            _ => Self::None,
        }
    }
}
