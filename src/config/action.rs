//! `origin`, `redirect` and `answer` of a route: who answers a request, and what we answer
//! ourselves.
//!
//! Not the paths and the fields of a route (`route.rs`), nor the sending of answers.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use serde::Deserialize;

use super::fields::{self, Edits, RawFields};
use super::path::PathPattern;
use super::report::{Given, Place, Report};
use super::template::Template;
use super::units::Count;

/// Who answers a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The origin of this name, which is among the configuration's origins.
    Origin(Arc<str>),
    /// A redirection of our own.
    Redirect(Redirect),
    /// An answer of our own.
    Answer(Answer),
}

/// A redirection (RFC 9110 §15.4).
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// An absolute URL or a path; ASCII, fit for Location.
    pub to: Template,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    /// Whether what followed the path's `/*`, and the query, are put behind `to`, which then ends
    /// with `/`. Only with a path that has `/*`.
    pub keep_rest: bool,
    /// The number of segments before the path's `/*`; 0 without one.
    pub depth: usize,
}

/// A fixed answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// 200 to 599.
    pub status: StatusCode,
    /// Empty where the status allows no content.
    pub body: Bytes,
    /// Further fields; never Content-Length.
    pub fields: HeaderMap,
    /// Those of them that are filled in for each request.
    pub filled: Vec<(HeaderName, Template)>,
}

/// `redirect` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRedirect {
    to: Given<String>,
    status: Given<Count>,
    keep_rest: Given<bool>,
}

/// `answer` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAnswer {
    status: Given<Count>,
    body: Given<String>,
    fields: RawFields,
}

// === impl Redirect ===

impl Redirect {
    /// Where a request for `target`, a path with perhaps a query, is sent, if that is what `to` has
    /// become by its values.
    pub fn target(&self, to: String, target: &str) -> String {
        if !self.keep_rest {
            return self.within_host(to);
        }
        let (path, query) = match target.split_once('?') {
            Some((path, _)) => target.split_at(path.len()),
            None => (target, ""),
        };
        let rest = path
            .splitn(self.depth + 2, '/')
            .nth(self.depth + 1)
            .unwrap_or("");
        self.within_host(format!("{to}{rest}{query}"))
    }

    /// RFC 3986 §4.2: "A relative reference that begins with two slash characters is termed a
    /// network-path reference", so that the client would choose the host. Browsers take a backslash
    /// for a slash. What the operator has written himself stays.
    fn within_host(&self, to: String) -> String {
        let rest = to.trim_start_matches(['/', '\\']);
        let slashes = to.len() - rest.len();
        match slashes > self.to.slashes() {
            true => format!("/{rest}"),
            false => to,
        }
    }
}

// === impl RawRedirect ===

impl RawRedirect {
    /// The table stands at `place`. `None` after a complaint.
    pub(super) fn resolve(
        &self,
        place: Place,
        path: Option<&PathPattern>,
        report: &mut Report,
    ) -> Option<Redirect> {
        let status = self.resolve_status(report);
        let keep_rest = self.keep_rest.as_ref().is_some_and(|it| *it.get_ref());
        if let Some(given) = self.keep_rest.as_ref().filter(|_| keep_rest)
            && path.is_some_and(|it| it.depth().is_none())
        {
            report.at(
                given.span(),
                "there is no rest to keep; let the path end with `/*`",
            );
        }
        let Some(to) = &self.to else {
            report.missing(
                place,
                "to",
                "is missing; write a URL, as \"https://a.example/\"",
            );
            return None;
        };
        let parsed = parse_target(to.get_ref(), keep_rest);
        let complain = |complaint: String| report.at(to.span(), complaint);
        let template = parsed.map_err(complain).ok()?;
        let depth = path.and_then(PathPattern::depth).unwrap_or(0);
        Some(Redirect {
            to: template,
            status,
            keep_rest,
            depth,
        })
    }

    fn resolve_status(&self, report: &mut Report) -> StatusCode {
        let Some(status) = &self.status else {
            return StatusCode::FOUND;
        };
        match status.get_ref().0 {
            301 => StatusCode::MOVED_PERMANENTLY,
            302 => StatusCode::FOUND,
            303 => StatusCode::SEE_OTHER,
            307 => StatusCode::TEMPORARY_REDIRECT,
            308 => StatusCode::PERMANENT_REDIRECT,
            _ => {
                report.at(
                    status.span(),
                    "does not redirect; write 301, 302, 303, 307 or 308",
                );
                StatusCode::FOUND
            }
        }
    }
}

fn parse_target(to: &str, keep_rest: bool) -> Result<Template, String> {
    let template = Template::parse_url(to)?;
    let sample = template.sample();
    if keep_rest && (!sample.ends_with('/') || sample.contains(['?', '#'])) {
        let text = "must end with `/` and have no query, since `keep_rest` adds to it";
        return Err(text.to_owned());
    }
    Ok(template)
}

// === impl RawAnswer ===

impl RawAnswer {
    pub(super) fn resolve(&self, report: &mut Report) -> Answer {
        let status = self.resolve_status(report);
        let body = self.body.as_ref().map_or("", |it| it.get_ref());
        // RFC 9110 §15.3.5: "A 204 response is terminated by the end of the header section; it
        // cannot contain content or trailers." §15.3.6 and §15.4.5 say alike of 205 and 304.
        let is_bodiless = matches!(status.as_u16(), 204 | 205 | 304);
        if let Some(given) = self
            .body
            .as_ref()
            .filter(|_| is_bodiless && !body.is_empty())
        {
            report.at(
                given.span(),
                format!("status {} has no body; leave it out", status.as_u16()),
            );
        }
        let Edits { set, filled, .. } = fields::resolve_map(&self.fields, report);
        Answer {
            status,
            body: Bytes::copy_from_slice(body.as_bytes()),
            fields: set.into_iter().collect(),
            filled,
        }
    }

    fn resolve_status(&self, report: &mut Report) -> StatusCode {
        let Some(given) = &self.status else {
            return StatusCode::OK;
        };
        let code = u16::try_from(given.get_ref().0)
            .ok()
            .filter(|it| (200..600).contains(it));
        code.and_then(|it| StatusCode::from_u16(it).ok())
            .unwrap_or_else(|| {
                report.at(given.span(), "is no final status; write 200 to 599");
                StatusCode::OK
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_redirects() {
        for (to, keep_rest, depth, target, location) in [
            ("/new", false, 0, "/old?a", "/new"),
            ("https://a/new/", true, 1, "/old/", "https://a/new/"),
            (
                "https://a/new/",
                true,
                1,
                "/old/a/b?c=/d?",
                "https://a/new/a/b?c=/d?",
            ),
            ("https://a/new/", true, 1, "/old/?c", "https://a/new/?c"),
            ("https://a/", true, 0, "/a//b", "https://a/a//b"),
            ("/new/", true, 2, "/u/7/x/y", "/new/x/y"),
            ("/new/", true, 1, "/old//evil.example", "/new//evil.example"),
            ("/", true, 1, "/old/x", "/x"),
            // RFC 3986 §4.2: no network-path reference by a client's will.
            ("/", true, 1, "/old//evil.example", "/evil.example"),
            ("/", true, 1, "/old/\\evil.example", "/evil.example"),
            ("/", true, 1, "/old/\\//evil.example", "/evil.example"),
            ("/", true, 3, "/old", "/"),
        ] {
            let redirect = Redirect {
                to: parse_target(to, keep_rest).unwrap(),
                status: StatusCode::FOUND,
                keep_rest,
                depth,
            };
            let found = redirect.target(to.to_owned(), target);
            assert_eq!(found, location, "{target}");
        }
    }

    #[test]
    fn no_value_makes_a_path_another_host() {
        for (to, filled, location) in [
            ("${path}", "//evil.example", "/evil.example"),
            ("${path}", "/\\/evil.example", "/evil.example"),
            ("${target}", "//evil.example/?a=//b", "/evil.example/?a=//b"),
            ("/${path}", "//a", "/a"),
            ("/en${path}", "/en//evil.example", "/en//evil.example"),
            (
                "https://a${path}",
                "https://a//evil.example",
                "https://a//evil.example",
            ),
            ("//cdn.example${path}", "//cdn.example/a", "//cdn.example/a"),
        ] {
            let redirect = Redirect {
                to: parse_target(to, false).unwrap(),
                status: StatusCode::FOUND,
                keep_rest: false,
                depth: 0,
            };
            assert_eq!(redirect.target(filled.to_owned(), "/"), location, "{to}");
        }
    }
}
