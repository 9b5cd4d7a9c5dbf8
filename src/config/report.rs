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

/// One file of a configuration. The places of a second one are behind those of the first.
#[derive(Clone, Debug)]
pub(super) struct Source {
    name: Arc<str>,
    /// Where its text begins.
    base: usize,
    /// Where each line of it begins.
    line_starts: Vec<usize>,
}
/// What the flags of `flags.rs` stand for, in their order.
const TABLES_OF_FLAGS: [&str; 4] = ["listen", "origins", "admin", "store"];

/// Complaints in the making.
pub(super) struct Report {
    /// In the order of their places; none for a command line.
    sources: Vec<Source>,
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
    /// Paths of patterns that name no file, which is no mistake.
    unmatched: Vec<String>,
    /// Each with the beginning of its place.
    complaints: Vec<(usize, Complaint)>,
}

// === impl Source ===

impl Source {
    /// A file whose places begin at `base`.
    pub(super) fn new(name: &str, base: usize, text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            name: name.into(),
            base,
            line_starts: std::iter::once(base)
                .chain(ends.map(|(at, _)| base + at + 1))
                .collect(),
        }
    }

    /// Where its places begin.
    pub(super) fn base(&self) -> usize {
        self.base
    }

    /// The line, counted from 1, of a byte.
    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }
}

// === impl Report ===

impl Report {
    /// For files, whose values stand where `tree` says.
    pub(super) fn on_files(sources: Vec<Source>, tree: &Spanned<DeValue<'_>>) -> Self {
        let mut report = Self {
            sources,
            keys: HashMap::new(),
            places: HashMap::new(),
            texts: Vec::new(),
            lost: HashSet::new(),
            misspelt: HashSet::new(),
            unmatched: Vec::new(),
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
            sources: Vec::new(),
            keys: numbered
                .map(|(n, name)| (n..n + 1, (*name).to_owned()))
                .collect(),
            places: tables
                .map(|(table, n)| ((*table).to_owned(), n..n + 1))
                .collect(),
            texts: Vec::new(),
            lost: HashSet::new(),
            misspelt: HashSet::new(),
            unmatched: Vec::new(),
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
        let source = self.source_of(place.start);
        let file = source.map(|it| Arc::clone(&it.name));
        let line = source.map(|it| it.line_of(place.start));
        let key = Some(path).filter(|path| !path.is_empty());
        let is_told =
            |(_, it): &(_, Complaint)| (&it.file, it.line, &it.key) == (&file, line, &key);
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

    /// Complains about a line of a file that the key at `place` names.
    pub(super) fn in_file(&mut self, place: &Place, file: &str, line: usize, text: String) {
        let key = Some(self.key_at(place).to_owned()).filter(|it| !it.is_empty());
        match self.complaints.len() {
            COMPLAINTS_MAX => self.there_are_more(),
            0..COMPLAINTS_MAX => {
                let complaint = Complaint {
                    file: Some(file.into()),
                    line: Some(line),
                    key,
                    text: on_one_line(text),
                };
                self.complaints.push((place.start, complaint));
            }
            _ => {}
        }
    }

    /// Complains that not all complaints are made.
    pub(super) fn there_are_more(&mut self) {
        let text = "there are more mistakes than these; mend them and check again";
        self.push(usize::MAX, None, None, text.to_owned());
    }

    fn push(&mut self, start: usize, line: Option<usize>, key: Option<String>, text: String) {
        let source = self.source_of(start).filter(|_| line.is_some());
        let file = source.or(self.sources.first());
        let file = file.map(|it| Arc::clone(&it.name));
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

    /// Remembers the paths of patterns that name no file.
    pub(super) fn note_unmatched(&mut self, paths: Vec<String>) {
        self.unmatched = paths;
    }

    /// The paths of patterns that name no file.
    pub(super) fn unmatched(&self) -> &[String] {
        &self.unmatched
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

    /// The file in which a byte stands.
    fn source_of(&self, offset: usize) -> Option<&Source> {
        let later = self.sources.partition_point(|it| it.base <= offset);
        self.sources.get(later.checked_sub(1)?)
    }

    /// The number of the file, and the line, of a byte.
    pub(super) fn line_of(&self, offset: usize) -> (usize, usize) {
        let file = self.sources.partition_point(|it| it.base <= offset);
        let line = self.source_of(offset).map_or(0, |it| it.line_of(offset));
        (file, line)
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
        let flag = place.filter(|_| self.sources.is_empty());
        let source = place.and_then(|it| self.source_of(it.start));
        let file = source.or(self.sources.first());
        Complaint {
            file: file.map(|it| Arc::clone(&it.name)),
            line: place.and_then(|it| Some(source?.line_of(it.start))),
            key: Some(flag.map_or(path, |it| self.key_at(it)).to_owned()),
            text: on_one_line(text),
        }
    }

    /// What stands at `place`, for a complaint about another.
    pub(super) fn describe(&self, place: &Place) -> String {
        let key = self.key_at(place);
        let Some(source) = self.source_of(place.start) else {
            return format!("`{key}`");
        };
        let line = source.line_of(place.start);
        match self.sources.len() {
            0 | 1 => format!("`{key}` on line {line}"),
            _ => format!("`{key}` on line {line} of {}", source.name),
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
