//! Name of this hop, under which Via and Cache-Status tell what it did to a message.
//!
//! It is chosen once, and the values that most messages get are ready made.

use std::borrow::Cow;

use http::header::VIA;
use http::{HeaderMap, HeaderValue, Version};

use super::list::{self, is_tchar};

/// The name of a hop that was given none.
const NAME: &str = "copal";

/// A longer name would only make every message longer.
const NAME_BYTES_MAX: usize = 64;

/// How often a request may have passed a proxy of our name before it counts as going in circles.
const VIA_HOPS_MAX: usize = 8;

/// The versions of HTTP as Via writes them (RFC 9110 §7.6.3), with what stands there for `copal`.
const VERSIONS: [(&str, &str); 5] = [
    ("0.9", "0.9 copal"),
    ("1.0", "1.0 copal"),
    ("1.1", "1.1 copal"),
    ("2.0", "2.0 copal"),
    ("3.0", "3.0 copal"),
];

/// The name of this hop and what is written with it.
#[derive(Clone, Debug)]
pub struct Hop {
    name: Cow<'static, str>,
    hit: HeaderValue,
    /// In the order of [`VERSIONS`].
    via: [HeaderValue; 5],
}

// === impl Hop ===

impl Hop {
    /// The hop of this name, if that [can be one](is_name); else `copal`.
    pub fn new(name: &str) -> Self {
        if name == NAME || !is_name(name) {
            return Self::default();
        }
        // A token is ASCII without controls, and so is what is put beside it.
        let value = |text: String, copal| {
            HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(copal))
        };
        Self {
            hit: value(format!("{name}; hit"), "copal; hit"),
            via: VERSIONS.map(|(version, copal)| value(format!("{version} {name}"), copal)),
            name: Cow::Owned(name.to_owned()),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Cache-Status member of a plain hit (RFC 9211 §2.1).
    pub fn hit(&self) -> HeaderValue {
        self.hit.clone()
    }

    /// Adds this hop to Via; `version` is that of the message received (RFC 9110 §7.6.3).
    pub fn append_via(&self, headers: &mut HeaderMap, version: Version) {
        let index = match version {
            Version::HTTP_09 => 0,
            Version::HTTP_10 => 1,
            Version::HTTP_2 => 3,
            Version::HTTP_3 => 4,
            _ => 2,
        };
        headers.append(VIA, self.via[index].clone());
    }

    /// The Via member of an answer that this hop made itself.
    pub fn via(&self) -> HeaderValue {
        self.via[2].clone()
    }

    /// Whether a request has passed proxies of our name so often that it must be going in circles.
    ///
    /// RFC 9110 §7.6.3: Via "can be used for tracking message forwards, avoiding request loops". Some
    /// passes are fine: many proxies of one name may stand in a row.
    pub fn has_looped(&self, headers: &HeaderMap) -> bool {
        let ours = list::all_members(headers, &VIA).filter(|member| {
            let mut words = member
                .split(|byte| matches!(byte, b' ' | b'\t'))
                .filter(|w| !w.is_empty());
            words
                .nth(1)
                .is_some_and(|by| by.eq_ignore_ascii_case(self.name.as_bytes()))
        });
        ours.take(VIA_HOPS_MAX).count() == VIA_HOPS_MAX
    }
}

impl Default for Hop {
    fn default() -> Self {
        Self {
            name: Cow::Borrowed(NAME),
            hit: HeaderValue::from_static("copal; hit"),
            via: VERSIONS.map(|(_, via)| HeaderValue::from_static(via)),
        }
    }
}

/// Whether a hop may be called so: a token of Via (RFC 9110 §7.6.3) that is one of Cache-Status as
/// well, which begins with a letter (RFC 9651 §3.3.4).
pub fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(lines: &[&'static str]) -> HeaderMap {
        let values = lines.iter().map(|it| HeaderValue::from_static(it));
        values.map(|value| (VIA, value)).collect()
    }

    #[test]
    fn via_names_us_and_tells_loops() {
        // RFC 9110 §7.6.3.
        let hop = Hop::default();
        let mut request = via(&["1.0 fred, 1.1 copalite"]);
        hop.append_via(&mut request, Version::HTTP_10);
        hop.append_via(&mut request, Version::HTTP_11);
        hop.append_via(&mut request, Version::HTTP_2);
        let lines: Vec<_> = request.get_all(VIA).iter().collect();
        assert_eq!(
            lines,
            [
                "1.0 fred, 1.1 copalite",
                "1.0 copal",
                "1.1 copal",
                "2.0 copal"
            ]
        );
        assert!(!hop.has_looped(&request));
        let more = "1.1 copal, HTTP/1.1  Copal (x), 1.1 copal";
        request.append(VIA, HeaderValue::from_static(more));
        assert!(!hop.has_looped(&request), "six of ours, one of another");
        request.append(VIA, HeaderValue::from_static("1.1 copal, 1.1\tcopal"));
        assert!(hop.has_looped(&request));
        assert!(!Hop::new("edge-1").has_looped(&request), "all of another");
    }

    #[test]
    fn a_hop_may_have_a_name_of_its_own() {
        let hop = Hop::new("edge-1");
        let mut fields = HeaderMap::new();
        hop.append_via(&mut fields, Version::HTTP_3);
        assert_eq!(fields[VIA], "3.0 edge-1");
        assert_eq!(
            (hop.name(), hop.via(), hop.hit()),
            (
                "edge-1",
                HeaderValue::from_static("1.1 edge-1"),
                HeaderValue::from_static("edge-1; hit")
            )
        );
    }

    #[test]
    fn names_are_tokens_of_both_fields() {
        // RFC 9110 §5.6.2, RFC 9651 §3.3.4.
        for (name, is_one) in [
            ("copal", true),
            ("edge-1.fra", true),
            ("Edge_1", true),
            ("1edge", false),
            ("*edge", false),
            ("", false),
            ("edge 1", false),
            ("edge/1", false),
            ("edge:80", false),
            ("edgé", false),
            ("e\r\nx: y", false),
        ] {
            assert_eq!(is_name(name), is_one, "{name:?}");
        }
        assert!(is_name(&"a".repeat(64)) && !is_name(&"a".repeat(65)));
        assert_eq!(Hop::new("no name").name(), "copal");
    }
}
