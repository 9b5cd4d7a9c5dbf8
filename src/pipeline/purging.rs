//! Purge on somebody's word: carried out, or refused where it cannot mean what was wanted.
//!
//! Both doors lead here, the admin listener and PURGE. Who is told that nothing was purged believes
//! that nothing was stored, and serves the old page for hours. What an unsafe method purges by itself
//! nobody has asked for: see `step/pass.rs`.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};

use super::site::Site;
use crate::semantics::reference::Target;
use crate::store::{How, Invalidation, What};

/// What a request wants purged, by its method and its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The page that it is sent to.
    Page(How),
    /// Something that is told in the words of another cache: a pattern, tags, everything.
    Other,
}

/// Why a purge was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpurgeable {
    /// Nothing that a request can meet is filed under this host.
    #[error("no site here is for the host {0}: send one that a site has, or purge `all`")]
    Host(String),
    /// It is a glob or a regular expression.
    #[error(
        "patterns are not understood: purge a `prefix` that ends with a slash, a `host` or `all` instead"
    )]
    Pattern,
}

/// Fields by which other caches are told what to purge beside the URL, or in its place.
const SELECTORS: [&str; 17] = [
    "apiplatform-ban-regex",
    "cache-tag",
    "cache-tags",
    "purge-cache-tags",
    "surrogate-key",
    "x-cache-tag",
    "x-cache-tags",
    "x-magento-tags-pattern",
    "x-purge-all",
    "x-purge-host",
    "x-purge-pattern",
    "x-purge-regex",
    "x-purge-tags",
    "x-xkey-purge",
    "xkey",
    "xkey-purge",
    "xkey-softpurge",
];
/// Fields that say how the URL is meant, and by which words it is meant as it stands.
const MANNERS: [&str; 2] = ["x-purge-method", "x-vc-purge-method"];
const LITERAL: [&str; 2] = ["default", "exact"];

// === impl Asked ===

impl Asked {
    /// `None` for a method that has nothing to do with it.
    pub(super) fn of(method: &Method, fields: &HeaderMap) -> Option<Self> {
        let how = match method.as_str() {
            "PURGE" => How::Hard,
            "SOFTPURGE" => How::Soft,
            other => return is_of_another_cache(other).then_some(Self::Other),
        };
        match fields.iter().any(|(name, value)| selects(name, value)) {
            true => Some(Self::Other),
            false => Some(Self::Page(how)),
        }
    }
}

/// BAN and FULLBAN, PURGEALL, PURGEKEYS, URLPURGE; also `purge`, as methods have letter case
/// (RFC 9110 §9.1).
fn is_of_another_cache(method: &str) -> bool {
    let has = |word: &[u8], place: &[u8]| place.eq_ignore_ascii_case(word);
    let method = method.as_bytes();
    method.windows(5).any(|it| has(b"PURGE", it))
        || method.first_chunk::<3>().is_some_and(|it| has(b"BAN", it))
        || method.last_chunk::<3>().is_some_and(|it| has(b"BAN", it))
}

fn selects(name: &HeaderName, value: &HeaderValue) -> bool {
    let name = name.as_str();
    if MANNERS.contains(&name) {
        let value = value.as_bytes();
        return !LITERAL
            .iter()
            .any(|it| value.eq_ignore_ascii_case(it.as_bytes()));
    }
    name.starts_with("x-ban-") || SELECTORS.contains(&name)
}

// === impl Site ===

impl Site {
    /// Forgets what is meant, and tells how many objects that were, where it is known.
    ///
    /// # Errors
    /// [`Unpurgeable`]: nothing was purged, and why.
    pub fn purge(&self, wanted: &Invalidation) -> Result<Option<u64>, Unpurgeable> {
        let (about, is_literal) = match &wanted.what {
            What::Url(target) | What::Uri(target) => (target, true),
            What::Host(target) | What::Prefix(target) => (target, false),
            What::All => return Ok(self.invalidate(wanted)),
        };
        if about.authority.contains('*') || (!is_literal && looks_like_a_pattern(about)) {
            return Err(Unpurgeable::Pattern);
        }
        if !self.routes.have(&about.authority) {
            return Err(Unpurgeable::Host(about.authority.clone()));
        }
        match self.invalidate(wanted) {
            // `/wiki/M*A*S*H` is a URL, if something is stored for it.
            Some(0) if looks_like_a_pattern(about) => Err(Unpurgeable::Pattern),
            count => Ok(count),
        }
    }
}

/// Whether it has what globs and regular expressions have and paths hardly ever do. A query may have
/// much of that.
fn looks_like_a_pattern(target: &Target) -> bool {
    let path = target.path();
    let query = &target.path_and_query[path.len()..];
    path.contains(['*', '^', '|', '\\'])
        || path.contains(".+")
        || path.ends_with('$')
        || query.contains(".*")
        || query.ends_with('*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_told_from_urls() {
        for (path, expected) in [
            ("/", false),
            ("/a/b.html?c=d", false),
            ("/wiki/Foo_(bar)", false),
            ("/a,b;c=d@e:f!g$h+i.j~k'l", false),
            ("/a?f[]=1&g=*&h=a|b$", false),
            ("/%2A", false),
            ("/*", true),
            ("/a/*", true),
            ("/.*", true),
            ("/a*.jpg", true),
            ("/a.+", true),
            ("/a$", true),
            ("/(a|b)", true),
            ("/?.*", true),
            ("/a?*", true),
        ] {
            let target = Target {
                path_and_query: path.to_owned(),
                ..Target::parse("http://a.test/").unwrap()
            };
            assert_eq!(looks_like_a_pattern(&target), expected, "{path}");
        }
    }

    #[test]
    fn a_purge_in_the_words_of_another_cache_is_recognised() {
        let hard = Some(Asked::Page(How::Hard));
        let other = Some(Asked::Other);
        for (method, field, expected) in [
            ("GET", "", None),
            ("POST", "xkey: a", None),
            ("BA", "", None),
            ("PURGE", "", hard),
            ("PURGE", "user-agent: a", hard),
            ("PURGE", "x-purge-method: Default", hard),
            ("PURGE", "x-purge-method: exact", hard),
            ("PURGE", "x-purge-method: regex", other),
            ("PURGE", "x-vc-purge-method: regex", other),
            ("PURGE", "x-ban-url: /a", other),
            ("PURGE", "x-magento-tags-pattern: cat_1", other),
            ("SOFTPURGE", "", Some(Asked::Page(How::Soft))),
            ("SOFTPURGE", "surrogate-key: a", other),
            ("BAN", "", other),
            ("FULLBAN", "", other),
            ("PURGEALL", "", other),
            ("URLPURGE", "", other),
            ("purge", "", other),
        ] {
            let field = field.split_once(": ").map(|(name, value)| {
                let name = HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            });
            let fields: HeaderMap = field.clone().into_iter().collect();
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(Asked::of(&method, &fields), expected, "{method} {field:?}");
        }
    }
}
