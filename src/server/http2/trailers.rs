//! Pseudo-header fields in trailers, looked for in a header block (RFC 7541 §6).
//!
//! "Pseudo-header fields MUST NOT appear in a trailer section." (RFC 9113 §8.1) h2 drops them in silence.
//! Names are found in the static table and in the block itself; what the block takes from the dynamic
//! table is not known here, and is dropped as before.

/// Entries of the static table that are pseudo-header fields (RFC 7541 Appendix A).
const STATIC: std::ops::RangeInclusive<u64> = 1..=14;
/// How `:` begins a string in Huffman's code, in 7 bits (RFC 7541 Appendix B).
const COLON: u8 = 0x5c;

/// Whether a pseudo-header field stands in this block, as far as it can be read.
pub(super) fn have_pseudo_fields(mut block: &[u8]) -> bool {
    while let Some(first) = block.first() {
        let is_found = match first {
            0x80.. => integer(&mut block, 7).map(|index| STATIC.contains(&index)),
            0x40.. => literal(&mut block, 6),
            0x20.. => integer(&mut block, 5).map(|_| false),
            _ => literal(&mut block, 4),
        };
        match is_found {
            Some(true) => return true,
            Some(false) => {}
            // h2 refuses it.
            None => return false,
        }
    }
    false
}

/// Whether a literal's name is one, and past it.
fn literal(block: &mut &[u8], prefix: u32) -> Option<bool> {
    let is_found = match integer(block, prefix)? {
        0 => {
            let is_huffman = block.first()? & 0x80 != 0;
            let name = string(block)?.first();
            name.is_some_and(|first| match is_huffman {
                true => first >> 1 == COLON,
                false => *first == b':',
            })
        }
        index => STATIC.contains(&index),
    };
    string(block)?;
    Some(is_found)
}

/// RFC 7541 §5.2.
fn string<'a>(block: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(integer(block, 7)?).ok()?;
    let (string, rest) = block.split_at_checked(length)?;
    *block = rest;
    Some(string)
}

/// RFC 7541 §5.1, with as many bits in its first byte.
fn integer(block: &mut &[u8], prefix: u32) -> Option<u64> {
    let (first, mut rest) = block.split_first()?;
    let max = (1_u64 << prefix) - 1;
    let mut value = u64::from(*first) & max;
    if value == max {
        for shift in (0..28).step_by(7) {
            let (next, after) = rest.split_first()?;
            rest = after;
            value += u64::from(next & 0x7f) << shift;
            if next & 0x80 == 0 {
                *block = rest;
                return Some(value);
            }
        }
        return None;
    }
    *block = rest;
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pseudo_fields_are_found() {
        for (section, block, expected) in [
            ("RFC 7541 §6.1: :method GET", &b"\x82"[..], true),
            ("RFC 7541 §6.1: accept-charset", b"\x8f", false),
            ("RFC 7541 §6.1: of the dynamic table", b"\xbe", false),
            ("RFC 7541 §6.2.1: :path by its index", b"\x44\x01/", true),
            (
                "RFC 7541 §6.2.1: :path spelt out",
                b"\x40\x05:path\x01/",
                true,
            ),
            (
                "RFC 7541 §6.2.2: x and :x",
                b"\x00\x01x\x011\x00\x02:x\x011",
                true,
            ),
            ("RFC 7541 §6.2.2: x", b"\x00\x01x\x02:1", false),
            (
                "RFC 7541 §6.2.3: :status, never indexed",
                b"\x18\x03200",
                true,
            ),
            (
                "RFC 7541 §5.2: :path in Huffman's code",
                b"\x00\x84\xb9\x58\xd3\x3f\x01/",
                true,
            ),
            (
                "RFC 7541 §6.3: a size, then grpc-status",
                b"\x20\x00\x0bgrpc-status\x010",
                false,
            ),
            ("RFC 7541 §5.1: cut off", b"\x00\x7f", false),
        ] {
            assert_eq!(have_pseudo_fields(block), expected, "{section}");
        }
    }

    proptest! {
        #[test]
        fn no_block_panics(block in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = have_pseudo_fields(&block);
        }
    }
}
