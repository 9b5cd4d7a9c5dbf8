//! Keys of `[server]`, sites and routes that say what stands before the action of a route: who is let in,
//! who is sent elsewhere, and what is shown where something failed.
//!
//! What is nearest to a request counts, but that refusals by address and error pages add up. Not the
//! action (`action.rs`), nor how often may be asked (`limit.rs`).

mod addresses;
mod basic_auth;
mod error_pages;
mod maintenance;
mod redirects;

use std::sync::Arc;

use toml::Spanned;

use addresses::ClientAccess;
pub use basic_auth::BasicAuth;
pub use error_pages::{ErrorPages, Media, Page};
pub use maintenance::Maintenance;
pub use redirects::Redirects;

pub(super) use basic_auth::RawBasicAuth;
pub(super) use error_pages::RawErrorPages;
pub(super) use maintenance::RawMaintenance;
pub(super) use redirects::{RawRedirects, maps_used, unfit};

use super::report::{Given, Report};
use super::text_or::TextOr;
use crate::lists::Lists;

/// What stands before the action of a route.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gate {
    /// Whose clients are let in.
    pub access: ClientAccess,
    /// Whether all are told to come again later.
    pub maintenance: Option<Arc<Maintenance>>,
    /// Whose password is wanted.
    pub basic_auth: Option<Arc<BasicAuth>>,
    /// Which targets are sent elsewhere.
    pub redirects: Option<Arc<Redirects>>,
    /// What is shown where something failed.
    pub errors: Option<Arc<ErrorPages>>,
}

/// The keys as they stand in one table.
pub(super) struct RawGate<'a> {
    pub(super) allow: &'a Given<Vec<Spanned<String>>>,
    pub(super) deny: &'a [Spanned<String>],
    pub(super) maintenance: &'a Given<RawMaintenance>,
    pub(super) basic_auth: &'a Given<TextOr<RawBasicAuth>>,
    pub(super) redirects: &'a Given<TextOr<RawRedirects>>,
    pub(super) error_pages: &'a RawErrorPages,
    pub(super) error_json: Option<bool>,
    pub(super) intercept: &'a Given<Vec<Spanned<String>>>,
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
        let more = [
            (
                "maintenance",
                self.maintenance.as_ref().map(|it| it.in_words()),
            ),
            (
                "basic_auth",
                self.basic_auth.as_ref().map(|it| it.in_words()),
            ),
            ("redirects", self.redirects.as_ref().map(|it| it.in_words())),
            ("error_pages", self.errors.as_ref().map(|it| it.in_words())),
        ];
        let more = more.into_iter();
        words.extend(more.filter_map(|(name, value)| Some((name, value?))));
        words
    }
}

// === impl RawGate ===

impl RawGate<'_> {
    /// What is written here, over what holds around it.
    pub(super) fn over(&self, base: &Gate, lists: &Lists, report: &mut Report) -> Gate {
        let errors = error_pages::Raw {
            pages: self.error_pages,
            json: self.error_json,
            intercept: self.intercept,
        };
        Gate {
            access: base.access.with(self.allow, self.deny, lists, report),
            maintenance: maintenance::over(self.maintenance, &base.maintenance, lists, report),
            basic_auth: basic_auth::over(self.basic_auth, &base.basic_auth, report),
            redirects: redirects::over(self.redirects, &base.redirects, lists, report),
            errors: errors.over(&base.errors, report),
        }
    }
}
