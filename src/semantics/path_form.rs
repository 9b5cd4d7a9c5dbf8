//! Normal form of a path (RFC 3986 §6.2.2), in which routes, rules, the key and purges see it, and what
//! a rule refuses of paths.
//!
//! The one owner of equal spellings. Removed are dot segments and empty segments, as nginx and Apache
//! do in one pass; unreserved characters stand as they are, and the digits of percent-encodings are
//! upper-case. What an encoded slash or a backslash means is the origin's to say, so they stay. A query
//! has no part in this: see `query.rs`.

use std::fmt::Write as _;

use super::key::is_unreserved;

/// How far it matters how a path is spelt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathForm {
    /// Each spelling is a path of its own.
    AsIs,
    /// We see the normal form; origins see what the client wrote.
    #[default]
    Normalize,
    /// All see the normal form, and a path without one is refused.
    Strict,
}

/// What is asked of the paths of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRule {
    /// How they are seen.
    pub form: PathForm,
    /// Whether `%2F`, `%5C` and `\` are refused: origins differ in whether they are slashes.
    pub refuses_slash: bool,
    /// Whether `%00` is refused: to some programs a text ends there.
    pub refuses_nul: bool,
    /// Whether bytes beyond ASCII are refused that are not percent-encoded.
    pub refuses_raw: bool,
}

/// What one look at a path has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// It is not in normal form.
    pub is_respelt: bool,
    has_slash: bool,
    has_nul: bool,
    has_raw: bool,
    /// An encoding of what needs none (RFC 3986 §2.3).
    has_needless: bool,
    /// A percent sign without two digits.
    has_broken: bool,
}

/// The normal form of a target that was spelt otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normal {
    /// Path and query; the latter as it was.
    pub target: String,
    /// Whether RFC 3986 §6.2.2 calls both equivalent. It says nothing of empty segments, and some
    /// origins have pages that differ in nothing else, as `/fetch/https://a.test/`.
    pub is_equivalent: bool,
    /// Whether `..` led above the root.
    climbs: bool,
}

// === impl PathRule ===

impl PathRule {
    /// The rule of a form where nothing more is said.
    pub fn of(form: PathForm) -> Self {
        let is_strict = form == PathForm::Strict;
        Self {
            form,
            refuses_slash: is_strict,
            refuses_nul: form != PathForm::AsIs,
            refuses_raw: is_strict,
        }
    }

    /// Why a path is refused, if it is, as a token.
    pub fn refusal(&self, look: Look, normal: Option<&Normal>) -> Option<&'static str> {
        let is_strict = self.form == PathForm::Strict;
        let climbs = normal.is_some_and(|it| it.climbs);
        // To decode the one could complete the other: `%%361` would become `%61`.
        let is_two_fold = look.has_needless && self.form != PathForm::AsIs;
        let rows = [
            (look.has_slash && self.refuses_slash, "encoded-slash"),
            (look.has_nul && self.refuses_nul, "encoded-nul"),
            (look.has_raw && self.refuses_raw, "raw-bytes"),
            (
                look.has_broken && (is_strict || is_two_fold),
                "broken-encoding",
            ),
            (climbs && is_strict, "above-root"),
        ];
        rows.iter().find(|(is_met, _)| *is_met).map(|(_, why)| *why)
    }
}

// === impl Look ===

impl Look {
    /// Looks once at a path that begins with a slash.
    pub fn at(path: &str) -> Self {
        let mut look = Self::default();
        let mut rest = path.as_bytes();
        while let [byte, after @ ..] = rest {
            match byte {
                b'/' => look.is_respelt |= is_odd_segment(after),
                b'%' => look.encoding(after),
                b'\\' => look.has_slash = true,
                0x80.. => look.has_raw = true,
                _ => {}
            }
            rest = after;
        }
        look
    }

    /// Whether there is nothing that a rule could refuse, nor another spelling.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// What follows a percent sign.
    fn encoding(&mut self, after: &[u8]) {
        let Some(byte) = decoded(after) else {
            self.has_broken = true;
            return;
        };
        match byte {
            0 => self.has_nul = true,
            b'/' | b'\\' => self.has_slash = true,
            _ => {}
        }
        let has_lower = after[..2].iter().any(u8::is_ascii_lowercase);
        self.has_needless |= is_unreserved(byte);
        self.is_respelt |= has_lower || self.has_needless;
    }
}

/// Whether a segment, which begins here, has no place in a normal form: one that is empty and not the
/// last, or of dots alone.
fn is_odd_segment(rest: &[u8]) -> bool {
    match rest {
        [b'/', ..] => true,
        [b'.', after @ ..] => matches!(after, [] | [b'/', ..] | [b'.'] | [b'.', b'/', ..]),
        _ => false,
    }
}

/// The byte that two hexadecimal digits at the front stand for.
fn decoded(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else { return None };
    let digit = |it: &u8| char::from(*it).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Path and query of a target, the latter with its `?`.
pub fn divide(target: &str) -> (&str, &str) {
    let end = memchr::memchr(b'?', target.as_bytes()).unwrap_or(target.len());
    target.split_at(end)
}

/// The normal form of a target, the path of which begins with a slash; `None` if it is in it.
pub fn normal(target: &str) -> Option<Normal> {
    let (path, query) = divide(target);
    Look::at(path).is_respelt.then(|| respell(path, query))
}

fn respell(path: &str, query: &str) -> Normal {
    let decoded = without_needless_encodings(path);
    let mut normal = Normal {
        target: String::with_capacity(path.len() + query.len()),
        is_equivalent: true,
        climbs: false,
    };
    let mut segments = decoded
        .strip_prefix('/')
        .unwrap_or(&decoded)
        .split('/')
        .peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "" if !is_last => normal.is_equivalent = false,
            ".." => normal.leave_segment(),
            "" | "." => {}
            _ => {
                normal.target.push('/');
                normal.target.push_str(segment);
            }
        }
        // RFC 3986 §5.2.4: what ends with a dot segment, ends with a slash without it.
        if is_last && matches!(segment, "" | "." | "..") {
            normal.target.push('/');
        }
    }
    normal.target.push_str(query);
    normal
}

/// RFC 3986 §6.2.2.1 and §6.2.2.2. What is no percent-encoding stays as it is.
fn without_needless_encodings(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut pieces = path.split('%');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        match decoded(piece.as_bytes()) {
            Some(byte) => {
                match is_unreserved(byte) {
                    true => out.push(char::from(byte)),
                    // Writing to memory does not fail.
                    false => drop(write!(out, "%{byte:02X}")),
                }
                // The digits are ASCII.
                out.push_str(&piece[2..]);
            }
            None => {
                out.push('%');
                out.push_str(piece);
            }
        }
    }
    out
}

// === impl Normal ===

impl Normal {
    fn leave_segment(&mut self) {
        match self.target.rfind('/') {
            Some(start) => self.target.truncate(start),
            None => self.climbs = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_brought_to_normal_form() {
        // Whether RFC 3986 calls the two equivalent.
        let (same, other) = (true, false);
        #[rustfmt::skip]
        let rows = [
            // §6.2.2.1 and §6.2.2.2: the digits' letter case, and what needs no encoding.
            ("/caf%c3%a9", "/caf%C3%A9", same),
            ("/%7Euser/%41%2d%2E%5f", "/~user/A-._", same),
            ("/a%2fb%5c%00%3f%23", "/a%2Fb%5C%00%3F%23", same),
            ("/%zz/%7e", "/%zz/~", same),
            ("/%7e%", "/~%", same),
            // §6.2.2.3 and §5.2.4.
            ("/a/./b", "/a/b", same),
            ("/a/../b", "/b", same),
            ("/a/b/..", "/a/", same),
            ("/a/.", "/a/", same),
            ("/.", "/", same),
            ("/..", "/", same),
            ("/../../a", "/a", same),
            ("/a/%2e%2E/b", "/b", same),
            ("/a/%2E", "/a/", same),
            // Which segment `..` takes away depends on whether an empty one is one.
            ("//", "/", other),
            ("//a", "/a", other),
            ("/a//b", "/a/b", other),
            ("/a//", "/a/", other),
            ("/a//../b", "/b", other),
            ("/f/https://a.test/", "/f/https:/a.test/", other),
            // A query stays as it is.
            ("/a/../b?c=//%7e/../", "/b?c=//%7e/../", same),
        ];
        for (target, expected, is_equivalent) in rows {
            let found = normal(target).expect(target);
            assert_eq!(
                (&*found.target, found.is_equivalent),
                (expected, is_equivalent),
                "{target}"
            );
            assert_eq!(normal(expected), None, "{expected}");
        }
        #[rustfmt::skip]
        let normal_already = [
            "/", "/a", "/a/", "/A.b/..c/...", "/.well-known/x", "/a..", "/a%2Fb%C3%A9", "/%", "/%2",
            "/%zz", "/a\\b", "/é", "/a?b=//..", "/;a=..", "/a?/../",
        ];
        for target in normal_already {
            assert_eq!(normal(target), None, "{target}");
        }
    }

    #[test]
    fn a_rule_refuses_what_it_names() {
        use PathForm::{AsIs, Normalize, Strict};
        #[rustfmt::skip]
        let rows = [
            ("/a%2Fb", [None, None, Some("encoded-slash")]),
            ("/a%5cb", [None, None, Some("encoded-slash")]),
            ("/a\\b", [None, None, Some("encoded-slash")]),
            ("/a%00", [None, Some("encoded-nul"), Some("encoded-nul")]),
            ("/é", [None, None, Some("raw-bytes")]),
            ("/%C3%A9", [None; 3]),
            ("/%zz", [None, None, Some("broken-encoding")]),
            ("/100%", [None, None, Some("broken-encoding")]),
            ("/%%361", [None, Some("broken-encoding"), Some("broken-encoding")]),
            ("/../a", [None, None, Some("above-root")]),
            ("/a/../b", [None; 3]),
            ("/a//b", [None; 3]),
        ];
        for (path, expected) in rows {
            let (look, normal) = (Look::at(path), normal(path));
            let found = [AsIs, Normalize, Strict]
                .map(|form| PathRule::of(form).refusal(look, normal.as_ref()));
            assert_eq!(found, expected, "{path}");
            assert_eq!(look.is_plain(), path == "/%C3%A9", "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_form_has_no_other(path in "(/|%2e|%2f|%|\\.|a|é|[ -~]){0,12}") {
            let path = format!("/{}", path.replace('?', ""));
            let normal_path = normal(&path);
            let rule = PathRule::of(PathForm::Normalize);
            let is_refused = rule.refusal(Look::at(&path), normal_path.as_ref()).is_some();
            if let Some(once) = normal_path.filter(|_| !is_refused) {
                prop_assert!(once.target.starts_with('/'));
                prop_assert_eq!(normal(&once.target), None);
            }
        }
    }
}
