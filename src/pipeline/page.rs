//! From a URL to the keys that its responses are filed under: what a purge, an invalidation and an
//! explanation need, none of which has a request of its own for the URL.
//!
//! Keys are shaped by the operator's rules for a route and by what the origin has said of a path's
//! queries; the same two shape the key of a request, here too.

use std::sync::Arc;

use http::{Response, Uri};

use super::Site;
use super::caching::Caching;
use super::exchange::Exchange;
use super::route::Route;
use crate::body::Body;
use crate::clock;
use crate::semantics::key::{KeyBuf, Scheme, normal_authority};
use crate::semantics::no_vary_search::NoVarySearch;
use crate::store::{Leader, Purge, Store};

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

    /// The target without its query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("/")
    }
}

// === impl Route ===

impl Route {
    /// The key of a request for `target`, and the same without regard to No-Vary-Search.
    pub(super) fn keys(
        &self,
        store: &Store,
        scheme: Scheme,
        authority: &str,
        target: &str,
    ) -> Keys {
        let caching = &self.caching;
        let ruled = KeyBuf::with_rule(scheme, authority, target, &caching.query);
        let variance = match caching.no_vary_search {
            true => store.variance(&ruled),
            false => None,
        };
        match variance {
            Some(variance) => Keys {
                varied: Some(ruled.under(&variance)),
                ruled,
            },
            None => Keys::plain(ruled),
        }
    }
}

/// A URL as an answer about to be filed sees it: its path may have another word on queries now.
pub(super) struct RuledKey {
    /// The key without regard to No-Vary-Search; `None` where that is not honoured.
    ruled: Option<KeyBuf>,
}

/// The keys of one request.
pub(super) struct Keys {
    /// As the operator's rules shape it.
    ruled: KeyBuf,
    /// As No-Vary-Search shapes that, where it has been heard.
    varied: Option<KeyBuf>,
}

// === impl Keys ===

impl Keys {
    fn plain(ruled: KeyBuf) -> Self {
        Self {
            ruled,
            varied: None,
        }
    }

    /// The one that responses are looked up by.
    pub(super) fn into_key(self) -> KeyBuf {
        self.varied.unwrap_or(self.ruled)
    }

    /// Both, if they are two.
    fn each(&self) -> impl Iterator<Item = &KeyBuf> {
        std::iter::once(&self.ruled).chain(&self.varied)
    }
}

// === impl RuledKey ===

impl RuledKey {
    pub(super) fn of(exchange: &Exchange, key: &KeyBuf, caching: &Caching) -> Self {
        let ruled = || {
            let scheme = exchange.client.scheme;
            KeyBuf::with_rule(scheme, key.authority(), &exchange.target(), &caching.query)
        };
        Self {
            ruled: caching.no_vary_search.then(ruled),
        }
    }

    /// Learns what the response says of its path's queries, and has it filed where those who know
    /// it will look. An error's word, or its silence, is not the path's.
    pub(super) fn file_under_its_word(&self, leader: Leader, response: &Response<Body>) -> Leader {
        let Some(ruled) = self
            .ruled
            .as_ref()
            .filter(|_| response.status().is_success())
        else {
            return leader;
        };
        let store = Arc::clone(leader.store());
        let (said, known) = (NoVarySearch::of(response.headers()), store.variance(ruled));
        if said.as_ref() == known.as_deref() {
            return leader;
        }
        let key = said.as_ref().map(|said| ruled.under(said).to_key());
        store.learn_variance(ruled, said);
        leader.moved_to(&key.unwrap_or_else(|| ruled.to_key()))
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
            count += self.purge_keys(&self.keys(scheme, &authority, target), how);
        }
        Some(count)
    }

    /// The keys of a target for a host in normal form, by whatever route leads there.
    pub(super) fn keys(&self, scheme: Scheme, authority: &str, target: &str) -> Keys {
        let path = target.split('?').next().unwrap_or("/");
        match self.routes.find(authority, path) {
            Some(route) => route.keys(&self.store, scheme, authority, target),
            None => Keys::plain(KeyBuf::new(scheme, authority, target)),
        }
    }

    pub(super) fn purge_keys(&self, keys: &Keys, how: Purge) -> u64 {
        let now = clock::now();
        keys.each()
            .map(|key| self.store.purge(&key.to_key(), how, now))
            .sum()
    }
}
