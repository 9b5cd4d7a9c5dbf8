//! Notes on a configuration: what is legal, and was surely meant otherwise.
//!
//! Not mistakes, which are complained about where they are read. Notes are made of what was resolved,
//! and only where there is no complaint. One file is about the machine, all others look at nothing
//! but the configuration.

mod caching;
mod cookies;
mod globs;
mod hosts;
mod machine;
mod networks;
mod paths;
mod rules;
mod servers;
mod sizes;
mod timeouts;
mod tls;
mod unused;
mod user;
mod variables;
mod without_effect;

use std::fmt;

use super::Config;
use super::complaint::Complaint;
use super::report::{Place, Report};

pub(super) use self::machine::Machine;

/// Something that is legal and was surely meant otherwise: where it stands, what it does, and what to
/// write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note(Complaint);

/// Notes in the making.
struct Notebook<'a> {
    report: &'a Report,
    /// Each with the beginning of its place.
    notes: Vec<(usize, Note)>,
}

/// All notes on a configuration, in the order of their lines. Without a machine, only those that hold
/// wherever it is used.
pub(super) fn of(config: &Config, report: &Report, machine: Option<&Machine>) -> Vec<Note> {
    let mut book = Notebook {
        report,
        notes: Vec::new(),
    };
    for look in [
        paths::look,
        rules::look,
        hosts::look,
        variables::look,
        unused::look,
        servers::look,
        without_effect::look,
        caching::look,
        cookies::look,
        globs::look,
        networks::look,
        timeouts::look,
        tls::look,
    ] {
        look(config, &mut book);
    }
    for path in &config.unmatched_includes {
        book.at(path, "matches no file; nothing is included by it");
    }
    if let Some(machine) = machine {
        sizes::look(config, machine, &mut book);
    }
    book.notes.sort_by_key(|(start, _)| *start);
    book.notes.into_iter().map(|(_, note)| note).collect()
}

// === impl Note ===

/// As a complaint, with the word "note" before what is said.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl Notebook ===

impl Notebook<'_> {
    /// Notes something about what stands at `path`, or at the nearest path around it that was written.
    fn at(&mut self, path: &str, text: impl fmt::Display) {
        let place = self.place(path);
        let complaint = self
            .report
            .told(place.as_ref(), path, format!("note: {text}"));
        let start = place.map_or(0, |it| it.start);
        self.notes.push((start, Note(complaint)));
    }

    /// Whether this path stands in the file.
    fn is_written(&self, path: &str) -> bool {
        self.report.place_of(path).is_some()
    }

    /// The first of these paths that stands in the file.
    fn first_written(&self, paths: &[String]) -> Option<String> {
        paths.iter().find(|path| self.is_written(path)).cloned()
    }

    /// All texts with their paths.
    fn texts(&self) -> Vec<(String, String)> {
        self.report.texts().to_vec()
    }

    fn place(&self, path: &str) -> Option<Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.report.place_of(path) {
                return Some(place.clone());
            }
            // From the key to its table, and from the element to its list.
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

/// The path of `key` of a route, by the numbers of its site and of itself.
fn of_route(site: usize, route: usize, key: &str) -> String {
    format!("site[{site}].route[{route}].{key}")
}
