//! `cookies` of `[cache]`: which cookies make a request somebody's own.
//!
//! Not those that are part of the key, which stand in `key.rs`.

use serde::Deserialize;
use toml::Spanned;

use super::cookie_sets;
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
    /// Whether none does, and the origin sees them all: then only what says that it is for many is
    /// stored.
    pub forward: bool,
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
            forward: false,
        }
    }

    /// The origin sees all.
    fn forwarding() -> Self {
        Self {
            forward: true,
            ..Self::default()
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
        let written = |list: &RawNames, report: &mut Report| {
            let list = list.as_ref().map(|it| it.get_ref().as_slice());
            list.map(|it| globs(it, names::cookies, report))
        };
        let pass = written(&self.pass, report).unwrap_or_default();
        for text in self.ignore.iter().flat_map(|it| it.get_ref()) {
            if pass.contains(text.get_ref()) {
                report.at(text.span(), "is in `pass` as well; leave it out of one");
            }
        }
        // A list of those that pass says that the others need not.
        let others = || CookieLists::ignoring_all().ignore;
        CookieLists {
            ignore: written(&self.ignore, report).unwrap_or_else(others),
            pass,
            forward: false,
        }
    }
}

/// The cookies of a list, each once: names and globs as `parse` takes them, and those of the sets that it
/// names.
pub(super) fn globs(
    list: &[Spanned<String>],
    parse: impl Fn(&str) -> Result<String, &'static str>,
    report: &mut Report,
) -> Vec<String> {
    let mut named: Vec<Spanned<String>> = Vec::new();
    for text in list {
        let Some(name) = text.get_ref().strip_prefix('@') else {
            named.push(text.clone());
            continue;
        };
        match cookie_sets::find(name) {
            Ok(set) => {
                let is_new = |it: &&&str| !named.iter().any(|known| known.get_ref() == **it);
                let new: Vec<_> = set.iter().filter(is_new).collect();
                let at_place = |it: &&str| Spanned::new(text.span(), (*it).to_owned());
                named.extend(new.into_iter().map(at_place));
            }
            Err(complaint) => report.at(text.span(), complaint),
        }
    }
    let span = list.first().map_or(0..0, |it| it.span());
    names::over(&Some(Spanned::new(span, named)), &[], parse, report)
}

/// What is written, or `base`.
pub(super) fn over(given: &RawCookies, base: &CookieLists, report: &mut Report) -> CookieLists {
    let Some(cookies) = given else {
        return base.clone();
    };
    match cookies.get_ref() {
        TextOr::Text(all) if all == "pass" => CookieLists::default(),
        TextOr::Text(all) if all == "ignore" => CookieLists::ignoring_all(),
        TextOr::Text(all) if all == "forward" => CookieLists::forwarding(),
        TextOr::Text(other) => {
            let text = format!(
                "`{other}` is not known; write \"pass\", \"ignore\", \"forward\" or a table, as \
                 `{{ ignore = [\"_ga*\"] }}`"
            );
            report.at(cookies.span(), text);
            base.clone()
        }
        TextOr::Table(lists) => lists.resolve(cookies, report),
    }
}
