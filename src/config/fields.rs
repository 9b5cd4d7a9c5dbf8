//! Names and values of header fields that a user writes, and edits made of them.
//!
//! Not the editing of messages.

use std::collections::{BTreeMap, HashSet};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use toml::Spanned;

use super::names;
use super::report::Report;

/// Fields that frame a message or belong to one connection (RFC 9110 §7.6.1, RFC 9112 §6):
/// writing or removing them could make one message look like two.
const NOT_EDITABLE: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Names and values as written.
pub(super) type RawFields = BTreeMap<Spanned<String>, Spanned<String>>;

/// What to change in the fields of a message: first `remove`, then `set`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits {
    /// Each replaces all fields of its name.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// All fields of these names go; none of them is in `set`.
    pub remove: Vec<HeaderName>,
}

/// `request_fields` or `response_fields` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEdits {
    pub(super) set: RawFields,
    remove: Vec<Spanned<String>>,
}

// === impl RawEdits ===

impl RawEdits {
    pub(super) fn resolve(&self, report: &mut Report) -> Edits {
        let mut seen = HashSet::new();
        let set = resolve_fields(&self.set, &mut seen, report);
        let mut remove = Vec::new();
        for text in &self.remove {
            remove.extend(resolve_name(text, &mut seen, report));
        }
        Edits { set, remove }
    }
}

/// Whether a field frames messages or belongs to one connection.
pub(super) fn is_of_connection(name: &HeaderName) -> bool {
    NOT_EDITABLE.contains(name)
}

/// Fields of an answer of our own.
pub(super) fn resolve_map(raw: &RawFields, report: &mut Report) -> HeaderMap {
    resolve_fields(raw, &mut HashSet::new(), report)
        .into_iter()
        .collect()
}

fn resolve_fields(
    raw: &RawFields,
    seen: &mut HashSet<HeaderName>,
    report: &mut Report,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = Vec::new();
    for (name, value) in raw {
        let name = resolve_name(name, seen, report);
        let value = resolve_value(value, report);
        fields.extend(name.zip(value));
    }
    fields
}

/// `None` after a complaint.
fn resolve_name(
    text: &Spanned<String>,
    seen: &mut HashSet<HeaderName>,
    report: &mut Report,
) -> Option<HeaderName> {
    let complaint = match names::field(text.get_ref()) {
        Err(complaint) => complaint,
        Ok(name) if is_of_connection(&name) => {
            "belongs to the connection and is written by the proxy alone; leave it out"
        }
        Ok(name) if seen.contains(&name) => "is named twice; letter case makes no other field",
        Ok(name) => {
            seen.insert(name.clone());
            return Some(name);
        }
    };
    report.at(text.span(), complaint);
    None
}

/// `None` after a complaint.
fn resolve_value(text: &Spanned<String>, report: &mut Report) -> Option<HeaderValue> {
    // RFC 9110 §5.5: "A field value does not include leading or trailing whitespace." Of bytes
    // beyond ASCII: "A recipient SHOULD treat other allowed octets […] as opaque data."
    let is_plain =
        text.get_ref().is_ascii() && text.get_ref().trim_matches([' ', '\t']) == text.get_ref();
    let value = HeaderValue::from_str(text.get_ref())
        .ok()
        .filter(|_| is_plain);
    if value.is_none() {
        let complaint = "is not the value of a field; use visible ASCII, with spaces only between \
                         words (RFC 9110 §5.5)";
        report.at(text.span(), complaint);
    }
    value
}
