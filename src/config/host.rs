//! Names of hosts as they stand in URLs and in Host fields, checked and in one form.
//!
//! Not the resolving of names, nor which site a host leads to.

use std::net::{Ipv4Addr, Ipv6Addr};

/// RFC 1035 §2.3.4: "labels: 63 octets or less, names: 255 octets or less", the latter with a
/// length before each label and an empty label at the end.
const LABEL_MAX: usize = 63;
const NAME_MAX: usize = 253;

/// `host` without a port in lower case; an IPv6 address keeps its brackets.
///
/// # Errors
/// What is wrong with it and how to mend it.
pub(super) fn parse(host: &str) -> Result<String, &'static str> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner
            .strip_suffix(']')
            .and_then(|it| it.parse::<Ipv6Addr>().ok());
        return address
            .map(|it| format!("[{it}]"))
            .ok_or("is not an IPv6 address in brackets");
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        return Err("an IPv6 address stands in brackets, as \"[::1]\"");
    }
    if host.contains(':') {
        return Err("a host stands here alone, as \"app.internal\"; leave scheme and port out");
    }
    check_name(host)?;
    Ok(host.to_ascii_lowercase())
}

/// A host with or without a port (RFC 9110 §7.2: `Host = uri-host [ ":" port ]`).
///
/// # Errors
/// What is wrong with it and how to mend it.
pub(super) fn parse_with_port(text: &str) -> Result<(String, Option<u16>), &'static str> {
    let port_at = text.rfind(':').filter(|at| !text[*at..].contains(']'));
    let Some(at) = port_at else {
        return Ok((parse(text)?, None));
    };
    // `at` is the place of an ASCII colon, so that both cuts are between characters.
    let (host, port) = (&text[..at], &text[at + 1..]);
    let host = parse(host)?;
    let is_number = port.bytes().all(|it| it.is_ascii_digit());
    match port.parse() {
        Ok(port) if is_number && port > 0 => Ok((host, Some(port))),
        _ => Err("the port must be a number from 1 to 65535"),
    }
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("the name of the host is missing");
    }
    if !name.is_ascii() {
        return Err("a name beyond ASCII is written in its \"xn--\" form");
    }
    if name.ends_with('.') {
        return Err("the final dot is left out");
    }
    let is_letter = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_');
    let is_label = |it: &str| (1..=LABEL_MAX).contains(&it.len()) && it.bytes().all(is_letter);
    if name.len() > NAME_MAX || !name.split('.').all(is_label) {
        return Err("is not the name of a host; use letters, digits, hyphens and single dots");
    }
    // RFC 3986 §7.4: a name that ends in a number would be taken for an IPv4 address by some.
    let ends_in_number = name
        .rsplit('.')
        .next()
        .is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()));
    if ends_in_number && name.parse::<Ipv4Addr>().is_err() {
        return Err("is not an IPv4 address; write four numbers from 0 to 255");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        // RFC 3986 §3.2.2: IP-literal, IPv4address, reg-name.
        for (text, host) in [
            ("Shop.Example", Some("shop.example")),
            ("my_service", Some("my_service")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("[::1]", Some("[::1]")),
            ("[0:0::1]", Some("[::1]")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("", None),
            ("a..b", None),
            (".a", None),
            ("a.", None),
            ("a b", None),
            ("a:80", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]:80", None),
            ("[1.2.3.4]", None),
            ("256.1.1.1", None),
            ("1.2.3", None),
            ("bücher.example", None),
            ("a%41", None),
            ("user@host", None),
        ] {
            assert_eq!(parse(text).ok().as_deref(), host, "{text}");
        }
        assert!(parse(&"a".repeat(64)).is_err());
        assert!(parse(&["a"; 128].join(".")).is_err());
    }

    #[test]
    fn hosts_with_ports() {
        // RFC 3986 §3.2.3.
        for (text, parsed) in [
            ("a:1", Some(("a", Some(1)))),
            ("a", Some(("a", None))),
            ("[::1]", Some(("[::1]", None))),
            ("[::1]:65535", Some(("[::1]", Some(65535)))),
            ("a:", None),
            ("a:0", None),
            ("a:+1", None),
            ("a:65536", None),
            (":80", None),
            ("::1", None),
        ] {
            let wanted = parsed.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(parse_with_port(text).ok(), wanted, "{text}");
        }
    }
}
