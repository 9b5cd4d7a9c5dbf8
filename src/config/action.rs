//! `origin`, `redirect` and `answer` of a route: who answers a request, and what we answer
//! ourselves.
//!
//! Not the paths and the fields of a route (`route.rs`), nor the sending of answers.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;

use super::fields::{self, RawFields};
use super::path::PathPattern;
use super::report::{Given, Place, Report};
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
    pub to: String,
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
    /// Where a request for `target`, a path with perhaps a query, is sent.
    pub fn target(&self, target: &str) -> String {
        if !self.keep_rest {
            return self.to.clone();
        }
        let (path, query) = match target.split_once('?') {
            Some((path, _)) => target.split_at(path.len()),
            None => (target, ""),
        };
        let rest = path
            .splitn(self.depth + 2, '/')
            .nth(self.depth + 1)
            .unwrap_or("");
        // RFC 3986 §4.2: "A relative reference that begins with two slash characters is termed a
        // network-path reference", so that the client would choose the host. Browsers take a
        // backslash for a slash.
        let rest = if self.to == "/" {
            rest.trim_start_matches(['/', '\\'])
        } else {
            rest
        };
        format!("{}{rest}{query}", self.to)
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
        if let Err(complaint) = check_target(to.get_ref(), keep_rest) {
            report.at(to.span(), complaint);
        }
        let depth = path.and_then(PathPattern::depth).unwrap_or(0);
        Some(Redirect {
            to: to.get_ref().clone(),
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

fn check_target(to: &str, keep_rest: bool) -> Result<(), &'static str> {
    let is_target = ["/", "http://", "https://"]
        .iter()
        .any(|front| to.starts_with(front));
    if !is_target || to.parse::<Uri>().is_err() || !to.is_ascii() {
        return Err("must be a URL, as \"https://a.example/\", or a path, as \"/new/\"");
    }
    if keep_rest && (!to.ends_with('/') || to.contains(['?', '#'])) {
        return Err("must end with `/` and have no query, since `keep_rest` adds to it");
    }
    Ok(())
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
        Answer {
            status,
            body: Bytes::copy_from_slice(body.as_bytes()),
            fields: fields::resolve_map(&self.fields, report),
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
            let to = to.to_owned();
            let redirect = Redirect {
                to,
                status: StatusCode::FOUND,
                keep_rest,
                depth,
            };
            assert_eq!(redirect.target(target), location, "{target}");
        }
    }
}
