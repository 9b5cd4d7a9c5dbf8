//! Turns the messages of the TOML parser and of serde into complaints that say how to mend.
//!
//! Not the places of mistakes: `recover.rs` knows those.

/// A value that is none, nearly always text without its quotes.
pub(super) const UNQUOTED: &str =
    "is not a value; text goes in double quotes, as \"30s\", true and false without them";

/// A key or a table that stands in two places.
pub(super) const TWICE: &str = "is given twice; keep one of the two";

/// A complaint about the entry `key`, and the key that was probably meant.
pub(super) fn of_serde(message: &str, key: &str) -> (String, Option<String>) {
    if message.starts_with("unknown field ") {
        return unknown_key(key, &names_in(expected_of(message)));
    }
    (of_value(message), None)
}

/// The keys that serde names where it found an unknown one; none for any other mistake.
pub(super) fn known_keys(message: &str) -> Vec<&str> {
    match message.starts_with("unknown field ") {
        true => names_in(expected_of(message)),
        false => Vec::new(),
    }
}

fn unknown_key(key: &str, known: &[&str]) -> (String, Option<String>) {
    match closest(key, known) {
        Some(meant) => (
            format!("unknown key; did you mean `{meant}`?"),
            Some(meant.to_owned()),
        ),
        None => (
            format!("unknown key; known here are {}", list(known, "`", "and")),
            None,
        ),
    }
}

/// A complaint about a value that serde did not take.
pub(super) fn of_value(message: &str) -> String {
    // The parser's own word on a number where one of some words must stand.
    if message == "wanted string or table" {
        return "must be text in double quotes".to_owned();
    }
    let kinds = ["invalid type: ", "invalid value: ", "invalid length: "];
    if let Some(rest) = kinds.iter().find_map(|kind| message.strip_prefix(kind))
        && let Some((found, wanted)) = rest.split_once(", expected ")
    {
        if let Some(bare) = without_quotes(found, wanted) {
            return format!("goes without quotes; write {bare}");
        }
        if wanted == "a sequence"
            && let Some(text) = found.strip_prefix("string ")
        {
            return format!("is a list; write [{text}]");
        }
        return format!(
            "{} stands where {} is wanted",
            in_words(found),
            in_words(wanted)
        );
    }
    if let Some(rest) = message.strip_prefix("unknown variant ")
        && let Some((found, _)) = rest.split_once(", expected ")
    {
        let known = names_in(expected_of(message));
        return format!("{found} is not known; write {}", list(&known, "\"", "or"));
    }
    message.to_owned()
}

/// A number, or true or false, that stands in quotes where one is wanted.
fn without_quotes<'a>(found: &'a str, wanted: &str) -> Option<&'a str> {
    let text = found.strip_prefix("string \"")?.strip_suffix('"')?;
    let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let is_wanted = match text {
        "true" | "false" => wanted == "a boolean",
        _ => is_number && wanted.contains("number"),
    };
    is_wanted.then_some(text)
}

/// Serde's name for what it found or wants, in a user's words.
fn in_words(name: &str) -> &str {
    match name {
        "a boolean" => "true or false",
        "f64" => "a number, as 0.5,",
        "a string" => "text in double quotes",
        "a sequence" => "a list, as [\"a\", \"b\"],",
        "sequence" => "a list",
        "a map" => "a table",
        "map" => "a table",
        other => other,
    }
}

fn expected_of(message: &str) -> &str {
    message
        .rsplit_once(", expected ")
        .map_or("", |(_, expected)| expected)
}

/// The names between backquotes: serde writes "one of `a`, `b`".
fn names_in(expected: &str) -> Vec<&str> {
    expected.split('`').skip(1).step_by(2).collect()
}

/// `"a", "b" or "c"`, for words to choose from.
pub(super) fn list(names: &[&str], quote: &str, join: &str) -> String {
    let quoted: Vec<String> = names
        .iter()
        .map(|name| format!("{quote}{name}{quote}"))
        .collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {join} {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// The known name that `typed` is but for one slip, or for the order of its words.
pub(super) fn near<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    let meant = closest(typed, known)?;
    let is_near = words(meant) == words(typed) || strsim::levenshtein(typed, meant) <= 1;
    is_near.then_some(meant)
}

/// The known name that `typed` is most like, if it is much like any.
pub(super) fn closest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    // `max_connections` has all the words of `connections_max`.
    if let Some(name) = known.iter().find(|name| words(name) == words(typed)) {
        return Some(name);
    }
    let edits = |name| (strsim::levenshtein(typed, name), name);
    let (edits, name) = known.iter().copied().map(edits).min()?;
    (edits <= 1 + name.len() / 4).then_some(name)
}

fn words(name: &str) -> Vec<&str> {
    let mut words: Vec<&str> = name.split(['_', '-']).collect();
    words.sort_unstable();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closest_knows_slips_and_swapped_words() {
        let known = ["connections_max", "idle_timeout", "host", "servers"];
        for (typed, meant) in [
            ("max_connections", Some("connections_max")),
            ("idle-timeout", Some("idle_timeout")),
            ("server", Some("servers")),
            ("hots", Some("host")),
            ("hosts", Some("host")),
            ("timeout", None),
            ("", None),
        ] {
            assert_eq!(closest(typed, &known), meant, "{typed}");
        }
    }

    #[test]
    fn serde_messages_are_reworded() {
        for (message, text) in [
            (
                "unknown field `nmae`, expected one of `name`, `age`",
                "unknown key; did you mean `name`?",
            ),
            (
                "unknown field `nmae`, expected `size` or `age`",
                "unknown key; known here are `size` and `age`",
            ),
            (
                "invalid type: integer `5`, expected a boolean",
                "integer `5` stands where true or false is wanted",
            ),
            (
                "unknown variant `tcp`, expected `http`",
                "`tcp` is not known; write \"http\"",
            ),
            (
                "unknown variant `x`, expected `a` or `b`",
                "`x` is not known; write \"a\" or \"b\"",
            ),
            ("of its own", "of its own"),
        ] {
            assert_eq!(of_serde(message, "nmae").0, text);
        }
    }
}
