//! Further fields of a header of the PROXY protocol's version 2: what the proxy before us knows of a
//! connection beside its endpoints.
//!
//! By HAProxy's `proxy-protocol.txt`, which is what § refers to here. They are told in the log and
//! decide nothing, so what cannot be read is passed over.

use std::fmt::Write;

/// More of them are not looked at.
pub const FIELDS_BYTES_MAX: usize = 4096;

/// PP2_TYPE_ALPN (§2.2.1).
const ALPN: u8 = 0x01;
/// PP2_TYPE_AUTHORITY (§2.2.2).
const AUTHORITY: u8 = 0x02;
/// PP2_TYPE_UNIQUE_ID (§2.2.5).
const UNIQUE_ID: u8 = 0x05;
/// PP2_TYPE_SSL (§2.2.6).
const SSL: u8 = 0x20;
/// PP2_SUBTYPE_SSL_VERSION (§2.2.6).
const SSL_VERSION: u8 = 0x21;
/// Before the fields within PP2_TYPE_SSL: what kind of client it is, and whether its certificate is good.
const SSL_HEAD_BYTES: usize = 5;

/// What the fields tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyFacts {
    /// The host that the client asked for, as by SNI.
    pub authority: Option<Box<str>>,
    /// The application protocol that was agreed on (RFC 7301).
    pub alpn: Option<Box<str>>,
    /// The version of TLS that the client spoke, as `TLSv1.3`.
    pub tls_version: Option<Box<str>>,
    /// What the connection is called.
    pub unique_id: Option<Box<str>>,
}

/// The facts among these fields; `None` where there are none that we know.
pub fn parse(bytes: &[u8]) -> Option<ProxyFacts> {
    let mut facts = ProxyFacts::default();
    for (kind, value) in fields(bytes) {
        match kind {
            ALPN => facts.alpn = shown(value),
            AUTHORITY => facts.authority = shown(value),
            UNIQUE_ID => facts.unique_id = shown(value),
            SSL => {
                let within = value.get(SSL_HEAD_BYTES..).unwrap_or_default();
                let version = fields(within).find(|it| it.0 == SSL_VERSION);
                facts.tls_version = version.and_then(|it| shown(it.1));
            }
            _ => {}
        }
    }
    Some(facts).filter(|it| *it != ProxyFacts::default())
}

/// A type, a length of two bytes and a value each, as far as they are whole (§2.2).
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&[kind, high, low], rest) = bytes.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
        bytes = rest;
        Some((kind, value))
    })
}

/// Text as it is, and other bytes as hexadecimal digits: an id is "an opaque byte sequence" (§2.2.5).
fn shown(value: &[u8]) -> Option<Box<str>> {
    if value.is_empty() {
        return None;
    }
    if let Ok(text) = std::str::from_utf8(value)
        && !text.contains(char::is_control)
    {
        return Some(text.into());
    }
    let mut digits = String::with_capacity(2 * value.len());
    for byte in value {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    Some(digits.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn facts_among_fields() {
        let ssl = b"\x20\0\x0f\x01\0\0\0\0\x21\0\x07TLSv1.3";
        for (bytes, expected) in [
            (&b""[..], ProxyFacts::default()),
            (
                b"\x01\0\x02h2\x04\0\x03abc",
                ProxyFacts {
                    alpn: Some("h2".into()),
                    ..Default::default()
                },
            ),
            (
                b"\x02\0\x06a.test\x05\0\x02\x01\xff",
                ProxyFacts {
                    authority: Some("a.test".into()),
                    unique_id: Some("01ff".into()),
                    ..Default::default()
                },
            ),
            (
                ssl,
                ProxyFacts {
                    tls_version: Some("TLSv1.3".into()),
                    ..Default::default()
                },
            ),
            // Cut off, and empty.
            (
                b"\x05\0\x02id\x02\0\x07a.test",
                ProxyFacts {
                    unique_id: Some("id".into()),
                    ..Default::default()
                },
            ),
            (b"\x05\0\0\x20\0\x03\x01\0\0", ProxyFacts::default()),
            (b"\x05\0", ProxyFacts::default()),
        ] {
            assert_eq!(parse(bytes).unwrap_or_default(), expected, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_ne!(parse(&bytes), Some(ProxyFacts::default()));
        }
    }
}
