//! `fold` of `[cache]`: which request fields are reduced to what matters.
//!
//! Not the folding of a request.

use serde::Deserialize;

use super::names::{self, RawNames};
use super::report::Report;

/// Each further coding doubles the forms that Accept-Encoding can be folded to.
const CODINGS_MAX: usize = 4;

/// Which request fields are reduced to what matters, before anything looks at them.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// The content codings that matter, in lower case, at most 4; empty to leave Accept-Encoding.
    pub accept_encoding: Vec<String>,
    /// The languages that the site has; empty to leave Accept-Language.
    pub accept_language: Vec<String>,
    /// Whether User-Agent becomes a kind of device.
    pub user_agent: bool,
}

/// `fold` as written.
#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawFold {
    accept_encoding: RawNames,
    accept_language: RawNames,
    user_agent: Option<bool>,
}

// === impl Fold ===

impl Default for Fold {
    fn default() -> Self {
        Self {
            accept_encoding: ["zstd", "br", "gzip"].map(str::to_owned).to_vec(),
            accept_language: Vec::new(),
            user_agent: false,
        }
    }
}

// === impl RawFold ===

impl RawFold {
    /// What is written here, and `base` for the rest.
    pub(super) fn over(&self, base: &Fold, report: &mut Report) -> Fold {
        let (codings, languages) = (&self.accept_encoding, &self.accept_language);
        if let Some(list) = codings
            && list.get_ref().len() > CODINGS_MAX
        {
            report.at(
                list.span(),
                "has more than 4 codings; keep those that the origin uses",
            );
        }
        Fold {
            accept_encoding: names::over(codings, &base.accept_encoding, names::coding, report),
            accept_language: names::over(languages, &base.accept_language, names::language, report),
            user_agent: self.user_agent.unwrap_or(base.user_agent),
        }
    }
}
