//! Globs: names with a `*` for any run of bytes, by which operators list what has many names.
//!
//! A name is compared as it stands, letter case included; nothing is allocated for it, and the time
//! is linear in name and glob, whatever a client makes of the name.

use memchr::memmem;

/// A list of names and globs; a name is in it if it is one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Globs(Box<[Box<[u8]>]>);

// === impl Globs ===

impl Globs {
    /// The list of these names and globs.
    pub fn new(globs: &[String]) -> Self {
        Self(globs.iter().map(|it| it.as_bytes().into()).collect())
    }

    /// The names and globs of several lists.
    pub fn joined<'a>(lists: impl Iterator<Item = &'a Self>) -> Self {
        Self(lists.flat_map(|it| it.0.iter().cloned()).collect())
    }

    /// Whether no name is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a name is one of these.
    pub fn have(&self, name: &[u8]) -> bool {
        self.0.iter().any(|glob| is_match(glob, name))
    }

    /// The list for people to read, with commas between.
    pub fn in_words(&self) -> String {
        let words: Vec<_> = self
            .0
            .iter()
            .map(|it| String::from_utf8_lossy(it))
            .collect();
        words.join(", ")
    }
}

/// The piece before the first `*` has to begin the name, and the one behind the last to end it. Of
/// what is between, each piece is taken where it is found first: that leaves most for the others.
fn is_match(glob: &[u8], name: &[u8]) -> bool {
    let mut pieces = glob.split(|byte| *byte == b'*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    let Some(between) = rest.strip_suffix(last) else {
        return false;
    };
    rest = between;
    pieces.all(|piece| match memmem::find(rest, piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn globs(globs: &[&str]) -> Globs {
        Globs::new(&globs.iter().map(|it| it.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn a_star_stands_for_any_run() {
        #[rustfmt::skip]
        let rows: [(&str, &[&str], &[&str]); 8] = [
            ("sid", &["sid"], &["", "si", "sid2", "SID", "asid"]),
            ("*", &["", "a", "a*"], &[]),
            ("wp_*", &["wp_", "wp_1"], &["wp", "awp_1", "WP_1"]),
            ("*_sid", &["_sid", "a_sid", "_sid_sid"], &["sid", "a_sids"]),
            ("a*a", &["aa", "aba", "a*a"], &["a", "ab"]),
            ("*session*", &["session", "PHPsession_1", "sessionsession"], &["sessio", "Session"]),
            ("a*b*c", &["abc", "a-b-c", "abbcc", "abcbc"], &["ac", "acb", "abcb"]),
            ("*aa*a", &["aaa", "baaba"], &["aa", "aab", "aba"]),
        ];
        for (glob, good, bad) in rows {
            for name in good {
                assert!(globs(&[glob]).have(name.as_bytes()), "{glob} {name}");
            }
            for name in bad {
                assert!(!globs(&[glob]).have(name.as_bytes()), "{glob} {name}");
            }
        }
        let some = globs(&["a", "b*"]);
        assert!(some.have(b"a") && some.have(b"bc") && !some.have(b"ab"));
        assert!(globs(&[]).is_empty() && !globs(&[]).have(b""));
        assert_eq!(some.in_words(), "a, b*");
    }

    /// What a star means, without regard to time.
    fn plainly(glob: &[u8], name: &[u8]) -> bool {
        match glob.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|at| plainly(rest, &name[at..])),
            Some((byte, rest)) => name.first() == Some(byte) && plainly(rest, &name[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn quick_matching_is_plain_matching(glob in "[ab*]{0,7}", name in "[ab*]{0,9}") {
            let found = globs(&[&glob]).have(name.as_bytes());
            prop_assert_eq!(found, plainly(glob.as_bytes(), name.as_bytes()));
        }
    }
}
