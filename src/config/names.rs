//! Lists of names: fields, cookies, content codings, languages, query parameters.
//!
//! Not what the names are for: each table chooses how its names are read.

use http::HeaderName;
use toml::Spanned;

use super::report::{Given, Report};

/// A list is gone through on each request, so that none is longer.
const NAMES_MAX: usize = 256;

/// A list as written.
pub(super) type RawNames = Given<Vec<Spanned<String>>>;

/// What `parse` makes of the names written, each once and without those complained of; `base`
/// where no list is written.
pub(super) fn over<T: Clone + PartialEq>(
    given: &RawNames,
    base: &[T],
    parse: impl Fn(&str) -> Result<T, &'static str>,
    report: &mut Report,
) -> Vec<T> {
    let Some(list) = given else {
        return base.to_vec();
    };
    if list.get_ref().len() > NAMES_MAX {
        report.at(list.span(), "has more than 256 names; shorten it");
    }
    let mut names = Vec::new();
    for text in list.get_ref().iter().take(NAMES_MAX) {
        match parse(text.get_ref()) {
            Ok(name) if names.contains(&name) => {
                report.at(text.span(), "is in this list already; remove one");
            }
            Ok(name) => names.push(name),
            Err(complaint) => report.at(text.span(), complaint),
        }
    }
    names
}

/// The name of one of `what` that users make up: it stands in labels of metrics, in fields and in
/// paths of the admin API.
pub(super) fn check_label(name: &Spanned<String>, what: &str, report: &mut Report) {
    let is_letter = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-');
    let text = name.get_ref();
    if text.is_empty() || text.len() > 64 || !text.bytes().all(is_letter) {
        let form = format!("names of {what} are 1 to 64 letters, digits, `_` and `-`; rename it");
        report.at(name.span(), form);
    }
}

/// The name of a field in lower case (RFC 9110 §5.1).
pub(super) fn field(text: &str) -> Result<HeaderName, &'static str> {
    let complaint = "is not the name of a field; use letters, digits and hyphens (RFC 9110 §5.1)";
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| complaint)
}

/// The name of a cookie, whose letter case counts.
pub(super) fn cookie(text: &str) -> Result<String, &'static str> {
    // RFC 6265 §4.1.1: cookie-name = token.
    match is_token(text) {
        true => Ok(text.to_owned()),
        false => {
            Err("is not the name of a cookie; write the part before its `=` (RFC 6265 §4.1.1)")
        }
    }
}

/// The name of a cookie, or a glob of names.
pub(super) fn cookies(text: &str) -> Result<String, &'static str> {
    match text.contains("**") {
        // A `*` is a token's letter as well, but no site has one in its cookies.
        false => cookie(text),
        true => Err("`**` says no more than `*`; write one"),
    }
}

/// The same for a key, which every cookie that is in it divides.
pub(super) fn key_cookies(text: &str) -> Result<String, &'static str> {
    match text {
        "*" => {
            Err("makes pages of its own for each visitor; name the cookies that choose the page")
        }
        _ => cookies(text),
    }
}

/// A content coding in lower case (RFC 9110 §8.4.1).
pub(super) fn coding(text: &str) -> Result<String, &'static str> {
    match text.to_ascii_lowercase() {
        // RFC 9110 §12.5.3: "identity" stands for no coding, and "*" for any.
        it if it == "identity" || it == "*" => {
            Err("names no coding; leave it out, uncoded responses are taken anyway")
        }
        it if is_token(&it) => Ok(it),
        _ => Err("is not a content coding; write \"zstd\", \"br\" or \"gzip\""),
    }
}

/// A language as it is written in Accept-Language (RFC 9110 §12.5.4).
pub(super) fn language(text: &str) -> Result<String, &'static str> {
    // RFC 4647 §2.1: language-range = (1*8ALPHA *("-" 1*8alphanum)) / "*".
    let mut subtags = text.split('-');
    let is_primary = |it: &str| is_subtag(it) && it.bytes().all(|it| it.is_ascii_alphabetic());
    if text == "*" {
        Err("stands for any language; write those that the site has, as \"en\"")
    } else if subtags.next().is_some_and(is_primary) && subtags.all(is_subtag) {
        Ok(text.to_owned())
    } else {
        Err("is not a language; write \"en\" or \"pt-BR\" (RFC 4647 §2.1)")
    }
}

/// The name of a query parameter, or the front of names and a `*`.
pub(super) fn parameter(text: &str) -> Result<String, &'static str> {
    let name = text.strip_suffix('*').unwrap_or(text);
    if text.is_empty() {
        Err("is empty; write the name of a query parameter")
    } else if name.contains('*') {
        Err("`*` stands only at the end, as in \"utm_*\"")
    } else if name.contains(['&', '=', '?', '#']) {
        Err("is not the name of a query parameter; write the part before its `=`")
    } else if !name.bytes().all(|it| it.is_ascii_graphic()) {
        Err("has a character that must be percent-encoded, as it is in the URL")
    } else {
        Ok(text.to_owned())
    }
}

fn is_subtag(text: &str) -> bool {
    (1..=8).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_alphanumeric())
}

/// RFC 9110 §5.6.2: `token = 1*tchar`.
pub(super) fn is_token(text: &str) -> bool {
    let is_tchar = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    !text.is_empty() && text.bytes().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names() {
        type Parse = fn(&str) -> Result<String, &'static str>;
        let rows: [(Parse, &[&str], &[&str]); 6] = [
            // RFC 6265 §4.1.1.
            (
                cookie,
                &["sid", "SID", "__Host-a", "a.b!~"],
                &["", "a=b", "a b", "é", "a;b", "\"a\""],
            ),
            (
                cookies,
                &["sid", "*", "a*", "*a*b"],
                &["", "a**", "a=*", "a *"],
            ),
            (key_cookies, &["sid", "a*"], &["", "*", "a**"]),
            // RFC 9110 §8.4.1 and §12.5.3.
            (
                coding,
                &["gzip", "br", "x-own"],
                &["", "identity", "Identity", "*", "gzip;q=1", "a,b"],
            ),
            // RFC 4647 §2.1.
            (
                language,
                &["en", "pt-BR", "zh-Hant-TW", "de-1996"],
                &[
                    "",
                    "*",
                    "en_US",
                    "en-",
                    "-en",
                    "1n",
                    "abcdefghi",
                    "en-abcdefghi",
                    "é",
                    "*-CH",
                ],
            ),
            // RFC 3986 §3.4.
            (
                parameter,
                &["a", "utm_*", "*", "filter[]", "%C3%A9"],
                &["", "*a", "a*b", "**", "a=1", "a&b", "?a", "a#", "a b", "é"],
            ),
        ];
        for (parse, good, bad) in rows {
            for text in good {
                assert_eq!(parse(text).as_deref(), Ok(*text));
            }
            for text in bad {
                assert!(parse(text).is_err(), "{text:?}");
            }
        }
        assert_eq!(coding("GZip").as_deref(), Ok("gzip"));
        assert_eq!(field("Accept-Language"), Ok(http::header::ACCEPT_LANGUAGE));
        assert!(field("a b").is_err() && field("").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_complained_of(text in any::<String>()) {
            for parsed in [cookie(&text), coding(&text), language(&text), parameter(&text)] {
                prop_assert!(parsed.is_err() || text.is_ascii() && !text.is_empty());
            }
        }
    }
}
