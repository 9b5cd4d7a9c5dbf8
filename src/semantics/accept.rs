//! Media types that a client would rather have (RFC 9110 §12.5.1).
//!
//! Only the comparison: what there is to choose from, the caller knows.

use std::cmp::Reverse;

use http::HeaderMap;
use http::header::ACCEPT;

use super::fold::qvalue;
use super::list;

/// More members than any client sends; what follows is not read.
const MEMBERS_MAX: usize = 64;

/// How much a media type is liked: by its weight, then by how exactly it is named, then by how early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Liking {
    weight: u16,
    precision: u8,
    place: Reverse<usize>,
}

/// How much a client likes `kind/subtype`; the same for all where it says nothing.
///
/// "Media ranges can be overridden by more specific media ranges or specific media types. If more than
/// one media range applies to a given type, the most specific reference has precedence." (§12.5.1)
pub fn liking(request: &HeaderMap, kind: &str, subtype: &str) -> Liking {
    let members = list::all_members(request, &ACCEPT).take(MEMBERS_MAX);
    let fitting = members.enumerate().filter_map(|(place, member)| {
        let (precision, weight) = fit(member, kind, subtype)?;
        let place = Reverse(place);
        Some(Liking {
            weight,
            precision,
            place,
        })
    });
    let best = fitting.max_by_key(|it| (it.precision, it.weight));
    // §12.4.2: "a value of 0 means 'not acceptable'", as is what no range names.
    best.filter(|it| it.weight > 0).unwrap_or_default()
}

/// How exactly a media range names a type, and its weight.
fn fit(member: &[u8], kind: &str, subtype: &str) -> Option<(u8, u16)> {
    let mut parts = member.split(|byte| *byte == b';').map(list::trim);
    let range = parts.next()?;
    let slash = memchr::memchr(b'/', range)?;
    let (left, right) = (&range[..slash], &range[slash + 1..]);
    let is_kind = left.eq_ignore_ascii_case(kind.as_bytes());
    let precision = match right {
        b"*" if left == b"*" => 1,
        b"*" if is_kind => 2,
        _ if is_kind && right.eq_ignore_ascii_case(subtype.as_bytes()) => 3,
        _ => return None,
    };
    // What is of another form than a weight is a parameter of the type.
    let weight = parts.find_map(qvalue).unwrap_or(1000);
    Some((precision, weight))
}

#[cfg(test)]
mod tests {
    use super::super::testing::headers;
    use super::*;

    #[test]
    fn the_form_that_a_client_likes_best() {
        for (accept, json_first) in [
            (None, false),
            (Some("*/*"), false),
            (Some("text/html, */*"), false),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), false),
            (Some("application/json"), true),
            (Some("application/json, text/plain, */*"), true),
            (Some("text/html, application/json"), false),
            (Some("application/json, text/html"), true),
            (Some("text/html;q=0.5, application/json;q=0.4"), false),
            (Some("text/*;q=0.3, application/JSON ; v=1 ; q=0.4"), true),
            (Some("application/*, text/html;q=0.9"), true),
            (Some("application/json;q=0"), false),
            (Some("image/png"), false),
            (Some("/, ;, json"), false),
        ] {
            let lines: Vec<_> = accept.iter().map(|it| ("accept", *it)).collect();
            let request = headers(&lines);
            let html = liking(&request, "text", "html");
            let json = liking(&request, "application", "json");
            assert_eq!(json > html, json_first, "{accept:?}");
        }
    }
}
