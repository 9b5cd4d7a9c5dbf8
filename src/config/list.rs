//! `[list.NAME]` and `[map.NAME]`: what stands in this file and in files of their own.
//!
//! Not where they are used: routes and rules refer to them by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::file;
use super::names;
use super::report::{Given, Place, Report};
use super::table::Written;
use super::units::MIB;
use crate::lists::{self, Kind, List, ListBuilder, Lists, Map, MapBuilder};

/// A million addresses have half of it.
const FILE_BYTES_MAX: u64 = 64 * MIB;

/// So many bad lines of one file are told; of a file of another kind all are bad.
const LINES_TOLD_MAX: usize = 10;

/// All `[list.NAME]` as written.
pub(super) type RawLists = BTreeMap<Spanned<String>, Written<RawList>>;
/// All `[map.NAME]` as written.
pub(super) type RawMaps = BTreeMap<Spanned<String>, Written<RawMap>>;

/// One `[list.NAME]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawList {
    kind: Option<RawKind>,
    entries: Given<Vec<Spanned<String>>>,
    file: Given<String>,
}

/// One `[map.NAME]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMap {
    entries: Given<BTreeMap<Spanned<String>, Spanned<String>>>,
    file: Given<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    Networks,
    Words,
    Globs,
}

/// What is wrong with the value of an entry of a map, if anything is: who uses the map knows.
pub(super) type Unfit<'a> = &'a dyn Fn(&str) -> Option<String>;

// === impl RawKind ===

impl RawKind {
    fn resolve(self) -> Kind {
        match self {
            Self::Networks => Kind::Networks,
            Self::Words => Kind::Words,
            Self::Globs => Kind::Globs,
        }
    }
}

// === impl RawList ===

impl RawList {
    /// The table stands at `place`.
    fn resolve(&self, place: &Place, report: &mut Report) -> List {
        let kind = self.kind.map(RawKind::resolve);
        if kind.is_none() {
            let text = "is missing; write `kind = \"networks\"`, \"words\" or \"globs\"";
            report.missing(place.clone(), "kind", text);
        }
        check_has_entries(self.entries.is_some(), &self.file, place, report);
        let mut list = ListBuilder::new(kind.unwrap_or(Kind::Words));
        for entry in self.entries.iter().flat_map(|it| it.get_ref()) {
            if let Err(complaint) = list.add(entry.get_ref()) {
                report.at(entry.span(), complaint);
            }
        }
        read(&self.file, report, |line| list.add(line));
        list.build()
    }
}

// === impl RawMap ===

impl RawMap {
    /// The table stands at `place`.
    fn resolve(&self, place: &Place, unfit: Option<Unfit<'_>>, report: &mut Report) -> Map {
        check_has_entries(self.entries.is_some(), &self.file, place, report);
        let check = |value: &str| unfit.and_then(|unfit| unfit(value)).map_or(Ok(()), Err);
        let mut map = MapBuilder::default();
        for (key, value) in self.entries.iter().flat_map(|it| it.get_ref()) {
            let (name, text) = (key.get_ref(), value.get_ref());
            if let Err(complaint) = check(text).and_then(|()| map.add(name, text)) {
                report.at(value.span(), complaint);
            }
        }
        read(&self.file, report, |line| {
            let value = map.add_line(line)?;
            check(value)
        });
        map.build()
    }
}

fn check_has_entries(has: bool, file: &Given<String>, place: &Place, report: &mut Report) {
    let has_lost = ["entries", "file"]
        .iter()
        .any(|it| report.has_lost(place, it));
    if !has && file.is_none() && !has_lost {
        report.at(
            place.clone(),
            "holds nothing; add `entries` or `file`, which has one entry a line",
        );
    }
}

/// Hands over the entries of a file, if there is one, and complains of those that are not taken.
fn read(
    file: &Given<String>,
    report: &mut Report,
    mut add: impl FnMut(&str) -> Result<(), String>,
) {
    let Some(path) = file else {
        return;
    };
    let text = match file::read_text(path.get_ref(), FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(complaint) => return report.at(path.span(), complaint),
    };
    let bad = lists::entries(&text).filter_map(|(line, entry)| Some((line, add(entry).err()?)));
    for (count, (line, complaint)) in bad.enumerate() {
        if count == LINES_TOLD_MAX {
            let text = "has more lines like these; mend them and check again";
            return report.in_file(&path.span(), path.get_ref(), line, text.to_owned());
        }
        report.in_file(&path.span(), path.get_ref(), line, complaint);
    }
}

/// All lists and maps. What a map of this name may not lead to, `unfit` says.
pub(super) fn resolve<'a>(
    lists: &RawLists,
    maps: &RawMaps,
    unfit: impl Fn(&str) -> Option<Unfit<'a>>,
    report: &mut Report,
) -> Lists {
    let mut resolved = (BTreeMap::new(), BTreeMap::new());
    for (name, list) in lists {
        names::check_label(name, "lists", report);
        let list = list.get_ref().resolve(&list.span(), report);
        resolved.0.insert(shared(name), Arc::new(list));
    }
    for (name, map) in maps {
        names::check_label(name, "maps", report);
        let unfit = unfit(name.get_ref());
        let map = map.get_ref().resolve(&map.span(), unfit, report);
        resolved.1.insert(shared(name), Arc::new(map));
    }
    Lists::new(resolved.0, resolved.1)
}

fn shared(name: &Spanned<String>) -> Arc<str> {
    name.get_ref().as_str().into()
}
