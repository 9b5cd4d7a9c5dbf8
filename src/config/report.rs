//! Gathers complaints: turns the place of a value into its line and its key, and keeps quiet about
//! what follows from a mistake already told.
//!
//! Not the checks themselves, which only know byte ranges of the text.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use super::complaint::{Complaint, Complaints};

/// Where a value stands: bytes of the file's text, or a number given to a flag.
pub(super) type Place = Range<usize>;

/// A key that may be given, and where.
pub(super) type Given<T> = Option<Spanned<T>>;

/// The place of the whole configuration.
pub(super) const ROOT: Place = 0..0;

/// How many complaints are made at once; nobody reads more.
const COMPLAINTS_MAX: usize = 1000;

/// What the flags of `flags.rs` stand for, in their order.
const TABLES_OF_FLAGS: [&str; 4] = ["listen", "origins", "admin", "store"];

/// Complaints in the making.
pub(super) struct Report {
    file: Option<Arc<str>>,
    /// Where each line of the file begins.
    line_starts: Vec<usize>,
    /// See `key_at`.
    keys: HashMap<Place, String>,
    /// The same the other way about: where each path stands.
    places: HashMap<String, Place>,
    /// All texts with their paths.
    texts: Vec<(String, String)>,
    /// Paths that were written but could not be used: no complaint is made of what they hold.
    lost: HashSet<String>,
    /// Paths that were written with a slip in the name: they are not missing.
    misspelt: HashSet<String>,
    /// Each with the beginning of its place.
    complaints: Vec<(usize, Complaint)>,
}

// === impl Report ===

impl Report {
    /// For a file, whose values stand where `tree` says.
    pub(super) fn on_file(file: &str, text: &str, tree: &Spanned<DeValue<'_>>) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let mut report = Self {
            file: Some(file.into()),
            line_starts: std::iter::once(0)
                .chain(ends.map(|(at, _)| at + 1))
                .collect(),
            keys: HashMap::new(),
            places: HashMap::new(),
            texts: Vec::new(),
            lost: HashSet::new(),
            misspelt: HashSet::new(),
            complaints: Vec::new(),
        };
        report.learn_keys(tree, String::new());
        report
    }

    /// For a command line, whose flag number `n` stands at `n..n + 1`.
    pub(super) fn on_flags(names: &[&str]) -> Self {
        let numbered = names.iter().enumerate();
        let tables = TABLES_OF_FLAGS.iter().zip(0..);
        Self {
            file: None,
            line_starts: Vec::new(),
            keys: numbered
                .map(|(n, name)| (n..n + 1, (*name).to_owned()))
                .collect(),
            places: tables
                .map(|(table, n)| ((*table).to_owned(), n..n + 1))
                .collect(),
            texts: Vec::new(),
            lost: HashSet::new(),
            misspelt: HashSet::new(),
            complaints: Vec::new(),
        }
    }

    fn learn_keys(&mut self, value: &Spanned<DeValue<'_>>, path: String) {
        match value.get_ref() {
            DeValue::Table(table) => {
                for (key, value) in table.iter() {
                    let path = join(&path, key.get_ref());
                    self.keys.insert(key.span(), path.clone());
                    self.places.insert(path.clone(), key.span());
                    self.learn_keys(value, path);
                }
            }
            DeValue::Array(array) => {
                for (index, value) in array.iter().enumerate() {
                    self.learn_keys(value, format!("{path}[{index}]"));
                }
            }
            DeValue::String(text) => {
                self.texts.push((path.clone(), text.clone().into_owned()));
            }
            _ => {}
        }
        self.places.entry(path.clone()).or_insert(value.span());
        // The first element of an array of tables stands at the same place as the array: the
        // element was learnt first and keeps the place.
        self.keys.entry(value.span()).or_insert(path);
    }

    /// Complains about the value or key at `place`.
    pub(super) fn at(&mut self, place: Place, text: impl Into<String>) {
        let key = self.key_at(&place).to_owned();
        self.add(place, key, text.into());
    }

    /// Complains that the table at `place` has no `key`, unless it was written in some way.
    pub(super) fn missing(&mut self, place: Place, key: &str, text: impl Into<String>) {
        if !self.has_lost(&place, key) {
            let path = self.path_of(&place, key);
            self.add(place, path, text.into());
        }
    }

    /// Complains about `path`, which stands at `place`: once, for what is said next often follows
    /// from what was said first.
    pub(super) fn add(&mut self, place: Place, path: String, text: String) {
        let line = self.file.is_some().then(|| self.line_of(place.start));
        let key = Some(path).filter(|path| !path.is_empty());
        let is_told = |(_, it): &(_, Complaint)| it.line == line && it.key == key;
        let is_repeat = line.is_some() && self.complaints.iter().any(is_told);
        if is_repeat || key.as_ref().is_some_and(|path| self.is_lost(path)) {
            return;
        }
        match self.complaints.len() {
            COMPLAINTS_MAX => self.there_are_more(),
            0..COMPLAINTS_MAX => self.push(place.start, line, key, on_one_line(text)),
            _ => {}
        }
    }

    /// Complains that not all complaints are made.
    pub(super) fn there_are_more(&mut self) {
        let text = "there are more mistakes than these; mend them and check again";
        self.push(usize::MAX, None, None, text.to_owned());
    }

    fn push(&mut self, start: usize, line: Option<usize>, key: Option<String>, text: String) {
        let file = self.file.clone();
        self.complaints.push((
            start,
            Complaint {
                file,
                line,
                key,
                text,
            },
        ));
    }

    /// From here on nobody complains about `path` and what is beneath it.
    pub(super) fn lose(&mut self, path: String) {
        self.lost.insert(path);
    }

    /// From here on nobody complains that `path` is missing.
    pub(super) fn misspell(&mut self, path: String) {
        self.misspelt.insert(path);
    }

    /// Whether `key` of the table at `place` was written but could not be used.
    pub(super) fn has_lost(&self, place: &Place, key: &str) -> bool {
        self.was_written(&self.path_of(place, key))
    }

    /// Whether `path` was written but could not be used.
    pub(super) fn was_written(&self, path: &str) -> bool {
        self.is_lost(path) || self.misspelt.contains(path)
    }

    fn path_of(&self, place: &Place, key: &str) -> String {
        join(self.key_at(place), key)
    }

    fn is_lost(&self, path: &str) -> bool {
        is_within(&self.lost, path)
    }

    /// The line, counted from 1, of a byte of the file.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// The dotted path of what stands at `place`, or the name of a flag.
    pub(super) fn key_at(&self, place: &Place) -> &str {
        self.keys.get(place).map_or("", String::as_str)
    }

    /// Where `path` stands, if it was written.
    pub(super) fn place_of(&self, path: &str) -> Option<&Place> {
        self.places.get(path)
    }

    /// All texts of the file, each with its path.
    pub(super) fn texts(&self) -> &[(String, String)] {
        &self.texts
    }

    /// What is told of `path`, which stands at `place` if it was written.
    pub(super) fn told(&self, place: Option<&Place>, path: &str, text: String) -> Complaint {
        let flag = place.filter(|_| self.file.is_none());
        Complaint {
            file: self.file.clone(),
            line: place
                .filter(|_| self.file.is_some())
                .map(|it| self.line_of(it.start)),
            key: Some(flag.map_or(path, |it| self.key_at(it)).to_owned()),
            text: on_one_line(text),
        }
    }

    /// What stands at `place`, for a complaint about another.
    pub(super) fn describe(&self, place: &Place) -> String {
        let key = self.key_at(place);
        match self.file {
            Some(_) => format!("`{key}` on line {}", self.line_of(place.start)),
            None => format!("`{key}`"),
        }
    }

    /// `Err` with all complaints, if there are any.
    pub(super) fn finish(mut self) -> Result<(), Complaints> {
        self.complaints.sort_by_key(|(start, _)| *start);
        let in_order = self
            .complaints
            .into_iter()
            .map(|(_, complaint)| complaint)
            .collect();
        Complaints::of(in_order).map_or(Ok(()), Err)
    }
}

/// What users wrote, and complaints quote, may hold line ends and terminal codes.
fn on_one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let escaped = |it: char| it.is_control().then(|| it.escape_default().to_string());
    text.chars()
        .map(|it| escaped(it).unwrap_or_else(|| it.to_string()))
        .collect()
}

/// Whether `path`, or a table or list around it, is among `paths`.
fn is_within(paths: &HashSet<String>, path: &str) -> bool {
    let borders = path
        .char_indices()
        .filter(|(_, it)| matches!(it, '.' | '['));
    let above = borders.map(|(at, _)| &path[..at]);
    above.chain([path]).any(|it| paths.contains(it))
}

/// The path of `key` in the table at `path`. A key that is not bare keeps its quotes.
pub(super) fn join(path: &str, key: &str) -> String {
    let is_bare = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-');
    let dot = if path.is_empty() { "" } else { "." };
    if !key.is_empty() && key.bytes().all(is_bare) {
        format!("{path}{dot}{key}")
    } else {
        format!("{path}{dot}{key:?}")
    }
}
