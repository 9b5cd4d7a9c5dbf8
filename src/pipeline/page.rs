//! From a URL to the key that its responses are filed under: what a purge, an invalidation and an
//! explanation need, none of which has a request of its own for the URL.
//!
//! Keys are shaped by the operator's rules for a route; so is the key of a request, here too.

use http::Uri;

use super::site::Site;
use crate::clock;
use crate::semantics::key::{Scheme, normal_authority};
use crate::store::Purge;

/// An absolute URL in the parts that a key is made of.
pub(super) struct Page {
    pub(super) scheme: Scheme,
    /// In normal form.
    pub(super) authority: String,
    /// Path and query, beginning with a slash.
    pub(super) target: String,
}

/// Not an absolute http or https URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an absolute http or https URL")]
pub struct BadUrl;

// === impl Page ===

impl Page {
    /// # Errors
    /// [`BadUrl`] when `url` is not an absolute http or https URL, or names no valid host.
    pub(super) fn parse(url: &str) -> Result<Self, BadUrl> {
        let uri: Uri = url.parse().map_err(|_| BadUrl)?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(BadUrl),
        };
        let authority = uri.authority().ok_or(BadUrl)?;
        let authority = normal_authority(authority.as_str(), scheme).ok_or(BadUrl)?;
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            scheme,
            authority: authority.into_owned(),
            target: format!("{slash}{target}"),
        })
    }
}

// === impl Site ===

impl Site {
    /// Purges what is stored of an absolute URL, under either scheme: who purges a page means the
    /// page, not the way to it. Tells how many objects that were.
    ///
    /// # Errors
    /// [`BadUrl`] when `url` is not an absolute http or https URL.
    pub fn purge_url(&self, url: &str, how: Purge) -> Result<u64, BadUrl> {
        let page = Page::parse(url)?;
        self.purge_page(&page.authority, &page.target, how)
            .ok_or(BadUrl)
    }

    /// The same for a host and a target; `None` when the host is no valid one.
    pub(super) fn purge_page(&self, host: &str, target: &str, how: Purge) -> Option<u64> {
        let mut count = 0;
        for scheme in [Scheme::Http, Scheme::Https] {
            let authority = normal_authority(host, scheme)?;
            count += self.purge_target(scheme, &authority, target, how);
        }
        Some(count)
    }

    /// Purges what is stored of a target for a host in normal form, also where that lies under an
    /// equivalent URI.
    pub(super) fn purge_target(
        &self,
        scheme: Scheme,
        authority: &str,
        target: &str,
        how: Purge,
    ) -> u64 {
        let now = clock::now();
        let (key, _) = self.locate(scheme, authority, target);
        let elsewhere = self.store.equivalent(&key).map(|(place, _)| place);
        [key.to_key()]
            .iter()
            .chain(&elsewhere)
            .map(|key| self.store.purge(key, how, now))
            .sum()
    }
}
