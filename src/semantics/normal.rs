//! Normal form of a request field, in which values are compared (RFC 9111 §4.1).

use std::ops::ControlFlow;

use http::header::{ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE};
use http::{HeaderMap, HeaderName};

use super::list;

/// Appends the normal form of one request field.
pub(super) fn append(name: &HeaderName, request: &HeaderMap, to: &mut Vec<u8>) {
    let _ = encode(name, request, |bytes, fold| {
        let start = to.len();
        to.extend_from_slice(bytes);
        if fold {
            to[start..].make_ascii_lowercase();
        }
        ControlFlow::Continue(())
    });
}

/// Hands the normal form of one request field to `sink`, piece by piece, each with whether its
/// letter case is to be folded, until the sink breaks off.
///
/// RFC 9111 §4.1 lets a cache transform values by "adding or removing whitespace, where allowed in
/// the header field's syntax", "combining multiple header field lines with the same field name" and
/// "normalizing both header field values in a way that is known to have identical semantics".
///
/// An absent field is one 0; a present one is a 1, its members with a comma between, and a 0.
/// A field value holds neither, so the encoding of several fields in a row is unambiguous.
pub(super) fn encode(
    name: &HeaderName,
    request: &HeaderMap,
    mut sink: impl FnMut(&[u8], bool) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let fold = is_case_insensitive(name);
    let mut opening: &[u8] = b"\x01";
    for member in list::all_members(request, name) {
        sink(opening, false)?;
        sink(member, fold)?;
        opening = b",";
    }
    sink(b"\x00", false)
}

/// Fields whose whole value is case-insensitive: codings (RFC 9110 §8.4.1), language ranges
/// (RFC 4647 §2.1) and charsets (RFC 9110 §8.3.2).
fn is_case_insensitive(name: &HeaderName) -> bool {
    [ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE].contains(name)
}
