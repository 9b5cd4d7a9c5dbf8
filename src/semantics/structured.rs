//! Structured Fields (RFC 9651) reader: all lines of a field as one Dictionary.
//!
//! The grammar is the sfv crate's; what a member means is for those who ask.

use http::{HeaderMap, HeaderName};
use sfv::{Dictionary, Parser};

/// The longest field that is read, all lines together, in bytes.
const FIELD_BYTES_MAX: usize = 8 * 1024;

/// The members of a field; `None` if it is absent, empty, too long or no Dictionary.
///
/// RFC 9651 §4.2.2: of two members with one key the last counts, whatever the first was.
pub(super) fn dictionary(headers: &HeaderMap, name: &HeaderName) -> Option<Dictionary> {
    let lines = headers.get_all(name).iter().map(|line| line.as_bytes());
    // §4.2: the lines are combined with a comma and a space before they are parsed.
    let field = lines.collect::<Vec<_>>().join(&b", "[..]);
    parse(&field).filter(|members| !members.is_empty())
}

/// The members of a Dictionary; `None` if it is none, or too long.
pub(super) fn parse(field: &[u8]) -> Option<Dictionary> {
    if field.len() > FIELD_BYTES_MAX {
        return None;
    }
    Parser::new(field).parse_dictionary().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::headers;
    use super::*;

    type Lines = &'static [(&'static str, &'static str)];

    const NAME: HeaderName = HeaderName::from_static("x");

    #[test]
    fn lines_are_one_dictionary() {
        // All rows: RFC 9651 §4.2.
        #[rustfmt::skip]
        let rows: [(Lines, Option<usize>); 9] = [
            (&[], None),
            (&[("x", "")], None),
            (&[("x", "  ")], None),
            (&[("x", "a")], Some(1)),
            (&[("x", "a=1, b;c=2")], Some(2)),
            (&[("x", "a=1"), ("x", "b")], Some(2)),
            (&[("x", "a=1"), ("x", "a=2")], Some(1)),
            (&[("x", "a"), ("x", "&")], None),
            (&[("x", "a,")], None),
        ];
        for (lines, expected) in rows {
            let found = dictionary(&headers(lines), &NAME);
            assert_eq!(found.map(|members| members.len()), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_field_that_is_too_long_is_not_read() {
        let long = format!("a=\"{}\"", "x".repeat(FIELD_BYTES_MAX));
        assert_eq!(dictionary(&headers(&[("x", &long)]), &NAME), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn no_field_panics(lines in proptest::collection::vec("[ -~]{0,30}", 0..3)) {
            let lines: Vec<_> = lines.iter().map(|line| ("x", line.as_str())).collect();
            let _ = dictionary(&headers(&lines), &NAME);
        }
    }
}
