//! Targeted fields (RFC 9213): cache directives for caches of one kind, as in CDN-Cache-Control.
//!
//! They are Structured Fields (RFC 9651) and say the same as Cache-Control in a stricter grammar;
//! the directives themselves are in `directives.rs`.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, ListEntry};

use super::directives::{DELTA_MAX, Directives, Slot};
use super::structured;

/// The directives that govern a response, and where they stood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Governing {
    /// What the governing field says.
    pub directives: Directives,
    /// Whether it is a targeted field. If so, Cache-Control and Expires count for nothing.
    pub targeted: bool,
}

// === impl Governing ===

impl Governing {
    /// The directives of `response` for a cache whose target list is `targets`.
    ///
    /// RFC 9213 §2.2: "the cache MUST select the first (in target list order) field with a valid,
    /// non-empty value and use its value to determine the caching policy for the response, and it
    /// MUST ignore the Cache-Control and Expires header fields in that response, unless no valid,
    /// non-empty value is available from the listed header fields."
    pub fn of(response: &HeaderMap, targets: &[HeaderName]) -> Self {
        match targets.iter().find_map(|name| read(response, name)) {
            Some(directives) => Self {
                directives,
                targeted: true,
            },
            None => Self {
                directives: Directives::parse(response),
                targeted: false,
            },
        }
    }
}

/// The directives in all lines of one targeted field; `None` if it is as good as absent.
///
/// RFC 9213 §2.1: "If a targeted field in a given response is empty, or a parsing error is
/// encountered, that field MUST be ignored by the cache (i.e., it behaves as if the field were not
/// present, likely falling back to other cache-control mechanisms present)." So is one that has
/// nothing but directives with a value of the wrong type. An unknown directive is a valid value:
/// §3.1 has `CDN-Cache-Control: none` replace a Cache-Control without saying anything itself.
fn read(response: &HeaderMap, name: &HeaderName) -> Option<Directives> {
    let members = structured::dictionary(response, name)?;
    let mut directives = Directives::default();
    let mut valid = false;
    for (key, value) in &members {
        valid |= match directives.slot(key.as_str().as_bytes()) {
            Some(slot) => write(slot, value).is_some(),
            None => true,
        };
    }
    valid.then_some(directives)
}

/// Writes a directive down if its value has the type that it must have; `None` if not.
///
/// RFC 9213 §2.1: "the max-age directive (\[...\]) has an integer value; no-store (\[...\]) always has
/// a Boolean true value, and no-cache (\[...\]) has a value that can be either Boolean true or a
/// string containing a comma-delimited list of field names. \[...\] Implementations SHOULD NOT
/// consume values that violate these inferred constraints." Parameters "are to be ignored".
fn write(slot: Slot<'_>, value: &ListEntry) -> Option<()> {
    let ListEntry::Item(item) = value else {
        return None;
    };
    match (slot, &item.bare_item) {
        (Slot::Flag(flag), BareItem::Boolean(true)) => *flag = true,
        (Slot::Scope(scope), BareItem::Boolean(true)) => scope.widen(None),
        (Slot::Scope(scope), BareItem::String(names)) => {
            scope.widen(Some(names.as_str().as_bytes()))
        }
        // RFC 9111 §5.2: "recipients ought to accept both forms" of an argument. To ignore it could
        // let out what is private.
        (Slot::Scope(scope), BareItem::Token(name)) => scope.widen(Some(name.as_str().as_bytes())),
        (Slot::Delta(delta), BareItem::Integer(seconds)) => {
            // RFC 9111 §4.2.1: invalid freshness information, such as a negative age, is stale.
            let seconds = u64::try_from(i64::from(*seconds)).unwrap_or(0);
            *delta = Some(Duration::from_secs(seconds).min(DELTA_MAX));
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use http::header::CACHE_CONTROL;
    use proptest::prelude::*;

    use super::super::directives::Scope;
    use super::super::testing::{any_headers, headers};
    use super::*;

    /// (section, fields, whether a targeted field governs, `max-age` in seconds)
    type Row = (&'static str, Lines, bool, Option<u64>);
    type Lines = &'static [(&'static str, &'static str)];

    const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");
    const OWN: HeaderName = HeaderName::from_static("copal-cache-control");

    fn of(lines: &[(&str, &str)]) -> Governing {
        Governing::of(&headers(lines), &[OWN, CDN])
    }

    #[test]
    fn the_first_valid_target_governs() {
        const LONG: (&str, &str) = ("cache-control", "max-age=99");
        #[rustfmt::skip]
        let rows: [Row; 25] = [
            ("§2.2", &[], false, None),
            ("§2.2", &[LONG], false, Some(99)),
            ("§2.2", &[LONG, ("cdn-cache-control", "max-age=1")], true, Some(1)),
            ("§2.2", &[LONG, ("cdn-cache-control", "max-age=1"), ("copal-cache-control", "max-age=2")], true, Some(2)),
            ("§2.2", &[("cdn-cache-control", "max-age=1"), ("copal-cache-control", "")], true, Some(1)),
            ("§2.2", &[("cdn-cache-control", "max-age=1"), ("copal-cache-control", "&")], true, Some(1)),
            ("§2.2", &[LONG, ("surrogate-control", "max-age=1")], false, Some(99)),
            ("§2.2", &[LONG, ("cdn-cache-control", "no-store")], true, None),
            // An unknown directive is a value.
            ("§3.1", &[LONG, ("cdn-cache-control", "none")], true, None),
            ("§2.1", &[LONG, ("cdn-cache-control", "foobar, max-age=1")], true, Some(1)),
            // Empty, or not a Dictionary.
            ("§2.1", &[LONG, ("cdn-cache-control", "")], false, Some(99)),
            ("§2.1", &[LONG, ("cdn-cache-control", " \t")], false, Some(99)),
            ("§2.1", &[LONG, ("cdn-cache-control", "max-age=1, &&&&&")], false, Some(99)),
            ("§2.1", &[LONG, ("cdn-cache-control", "MaX-aGe=1")], false, Some(99)),
            ("§2.1", &[LONG, ("cdn-cache-control", "max-age =1")], false, Some(99)),
            ("§2.1", &[LONG, ("cdn-cache-control", "max-age= 1")], false, Some(99)),
            ("§2.1", &[LONG, ("cdn-cache-control", "max-age=1,")], false, Some(99)),
            ("§2.1", &[LONG, ("cdn-cache-control", "max-age=9999999999999999")], false, Some(99)),
            // The wrong type, alone and beside another member.
            ("§2.1", &[LONG, ("cdn-cache-control", "max-age=\"1\"")], false, Some(99)),
            ("§2.1", &[LONG, ("cdn-cache-control", "max-age=1.5, no-store=?0, private=(a)")], false, Some(99)),
            ("§2.1", &[LONG, ("cdn-cache-control", "max-age=1.5, public")], true, None),
            // RFC 9651 §4.2: lines are joined; the last of a key counts; parameters do not.
            ("§2.1", &[("cdn-cache-control", "public"), ("cdn-cache-control", "max-age=1")], true, Some(1)),
            ("§2.1", &[("cdn-cache-control", "max-age=a, max-age=2, max-age=1")], true, Some(1)),
            ("§2.1", &[("cdn-cache-control", "max-age=1;max-age=2;x=\"y\"")], true, Some(1)),
            ("§2.1", &[("cdn-cache-control", "max-age=1, max-age")], false, None),
        ];
        for (section, lines, targeted, max_age) in rows {
            let found = of(lines);
            assert_eq!(found.targeted, targeted, "RFC 9213 {section}: {lines:?}");
            let seconds = found.directives.max_age.map(|age| age.as_secs());
            assert_eq!(seconds, max_age, "RFC 9213 {section}: {lines:?}");
        }
    }

    #[test]
    fn without_targets_cache_control_governs() {
        let response = headers(&[
            ("cache-control", "no-store"),
            ("cdn-cache-control", "public"),
        ]);
        let found = Governing::of(&response, &[]);
        assert!(found.directives.no_store && !found.targeted);
    }

    #[test]
    fn deltas_are_held_in_bounds() {
        // RFC 9111 §1.2.2 and §4.2.1.
        let rows = [
            ("max-age=-1", 0),
            ("max-age=0", 0),
            ("max-age=2147483648", 1 << 31),
            ("max-age=99999999999", 1 << 31),
        ];
        for (line, seconds) in rows {
            let found = of(&[("cdn-cache-control", line)]).directives.max_age;
            assert_eq!(found, Some(Duration::from_secs(seconds)), "{line}");
        }
    }

    #[test]
    fn a_qualified_directive_names_fields() {
        let cookie = || Scope::Fields([HeaderName::from_static("set-cookie")].into());
        // All rows: RFC 9213 §2.1.
        let rows = [
            ("private", Scope::Whole),
            ("private=?1", Scope::Whole),
            ("private=\"Set-Cookie\"", cookie()),
            ("private=Set-Cookie", cookie()),
            ("private=\"a b\"", Scope::Whole),
            ("private=?0, public", Scope::Absent),
            ("private=1, public", Scope::Absent),
        ];
        for (line, expected) in rows {
            let found = of(&[("cdn-cache-control", line)]).directives;
            assert_eq!(found.private, expected, "{line}");
        }
    }

    /// A member that both grammars read alike, with the name it may stand under once.
    fn any_member() -> impl Strategy<Value = (&'static str, String)> {
        const FLAGS: [&str; 10] = [
            "no-store",
            "public",
            "must-revalidate",
            "proxy-revalidate",
            "must-understand",
            "no-transform",
            "immutable",
            "no-cache",
            "private",
            "x-unknown",
        ];
        const DELTAS: [&str; 4] = [
            "max-age",
            "s-maxage",
            "stale-while-revalidate",
            "stale-if-error",
        ];
        prop_oneof![
            proptest::sample::select(&FLAGS[..]).prop_map(|name| (name, name.to_owned())),
            (proptest::sample::select(&DELTAS[..]), 0_u64..1 << 33)
                .prop_map(|(name, value)| (name, format!("{name}={value}"))),
            (
                proptest::sample::select(&["private", "no-cache"][..]),
                "[a-z]{1,3}(, [a-z]{1,3})?"
            )
                .prop_map(|(name, value)| (name, format!("{name}=\"{value}\""))),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_headers_panic(response in any_headers()) {
            let found = Governing::of(&response, &[CACHE_CONTROL]);
            prop_assert!(found.directives.max_age <= Some(DELTA_MAX));
            if !found.targeted {
                prop_assert_eq!(found.directives, Directives::parse(&response));
            }
        }

        #[test]
        fn no_dictionary_panics(line in "[ -~]{0,40}") {
            let _ = of(&[("cdn-cache-control", &line)]);
        }

        #[test]
        fn what_both_grammars_read_means_the_same(
            mut lines in proptest::collection::vec(any_member(), 1..6),
        ) {
            // Of a directive that comes twice one takes the first and the other the last.
            let mut names = HashSet::new();
            lines.retain(|(name, _)| names.insert(*name));
            let as_field = |field: &'static str| -> Vec<(&str, &str)> {
                lines.iter().map(|(_, line)| (field, line.as_str())).collect()
            };
            let targeted = of(&as_field("cdn-cache-control"));
            prop_assert!(targeted.targeted);
            let plain = Directives::parse(&headers(&as_field("cache-control")));
            prop_assert_eq!(targeted.directives, plain);
        }
    }
}
