//! Keys of `[server]`, sites and routes that say what stands before the action of a route: who is let in,
//! and who is sent elsewhere.
//!
//! What is nearest to a request counts, but that refusals by address add up. Not the action (`action.rs`),
//! nor how often may be asked (`limit.rs`).

mod addresses;
mod redirects;

use std::sync::Arc;

use toml::Spanned;

pub use addresses::{Addresses, ClientAccess};
pub use redirects::Redirects;
pub(super) use redirects::{RawRedirects, maps_used, unfit};

use super::report::{Given, Report};
use super::text_or::TextOr;
use crate::lists::Lists;

/// What stands before the action of a route.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gate {
    /// Whose clients are let in.
    pub access: ClientAccess,
    /// Which targets are sent elsewhere.
    pub redirects: Option<Arc<Redirects>>,
}

/// The keys as they stand in one table.
pub(super) struct RawGate<'a> {
    pub(super) allow: &'a Given<Vec<Spanned<String>>>,
    pub(super) deny: &'a [Spanned<String>],
    pub(super) redirects: &'a Given<TextOr<RawRedirects>>,
}

// === impl Gate ===

impl Gate {
    /// Whether nothing is said, so that nothing stands before the action.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// The gate for people to read: names and values of what was written.
    pub fn in_words(&self) -> Vec<(&'static str, String)> {
        let mut words = self.access.in_words();
        words.extend(self.redirects.iter().map(|it| ("redirects", it.in_words())));
        words
    }
}

// === impl RawGate ===

impl RawGate<'_> {
    /// What is written here, over what holds around it.
    pub(super) fn over(&self, base: &Gate, lists: &Lists, report: &mut Report) -> Gate {
        Gate {
            access: base.access.with(self.allow, self.deny, lists, report),
            redirects: redirects::over(self.redirects, &base.redirects, lists, report),
        }
    }
}
