//! Cookies of a request (RFC 6265 §5.4), as far as a cache cares: which are there, and which of them
//! choose the response.
//!
//! Read leniently: any name, any value. Set-Cookie is not read here; whether a response that has
//! one may be stored is `storable.rs`'s. All is linear in the field, whose length the server limits,
//! and in the names that the operator lists.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::list;

/// A cookie as a request has it: its name, and its value with the quotes if it has some.
///
/// RFC 6265 §4.2.1: `cookie-pair = cookie-name "=" cookie-value`. Only the whitespace around the
/// pair is left out: whether `a` and `a ` are one name, origins do not agree. What has no `=` is a
/// value without a name.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// The cookies of all lines, in order.
///
/// HTTP/2 lets a client divide the field into lines (RFC 9113 §8.2.3), which are one list still.
pub fn pairs(fields: &HeaderMap) -> impl Iterator<Item = Pair<'_>> {
    pieces(fields).map(divide)
}

/// The cookies with one of `names`, in the order of `names`; those of one name as they came.
///
/// This is what a key needs: the order in which a client sends its cookies doesn't change it.
pub fn named<'a>(fields: &'a HeaderMap, names: &'a [String]) -> impl Iterator<Item = Pair<'a>> {
    named_pieces(fields, names).map(divide)
}

/// Whether there is a cookie that is not one of `names`.
pub fn has_other_than(fields: &HeaderMap, names: &[String]) -> bool {
    pairs(fields).any(|(name, _)| !names.iter().any(|it| it.as_bytes() == name))
}

/// Leaves the cookies that are one of `names`, as one line, in the order of `names`; if there are
/// none, the field goes.
pub fn keep_only(fields: &mut HeaderMap, names: &[String]) {
    let kept = named_pieces(fields, names)
        .collect::<Vec<_>>()
        .join(&b"; "[..]);
    replace(fields, &kept);
}

/// Takes the cookies with one of `names` out; if none is left, the field goes.
pub fn remove(fields: &mut HeaderMap, names: &[String]) {
    let is_other = |it: &&[u8]| !names.iter().any(|name| name.as_bytes() == divide(it).0);
    let kept = pieces(fields)
        .filter(is_other)
        .collect::<Vec<_>>()
        .join(&b"; "[..]);
    replace(fields, &kept);
}

fn replace(fields: &mut HeaderMap, kept: &[u8]) {
    match HeaderValue::from_bytes(kept) {
        Ok(kept) if !kept.is_empty() => fields.insert(COOKIE, kept),
        // What was cut from field values is one, so this is the empty one.
        _ => fields.remove(COOKIE),
    };
}

/// The cookies as they stand there, without the whitespace around them.
fn pieces(fields: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    fields
        .get_all(COOKIE)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .map(list::trim)
        .filter(|piece| !piece.is_empty())
}

fn named_pieces<'a>(fields: &'a HeaderMap, names: &'a [String]) -> impl Iterator<Item = &'a [u8]> {
    let once = |(at, name): &(usize, &String)| !names[..*at].contains(name);
    let wanted = names.iter().enumerate().filter(once);
    wanted.flat_map(|(_, name)| pieces(fields).filter(|it| divide(it).0 == name.as_bytes()))
}

fn divide(piece: &[u8]) -> Pair<'_> {
    match memchr::memchr(b'=', piece) {
        Some(at) => (&piece[..at], &piece[at + 1..]),
        None => (&[], piece),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::headers;
    use super::*;

    type Texts = &'static [&'static str];

    /// (section, lines, pairs)
    type Read = (&'static str, Texts, &'static [(&'static str, &'static str)]);

    /// (lines, names that count, whether others are there, what is kept)
    type Kept = (Texts, Texts, bool, Option<&'static str>);

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn request(lines: &[&str]) -> HeaderMap {
        let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        headers(&lines)
    }

    fn text<'a>(pairs: impl Iterator<Item = Pair<'a>>) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        pairs
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn cookies_are_pairs() {
        #[rustfmt::skip]
        let rows: [Read; 10] = [
            ("RFC 6265 §4.2.1", &[], &[]),
            ("RFC 6265 §4.2.1", &["a=1; b=2"], &[("a", "1"), ("b", "2")]),
            ("RFC 6265 §4.2.1", &["a=\"1 2\"; b=c=d"], &[("a", "\"1 2\""), ("b", "c=d")]),
            ("RFC 9113 §8.2.3", &["a=1", "b=2"], &[("a", "1"), ("b", "2")]),
            ("RFC 6265 §4.2.1", &["a=2; a=1"], &[("a", "2"), ("a", "1")]),
            // What only a lenient reader takes.
            ("RFC 6265 §5.4", &["a=1;b=2;"], &[("a", "1"), ("b", "2")]),
            ("RFC 6265 §5.4", &[" ;; \ta=1\t ; "], &[("a", "1")]),
            ("RFC 6265 §5.4", &["a = 1"], &[("a ", " 1")]),
            ("RFC 6265 §5.4", &["a; =b; c="], &[("", "a"), ("", "b"), ("c", "")]),
            ("RFC 6265 §5.4", &["a=1, b=2"], &[("a", "1, b=2")]),
        ];
        for (section, lines, expected) in rows {
            let found = text(pairs(&request(lines)));
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect();
            assert_eq!(found, expected, "{section}: {lines:?}");
        }
    }

    #[test]
    fn cookies_that_do_not_count_are_noticed_and_dropped() {
        // All rows: RFC 6265 §5.4.
        #[rustfmt::skip]
        let rows: [Kept; 12] = [
            (&[], &["a"], false, None),
            (&[""], &["a"], false, None),
            (&["a=1"], &["a"], false, Some("a=1")),
            (&["a=1"], &[], true, None),
            (&["a=1; b=2"], &["a"], true, Some("a=1")),
            (&["b=2; a=1"], &["a", "b"], false, Some("a=1; b=2")),
            (&["b=2;  a=1;c", "a=0"], &["a", "b"], true, Some("a=1; a=0; b=2")),
            (&["a=1"], &["a", "a"], false, Some("a=1")),
            (&["A=1"], &["a"], true, None),
            (&["a =1"], &["a"], true, None),
            (&["a"], &["a"], true, None),
            (&["x=\"; a=1; \""], &["a"], true, Some("a=1")),
        ];
        for (lines, known, other, kept) in rows {
            let mut fields = request(lines);
            let known = names(known);
            assert_eq!(has_other_than(&fields, &known), other, "{lines:?}");
            keep_only(&mut fields, &known);
            let expected: Vec<&str> = kept.into_iter().collect();
            assert_eq!(fields, request(&expected), "{lines:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn what_is_kept_is_what_was_named(
            lines in proptest::collection::vec(proptest::collection::vec(
                prop_oneof![
                    4 => proptest::sample::select(&b"abc=; \t"[..]),
                    1 => any::<u8>(),
                ], 0..16), 0..4),
            known in proptest::collection::vec("[abc]", 0..4),
        ) {
            let mut fields = HeaderMap::new();
            for line in lines {
                if let Ok(line) = HeaderValue::from_bytes(&line) {
                    fields.append(COOKIE, line);
                }
            }
            let chosen = text(named(&fields, &known));
            keep_only(&mut fields, &known);
            prop_assert!(!has_other_than(&fields, &known));
            prop_assert_eq!(&text(pairs(&fields)), &chosen);
            prop_assert_eq!(&text(named(&fields, &known)), &chosen);
            prop_assert_eq!(fields.contains_key(COOKIE), !chosen.is_empty());
        }
    }
}
