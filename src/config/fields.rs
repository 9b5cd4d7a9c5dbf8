//! Names and values of header fields that a user writes, and edits made of them.
//!
//! Not the editing of messages.

use std::collections::{BTreeMap, HashSet};

use http::header::{self, HeaderName, HeaderValue};
use serde::Deserialize;
use toml::Spanned;

use super::names;
use super::report::Report;
use super::template::{Purpose, Template};

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

/// What to change in the fields of a message: first `remove`, then `set`, then `filled`, then `add`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits {
    /// Each replaces all fields of its name.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// The same for values that are filled in for each request.
    pub filled: Vec<(HeaderName, Template)>,
    /// Each is a line more.
    pub add: Vec<(HeaderName, Template)>,
    /// All fields of these names go; none of them is in `set` or `filled`.
    pub remove: Vec<HeaderName>,
}

/// `request_fields` or `response_fields` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEdits {
    pub(super) set: RawFields,
    pub(super) add: RawFields,
    remove: Vec<Spanned<String>>,
}

// === impl Edits ===

impl Edits {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All that is filled in.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.filled.iter().chain(&self.add).map(|it| &it.1)
    }
}

// === impl RawEdits ===

impl RawEdits {
    pub(super) fn resolve(&self, purpose: Purpose, report: &mut Report) -> Edits {
        resolve((&self.set, &self.add, &self.remove), purpose, report)
    }
}

/// Edits of what is to be set, added and removed. What is set or removed may be added to.
pub(super) fn resolve(
    (set, add, remove): (&RawFields, &RawFields, &[Spanned<String>]),
    purpose: Purpose,
    report: &mut Report,
) -> Edits {
    let mut seen = HashSet::new();
    let mut edits = resolve_fields(set, &mut seen, purpose, report);
    let mut added = HashSet::new();
    for text in remove {
        edits.remove.extend(resolve_name(text, &mut seen, report));
    }
    for (name, text) in add {
        let name = resolve_name(name, &mut added, report);
        let value = resolve_value(text, purpose, report);
        edits.add.extend(name.zip(value.map(|it| it.0)));
    }
    edits
}

/// Whether a field frames messages or belongs to one connection.
pub(super) fn is_of_connection(name: &HeaderName) -> bool {
    NOT_EDITABLE.contains(name)
}

/// Fields of an answer of our own.
pub(super) fn resolve_map(raw: &RawFields, report: &mut Report) -> Edits {
    resolve_fields(raw, &mut HashSet::new(), Purpose::ResponseField, report)
}

fn resolve_fields(
    raw: &RawFields,
    seen: &mut HashSet<HeaderName>,
    purpose: Purpose,
    report: &mut Report,
) -> Edits {
    let mut edits = Edits::default();
    for (name, text) in raw {
        let name = resolve_name(name, seen, report);
        let value = resolve_value(text, purpose, report);
        let Some((name, (template, value))) = name.zip(value) else {
            continue;
        };
        match template.as_text() {
            Some(_) => edits.set.push((name, value)),
            None => edits.filled.push((name, template)),
        }
    }
    edits
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

/// A template, and the value that it gives with plain text for all that is filled in. `None` after a
/// complaint.
fn resolve_value(
    text: &Spanned<String>,
    purpose: Purpose,
    report: &mut Report,
) -> Option<(Template, HeaderValue)> {
    let parsed = Template::parse(text.get_ref(), purpose);
    let complain = |complaint| report.at(text.span(), complaint);
    let template = parsed.map_err(complain).ok()?;
    let sample = template.sample();
    // RFC 9110 §5.5: "A field value does not include leading or trailing whitespace." Of bytes
    // beyond ASCII: "A recipient SHOULD treat other allowed octets […] as opaque data."
    let is_plain = sample.is_ascii() && sample.trim_matches([' ', '\t']) == sample;
    let value = HeaderValue::from_str(&sample).ok().filter(|_| is_plain);
    if value.is_none() {
        let complaint = "is not the value of a field; use visible ASCII, with spaces only between \
                         words (RFC 9110 §5.5)";
        report.at(text.span(), complaint);
    }
    value.map(|value| (template, value))
}
