//! Cache-Control directives (RFC 9111 §5.2, with RFC 5861 and RFC 8246), read once into plain values.
//!
//! All lines of the field are one list. What the directives lead to is not decided here: that is
//! for `freshness.rs` and `storable.rs`; which field governs a response, for `targeted.rs`.

use std::time::Duration;

use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, HeaderName};

use super::list;

/// The greatest number of seconds that a field can state.
///
/// RFC 9111 §1.2.2: "If a cache receives a delta-seconds value greater than the greatest integer it
/// can represent, or if any of its subsequent calculations overflows, the cache MUST consider the
/// value to be 2147483648 (2^31) or the greatest positive integer it can conveniently represent."
pub const DELTA_MAX: Duration = Duration::from_secs(1 << 31);

/// The most field names that a qualified directive is followed for; with more it counts as whole.
const SCOPE_FIELDS_MAX: usize = 32;

/// The longest name of a directive that is known here, in bytes.
const NAME_BYTES_MAX: usize = 24;

/// What the Cache-Control field of a request or a response says.
///
/// A delta that is not a number stands as zero. RFC 9111 §4.2.1: "Caches are encouraged to consider
/// responses that have invalid freshness information (e.g., a max-age directive with non-integer
/// content) to be stale." Where a directive comes twice, the first is taken, as §4.2.1 allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// `no-store` (§5.2.1.5, §5.2.2.5).
    pub no_store: bool,
    /// `no-cache`, perhaps for some fields alone (§5.2.1.4, §5.2.2.4).
    pub no_cache: Scope,
    /// `private`, perhaps for some fields alone (§5.2.2.7).
    pub private: Scope,
    /// `public` (§5.2.2.9).
    pub public: bool,
    /// `max-age` in seconds (§5.2.1.1, §5.2.2.1).
    pub max_age: Option<Duration>,
    /// `s-maxage` in seconds (§5.2.2.10).
    pub s_maxage: Option<Duration>,
    /// `must-revalidate` (§5.2.2.2).
    pub must_revalidate: bool,
    /// `proxy-revalidate` (§5.2.2.8).
    pub proxy_revalidate: bool,
    /// `must-understand` (§5.2.2.3).
    pub must_understand: bool,
    /// `no-transform` (§5.2.1.6, §5.2.2.6).
    pub no_transform: bool,
    /// `immutable` (RFC 8246 §2).
    pub immutable: bool,
    /// `stale-while-revalidate` in seconds (RFC 5861 §3).
    pub stale_while_revalidate: Option<Duration>,
    /// `stale-if-error` in seconds (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
    /// `max-stale` in seconds, of requests (§5.2.1.2); [`DELTA_MAX`] where it names no limit.
    pub max_stale: Option<Duration>,
    /// `min-fresh` in seconds, of requests (§5.2.1.3).
    pub min_fresh: Option<Duration>,
    /// `only-if-cached`, of requests (§5.2.1.7).
    pub only_if_cached: bool,
}

/// How much of a response `no-cache` or `private` speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The directive is absent.
    #[default]
    Absent,
    /// The directive is there for the whole response.
    Whole,
    /// The directive names these fields alone.
    Fields(Box<[HeaderName]>),
}

/// Where a directive is written down, by the kind of argument that it takes.
pub(super) enum Slot<'a> {
    /// It takes none.
    Flag(&'a mut bool),
    /// It takes none, or field names.
    Scope(&'a mut Scope),
    /// It takes seconds.
    Delta(&'a mut Option<Duration>),
}

// === impl Directives ===

impl Directives {
    /// Whether an answer to Authorization may be shared: "public", "s-maxage" or "must-revalidate"
    /// (RFC 9111 §3.5).
    pub(super) fn allow_authorized(&self) -> bool {
        self.public || self.s_maxage.is_some() || self.must_revalidate
    }

    /// The directives in the Cache-Control lines of `headers`.
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut directives = Self::default();
        for member in list::all_members(headers, &CACHE_CONTROL) {
            directives.apply(member);
        }
        directives
    }

    /// As [`parse`](Self::parse), for a request, where the old `Pragma` may stand in.
    ///
    /// RFC 7234 §5.4: "When the Cache-Control header field is not present in a request, caches MUST
    /// consider the no-cache request pragma-directive as having the same effect". RFC 9111 §5.4
    /// deprecates it; in a response it never meant anything.
    pub fn of_request(headers: &HeaderMap) -> Self {
        let mut directives = Self::parse(headers);
        if !headers.contains_key(CACHE_CONTROL) {
            let mut pragmas = list::all_members(headers, &PRAGMA);
            if pragmas.any(|pragma| pragma.eq_ignore_ascii_case(b"no-cache")) {
                directives.no_cache = Scope::Whole;
            }
        }
        directives
    }

    /// What the directive called `name`, in lower case, writes to; `None` if it is not known.
    pub(super) fn slot(&mut self, name: &[u8]) -> Option<Slot<'_>> {
        Some(match name {
            b"no-store" => Slot::Flag(&mut self.no_store),
            b"no-cache" => Slot::Scope(&mut self.no_cache),
            b"private" => Slot::Scope(&mut self.private),
            b"public" => Slot::Flag(&mut self.public),
            b"max-age" => Slot::Delta(&mut self.max_age),
            b"s-maxage" => Slot::Delta(&mut self.s_maxage),
            b"must-revalidate" => Slot::Flag(&mut self.must_revalidate),
            b"proxy-revalidate" => Slot::Flag(&mut self.proxy_revalidate),
            b"must-understand" => Slot::Flag(&mut self.must_understand),
            b"no-transform" => Slot::Flag(&mut self.no_transform),
            b"immutable" => Slot::Flag(&mut self.immutable),
            b"stale-while-revalidate" => Slot::Delta(&mut self.stale_while_revalidate),
            b"stale-if-error" => Slot::Delta(&mut self.stale_if_error),
            b"max-stale" => Slot::Delta(&mut self.max_stale),
            b"min-fresh" => Slot::Delta(&mut self.min_fresh),
            b"only-if-cached" => Slot::Flag(&mut self.only_if_cached),
            _ => return None,
        })
    }

    fn apply(&mut self, member: &[u8]) {
        let (name, value) = split(member);
        let mut buffer = [0; NAME_BYTES_MAX];
        let name = lower(name, &mut buffer);
        // §5.2.1.2: "If no value is assigned to max-stale, then the client will accept a stale
        // response of any age."
        if name == b"max-stale" && value.is_none() {
            self.max_stale = Some(DELTA_MAX);
            return;
        }
        match self.slot(name) {
            Some(Slot::Flag(flag)) => *flag = true,
            Some(Slot::Scope(scope)) => scope.widen(value),
            Some(Slot::Delta(delta)) => first(delta, value),
            // RFC 9111 §5.2.3: "A cache MUST ignore unrecognized cache directives."
            None => {}
        }
    }
}

// === impl Scope ===

impl Scope {
    /// Whether the directive is there for the whole response.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }

    /// Whether the directive holds for this response: it is there for the whole of it, or names a
    /// field that the response has.
    ///
    /// RFC 9111 §5.2.2.4 and §5.2.2.7 allow a cache to keep the rest without the fields named. Here
    /// the client who asks is served from what is kept, and would lose them; so the qualified form
    /// counts as the unqualified one, as both sections note that caches often do, unless it names
    /// nothing that is there.
    pub fn binds(&self, response: &HeaderMap) -> bool {
        self.is_whole() || self.fields().iter().any(|name| response.contains_key(name))
    }

    /// The fields that the directive is limited to; empty where it is absent or whole.
    pub fn fields(&self) -> &[HeaderName] {
        match self {
            Self::Absent | Self::Whole => &[],
            Self::Fields(names) => names,
        }
    }

    /// Takes in one more occurrence of the directive: the wider one wins.
    pub(super) fn widen(&mut self, value: Option<&[u8]>) {
        let named = value.and_then(|value| field_names(list::unquote(value).unwrap_or(value)));
        let Some(mut named) = named else {
            *self = Self::Whole;
            return;
        };
        *self = match std::mem::take(self) {
            Self::Whole => Self::Whole,
            Self::Absent => Self::Fields(named.into()),
            Self::Fields(known) => {
                named.extend(known);
                match named.len() <= SCOPE_FIELDS_MAX {
                    true => Self::Fields(named.into()),
                    false => Self::Whole,
                }
            }
        };
    }
}

/// Reads delta-seconds (RFC 9111 §1.2.2): digits alone, held at [`DELTA_MAX`].
pub(super) fn delta_seconds(text: &[u8]) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let seconds = text.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(value.saturating_mul(10).saturating_add(digit))
    })?;
    Some(Duration::from_secs(seconds).min(DELTA_MAX))
}

/// A directive's name and the argument after `=`.
///
/// RFC 9111 §5.2 has no whitespace around `=`. A name is known in spite of it, since that may be
/// what keeps a response private; an argument keeps the whitespace and so is no number.
fn split(member: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'=', member) {
        None => (member, None),
        Some(at) => match list::trim(&member[..at]) {
            name if name.len() == at => (name, Some(&member[at + 1..])),
            name => (name, Some(b"")),
        },
    }
}

/// `name` in lower case; an unknown name comes out empty if it is longer than any known one.
///
/// RFC 9111 §5.2: directives "are identified by a token, to be compared case-insensitively".
fn lower<'a>(name: &[u8], buffer: &'a mut [u8; NAME_BYTES_MAX]) -> &'a [u8] {
    match buffer.get_mut(..name.len()) {
        None => &[],
        Some(lowered) => {
            lowered.copy_from_slice(name);
            lowered.make_ascii_lowercase();
            lowered
        }
    }
}

/// Keeps the first occurrence of a delta.
///
/// RFC 9111 §5.2: "For the directives defined below that define arguments, recipients ought to
/// accept both forms, even if a specific form is required for generation."
fn first(slot: &mut Option<Duration>, value: Option<&[u8]>) {
    let read = || value.and_then(|value| delta_seconds(list::unquote(value).unwrap_or(value)));
    slot.get_or_insert_with(|| read().unwrap_or(Duration::ZERO));
}

/// The field names that a qualified directive lists; `None` if it must count as unqualified.
///
/// That is so when there are none, too many, or one that is not a name.
fn field_names(text: &[u8]) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for member in list::members(text).filter(|member| !member.is_empty()) {
        let name = HeaderName::from_bytes(member).ok()?;
        if names.len() == SCOPE_FIELDS_MAX {
            return None;
        }
        names.push(name);
    }
    (!names.is_empty()).then_some(names)
}

/// A duration in whole seconds, held at [`DELTA_MAX`].
pub(super) fn whole_seconds(duration: Duration) -> u32 {
    let seconds = duration.min(DELTA_MAX).as_secs();
    // DELTA_MAX is 2^31.
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{any_headers, headers};
    use super::*;

    fn of(lines: &[&str]) -> Directives {
        let lines: Vec<_> = lines.iter().map(|line| ("cache-control", *line)).collect();
        Directives::parse(&headers(&lines))
    }

    fn secs(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn every_directive_is_known_in_any_letter_case() {
        let all = "No-Store, NO-CACHE, Private, pUBLIC, Max-Age=1, S-MaxAge=2, Must-Revalidate, \
            Proxy-Revalidate, Must-Understand, No-Transform, Immutable, Stale-While-Revalidate=3, \
            Stale-If-Error=4, Max-Stale, Min-Fresh=5, Only-If-Cached";
        let expected = Directives {
            no_store: true,
            no_cache: Scope::Whole,
            private: Scope::Whole,
            public: true,
            max_age: secs(1),
            s_maxage: secs(2),
            must_revalidate: true,
            proxy_revalidate: true,
            must_understand: true,
            no_transform: true,
            immutable: true,
            stale_while_revalidate: secs(3),
            stale_if_error: secs(4),
            max_stale: Some(DELTA_MAX),
            min_fresh: secs(5),
            only_if_cached: true,
        };
        assert_eq!(of(&[all]), expected);
        let lines: Vec<&str> = all.split(',').collect();
        assert_eq!(
            of(&lines),
            expected,
            "several lines are one list (RFC 9110 §5.3)"
        );
    }

    #[test]
    fn max_age_is_read_as_delta_seconds() {
        #[rustfmt::skip]
        let rows: [(&[&str], Option<Duration>); 22] = [
            // RFC 9111 §5.2.2.1 and §1.2.2.
            (&["max-age=60"], secs(60)),
            (&["max-age=003600"], secs(3600)),
            (&["max-age=0"], secs(0)),
            (&["max-age=2147483648"], secs(1 << 31)),
            (&["max-age=99999999999"], secs(1 << 31)),
            (&["max-age=99999999999999999999999999"], secs(1 << 31)),
            // §5.2: both forms of an argument are accepted.
            (&["max-age=\"60\""], secs(60)),
            // §4.2.1: invalid freshness information is stale.
            (&["max-age"], secs(0)),
            (&["max-age="], secs(0)),
            (&["max-age=-1"], secs(0)),
            (&["max-age=+60"], secs(0)),
            (&["max-age=60.0"], secs(0)),
            (&["max-age=a60"], secs(0)),
            (&["max-age=60a"], secs(0)),
            (&["max-age='60'"], secs(0)),
            (&["max-age =60"], secs(0)),
            (&["max-age= 60"], secs(0)),
            // §4.2.1: of several the first.
            (&["max-age=60, max-age=1"], secs(60)),
            (&["max-age=1", "max-age=60"], secs(1)),
            // §5.2.3: what is inside another directive's string is not a directive.
            (&["extension=\"max-age=3600\", max-age=1"], secs(1)),
            (&["max-age=1, extension=\"max-age=3600, max-age=4\""], secs(1)),
            (&["extension=\"max-age=3600\", xmax-age=5"], None),
        ];
        for (lines, expected) in rows {
            assert_eq!(of(lines).max_age, expected, "{lines:?}");
        }
    }

    #[test]
    fn a_qualified_directive_names_fields() {
        let fields = |names: &[&'static str]| {
            Scope::Fields(
                names
                    .iter()
                    .map(|name| HeaderName::from_static(name))
                    .collect(),
            )
        };
        let many = format!("private=\"{}\"", ["x"; SCOPE_FIELDS_MAX + 1].join(","));
        // All rows: RFC 9111 §5.2.2.7.
        #[rustfmt::skip]
        let rows: [(&[&str], Scope); 11] = [
            (&[""], Scope::Absent),
            (&["private"], Scope::Whole),
            (&["private=\"Set-Cookie, x-user\""], fields(&["set-cookie", "x-user"])),
            (&["private=Set-Cookie"], fields(&["set-cookie"])),
            (&["private=\"a\", private=\"b\""], fields(&["b", "a"])),
            (&["private=\"a\", private"], Scope::Whole),
            (&["private, private=\"a\""], Scope::Whole),
            (&["private=\"\""], Scope::Whole),
            (&["private=\"a b\""], Scope::Whole),
            (&["private =\"a\""], Scope::Whole),
            (&[&many], Scope::Whole),
        ];
        for (lines, expected) in rows {
            assert_eq!(of(lines).private, expected, "{lines:?}");
        }
    }

    #[test]
    fn a_qualified_directive_binds_a_response_with_such_a_field() {
        // RFC 9111 §5.2.2.7.
        let response = headers(&[("set-cookie", "a=b")]);
        let rows = [
            ("", false),
            ("private", true),
            ("private=\"a, Set-Cookie\"", true),
            ("private=\"a\"", false),
        ];
        for (line, expected) in rows {
            assert_eq!(of(&[line]).private.binds(&response), expected, "{line}");
        }
    }

    #[test]
    fn an_unclosed_quote_hides_nothing() {
        assert!(of(&["extension=\"oops, no-store"]).no_store);
        assert!(of(&["extension=\"oops", "no-store"]).no_store);
    }

    #[test]
    fn pragma_counts_in_a_request_without_cache_control() {
        // RFC 7234 §5.4.
        #[rustfmt::skip]
        let rows: [(&[(&str, &str)], bool); 4] = [
            (&[("pragma", "No-Cache")], true),
            (&[("pragma", "foo, no-cache")], true),
            (&[("pragma", "foo")], false),
            (&[("pragma", "no-cache"), ("cache-control", "max-age=0")], false),
        ];
        for (lines, expected) in rows {
            let found = Directives::of_request(&headers(lines)).no_cache.is_whole();
            assert_eq!(found, expected, "{lines:?}");
            assert_eq!(Directives::parse(&headers(lines)).no_cache, Scope::Absent);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_headers_panic(headers in any_headers()) {
            let directives = Directives::of_request(&headers);
            prop_assert!(directives.max_age <= Some(DELTA_MAX));
            prop_assert!(directives.private.fields().len() <= SCOPE_FIELDS_MAX);
        }

        #[test]
        fn order_and_noise_do_not_hide_a_prohibition(
            before in "[a-z=\", ]{0,16}", after in "[a-z=\", ]{0,16}",
        ) {
            // Balanced noise could quote the directive rightly; noise on other lines cannot.
            prop_assert!(of(&[&before, "no-store", &after]).no_store);
        }
    }
}
