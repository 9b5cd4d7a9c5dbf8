//! Invalidation tags of a response: the fields by which an origin says what it was made of, so that all
//! that was made of one thing can be purged together.
//!
//! Every cache has a field of its own for them; here they are one set. RFC 9875 has made the standard of
//! it, `Cache-Groups`, which is for all caches on the way and so stays in the response.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, List, ListEntry, Parser};

/// RFC 9875 §2: "a List of Strings".
pub const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");

/// RFC 9875 §3: the groups that the answer to an unsafe request invalidates.
pub const CACHE_GROUP_INVALIDATION: HeaderName =
    HeaderName::from_static("cache-group-invalidation");

/// Fastly's, whose tags may have commas in them.
const SURROGATE_KEY: &str = "surrogate-key";

/// The fields that are read where nothing else is said.
pub const USUAL_FIELDS: [HeaderName; 8] = [
    HeaderName::from_static(SURROGATE_KEY),
    HeaderName::from_static("cache-tag"),
    HeaderName::from_static("cache-tags"),
    HeaderName::from_static("xkey"),
    CACHE_GROUPS,
    HeaderName::from_static("x-cache-tags"),
    HeaderName::from_static("x-magento-tags"),
    HeaderName::from_static("x-litespeed-tag"),
];

/// Which fields of a route's responses have tags, and what becomes of those fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRule {
    /// The fields that have them.
    pub fields: Vec<HeaderName>,
    /// A response with more is not stored: a purge must find all that it is about.
    pub max: usize,
    /// Whether clients see those fields.
    pub shown: bool,
    /// Fields of any answer that name tags to purge.
    pub purged_by: Vec<HeaderName>,
}

// === impl TagRule ===

impl Default for TagRule {
    fn default() -> Self {
        Self {
            fields: USUAL_FIELDS.to_vec(),
            max: 1000,
            shown: false,
            purged_by: Vec::new(),
        }
    }
}

impl TagRule {
    /// Whether the field has tags.
    pub fn reads(&self, name: &HeaderName) -> bool {
        self.fields.contains(name)
    }

    /// Whether the field is kept from clients.
    pub fn hides(&self, name: &HeaderName) -> bool {
        let is_ours = || self.reads(name) || self.purged_by.contains(name);
        !self.shown && is_ours() && name.as_str() != CACHE_GROUPS.as_str()
    }

    /// Takes out what is kept from clients.
    pub fn hide(&self, fields: &mut HeaderMap) {
        // Most responses have none, and to look at their names costs less than to look for ours.
        if !fields.keys().any(|name| self.hides(name)) {
            return;
        }
        let hidden = self.fields.iter().chain(&self.purged_by);
        for name in hidden.filter(|name| self.hides(name)) {
            fields.remove(name);
        }
    }

    /// Whether a response has no more tags than one may have.
    pub fn fit(&self, fields: &HeaderMap) -> bool {
        let mut count = 0;
        for (name, line) in fields.iter().filter(|(name, _)| self.reads(name)) {
            each(name.as_str(), line.as_bytes(), |_| count += 1);
        }
        count <= self.max
    }

    /// Whether an answer may have something purged: `is_unsafe` tells whether its request was to change
    /// something.
    pub fn is_heard(&self, is_unsafe: bool) -> bool {
        is_unsafe || !self.purged_by.is_empty()
    }

    /// The tags that an answer has purged: `is_unsafe` tells whether its request was to change something.
    ///
    /// RFC 9875 §3: "The Cache-Group-Invalidation header field MUST be ignored on responses to requests
    /// that have a safe method".
    pub fn purged(&self, fields: &HeaderMap, is_unsafe: bool) -> Vec<String> {
        let standard = is_unsafe.then_some(CACHE_GROUP_INVALIDATION);
        let mut tags = Vec::new();
        for name in self.purged_by.iter().chain(&standard) {
            for line in fields.get_all(name) {
                each(name.as_str(), line.as_bytes(), |tag| {
                    tags.push(String::from_utf8_lossy(tag).into_owned());
                });
            }
        }
        tags.truncate(self.max);
        tags
    }
}

/// Each tag of one line of a field, by the field's own rule.
pub fn each(field: &str, line: &[u8], mut take: impl FnMut(&[u8])) {
    if field == CACHE_GROUPS.as_str() || field == CACHE_GROUP_INVALIDATION.as_str() {
        return strings(line).for_each(|it| take(it.as_bytes()));
    }
    let ends: &[u8] = match field {
        SURROGATE_KEY => b" \t",
        // Neither Cloudflare's nor Varnish's xkey, Magento's or LiteSpeed's have either in a tag.
        _ => b", \t",
    };
    let tags = line.split(|byte| ends.contains(byte));
    tags.filter(|it| !it.is_empty()).for_each(take);
}

/// The strings of a List (RFC 9651 §3.1); none where it is no List.
fn strings(line: &[u8]) -> impl Iterator<Item = String> {
    let list: List = Parser::new(line).parse_list().unwrap_or_default();
    list.into_iter().filter_map(|entry| match entry {
        ListEntry::Item(item) => match item.bare_item {
            BareItem::String(text) => Some(text.into()),
            _ => None,
        },
        ListEntry::InnerList(_) => None,
    })
}

/// The tags that a regular expression is made of, where it is only a way to write a list of them:
/// `((^|,)cat_p_1(,|$))|((^|,)cat_p_2(,|$))`, as Magento has it, `(^|,)(a|b)(,|$)`, `(a|b)(,.+)?$`,
/// `\ba\b`, or `a|b`. `None` for what says more than that.
pub fn of_regex(text: &str) -> Option<Vec<String>> {
    let mut rest = text.replace("\\,", ",");
    for edge in EDGES {
        rest = rest.replace(edge, "");
    }
    let rest = rest.strip_prefix('^').unwrap_or(&rest);
    let rest = rest.strip_suffix('$').unwrap_or(rest);
    let tags: Option<Vec<_>> = rest.split('|').map(plain).collect();
    tags.filter(|it| !it.is_empty())
}

/// How modules of content management systems write the beginning and the end of a tag.
const EDGES: [&str; 9] = [
    "(^|,)", "(,|$)", "($|,)", "(,.+)?$", "\\b", "(^| )", "( |$)", "(^|\\s)", "(\\s|$)",
];

/// One tag of a list written so, without the parentheses about it and its escapes.
fn plain(text: &str) -> Option<String> {
    let text = text.trim_start_matches('(').trim_end_matches(')').trim();
    let mut tag = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            // "\d" is a class; before all else the backslash takes away a meaning.
            '\\' => tag.push(letters.next().filter(|it| !it.is_ascii_alphanumeric())?),
            '.' | '*' | '+' | '?' | '[' | ']' | '(' | ')' | '{' | '}' | '^' | '$' | ',' | ' ' => {
                return None;
            }
            letter => tag.push(letter),
        }
    }
    (!tag.is_empty()).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::super::testing::headers;
    use super::*;

    fn tags(field: &str, line: &str) -> Vec<String> {
        let mut tags = Vec::new();
        each(field, line.as_bytes(), |tag| {
            tags.push(String::from_utf8_lossy(tag).into_owned());
        });
        tags
    }

    #[test]
    fn each_field_has_its_own_way_to_write_a_list() {
        let rows: [(&str, &str, &[&str]); 10] = [
            ("surrogate-key", "a b,c  d", &["a", "b,c", "d"]),
            ("cache-tag", "a, b,c,,d ", &["a", "b", "c", "d"]),
            ("xkey", "a b, c", &["a", "b", "c"]),
            ("x-magento-tags", "cat_p_1,cat_c", &["cat_p_1", "cat_c"]),
            ("x-own", "a,b c", &["a", "b", "c"]),
            ("x-own", "", &[]),
            // RFC 9875 §2.
            ("cache-groups", "\"a b\", \"c,d\";x=1", &["a b", "c,d"]),
            ("cache-groups", "\"a\", b, 1, (\"c\")", &["a"]),
            ("cache-groups", "\"a", &[]),
            ("cache-group-invalidation", "\"a\"", &["a"]),
        ];
        for (field, line, expected) in rows {
            assert_eq!(tags(field, line), expected, "{field}: {line}");
        }
    }

    #[test]
    fn clients_do_not_see_tags_but_groups() {
        let rule = TagRule::default();
        let mut fields = headers(&[("cache-tag", "a"), ("cache-groups", "\"a\""), ("x", "y")]);
        rule.hide(&mut fields);
        assert_eq!(fields.len(), 2, "{fields:?}");
        assert!(rule.hides(&HeaderName::from_static("xkey")) && !rule.hides(&CACHE_GROUPS));
        let shown = TagRule {
            shown: true,
            ..TagRule::default()
        };
        assert!(!shown.hides(&HeaderName::from_static("xkey")));
    }

    #[test]
    fn no_response_has_more_tags_than_one_may_have() {
        let rule = TagRule {
            max: 2,
            ..TagRule::default()
        };
        assert!(rule.fit(&headers(&[("cache-tag", "a"), ("xkey", "b")])));
        assert!(!rule.fit(&headers(&[("cache-tag", "a,c"), ("xkey", "b")])));
    }

    #[test]
    fn an_answer_names_what_it_has_changed() {
        let rule = TagRule {
            purged_by: vec![HeaderName::from_static("x-purge")],
            ..TagRule::default()
        };
        let fields = headers(&[("x-purge", "a b"), ("cache-group-invalidation", "\"c\"")]);
        assert_eq!(rule.purged(&fields, true), ["a", "b", "c"]);
        assert_eq!(rule.purged(&fields, false), ["a", "b"]);
    }

    #[test]
    fn a_list_of_tags_is_known_in_a_regex() {
        let rows: [(&str, Option<&[&str]>); 14] = [
            ("(^|\\,)/foos/1($|\\,)", Some(&["/foos/1"])),
            (
                "((^|,)cat_p_1(,|$))|((^|,)cat_p_2(,|$))",
                Some(&["cat_p_1", "cat_p_2"]),
            ),
            ("((^|,)cat_p(,|$))", Some(&["cat_p"])),
            ("(^|,)(a\\-1|b)(,|$)", Some(&["a-1", "b"])),
            ("(a|b)(,.+)?$", Some(&["a", "b"])),
            ("\\bp\\-123\\b", Some(&["p-123"])),
            ("node:1|node_list", Some(&["node:1", "node_list"])),
            ("a", Some(&["a"])),
            (".*", None),
            ("a.*", None),
            ("a\\d", None),
            ("node:1 node:2", None),
            ("", None),
            ("a||b", None),
        ];
        for (text, expected) in rows {
            let expected = expected.map(|it| it.iter().map(|it| (*it).to_owned()).collect());
            assert_eq!(of_regex(text), expected, "{text}");
        }
    }
}
