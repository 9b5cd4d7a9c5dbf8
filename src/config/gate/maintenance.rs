//! `maintenance`: a switch, or a file whose being there is one, by which all but a few are told to come
//! again later.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use toml::Spanned;

use super::addresses::Addresses;
use crate::config::report::{Given, Report};
use crate::config::units::{self, Period};
use crate::lists::Lists;

/// Who is told to come again, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Maintenance {
    /// The file that has to be there for it; `None` where it is on.
    pub file: Option<Box<str>>,
    /// When to come again.
    pub retry_after: Duration,
    /// Who is served all the same.
    pub allow: Addresses,
}

/// `maintenance` as written.
pub(in crate::config) enum RawMaintenance {
    Is(bool),
    Table(RawTable),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RawTable {
    file: Given<String>,
    retry_after: Given<Period>,
    allow: Vec<Spanned<String>>,
}

// === impl Maintenance ===

impl Maintenance {
    pub(super) fn in_words(&self) -> String {
        match &self.file {
            None => "on".to_owned(),
            Some(file) => format!("while {file} is there"),
        }
    }
}

/// What is written, or `base`.
pub(super) fn over(
    given: &Given<RawMaintenance>,
    base: &Option<Arc<Maintenance>>,
    lists: &Lists,
    report: &mut Report,
) -> Option<Arc<Maintenance>> {
    let Some(written) = given else {
        return base.clone();
    };
    match written.get_ref() {
        RawMaintenance::Is(false) => None,
        RawMaintenance::Is(true) => Some(Arc::new(RawTable::default().resolve(lists, report))),
        RawMaintenance::Table(table) => Some(Arc::new(table.resolve(lists, report))),
    }
}

// === impl RawTable ===

impl RawTable {
    fn resolve(&self, lists: &Lists, report: &mut Report) -> Maintenance {
        if let Some(file) = self.file.as_ref().filter(|it| it.get_ref().is_empty()) {
            report.at(
                file.span(),
                "is empty; write a path, or `maintenance = true`",
            );
        }
        Maintenance {
            file: self.file.as_ref().map(|it| it.get_ref().as_str().into()),
            retry_after: units::period(&self.retry_after, Duration::from_secs(300)),
            allow: Addresses::resolve(&self.allow, lists, report),
        }
    }
}

// === impl RawMaintenance ===

impl<'de> Deserialize<'de> for RawMaintenance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawMaintenance;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or a table")
            }

            fn visit_bool<E: de::Error>(self, is: bool) -> Result<RawMaintenance, E> {
                Ok(RawMaintenance::Is(is))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawMaintenance, A::Error> {
                RawTable::deserialize(MapAccessDeserializer::new(map)).map(RawMaintenance::Table)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
