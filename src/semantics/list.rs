//! Comma-separated lists (RFC 9110 §5.6.1) and tokens, the grammar that most fields share.
//!
//! Not for lists of entity tags: inside an entity tag a backslash escapes nothing, so
//! `conditional.rs` reads those itself.

use http::{HeaderMap, HeaderName};

/// The members of one field line, in order, without the whitespace around them.
///
/// A comma inside a quoted string doesn't separate. Empty members come out as empty slices. A quote
/// that is never closed is an ordinary byte: otherwise `x="y, no-store` would hide the `no-store`.
#[derive(Clone, Debug)]
pub(super) struct Members<'a> {
    rest: Option<&'a [u8]>,
    quotes_balance: bool,
}

// === impl Members ===

impl Members<'_> {
    /// Where the first member of `line` ends.
    fn end(&mut self, line: &[u8]) -> usize {
        let mut at = 0;
        while let Some(found) = memchr::memchr2(b',', b'"', &line[at..]) {
            at += found;
            if line[at] == b',' {
                return at;
            }
            at += self.quoted(&line[at..]);
        }
        line.len()
    }

    /// Length of the quoted string that `text` begins with; 1 when it is never closed.
    fn quoted(&mut self, text: &[u8]) -> usize {
        let closed = self.quotes_balance.then(|| quoted_string(text)).flatten();
        // Once a quote stays open, so do all that follow: not asking again keeps the scan linear.
        self.quotes_balance = closed.is_some();
        closed.unwrap_or(1)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.rest.take()?;
        let end = self.end(line);
        self.rest = line.get(end + 1..);
        Some(trim(&line[..end]))
    }
}

/// The members of one field line.
pub(super) fn members(line: &[u8]) -> Members<'_> {
    Members {
        rest: Some(line),
        quotes_balance: true,
    }
}

/// The members of all lines of a field, read as one list (RFC 9110 §5.3).
pub(super) fn all_members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| members(line.as_bytes()))
}

/// `text` without optional whitespace (`OWS`: spaces and tabs) at either end.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The inside of a quoted string, escapes left as they are; `None` if it is not one.
pub(super) fn unquote(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// Whether `byte` may stand in a token (`tchar`, RFC 9110 §5.6.2).
pub(super) fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Length of the quoted string at the start of `text`, both quotes included.
fn quoted_string(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_are_split_outside_quotes() {
        let rows: [(&str, &[&str]); 9] = [
            ("", &[""]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            (" a \t,\tb , ", &["a", "b", ""]),
            (",,a", &["", "", "a"]),
            (r#"x="a, b", c"#, &[r#"x="a, b""#, "c"]),
            (r#"x="a\", b", c"#, &[r#"x="a\", b""#, "c"]),
            (r#"x="a, no-store"#, &[r#"x="a"#, "no-store"]),
            (r#"x="a\", b\", c"#, &[r#"x="a\""#, r#"b\""#, "c"]),
        ];
        for (line, expected) in rows {
            let found: Vec<&[u8]> = members(line.as_bytes()).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|m| m.as_bytes()).collect();
            assert_eq!(found, expected, "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn members_lose_nothing_but_whitespace(line in "[a\", \\\\]{0,24}") {
            let joined: Vec<u8> = members(line.as_bytes()).collect::<Vec<_>>().join(&b',');
            let bare = |text: &[u8]| String::from_utf8_lossy(text).replace(' ', "");
            prop_assert_eq!(bare(&joined), bare(line.as_bytes()));
        }
    }
}
