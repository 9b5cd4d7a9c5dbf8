//! Parts of a value: what follows or precedes a text in it, its lower case, and what a regular expression
//! makes of it.

use std::borrow::Cow;

use memchr::memmem;

use crate::config::wording;
use crate::rules::Pattern;

/// More of them than anybody needs in a row.
const CUTS_MAX: usize = 8;

const KNOWN: [&str; 4] = ["after", "before", "lower", "replace"];

/// How a part is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// `after("…")`: what follows the first of these; all where there is none.
    After(Box<str>),
    /// `before("…")`: what precedes the first of these; all where there is none.
    Before(Box<str>),
    /// `lower()`: ASCII letters in lower case.
    Lower,
    /// `replace("REGEX", "…")`: with what is found first replaced; `$1` is the first group.
    Replace(Pattern, Box<str>),
}

// === impl Cut ===

impl Cut {
    /// What stands before the first function of an expression, and its functions.
    pub(super) fn divide(text: &str) -> Result<(&str, Vec<Self>), String> {
        let mut dots = text.match_indices('.').map(|it| it.0);
        let is_call = |at: &usize| {
            let name = text[at + 1..].split_once('(').map_or("", |it| it.0);
            is_word(name)
        };
        let Some(end) = dots.find(is_call) else {
            return Ok((text, Vec::new()));
        };
        let mut cuts = Vec::new();
        let mut rest = &text[end..];
        while let Some(call) = rest.strip_prefix('.') {
            let (name, behind) = call.split_once('(').ok_or_else(|| no_call(rest))?;
            let (arguments, behind) = arguments(behind).ok_or_else(|| no_call(rest))?;
            cuts.push(Self::of(name, &arguments)?);
            rest = behind;
        }
        match rest.is_empty() && cuts.len() <= CUTS_MAX {
            true => Ok((&text[..end], cuts)),
            false => Err(no_call(rest)),
        }
    }

    fn of(name: &str, arguments: &[String]) -> Result<Self, String> {
        let text = |it: &String| it.as_str().into();
        match (name, arguments) {
            ("after", [what]) if !what.is_empty() => Ok(Self::After(text(what))),
            ("before", [what]) if !what.is_empty() => Ok(Self::Before(text(what))),
            ("lower", []) => Ok(Self::Lower),
            ("replace", [what, with]) => Ok(Self::Replace(Pattern::parse(what)?, text(with))),
            ("after" | "before", _) => Err(format!("`{name}` takes one text, as `{name}(\"/\")`")),
            ("lower", _) => Err("`lower` takes nothing, as `lower()`".to_owned()),
            ("replace", _) => Err(
                "`replace` takes a regular expression and a text, as `replace(\"^/old/\", \"/new/\")`"
                    .to_owned(),
            ),
            _ => match wording::closest(name, &KNOWN) {
                Some(meant) => Err(format!("unknown function `{name}`; did you mean `{meant}`?")),
                None => {
                    let known = wording::list(&KNOWN, "`", "and");
                    Err(format!("unknown function `{name}`; known here are {known}"))
                }
            },
        }
    }

    /// The part of a text.
    pub fn of_text<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Self::After(what) => match memmem::find(text, what.as_bytes()) {
                Some(at) => Cow::Borrowed(&text[at + what.len()..]),
                None => Cow::Borrowed(text),
            },
            Self::Before(what) => match memmem::find(text, what.as_bytes()) {
                Some(at) => Cow::Borrowed(&text[..at]),
                None => Cow::Borrowed(text),
            },
            Self::Lower => Cow::Owned(text.to_ascii_lowercase()),
            Self::Replace(pattern, with) => pattern.replace(text, with),
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphabetic())
}

fn no_call(text: &str) -> String {
    format!(
        "`{text}` is no function; write `.after(\"…\")`, `.before(\"…\")`, `.lower()` or `.replace(\"…\", \"…\")`"
    )
}

/// The texts in quotes up to the closing bracket, and what stands behind it. A quote within one has a
/// backslash before it.
fn arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let mut arguments = Vec::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(behind) = rest.strip_prefix(')') {
            return Some((arguments, behind));
        }
        rest = rest.strip_prefix('"')?;
        let end = closing(rest)?;
        arguments.push(rest[..end].replace("\\\"", "\""));
        rest = rest[end + 1..].trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

/// Where the quote stands that ends a text.
fn closing(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })
}

/// Where the bracket stands that ends an expression: not within quotes.
pub(super) fn end_of_expression(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.bytes().position(|byte| {
        let is_quote = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_quoted ^= is_quote;
        byte == b'}' && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(expression: &str, text: &str) -> Result<String, String> {
        let (name, cuts) = Cut::divide(expression)?;
        assert_eq!(name, "path");
        let part = |text: Vec<u8>, cut: &Cut| cut.of_text(&text).into_owned();
        let whole = cuts.iter().fold(text.as_bytes().to_vec(), part);
        Ok(String::from_utf8(whole).unwrap())
    }

    #[test]
    fn parts_of_a_text() {
        for (expression, text, part) in [
            ("path", "/a/b", "/a/b"),
            (r#"path.after("/a/")"#, "/a/b", "b"),
            (r#"path.after("/c/")"#, "/a/b", "/a/b"),
            (r#"path.before("/b").lower()"#, "/A/b", "/a"),
            (
                r#"path.replace("^/old/(.*)$", "/new/$1")"#,
                "/old/x.css",
                "/new/x.css",
            ),
            (r#"path.replace("a{2}", "b")"#, "/aaa", "/ba"),
            (r#"path.replace("\.html$","")"#, "/a.html", "/a"),
            (r#"path.after("\"")"#, "a\"b", "b"),
        ] {
            assert_eq!(cut(expression, text).as_deref(), Ok(part), "{expression}");
        }
        assert_eq!(
            end_of_expression(r#"a.replace("x{2}\"}", "}")} rest"#),
            Some(25)
        );
    }

    #[test]
    fn what_is_no_part_is_told() {
        for (expression, said) in [
            (
                r#"path.aftr("a")"#,
                "unknown function `aftr`; did you mean `after`?",
            ),
            (
                "path.size()",
                "unknown function `size`; known here are `after`, `before`, `lower` and `replace`",
            ),
            ("path.after()", r#"`after` takes one text, as `after("/")`"#),
            (r#"path.lower("a")"#, "`lower` takes nothing, as `lower()`"),
            (
                r#"path.replace("(", "")"#,
                "`(` is no regular expression: unclosed group",
            ),
        ] {
            assert_eq!(cut(expression, "").unwrap_err(), said, "{expression}");
        }
        assert!(cut(r#"path.after("a""#, "").is_err());
        assert!(cut("path.lower()x", "").is_err());
    }
}
