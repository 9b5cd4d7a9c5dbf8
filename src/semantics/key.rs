//! Cache key: scheme, authority, path and query of a target URI, byte for byte.
//!
//! Nothing is decoded and no dot segment removed here: what spellings of a path are one is told by
//! `path_form.rs`, and what the operator knows of the query's parameters is in `query.rs`. Vary is not
//! part of the key (see `vary.rs`).

use std::borrow::{Borrow, Cow};
use std::fmt::{self, Display};
use std::net::Ipv6Addr;
use std::ops::Deref;
use std::sync::Arc;

use smallvec::SmallVec;

use super::no_vary_search::NoVarySearch;
use super::query::QueryRule;

/// The longest host that is accepted, in bytes: what a DNS name can have, with room for its dot.
const HOST_BYTES_MAX: usize = 255;

/// The cache key of one URI; clones are cheap.
///
/// It hashes as the bytes it borrows as, so a map keyed by it is searched with a [`KeyBuf`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<[u8]>);

/// A cache key being asked for, on the stack unless it is long.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBuf(SmallVec<[u8; 256]>);

/// The URI schemes that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http` (RFC 9110 §4.2.1).
    Http,
    /// `https` (RFC 9110 §4.2.2).
    Https,
}

// === impl Key ===

impl Key {
    /// The scheme of the URI.
    pub fn scheme(&self) -> Scheme {
        match self.0.first() {
            Some(b's') => Scheme::Https,
            _ => Scheme::Http,
        }
    }

    /// Host and port of the URI, as [`normal_authority`] wrote them.
    pub fn authority(&self) -> &[u8] {
        self.parts().0
    }

    /// The URI's path, with `?` and the query if it has one.
    pub fn path_and_query(&self) -> &[u8] {
        self.parts().1
    }

    /// The URI, as `http://host/path`.
    pub fn display(&self) -> impl Display {
        fmt::from_fn(|f| {
            let (authority, path) = self.parts();
            let (authority, path) = (
                String::from_utf8_lossy(authority),
                String::from_utf8_lossy(path),
            );
            write!(f, "{}://{authority}{path}", self.scheme().as_str())
        })
    }

    /// What the key weighs in memory, in bytes.
    pub fn len_bytes(&self) -> usize {
        self.0.len()
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        Self::divide(&self.0)
    }

    /// Authority and path with query of a key in bytes.
    pub fn divide(key: &[u8]) -> (&[u8], &[u8]) {
        let rest = key.get(1..).unwrap_or_default();
        match memchr::memchr(0, rest) {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &[]),
        }
    }

    /// How all keys of one origin begin: scheme, host and port, of a key in bytes.
    pub fn origin(key: &[u8]) -> &[u8] {
        let end = memchr::memchr(0, key).unwrap_or(key.len());
        &key[..end]
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.display())
    }
}

// === impl KeyBuf ===

impl KeyBuf {
    /// The key of a URI; `authority` is what [`normal_authority`] gave.
    ///
    /// Two URIs share a key only if all three parts agree: neither an authority nor a path can
    /// hold the NUL that divides them. An empty path is `/` (RFC 9110 §4.2.3).
    pub fn new(scheme: Scheme, authority: &str, path_and_query: &str) -> Self {
        let mut key = Self::opened(scheme, authority);
        key.push_path(path_and_query);
        key
    }

    /// As [`new`](Self::new), with those parameters of the query, and in that order, which `rule`
    /// says. A query of which a filter leaves nothing is as none: `/p?utm_source=a` is `/p`.
    pub fn with_rule(
        scheme: Scheme,
        authority: &str,
        path_and_query: &str,
        rule: &QueryRule,
    ) -> Self {
        let ruled = path_and_query
            .split_once('?')
            .and_then(|(path, query)| Some((path, rule.parameters(query)?)));
        let Some((path, parameters)) = ruled else {
            return Self::new(scheme, authority, path_and_query);
        };
        let mut key = Self::opened(scheme, authority);
        key.push_path(path);
        for (at, parameter) in parameters.iter().enumerate() {
            key.0.push(if at == 0 { b'?' } else { b'&' });
            key.0.extend_from_slice(parameter.as_bytes());
        }
        key
    }

    /// The authority, in the normal form it was given in.
    pub fn authority(&self) -> &str {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(self.0.len());
        // It came as text, so it is text; the scheme before it is one byte.
        std::str::from_utf8(self.0.get(1..end).unwrap_or_default()).unwrap_or_default()
    }

    /// The key without its query.
    pub fn without_query(&self) -> &[u8] {
        // An authority has no `?` in it.
        let end = memchr::memchr(b'?', &self.0).unwrap_or(self.0.len());
        &self.0[..end]
    }

    /// One key for all URIs that `variance` takes for the same. Nothing is filed under it: another
    /// URI may have it for its own.
    #[must_use]
    pub fn under(&self, variance: &NoVarySearch) -> Self {
        let path = self.without_query();
        let query = self.0.get(path.len() + 1..).unwrap_or_default();
        let query = variance.normalise(&String::from_utf8_lossy(query));
        let mut bytes = SmallVec::from_slice(path);
        if !query.is_empty() {
            bytes.push(b'?');
            bytes.extend_from_slice(query.as_bytes());
        }
        Self(bytes)
    }

    /// The key to keep.
    pub fn to_key(&self) -> Key {
        Key(Arc::from(&self.0[..]))
    }

    /// A key up to where the path begins.
    fn opened(scheme: Scheme, authority: &str) -> Self {
        let mut bytes = SmallVec::new();
        bytes.push(match scheme {
            Scheme::Http => b'h',
            Scheme::Https => b's',
        });
        bytes.extend_from_slice(authority.as_bytes());
        bytes.push(0);
        Self(bytes)
    }

    fn push_path(&mut self, path_and_query: &str) {
        if path_and_query.is_empty() || path_and_query.starts_with('?') {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(path_and_query.as_bytes());
    }
}

impl Deref for KeyBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&Key> for KeyBuf {
    fn from(key: &Key) -> Self {
        Self(SmallVec::from_slice(&key.0))
    }
}

impl fmt::Debug for KeyBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyBuf({})", self.to_key().display())
    }
}

// === impl Scheme ===

impl Scheme {
    /// The scheme's name, `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that is meant where a URI names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Host and port of a request in normal form: lower case, without the scheme's default port and without
/// a dot behind the name.
///
/// `None` if it isn't `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2): empty, with userinfo,
/// with a byte that a host cannot have, a broken IPv6 literal, or a port above 65535. Borrows when
/// the text is normal already.
pub fn normal_authority(host: &str, scheme: Scheme) -> Option<Cow<'_, str>> {
    let (name, port) = split_port(host)?;
    // A name with the dot of the root is the name without it (RFC 3986 §3.2.2), for routes and keys too.
    let name = match name.strip_suffix('.') {
        Some(short) if short.ends_with(['.', ']']) => return None,
        Some(short) => short,
        None => name,
    };
    let plain = match name.strip_prefix('[') {
        // An address in brackets; a zone or a future version of IP has no place in a Host field.
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().is_ok(),
        None => is_reg_name(name.as_bytes()),
    };
    if !plain || name.len() > HOST_BYTES_MAX {
        return None;
    }
    // RFC 3986 §6.2.3: the default port, or an empty one, is the same as none.
    let port = port.filter(|port| *port != scheme.default_port());
    let lowered = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    };
    Some(join_port(host, lowered, port))
}

/// Divides `host` before its port, which is checked.
fn split_port(host: &str) -> Option<(&str, Option<u16>)> {
    let bracket = host.rfind(']').unwrap_or(0);
    let Some(colon) = host[bracket..].find(':').map(|at| bracket + at) else {
        return Some((host, None));
    };
    let digits = &host[colon + 1..];
    let port = match digits {
        "" => None,
        _ if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
        _ => return None,
    };
    Some((&host[..colon], port))
}

/// `name` with `port`, borrowed from `host` if that says just so.
fn join_port<'a>(host: &'a str, name: Cow<'a, str>, port: Option<u16>) -> Cow<'a, str> {
    let Some(port) = port else { return name };
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(port);
    match name {
        Cow::Borrowed(name) if host[name.len()..].strip_prefix(':') == Some(digits) => {
            Cow::Borrowed(host)
        }
        name => Cow::Owned(format!("{name}:{digits}")),
    }
}

/// RFC 3986 §3.2.2: `reg-name = *( unreserved / pct-encoded / sub-delims )`; an IPv4 address is one
/// too. Empty names are refused: http URIs must have a host (RFC 9110 §4.2.1).
fn is_reg_name(mut name: &[u8]) -> bool {
    let empty = name.is_empty();
    loop {
        name = match name {
            [] => return !empty,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [byte, rest @ ..] if is_unreserved(*byte) || b"!$&'()*+,;=".contains(byte) => rest,
            _ => return false,
        };
    }
}

/// RFC 3986 §2.3.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, RandomState};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn authorities_are_brought_to_normal_form() {
        let rows = [
            // RFC 3986 §6.2.2.1: the host is case-insensitive.
            ("example.com", Some("example.com")),
            ("EXAMPLE.com", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("example.com.:8080", Some("example.com:8080")),
            ("example.com.:80", Some("example.com")),
            ("example.com..", None),
            ("[::1].", None),
            (".", None),
            ("127.0.0.1:8080", Some("127.0.0.1:8080")),
            ("[::1]", Some("[::1]")),
            ("[FE80::1]:8080", Some("[fe80::1]:8080")),
            ("a_b-c.d~e!$&'()*+,;=%2F", Some("a_b-c.d~e!$&'()*+,;=%2f")),
            // §6.2.3: the default port, or an empty one, is the same as none.
            ("example.com:80", Some("example.com")),
            ("example.com:080", Some("example.com")),
            ("example.com:", Some("example.com")),
            ("example.com:443", Some("example.com:443")),
            ("example.com:08080", Some("example.com:8080")),
            ("Example.com:8080", Some("example.com:8080")),
            ("example.com:65535", Some("example.com:65535")),
            // RFC 9110 §4.2.1: the host must not be empty; §4.2.4: userinfo is refused.
            ("", None),
            (":80", None),
            ("user@example.com", None),
            ("user:pass@example.com:80", None),
            // RFC 3986 §3.2.2 and §3.2.3.
            ("example.com:65536", None),
            ("example.com:+80", None),
            ("example.com:80a", None),
            ("example.com:80:80", None),
            ("exam ple.com", None),
            ("example.com/path", None),
            ("example.com?q", None),
            ("example.com#f", None),
            ("exämple.com", None),
            ("a\0b", None),
            ("a%2", None),
            ("a%zz", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]x:80", None),
            ("[fe80::1%25eth0]", None),
            ("[v1.a]", None),
            ("[]", None),
            ("a]b", None),
        ];
        for (host, expected) in rows {
            let found = normal_authority(host, Scheme::Http);
            assert_eq!(found.as_deref(), expected, "{host}");
        }
        assert_eq!(
            normal_authority("a:443", Scheme::Https).as_deref(),
            Some("a")
        );
        assert_eq!(
            normal_authority(&"a".repeat(HOST_BYTES_MAX + 1), Scheme::Http),
            None
        );
    }

    #[test]
    fn normal_text_is_borrowed() {
        for host in [
            "example.com",
            "example.com:80",
            "example.com:8080",
            "[::1]:8080",
        ] {
            let found = normal_authority(host, Scheme::Http);
            assert!(matches!(found, Some(Cow::Borrowed(_))), "{host}");
        }
    }

    #[test]
    fn a_key_tells_its_parts() {
        let key = KeyBuf::new(Scheme::Https, "example.com:8443", "/a?b=c").to_key();
        assert_eq!(key.scheme(), Scheme::Https);
        assert_eq!(key.authority(), b"example.com:8443");
        assert_eq!(key.path_and_query(), b"/a?b=c");
        assert_eq!(key.display().to_string(), "https://example.com:8443/a?b=c");
        assert_eq!(key.len_bytes(), 1 + 16 + 1 + 6);
    }

    #[test]
    fn an_empty_path_is_the_root() {
        // RFC 9110 §4.2.3.
        let key = |path| KeyBuf::new(Scheme::Http, "a", path);
        assert_eq!(key(""), key("/"));
        assert_eq!(key("?q"), key("/?q"));
        assert_ne!(key("*"), key("/*"));
    }

    #[test]
    fn a_rule_shapes_the_query() {
        let rule = QueryRule::new(true, None, &["utm_*".to_owned()]);
        let rows = [
            ("/p", "/p"),
            ("/p?b=2&a=1", "/p?a=1&b=2"),
            ("/p?b=2&utm_source=x&a=1", "/p?a=1&b=2"),
            ("/p?utm_source=x", "/p"),
            ("?utm_source=x", "/"),
            ("/p?a=1?utm_source=x", "/p?a=1?utm_source=x"),
        ];
        for (target, expected) in rows {
            let ruled = KeyBuf::with_rule(Scheme::Http, "a", target, &rule);
            assert_eq!(ruled, KeyBuf::new(Scheme::Http, "a", expected), "{target}");
        }
        let ruled = KeyBuf::with_rule(Scheme::Http, "a", "/p?b=2&a=1", &rule);
        assert!(!ruled.0.spilled());
    }

    #[test]
    fn a_short_key_is_built_on_the_stack() {
        assert!(!KeyBuf::new(Scheme::Http, "example.com", "/a").0.spilled());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn keys_are_injective(
            left in ("[a-c:]{0,3}", "/[a-c/:]{0,3}", any::<bool>()),
            right in ("[a-c:]{0,3}", "/[a-c/:]{0,3}", any::<bool>()),
        ) {
            let key = |(authority, path, secure): &(String, String, bool)| {
                let scheme = if *secure { Scheme::Https } else { Scheme::Http };
                KeyBuf::new(scheme, authority, path)
            };
            prop_assert_eq!(left == right, key(&left) == key(&right));
        }

        #[test]
        fn without_a_rule_a_key_is_exact(target in "/[ab?&=]{0,12}") {
            let exact = KeyBuf::new(Scheme::Http, "a", &target);
            let rule = QueryRule::default();
            prop_assert_eq!(KeyBuf::with_rule(Scheme::Http, "a", &target, &rule), exact);
        }

        #[test]
        fn a_rule_leaves_alone_what_it_shaped(
            target in "/[ab?&=.;]{0,12}", sort: bool, filter: bool,
        ) {
            let deny = if filter { vec!["b".to_owned()] } else { vec![] };
            let rule = QueryRule::new(sort, None, &deny);
            let once = KeyBuf::with_rule(Scheme::Http, "a", &target, &rule);
            let shaped = String::from_utf8_lossy(once.to_key().path_and_query()).into_owned();
            prop_assert_eq!(KeyBuf::with_rule(Scheme::Http, "a", &shaped, &rule), once);
        }

        #[test]
        fn a_key_is_found_by_its_bytes(path in ".{0,300}") {
            let asked = KeyBuf::new(Scheme::Http, "example.com", &path);
            let key = asked.to_key();
            let state = RandomState::new();
            prop_assert_eq!(state.hash_one(&key), state.hash_one(&asked[..]));
            let keys = HashSet::from([key]);
            prop_assert!(keys.contains(&asked[..]));
        }

        #[test]
        fn a_normal_authority_stays_as_it_is(host in "[a-zA-Z0-9:.%\\[\\]@-]{0,20}") {
            if let Some(normal) = normal_authority(&host, Scheme::Http) {
                prop_assert_eq!(normal_authority(&normal, Scheme::Http), Some(normal.clone()));
            }
        }

        #[test]
        fn no_text_panics(host in any::<String>()) {
            let _ = normal_authority(&host, Scheme::Https);
        }
    }
}
