//! Client certificates as a proxy that ends TLS tells origins of them (RFC 9440).

use http::{HeaderName, HeaderValue};
use sfv::ItemSerializer;

/// RFC 9440 §2.2.
pub const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
/// RFC 9440 §2.3.
pub const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// The value of `Client-Cert` for a certificate in DER: "a Byte Sequence" (RFC 9440 §2.2).
#[must_use]
pub fn to_value(certificate: &[u8]) -> Option<HeaderValue> {
    let text = ItemSerializer::new().bare_item(certificate).finish();
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_a_byte_sequence() {
        // RFC 9651 §3.3.5: colons around base64, with padding.
        for (bytes, value) in [
            (&b"pretend"[..], ":cHJldGVuZA==:"),
            (b"abc", ":YWJj:"),
            (b"", "::"),
        ] {
            assert_eq!(to_value(bytes).unwrap(), value);
        }
    }
}
