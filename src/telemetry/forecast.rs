//! What would happen: what is said of a request that has not been made, in the words that the log
//! has for one that was.
//!
//! Only the words. Who foresees it is the pipeline; nothing is counted here.

use super::Outcome;

/// The fate of a GET, if nothing changes until it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The URI under which its response is filed: the one asked for, as the operator's rules and
    /// No-Vary-Search shape it.
    pub key: String,
    /// Whose it is; `None` where no site is for its host and path.
    pub handler: Option<Handler>,
    /// How it would be served, if the origin answers as it did before.
    pub outcome: Outcome,
    /// This hop's member of Cache-Status (RFC 9211), without what only an answer can tell.
    pub cache_status: String,
    /// Why, in sentences.
    pub why: String,
}

/// The route that a request takes, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// The site's hosts, with commas between.
    pub hosts: String,
    /// The pattern of the path.
    pub path: String,
    /// `origin`, `redirect` or `answer`.
    pub action: &'static str,
    /// The origin's name, or the status, with the target of a redirect.
    pub target: String,
    /// Names and values of the caching rules; `None` where nothing is cached.
    pub rules: Option<Vec<(&'static str, String)>>,
}
