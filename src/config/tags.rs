//! `tags` of `[cache]`: by which fields origins say what their responses were made of.
//!
//! Not how a field is divided into tags, nor their purge.

use std::ops::RangeInclusive;

use http::header::{self, HeaderName};
use serde::Deserialize;

use super::fields;
use super::names::{self, RawNames};
use super::report::{Given, Report};
use super::units::{self, Count};
use crate::semantics::tags::TagRule;

/// Fields that clients need; to take one for tags would be to keep it from them.
const OF_HTTP: [HeaderName; 10] = [
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::LOCATION,
    header::SET_COOKIE,
    header::VARY,
];

const TAGS: RangeInclusive<usize> = 1..=10_000;

/// `tags` as written.
#[derive(Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTags {
    fields: RawNames,
    max: Given<Count>,
    show: Option<bool>,
    purged_by: RawNames,
}

// === impl RawTags ===

impl RawTags {
    /// What is written here, and `base` for the rest.
    pub(super) fn over(&self, base: &TagRule, report: &mut Report) -> TagRule {
        TagRule {
            fields: names::over(&self.fields, &base.fields, tag_field, report),
            max: units::count(&self.max, base.max, TAGS, report),
            shown: self.show.unwrap_or(base.shown),
            purged_by: names::over(&self.purged_by, &base.purged_by, tag_field, report),
        }
    }
}

/// The name of a field that can have tags, or what is wrong with it and how to mend it.
fn tag_field(text: &str) -> Result<HeaderName, &'static str> {
    let name = names::field(text)?;
    if fields::is_of_connection(&name) || OF_HTTP.contains(&name) {
        return Err("has a meaning of its own in HTTP; name a field that has tags alone");
    }
    match name.as_str() {
        "cache-group-invalidation" => Err("is heeded anyway, as RFC 9875 has it; leave it out"),
        _ => Ok(name),
    }
}
