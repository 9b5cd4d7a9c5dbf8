//! A file of `src` as the rules see it: its paths, functions, fields, and which lines are tests.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use super::scanner::{Token, is_word, tokens};

/// A file of `src` as tokens.
pub struct Source {
    /// Relative to `src`, with `/`.
    pub path: String,
    pub text: String,
    tokens: Vec<Token>,
    /// Lines of items under `#[cfg(test)]`.
    tests: Vec<RangeInclusive<usize>>,
}

const TEST_MARK: &[&str] = &["#", "[", "cfg", "(", "test", ")", "]"];

/// `a::b::c`, written out or spread over a `use` tree.
#[derive(Debug)]
pub struct Named {
    pub line: usize,
    pub segments: Vec<String>,
}

// === impl Source ===

impl Source {
    pub fn read(src: &Path, path: &Path) -> Self {
        let name = path
            .strip_prefix(src)
            .expect("a path below src")
            .display()
            .to_string();
        let text = fs::read_to_string(path).expect("a readable source");
        Self::new(name, text)
    }

    pub fn new(path: String, text: String) -> Self {
        let tokens = tokens(&text);
        let mut source = Self {
            path,
            text,
            tokens,
            tests: Vec::new(),
        };
        source.tests = source.find_tests();
        source
    }

    pub fn at(&self, line: usize, what: &str) -> String {
        format!("src/{}:{line}: {what}", self.path)
    }

    /// The module right below the root that this file belongs to.
    pub fn floor(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    pub fn folder(&self) -> Option<String> {
        self.path
            .rsplit_once('/')
            .map(|(folder, _)| format!("{folder}/"))
    }

    /// The path of its module below the root: `["store", "shelf"]`; a `mod.rs` is its folder's.
    pub fn module(&self) -> Vec<String> {
        let path = self.path.trim_end_matches(".rs");
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').map(str::to_owned).collect()
    }

    /// How many modules deep the file is: 0 for lib.rs, 1 for clock.rs and store/mod.rs.
    pub fn depth(&self) -> usize {
        let parts = self.path.split('/').count();
        let is_folder = ["mod.rs", "lib.rs", "main.rs"]
            .iter()
            .any(|it| self.path.ends_with(it));
        parts - usize::from(is_folder)
    }

    pub fn is_in(&self, place: &str) -> bool {
        match place.strip_prefix('*') {
            Some(ending) => self.path.ends_with(ending),
            None if place.ends_with('/') => self.path.starts_with(place),
            None => self.path == place,
        }
    }

    /// The files of modules that are declared here for tests alone: `#[cfg(test)] mod name;`.
    pub fn test_files(&self) -> Vec<String> {
        let is_folder = ["mod.rs", "lib.rs", "main.rs"]
            .iter()
            .find_map(|it| self.path.strip_suffix(it));
        let folder = match is_folder {
            Some(folder) => folder.to_owned(),
            None => format!("{}/", self.path.trim_end_matches(".rs")),
        };
        let declared = self.test_items().filter_map(|item| {
            let semicolon = (item..self.item_end(item)).find(|it| self.is(*it, "mod"))? + 2;
            self.is(semicolon, ";")
                .then(|| &self.tokens[semicolon - 1].text)
        });
        declared.map(|name| format!("{folder}{name}.rs")).collect()
    }

    pub fn is(&self, index: usize, text: &str) -> bool {
        self.tokens.get(index).is_some_and(|it| it.text == text)
    }

    pub fn are(&self, index: usize, texts: &[&str]) -> bool {
        texts
            .iter()
            .enumerate()
            .all(|(offset, text)| self.is(index + offset, text))
    }

    /// The tokens outside tests.
    pub fn shipped(&self) -> impl Iterator<Item = (usize, &Token)> {
        let all = self.tokens.iter().enumerate();
        all.filter(|(_, token)| !self.in_tests(token.line))
    }

    pub fn in_tests(&self, line: usize) -> bool {
        self.tests.iter().any(|it| it.contains(&line))
    }

    pub fn test_lines(&self) -> usize {
        self.tests.iter().map(|it| it.end() - it.start() + 1).sum()
    }

    fn find_tests(&self) -> Vec<RangeInclusive<usize>> {
        let line = |index: usize| self.tokens[index].line;
        let lines = |item: usize| line(item - TEST_MARK.len())..=line(self.item_end(item));
        self.test_items().map(lines).collect()
    }

    /// Where items begin that are there for tests alone, after their `#[cfg(test)]`.
    fn test_items(&self) -> impl Iterator<Item = usize> {
        let marks = (0..self.tokens.len()).filter(|index| self.are(*index, TEST_MARK));
        let items = marks.map(|mark| mark + TEST_MARK.len());
        items.filter(|item| *item < self.tokens.len())
    }

    /// All of this file is for tests.
    pub fn mark_as_test(&mut self) {
        self.tests = vec![1..=self.text.lines().count()];
    }

    /// The token that ends the item which begins here: its `;` or the `}` of its block.
    fn item_end(&self, start: usize) -> usize {
        let mut depth = 0_usize;
        for index in start..self.tokens.len() {
            match self.tokens[index].text.as_str() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" => depth = depth.saturating_sub(1),
                "}" => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return index;
                    }
                }
                ";" if depth == 0 => return index,
                _ => {}
            }
        }
        self.tokens.len().saturating_sub(1)
    }

    /// Name and lines of every function with a body, outside tests.
    pub fn functions(&self) -> Vec<(String, RangeInclusive<usize>)> {
        let starts = self.shipped().filter(|(_, token)| token.text == "fn");
        let named = starts.filter(|(index, _)| !self.is(index + 1, "("));
        let lines = |(index, token): (usize, &Token)| {
            let name = self.tokens.get(index + 1)?.text.clone();
            Some((name, token.line..=self.tokens[self.item_end(index)].line))
        };
        named.filter_map(lines).collect()
    }

    /// Every path outside tests.
    pub fn shipped_paths(&self) -> impl Iterator<Item = Named> {
        self.paths()
            .into_iter()
            .filter(|it| !self.in_tests(it.line))
    }

    fn paths(&self) -> Vec<Named> {
        let mut paths = Vec::new();
        let mut index = 0;
        while index < self.tokens.len() {
            if self.is(index, "use") {
                index = self.use_tree(index + 1, &[], &mut paths);
            } else {
                index = self.plain_path(index, &mut paths);
            }
        }
        paths
    }

    /// Reads one branch of a `use` tree, ends after it, and adds a path for each leaf.
    fn use_tree(&self, mut index: usize, stem: &[String], paths: &mut Vec<Named>) -> usize {
        let mut segments = stem.to_vec();
        while let Some(token) = self.tokens.get(index) {
            match token.text.as_str() {
                "{" => return self.use_group(index + 1, &segments, paths),
                "," | "}" | ";" => break,
                ":" => {}
                "as" => index += 1,
                word => segments.push(word.to_owned()),
            }
            index += 1;
        }
        let line = self
            .tokens
            .get(index.saturating_sub(1))
            .map_or(0, |it| it.line);
        paths.push(Named { line, segments });
        index
    }

    fn use_group(&self, mut index: usize, stem: &[String], paths: &mut Vec<Named>) -> usize {
        while index < self.tokens.len() && !self.is(index, "}") {
            index = self.use_tree(index, stem, paths);
            index += usize::from(self.is(index, ","));
        }
        index + 1
    }

    /// Reads `a::b::c`, ends after it.
    fn plain_path(&self, mut index: usize, paths: &mut Vec<Named>) -> usize {
        let Token { text, line } = &self.tokens[index];
        let mut segments = vec![text.clone()];
        while is_word(&self.tokens[index].text)
            && self.are(index + 1, &[":", ":"])
            && self
                .tokens
                .get(index + 3)
                .is_some_and(|it| is_word(&it.text))
        {
            segments.push(self.tokens[index + 3].text.clone());
            index += 3;
        }
        if segments.len() > 1 {
            paths.push(Named {
                line: *line,
                segments,
            });
        }
        index + 1
    }

    /// Line and floor of each `crate::floor` outside tests.
    pub fn own_imports(&self) -> impl Iterator<Item = (usize, String)> {
        let paths = self.shipped_paths().filter(|it| it.segments[0] == "crate");
        paths.filter_map(|it| Some((it.line, it.segments.get(1)?.clone())))
    }

    /// The variants' names of an enum in this file.
    pub fn enum_variants(&self, name: &str) -> Vec<String> {
        let all = 0..self.tokens.len();
        let found = all
            .into_iter()
            .find(|index| self.are(*index, &["enum", name, "{"]));
        let members = found.map_or(Vec::new(), |index| self.members(index + 2));
        members
            .into_iter()
            .map(|index| self.tokens[index].text.clone())
            .collect()
    }

    /// Line and key of each field of the structs that derive `Deserialize`, outside tests.
    pub fn deserialized_fields(&self) -> impl Iterator<Item = (usize, String)> {
        let derives = self
            .shipped()
            .filter(|(index, _)| self.are(*index, &["derive", "("]));
        let structs = derives.filter_map(|(index, _)| self.deserialized_struct(index));
        structs.flat_map(|open| self.members(open)).map(|index| {
            let field = &self.tokens[index];
            (
                field.line,
                self.rename(index).unwrap_or_else(|| field.text.clone()),
            )
        })
    }

    /// From a `derive` with `Deserialize` to the `{` of its struct.
    fn deserialized_struct(&self, derive: usize) -> Option<usize> {
        let close = (derive..self.tokens.len()).find(|index| self.is(*index, ")"))?;
        let derives = (derive..close).any(|index| self.is(index, "Deserialize"));
        let keyword = (close..=self.item_end(close + 2)).find(|index| self.is(*index, "struct"))?;
        let open = keyword + 2;
        (derives && self.is(open, "{")).then_some(open)
    }

    /// The name tokens of the fields or variants in the braces that open here.
    fn members(&self, open: usize) -> Vec<usize> {
        let mut members = Vec::new();
        let mut depth = 0_usize;
        let mut awaited = true;
        for index in open..self.tokens.len() {
            match self.tokens[index].text.as_str() {
                "{" | "(" | "[" | "<" => depth += 1,
                "}" if depth == 1 => break,
                "}" | ")" | "]" | ">" => depth = depth.saturating_sub(1),
                "," if depth == 1 => awaited = true,
                "#" | "pub" => {}
                word if depth == 1 && awaited && is_word(word) => {
                    members.push(index);
                    awaited = false;
                }
                _ => {}
            }
        }
        members
    }

    /// The name in a `#[serde(rename = "…")]` right above a field.
    fn rename(&self, field: usize) -> Option<String> {
        let from = (0..field)
            .rev()
            .find(|index| self.is(*index, ",") || self.is(*index, "{"));
        let at = (from?..field).find(|index| self.are(*index, &["rename", "="]))?;
        Some(self.tokens[at + 2].text.trim_matches('"').to_owned())
    }

    /// Line and name of each `.unwrap()` and `.expect(…)` outside tests.
    pub fn panicking_calls(&self) -> impl Iterator<Item = (usize, String)> {
        self.shipped().filter_map(|(index, token)| {
            let name = token.text.as_str();
            let is_method = index > 0 && self.is(index - 1, ".") && self.is(index + 1, "(");
            (is_method && matches!(name, "unwrap" | "expect" | "unwrap_err" | "expect_err"))
                .then(|| (token.line, name.to_owned()))
        })
    }

    /// Whether a comment of a few words stands above the statement that this line is part of.
    pub fn has_reason(&self, line: usize) -> bool {
        let lines: Vec<_> = self.text.lines().map(str::trim).collect();
        let mut index = line - 1;
        while index > 0 && lines[index].starts_with(['.', ')', '}']) {
            index -= 1;
        }
        let above = index.checked_sub(1).map_or("", |it| lines[it]);
        above
            .strip_prefix("//")
            .is_some_and(|it| it.split_whitespace().count() >= 3)
    }
}

// === impl Named ===

impl Named {
    pub fn names(&self, pattern: &str) -> bool {
        let pattern: Vec<_> = pattern.split("::").collect();
        let windows = self.segments.windows(pattern.len());
        let mut places = windows.enumerate().filter(|(_, it)| *it == pattern);
        places.any(|(at, _)| at == 0 || pattern.len() > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("store/memory.rs".to_owned(), text.to_owned())
    }

    #[test]
    fn the_scanner_sees_through_use_trees() {
        let text =
            "use std::{time::{Duration, Instant as I}, io};\nfn f() { crate::store::find::<A>() }";
        let paths = source(text).paths();
        let joined: Vec<_> = paths.iter().map(|it| it.segments.join("::")).collect();
        let expected = [
            "std::time::Duration",
            "std::time::Instant",
            "std::io",
            "crate::store::find",
        ];
        assert_eq!(joined, expected);
        assert!(paths[1].names("std::time::Instant") && paths[1].names("time::Instant"));
        assert!(paths[0].names("std") && !paths[0].names("time") && !paths[0].names("st"));
        assert_eq!(paths[3].line, 2);
    }

    #[test]
    fn the_scanner_measures_functions_and_leaves_tests_out() {
        let text = "fn a(x: fn(u8)) -> [u8; 2] {\n  if x { \"}\" }\n}\ntrait T { fn b(); }\n\
                    #[cfg(test)]\nmod tests {\n  fn c() { x.unwrap() }\n}\n";
        let file = source(text);
        assert_eq!(
            file.functions(),
            [("a".to_owned(), 1..=3), ("b".to_owned(), 4..=4)]
        );
        assert_eq!((file.test_lines(), file.panicking_calls().count()), (4, 0));
    }

    #[test]
    fn the_scanner_follows_test_modules_into_their_files() {
        let text = "#[cfg(test)]\nmod tests;\n#[cfg(test)]\npub(crate) mod testing;\nmod other;";
        assert_eq!(
            source(text).test_files(),
            ["store/memory/tests.rs", "store/memory/testing.rs"]
        );
        let folder = Source::new("store/mod.rs".to_owned(), text.to_owned());
        assert_eq!(folder.test_files()[0], "store/tests.rs");
    }

    #[test]
    fn the_scanner_reads_fields_and_variants() {
        let text = "#[derive(Debug, Deserialize)]\n#[serde(deny_unknown_fields)]\nstruct A {\n\
                    #[serde(default, rename = \"type\")]\n kind: Map<String, u8>,\n pub b: Vec<u8>,\n}\n\
                    #[derive(Debug)]\nstruct B { c: u8 }\n\
                    pub(super) enum Step { Receive(Receive), Done(Response<Body>), Last { at: u8 } }";
        let file = source(text);
        let keys: Vec<_> = file.deserialized_fields().map(|(_, key)| key).collect();
        assert_eq!(keys, ["type", "b"]);
        assert_eq!(file.enum_variants("Step"), ["Receive", "Done", "Last"]);
    }

    #[test]
    fn the_scanner_wants_a_reason_above_the_statement() {
        let bare = "fn f() {\n  a\n    .b()\n    .expect(\"c\");\n}";
        let said = "fn f() {\n  // It was checked above.\n  a\n    .b()\n    .expect(\"c\");\n}";
        assert!(!source(bare).has_reason(4));
        assert!(source(said).has_reason(5));
    }
}
