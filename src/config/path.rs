//! Paths of routes: `/a/b`, `/users/{id}` and `/a/*`, checked and compiled for matchit.
//!
//! Not the table that finds the route of a request.

use std::fmt;

use crate::semantics::path_form;

/// A longer path could not be asked for within the default limits.
const PATH_BYTES_MAX: usize = 1024;

/// Signs of regular expressions, none of which a path may hold (RFC 3986 §3.3).
const EXPRESSIONS: [char; 7] = ['\\', '^', '[', ']', '|', '<', '>'];

const NO_EXPRESSION: &str = "is no path; paths are no regular expressions: write `/a/*`, or \
                             `/users/{id}` for any one segment";

const NOT_NORMAL: &str = "is compared with paths in normal form; write it without `//`, `.` and `..`, \
                          letters, digits and `-._~` as they are, and other encodings as %C3%A9";

/// Which paths a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    written: String,
    patterns: Vec<String>,
    depth: Option<usize>,
}

enum Segment {
    Literal,
    Named,
}

// === impl PathPattern ===

impl PathPattern {
    /// The patterns to give to matchit. The names of segments are replaced by `s0`, `s1` and so
    /// on, so that `/{user}/a` and `/{id}/b` can stand side by side.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// `None` for a path without `/*`, else the number of segments before it.
    ///
    /// Paths of one depth share one matchit router, which cannot hold `{s0}` and `{*rest}` at the
    /// same place. A request is looked up without `/*` first, then from the deepest `/*` to the
    /// least deep.
    pub fn depth(&self) -> Option<usize> {
        self.depth
    }

    /// The path without its final `*`, as `/a/` for `/a/*`; the whole of it when it has none.
    pub fn stem(&self) -> &str {
        self.written.strip_suffix('*').unwrap_or(&self.written)
    }

    /// What is written, or what is wrong with it and how to mend it.
    pub(super) fn parse(path: &str) -> Result<Self, &'static str> {
        if path.starts_with(['~', '^']) || path.contains(EXPRESSIONS) || path.contains(".*") {
            return Err(NO_EXPRESSION);
        }
        let Some(inner) = path.strip_prefix('/') else {
            return Err("must begin with `/`, as in `/a/*`");
        };
        if path.len() > PATH_BYTES_MAX {
            return Err("is longer than 1024 bytes; shorten it, with `/*` at the end");
        }
        // No request would be for another.
        if path_form::normal(path).is_some() {
            return Err(NOT_NORMAL);
        }
        let mut segments: Vec<&str> = inner.split('/').collect();
        let is_prefix = segments.last() == Some(&"*");
        if is_prefix {
            segments.pop();
        }
        let mut compiled = String::new();
        for (index, segment) in segments.iter().enumerate() {
            compiled.push('/');
            match check_segment(segment)? {
                Segment::Named if segments[..index].contains(segment) => {
                    return Err("has the same `{name}` twice; rename one");
                }
                Segment::Named => compiled.push_str(&format!("{{s{index}}}")),
                Segment::Literal => compiled.push_str(segment),
            }
        }
        let (patterns, depth) = if is_prefix {
            let with_rest = format!("{compiled}/{{*rest}}");
            (vec![compiled + "/", with_rest], Some(segments.len()))
        } else {
            (vec![compiled], None)
        };
        Self::compiling(path, patterns, depth)
    }

    fn compiling(
        path: &str,
        patterns: Vec<String>,
        depth: Option<usize>,
    ) -> Result<Self, &'static str> {
        let mut router = matchit::Router::new();
        if patterns.iter().any(|it| router.insert(it, ()).is_err()) {
            return Err("cannot be matched; use `/a/b`, `/a/{name}` or `/a/*`");
        }
        Ok(Self {
            written: path.to_owned(),
            patterns,
            depth,
        })
    }
}

/// As written.
impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

fn check_segment(segment: &str) -> Result<Segment, &'static str> {
    if let Some(name) = segment
        .strip_prefix('{')
        .and_then(|it| it.strip_suffix('}'))
    {
        let is_letter = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
        if name.is_empty() || !name.bytes().all(is_letter) {
            return Err("the name in `{…}` must be letters, digits and `_`");
        }
        return Ok(Segment::Named);
    }
    if segment.contains(['{', '}']) {
        return Err("`{name}` must fill its whole segment, as in `/users/{id}`");
    }
    if segment.contains('*') {
        return Err("`*` stands only at the end and after a `/`, as in `/a/*`");
    }
    if segment.contains(['?', '#']) {
        return Err("has a query or a fragment, which play no part in choosing a route");
    }
    if !is_encoded(segment.as_bytes()) {
        return Err("has a character that must be percent-encoded, as %20 (RFC 3986 §3.3)");
    }
    Ok(Segment::Literal)
}

/// RFC 3986 §3.3: `pchar = unreserved / pct-encoded / sub-delims / ":" / "@"`.
fn is_encoded(segment: &[u8]) -> bool {
    let mut rest = segment;
    loop {
        rest = match rest {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [it, rest @ ..] if it.is_ascii_alphanumeric() => rest,
            [it, rest @ ..] if b"-._~!$&'()+,;=:@".contains(it) => rest,
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths() {
        for (path, compiled) in [
            ("/", Some("/")),
            ("/a/b", Some("/a/b")),
            ("/a/", Some("/a/")),
            ("/*", Some("/ /{*rest}")),
            ("/a/*", Some("/a/ /a/{*rest}")),
            ("/users/{id}/avatar", Some("/users/{s1}/avatar")),
            ("/{a}/{b}/*", Some("/{s0}/{s1}/ /{s0}/{s1}/{*rest}")),
            ("/a%20b/~c;d=1", Some("/a%20b/~c;d=1")),
            ("", None),
            ("a", None),
            ("*", None),
            ("/*/a", None),
            ("/a*", None),
            ("/**", None),
            ("/{id}.png", None),
            ("/{}", None),
            ("/{*rest}", None),
            ("/{a}/{a}", None),
            ("/a{b", None),
            ("/a?b", None),
            ("/a b", None),
            ("/é", None),
            ("/a%2", None),
            ("/a%zz", None),
            ("/a/../b", None),
            ("/a//b", None),
            ("/caf%c3%a9", None),
            ("/caf%C3%A9", Some("/caf%C3%A9")),
            ("/%7Euser", None),
        ] {
            let parsed = PathPattern::parse(path).ok();
            assert_eq!(
                parsed.as_ref().map(|it| it.patterns.join(" ")).as_deref(),
                compiled,
                "{path}"
            );
        }
        assert!(PathPattern::parse(&format!("/{}", "a".repeat(1024))).is_err());
    }

    /// The order of choice that `depth` promises.
    fn find<'a>(paths: &[&'a str], request: &str) -> Option<&'a str> {
        let mut routers: BTreeMap<Option<usize>, matchit::Router<&str>> = BTreeMap::new();
        for path in paths {
            let compiled = PathPattern::parse(path).unwrap();
            let router = routers.entry(compiled.depth()).or_default();
            for pattern in compiled.patterns() {
                router.insert(pattern, *path).unwrap();
            }
        }
        let exact = routers.remove(&None).into_iter();
        let mut in_order = exact.chain(routers.into_values().rev());
        in_order.find_map(|router| router.at(request).ok().map(|found| *found.value))
    }

    #[test]
    fn the_most_specific_path_wins() {
        let paths = [
            "/*", "/a/*", "/a/b", "/a/{x}", "/a/{x}/*", "/{y}/c", "/a/b/*", "/a/",
        ];
        for (request, path) in [
            ("/", "/*"),
            ("/z", "/*"),
            ("/a", "/*"),
            ("/a/", "/a/"),
            ("/a/b", "/a/b"),
            ("/a/c", "/a/{x}"),
            ("/z/c", "/{y}/c"),
            ("/a/b/", "/a/b/*"),
            ("/a/b/c", "/a/b/*"),
            ("/a/c/d", "/a/{x}/*"),
            ("/z/d", "/*"),
        ] {
            assert_eq!(find(&paths, request), Some(path), "{request}");
        }
        assert_eq!(find(&["/a/*"], "/a"), None);
    }

    proptest! {
        /// Paths that differ never conflict in the router of their depth.
        #[test]
        fn different_paths_never_conflict(
            paths in prop::collection::vec("(/(a|b|ab|\\{x\\}|\\{y\\}|)){1,4}(/\\*)?", 1..12)
        ) {
            let mut routers: BTreeMap<Option<usize>, matchit::Router<()>> = BTreeMap::new();
            let mut compiled: Vec<_> = paths.iter().flat_map(|it| PathPattern::parse(it)).collect();
            compiled.sort_by(|a, b| a.patterns.cmp(&b.patterns));
            compiled.dedup_by(|a, b| a.patterns == b.patterns);
            for path in compiled {
                let router = routers.entry(path.depth()).or_default();
                for pattern in path.patterns() {
                    prop_assert_eq!(router.insert(pattern, ()), Ok(()));
                }
            }
        }
    }
}
