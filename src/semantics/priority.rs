//! Priority of a response (RFC 9218): how urgent it is, and whether a part of it is of any use.
//!
//! What is sent first because of it is the server's business.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry};

use super::structured;

/// The field of requests and responses (RFC 9218 §5).
const PRIORITY: HeaderName = HeaderName::from_static("priority");

/// Who says nothing is in the middle, and shares with others of whom nothing is known: what a client
/// without an opinion would wait for behind its largest download cannot be told.
const DEFAULT: Priority = Priority {
    urgency: 3,
    is_incremental: true,
};

/// How a response is to be sent beside others of the same connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// From 0, the most urgent, to 7 (RFC 9218 §4.1).
    pub urgency: u8,
    /// Whether it may be sent in turns with others (RFC 9218 §4.2).
    pub is_incremental: bool,
}

// === impl Priority ===

impl Priority {
    /// What the fields of a request say.
    pub fn of(request: &HeaderMap) -> Self {
        read(request).map_or(DEFAULT, |it| Self::default().with(&it))
    }

    /// The same with what the response says, which knows better what it is (RFC 9218 §8): "the absence
    /// of a parameter in the Priority HTTP response header field means that the server does not wish to
    /// change that client-provided value".
    pub fn merged(self, response: &HeaderMap) -> Self {
        read(response).map_or(self, |it| self.with(&it))
    }

    /// The value of a PRIORITY_UPDATE frame (RFC 9218 §7.1), which takes the place of the request's.
    pub fn of_update(value: &[u8]) -> Option<Self> {
        let members = structured::parse(value)?;
        Some(Self::default().with(&members))
    }

    /// Members of another type, or out of range, are as if they were not there (RFC 9218 §4).
    fn with(self, members: &Dictionary) -> Self {
        let item = |key: &str| match members.get(key) {
            Some(ListEntry::Item(item)) => Some(&item.bare_item),
            _ => None,
        };
        let urgency = match item("u") {
            Some(BareItem::Integer(urgency)) => u8::try_from(i64::from(*urgency)).ok(),
            _ => None,
        };
        let is_incremental = match item("i") {
            Some(BareItem::Boolean(is)) => Some(*is),
            _ => None,
        };
        Self {
            urgency: urgency.filter(|it| *it <= 7).unwrap_or(self.urgency),
            is_incremental: is_incremental.unwrap_or(self.is_incremental),
        }
    }
}

/// What RFC 9218 §4 takes for said by a field that leaves it out.
impl Default for Priority {
    fn default() -> Self {
        Self {
            urgency: 3,
            is_incremental: false,
        }
    }
}

fn read(fields: &HeaderMap) -> Option<Dictionary> {
    let is_there = fields.contains_key(&PRIORITY);
    is_there.then(|| structured::dictionary(fields, &PRIORITY))?
}

#[cfg(test)]
mod tests {
    use super::super::testing::headers;
    use super::*;

    #[test]
    fn priorities_of_requests() {
        // RFC 9218 §4.1, §4.2.
        for (line, urgency, is_incremental) in [
            ("u=0", 0, false),
            ("u=5, i", 5, true),
            ("i", 3, true),
            ("i=?0", 3, false),
            ("u=7, x=1", 7, false),
            ("u=8", 3, false),
            ("u=-1", 3, false),
            ("u=\"1\"", 3, false),
            ("u=1.0", 3, false),
            ("u=1, u=2", 2, false),
        ] {
            let expected = Priority {
                urgency,
                is_incremental,
            };
            assert_eq!(
                Priority::of(&headers(&[("priority", line)])),
                expected,
                "{line}"
            );
        }
        assert_eq!(Priority::of(&headers(&[])), DEFAULT);
        assert_eq!(Priority::of(&headers(&[("priority", "&")])), DEFAULT);
    }

    #[test]
    fn a_response_changes_what_it_says() {
        let asked = Priority::of(&headers(&[("priority", "u=5, i")]));
        for (line, urgency, is_incremental) in [
            ("u=1", 1, true),
            ("i=?0", 5, false),
            ("u=0, i=?0", 0, false),
            ("&", 5, true),
        ] {
            let expected = Priority {
                urgency,
                is_incremental,
            };
            let merged = asked.merged(&headers(&[("priority", line)]));
            assert_eq!(merged, expected, "RFC 9218 §8: {line}");
        }
        assert_eq!(asked.merged(&headers(&[])), asked);
    }

    #[test]
    fn an_update_says_all_anew() {
        let update = Priority::of_update(b"u=1");
        assert_eq!(
            update,
            Some(Priority {
                urgency: 1,
                is_incremental: false
            })
        );
        assert_eq!(Priority::of_update(b"&"), None);
        assert_eq!(Priority::of_update(b""), Some(Priority::default()));
    }
}
