//! Names of the sites whose requests are counted apart, and the numbers that stand for them.
//!
//! A name is the first host of a site as it is configured, so clients can make up none. A site keeps
//! its number over reloads; the counters are in `metrics.rs`.

use std::sync::Arc;

use parking_lot::Mutex;

/// As many sites are counted apart; all further ones have one name together.
pub(super) const SITES_MAX: usize = 128;

/// The names of the first two numbers: of requests that met no site, and of sites beyond the others.
const FIRST: [&str; 2] = ["none", "other"];

/// A site's number: one of the first 126, or that of all others, or of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteId(u8);

/// The names, by number. Locked by a reload and a scrape, never by a request.
#[derive(Debug)]
pub(super) struct Names(Mutex<Vec<Arc<str>>>);

// === impl SiteId ===

impl SiteId {
    /// That of requests which met no site.
    pub const NONE: Self = Self(0);
    const OTHER: Self = Self(1);

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

// === impl Names ===

impl Names {
    pub(super) fn new() -> Self {
        Self(Mutex::new(FIRST.map(Arc::from).to_vec()))
    }

    /// The number of the site of this name, which is given one where there are numbers left.
    pub(super) fn number(&self, name: &str) -> SiteId {
        let mut names = self.0.lock();
        let known = names.iter().position(|it| **it == *name);
        let index = known.unwrap_or(names.len());
        if index >= SITES_MAX {
            return SiteId::OTHER;
        }
        if known.is_none() {
            names.push(name.into());
        }
        u8::try_from(index).map_or(SiteId::OTHER, SiteId)
    }

    pub(super) fn all(&self) -> Vec<Arc<str>> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_keep_their_numbers_and_those_that_are_too_many_share_one() {
        let names = Names::new();
        let first = names.number("a.example");
        assert_eq!(names.number("a.example"), first);
        assert_ne!(names.number("b.example"), first);
        assert_ne!(first, SiteId::NONE);
        for index in 0..2 * SITES_MAX {
            names.number(&format!("{index}.example"));
        }
        assert_eq!(names.all().len(), SITES_MAX);
        assert_eq!(names.number("late.example"), SiteId::OTHER);
        assert_eq!(names.number("a.example"), first);
    }
}
