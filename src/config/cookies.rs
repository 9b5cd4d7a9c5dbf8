//! `cookies` of `[cache]`: which cookies make a request somebody's own.
//!
//! Not those that are part of the key, which stand in `key.rs`.

use serde::Deserialize;
use toml::Spanned;

use super::names::{self, RawNames};
use super::report::{Given, Report};
use super::text_or::TextOr;

/// Which cookies beyond those of the key make a request somebody's own, by name or by glob.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CookieLists {
    /// Those that do, even if they are part of the key or ignored.
    pub pass: Vec<String>,
    /// Those that do not; all others do.
    pub ignore: Vec<String>,
}

/// `cookies` as written: one word for all of them, or lists.
pub(super) type RawCookies = Given<TextOr<RawLists>>;

/// `{ pass = […], ignore = […] }`.
#[derive(PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLists {
    pass: RawNames,
    ignore: RawNames,
}

// === impl CookieLists ===

impl CookieLists {
    /// All are ignored.
    pub(super) fn ignoring_all() -> Self {
        Self {
            pass: Vec::new(),
            ignore: vec!["*".to_owned()],
        }
    }

    /// Whether no cookie makes a request somebody's own.
    pub fn ignore_all(&self) -> bool {
        *self == Self::ignoring_all()
    }
}

// === impl RawLists ===

impl RawLists {
    fn resolve(&self, place: &Spanned<TextOr<Self>>, report: &mut Report) -> CookieLists {
        if self.pass.is_none() && self.ignore.is_none() {
            let text = "says nothing; write `ignore = [\"_ga*\"]` (all others pass) or \
                        `pass = [\"session*\"]` (all others are ignored)";
            report.at(place.span(), text);
        }
        let pass = names::over(&self.pass, &[], names::cookies, report);
        // A list of those that pass says that the others need not.
        let others = CookieLists::ignoring_all().ignore;
        let unlisted = |text: &str| match names::cookies(text)? {
            name if pass.contains(&name) => Err("is in `pass` as well; leave it out of one"),
            name => Ok(name),
        };
        let ignore = names::over(&self.ignore, &others, unlisted, report);
        CookieLists { pass, ignore }
    }
}

/// What is written, or `base`.
pub(super) fn over(given: &RawCookies, base: &CookieLists, report: &mut Report) -> CookieLists {
    let Some(cookies) = given else {
        return base.clone();
    };
    match cookies.get_ref() {
        TextOr::Text(all) if all == "pass" => CookieLists::default(),
        TextOr::Text(all) if all == "ignore" => CookieLists::ignoring_all(),
        TextOr::Text(other) => {
            let text = format!(
                "`{other}` is not known; write \"pass\", \"ignore\" or a table, as \
                 `{{ ignore = [\"_ga*\"] }}`"
            );
            report.at(cookies.span(), text);
            base.clone()
        }
        TextOr::Table(lists) => lists.resolve(cookies, report),
    }
}
