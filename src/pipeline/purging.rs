//! Purge on somebody's word: carried out, or refused where it cannot mean what was wanted.
//!
//! Both doors lead here, the admin listener and the methods of `purge_forms.rs`. Who is told that nothing was purged believes
//! that nothing was stored, and serves the old page for hours. What an unsafe method purges by itself
//! nobody has asked for: see `step/pass.rs`.

use super::site::Site;
use crate::semantics::reference::Target;
use crate::store::{Invalidation, What};

/// Why a purge was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpurgeable {
    /// Nothing that a request can meet is filed under this host.
    #[error("no site here is for the host {0}: send one that a site has, or purge `all`")]
    Host(String),
    /// It is a glob or a regular expression.
    #[error(
        "this is no URL that is stored, and looks like a pattern: purge a `pattern`, which is a regular \
         expression of host and path, a `prefix` that ends with a slash, a `host` or `all` instead"
    )]
    Pattern,
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
            What::Host(target) | What::Prefix(target) | What::Path(target) => (target, false),
            What::Tags(_) | What::TagsOf(..) | What::Pattern(_) | What::All => {
                return Ok(self.invalidate(wanted));
            }
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
}
