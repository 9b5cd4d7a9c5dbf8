//! Regular expressions, of which each is compiled once, bounded in size, and run in linear time.

use std::borrow::Cow;

use regex::bytes::{Regex, RegexBuilder};

/// What one may take in memory, compiled and while it runs.
const BYTES_MAX: usize = 1 << 20;

/// How deep groups may be.
const DEPTH_MAX: u32 = 64;

/// A regular expression over bytes.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

// === impl Pattern ===

impl Pattern {
    /// Compiles a text.
    ///
    /// # Errors
    /// What is wrong with it, on one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Paths are ASCII and fields are bytes: tables of Unicode would only make it large.
        let built = RegexBuilder::new(text)
            .unicode(false)
            .size_limit(BYTES_MAX)
            .dfa_size_limit(BYTES_MAX)
            .nest_limit(DEPTH_MAX)
            .build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "is too large a regular expression; divide it".to_owned()
            }
            error => wrong(text, &error.to_string()),
        })
    }

    /// Whether it is found in a text.
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }

    /// A text with what was found first replaced; in `with`, `$1` stands for the first group.
    pub fn replace<'a>(&self, text: &'a [u8], with: &str) -> Cow<'a, [u8]> {
        self.0.replace(text, with.as_bytes())
    }
}

/// Those of one text are alike.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// The last line of what is told has the reason; those before it show the place.
fn wrong(text: &str, told: &str) -> String {
    let why = told.lines().last().unwrap_or_default();
    let why = why.trim_start_matches("error: ");
    let looks_around = ["(?=", "(?!", "(?<=", "(?<!"]
        .iter()
        .any(|it| text.contains(it));
    let hint = match looks_around {
        true => "; say the rest with `&&` and `!`",
        false => "",
    };
    format!("`{text}` is no regular expression: {why}{hint}")
}
