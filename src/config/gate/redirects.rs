//! `redirects` of sites and routes: targets that a map sends elsewhere, one of a hundred thousand as
//! quickly as one of ten.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{StatusCode, Uri};
use serde::Deserialize;
use toml::Spanned;

use super::addresses::unknown;
use crate::config::report::{Given, Report};
use crate::config::text_or::TextOr;
use crate::config::units::Count;
use crate::lists::{Lists, Map};

/// Where targets are sent, by a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Redirects {
    name: Box<str>,
    map: Arc<Map>,
    /// 301, 302, 303, 307 or 308.
    status: StatusCode,
    by: By,
    keep_query: bool,
}

/// What is looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    /// The path.
    #[default]
    Path,
    /// The path with `?` and query, if there is one.
    Target,
}

/// `redirects` as a table.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawRedirects {
    map: Given<String>,
    status: Given<Count>,
    by: By,
    keep_query: bool,
}

// === impl Redirects ===

impl Redirects {
    /// Where a request for `target`, a path with perhaps a query, is sent, and by which status; `None` if
    /// it goes on.
    pub fn find(&self, target: &str) -> Option<(StatusCode, String)> {
        let path = target.split('?').next().unwrap_or(target);
        let key = match self.by {
            By::Path => path,
            By::Target => target,
        };
        let to = self.map.get(key)?;
        let query = target.get(path.len() + 1..).filter(|_| self.keep_query);
        let to = match query {
            Some(query) if !query.is_empty() => with_query(to, query),
            _ => to.to_owned(),
        };
        Some((self.status, to))
    }

    pub(super) fn in_words(&self) -> String {
        let by = match self.by {
            By::Path => "path",
            By::Target => "target",
        };
        format!(
            "{} by {by} in map {} of {}",
            self.status.as_str(),
            self.name,
            self.map.len()
        )
    }
}

/// The query goes before the fragment, and behind a query that is there (RFC 3986 §3.4, §3.5).
fn with_query(to: &str, query: &str) -> String {
    let (front, fragment) = match to.split_once('#') {
        Some((front, _)) => to.split_at(front.len()),
        None => (to, ""),
    };
    let joint = if front.contains('?') { '&' } else { '?' };
    format!("{front}{joint}{query}{fragment}")
}

/// What is written, or `base`.
pub(super) fn over(
    given: &Given<TextOr<RawRedirects>>,
    base: &Option<Arc<Redirects>>,
    lists: &Lists,
    report: &mut Report,
) -> Option<Arc<Redirects>> {
    let Some(written) = given else {
        return base.clone();
    };
    match written.get_ref() {
        TextOr::Text(text) if text == "off" => None,
        TextOr::Text(name) => {
            let name = Spanned::new(written.span(), name.clone());
            RawRedirects::default().resolve(&name, lists, report)
        }
        TextOr::Table(table) => match &table.map {
            Some(name) => table.resolve(name, lists, report),
            None => {
                let text = "is missing; write the name of a [map.NAME]";
                report.missing(written.span(), "map", text);
                None
            }
        },
    }
}

// === impl RawRedirects ===

impl RawRedirects {
    fn resolve(
        &self,
        name: &Spanned<String>,
        lists: &Lists,
        report: &mut Report,
    ) -> Option<Arc<Redirects>> {
        let status = self.status.as_ref().map(|it| it.get_ref().0);
        let status = match status {
            None | Some(301) => StatusCode::MOVED_PERMANENTLY,
            Some(302) => StatusCode::FOUND,
            Some(303) => StatusCode::SEE_OTHER,
            Some(307) => StatusCode::TEMPORARY_REDIRECT,
            Some(308) => StatusCode::PERMANENT_REDIRECT,
            Some(_) => {
                let place = self.status.as_ref().map_or(name.span(), Spanned::span);
                report.at(place, "does not redirect; write 301, 302, 303, 307 or 308");
                StatusCode::MOVED_PERMANENTLY
            }
        };
        let Some(map) = lists.map(name.get_ref()) else {
            report.at(
                name.span(),
                unknown("map", name.get_ref(), &lists.map_names()),
            );
            return None;
        };
        Some(Arc::new(Redirects {
            name: name.get_ref().as_str().into(),
            map,
            status,
            by: self.by,
            keep_query: self.keep_query,
        }))
    }
}

/// The names of the maps that are used here, so that what they lead to can be checked.
pub(in crate::config) fn maps_used<'a>(
    all: impl Iterator<Item = &'a Spanned<TextOr<RawRedirects>>>,
) -> BTreeSet<&'a str> {
    let name = |it: &'a Spanned<TextOr<RawRedirects>>| match it.get_ref() {
        TextOr::Text(name) => Some(name.as_str()),
        TextOr::Table(table) => table.map.as_ref().map(|it| it.get_ref().as_str()),
    };
    all.filter_map(name).collect()
}

/// What is wrong with the target of a redirect, and how to mend it.
pub(in crate::config) fn unfit(to: &str) -> Option<String> {
    let begins = ["/", "http://", "https://"]
        .iter()
        .any(|it| to.starts_with(it));
    let url = to.split('#').next().unwrap_or(to);
    let is_url = begins && to.is_ascii() && url.parse::<Uri>().is_ok();
    let is_plain = !to.contains(|it: char| it.is_ascii_control() || it == ' ');
    (!is_url || !is_plain)
        .then(|| format!("`{to}` is no target of a redirect; write a URL, or a path as \"/new\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::MapBuilder;

    fn redirects(by: By, keep_query: bool) -> Redirects {
        let mut map = MapBuilder::default();
        for (key, value) in [
            ("/a", "/b"),
            ("/q", "https://x.example/?r=1#top"),
            ("/a?id=1", "/one"),
        ] {
            map.add(key, value).unwrap();
        }
        Redirects {
            name: "m".into(),
            map: Arc::new(map.build()),
            status: StatusCode::FOUND,
            by,
            keep_query,
        }
    }

    #[test]
    fn targets_are_looked_up() {
        for (by, keep_query, target, found) in [
            (By::Path, false, "/a", Some("/b")),
            (By::Path, false, "/a?id=1", Some("/b")),
            (By::Path, false, "/a/", None),
            (By::Path, true, "/a?id=1", Some("/b?id=1")),
            (By::Path, true, "/a?", Some("/b")),
            (
                By::Path,
                true,
                "/q?s=2",
                Some("https://x.example/?r=1&s=2#top"),
            ),
            (By::Target, false, "/a?id=1", Some("/one")),
            (By::Target, false, "/a?id=2", None),
            (By::Target, false, "/a", Some("/b")),
        ] {
            let to = redirects(by, keep_query).find(target).map(|it| it.1);
            assert_eq!(to.as_deref(), found, "{target}");
        }
    }

    #[test]
    fn targets_are_urls_or_paths() {
        for to in ["/", "/a?b#c", "https://a.example/", "http://a.example"] {
            assert_eq!(unfit(to), None, "{to}");
        }
        for to in [
            "", "a", "301", "/é", "/a b", "ftp://a", "https://", "/a\u{1}",
        ] {
            assert!(unfit(to).is_some(), "{to:?}");
        }
    }
}
