//! Forecast of a request that has not been made, in the words that the log has for one that was.
//!
//! Only the words: `mod.rs` foresees, and nothing is counted.

use std::fmt;

use crate::pipeline::route::Handler;
use crate::telemetry::Outcome;

/// A rule, as far as it can be told before the request is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSeen {
    /// What it is called.
    pub name: &'static str,
    /// Whether it is true; `None` where that hangs on the response.
    pub is_true: Option<bool>,
    /// Why it is not, or when it will be known: a part of its condition, or words.
    pub why: String,
}

/// The fate of a GET, if nothing changes until it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The URI under which its response is filed: the one asked for, as the operator's rules and
    /// No-Vary-Search shape it.
    pub key: String,
    /// What else tells it apart, by the route's `key`: fields and cookies with their values; empty for
    /// nothing.
    pub key_parts: String,
    /// Whose it is; `None` where no site is for its host and path.
    pub handler: Option<Handler>,
    /// The rules that hold there, in order.
    pub rules: Vec<RuleSeen>,
    /// How it would be served, if the origin answers as it did before.
    pub outcome: Outcome,
    /// This hop's member of Cache-Status (RFC 9211), without what only an answer can tell.
    pub cache_status: String,
    /// Why, in sentences.
    pub why: String,
}

/// As `name: true`, or why not.
impl fmt::Display for RuleSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, why) = (self.name, &self.why);
        match self.is_true {
            Some(true) => write!(f, "{name}: true"),
            Some(false) => write!(f, "{name}: not true: {why}"),
            None => write!(f, "{name}: {why}"),
        }
    }
}
