//! Query parameters in the cache key: which of them the operator says choose the response, and
//! whether their order does.
//!
//! A query is only pieces with `&` between them here, each with a name before its first `=`. RFC
//! 3986 §3.4 gives it no structure at all, and origins differ in the one they see. So a parameter
//! is dropped, or moved, only where every origin would agree that it is the one meant; in doubt two
//! targets keep two keys, which costs a miss, where one key would serve a page to the wrong client.

use percent_encoding::percent_decode;
use smallvec::SmallVec;

/// The most parameters that a rule is applied to; a query with more is taken as it is.
pub const PARAMETERS_MAX: usize = 128;

/// Which parameters of a query are part of the cache key, and whether their order is.
///
/// The default is the exact query, at no cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryRule {
    sort: bool,
    allow: Option<Box<[Pattern]>>,
    deny: Box<[Pattern]>,
}

/// The parameters that are part of the key, in the key's order.
pub(super) type Parameters<'a> = SmallVec<[&'a str; 16]>;

/// A name, or with a `*` at its end the beginning of names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    text: Box<[u8]>,
    is_prefix: bool,
}

// === impl QueryRule ===

impl QueryRule {
    /// A rule that keeps the parameters that are in `allow` (`None` for all) and not in `deny`.
    ///
    /// Names are compared so that nothing is dropped by mistake. One is denied only if it stands
    /// there byte for byte: `utm%5Fsource` stays. One counts as allowed if any origin might read it
    /// as an allowed name: `i%64` and `ID` stay where `id` is allowed.
    ///
    /// With `sort`, parameters stand in the order of their names; those with one name, read as
    /// loosely as above, stay in the order they came in, which tells `a=1&a=2` from `a=2&a=1`.
    pub fn new(sort: bool, allow: Option<&[String]>, deny: &[String]) -> Self {
        let loose = |name: &String| Pattern::new(name, |name| loosely(name).collect());
        Self {
            sort,
            allow: allow.map(|names| names.iter().map(loose).collect()),
            deny: deny
                .iter()
                .map(|name| Pattern::new(name, <[u8]>::to_vec))
                .collect(),
        }
    }

    /// Whether the rule leaves every query as it is.
    pub fn is_exact(&self) -> bool {
        !self.sort && !self.filters()
    }

    /// The parameters of `query` that are part of the key; `None` if the query is, as it stands.
    ///
    /// Some origins divide a query at `;` too. What they see in `utm_source=a;id=1` is not what is
    /// seen here, so such a query is left alone. A filter drops empty pieces, as they name nothing;
    /// without one `/p?` is another URI than `/p`.
    pub(super) fn parameters<'a>(&self, query: &'a str) -> Option<Parameters<'a>> {
        let mut kept = self.kept(query)?;
        if self.sort {
            kept.sort_by(|left, right| loosely(name(left)).cmp(loosely(name(right))));
        }
        Some(kept)
    }

    /// A target (path and query) without the parameters that are no part of the key, so that what
    /// no key tells apart shapes no response; the others stay as they are, in their order. `None`
    /// if all of them are part of it.
    pub fn without_others(&self, target: &str) -> Option<String> {
        if !self.filters() {
            return None;
        }
        let (path, query) = target.split_once('?')?;
        let kept = self.kept(query)?;
        let mut shorter = path.to_owned();
        for (at, parameter) in kept.iter().enumerate() {
            shorter.push(if at == 0 { '?' } else { '&' });
            shorter.push_str(parameter);
        }
        (shorter.len() < target.len()).then_some(shorter)
    }

    /// The parameters that are part of the key, as they came; `None` if the query is, as it stands.
    fn kept<'a>(&self, query: &'a str) -> Option<Parameters<'a>> {
        let bytes = query.as_bytes();
        if self.is_exact()
            || memchr::memchr(b';', bytes).is_some()
            || memchr::memchr_iter(b'&', bytes).count() >= PARAMETERS_MAX
        {
            return None;
        }
        let moved_or_dropped = |it: &&str| self.sort || (self.allow.is_some() && !self.keeps(it));
        if query
            .split('&')
            .filter(moved_or_dropped)
            .any(|it| is_read_variously(name(it)))
        {
            return None;
        }
        Some(query.split('&').filter(|it| self.keeps(it)).collect())
    }

    /// Whether parameters may be no part of the key.
    pub fn filters(&self) -> bool {
        self.allow.is_some() || !self.deny.is_empty()
    }

    fn keeps(&self, parameter: &str) -> bool {
        let name = name(parameter);
        let allowed = match &self.allow {
            Some(patterns) => patterns.iter().any(|it| it.matches(loosely(name))),
            None => true,
        };
        let denied = || self.deny.iter().any(|it| it.matches(name.iter().copied()));
        !self.filters() || (!parameter.is_empty() && allowed && !denied())
    }
}

// === impl Pattern ===

impl Pattern {
    fn new(text: &str, read: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let (text, is_prefix) = match text.strip_suffix('*') {
            Some(start) => (start, true),
            None => (text, false),
        };
        Self {
            text: read(text.as_bytes()).into(),
            is_prefix,
        }
    }

    fn matches(&self, mut name: impl Iterator<Item = u8>) -> bool {
        let begins = self.text.iter().all(|byte| name.next() == Some(*byte));
        begins && (self.is_prefix || name.next().is_none())
    }
}

/// The name of a parameter, as it stands there.
fn name(parameter: &str) -> &[u8] {
    let bytes = parameter.as_bytes();
    memchr::memchr(b'=', bytes).map_or(bytes, |end| &bytes[..end])
}

/// Whether origins do not agree which parameter a name stands for: `[id]` is `id` to some, `a[b` is
/// `a_b` to others, and `%u0069d` is decoded by a few. What such a name stands for is not guessed.
fn is_read_variously(name: &[u8]) -> bool {
    let escaped = name
        .windows(2)
        .any(|pair| pair[0] == b'%' && pair[1].eq_ignore_ascii_case(&b'u'));
    escaped || decoded(name).any(|byte| matches!(byte, b'[' | b']' | 0))
}

/// A name as the most lenient origin reads it: if any takes two names for one, they are equal here.
///
/// All of them decode; ASP.NET ignores the letter case; PHP skips spaces at the start, takes dots
/// and spaces for underscores, and like Rack ends the name at `[`.
fn loosely(name: &[u8]) -> impl Iterator<Item = u8> {
    decoded(name)
        .skip_while(|byte| *byte == b' ')
        .take_while(|byte| *byte != b'[' && *byte != 0)
        .map(|byte| match byte {
            b' ' | b'.' => b'_',
            _ => byte.to_ascii_lowercase(),
        })
}

/// The names and values of a query that a form has written, decoded, in their order.
///
/// Not for keys: an origin may see other parameters in the same query.
pub fn pairs(query: &str) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let parameters = query.split('&').filter(|it| !it.is_empty());
    parameters.map(|parameter| {
        let name = name(parameter);
        let value = parameter.as_bytes().get(name.len() + 1..);
        let value = value.unwrap_or_default();
        (decoded(name).collect(), decoded(value).collect())
    })
}

/// A name's or a value's bytes, percent-decoded, with `+` as the space that forms mean by it.
pub(super) fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let pieces = text.split(|byte| *byte == b'+').enumerate();
    pieces.flat_map(|(at, piece)| {
        let space = (at > 0).then_some(b' ');
        space.into_iter().chain(percent_decode(piece))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn rule(sort: bool, allow: Option<&[&str]>, deny: &[&str]) -> QueryRule {
        let owned = |names: &[&str]| names.iter().map(|it| it.to_string()).collect::<Vec<_>>();
        QueryRule::new(sort, allow.map(owned).as_deref(), &owned(deny))
    }

    /// The query as the key has it; `None` where nothing is left of it.
    fn shaped(rule: &QueryRule, query: &str) -> Option<String> {
        match rule.parameters(query) {
            None => Some(query.to_owned()),
            Some(kept) => (!kept.is_empty()).then(|| kept.join("&")),
        }
    }

    #[test]
    fn a_denied_parameter_is_dropped_only_byte_for_byte() {
        let rule = rule(false, None, &["utm_*", "fbclid"]);
        let rows = [
            ("a=1", Some("a=1")),
            ("utm_source=x", None),
            ("b=1&utm_source=x&a=2&fbclid", Some("b=1&a=2")),
            ("utm_", None),
            ("utm=1", Some("utm=1")),
            ("fbclid2=1", Some("fbclid2=1")),
            ("FBCLID=1", Some("FBCLID=1")),
            ("utm%5Fsource=x", Some("utm%5Fsource=x")),
            ("x=utm_source=1", Some("x=utm_source=1")),
            // A filter drops pieces that name nothing, but not a value without a name.
            ("", None),
            ("&&a&", Some("a")),
            ("=1", Some("=1")),
            // Some origins see two parameters here.
            ("utm_source=x;id=1", Some("utm_source=x;id=1")),
        ];
        for (query, expected) in rows {
            assert_eq!(shaped(&rule, query).as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn a_parameter_is_dropped_only_if_no_origin_reads_an_allowed_one() {
        let rule = rule(false, Some(&["id", "user_id", "f*", "no"]), &["no"]);
        let rows = [
            ("x=1&id=2&y", Some("id=2")),
            ("id", Some("id")),
            ("idx=1", None),
            ("foo=1&f=2&g=3", Some("foo=1&f=2")),
            ("i%64=1", Some("i%64=1")),
            ("%46oo=1", Some("%46oo=1")),
            ("ID=1", Some("ID=1")),
            ("+id=1", Some("+id=1")),
            ("id%00x=1", Some("id%00x=1")),
            ("user.id=1&user+id=2", Some("user.id=1&user+id=2")),
            ("id[]=1&id%5B0%5D=2", Some("id[]=1&id%5B0%5D=2")),
            ("%zz=1&%6", None),
            ("no=1", None),
            ("", None),
        ];
        for (query, expected) in rows {
            assert_eq!(shaped(&rule, query).as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn sorting_keeps_the_order_of_one_name() {
        let rule = rule(true, None, &[]);
        let rows = [
            ("b=1&a=2", "a=2&b=1"),
            ("a=2&a=1", "a=2&a=1"),
            ("b&a=2&b=0&a=1", "a=2&a=1&b&b=0"),
            ("a[]=2&a=3&a%5B%5D=1", "a[]=2&a=3&a%5B%5D=1"),
            ("A=2&a=1", "A=2&a=1"),
            ("b=1;c&a=1", "b=1;c&a=1"),
            ("", ""),
            ("b&&a", "&a&b"),
        ];
        for (query, expected) in rows {
            assert_eq!(shaped(&rule, query).as_deref(), Some(expected), "{query}");
        }
    }

    #[test]
    fn what_is_no_part_of_the_key_is_taken_out_of_the_target() {
        let deny = rule(true, None, &["utm_*"]);
        let allow = rule(false, Some(&["id"]), &[]);
        let rows = [
            (&deny, "/p", None),
            (&deny, "/p?", Some("/p")),
            (&deny, "/p?b=%7E&a", None),
            (&deny, "/p?utm_a=1", Some("/p")),
            (&deny, "/p?b=%7E&utm_a=1&&a=?&utm_b", Some("/p?b=%7E&a=?")),
            (&deny, "/p?utm%5Fa=1", None),
            (&deny, "/p?utm_a=1;b=2", None),
            (&deny, "/p?utm_a=1&a[b=2", None),
            (&allow, "/p?x=1&I%64=2&y", Some("/p?I%64=2")),
            (&allow, "/p?x=1", Some("/p")),
            (&allow, "/p?[id]=1&x=2", None),
            (&QueryRule::default(), "/p?", None),
            (&rule(true, None, &[]), "/p?b&&a", None),
        ];
        for (rule, target, expected) in rows {
            assert_eq!(rule.without_others(target).as_deref(), expected, "{target}");
        }
    }

    #[test]
    fn a_query_of_too_many_parameters_is_taken_as_it_is() {
        let rule = rule(true, None, &["x"]);
        let query = |count| vec!["x"; count].join("&");
        assert_eq!(shaped(&rule, &query(PARAMETERS_MAX)), None);
        let many = query(PARAMETERS_MAX + 1);
        assert_eq!(shaped(&rule, &many), Some(many));
    }

    #[test]
    fn a_form_is_read_as_it_was_meant() {
        let rows: [(&str, &[(&str, &str)]); 7] = [
            ("", &[]),
            ("a=1&b=2", &[("a", "1"), ("b", "2")]),
            ("&&a&", &[("a", "")]),
            ("a=b=c&=d", &[("a", "b=c"), ("", "d")]),
            (
                "u=http%3A%2F%2Fh%2F%3Fx%3D1%26y",
                &[("u", "http://h/?x=1&y")],
            ),
            ("a%62=c+d%2be", &[("ab", "c d+e")]),
            ("a=%zz%4", &[("a", "%zz%4")]),
        ];
        for (query, expected) in rows {
            let found: Vec<_> = pairs(query).collect();
            let bytes =
                |(name, value): &(&str, &str)| (name.as_bytes().into(), value.as_bytes().into());
            assert_eq!(
                found,
                expected.iter().map(bytes).collect::<Vec<_>>(),
                "{query}"
            );
        }
    }

    /// What an origin that reads names loosely is told: under each name, its parameters in order.
    fn told<'a>(query: &'a str, deny: &str) -> BTreeMap<Vec<u8>, Vec<&'a str>> {
        let mut told = BTreeMap::<_, Vec<_>>::new();
        for parameter in query.split(['&', ';']).filter(|it| !it.is_empty()) {
            if name(parameter) != deny.as_bytes() {
                let name = loosely(name(parameter)).collect();
                told.entry(name).or_default().push(parameter);
            }
        }
        told
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn queries_share_a_key_if_they_tell_the_same(
            left in "[abA]?(&?[abA](=|%61|[.])?){0,3}",
            right in "[abA]?(&?[abA](=|%61|[.])?){0,3}",
        ) {
            let rule = rule(true, None, &["b"]);
            let same = told(&left, "b") == told(&right, "b");
            prop_assert_eq!(shaped(&rule, &left) == shaped(&rule, &right), same);
        }

        #[test]
        fn queries_that_tell_different_things_never_share_a_key(
            left in "[ab&;=]{0,6}", right in "[ab&;=]{0,6}",
        ) {
            let rule = rule(true, None, &["b"]);
            if shaped(&rule, &left) == shaped(&rule, &right) && left != right {
                prop_assert_eq!(told(&left, "b"), told(&right, "b"));
            }
        }

        #[test]
        fn shaping_twice_is_shaping_once(query in "[ab%61&;=.]{0,12}", sort: bool, only_a: bool) {
            let allow: Option<&[&str]> = only_a.then_some(&["a"]);
            let rule = rule(sort, allow, &["b"]);
            let once = shaped(&rule, &query);
            let twice = once.as_deref().and_then(|query| shaped(&rule, query));
            prop_assert_eq!(twice, once);
        }

        #[test]
        fn a_shorter_target_has_the_same_key(query in "[ab%61&;=.]{0,12}", sort: bool, only_a: bool) {
            let allow: Option<&[&str]> = only_a.then_some(&["a"]);
            let rule = rule(sort, allow, &["b"]);
            if let Some(target) = rule.without_others(&format!("/p?{query}")) {
                let shorter = target.split_once('?').map(|it| it.1);
                prop_assert_eq!(shorter.and_then(|it| shaped(&rule, it)), shaped(&rule, &query));
                prop_assert_eq!(rule.without_others(&target), None);
            }
        }

        #[test]
        fn no_query_panics(query: String, name: String) {
            let _ = shaped(&rule(true, Some(&[&name]), &[&name]), &query);
            let _ = pairs(&query).count();
        }
    }
}
