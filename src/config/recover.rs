//! Reads the text of a file into the raw tables and goes on after a mistake, so that a user sees
//! all mistakes at once.
//!
//! A file may include others, which are put to it first (`include.rs`), and name variables of the
//! environment (`env.rs`). Serde stops at its first error. What it stumbled over is told, taken out of the tree, and serde
//! runs again over the rest. Not the meaning of values: the tables check that afterwards.

use std::mem;
use std::path::Path;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::RawConfig;
use super::env;
use super::include::{self, Remark, Said, Slip, Text};
use super::meant;
use super::report::{Place, ROOT, Report, join};
use super::wording;

/// How many unknown keys and values of a wrong type are told at once.
const MISTAKES_MAX: usize = 50;

type Tree<'a> = Spanned<DeValue<'a>>;

/// What was taken out of the tree.
enum Removed {
    /// An entry of the table at this path.
    Entry { table: String, key: String },
    /// An element of a list, which is at this path.
    Element { path: String },
}

// === impl Removed ===

impl Removed {
    fn path(&self, place: &Place, report: &Report) -> String {
        match self {
            Self::Entry { table, key } => join(table, key),
            Self::Element { .. } => report.key_at(place).to_owned(),
        }
    }

    /// What is said in place of serde's `message`.
    fn complaint(&self, message: &str, report: &mut Report) -> String {
        let (table, key) = match self {
            Self::Entry { table, key } => (table, key),
            Self::Element { path } => return meant::of_element(path, message),
        };
        let (text, meant) = meant::of_entry(table, key, message);
        // `orgins` was meant to be `origins`: the latter is not missing.
        if let Some(meant) = meant {
            report.misspell(join(table, &meant));
        }
        text
    }
}

/// What could be read of `text` and of the files it includes, all that was written there, and the
/// complaints about the rest. `None` when it is so broken
/// that everything said about its content would be guesswork.
pub(super) fn read(text: &str, file: &str) -> (Option<RawConfig>, toml::Table, Report) {
    let first = Text::first(file, text.to_owned());
    let (mut tree, mut slips) = first.parse();
    let mut unset = env::fill(&mut tree);
    let mut remarks = Vec::new();
    let include::Found { named, unmatched } = include::files(&tree, Path::new(file), &mut remarks);
    let more = include::read(&first, named, &mut remarks);
    let is_whole = remarks.is_empty();
    for text in &more {
        let (mut included, of_text) = text.parse();
        unset.extend(env::fill(&mut included));
        slips.extend(of_text);
        include::merge(&mut tree, included, &mut remarks);
    }
    let texts = [&first].into_iter().chain(&more);
    let written = include::together(texts.clone());
    let sources = texts.map(|it| it.source.clone()).collect();
    let mut report = Report::on_files(sources, &tree);
    report.note_unmatched(unmatched);
    let Some(spoilt) = spoilt_entries(&slips, &tree) else {
        match meant::kind::of_file(text) {
            Some(kind) => report.add(ROOT, "syntax".to_owned(), kind),
            None => tell_broken(&slips, &mut report),
        }
        return (None, written, report);
    };
    for (place, complaint) in unset {
        take_out(place, |_, _| complaint.clone(), &mut tree, &mut report);
    }
    remarks.into_iter().for_each(|it| tell(it, &mut report));
    // Where a file is missing, much of what the others refer to is.
    if !is_whole {
        return (None, written, report);
    }
    for (place, complaint) in spoilt {
        take_out(place, |_, _| complaint.to_owned(), &mut tree, &mut report);
    }
    for _ in 0..MISTAKES_MAX {
        match RawConfig::deserialize(ValueDeserializer::from(tree.clone())) {
            Ok(raw) => return (Some(raw), written, report),
            Err(error) => {
                let place = error.span().unwrap_or(ROOT);
                let complaint =
                    |it: &Removed, report: &mut Report| it.complaint(error.message(), report);
                take_out(place, complaint, &mut tree, &mut report);
            }
        }
    }
    report.there_are_more();
    (None, written, report)
}

fn tell(Remark { place, path, said }: Remark, report: &mut Report) {
    let path = path.unwrap_or_else(|| report.key_at(&place).to_owned());
    let text = match said {
        Said::Text(text) => text,
        Said::Taken(first) => {
            let first = report.describe(&first);
            format!("is written in another file already: {first}; keep one of the two")
        }
    };
    report.add(place, path, text);
}

/// The places of syntax errors, with complaints, if each of them concerns one entry only.
fn spoilt_entries(slips: &[Slip], tree: &Tree<'_>) -> Option<Vec<(Place, &'static str)>> {
    // So many come from a file of another kind.
    let is_toml = slips.len() <= MISTAKES_MAX;
    is_toml.then(|| slips.iter().map(|slip| spoilt_entry(slip, tree)).collect())?
}

/// A syntax error that concerns one entry only, so that the rest can still be read: a value
/// without its quotes, as `30s`, or a key given twice.
fn spoilt_entry(slip: &Slip, tree: &Tree<'_>) -> Option<(Place, &'static str)> {
    let place = slip.place.clone();
    if is_text_at(tree, &place) {
        Some((place, wording::UNQUOTED))
    } else if slip.message == "duplicate key" && is_key_at(tree, &place) {
        Some((place, wording::TWICE))
    } else {
        None
    }
}

/// Complains about syntax errors. One slip, as a list without its end, makes an error on each line
/// that follows: of errors on successive lines only the first is told.
fn tell_broken(slips: &[Slip], report: &mut Report) {
    let mut slips: Vec<&Slip> = slips.iter().collect();
    slips.sort_by_key(|slip| slip.place.start);
    let mut last = None;
    for slip in slips {
        let (file, line) = report.line_of(slip.place.start);
        if last.is_none_or(|last| (file, line) > last) {
            report.add(
                slip.place.clone(),
                "syntax".to_owned(),
                slip.message.clone(),
            );
        }
        last = Some((file, line + 1));
    }
}

/// Takes what stands at `place` out of the tree, and complains about it.
fn take_out(
    place: Place,
    complaint: impl Fn(&Removed, &mut Report) -> String,
    tree: &mut Tree<'_>,
    report: &mut Report,
) {
    let Some(removed) = remove(tree, "", &place) else {
        return;
    };
    let path = removed.path(&place, report);
    let text = complaint(&removed, report);
    if let Some(lost) = meant::lost_by(&path, &text) {
        let place = report.place_of(&lost).cloned().unwrap_or(place);
        report.add(place, lost.clone(), text);
        report.lose(lost);
        return;
    }
    if table_of(&path) == "origins" {
        // There is an origin, if none that can be read.
        report.misspell("origins".to_owned());
    }
    report.add(place, path.clone(), text);
    report.lose(path);
}

fn table_of(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |it| it.0)
}

/// Removes the innermost entry or element that stands at `place`.
fn remove(value: &mut Tree<'_>, path: &str, place: &Place) -> Option<Removed> {
    match value.get_mut() {
        DeValue::Table(table) => remove_in_table(table, path, place),
        DeValue::Array(list) => remove_in_list(list, path, place),
        _ => None,
    }
}

fn remove_in_table(table: &mut DeTable<'_>, path: &str, place: &Place) -> Option<Removed> {
    let mut values = table.iter_mut();
    let inner = values.find_map(|(key, value)| remove(value, &join(path, key.get_ref()), place));
    if inner.is_some() {
        return inner;
    }
    let stands_there =
        |key: &Spanned<_>, value: &_| key.span() == *place || stands_at(value, place);
    let (key, _) = table.iter().find(|(key, value)| stands_there(key, value))?;
    let key = key.get_ref().clone().into_owned();
    table.remove(key.as_str());
    Some(Removed::Entry {
        table: path.to_owned(),
        key,
    })
}

/// Takes single elements out of lists of plain values only: a list must not become empty by it,
/// and the tables of a list must keep their numbers.
fn remove_in_list(list: &mut DeArray<'_>, path: &str, place: &Place) -> Option<Removed> {
    let mut values = list.iter_mut().enumerate();
    let inner = values.find_map(|(at, value)| remove(value, &format!("{path}[{at}]"), place));
    if inner.is_some() || list.len() < 2 || list.iter().any(|it| it.get_ref().is_table()) {
        return inner;
    }
    let at = list.iter().position(|it| it.span() == *place)?;
    let rest = mem::replace(list, DeArray::new()).into_iter().enumerate();
    *list = rest
        .filter(|(index, _)| *index != at)
        .map(|(_, value)| value)
        .collect();
    Some(Removed::Element {
        path: format!("{path}[{at}]"),
    })
}

/// Whether a value, or an element of it that is a list, stands at `place`.
fn stands_at(value: &Tree<'_>, place: &Place) -> bool {
    let list = value.get_ref().as_array();
    value.span() == *place || list.is_some_and(|list| list.iter().any(|it| stands_at(it, place)))
}

fn is_text_at(value: &Tree<'_>, place: &Place) -> bool {
    match value.get_ref() {
        DeValue::Table(table) => table.values().any(|it| is_text_at(it, place)),
        DeValue::Array(array) => array.iter().any(|it| is_text_at(it, place)),
        DeValue::String(_) => value.span() == *place,
        _ => false,
    }
}

fn is_key_at(value: &Tree<'_>, place: &Place) -> bool {
    match value.get_ref() {
        DeValue::Table(table) => table
            .iter()
            .any(|(key, value)| key.span() == *place || is_key_at(value, place)),
        DeValue::Array(array) => array.iter().any(|it| is_key_at(it, place)),
        _ => false,
    }
}
