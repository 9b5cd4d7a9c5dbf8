//! Trace that a request is part of, as its `traceparent` says (W3C Trace Context, level 1).
//!
//! It is read for the log alone: the field goes on to the origin as it came.

use http::HeaderName;

/// The field.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Where version, trace, parent and flags end (W3C Trace Context §3.2.2).
const END: usize = 55;

/// The 32 digits of the trace in a value of the field; `None` for a value that is invalid.
///
/// §3.2.2.1: "Version 255 is invalid"; of a version that is not known, what follows the flags is
/// not looked at (§4.3). §3.2.2.3: "All bytes as zero […] is considered an invalid value."
pub fn trace_id(value: &[u8]) -> Option<&str> {
    let value = std::str::from_utf8(value).ok()?;
    let (head, rest) = value.split_at_checked(END)?;
    let mut parts = head.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    let is_number = |it: &str, len: usize| it.len() == len && it.bytes().all(is_hex);
    let is_zero = |it: &str| it.bytes().all(|it| it == b'0');
    let is_sound = is_number(version, 2)
        && is_number(trace, 32)
        && is_number(parent, 16)
        && is_number(flags, 2)
        && !is_zero(trace)
        && !is_zero(parent);
    let ends = match version {
        "ff" => false,
        "00" => rest.is_empty(),
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    (is_sound && ends).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces() {
        // W3C Trace Context §3.2.3 has the first.
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        #[rustfmt::skip]
        let rows = [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes", true),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", false),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01", false),
            ("00 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 01", false),
            ("é", false),
            ("", false),
        ];
        for (value, is_valid) in rows {
            let expected = is_valid.then_some(trace);
            assert_eq!(trace_id(value.as_bytes()), expected, "{value}");
        }
    }
}
