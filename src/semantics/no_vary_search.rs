//! No-Vary-Search field (draft-ietf-httpbis-no-vary-search): a response says itself which parameters
//! of the query do not choose it, and whether their order does.
//!
//! Unlike the operator's rule in `query.rs`, this sees the query as a form does, decoded, because
//! the draft says so. Its algorithms are named in quotes where they are followed.

use std::fmt::Write;

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, InnerList, ListEntry};

use super::{query, structured};

/// The most parameters that a response may name; with more the field counts as absent.
pub const NAMES_MAX: usize = 64;

/// The field's name.
pub const NO_VARY_SEARCH: HeaderName = HeaderName::from_static("no-vary-search");

/// What a response's No-Vary-Search says, where that is not the default: a "URL variation config".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NoVarySearch {
    any_order: bool,
    params: Params,
}

/// The parameters that choose a response; names are decoded, sorted, and each there once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Params {
    /// All but these ("no-vary params" is a list).
    AllBut(Box<[String]>),
    /// These alone ("vary params" is a list).
    Only(Box<[String]>),
}

// === impl NoVarySearch ===

impl NoVarySearch {
    /// What the field of a response says; `None` for the default, under which only equal queries
    /// are equivalent: if it is absent, invalid, or says nothing else.
    ///
    /// "In general, this algorithm is strict and tends to return the default URL variation config
    /// whenever it sees something it doesn't recognize." Unknown members alone are passed over.
    pub fn of(response: &HeaderMap) -> Option<Self> {
        let members = structured::dictionary(response, &NO_VARY_SEARCH)?;
        let config = Self {
            any_order: any_order(&members)?,
            params: Params::of(&members)?,
        };
        (config.any_order || config.params != Params::AllBut([].into())).then_some(config)
    }

    /// One query for all that are equivalent modulo this config, and another one for all others;
    /// the empty query stands for none.
    ///
    /// Linear in the query, but for the sorting.
    pub fn normalise(&self, query: &str) -> String {
        let mut kept: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .filter(|(name, _)| self.params.choose(name))
            .collect();
        if self.any_order {
            // By name alone: the order of equal names counts, and the sort is stable.
            kept.sort_by(|left, right| left.0.cmp(&right.0));
        }
        let mut normal = String::with_capacity(query.len());
        for (name, value) in &kept {
            if !normal.is_empty() {
                normal.push('&');
            }
            encode(name, &mut normal);
            normal.push('=');
            encode(value, &mut normal);
        }
        normal
    }

    /// What this weighs on the heap, in bytes.
    pub fn weight_bytes(&self) -> usize {
        let names = match &self.params {
            Params::AllBut(names) | Params::Only(names) => names,
        };
        let text: usize = names.iter().map(String::len).sum();
        size_of_val(&**names) + text
    }
}

// === impl Params ===

impl Params {
    /// "Parse a URL variation config", the steps on `params` and `except`; `None` if one fails.
    ///
    /// The newest drafts have one list or the other. Older ones, and browsers still, write `params`
    /// alone for `except=()`, and `params, except=("a")` for `except=("a")`, which can mean nothing
    /// else and so is understood.
    fn of(members: &Dictionary) -> Option<Self> {
        use ListEntry::{InnerList, Item};
        match (members.get("params"), members.get("except")) {
            (None, None) => Some(Self::AllBut([].into())),
            (Some(InnerList(list)), None) => Some(Self::AllBut(names(list)?)),
            (None, Some(InnerList(list))) => Some(Self::Only(names(list)?)),
            (Some(Item(params)), except) => match (params.bare_item.as_boolean()?, except) {
                (false, None) => Some(Self::AllBut([].into())),
                (true, None) => Some(Self::Only([].into())),
                (true, Some(InnerList(list))) => Some(Self::Only(names(list)?)),
                _ => None,
            },
            // "If both value["params"] and value["except"] exist, then return the default".
            _ => None,
        }
    }

    /// Whether the parameter `name` helps to choose the response.
    fn choose(&self, name: &str) -> bool {
        let among = |names: &[String]| names.binary_search_by(|it| it.as_str().cmp(name)).is_ok();
        match self {
            Self::AllBut(names) => !among(names),
            Self::Only(names) => among(names),
        }
    }
}

/// Whether `key-order` says that the order of names does not matter; `None` if it is no Boolean.
fn any_order(members: &Dictionary) -> Option<bool> {
    match members.get("key-order") {
        None => Some(false),
        Some(ListEntry::Item(item)) => item.bare_item.as_boolean(),
        Some(ListEntry::InnerList(_)) => None,
    }
}

/// The names in a list of strings; `None` if one is no string, or there are too many.
fn names(list: &InnerList) -> Option<Box<[String]>> {
    if list.items.len() > NAMES_MAX {
        return None;
    }
    let name = |item: &sfv::Item| match &item.bare_item {
        BareItem::String(name) => Some(decode(name.as_str())),
        _ => None,
    };
    let mut names: Vec<String> = list.items.iter().map(name).collect::<Option<_>>()?;
    names.sort_unstable();
    names.dedup();
    Some(names.into())
}

/// "Parse a key", and what the form parser of the URL standard does to names and values alike: `+`
/// is a space, the percent-encoding is decoded, and what is no UTF-8 then is U+FFFD.
fn decode(text: &str) -> String {
    let bytes: Vec<u8> = query::decoded(text.as_bytes()).collect();
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// Appends `text` with all but unreserved characters (RFC 3986 §2.3) percent-encoded.
fn encode(text: &str, normal: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => normal.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => normal.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(normal, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{any_headers, headers};
    use super::*;

    fn of(line: &str) -> Option<NoVarySearch> {
        NoVarySearch::of(&headers(&[("no-vary-search", line)]))
    }

    fn config(any_order: bool, params: Params) -> Option<NoVarySearch> {
        Some(NoVarySearch { any_order, params })
    }

    fn boxed(names: &[&str]) -> Box<[String]> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn the_field_is_read_strictly() {
        let all_but = |names: &[&str]| Params::AllBut(boxed(names));
        let only = |names: &[&str]| Params::Only(boxed(names));
        let many = format!("params=({})", ["\"a\""; NAMES_MAX + 1].join(" "));
        // The examples of "Obtain a URL variation config", and more.
        #[rustfmt::skip]
        let rows = [
            ("except=(\"x\")", config(false, only(&["x"]))),
            ("except=()", config(false, only(&[]))),
            ("except=(\"x\"), key-order", config(true, only(&["x"]))),
            ("params=(\"a\")", config(false, all_but(&["a"]))),
            // As older drafts and browsers have it.
            ("params", config(false, only(&[]))),
            ("params, except=(\"x\")", config(false, only(&["x"]))),
            ("params=?1", config(false, only(&[]))),
            ("params, except=()", config(false, only(&[]))),
            ("key-order, params=?0", config(true, all_but(&[]))),
            ("key-order", config(true, all_but(&[]))),
            ("key-order=?1", config(true, all_but(&[]))),
            ("params, key-order, except=(\"x\")", config(true, only(&["x"]))),
            ("params=(\"b\" \"a\";p \"b\"), unknown=1", config(false, all_but(&["a", "b"]))),
            ("params=(\"%C3%A9+%E6%B0%97\")", config(false, all_but(&["é 気"]))),
            ("params=a, params", config(false, only(&[]))),
            // Valid, but the default.
            ("", None),
            ("params=?0", None),
            ("params=()", None),
            ("key-order=?0", None),
            ("unknown-key", None),
            // Invalid.
            ("key-order=\"not a boolean\"", None),
            ("key-order=(), params", None),
            ("params=\"not a boolean or inner list\"", None),
            ("params=(not-a-string)", None),
            ("params=(\"a\"), except=(\"x\")", None),
            ("params=(), except=()", None),
            ("params=?0, except=(\"x\")", None),
            ("params, except=(not-a-string)", None),
            ("params, except=\"not an inner list\"", None),
            ("params, except=?1", None),
            ("params, except", None),
            ("except=(not-a-string)", None),
            ("except=\"not an inner list\"", None),
            ("except=?1", None),
            ("except", None),
            ("params=1, except=(\"x\")", None),
            ("params, &", None),
            (&many, None),
        ];
        for (line, expected) in rows {
            assert_eq!(of(line), expected, "{line}");
        }
        assert_eq!(NoVarySearch::of(&HeaderMap::new()), None);
    }

    #[test]
    fn equivalent_queries_have_one_normal_form() {
        // The examples of "Comparing", and more.
        #[rustfmt::skip]
        let rows = [
            ("key-order", "", "", true),
            ("key-order", "a=x", "%61=%78", true),
            ("key-order", "a=é", "a=%C3%A9", true),
            ("key-order", "a=%f6", "a=%ef%bf%bd", true),
            ("key-order", "a=x&&&&", "a=x", true),
            ("key-order", "a=", "a", true),
            ("key-order", "a=%20", "a=+", true),
            ("key-order", "a=%20", "a= &", true),
            ("key-order", "b=1&a=2", "a=2&b=1", true),
            ("key-order", "a=1&a=2", "a=2&a=1", false),
            ("key-order", "a=1&b=2&a=3", "b=2&a=1&a=3", true),
            ("key-order", "a", "A", false),
            ("key-order", "=", "", false),
            ("key-order", "a=%3D", "a==", true),
            ("key-order", "a%3D", "a=", false),
            ("key-order", "a%26b", "a&b", false),
            ("key-order", "a=%2B", "a=+", false),
            ("key-order", "a=%2", "a=%252", true),
            ("params=(\"b\")", "a=1&b=2", "a=1", true),
            ("params=(\"b\")", "%62=2", "", true),
            ("params=(\"b\")", "b=1&c=1&a=1", "c=1&a=1", true),
            ("params=(\"b\")", "c=1&a=1", "a=1&c=1", false),
            ("params=(\"b\")", "a=1", "a=2", false),
            ("except=()", "a=1&b=2", "", true),
            ("key-order", "a=%C3%A9", "a=e%CC%81", false),
            ("except=(\"x\")", "a=1&x=2&b=3", "x=2", true),
            ("except=(\"x\")", "x=1", "x=2", false),
            ("except=(\"x\")", "x", "", false),
        ];
        for (line, left, right, same) in rows {
            let config = of(line).unwrap();
            let found = config.normalise(left) == config.normalise(right);
            assert_eq!(found, same, "{line}: {left:?} {right:?}");
        }
    }

    #[test]
    fn it_knows_its_weight() {
        let text = size_of::<String>() + 3;
        assert_eq!(of("params=(\"abc\")").unwrap().weight_bytes(), text);
    }

    /// "Comparing", word for word, on queries whose only escapes are `%61` and `%26`.
    fn equivalent(line: &str, left: &str, right: &str) -> bool {
        let pairs = |query: &str| -> Vec<(String, String)> {
            let read = |text: &str| {
                text.replace('+', " ")
                    .replace("%61", "a")
                    .replace("%26", "&")
            };
            let mut pairs: Vec<_> = query
                .split('&')
                .filter(|it| !it.is_empty())
                .map(|it| it.split_once('=').unwrap_or((it, "")))
                .map(|(name, value)| (read(name), read(value)))
                .collect();
            match line {
                "key-order" => {}
                "except=(\"a\")" => pairs.retain(|(name, _)| name == "a"),
                "params=(\"a\" \"+\")" | "key-order, params=(\"a\" \"+\")" => {
                    pairs.retain(|(name, _)| name != "a" && name != " ");
                }
                _ => panic!("{line} is not known"),
            }
            if line.starts_with("key-order") {
                pairs.sort_by(|left, right| left.0.encode_utf16().cmp(right.0.encode_utf16()));
            }
            pairs
        };
        pairs(left) == pairs(right)
    }

    const LINES: [&str; 4] = [
        "key-order",
        "except=(\"a\")",
        "params=(\"a\" \"+\")",
        "key-order, params=(\"a\" \"+\")",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn to_be_equivalent_is_to_have_one_normal_form(
            line in proptest::sample::select(&LINES[..]),
            left in "((a|b|%61|%26|[+])?=?(a|b|[+])?&?){0,3}",
            right in "((a|b|%61|%26|[+])?=?(a|b|[+])?&?){0,3}",
        ) {
            let config = of(line).unwrap();
            let same = config.normalise(&left) == config.normalise(&right);
            prop_assert_eq!(same, equivalent(line, &left, &right));
        }

        #[test]
        fn a_normal_form_is_its_own(
            line in proptest::sample::select(&LINES[..]), query: String,
        ) {
            let config = of(line).unwrap();
            let normal = config.normalise(&query);
            prop_assert_eq!(config.normalise(&normal), normal);
        }

        #[test]
        fn no_headers_panic(mut response in any_headers(), line in "[ -~]{0,30}") {
            response.extend(headers(&[("no-vary-search", &line)]));
            let _ = NoVarySearch::of(&response);
        }
    }
}
