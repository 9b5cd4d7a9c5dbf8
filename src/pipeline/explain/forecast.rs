//! Forecast of a request that has not been made, in the words that the log has for one that was.
//!
//! Only the words: `mod.rs` foresees, and nothing is counted.

use crate::pipeline::route::Handler;
use crate::telemetry::Outcome;

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
    /// How it would be served, if the origin answers as it did before.
    pub outcome: Outcome,
    /// This hop's member of Cache-Status (RFC 9211), without what only an answer can tell.
    pub cache_status: String,
    /// Why, in sentences.
    pub why: String,
}
