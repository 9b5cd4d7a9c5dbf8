//! Tokens of a condition.

use std::ops::Range;

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) span: Range<usize>,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<'a> {
    /// A name, or a word such as `in`.
    Word(&'a str),
    /// Text, without its quotes.
    Text(String),
    /// A whole number with what it counts.
    Number(i64, Unit),
    /// An operator or a bracket.
    Mark(&'static str),
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Things.
    Plain,
    Bytes,
    Seconds,
}

/// Longer ones first, so that `<=` is not read as `<`.
const MARKS: [&str; 16] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ",", ".", "-",
];

/// What other languages write, and what is written here.
const ELSEWHERE: [(&str, &str); 10] = [
    ("=~", "`.matches(\"…\")`"),
    ("=", "`==`"),
    ("~", "`.matches(\"…\")`"),
    ("&", "`&&`"),
    ("|", "`||`"),
    ("?", "two rules, for there is no choice by `?`"),
    ("+", "the whole text, for nothing is added up"),
    ("*", "`.any(\"name_*\")` or `.matches(\"…\")`"),
    (";", "one condition, joined by `&&` or `||`"),
    ("{", "a condition alone, without braces"),
];

const UNITS: [(&str, Unit, i64); 13] = [
    ("B", Unit::Bytes, 1),
    ("KiB", Unit::Bytes, 1 << 10),
    ("MiB", Unit::Bytes, 1 << 20),
    ("GiB", Unit::Bytes, 1 << 30),
    ("TiB", Unit::Bytes, 1 << 40),
    ("KB", Unit::Bytes, 1_000),
    ("MB", Unit::Bytes, 1_000_000),
    ("GB", Unit::Bytes, 1_000_000_000),
    ("TB", Unit::Bytes, 1_000_000_000_000),
    ("s", Unit::Seconds, 1),
    ("m", Unit::Seconds, 60),
    ("h", Unit::Seconds, 3_600),
    ("d", Unit::Seconds, 86_400),
];

/// The tokens of a text, or what is wrong with it.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, len) = token(&text[at..], first)?;
        tokens.push(Token {
            kind,
            span: at..at + len,
        });
        at += len;
    }
    Ok(tokens)
}

/// The token that `rest` begins with, and its length.
fn token(rest: &str, first: char) -> Result<(Kind<'_>, usize), String> {
    let is_word = |it: char| it.is_ascii_alphanumeric() || it == '_';
    if let Some(raw) = rest
        .strip_prefix(['r', 'R'])
        .filter(|it| it.starts_with(['"', '\'']))
    {
        let (text, len) = quoted(raw, false)?;
        return Ok((Kind::Text(text), len + 1));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let len = rest.find(|it| !is_word(it)).unwrap_or(rest.len());
        return Ok((Kind::Word(&rest[..len]), len));
    }
    if first.is_ascii_digit() {
        let len = rest.find(|it| !is_word(it)).unwrap_or(rest.len());
        let (number, unit) = number(&rest[..len])?;
        return Ok((Kind::Number(number, unit), len));
    }
    if first == '"' || first == '\'' {
        let (text, len) = quoted(rest, true)?;
        return Ok((Kind::Text(text), len));
    }
    if let Some((theirs, ours)) = ELSEWHERE.iter().find(|it| rest.starts_with(it.0))
        && !MARKS
            .iter()
            .any(|mark| rest.starts_with(mark) && mark.len() >= theirs.len())
    {
        return Err(format!("`{theirs}` is not known; write {ours}"));
    }
    match MARKS.iter().find(|mark| rest.starts_with(*mark)) {
        Some(mark) => Ok((Kind::Mark(mark), mark.len())),
        None => Err(format!(
            "`{first}` has no meaning here; texts stand in quotes"
        )),
    }
}

/// A whole number with its unit, in bytes or in seconds.
fn number(text: &str) -> Result<(i64, Unit), String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let too_large = || format!("`{text}` is too large a number");
    let number: i64 = number.parse().map_err(|_| too_large())?;
    if unit.is_empty() {
        return Ok((number, Unit::Plain));
    }
    let Some((_, unit, factor)) = UNITS.iter().find(|it| it.0 == unit) else {
        return Err(format!(
            "`{text}`: unknown unit `{unit}`; sizes have KiB, MiB or GiB, times s, m, h or d"
        ));
    };
    let number = number.checked_mul(*factor).ok_or_else(too_large)?;
    Ok((number, *unit))
}

/// The text in the quotes that `rest` begins with, and how long it is with them. Without escapes a
/// backslash is one.
fn quoted(rest: &str, has_escapes: bool) -> Result<(String, usize), String> {
    let mut chars = rest.char_indices();
    let quote = chars.next().map_or('"', |it| it.1);
    let mut text = String::new();
    while let Some((at, char)) = chars.next() {
        match char {
            _ if char == quote => return Ok((text, at + 1)),
            '\\' if has_escapes => text.push(escaped(&mut chars)?),
            _ => text.push(char),
        }
    }
    Err(format!("has a text without its second `{quote}`"))
}

/// What stands behind a backslash, as in CEL.
fn escaped(chars: &mut std::str::CharIndices<'_>) -> Result<char, String> {
    let Some((_, char)) = chars.next() else {
        return Err("ends with a backslash".to_owned());
    };
    Ok(match char {
        '\\' | '"' | '\'' | '`' | '?' => char,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        _ => {
            return Err(format!(
                "`\\{char}` is no escape; a backslash is `\\\\`, or write the text as r\"…\""
            ));
        }
    })
}

/// A whole number with a unit of time, in seconds; for values that are texts.
pub fn quantity(text: &str) -> Option<u64> {
    let (number, unit) = number(text.trim()).ok()?;
    let is_time = unit == Unit::Seconds;
    u64::try_from(number).ok().filter(|_| is_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind<'_>> {
        let tokens = tokens(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
        tokens.into_iter().map(|it| it.kind).collect()
    }

    #[test]
    fn a_text_is_tokens() {
        let text = |it: &str| Kind::Text(it.to_owned());
        for (written, expected) in [
            ("", vec![]),
            (
                "a_1 in b",
                vec![Kind::Word("a_1"), Kind::Word("in"), Kind::Word("b")],
            ),
            (
                "a<=1",
                vec![
                    Kind::Word("a"),
                    Kind::Mark("<="),
                    Kind::Number(1, Unit::Plain),
                ],
            ),
            ("!x", vec![Kind::Mark("!"), Kind::Word("x")]),
            (r#""a\"b" 'c"d'"#, vec![text("a\"b"), text("c\"d")]),
            (
                r#""\\.css$" r"\.css$""#,
                vec![text("\\.css$"), text("\\.css$")],
            ),
            (
                "10MiB 7d",
                vec![
                    Kind::Number(10 << 20, Unit::Bytes),
                    Kind::Number(604_800, Unit::Seconds),
                ],
            ),
            ("rest", vec![Kind::Word("rest")]),
        ] {
            assert_eq!(kinds(written), expected, "{written}");
        }
    }

    #[test]
    fn what_is_no_token_is_told() {
        for (text, said) in [
            ("path = 1", "`=` is not known; write `==`"),
            ("path ~ 1", "`~` is not known; write `.matches(\"…\")`"),
            ("a & b", "`&` is not known; write `&&`"),
            (
                "a ? b",
                "`?` is not known; write two rules, for there is no choice by `?`",
            ),
            ("\"a", "has a text without its second `\"`"),
            (
                r#""\.""#,
                "`\\.` is no escape; a backslash is `\\\\`, or write the text as r\"…\"",
            ),
            (
                "5x",
                "`5x`: unknown unit `x`; sizes have KiB, MiB or GiB, times s, m, h or d",
            ),
            (
                "99999999999999999999",
                "`99999999999999999999` is too large a number",
            ),
            (
                "9223372036854775807d",
                "`9223372036854775807d` is too large a number",
            ),
            ("§", "`§` has no meaning here; texts stand in quotes"),
        ] {
            assert_eq!(tokens(text).unwrap_err(), said, "{text}");
        }
    }

    #[test]
    fn quantities() {
        for (text, secs) in [
            ("60s", Some(60)),
            (" 2h ", Some(7_200)),
            ("60", None),
            ("s", None),
            ("-1s", None),
            ("1MiB", None),
            ("", None),
        ] {
            assert_eq!(quantity(text), secs, "{text}");
        }
    }
}
