//! `error_pages`, `error_json` and `intercept`: what is shown in place of one line of text when something
//! failed, and for which answers of origins as well.
//!
//! Files are read and compiled here, once; which of them a client wants is found out for each answer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use toml::Spanned;

use crate::config::file;
use crate::config::report::{Given, Report};
use crate::config::template::{Purpose, Template};
use crate::config::units::MIB;
use crate::semantics::policy::Statuses;

/// It is in memory, and sent whole.
const FILE_BYTES_MAX: u64 = MIB;

/// What is shown for which status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorPages {
    /// The first that fits counts: those of the nearest table, and there single statuses before classes.
    pages: Vec<(Statuses, Arc<[Page]>)>,
    /// Whether clients who would rather have JSON get a problem (RFC 9457) where no page is of it.
    pub json: bool,
    intercept: Vec<Statuses>,
}

/// One page in one form.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Its form.
    pub media: Media,
    /// Its content, with values of the request and the answer.
    pub body: Template,
}

/// The form of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `text/html`.
    Html,
    /// `application/json`.
    Json,
    /// `text/plain`.
    Text,
}

/// `error_pages` as written; TOML makes text of a bare `404`.
pub(in crate::config) type RawErrorPages = BTreeMap<Spanned<String>, Spanned<RawPages>>;

/// One file, or one for each form.
pub(in crate::config) struct RawPages(Vec<String>);

/// The three keys.
pub(super) struct Raw<'a> {
    pub(super) pages: &'a RawErrorPages,
    pub(super) json: Option<bool>,
    pub(super) intercept: &'a Given<Vec<Spanned<String>>>,
}

// === impl ErrorPages ===

impl ErrorPages {
    /// The pages for a status, in the order of preference; none where nothing is said.
    pub fn of(&self, status: StatusCode) -> &[Page] {
        let fitting = self.pages.iter().find(|(it, _)| it.has(status));
        fitting.map_or(&[], |(_, pages)| pages)
    }

    /// Whether the answer of an origin with this status is replaced.
    pub fn intercepts(&self, status: StatusCode) -> bool {
        self.intercept.iter().any(|it| it.has(status))
    }

    pub(super) fn in_words(&self) -> String {
        let statuses = |it: &Statuses| match it {
            Statuses::One(status) => status.to_string(),
            Statuses::Class(digit) => format!("{digit}xx"),
        };
        let list = |all: Vec<String>| all.join(", ");
        let pages = list(self.pages.iter().map(|(it, _)| statuses(it)).collect());
        let intercept = list(self.intercept.iter().map(statuses).collect());
        let json = if self.json { "; json" } else { "" };
        match intercept.is_empty() {
            true => format!("{pages}{json}"),
            false => format!("{pages}{json}; of origins too for {intercept}"),
        }
    }
}

// === impl Raw ===

impl Raw<'_> {
    /// What is written, over `base`.
    pub(super) fn over(
        &self,
        base: &Option<Arc<ErrorPages>>,
        report: &mut Report,
    ) -> Option<Arc<ErrorPages>> {
        if self.pages.is_empty() && self.json.is_none() && self.intercept.is_none() {
            return base.clone();
        }
        let base = base.as_deref().cloned().unwrap_or_default();
        let mut pages = self.resolve_pages(report);
        pages.extend(base.pages);
        let json = self.json.unwrap_or(base.json);
        let intercept = match self.intercept {
            None => base.intercept,
            Some(list) => {
                if pages.is_empty() && !json && !list.get_ref().is_empty() {
                    let text = "has nothing to show; add `error_pages`, or `error_json = true`";
                    report.at(list.span(), text);
                }
                list.get_ref()
                    .iter()
                    .filter_map(|it| statuses(it, report))
                    .collect()
            }
        };
        let all = ErrorPages {
            pages,
            json,
            intercept,
        };
        (all != ErrorPages::default()).then(|| Arc::new(all))
    }

    fn resolve_pages(&self, report: &mut Report) -> Vec<(Statuses, Arc<[Page]>)> {
        let mut pages = Vec::new();
        for (text, files) in self.pages {
            let statuses = statuses(text, report);
            let read = files.get_ref().0.iter().filter_map(|path| {
                let complain = |complaint| report.at(files.span(), complaint);
                Page::read(path).map_err(complain).ok()
            });
            let read: Arc<[Page]> = read.collect();
            pages.extend(statuses.map(|it| (it, read)));
        }
        pages.sort_by_key(|(statuses, _)| matches!(statuses, Statuses::Class(_)));
        pages
    }
}

/// Statuses of errors; `None` after a complaint.
fn statuses(text: &Spanned<String>, report: &mut Report) -> Option<Statuses> {
    let parsed = match text.get_ref().as_str() {
        "4xx" => Some(Statuses::Class(4)),
        "5xx" => Some(Statuses::Class(5)),
        text if text.len() == 3 => text.parse().ok().map(Statuses::One),
        _ => None,
    };
    let is_error = |it: &Statuses| !matches!(it, Statuses::One(it) if !(400..600).contains(it));
    let parsed = parsed.filter(is_error);
    if parsed.is_none() {
        let complaint =
            "is no status of an error; write 404, or \"5xx\" for all that begin with a 5";
        report.at(text.span(), complaint);
    }
    parsed
}

// === impl Page ===

impl Page {
    fn read(path: &str) -> Result<Self, String> {
        let media = match path.rsplit_once('.').map(|it| it.1) {
            Some("html" | "htm") => Media::Html,
            Some("json") => Media::Json,
            Some("txt") => Media::Text,
            _ => {
                return Err(format!(
                    "{path} must end with .html, .json or .txt, which says what it is"
                ));
            }
        };
        let text = file::read_text(path, FILE_BYTES_MAX)?;
        let body = Template::parse(&text, Purpose::Page);
        let body = body.map_err(|complaint| format!("{path} {complaint}"))?;
        Ok(Self { media, body })
    }
}

// === impl Media ===

impl Media {
    /// Type and subtype (RFC 9110 §8.3.1).
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Html => ("text", "html"),
            Self::Json => ("application", "json"),
            Self::Text => ("text", "plain"),
        }
    }
}

// === impl RawPages ===

impl<'de> Deserialize<'de> for RawPages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = RawPages;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of a file or a list of them")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<RawPages, E> {
                Ok(RawPages(vec![path.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawPages, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = list.next_element()? {
                    paths.push(path);
                }
                Ok(RawPages(paths))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}
