//! Map of texts, each of which leads to another.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::quality::RandomState;

use super::ENTRIES_MAX;

/// Texts by texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(Pairs);

type Pairs = HashMap<Box<str>, Box<str>, RandomState>;

/// A map to be.
#[derive(Debug, Default)]
pub struct MapBuilder(Pairs);

// === impl Map ===

impl Map {
    /// What a key leads to. Keys are compared as they stand.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|it| &**it)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no key leads anywhere.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

// === impl MapBuilder ===

impl MapBuilder {
    /// Adds a line of a file: a key, space, and what it leads to, which is given back.
    ///
    /// # Errors
    /// What is wrong with it, and how to mend it.
    pub fn add_line<'a>(&mut self, line: &'a str) -> Result<&'a str, String> {
        let (key, value) = line
            .split_once([' ', '\t'])
            .ok_or("has a key alone; write what it leads to behind it, as `/old /new`")?;
        let value = value.trim_start();
        self.add(key, value).map(|()| value)
    }

    /// Adds a pair.
    ///
    /// # Errors
    /// What is wrong with it, and how to mend it.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), String> {
        if self.0.len() >= ENTRIES_MAX {
            return Err(format!("has more than {ENTRIES_MAX} entries; divide it"));
        }
        match self.0.entry(key.into()) {
            Entry::Occupied(known) if **known.get() != *value => {
                let known = known.get();
                Err(format!(
                    "`{key}` leads to `{known}` already; keep one of the two"
                ))
            }
            Entry::Occupied(_) => Ok(()),
            Entry::Vacant(place) => {
                place.insert(value.into());
                Ok(())
            }
        }
    }

    /// The map.
    pub fn build(self) -> Map {
        Map(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_key_and_what_it_leads_to() {
        let mut map = MapBuilder::default();
        for line in ["/a  /b c", "/x\thttps://x.example/?a#b", "/a /b c"] {
            map.add_line(line).unwrap();
        }
        assert!(map.add_line("/only").is_err());
        let complaint = map.add_line("/a /c").unwrap_err();
        assert_eq!(
            complaint,
            "`/a` leads to `/b c` already; keep one of the two"
        );
        let map = map.build();
        assert_eq!(map.get("/a"), Some("/b c"));
        assert_eq!(map.get("/x"), Some("https://x.example/?a#b"));
        assert_eq!((map.get("/A"), map.len()), (None, 2));
        assert!(!map.is_empty());
    }
}
