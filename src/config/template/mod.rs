//! Templates: text of the configuration with `${…}` for what is known only of each request.
//!
//! They are compiled once, into parts; nothing is looked up by name later. What the values are is the
//! pipeline's to say, which fills them in.

mod cut;
mod url;
mod value;

use std::fmt;

pub use cut::Cut;
pub use url::Form;
pub use value::Value;

/// More parts would only make the value longer than any field may be.
const PARTS_MAX: usize = 32;

/// Text with places for values.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// As the user wrote it.
    written: Box<str>,
    /// Neither is ever empty: neither the list nor a text in it.
    parts: Box<[Part]>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// What is the same each time: visible ASCII and spaces.
    Text(Box<str>),
    /// What is filled in.
    Value(Value, Form),
}

/// What a template is for, which decides on the values that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A field of the request to the origin.
    RequestField,
    /// A field of the response to the client.
    ResponseField,
    /// A field of a response that is stored: the same for all who get it.
    StoredField,
    /// How long a response lives.
    Lifetime,
    /// The target of a redirect or of a request.
    Redirect,
    /// A page that says that something failed.
    Page,
}

// === impl Template ===

impl Template {
    /// What is written for `purpose`, or what is wrong with it and how to mend it.
    pub(super) fn parse(text: &str, purpose: Purpose) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, found) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                // `$${` stands for `${`.
                literal.push_str(before);
                literal.push_str("${");
                rest = &found[2..];
                continue;
            }
            literal.push_str(before);
            let found = &found[2..];
            let end = cut::end_of_expression(found)
                .ok_or("has a `${` without its `}`; write `$${` for the two characters")?;
            let (name, behind) = (&found[..end], &found[end + 1..]);
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal).into()));
            }
            parts.push(Part::Value(Value::parse(name, purpose)?, Form::Plain));
            rest = behind;
        }
        literal.push_str(rest);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        if parts.len() > PARTS_MAX {
            return Err(format!("has more than {PARTS_MAX} parts; shorten it"));
        }
        Ok(Self {
            written: text.into(),
            parts: parts.into(),
        })
    }

    /// The template with plain text for all values.
    pub(super) fn sample(&self) -> String {
        let sample = |part: &Part| match part {
            Part::Text(text) => text.to_string(),
            Part::Value(value, _) => match value.whole() {
                Value::Authority | Value::Host => "a.example".to_owned(),
                Value::Path => "/a".to_owned(),
                Value::Scheme => "https".to_owned(),
                Value::Target => "/a?a".to_owned(),
                _ => "a".to_owned(),
            },
        };
        self.parts.iter().map(sample).collect()
    }

    /// The values that it is filled in with.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value(value, _) => Some(value),
        })
    }

    /// Its parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Its text, if nothing is to be filled in.
    pub fn as_text(&self) -> Option<&str> {
        match &self.parts[..] {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

/// As it was written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use proptest::prelude::*;

    use super::*;

    fn complaint(text: &str, purpose: Purpose) -> String {
        Template::parse(text, purpose).err().unwrap_or_default()
    }

    #[test]
    fn text_and_values_in_turn() {
        let text = |it: &str| Part::Text(it.into());
        let value = |it: Value| Part::Value(it, Form::Plain);
        for (written, parts) in [
            ("", vec![text("")]),
            ("plain $1 $remote $", vec![text("plain $1 $remote $")]),
            ("${client}", vec![value(Value::Client)]),
            (
                "a ${scheme}://${host} b",
                vec![
                    text("a "),
                    value(Value::Scheme),
                    text("://"),
                    value(Value::Host),
                    text(" b"),
                ],
            ),
            ("$${client}", vec![text("${client}")]),
            ("a$${b}${cache}", vec![text("a${b}"), value(Value::Cache)]),
            (
                "${header[\"X-Own\"]}",
                vec![value(Value::Header(HeaderName::from_static("x-own")))],
            ),
        ] {
            let template = Template::parse(written, Purpose::ResponseField).unwrap();
            assert_eq!(template.parts(), parts, "{written}");
            assert_eq!(template.to_string(), written);
        }
    }

    #[test]
    fn what_is_said_of_unknown_values() {
        use Purpose::{Redirect, RequestField, ResponseField};
        for (text, purpose, said) in [
            (
                "${clinet}",
                RequestField,
                "unknown value `${clinet}`; did you mean `${client}`?",
            ),
            (
                "${remote_addr}",
                RequestField,
                "unknown value `${remote_addr}`; did you mean `${client}`?",
            ),
            (
                "${request_uri}",
                Redirect,
                "unknown value `${request_uri}`; did you mean `${target}`?",
            ),
            (
                "${cache}",
                RequestField,
                "`${cache}` is known in fields of responses alone; there is none yet here",
            ),
            (
                "${http_origin}",
                ResponseField,
                r#"unknown value `${http_origin}`; a request field is `${header["x-name"]}`"#,
            ),
            (
                r#"${header["a b"]}"#,
                ResponseField,
                "`a b` is not the name of a field; use letters, digits and hyphens (RFC 9110 §5.1)",
            ),
            (
                "${client",
                RequestField,
                "has a `${` without its `}`; write `$${` for the two characters",
            ),
            (
                "${whatever}",
                RequestField,
                "unknown value `${whatever}`; known here are `authority`, `client`, `client.port`, \
                 `device`, `ext`, `host`, `method`, `path`, `query`, `request_id`, `scheme`, `target`, \
                 `header[\"x\"]`, `cookie[\"x\"]` and `param[\"x\"]`; `$${` stands for `${`",
            ),
        ] {
            assert_eq!(complaint(text, purpose), said, "{text}");
        }
        let long = "${path}".repeat(PARTS_MAX + 1);
        assert!(complaint(&long, RequestField).contains("32 parts"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_template_or_complained_of(text in "[${}a-z\"\\[\\]=?/#&: é]{0,40}") {
            for purpose in [Purpose::RequestField, Purpose::ResponseField, Purpose::Redirect] {
                if let Err(said) = Template::parse(&text, purpose) {
                    prop_assert!(!said.is_empty());
                }
            }
            let _ = Template::parse_url(&text);
        }
    }
}
