//! List of one kind of entries, and whether something is on it.

use std::collections::HashSet;
use std::net::IpAddr;

use foldhash::quality::RandomState;
use ipnet::IpNet;

use super::ENTRIES_MAX;
use super::networks::{Networks, parse_network};
use crate::semantics::globs::Globs;

/// Globs are gone through one by one.
const GLOBS_MAX: usize = 1_000;

/// What entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Networks and addresses of IP.
    Networks,
    /// Texts that are compared as they stand.
    Words,
    /// Texts in which a `*` stands for any run of characters.
    Globs,
}

/// Entries of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    kind: Kind,
    networks: Networks,
    /// Words, and globs without a star.
    words: Words,
    globs: Globs,
}

type Words = HashSet<Box<str>, RandomState>;

/// A list to be.
#[derive(Debug)]
pub struct ListBuilder {
    kind: Kind,
    networks: Vec<IpNet>,
    words: Words,
    globs: Vec<String>,
}

// === impl List ===

impl List {
    /// What its entries are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether an address is in one of its networks.
    pub fn holds_address(&self, address: IpAddr) -> bool {
        self.networks.hold(address)
    }

    /// Whether a text is one of its words, or one of its globs fits. Letter case counts.
    pub fn holds_word(&self, word: &str) -> bool {
        self.words.contains(word) || self.globs.have(word.as_bytes())
    }
}

// === impl ListBuilder ===

impl ListBuilder {
    /// A list without entries.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            networks: Vec::new(),
            words: Words::default(),
            globs: Vec::new(),
        }
    }

    /// Adds an entry; one that is there already changes nothing.
    ///
    /// # Errors
    /// What is wrong with it, and how to mend it.
    pub fn add(&mut self, entry: &str) -> Result<(), String> {
        if self.networks.len() + self.words.len() >= ENTRIES_MAX {
            return Err(format!("has more than {ENTRIES_MAX} entries; divide it"));
        }
        match self.kind {
            Kind::Networks => self.networks.push(parse_network(entry)?),
            Kind::Globs if entry.contains("**") => {
                return Err("`**` says no more than `*`; write one".to_owned());
            }
            Kind::Globs if entry.contains('*') && self.globs.len() >= GLOBS_MAX => {
                let text = format!("has more than {GLOBS_MAX} entries with a `*`; join some");
                return Err(text);
            }
            Kind::Globs if entry.contains('*') => self.globs.push(entry.to_owned()),
            Kind::Words | Kind::Globs => {
                self.words.insert(entry.into());
            }
        }
        Ok(())
    }

    /// The list.
    pub fn build(self) -> List {
        List {
            kind: self.kind,
            networks: self.networks.into_iter().collect(),
            words: self.words,
            globs: Globs::new(&self.globs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(kind: Kind, entries: &[&str]) -> List {
        let mut list = ListBuilder::new(kind);
        entries.iter().for_each(|it| list.add(it).unwrap());
        list.build()
    }

    #[test]
    fn each_kind_finds_its_own() {
        let networks = list(Kind::Networks, &["10.0.0.0/8", "10.0.0.0/8"]);
        assert!(networks.holds_address("10.1.1.1".parse().unwrap()));
        assert!(!networks.holds_word("10.0.0.0/8"));
        let words = list(Kind::Words, &["a*", "b"]);
        assert!(words.holds_word("a*") && words.holds_word("b"));
        assert!(!words.holds_word("ab") && !words.holds_word("B"));
        assert!(!words.holds_address("::1".parse().unwrap()));
        let globs = list(Kind::Globs, &["*bot*", "curl"]);
        assert!(globs.holds_word("a bot/1.0") && globs.holds_word("curl"));
        assert!(!globs.holds_word("curl/8") && !globs.holds_word("Bot"));
    }

    #[test]
    fn what_is_no_entry_is_told() {
        for (kind, entry) in [
            (Kind::Networks, "10.0.0.1/8"),
            (Kind::Networks, "shop.example"),
            (Kind::Globs, "a**"),
        ] {
            assert!(ListBuilder::new(kind).add(entry).is_err(), "{entry}");
        }
        let mut globs = ListBuilder::new(Kind::Globs);
        for number in 0..GLOBS_MAX {
            globs.add(&format!("{number}*")).unwrap();
        }
        globs.add("plain").unwrap();
        assert!(globs.add("one more*").is_err());
    }
}
