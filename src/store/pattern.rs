//! Pattern of a purge: regular expressions that a stored response must all meet, what Varnish calls a
//! ban.
//!
//! The regex crate's expressions take time in proportion to what they are tried on, whatever is written,
//! so that no pattern can hold a request up. What they are tried on is bounded too.

use http::HeaderName;
use regex::bytes::{Regex, RegexBuilder};
use smallvec::SmallVec;

use super::head::Head;
use crate::semantics::key::Key;

/// The longest expression, in bytes.
const BYTES_MAX: usize = 8 * 1024;
/// What a compiled expression may weigh, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// What a stored response must be like.
#[derive(Clone, Debug)]
pub struct Pattern {
    parts: Vec<(Subject, Regex)>,
    /// As it is written, by which two are known to be the same.
    text: String,
}

/// What of a stored response an expression is tried on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Host, port if it is no scheme's own, path and query: `shop.example/a?b`.
    Url,
    /// Host and port.
    Host,
    /// Path and query.
    Path,
    /// The first value of a field that clients see; one that is not there is met by nothing.
    Field(HeaderName),
    /// The tags, with commas between them.
    Tags,
}

/// No expression, or one that is too much.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// It cannot be compiled; it says itself what is wrong.
    #[error("not a regular expression: {0}")]
    Syntax(String),
    /// It is too long, or is too much when compiled.
    #[error("the regular expression is too long; purge by tags, a prefix or a host instead")]
    Long,
}

// === impl Pattern ===

impl Pattern {
    /// Of these expressions, all of which must be met.
    ///
    /// # Errors
    /// [`BadPattern`] of the first that cannot be used.
    pub fn new(parts: &[(Subject, &str)]) -> Result<Self, BadPattern> {
        let text: Vec<_> = parts.iter().map(|(it, text)| it.before(text)).collect();
        let parts = parts
            .iter()
            .map(|(subject, text)| Ok((subject.clone(), compile(text)?)));
        Ok(Self {
            parts: parts.collect::<Result<_, BadPattern>>()?,
            text: text.join(" and "),
        })
    }

    /// As people write it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether what lies under this key meets it. Without its head, only what a key tells is known.
    pub(super) fn is_met(&self, key: &[u8], head: Option<&Head>) -> bool {
        let met = |(subject, regex): &(Subject, Regex)| subject.meets(regex, key, head);
        self.parts.iter().all(met)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

fn compile(text: &str) -> Result<Regex, BadPattern> {
    if text.len() > BYTES_MAX {
        return Err(BadPattern::Long);
    }
    // Paths are bytes: what is no ASCII is percent-encoded in them.
    let built = RegexBuilder::new(text)
        .unicode(false)
        .size_limit(COMPILED_BYTES_MAX)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => BadPattern::Long,
        error => {
            let told = error.to_string();
            // The last line is the reason; those before it draw the place.
            let last = told.lines().last().unwrap_or_default();
            BadPattern::Syntax(last.trim_start_matches("error: ").to_owned())
        }
    })
}

// === impl Subject ===

impl Subject {
    fn before(&self, text: &str) -> String {
        match self {
            Self::Url => text.to_owned(),
            Self::Host => format!("host {text}"),
            Self::Path => format!("path {text}"),
            Self::Field(name) => format!("{name} {text}"),
            Self::Tags => format!("tags {text}"),
        }
    }

    fn meets(&self, regex: &Regex, key: &[u8], head: Option<&Head>) -> bool {
        let (authority, path) = Key::divide(key);
        match self {
            Self::Host => regex.is_match(authority),
            Self::Path => regex.is_match(path),
            Self::Url => {
                let mut url = SmallVec::<[u8; 256]>::from_slice(authority);
                url.extend_from_slice(path);
                regex.is_match(&url)
            }
            Self::Field(name) => {
                let value = head.and_then(|head| head.get(name));
                value.is_some_and(|value| regex.is_match(value))
            }
            Self::Tags => head.is_some_and(|head| {
                let mut tags = Vec::new();
                head.each_tag(|tag| {
                    if !tags.is_empty() {
                        tags.push(b',');
                    }
                    tags.extend_from_slice(tag);
                });
                !tags.is_empty() && regex.is_match(&tags)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;
    use crate::semantics::key::{KeyBuf, Scheme};
    use crate::semantics::tags::TagRule;

    #[test]
    fn all_parts_must_be_met() {
        let key = KeyBuf::new(Scheme::Https, "shop.test", "/a/b?c");
        let fields = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("text/html")),
            (
                HeaderName::from_static("xkey"),
                HeaderValue::from_static("one two"),
            ),
        ]);
        let head = Head::tagged(StatusCode::OK, &fields, &TagRule::default()).unwrap();
        let kind = || Subject::Field(CONTENT_TYPE);
        type Parts<'a> = &'a [(Subject, &'a str)];
        let rows: [(Parts<'_>, bool, bool); 9] = [
            (&[(Subject::Url, "^shop\\.test/a/")], true, true),
            (&[(Subject::Url, "^/a/")], false, false),
            (&[(Subject::Host, "^shop.test$")], true, true),
            (&[(Subject::Path, "^/a/.*\\?c$")], true, true),
            (&[(Subject::Path, "shop")], false, false),
            (&[(kind(), "html")], true, false),
            (&[(Subject::Tags, "(^|,)two(,|$)")], true, false),
            (&[(Subject::Path, "."), (kind(), "json")], false, false),
            (&[(Subject::Field(http::header::ETAG), "")], false, false),
        ];
        for (parts, expected, by_key_alone) in rows {
            let pattern = Pattern::new(parts).unwrap();
            assert_eq!(pattern.is_met(&key, Some(&head)), expected, "{parts:?}");
            assert_eq!(pattern.is_met(&key, None), by_key_alone, "{parts:?}");
        }
    }

    #[test]
    fn a_bad_expression_says_what_is_wrong() {
        let told = |text: &str| {
            Pattern::new(&[(Subject::Url, text)])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(told("("), "not a regular expression: unclosed group");
        assert!(told("(?=a)").contains("look-around"), "{}", told("(?=a)"));
        for text in ["a".repeat(BYTES_MAX + 1), "(.{999}){999}".to_owned()] {
            let told = Pattern::new(&[(Subject::Url, &text)]).unwrap_err();
            assert_eq!(told, BadPattern::Long);
        }
    }
}
