//! Fields of trusted proxies on a request: whose it is, for which host, and how it came to them.
//!
//! X-Forwarded-For, -Host and -Proto, which nobody has specified, and Forwarded (RFC 7239). Which
//! proxies are believed is the caller's word; what no proxy of his wrote is not believed.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName};

use super::key::{Scheme, normal_authority};
use super::list;

/// RFC 7239 §4.
pub const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
/// The addresses that a request came from, the nearest last.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The host that was asked.
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// The scheme in which it was asked.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// No request has come through more proxies than this.
const HOPS_MAX: usize = 32;

/// In which words proxies tell each other whose a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// X-Forwarded-For, -Host and -Proto.
    #[default]
    XForwarded,
    /// Forwarded.
    Rfc7239,
    /// Both are written. Forwarded is only believed where there is no X-Forwarded-For.
    Both,
}

/// What was said of a request by those who are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The nearest address that is not one of theirs; the farthest of theirs, if there is none.
    pub client: IpAddr,
    /// How the client asked, if that was said.
    pub scheme: Option<Scheme>,
    /// The host that it asked, in a form that a Host field may have, if that was said.
    pub host: Option<String>,
    /// The field that was believed. Nothing in the other is worth passing on: whoever speaks the one
    /// may leave the other as a client wrote it.
    pub by: HeaderName,
}

/// What one proxy says in Forwarded of the request that came to it.
#[derive(Debug, Default)]
struct Element {
    client: Option<IpAddr>,
    scheme: Option<Scheme>,
    host: Option<String>,
}

// === impl Dialect ===

impl Dialect {
    /// Whether X-Forwarded-For, -Host and -Proto are written.
    pub fn has_x_forwarded(self) -> bool {
        self != Self::Rfc7239
    }

    /// Whether Forwarded is written.
    pub fn has_forwarded(self) -> bool {
        self != Self::XForwarded
    }
}

/// What is said of a request that came from `peer`, who is believed, as are all that `trusts` says
/// yes to.
///
/// The lists are read from their end, where each proxy has added whom it saw: what stands before
/// the first address that is not believed may have been written by that client itself.
pub fn told(
    headers: &HeaderMap,
    dialect: Dialect,
    peer: IpAddr,
    trusts: impl Fn(IpAddr) -> bool,
) -> Told {
    let by_x = match dialect {
        Dialect::XForwarded => true,
        Dialect::Rfc7239 => false,
        Dialect::Both => headers.contains_key(X_FORWARDED_FOR),
    };
    if by_x {
        told_by_x(headers, peer, trusts)
    } else {
        told_by_forwarded(headers, peer, trusts)
    }
}

fn told_by_x(headers: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> Told {
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let members = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let addresses = members.map(|member| {
        let text = std::str::from_utf8(list::trim(member)).ok()?;
        address(text)
    });
    let mut client = peer;
    for address in addresses.take(HOPS_MAX) {
        // What is no address was written by nobody who knew one.
        let Some(address) = address else { break };
        client = address;
        if !trusts(address) {
            break;
        }
    }
    Told {
        client,
        scheme: single(headers, &X_FORWARDED_PROTO).and_then(scheme),
        host: single(headers, &X_FORWARDED_HOST).and_then(host),
        by: X_FORWARDED_FOR,
    }
}

/// The one word of a field. Of several nobody knows who said which.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    let (line, another) = (lines.next()?, lines.next());
    line.to_str().ok().filter(|_| another.is_none())
}

fn told_by_forwarded(headers: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> Told {
    let mut told = Told {
        client: peer,
        scheme: None,
        host: None,
        by: FORWARDED,
    };
    for element in elements(headers).unwrap_or_default().into_iter().rev() {
        (told.scheme, told.host) = (element.scheme, element.host);
        // `unknown` and names that say nothing (RFC 7239 §6.2, §6.3) end the way back.
        let Some(address) = element.client else { break };
        told.client = address;
        if !trusts(address) {
            break;
        }
    }
    told
}

/// Whether all of Forwarded can be read, so that more may be added to it.
pub fn is_readable(headers: &HeaderMap) -> bool {
    elements(headers).is_some()
}

/// The element of Forwarded that says: this request came from `client`, for `host`, by `scheme`.
pub fn element(client: IpAddr, host: Option<&str>, scheme: Option<Scheme>) -> String {
    // Room for the longest address and the words around. Writing to a string does not fail.
    let mut text = String::with_capacity(host.map_or(0, str::len) + 80);
    let _ = match client {
        IpAddr::V4(address) => write!(text, "for={address}"),
        // "Note that an IPv6 address is always enclosed in square brackets", and brackets must be
        // quoted (RFC 7239 §6).
        IpAddr::V6(address) => write!(text, "for=\"[{address}]\""),
    };
    if let Some(host) = host {
        let is_token = host.bytes().all(list::is_tchar);
        let quote = if is_token { "" } else { "\"" };
        // A host has neither quotes nor backslashes.
        let _ = write!(text, ";host={quote}{host}{quote}");
    }
    if let Some(scheme) = scheme {
        text.push_str(match scheme {
            Scheme::Http => ";proto=http",
            Scheme::Https => ";proto=https",
        });
    }
    text
}

// --- grammar -------------------------------------------------------------------------------------

/// The elements of all lines; `None` if one of them is none, or if there are too many.
fn elements(headers: &HeaderMap) -> Option<Vec<Element>> {
    let name = FORWARDED;
    let members = list::all_members(headers, &name).filter(|member| !member.is_empty());
    let mut elements = Vec::new();
    for member in members {
        if elements.len() == HOPS_MAX {
            return None;
        }
        elements.push(read_element(member)?);
    }
    Some(elements)
}

/// `[ forwarded-pair ] *( ";" [ forwarded-pair ] )` (RFC 7239 §4).
fn read_element(mut rest: &[u8]) -> Option<Element> {
    let mut element = Element::default();
    let mut seen: Vec<Vec<u8>> = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b";") {
            rest = list::trim(after);
            continue;
        }
        let (name, value, after) = read_pair(rest)?;
        rest = list::trim(after);
        let name = name.to_ascii_lowercase();
        // "Each parameter MUST NOT occur more than once per field-value." (RFC 7239 §4)
        if seen.contains(&name) || seen.len() == HOPS_MAX {
            return None;
        }
        match name.as_slice() {
            b"for" => element.client = address(&value),
            b"proto" => element.scheme = scheme(&value),
            b"host" => element.host = host(&value),
            _ => {}
        }
        seen.push(name);
        if !rest.is_empty() && !rest.starts_with(b";") {
            return None;
        }
    }
    Some(element)
}

/// `token "=" value` at the beginning of `text`, and what follows.
fn read_pair(text: &[u8]) -> Option<(&[u8], String, &[u8])> {
    let name_ends = text.iter().position(|byte| !list::is_tchar(*byte))?;
    let (name, rest) = text.split_at(name_ends);
    let rest = rest.strip_prefix(b"=").filter(|_| !name.is_empty())?;
    let (value, rest) = match rest.strip_prefix(b"\"") {
        Some(quoted) => read_quoted(quoted)?,
        None => {
            let ends = rest.iter().position(|byte| !list::is_tchar(*byte));
            let (token, rest) = rest.split_at(ends.unwrap_or(rest.len()));
            (token.to_vec(), rest)
        }
    };
    let value = String::from_utf8(value).ok().filter(|it| !it.is_empty())?;
    Some((name, value, rest))
}

/// A quoted string behind its first quote, without escapes, and what follows.
fn read_quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut bytes = text.iter().enumerate();
    loop {
        match bytes.next()? {
            (at, b'"') => return Some((value, &text[at + 1..])),
            (_, b'\\') => value.push(*bytes.next()?.1),
            (_, byte) => value.push(*byte),
        }
    }
}

/// `nodename [ ":" node-port ]` (RFC 7239 §6) where the name is an address; in X-Forwarded-For an
/// IPv6 address may lack its brackets.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let (address, rest) = inner.split_once(']')?;
            (IpAddr::V6(address.parse::<Ipv6Addr>().ok()?), rest)
        }
        None => {
            let colon = text.find(':')?;
            // `colon` is the place of an ASCII character.
            let (address, rest) = text.split_at(colon);
            (IpAddr::V4(address.parse::<Ipv4Addr>().ok()?), rest)
        }
    };
    let is_port = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    is_whole.then(|| address.to_canonical())
}

fn scheme(text: &str) -> Option<Scheme> {
    match text.trim() {
        text if text.eq_ignore_ascii_case("http") => Some(Scheme::Http),
        text if text.eq_ignore_ascii_case("https") => Some(Scheme::Https),
        _ => None,
    }
}

fn host(text: &str) -> Option<String> {
    let text = text.trim();
    normal_authority(text, Scheme::Http).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    fn fields(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            headers.append(name, value);
        }
        headers
    }

    /// All of 10.0.0.0/8 is believed.
    fn read(lines: &[(HeaderName, &str)], dialect: Dialect) -> (String, Option<Scheme>, String) {
        let trusts = |it: IpAddr| matches!(it, IpAddr::V4(it) if it.octets()[0] == 10);
        let told = told(&fields(lines), dialect, PEER, trusts);
        let host = told.host.unwrap_or_default();
        (told.client.to_string(), told.scheme, host)
    }

    #[test]
    fn the_client_is_the_nearest_address_that_is_not_believed() {
        // X-Forwarded-For as nginx, HAProxy and AWS write it: the nearest last.
        for (lines, client) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (&["1.2.3.4, 192.0.2.1,10.0.0.2 "], "192.0.2.1"),
            (&["192.0.2.1", "10.0.0.2"], "192.0.2.1"),
            (&["10.0.0.9"], "10.0.0.9"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]:80"], "2001:db8::1"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["192.0.2.1, "], "10.0.0.1"),
            (&["192.0.2.1:x"], "10.0.0.1"),
            (&["[192.0.2.1]"], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&[], "10.0.0.1"),
        ] {
            let lines: Vec<_> = lines.iter().map(|it| (X_FORWARDED_FOR, *it)).collect();
            assert_eq!(read(&lines, Dialect::XForwarded).0, client, "{lines:?}");
            assert_eq!(read(&lines, Dialect::Rfc7239).0, "10.0.0.1", "{lines:?}");
        }
        let long = ["10.0.0.2"; 10_000].join(",");
        assert_eq!(
            read(&[(X_FORWARDED_FOR, &long)], Dialect::XForwarded).0,
            "10.0.0.2"
        );
    }

    #[test]
    fn a_scheme_and_a_host_are_single_words() {
        for (name, lines, wanted) in [
            (X_FORWARDED_PROTO, &["https"][..], (Some(Scheme::Https), "")),
            (X_FORWARDED_PROTO, &["HTTP"], (Some(Scheme::Http), "")),
            (X_FORWARDED_PROTO, &["https,http"], (None, "")),
            (X_FORWARDED_PROTO, &["https", "https"], (None, "")),
            (X_FORWARDED_PROTO, &["wss"], (None, "")),
            (X_FORWARDED_HOST, &["Shop.test:81"], (None, "Shop.test:81")),
            (X_FORWARDED_HOST, &["a, b"], (None, "")),
            (X_FORWARDED_HOST, &["a", "b"], (None, "")),
            (X_FORWARDED_HOST, &["a/b"], (None, "")),
            (X_FORWARDED_HOST, &[""], (None, "")),
        ] {
            let lines: Vec<_> = lines.iter().map(|it| (name.clone(), *it)).collect();
            let (_, scheme, host) = read(&lines, Dialect::XForwarded);
            assert_eq!((scheme, host.as_str()), wanted, "{lines:?}");
        }
    }

    #[test]
    fn forwarded_tells_all_three() {
        // RFC 7239 §4, §6 and the examples of §7.
        for (line, client, scheme, host) in [
            ("for=192.0.2.43", "192.0.2.43", None, ""),
            (
                "For=\"[2001:db8:cafe::17]:4711\"",
                "2001:db8:cafe::17",
                None,
                "",
            ),
            (
                "for=192.0.2.60;proto=http;by=203.0.113.43",
                "192.0.2.60",
                Some(Scheme::Http),
                "",
            ),
            (
                "for=1.2.3.4, for=192.0.2.43;host=a, for=10.0.0.2;host=b",
                "192.0.2.43",
                None,
                "a",
            ),
            (
                "for=192.0.2.1;host=\"a:81\";proto=https",
                "192.0.2.1",
                Some(Scheme::Https),
                "a:81",
            ),
            ("for=\"192.0.2.1\\:80\"", "192.0.2.1", None, ""),
            (
                "for=unknown;proto=https",
                "10.0.0.1",
                Some(Scheme::Https),
                "",
            ),
            ("for=_hidden, for=10.0.0.2", "10.0.0.2", None, ""),
            ("for=192.0.2.1;;", "192.0.2.1", None, ""),
            // What cannot be read is not believed at all.
            ("for=192.0.2.1;for=192.0.2.2", "10.0.0.1", None, ""),
            ("for=192.0.2.1 proto=https", "10.0.0.1", None, ""),
            ("for=[::1]", "10.0.0.1", None, ""),
            ("for=\"192.0.2.1", "10.0.0.1", None, ""),
            ("for", "10.0.0.1", None, ""),
            ("=a", "10.0.0.1", None, ""),
            ("", "10.0.0.1", None, ""),
        ] {
            let lines = [(FORWARDED, line)];
            let wanted = (client.to_owned(), scheme, host.to_owned());
            assert_eq!(read(&lines, Dialect::Rfc7239), wanted, "{line}");
            assert_eq!(read(&lines, Dialect::Both), wanted, "{line}");
            assert_eq!(read(&lines, Dialect::XForwarded).0, "10.0.0.1", "{line}");
        }
        let both = [(FORWARDED, "for=192.0.2.1"), (X_FORWARDED_FOR, "192.0.2.2")];
        assert_eq!(read(&both, Dialect::Both).0, "192.0.2.2");
    }

    proptest! {
        #[test]
        fn any_fields_are_read(
            forwarded in "[ -~\u{e9}]{0,64}|([a-z]{1,5}=[\"a-z0-9.:;,=\\[\\]]{0,12}[;,]){0,40}",
            list in "[ -~\u{e9}]{0,64}|([0-9.:\\[\\]]{0,12},){0,40}",
        ) {
            let lines = [(FORWARDED, forwarded.as_str()), (X_FORWARDED_FOR, list.as_str())];
            for dialect in [Dialect::XForwarded, Dialect::Rfc7239, Dialect::Both] {
                read(&lines, dialect);
            }
        }

        #[test]
        fn what_is_written_is_read(bytes: [u8; 16], v4: bool, host in "[a-z]{1,9}(:[1-9]{1,4})?") {
            let client = match v4 {
                true => IpAddr::from([192, bytes[0], bytes[1], bytes[2]]),
                false => IpAddr::from(bytes).to_canonical(),
            };
            let text = element(client, Some(&host), Some(Scheme::Https));
            let headers = fields(&[(FORWARDED, &text)]);
            let told = told(&headers, Dialect::Rfc7239, PEER, |_| false);
            prop_assert_eq!((told.client, told.host), (client, Some(host)));
        }
    }
}
