//! Values of one request and of its response, as templates of the configuration name them, and the
//! filling of templates with them.
//!
//! Nothing a client wrote can break out of the place that a template gives it: a field value holds no
//! line end by its type, and in a URL whatever could end the part it stands in is percent-encoded.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write as _;
use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode};

use super::asking::Asking;
use super::exchange::Exchange;
use super::route::without_port;
use crate::config::{Cut, Form, Part, Template, Value};
use crate::rules;
use crate::semantics::cookies;
use crate::semantics::fold::device;
use crate::semantics::key::Scheme;
use crate::telemetry::Outcome;

/// A longer field is not sent: it is more than any head may be.
const FIELD_BYTES_MAX: usize = 64 * 1024;

/// What no URI may hold (RFC 3986 §2), or browsers take for something else. What is percent-encoded
/// already stays so.
const NOT_IN_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// All but what RFC 3986 §2.3 calls unreserved.
const NOT_IN_COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What can be filled in for one request.
pub(in crate::pipeline) struct Values<'a> {
    source: Source<'a>,
    /// The path and query, as the client or, towards an origin, as its key has them.
    target: Cow<'a, str>,
    answered: Option<Answered>,
}

/// Where the values of a request are from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Exchange(&'a Exchange),
    /// It has not been made, and so has no name.
    Asking(&'a Asking<'a>),
}

/// What is done to a value, so that it stays in its place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum Escape {
    Nothing,
    /// For text and for values of attributes in quotes (HTML Living Standard §13.1.2.3).
    Html,
    /// For what stands in a string (RFC 8259 §7).
    Json,
}

/// What is known of a response.
#[derive(Clone, Copy)]
pub(in crate::pipeline) struct Answered {
    pub(in crate::pipeline) outcome: Outcome,
    pub(in crate::pipeline) status: StatusCode,
    /// How often the stored response was used, this time included.
    pub(in crate::pipeline) hits: u32,
    /// What is left of its lifetime, if it has one.
    pub(in crate::pipeline) ttl_secs: Option<u64>,
}

// === impl Values ===

impl<'a> Values<'a> {
    /// Before there is a response.
    pub(in crate::pipeline) fn of(exchange: &'a Exchange) -> Self {
        Self {
            source: Source::Exchange(exchange),
            target: exchange.target(),
            answered: None,
        }
    }

    /// Of a request that is only imagined.
    pub(in crate::pipeline) fn asked(asking: &'a Asking<'a>) -> Self {
        Self {
            source: Source::Asking(asking),
            target: asking.target.into(),
            answered: None,
        }
    }

    /// With what an origin is asked for in place of what the client has asked for.
    pub(in crate::pipeline) fn asking_for(self, target: Cow<'a, str>) -> Self {
        Self { target, ..self }
    }

    /// With what is known of the response.
    pub(in crate::pipeline) fn answered(self, answered: Answered) -> Self {
        Self {
            answered: Some(answered),
            ..self
        }
    }

    /// The value of a field of a message that has these fields; `None` where nothing is left to be
    /// said, or it is too long.
    pub(in crate::pipeline) fn field(
        &self,
        template: &Template,
        fields: &HeaderMap,
    ) -> Option<HeaderValue> {
        filled(template, |value, out| self.write(value, fields, out))
    }

    /// What a template becomes before there is a response.
    pub(in crate::pipeline) fn bytes(&self, template: &Template) -> Vec<u8> {
        let mut whole = Vec::new();
        join(template, &mut whole, |value, out| {
            self.write(value, &HeaderMap::new(), out)
        });
        whole
    }

    /// The content of a page. What is no UTF-8 in a value is replaced.
    pub(in crate::pipeline) fn text(&self, template: &Template, escape: Escape) -> String {
        let mut text = String::new();
        for part in template.parts() {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Value(value, _) => {
                    let mut raw = Vec::new();
                    self.write(value, &HeaderMap::new(), &mut raw);
                    text.push_str(&escape.of(&String::from_utf8_lossy(&raw)));
                }
            }
        }
        text
    }

    /// The target of a redirect: ASCII, and as safe as its template.
    pub(in crate::pipeline) fn url(&self, template: &Template) -> String {
        let mut url = String::new();
        for part in template.parts() {
            match part {
                Part::Text(text) => url.push_str(text),
                Part::Value(value, form) => {
                    let mut raw = Vec::new();
                    self.write(value, &HeaderMap::new(), &mut raw);
                    let escaped = match form {
                        Form::Plain | Form::Uri | Form::Root | Form::Host => NOT_IN_URI,
                        Form::Component => NOT_IN_COMPONENT,
                    };
                    match form {
                        // What follows would be taken for the host.
                        Form::Host if raw.is_empty() => {
                            self.write(value.whole(), &HeaderMap::new(), &mut raw);
                        }
                        Form::Root if raw.first() != Some(&b'/') => url.push('/'),
                        _ => {}
                    }
                    url.extend(percent_encode(&raw, escaped));
                }
            }
        }
        url
    }

    fn write(&self, value: &Value, fields: &HeaderMap, out: &mut Vec<u8>) {
        let (client, fields_asked) = (self.source.client(), self.source.fields());
        let (path, query) = divide(&self.target);
        match value {
            Value::Authority => out.extend_from_slice(self.source.authority().as_bytes()),
            Value::Cache => show(out, self.answered.map(|it| it.outcome.as_str())),
            Value::Client => show(out, Some(client.ip().to_canonical())),
            // That of a client behind a proxy is not known.
            Value::ClientPort => show(out, Some(client.port()).filter(|it| *it != 0)),
            Value::Cookie(name) => {
                let cookie = cookies::named(fields_asked, name).next();
                out.extend_from_slice(cookie.map_or(b"", |it| it.1));
            }
            Value::Cut(of, cut) => {
                cut_out(of, cut, out, |value, out| self.write(value, fields, out))
            }
            Value::Device => out.extend_from_slice(device(fields_asked).as_bytes()),
            Value::Ext => out.extend(
                rules::extension(path)
                    .bytes()
                    .map(|it| it.to_ascii_lowercase()),
            ),
            Value::Header(name) => out.extend_from_slice(first(fields_asked, name)),
            Value::Hits => show(out, self.answered.map(|it| it.hits)),
            Value::Host => out.extend_from_slice(without_port(&self.source.authority()).as_bytes()),
            Value::Method => out.extend_from_slice(self.source.method().as_bytes()),
            Value::Param(name) => out.extend_from_slice(&rules::parameter(query, name)),
            Value::Path => out.extend_from_slice(path.as_bytes()),
            Value::Query => out.extend_from_slice(query.as_bytes()),
            Value::Reason => show(
                out,
                self.answered.and_then(|it| it.status.canonical_reason()),
            ),
            Value::RequestId => out.extend_from_slice(self.source.request_id()),
            Value::ResponseHeader(name) => {
                let fields = self.answered.map(|_| fields);
                out.extend_from_slice(fields.map_or(b"", |it| first(it, name)));
            }
            Value::Scheme => out.extend_from_slice(self.source.scheme().as_str().as_bytes()),
            Value::Status => show(out, self.answered.map(|it| it.status.as_u16())),
            Value::Target => out.extend_from_slice(self.target.as_bytes()),
        }
    }
}

// === impl Source ===

impl<'a> Source<'a> {
    fn fields(self) -> &'a HeaderMap {
        match self {
            Self::Exchange(it) => &it.request.headers,
            Self::Asking(it) => it.fields,
        }
    }

    fn method(self) -> &'a str {
        match self {
            Self::Exchange(it) => it.request.method.as_str(),
            Self::Asking(it) => it.method,
        }
    }

    fn scheme(self) -> Scheme {
        match self {
            Self::Exchange(it) => it.client.scheme,
            Self::Asking(it) => it.scheme,
        }
    }

    fn client(self) -> SocketAddr {
        match self {
            Self::Exchange(it) => it.client.address,
            Self::Asking(it) => SocketAddr::new(it.client, 0),
        }
    }

    /// A request without a sound one has been refused.
    fn authority(self) -> Cow<'a, str> {
        match self {
            Self::Exchange(it) => it.authority().unwrap_or_default(),
            Self::Asking(it) => it.authority.into(),
        }
    }

    fn request_id(self) -> &'a [u8] {
        match self {
            Self::Exchange(it) => it.request_id().as_bytes(),
            Self::Asking(_) => b"",
        }
    }
}

/// A template as the value of a field, if it is one; `write` writes its values.
pub(in crate::pipeline) fn filled(
    template: &Template,
    write: impl Fn(&Value, &mut Vec<u8>),
) -> Option<HeaderValue> {
    let mut whole = Vec::new();
    join(template, &mut whole, write);
    let value = whole.trim_ascii();
    let fits = (1..=FIELD_BYTES_MAX).contains(&value.len());
    HeaderValue::from_bytes(value).ok().filter(|_| fits)
}

fn join(template: &Template, out: &mut Vec<u8>, write: impl Fn(&Value, &mut Vec<u8>)) {
    for part in template.parts() {
        match part {
            Part::Text(text) => out.extend_from_slice(text.as_bytes()),
            Part::Value(value, _) => write(value, out),
        }
    }
}

// === impl Escape ===

impl Escape {
    pub(in crate::pipeline) fn of(self, text: &str) -> String {
        match self {
            Self::Nothing => text.to_owned(),
            Self::Html => text.chars().map(html).collect(),
            Self::Json => text.chars().map(json).collect(),
        }
    }
}

/// Writes a part of a value.
pub(in crate::pipeline) fn cut_out(
    of: &Value,
    cut: &Cut,
    out: &mut Vec<u8>,
    write: impl Fn(&Value, &mut Vec<u8>),
) {
    let mut whole = Vec::new();
    write(of, &mut whole);
    out.extend_from_slice(&cut.of_text(&whole));
}

/// The value of a field; of several lines the first; empty without one.
pub(in crate::pipeline) fn first<'a>(fields: &'a HeaderMap, name: &HeaderName) -> &'a [u8] {
    fields.get(name).map_or(b"", HeaderValue::as_bytes)
}

fn html(char: char) -> Cow<'static, str> {
    match char {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '"' => "&quot;".into(),
        '\'' => "&#39;".into(),
        char => char.to_string().into(),
    }
}

/// Also what would end a script that the string stands in.
fn json(char: char) -> Cow<'static, str> {
    match char {
        '"' => "\\\"".into(),
        '\\' => "\\\\".into(),
        char if char.is_control() || char == '<' => format!("\\u{:04x}", u32::from(char)).into(),
        char => char.to_string().into(),
    }
}

pub(in crate::pipeline) fn show(out: &mut Vec<u8>, value: Option<impl Display>) {
    if let Some(value) = value {
        // Writing to memory does not fail.
        let _ = write!(out, "{value}");
    }
}

/// Path and query of a target, the latter without its `?`.
pub(in crate::pipeline) fn divide(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_in_their_place() {
        let text = "</script>\"'&\\\n\u{7f}é";
        for (escape, escaped) in [
            (Escape::Nothing, text),
            (Escape::Html, "&lt;/script&gt;&quot;&#39;&amp;\\\n\u{7f}é"),
            (Escape::Json, r#"\u003c/script>\"'&\\\u000a\u007fé"#),
        ] {
            assert_eq!(escape.of(text), escaped);
        }
    }
}
