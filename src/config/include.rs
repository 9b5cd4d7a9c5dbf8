//! `include`: further files of one configuration, and how their tables come together.
//!
//! Each file is parsed by itself, and its tree is moved behind the text of those before it, so that a
//! place tells the file as well. Lists of tables are appended, origins put beside one another; what
//! stands in two files otherwise is a mistake. Only the first file includes others.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue, Error};
use toml::{Spanned, Table, Value};

use super::meant;
use super::report::{Place, ROOT, Source, join};
use crate::semantics::globs::Globs;

/// The key in the first file.
pub(super) const KEY: &str = "include";

/// No file of a configuration is larger, so that a wrong path, as to a disk image, does no harm.
pub(super) const FILE_BYTES_MAX: u64 = 4 << 20;

/// More files are a folder that was not meant.
const FILES_MAX: usize = 1000;

/// Tables of named tables, which may come from several files.
const NAMED: [&str; 3] = ["list", "map", "origins"];

type Tree<'a> = Spanned<DeValue<'a>>;

/// A file to be read, and the place of the pattern that named it.
pub(super) struct Named {
    path: PathBuf,
    place: Place,
}

/// What `include` names.
pub(super) struct Found {
    pub(super) named: Vec<Named>,
    /// The paths of patterns that match no file.
    pub(super) unmatched: Vec<String>,
}

/// A file's text, and where it stands among those of the others.
pub(super) struct Text {
    pub(super) source: Source,
    pub(super) text: String,
}

/// What is said of a place: its path, if it is not known by the tree, and the complaint.
pub(super) struct Remark {
    pub(super) place: Place,
    pub(super) path: Option<String>,
    pub(super) said: Said,
}

/// A complaint, which may be about two places.
pub(super) enum Said {
    Text(String),
    /// It stands at another place already.
    Taken(Place),
}

/// A slip in the syntax of a file.
pub(super) struct Slip {
    pub(super) place: Place,
    pub(super) message: String,
}

// === impl Remark ===

impl Remark {
    fn at(place: Place, text: impl Into<String>) -> Self {
        let said = Said::Text(text.into());
        Self {
            place,
            path: None,
            said,
        }
    }
}

// === impl Text ===

impl Text {
    /// The first file.
    pub(super) fn first(name: &str, text: String) -> Self {
        let source = Source::new(name, 0, &text);
        Self { source, text }
    }

    /// Its tree and its slips, at their places among all files.
    pub(super) fn parse(&self) -> (Tree<'_>, Vec<Slip>) {
        let base = self.source.base();
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        let tree = Spanned::new(ROOT, DeValue::Table(table.into_inner()));
        let slip = |error: &Error| {
            let place = error.span().unwrap_or(ROOT);
            let line = line_at(&self.text, place.start);
            Slip {
                message: meant::kind::of_line(line)
                    .unwrap_or(error.message())
                    .to_owned(),
                place: moved(place, base),
            }
        };
        (move_by(tree, base), errors.iter().map(slip).collect())
    }
}

/// The files that `include` of the first file names, in the order in which they are read: as the
/// patterns stand, and by name where one names several. Each is there once, and none of them is
/// `first` itself.
pub(super) fn files(tree: &Tree<'_>, first: &Path, remarks: &mut Vec<Remark>) -> Found {
    let patterns = tree.get_ref().as_table().and_then(|it| it.get(KEY));
    let patterns = patterns.and_then(|it| it.get_ref().as_array());
    let folder = first.parent().unwrap_or(Path::new(""));
    let (mut named, mut unmatched) = (Vec::new(), Vec::new());
    for (index, pattern) in patterns.into_iter().flatten().enumerate() {
        let Some(text) = pattern.get_ref().as_str() else {
            continue;
        };
        match matching(folder, text) {
            Ok(paths) if paths.is_empty() => unmatched.push(format!("{KEY}[{index}]")),
            Ok(paths) => named.extend(paths.into_iter().map(|path| Named {
                path,
                place: pattern.span(),
            })),
            Err(complaint) => remarks.push(Remark::at(pattern.span(), complaint)),
        }
    }
    let mut seen = vec![identity(first)];
    named.retain(|it: &Named| {
        let identity = identity(&it.path);
        let is_new = !seen.contains(&identity);
        seen.push(identity);
        is_new
    });
    if let Some(beyond) = named.get(FILES_MAX) {
        let text = format!("there are more than {FILES_MAX} files with this; name fewer");
        remarks.push(Remark::at(beyond.place.clone(), text));
        named.truncate(FILES_MAX);
    }
    Found { named, unmatched }
}

/// The texts of these files, behind the first.
pub(super) fn read(first: &Text, named: Vec<Named>, remarks: &mut Vec<Remark>) -> Vec<Text> {
    let mut texts: Vec<Text> = Vec::new();
    for Named { path, place } in named {
        match read_bounded(&path) {
            Ok(text) => {
                let last = texts.last().unwrap_or(first);
                let base = last.source.base() + last.text.len() + 1;
                let source = Source::new(&path.display().to_string(), base, &text);
                texts.push(Text { source, text });
            }
            Err(error) => {
                let text = format!("{} cannot be read: {error}", path.display());
                remarks.push(Remark::at(place, text));
            }
        }
    }
    texts
}

/// The text of a file.
///
/// # Errors
/// It cannot be read, is no UTF-8 or too large.
pub(super) fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(
            "it is larger than 4 MiB, too large for a configuration",
        ));
    }
    Ok(text)
}

/// Puts the tables of an included file to those of `whole`.
pub(super) fn merge<'a>(whole: &mut Tree<'a>, included: Tree<'a>, remarks: &mut Vec<Remark>) {
    let (DeValue::Table(whole), DeValue::Table(included)) =
        (whole.get_mut(), included.into_inner())
    else {
        return;
    };
    for (key, value) in included {
        if key.get_ref() == KEY {
            let text = "only the first file includes others; write it there";
            remarks.push(remark_on(&key, KEY, Said::Text(text.to_owned())));
            continue;
        }
        let name = key.get_ref().clone().into_owned();
        match whole.get_mut(name.as_str()) {
            None => {
                whole.insert(key, value);
            }
            Some(known) => merge_values(&key, &name, known, value, remarks),
        }
    }
}

/// Puts what a second file has under a key to what is there.
fn merge_values<'a>(
    key: &Spanned<Cow<'a, str>>,
    name: &str,
    known: &mut Tree<'a>,
    value: Tree<'a>,
    remarks: &mut Vec<Remark>,
) {
    let first = known.span();
    match (known.get_mut(), value.into_inner()) {
        (DeValue::Array(list), DeValue::Array(more)) if are_tables(list) && are_tables(&more) => {
            more.into_iter().for_each(|it| list.push(it));
        }
        (DeValue::Table(table), DeValue::Table(more)) if NAMED.contains(&name) => {
            for (key, value) in more {
                let path = join(name, key.get_ref());
                match table.get(key.get_ref().as_ref()) {
                    Some(known) => {
                        remarks.push(remark_on(&key, &path, Said::Taken(known.span())));
                    }
                    None => {
                        table.insert(key, value);
                    }
                }
            }
        }
        _ => remarks.push(remark_on(key, name, Said::Taken(first))),
    }
}

fn remark_on(key: &Spanned<Cow<'_, str>>, path: &str, said: Said) -> Remark {
    Remark {
        place: key.span(),
        path: Some(path.to_owned()),
        said,
    }
}

fn are_tables(list: &[Tree<'_>]) -> bool {
    list.iter().all(|it| it.get_ref().is_table())
}

/// What `pattern` names: a file, whether it is there or not, or the files whose names match.
fn matching(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let path = folder.join(pattern);
    if !pattern.contains('*') {
        return match pattern.is_empty() {
            true => Err("is empty; write \"conf.d/*.toml\", or the name of a file".to_owned()),
            false => Ok(vec![path]),
        };
    }
    let name = path.file_name().and_then(|it| it.to_str()).unwrap_or("");
    let folder = path.parent().unwrap_or(Path::new(""));
    if folder.to_string_lossy().contains('*') || name.is_empty() {
        return Err("has a `*` in the name of a folder; only names of files may have one".into());
    }
    let folder_read = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let entries = match fs::read_dir(folder_read) {
        Ok(entries) => entries,
        // A folder that is not there has no files.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{} cannot be read: {error}", folder.display())),
    };
    let globs = Globs::new(&[name.to_owned()]);
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        // As in a shell; editors keep their copies under such names.
        .filter(|it| !it.starts_with('.') && globs.have(it.as_bytes()))
        .collect();
    names.sort();
    Ok(names.into_iter().map(|it| folder.join(it)).collect())
}

/// By what a file is known again, whatever way leads to it.
fn identity(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Why the first file could not be read, and what to do.
pub(super) fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such file; name another with `-c FILE`, or begin with \
                                     `copal run --listen 127.0.0.1:8080 --origin \
                                     http://127.0.0.1:3000`"
                .to_owned()
        }
        io::ErrorKind::IsADirectory => {
            "is a folder; name the file in it, as `-c config.toml`".to_owned()
        }
        io::ErrorKind::InvalidData => "is no text, and so no configuration".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// The line that holds the byte at `offset`.
fn line_at(text: &str, offset: usize) -> &str {
    let begin = text.get(..offset).and_then(|it| it.rfind('\n'));
    let rest = text.get(begin.map_or(0, |it| it + 1)..).unwrap_or_default();
    rest.lines().next().unwrap_or_default()
}

/// All that was written in these files, for people: with the names of variables, not their values.
pub(super) fn together<'a>(texts: impl Iterator<Item = &'a Text>) -> Table {
    let mut all = Table::new();
    // What does not parse is complained about, and nobody gets to see this.
    let tables = texts.filter_map(|it| it.text.parse::<Table>().ok());
    for (key, value) in tables.flatten() {
        match (all.get_mut(&key), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (Some(Value::Table(table)), Value::Table(more)) => table.extend(more),
            (_, value) => {
                all.insert(key, value);
            }
        }
    }
    all
}

fn moved(place: Place, by: usize) -> Place {
    place.start + by..place.end + by
}

/// The same values, with all places so much further behind.
fn move_by(value: Tree<'_>, by: usize) -> Tree<'_> {
    if by == 0 {
        return value;
    }
    let place = moved(value.span(), by);
    let inner = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    let place = moved(key.span(), by);
                    (Spanned::new(place, key.into_inner()), move_by(value, by))
                })
                .collect(),
        ),
        DeValue::Array(list) => {
            DeValue::Array(list.into_iter().map(|it| move_by(it, by)).collect())
        }
        other => other,
    };
    Spanned::new(place, inner)
}
