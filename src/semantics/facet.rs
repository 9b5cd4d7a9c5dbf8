//! Secondary cache key: request fields and cookies that the operator names, the content of a QUERY, and
//! the spelling of a path that is not in normal form.
//!
//! It chooses among the responses that are stored under one URI, as Vary does, so that to purge the
//! URI purges them all. Unlike Vary it is known before any response is. What is in it is compared
//! byte for byte, names included: two rules, of yesterday and today, never take one another's
//! responses for their own.

use http::header::{CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use super::globs::Globs;
use super::{cookies, normal};

/// Begins the facet of a request with content, before its digest; neither a field's name nor a
/// cookie begins like this.
const CONTENT: u8 = b'?';

/// Begins what a rule has added, likewise.
const RULE: u8 = b'[';

/// Begins the facet of a request whose path is spelt otherwise than in the key: it is the path itself.
const SPELLING: u8 = b'/';

/// Of SHA-256.
const DIGEST_BYTES: usize = 32;

/// Which request fields and cookies are part of the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FacetRule {
    fields: Box<[HeaderName]>,
    cookies: Globs,
    classes: Box<[CookieClass]>,
    /// The cookies of the key and of all classes.
    kept: Globs,
}

/// Cookies of which only it counts whether one of them is there: who is logged in, not as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieClass {
    /// What it is called in the key.
    pub name: Box<str>,
    /// Its cookies.
    pub cookies: Globs,
}

/// The facet of one request; empty for nearly all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facet(SmallVec<[u8; 16]>);

// === impl FacetRule ===

impl FacetRule {
    /// The fields and the cookies that are part of the key. Letter case counts in a cookie's name.
    pub fn new(fields: &[HeaderName], cookies: Globs) -> Self {
        Self {
            fields: fields.into(),
            kept: cookies.clone(),
            cookies,
            classes: Box::default(),
        }
    }

    /// The same, where of these cookies counts which classes are there.
    #[must_use]
    pub fn with_classes(self, classes: Vec<CookieClass>) -> Self {
        let of_classes = classes.iter().map(|it| &it.cookies);
        Self {
            kept: Globs::joined(of_classes.chain([&self.cookies])),
            classes: classes.into(),
            ..self
        }
    }

    /// The cookies that are part of the key, by their values or by their classes.
    pub fn kept(&self) -> &Globs {
        &self.kept
    }

    /// Whether a request with these fields is in a class.
    pub fn is_classed(&self, request: &HeaderMap) -> bool {
        let mut classes = self.classes.iter();
        classes.any(|it| cookies::has_any(request, &it.cookies))
    }

    /// The facet of a request with these fields.
    pub fn facet(&self, request: &HeaderMap) -> Facet {
        if self.fields.is_empty() && self.kept.is_empty() {
            return Facet::default();
        }
        let mut bytes = Vec::new();
        for name in &self.fields {
            bytes.extend_from_slice(name.as_str().as_bytes());
            normal::append(name, request, &mut bytes);
        }
        // A field's name never begins like this, and a cookie has neither of these in it.
        for (name, value) in cookies::chosen(request, &self.cookies) {
            bytes.push(b';');
            bytes.extend_from_slice(name);
            bytes.push(b'=');
            bytes.extend_from_slice(value);
        }
        for class in &self.classes {
            if cookies::has_any(request, &class.cookies) {
                // No cookie of the key is without a name.
                bytes.extend_from_slice(b";=");
                bytes.extend_from_slice(class.name.as_bytes());
            }
        }
        bytes.push(0);
        Facet(SmallVec::from_vec(bytes))
    }
}

// === impl Facet ===

impl Facet {
    /// The facet of a request that has none.
    pub const NONE: Self = Self(SmallVec::new_const());

    /// The same for a QUERY (RFC 10008), whose content, and what is said of it, is part of what it
    /// asks and so of its key.
    ///
    /// Of both there is their SHA-256: nobody can make others that have the same.
    #[must_use]
    pub fn with_content(self, request: &HeaderMap, content: &[u8]) -> Self {
        let mut said = Vec::new();
        for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
            normal::append(&name, request, &mut said);
        }
        let digest = Sha256::new()
            .chain_update(said)
            .chain_update(content)
            .finalize();
        let mut bytes = SmallVec::from_slice(&[CONTENT]);
        bytes.extend_from_slice(&digest);
        bytes.extend_from_slice(&self.0);
        Self(bytes)
    }

    /// The same with what rules have added: name by name, each with a value.
    #[must_use]
    pub fn with_parts<'a>(mut self, parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        for (rule, value) in parts {
            self.0.push(RULE);
            self.0.extend_from_slice(rule.as_bytes());
            self.0.push(1);
            for byte in value {
                match byte {
                    // A NUL ends a part, so there is none in it.
                    0 => self.0.extend_from_slice(&[2, 1]),
                    2 => self.0.extend_from_slice(&[2, 2]),
                    byte => self.0.push(*byte),
                }
            }
            self.0.push(0);
        }
        self
    }

    /// The same for a request whose path an origin sees as `path`, and the key in normal form: what it
    /// says of the one spelling is not known to be true of the other.
    #[must_use]
    pub fn with_spelling(self, path: &str) -> Self {
        let mut bytes = SmallVec::from_slice(path.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&self.0);
        Self(bytes)
    }

    /// For people to read: fields and cookies with their values.
    pub fn in_words(&self) -> String {
        in_words(&self.0)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Whether a facet is of a kind of which any client can make any number.
pub(super) fn is_free(facet: &[u8]) -> bool {
    matches!(facet.first(), Some(&CONTENT | &SPELLING))
}

/// A facet for people to read: fields and cookies with their values, and whether there is content,
/// whose digest says nothing to anybody.
pub(super) fn in_words(facet: &[u8]) -> String {
    let mut words = Vec::new();
    let mut rest = facet;
    if facet.first() == Some(&CONTENT) {
        words.push("content".to_owned());
        rest = facet.get(1 + DIGEST_BYTES..).unwrap_or_default();
    }
    for piece in rest.split(|byte| *byte == 0) {
        match piece {
            [] => {}
            [RULE, part @ ..] => {
                words.push(String::from_utf8_lossy(part).replacen('\u{1}', "=", 1));
            }
            [b';', cookies @ ..] => {
                let cookies = String::from_utf8_lossy(cookies);
                // Of a class there is its name alone.
                words.push(cookies.trim_start_matches('=').replace(";=", ";"));
            }
            field => words.push(String::from_utf8_lossy(field).replacen('\u{1}', "=", 1)),
        }
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::testing::headers;
    use super::*;

    fn rule() -> FacetRule {
        let fields = [HeaderName::from_static("x-currency")];
        FacetRule::new(
            &fields,
            Globs::new(&["plan".to_owned(), "lang*".to_owned()]),
        )
    }

    fn facet(lines: &[(&str, &str)]) -> Facet {
        rule().facet(&headers(lines))
    }

    #[test]
    fn what_the_rule_names_tells_requests_apart() {
        let plain = facet(&[("x-currency", "EUR"), ("cookie", "plan=a; lang=de")]);
        #[rustfmt::skip]
        let rows: [(&[(&str, &str)], bool); 9] = [
            (&[("x-currency", "EUR"), ("cookie", "lang=de; plan=a")], true),
            (&[("x-currency", "EUR"), ("cookie", "lang=de; other=1; plan=a")], true),
            (&[("x-currency", " EUR"), ("cookie", "plan=a"), ("cookie", "lang=de")], true),
            (&[("x-currency", "USD"), ("cookie", "plan=a; lang=de")], false),
            (&[("cookie", "plan=a; lang=de")], false),
            (&[("x-currency", "EUR"), ("cookie", "plan=a")], false),
            (&[("x-currency", "EUR"), ("cookie", "plan=a; lang=")], false),
            (&[("x-currency", "EUR"), ("cookie", "plan=a; lang2=de")], false),
            (&[("x-currency", "EUR;plan=a;lang=de")], false),
        ];
        for (lines, same) in rows {
            assert_eq!(facet(lines) == plain, same, "{lines:?}");
        }
    }

    #[test]
    fn of_a_class_counts_whether_it_is_there() {
        let class = |name: &str, cookies: &[&str]| CookieClass {
            name: name.into(),
            cookies: Globs::new(&cookies.iter().map(|it| it.to_string()).collect::<Vec<_>>()),
        };
        let classes = vec![
            class("logged-in", &["*_session", "token"]),
            class("beta", &["beta"]),
        ];
        let rule = rule().with_classes(classes);
        let facet = |cookie: &str| rule.facet(&headers(&[("cookie", cookie)]));
        assert_eq!(facet("a_session=1; x=2"), facet("token=3"));
        assert_eq!(facet("x=2"), facet("session=1"));
        let all = [
            "x=1",
            "token=1",
            "beta=1",
            "beta=1; token=1",
            "plan=1",
            "plan=1; token=1",
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[..at] {
                assert_ne!(facet(one), facet(other), "{one} {other}");
            }
        }
        assert!(rule.is_classed(&headers(&[("cookie", "beta=0")])));
        assert!(!rule.is_classed(&headers(&[("cookie", "plan=0")])));
        assert_eq!(
            in_words(facet("plan=a; token=1").as_bytes()),
            "x-currency, plan=a;logged-in"
        );
        assert_eq!(
            in_words(facet("token=1").as_bytes()),
            "x-currency, logged-in"
        );
    }

    #[test]
    fn a_facet_can_be_read() {
        #[rustfmt::skip]
        let rows = [
            (facet(&[("x-currency", "EUR"), ("cookie", "plan=a; x=1; lang=de")]), "x-currency=EUR, lang=de;plan=a"),
            (facet(&[("x-currency", "")]), "x-currency="),
            (facet(&[]), "x-currency"),
            (Facet::NONE, ""),
            (Facet::NONE.with_parts([("beta", &b"on"[..]), ("lang", b"")]), "beta=on, lang="),
            (Facet::NONE.with_content(&HeaderMap::new(), b"a"), "content"),
            (facet(&[("x-currency", "EUR")]).with_spelling("/%61"), "/%61, x-currency=EUR"),
        ];
        for (facet, words) in rows {
            assert_eq!(in_words(facet.as_bytes()), words);
        }
    }

    #[test]
    fn facets_of_other_rules_and_contents_differ() {
        let request = headers(&[("x-currency", "EUR"), ("x-region", "EUR")]);
        let by =
            |name: &'static str| FacetRule::new(&[HeaderName::from_static(name)], Globs::default());
        assert_ne!(
            by("x-currency").facet(&request),
            by("x-region").facet(&request)
        );
        assert_eq!(FacetRule::default().facet(&request), Facet::NONE);
        let of = |kind: &'static str, content: &[u8]| {
            Facet::NONE.with_content(&headers(&[("content-type", kind)]), content)
        };
        assert_eq!(of("text/plain", b"a"), of("text/plain", b"a"));
        assert_ne!(of("text/plain", b"a"), of("text/plain", b"b"));
        assert_ne!(of("text/plain", b"a"), of("text/html", b"a"));
        assert_ne!(of("text/plain", b""), Facet::NONE);
        let ruled = |name: &'static str, value: &'static str| {
            Facet::NONE.with_parts([(name, value.as_bytes())])
        };
        assert_ne!(ruled("a", "b"), ruled("b", "a"));
        assert_ne!(
            ruled("a", "b\0[c\u{1}d"),
            ruled("a", "b").with_parts([("c", &b"d"[..])])
        );
    }
}
