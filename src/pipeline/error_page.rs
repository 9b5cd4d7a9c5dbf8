//! Error page: what the operator shows in place of one line of text, in the form that a client would
//! rather have.
//!
//! It is made for one answer and stored nowhere. What a client wrote cannot break out of the place that
//! a page gives it, as long as that is text of HTML or of a JSON string.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, PROXY_AUTHENTICATE, RETRY_AFTER, SET_COOKIE,
    VIA, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::exchange::Exchange;
use super::site::Site;
use super::values::{Answered, Escape, Values};
use crate::config::{ErrorPages, Media, Page};
use crate::semantics::accept::liking;

/// What stays of an answer whose content is replaced: what its status is nothing without, and what is
/// said by us and by hops before us.
const KEPT: [HeaderName; 7] = [
    ALLOW,
    PROXY_AUTHENTICATE,
    RETRY_AFTER,
    SET_COOKIE,
    VIA,
    WWW_AUTHENTICATE,
    HeaderName::from_static("cache-status"),
];

/// A page, ready to go.
pub(super) struct ErrorPage {
    kind: &'static str,
    pub(super) body: Bytes,
}

/// One of the forms that an answer can have.
enum Form<'a> {
    Page(&'a Page),
    /// Problem details (RFC 9457).
    Problem,
    /// What there is without a page.
    Plain,
}

// === impl Site ===

impl Site {
    /// The pages for what could not be answered as it should have been. They are looked for only
    /// then: a request does not carry them along.
    pub(super) fn error_pages(&self, exchange: &Exchange) -> Option<&ErrorPages> {
        let authority = exchange.authority().ok();
        let located = authority.map(|it| self.routes.lead(&it, &exchange.target_as_routed()));
        self.gate(located.flatten())?.errors.as_deref()
    }
}

// === impl ErrorPage ===

impl ErrorPage {
    /// The page for an answer that says `told` otherwise; `None` where there is none that the client
    /// would rather have.
    pub(super) fn of(
        exchange: &Exchange,
        pages: &ErrorPages,
        answered: Answered,
        told: Option<&str>,
    ) -> Option<Self> {
        let values = || Values::of(exchange).answered(answered);
        match choose(pages, answered.status, &exchange.request.headers) {
            Form::Plain => None,
            Form::Problem => Some(Self {
                kind: "application/problem+json",
                body: problem(exchange, answered.status, told).into(),
            }),
            Form::Page(page) => Some(Self {
                kind: kind_of(page.media),
                body: values().text(&page.body, escape_of(page.media)).into(),
            }),
        }
    }

    /// Says what it is, and that it is for this moment.
    pub(super) fn stamp(&self, fields: &mut HeaderMap) {
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }

    /// Takes off what was said of content that it takes the place of.
    pub(super) fn strip(fields: &mut HeaderMap) {
        let mut kept = HeaderMap::new();
        for name in KEPT {
            for value in fields.get_all(&name) {
                kept.append(&name, value.clone());
            }
        }
        *fields = kept;
    }
}

/// The form that the client likes best; of those that it likes as much, the first.
fn choose<'a>(pages: &'a ErrorPages, status: StatusCode, asked: &HeaderMap) -> Form<'a> {
    let pages_of_status = pages.of(status);
    let mut forms: Vec<_> = pages_of_status.iter().map(Form::Page).collect();
    if forms.is_empty() {
        forms.push(Form::Plain);
    }
    if pages.json && !pages_of_status.iter().any(|it| it.media == Media::Json) {
        forms.push(Form::Problem);
    }
    // Of equals `max_by_key` takes the last.
    let best = forms.into_iter().rev().max_by_key(|form| match form {
        Form::Page(page) => {
            let (kind, subtype) = page.media.names();
            liking(asked, kind, subtype)
        }
        Form::Problem => {
            let problem = liking(asked, "application", "problem+json");
            liking(asked, "application", "json").max(problem)
        }
        Form::Plain => liking(asked, "text", "plain").max(liking(asked, "text", "html")),
    });
    best.unwrap_or(Form::Plain)
}

fn kind_of(media: Media) -> &'static str {
    match media {
        Media::Html => "text/html; charset=utf-8",
        Media::Json => "application/json",
        Media::Text => "text/plain; charset=utf-8",
    }
}

fn escape_of(media: Media) -> Escape {
    match media {
        Media::Html => Escape::Html,
        Media::Json => Escape::Json,
        Media::Text => Escape::Nothing,
    }
}

/// RFC 9457 §3.1: without a `type` of its own a problem is "about:blank", whose `title` is that of its
/// status (§4.2.1).
fn problem(exchange: &Exchange, status: StatusCode, told: Option<&str>) -> String {
    let quoted = |text: &str| Escape::Json.of(text);
    let title = quoted(status.canonical_reason().unwrap_or("Error"));
    let detail = told.map(|it| format!(",\"detail\":\"{}\"", quoted(it)));
    let id = exchange.request_id().to_str().unwrap_or_default();
    format!(
        "{{\"title\":\"{title}\",\"status\":{}{},\"request_id\":\"{}\"}}\n",
        status.as_u16(),
        detail.unwrap_or_default(),
        quoted(id)
    )
}
