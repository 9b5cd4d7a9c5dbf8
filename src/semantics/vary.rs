//! Vary matching: which of several stored responses fits a request (RFC 9110 §12.5.5, RFC 9111
//! §4.1).
//!
//! A response says by Vary which request fields chose it; a [`Variant`] keeps their values in
//! normal form. Comparing a request with it allocates nothing. The URI's part is in `key.rs`, the
//! operator's in `facet.rs`.

use std::ops::ControlFlow;

use http::header::VARY;
use http::{HeaderMap, HeaderName};

use super::facet::{self, Facet};
use super::list;
use super::normal::{append, encode};

/// The most field names that a Vary is followed for; with more it counts as `*`.
pub const FIELDS_MAX: usize = 32;

/// What a response's Vary says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vary {
    /// The response was chosen by more than the request: no other request is known to fit.
    Star,
    /// The response was chosen by these request fields, sorted, each once; by none if empty.
    Fields(Box<[HeaderName]>),
}

/// The request fields a response was chosen by, with their values in normal form, and its facet.
///
/// The default is the variant of a response without either: it fits every request without a facet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Variant(Option<Box<Chosen>>);

/// What chooses among the responses that are stored for one URI.
#[derive(Clone, Copy, Debug)]
pub struct Selecting<'a> {
    /// The request's fields.
    pub headers: &'a HeaderMap,
    /// What else of the request is part of the key.
    pub facet: &'a Facet,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Chosen {
    names: Box<[HeaderName]>,
    /// The facet, and then the values of `names`, one after another, as [`encode`] writes them.
    values: Box<[u8]>,
    facet_len: u32,
}

// === impl Vary ===

impl Vary {
    /// The Vary of a response: all lines as one list, empty members ignored.
    ///
    /// RFC 9110 §12.5.5: "A list containing the member "*" signals that other aspects of the
    /// request might have played a role in selecting the response representation". So does, to be
    /// safe, a member that is no field name, and a list of more than [`FIELDS_MAX`].
    pub fn of(response: &HeaderMap) -> Self {
        let mut names = Vec::new();
        for member in list::all_members(response, &VARY).filter(|member| !member.is_empty()) {
            match HeaderName::from_bytes(member) {
                // `*` is a token, hence a name to the parser.
                Ok(name) if member != b"*" && names.len() < FIELDS_MAX => names.push(name),
                _ => return Self::Star,
            }
        }
        names.sort_unstable_by(|left, right| left.as_str().cmp(right.as_str()));
        names.dedup();
        Self::Fields(names.into())
    }
}

// === impl Selecting ===

impl<'a> Selecting<'a> {
    /// A request without a facet.
    pub fn by(headers: &'a HeaderMap) -> Self {
        static NONE: Facet = Facet::NONE;
        Self {
            headers,
            facet: &NONE,
        }
    }
}

// === impl Variant ===

impl Variant {
    /// The variant that a request asks for, where a response varies by `names`.
    pub fn new(names: &[HeaderName], request: &Selecting) -> Self {
        let facet = request.facet.as_bytes();
        if names.is_empty() && facet.is_empty() {
            return Self(None);
        }
        let mut values = facet.to_vec();
        for name in names {
            append(name, request.headers, &mut values);
        }
        Self(Some(Box::new(Chosen {
            names: names.into(),
            values: values.into(),
            // A facet is bounded, far below this.
            facet_len: u32::try_from(facet.len()).unwrap_or(u32::MAX),
        })))
    }

    /// Whether a response stored under this variant fits a request.
    ///
    /// RFC 9111 §4.1: "the cache MUST NOT use that stored response without revalidation unless all
    /// the presented request header fields nominated by that Vary field value match those fields in
    /// the original request". A field absent from one request matches only its absence.
    pub fn matches(&self, request: &Selecting) -> bool {
        let facet = request.facet.as_bytes();
        match &self.0 {
            None => facet.is_empty(),
            Some(chosen) => chosen.facet() == facet && chosen.fits(request.headers),
        }
    }

    /// The variant that a request would get if its response varies as this one did.
    pub fn predict(&self, request: &Selecting) -> Self {
        Self::new(self.names(), request)
    }

    /// The request fields that choose, sorted; empty without Vary.
    pub fn names(&self) -> &[HeaderName] {
        self.0.as_ref().map_or(&[], |chosen| &chosen.names)
    }

    /// The request fields that choose, each with its value in normal form; `None` for a field that
    /// the request did not have.
    pub fn chosen(&self) -> impl Iterator<Item = (&HeaderName, Option<&[u8]>)> {
        let values = self.0.as_ref().map_or(&[][..], |chosen| chosen.values());
        // As `encode` writes them: a value begins with a 1 and ends before a 0.
        let values = values.split(|byte| *byte == 0);
        let pairs = self.names().iter().zip(values);
        pairs.map(|(name, value)| (name, value.strip_prefix(b"\x01")))
    }

    /// What else of the request is part of the key, in words; empty if nothing is.
    pub fn facet_in_words(&self) -> String {
        facet::in_words(self.facet())
    }

    /// Whether any client can ask for any number of such variants: by the content of a QUERY, or by
    /// spelling a path in other ways.
    pub fn is_free(&self) -> bool {
        facet::is_free(self.facet())
    }

    /// Whether both are for requests of the same facet.
    pub fn has_facet_of(&self, other: &Self) -> bool {
        self.facet() == other.facet()
    }

    fn facet(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |chosen| chosen.facet())
    }

    /// What the variant weighs on the heap, in bytes; the text of every name is counted, although
    /// well-known ones are shared.
    pub fn weight_bytes(&self) -> usize {
        let Some(chosen) = &self.0 else { return 0 };
        let text: usize = chosen.names.iter().map(|name| name.as_str().len()).sum();
        size_of::<Chosen>() + size_of_val(&*chosen.names) + text + chosen.values.len()
    }
}

// === impl Chosen ===

impl Chosen {
    fn facet(&self) -> &[u8] {
        self.values
            .get(..self.facet_len as usize)
            .unwrap_or_default()
    }

    fn values(&self) -> &[u8] {
        self.values
            .get(self.facet_len as usize..)
            .unwrap_or_default()
    }

    fn fits(&self, request: &HeaderMap) -> bool {
        let mut rest = self.values();
        let fits = |name| {
            encode(name, request, |bytes, fold| {
                match rest.split_at_checked(bytes.len()) {
                    Some((stored, after)) if equal(stored, bytes, fold) => {
                        rest = after;
                        ControlFlow::Continue(())
                    }
                    _ => ControlFlow::Break(()),
                }
            })
            .is_continue()
        };
        self.names.iter().all(fits)
    }
}

fn equal(stored: &[u8], bytes: &[u8], fold: bool) -> bool {
    match fold {
        true => stored.eq_ignore_ascii_case(bytes),
        false => stored == bytes,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::subsequence;

    use super::super::testing::{any_headers, headers};
    use super::*;

    type Lines = &'static [(&'static str, &'static str)];

    /// (Vary, the first request, another one, does it fit?)
    type Fit = (&'static str, Lines, Lines, bool);

    fn vary(lines: Lines) -> Option<Vec<String>> {
        match Vary::of(&headers(lines)) {
            Vary::Star => None,
            Vary::Fields(names) => Some(names.iter().map(|name| name.to_string()).collect()),
        }
    }

    fn variant(names: &'static str, request: Lines) -> Variant {
        match Vary::of(&headers(&[("vary", names)])) {
            Vary::Fields(names) => Variant::new(&names, &Selecting::by(&headers(request))),
            Vary::Star => panic!("{names} is `*`"),
        }
    }

    #[test]
    fn vary_is_one_list_of_names() {
        // All rows: RFC 9110 §12.5.5.
        let rows: [(Lines, Option<&[&str]>); 12] = [
            (&[], Some(&[])),
            (&[("vary", "")], Some(&[])),
            (&[("vary", "B, a ,,A")], Some(&["a", "b"])),
            (&[("vary", "b"), ("vary", "a")], Some(&["a", "b"])),
            (&[("vary", "*")], None),
            (&[("vary", "*, a")], None),
            (&[("vary", "a, *")], None),
            (&[("vary", ", *")], None),
            (&[("vary", "a"), ("vary", "*")], None),
            (&[("vary", "a"), ("vary", ",,* ,")], None),
            (&[("vary", "a b")], None),
            (&[("vary", "a;b")], None),
        ];
        for (lines, expected) in rows {
            let expected: Option<Vec<String>> =
                expected.map(|names| names.iter().map(|name| name.to_string()).collect());
            assert_eq!(vary(lines), expected, "{lines:?}");
        }
        let many: Vec<String> = (0..=FIELDS_MAX).map(|n| format!("x{n}")).collect();
        assert_eq!(Vary::of(&headers(&[("vary", &many.join(","))])), Vary::Star);
    }

    #[test]
    fn a_variant_fits_requests_with_the_same_values() {
        // All rows: RFC 9111 §4.1.
        #[rustfmt::skip]
        let rows: [Fit; 19] = [
            ("", &[("a", "1")], &[("a", "2")], true),
            ("a", &[("a", "1")], &[("a", "1")], true),
            ("a", &[("a", "1")], &[("a", "2")], false),
            ("a", &[("a", "1")], &[("a", "12")], false),
            ("a", &[("a", "12")], &[("a", "1")], false),
            ("a", &[("a", "1"), ("b", "1")], &[("a", "1"), ("b", "2")], true),
            // Absent differs from present, empty or not.
            ("a", &[], &[], true),
            ("a", &[], &[("a", "")], false),
            ("a", &[("a", "")], &[], false),
            ("a, b", &[("a", "")], &[("b", "")], false),
            ("a, b", &[("a", "1")], &[("b", "1")], false),
            // Whitespace around commas outside quotes.
            ("a", &[("a", "1,2")], &[("a", " 1 ,\t2 ")], true),
            ("a", &[("a", "\"1,2\"")], &[("a", "\"1, 2\"")], false),
            // All lines of a repeated field, in order.
            ("a", &[("a", "1, 2")], &[("a", "1"), ("a", "2")], true),
            ("a", &[("a", "1"), ("a", "2")], &[("a", "1"), ("a", "3")], false),
            ("a", &[("a", "1, 2")], &[("a", "2, 1")], false),
            // Letter case, where the field's grammar ignores it.
            ("accept-language", &[("accept-language", "EN")], &[("accept-language", "en")], true),
            ("accept-charset", &[("accept-charset", "A")], &[("accept-charset", "a")], true),
            ("a", &[("a", "EN")], &[("a", "en")], false),
        ];
        for (names, first, other, expected) in rows {
            let stored = variant(names, first);
            assert_eq!(
                stored.matches(&Selecting::by(&headers(other))),
                expected,
                "{names}: {first:?} {other:?}"
            );
            assert_eq!(
                stored == stored.predict(&Selecting::by(&headers(other))),
                expected,
                "{names}: {other:?}"
            );
        }
    }

    #[test]
    fn a_variant_tells_what_chose_it() {
        let stored = variant(
            "b, a, accept-language",
            &[("accept-language", "EN ,de"), ("b", "")],
        );
        let chosen: Vec<_> = stored
            .chosen()
            .map(|(name, it)| (name.as_str(), it))
            .collect();
        let expected: [(&str, Option<&[u8]>); 3] = [
            ("a", None),
            ("accept-language", Some(b"en,de")),
            ("b", Some(b"")),
        ];
        assert_eq!(chosen, expected);
        assert_eq!(Variant::default().chosen().count(), 0);
    }

    #[test]
    fn a_variant_is_small() {
        assert!(size_of::<Variant>() <= 8);
        assert_eq!(Variant::default().weight_bytes(), 0);
        let one = variant("accept", &[("accept", "text/html")]);
        let text = "accept".len() + "text/html".len() + 2;
        let expected = size_of::<Chosen>() + size_of::<HeaderName>() + text;
        assert_eq!(one.weight_bytes(), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_response_panics(response in any_headers()) {
            if let Vary::Fields(names) = Vary::of(&response) {
                prop_assert!(names.len() <= FIELDS_MAX);
                prop_assert!(names.is_sorted_by(|left, right| left.as_str() < right.as_str()));
            }
        }

        #[test]
        fn to_match_is_to_have_the_same_variant(
            first in any_headers(), other in any_headers(),
            names in subsequence(vec!["age", "cache-control", "cookie", "vary"], 0..4),
        ) {
            let names: Vec<_> = names.iter().map(|name| HeaderName::from_static(name)).collect();
            let (first, other) = (Selecting::by(&first), Selecting::by(&other));
            let stored = Variant::new(&names, &first);
            prop_assert!(stored.matches(&first));
            prop_assert_eq!(stored.matches(&other), stored == stored.predict(&other));
        }
    }
}
