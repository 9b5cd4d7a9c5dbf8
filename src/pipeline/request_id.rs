//! Ids of requests: by which one request is found again in the logs of all that had to do with it.
//!
//! One is made only where somebody asks for it, so a hit without an access log has none. A proxy that
//! is believed may give one; anybody else's is not taken, or clients would write our logs.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config;

/// An id of 128 bits in digits of five.
const ID_LEN: usize = 26;

/// A longer id of somebody else's is not taken.
const ID_BYTES_MAX: usize = 128;

/// Digits that are hard to mistake for one another (Crockford's base 32), in lower case.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Where ids are told, and how they are made.
#[derive(Debug)]
pub(super) struct RequestIds {
    /// The field that has it; `None` where neither origins nor the log are told.
    field: Option<HeaderName>,
    /// A keyed hash of the count, whose keys come from the system once: whoever has seen one id knows
    /// nothing of the next.
    keys: RandomState,
    count: AtomicU64,
}

// === impl RequestIds ===

impl RequestIds {
    pub(super) fn new(config: &config::Server) -> Self {
        Self {
            field: config.request_id.clone(),
            keys: RandomState::new(),
            count: AtomicU64::new(0),
        }
    }

    /// The field that origins find it in, if they are told.
    pub(super) fn field(&self) -> Option<&HeaderName> {
        self.field.as_ref()
    }

    /// The id that a request came with, if it comes from a proxy that is believed; else a new one.
    pub(super) fn of(&self, fields: &HeaderMap, is_believed: bool) -> HeaderValue {
        let told = self.field.as_ref().filter(|_| is_believed);
        let told = told.and_then(|name| {
            let mut lines = fields.get_all(name).iter();
            lines
                .next()
                .filter(|id| is_id(id) && lines.next().is_none())
        });
        told.cloned().unwrap_or_else(|| self.make())
    }

    fn make(&self) -> HeaderValue {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let half = |which: u8| u128::from(self.keys.hash_one((number, which)));
        let mut id = half(0) << 64 | half(1);
        let mut text = [b'0'; ID_LEN];
        for digit in text.iter_mut().rev() {
            // Five bits are a number below 32.
            *digit = DIGITS[(id & 31) as usize];
            id >>= 5;
        }
        // Letters and digits are a field value.
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("-"))
    }
}

/// Whether it can stand in a log, a field or a URL without a second look.
fn is_id(value: &HeaderValue) -> bool {
    let is_letter = |it: &u8| it.is_ascii_alphanumeric() || b"-._~+/=:@".contains(it);
    let bytes = value.as_bytes();
    (1..=ID_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(is_letter)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn ids() -> RequestIds {
        RequestIds {
            field: Some(HeaderName::from_static("x-request-id")),
            keys: RandomState::new(),
            count: AtomicU64::new(0),
        }
    }

    #[test]
    fn ids_are_all_different_and_of_one_length() {
        let ids = ids();
        let made: HashSet<_> = (0..1000).map(|_| ids.make()).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|it| it.len() == ID_LEN && is_id(it)));
        let other: HashSet<_> = (0..1000).map(|_| self::ids().make()).collect();
        assert!(made.is_disjoint(&other), "another process counts as well");
    }

    #[test]
    fn only_a_sound_id_of_a_believed_proxy_is_taken() {
        let ids = ids();
        let long = "a".repeat(ID_BYTES_MAX + 1);
        #[rustfmt::skip]
        let rows: [(&[&str], bool, bool); 8] = [
            (&["a-1"], true, true),
            (&["4bf92f35-77b3-4da6-a3ce-929d0e0e4736"], true, true),
            (&["a-1"], false, false),
            (&[], true, false),
            (&["a-1", "b-2"], true, false),
            (&["a 1"], true, false),
            (&["\"a\""], true, false),
            (&[&long], true, false),
        ];
        for (lines, is_believed, is_taken) in rows {
            let name = HeaderName::from_static("x-request-id");
            let values = lines.iter().map(|it| HeaderValue::from_str(it).unwrap());
            let fields: HeaderMap = values.map(|it| (name.clone(), it)).collect();
            let id = ids.of(&fields, is_believed);
            assert_eq!(lines.contains(&id.to_str().unwrap()), is_taken, "{lines:?}");
        }
    }
}
