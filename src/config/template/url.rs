//! Templates of URLs: in which form each value stands, so that none can lead to another host or begin
//! another part than the one that it is for.

use http::Uri;

use super::{Cut, Part, Purpose, Template, Value};

const NO_URL: &str = "must be a URL, as \"https://a.example/\", or a path, as \"/new/\"";

/// In which form a value is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is: it is for a field, which may hold it.
    Plain,
    /// As a host of which a part was taken: the whole where nothing is left.
    Host,
    /// As a path from its root, to which a slash is put if it begins with none.
    Root,
    /// As a part of a URI of the same kind: only what no URI may hold is percent-encoded.
    Uri,
    /// As one segment or one parameter of a URI: all that has a meaning there is percent-encoded.
    Component,
}

/// Where in a URL a template has got to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Authority,
    Path,
    /// In a query or a fragment, where a parameter may begin.
    Query,
    /// In the value of a parameter.
    Parameter,
}

// === impl Template ===

impl Template {
    /// The target of a redirect: its parts know the form in which they are filled in, and none of
    /// them can lead to another host than is written or was asked for.
    pub(in crate::config) fn parse_url(text: &str) -> Result<Self, String> {
        let mut template = Self::parse(text, Purpose::Redirect)?;
        let (mut at, mut before_host) = template.begins_at()?;
        if let Some(Part::Value(value @ Value::Cut(..), _)) = template.parts.first() {
            at = at.take(value)?.1;
        }
        for (index, part) in template.parts.iter_mut().enumerate() {
            match part {
                Part::Text(text) => at = at.after(&text[std::mem::take(&mut before_host)..]),
                // What stands before `://` is not a part of the host.
                Part::Value(Value::Scheme, _) if before_host > 0 => {}
                // Of a path that was cut nobody knows how it begins.
                Part::Value(Value::Cut(..), form) if index == 0 => *form = Form::Root,
                Part::Value(value, form) => (*form, at) = at.take(value)?,
            }
        }
        match template.sample().parse::<Uri>() {
            Ok(_) if template.sample().is_ascii() => Ok(template),
            _ => Err(NO_URL.to_owned()),
        }
    }

    /// What it begins with, and how much of its first text stands before a host.
    fn begins_at(&self) -> Result<(At, usize), String> {
        const BEFORE_HOST: [&str; 4] = ["http://", "https://", "//", "/\\"];
        let front = |text: &str| BEFORE_HOST.into_iter().find(|it| text.starts_with(it));
        match &self.parts[..] {
            [Part::Text(text), ..] if text.starts_with('/') || front(text).is_some() => {
                Ok(front(text).map_or((At::Path, 0), |it| (At::Authority, it.len())))
            }
            [Part::Value(value, _), ..] if is_of_path(value) => Ok((At::Path, 0)),
            [Part::Value(Value::Scheme, _), Part::Text(text), ..] if text.starts_with("://") => {
                Ok((At::Authority, "://".len()))
            }
            [Part::Value(..), ..] => Err(format!(
                "{NO_URL}; of values only `${{path}}` and `${{target}}` may begin it, or \
                 `${{scheme}}` before `://`"
            )),
            _ => Err(NO_URL.to_owned()),
        }
    }

    /// How many slashes and backslashes it begins with, whatever is filled in.
    pub(in crate::config) fn slashes(&self) -> usize {
        match &self.parts[..] {
            [Part::Text(text), ..] => text.len() - text.trim_start_matches(['/', '\\']).len(),
            // A path begins with one.
            _ => 1,
        }
    }
}

fn is_of_path(value: &Value) -> bool {
    matches!(value.whole(), Value::Path | Value::Target)
}

// === impl At ===

impl At {
    /// Behind more text.
    fn after(self, text: &str) -> Self {
        let (at, rest) = match self {
            Self::Authority => match text.find(['/', '?', '#', '\\']) {
                Some(end) => (Self::Path, &text[end..]),
                None => return Self::Authority,
            },
            at => (at, text),
        };
        match rest.rfind(['?', '#', '&', '=']) {
            Some(last) if at != Self::Path || rest.contains(['?', '#']) => {
                match rest.as_bytes()[last] {
                    b'=' => Self::Parameter,
                    _ => Self::Query,
                }
            }
            _ => at,
        }
    }

    /// The form of a value that stands here, and where its end is.
    fn take(self, value: &Value) -> Result<(Form, Self), String> {
        match (self, value) {
            // No host that the key of a request may hold has another meaning in a URL.
            (Self::Authority, Value::Host | Value::Authority) => Ok((Form::Plain, self)),
            (Self::Authority, Value::Cut(of, Cut::After(_) | Cut::Before(_)))
                if **of == Value::Host =>
            {
                Ok((Form::Host, self))
            }
            // Both begin with a slash.
            (Self::Authority | Self::Path, Value::Path) => Ok((Form::Uri, Self::Path)),
            (Self::Authority | Self::Path, Value::Target) => Ok((Form::Uri, Self::Query)),
            (Self::Authority, _) => Err(
                "lets the client choose the host; only `${host}` and `${authority}` may stand there, \
                 and other values behind a `/`"
                    .to_owned(),
            ),
            (Self::Path, Value::Cut(..)) if is_of_path(value) => Ok((
                Form::Uri,
                match value.whole() {
                    Value::Target => Self::Query,
                    _ => Self::Path,
                },
            )),
            (Self::Query, Value::Query) => Ok((Form::Uri, Self::Query)),
            (at, _) => Ok((Form::Component, at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(text: &str) -> Option<Vec<Form>> {
        let template = Template::parse_url(text).ok()?;
        let form = |part: &Part| match part {
            Part::Value(_, form) => Some(*form),
            Part::Text(_) => None,
        };
        Some(template.parts().iter().filter_map(form).collect())
    }

    #[test]
    fn no_value_chooses_the_host_of_a_redirect() {
        use Form::{Component, Host, Plain, Root, Uri};
        for (text, expected) in [
            ("/new", Some(vec![])),
            ("https://a.example/", Some(vec![])),
            ("https://${host}${target}", Some(vec![Plain, Uri])),
            (
                "${scheme}://${authority}${path}",
                Some(vec![Plain, Plain, Uri]),
            ),
            ("https://www.${host}:8443/a", Some(vec![Plain])),
            ("https://${host}", Some(vec![Plain])),
            ("${path}", Some(vec![Uri])),
            ("${target}", Some(vec![Uri])),
            ("/new${path}?${query}", Some(vec![Uri, Uri])),
            (
                "/login?next=${target}&a=${query}",
                Some(vec![Component, Component]),
            ),
            ("/a?b&${path}", Some(vec![Component])),
            ("/u/${client}/a=b/${path}", Some(vec![Component, Uri])),
            (r#"/${header["x-lang"]}/"#, Some(vec![Component])),
            ("https://a.example${query}", None),
            ("https://a.example.${query}/", None),
            (r#"https://${header["x-host"]}/"#, None),
            (
                r#"https://${host.after("www.")}${target}"#,
                Some(vec![Host, Uri]),
            ),
            (r#"https://${path.after("/")}/"#, None),
            (r#"https://${host.lower()}/"#, None),
            (r#"/new/${path.after("/old/")}"#, Some(vec![Uri])),
            (
                r#"${path.replace("^/a", "/b")}?x=${path.after("/")}"#,
                Some(vec![Root, Component]),
            ),
            (r#"${header["x"].after("/")}"#, None),
            ("https://${client}/", None),
            ("//${client}/", None),
            ("//cdn.example${path}", Some(vec![Uri])),
            ("${host}/a", None),
            ("${query}", None),
            ("${scheme}${path}", None),
            ("new", None),
            ("javascript:${path}", None),
            ("https://", None),
            ("https://a b/", None),
            ("/é", None),
        ] {
            assert_eq!(forms(text), expected, "{text}");
        }
    }
}
