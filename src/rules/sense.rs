//! Comparisons that mean nothing: of other units, and with what is never the case.

use super::lexer::Unit;
use super::program::{Number, Text};

/// A size is compared with a size, a time with a time. A plain number is one of bytes as well, but of
/// times nobody knows whether seconds are meant.
pub(super) fn units_agree(left: (&Number, Unit), right: (&Number, Unit)) -> Result<(), String> {
    let (field, literal) = match (left, right) {
        ((_, one), (_, other)) if one == other => return Ok(()),
        ((Number::Literal(_), literal), (_, field)) => (field, literal),
        ((_, field), (_, literal)) => (field, literal),
    };
    let wrong = match (field, literal) {
        (Unit::Bytes, Unit::Plain) => return Ok(()),
        (Unit::Seconds, Unit::Plain) => {
            "has a time without its unit; write it as 60s, 5m, 1h or 7d"
        }
        (Unit::Plain, _) => "compares a plain number with a size or a time; leave its unit out",
        _ => "compares a size with a time",
    };
    Err(wrong.to_owned())
}

/// Whether a text can ever be this literal: some are always in a certain form.
pub(super) fn can_be(text: &Text, literal: &Text) -> Result<(), String> {
    let Text::Literal(word) = literal else {
        return Ok(());
    };
    let shown = String::from_utf8_lossy(word);
    let has_upper = word.iter().any(u8::is_ascii_uppercase);
    let is_path = word.starts_with(b"/");
    let wrong = match text {
        Text::Host if has_upper => "hosts are in lower case here",
        Text::Host if word.contains(&b':') && !word.starts_with(b"[") => {
            "hosts are without their port here"
        }
        Text::Extension if word.starts_with(b".") => "extensions are without their dot here",
        Text::Extension | Text::Type if has_upper => "it is in lower case here",
        Text::Type if word.contains(&b';') => "types are without their parameters here",
        Text::Path | Text::Target if !is_path => "paths begin with `/`",
        Text::Path if word.contains(&b'?') => "a path has no query; ask for `param` or `target`",
        Text::Lower(_) if has_upper => "it is in lower case here",
        Text::Method if word.iter().any(u8::is_ascii_lowercase) => "methods are in upper case",
        Text::Device if !matches!(&**word, b"desktop" | b"mobile" | b"tablet" | b"bot") => {
            "devices are \"desktop\", \"mobile\", \"tablet\" and \"bot\""
        }
        _ => return Ok(()),
    };
    Err(format!("`\"{shown}\"` never is true, for {wrong}; mend it"))
}
