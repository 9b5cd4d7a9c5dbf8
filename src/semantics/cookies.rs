//! Cookies of a request (RFC 6265 §5.4), as far as a cache cares: which are there, which of them choose
//! the response, and which make it somebody's own.
//!
//! Read leniently: any name, any value. Set-Cookie is not read here; whether a response that has
//! one may be stored is `storable.rs`'s. All is linear in the field, whose length the server limits,
//! and in the names that the operator lists.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use smallvec::SmallVec;

use super::globs::Globs;
use super::list;

/// A cookie as a request has it: its name, and its value with the quotes if it has some.
///
/// RFC 6265 §4.2.1: `cookie-pair = cookie-name "=" cookie-value`. Only the whitespace around the
/// pair is left out: whether `a` and `a ` are one name, origins do not agree. What has no `=` is a
/// value without a name.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// Which cookies make a request somebody's own, so that its answer is not for others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CookieRule {
    pass: Globs,
    ignore: Globs,
}

// === impl CookieRule ===

impl CookieRule {
    /// By this rule a cookie of `pass` makes a request somebody's own, and so does one that is
    /// neither of `ignore` nor part of the key.
    pub fn new(pass: Globs, ignore: Globs) -> Self {
        Self { pass, ignore }
    }

    /// The first cookie that makes a request somebody's own, by its name.
    pub fn personal<'a>(&self, request: &'a HeaderMap, key: &Globs) -> Option<&'a [u8]> {
        let names = pairs(request).map(|(name, _)| name);
        let mut personal = names.filter(|name| self.pass.have(name) || !self.spares(name, key));
        personal.next()
    }

    fn spares(&self, name: &[u8], key: &Globs) -> bool {
        key.have(name) || self.ignore.have(name)
    }

    /// The rule for people to read.
    pub fn in_words(&self) -> String {
        let lists = [("pass", &self.pass), ("ignore", &self.ignore)];
        let words: Vec<_> = lists
            .iter()
            .filter(|(_, globs)| !globs.is_empty())
            .map(|(name, globs)| format!("{name} {}", globs.in_words()))
            .collect();
        match words.is_empty() {
            true => "pass".to_owned(),
            false => words.join("; "),
        }
    }
}

/// The cookies with this name, as they came.
pub fn named<'a>(request: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = Pair<'a>> {
    pairs(request).filter(|it| it.0 == name.as_bytes())
}

/// Whether a request has a cookie that `globs` have.
pub fn has_any(request: &HeaderMap, globs: &Globs) -> bool {
    pairs(request).any(|(name, _)| globs.have(name))
}

/// The cookies that `globs` have, in the order of their names; those of one name as they came.
///
/// This is what a key needs: the order in which a client sends its cookies doesn't change it.
pub fn chosen<'a>(request: &'a HeaderMap, globs: &Globs) -> impl Iterator<Item = Pair<'a>> {
    chosen_pieces(request, globs).into_iter().map(divide)
}

/// Leaves the cookies that `globs` have, as one line, in the order of their names; if there are
/// none, the field goes.
pub fn keep_only(request: &mut HeaderMap, globs: &Globs) {
    let kept = chosen_pieces(request, globs).join(&b"; "[..]);
    replace(request, &kept);
}

/// Takes the cookies with this name out; if none is left, the field goes.
pub fn remove(request: &mut HeaderMap, name: &str) {
    let is_other = |it: &&[u8]| divide(it).0 != name.as_bytes();
    let kept = pieces(request)
        .filter(is_other)
        .collect::<Vec<_>>()
        .join(&b"; "[..]);
    replace(request, &kept);
}

fn replace(request: &mut HeaderMap, kept: &[u8]) {
    match HeaderValue::from_bytes(kept) {
        Ok(kept) if !kept.is_empty() => request.insert(COOKIE, kept),
        // What was cut from field values is one, so this is the empty one.
        _ => request.remove(COOKIE),
    };
}

/// The cookies of all lines, in order.
///
/// HTTP/2 lets a client divide the field into lines (RFC 9113 §8.2.3), which are one list still.
pub fn pairs(request: &HeaderMap) -> impl Iterator<Item = Pair<'_>> {
    pieces(request).map(divide)
}

/// The cookies as they stand there, without the whitespace around them.
fn pieces(request: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    request
        .get_all(COOKIE)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .map(list::trim)
        .filter(|piece| !piece.is_empty())
}

fn chosen_pieces<'a>(request: &'a HeaderMap, globs: &Globs) -> SmallVec<[&'a [u8]; 8]> {
    let is_chosen = |it: &&[u8]| globs.have(divide(it).0);
    let mut chosen: SmallVec<[&[u8]; 8]> = pieces(request).filter(is_chosen).collect();
    chosen.sort_by(|left, right| divide(left).0.cmp(divide(right).0));
    chosen
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

    /// (cookies that pass, that are ignored, of the key, those sent, the first that is personal)
    type Judged = (Texts, Texts, Texts, &'static str, Option<&'static str>);

    fn globs(globs: &[&str]) -> Globs {
        Globs::new(&globs.iter().map(|it| it.to_string()).collect::<Vec<_>>())
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
        let rows: [Kept; 13] = [
            (&[], &["a"], false, None),
            (&[""], &["a"], false, None),
            (&["a=1"], &["a"], false, Some("a=1")),
            (&["a=1"], &[], true, None),
            (&["a=1; b=2"], &["a"], true, Some("a=1")),
            (&["b=2; a=1"], &["b", "a"], false, Some("a=1; b=2")),
            (&["b2=1; c=0; b1=1; b2=0"], &["b*"], true, Some("b1=1; b2=1; b2=0")),
            (&["b=2;  a=1;c", "a=0"], &["a", "b"], true, Some("a=1; a=0; b=2")),
            (&["a=1"], &["a", "a"], false, Some("a=1")),
            (&["A=1"], &["a"], true, None),
            (&["a =1"], &["a"], true, None),
            (&["a"], &["a"], true, None),
            (&["x=\"; a=1; \""], &["a"], true, Some("a=1")),
        ];
        for (lines, known, other, kept) in rows {
            let mut fields = request(lines);
            let known = globs(known);
            let found = CookieRule::default().personal(&fields, &known);
            assert_eq!(found.is_some(), other, "{lines:?}");
            keep_only(&mut fields, &known);
            let expected: Vec<&str> = kept.into_iter().collect();
            assert_eq!(fields, request(&expected), "{lines:?}");
        }
    }

    #[test]
    fn what_is_listed_tells_personal_cookies_from_others() {
        #[rustfmt::skip]
        let rows: [Judged; 13] = [
            (&[], &[], &[], "a=1", Some("a")),
            (&[], &["*"], &[], "a=1; b=2", None),
            (&[], &["_ga*", "_gid"], &[], "_ga=1; _ga_X1=2; _gid=3", None),
            (&[], &["_ga*", "_gid"], &[], "_ga=1; sid=2; sid2=2", Some("sid")),
            (&[], &["_ga*"], &["lang"], "_ga=1; lang=de", None),
            (&["wp_*"], &["*"], &[], "_ga=1; x=2", None),
            (&["wp_*"], &["*"], &[], "_ga=1; wp_1=2", Some("wp_1")),
            // One that is listed to pass does so, whatever else has it.
            (&["wp_*"], &["wp_lang"], &[], "wp_lang=1", Some("wp_lang")),
            (&["lang"], &["*"], &["lang"], "lang=1", Some("lang")),
            // With both lists, one that is in neither passes.
            (&["a"], &["b"], &[], "b=1; c=1", Some("c")),
            // A value without a name has none to be listed by but any.
            (&["wp_*"], &["*"], &[], "wp_1", None),
            (&[], &["_ga*"], &[], "_ga", Some("")),
            (&["wp_*"], &["*"], &[], "WP_1=1; x=\"wp_1=1\"", None),
        ];
        for (pass, ignore, key, sent, expected) in rows {
            let rule = CookieRule::new(globs(pass), globs(ignore));
            let fields = request(&[sent]);
            let found = rule.personal(&fields, &globs(key));
            assert_eq!(
                found,
                expected.map(str::as_bytes),
                "{pass:?} {ignore:?} {sent}"
            );
        }
        let words = |pass, ignore| CookieRule::new(globs(pass), globs(ignore)).in_words();
        assert_eq!(words(&[], &[]), "pass");
        assert_eq!(words(&["a*"], &["b", "*"]), "pass a*; ignore b, *");
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
            known in proptest::collection::vec("[abc]|[ab]?[*][bc]?", 0..4),
        ) {
            let mut fields = HeaderMap::new();
            for line in lines {
                if let Ok(line) = HeaderValue::from_bytes(&line) {
                    fields.append(COOKIE, line);
                }
            }
            let known = Globs::new(&known);
            let kept = text(chosen(&fields, &known));
            keep_only(&mut fields, &known);
            prop_assert!(CookieRule::default().personal(&fields, &known).is_none());
            prop_assert_eq!(&text(pairs(&fields)), &kept);
            prop_assert_eq!(&text(chosen(&fields, &known)), &kept);
            prop_assert_eq!(fields.contains_key(COOKIE), !kept.is_empty());
        }
    }
}
