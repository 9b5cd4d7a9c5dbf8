//! Lists and maps by name: networks, words and globs that much is compared with, and pairs of texts of
//! which one is looked up by the other.
//!
//! They are built from texts and never change; where those stand is the configuration's to know. A look
//! allocates nothing, and costs among a hundred thousand what it costs among a hundred.

mod list;
mod map;
mod networks;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use list::{Kind, List, ListBuilder};
pub use map::{Map, MapBuilder};
pub use networks::{Networks, parse_network};

/// More entries than any list or map of a proxy has; what has more is another kind of file.
pub const ENTRIES_MAX: usize = 1_000_000;

/// All lists and maps of a configuration, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lists {
    lists: BTreeMap<Arc<str>, Arc<List>>,
    maps: BTreeMap<Arc<str>, Arc<Map>>,
}

// === impl Lists ===

impl Lists {
    /// These lists and maps.
    pub fn new(lists: BTreeMap<Arc<str>, Arc<List>>, maps: BTreeMap<Arc<str>, Arc<Map>>) -> Self {
        Self { lists, maps }
    }

    /// The list of this name.
    pub fn list(&self, name: &str) -> Option<Arc<List>> {
        self.lists.get(name).cloned()
    }

    /// The map of this name.
    pub fn map(&self, name: &str) -> Option<Arc<Map>> {
        self.maps.get(name).cloned()
    }

    /// The names of all lists, in order.
    pub fn list_names(&self) -> Vec<&str> {
        self.lists.keys().map(|it| &**it).collect()
    }

    /// The names of all maps, in order.
    pub fn map_names(&self) -> Vec<&str> {
        self.maps.keys().map(|it| &**it).collect()
    }
}

/// The entries of a text that has one a line, each with the number of its line, counted from 1. What
/// follows a `#` at the beginning of a line, or behind a space, is for people.
pub fn entries(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().zip(1..);
    numbered
        .map(|(line, number)| (number, without_comment(line).trim()))
        .filter(|(_, entry)| !entry.is_empty())
}

fn without_comment(line: &str) -> &str {
    let begins = |at: usize| {
        line[..at]
            .chars()
            .next_back()
            .is_none_or(char::is_whitespace)
    };
    let mut hashes = line.match_indices('#').map(|(at, _)| at);
    hashes.find(|at| begins(*at)).map_or(line, |at| &line[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_an_entry_a_line() {
        let text = "# office\n10.0.0.0/8 # all of it\r\n\n  a#b  \n#\nc\t#";
        let found: Vec<_> = entries(text).collect();
        assert_eq!(found, [(2, "10.0.0.0/8"), (4, "a#b"), (6, "c")]);
    }
}
