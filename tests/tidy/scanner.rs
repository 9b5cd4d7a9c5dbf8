//! Rust text into words: strings stay whole, comments go, lines are counted. What a lexer would
//! also tell apart (numbers, keywords, operators) no rule asks for.

/// A word, a string literal with its quotes, or one other character. Comments are gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

pub fn is_word(text: &str) -> bool {
    text.starts_with(|it: char| it.is_alphabetic() || it == '_')
}

pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let length = comment(rest).or_else(|| literal(rest));
        let length = length.or_else(|| word(rest)).unwrap_or(first.len_utf8());
        let (token, after) = rest.split_at(length);
        let is_comment = token.starts_with("//") || token.starts_with("/*");
        let token_starts = line;
        line += token.matches('\n').count();
        rest = after;
        if !is_comment && !first.is_whitespace() {
            tokens.push(Token {
                text: token.to_owned(),
                line: token_starts,
            });
        }
    }
    tokens
}

/// The length of the comment that begins here; block comments nest.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let mut at = text.starts_with("/*").then_some(2)?;
    let mut depth = 1;
    while depth > 0 {
        let (open, close) = (text[at..].find("/*"), text[at..].find("*/"));
        let Some(close) = close else {
            return Some(text.len());
        };
        let nested = open.filter(|open| *open < close);
        depth = if nested.is_some() {
            depth + 1
        } else {
            depth - 1
        };
        at += nested.unwrap_or(close) + 2;
    }
    Some(at)
}

/// The length of the string or character literal that begins here, with its prefix.
fn literal(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].iter().find(|it| {
        text.strip_prefix(**it)
            .is_some_and(|rest| rest.starts_with(['"', '#', '\'']))
    })?;
    let rest = &text[prefix.len()..];
    let length = match rest.chars().next()? {
        '"' if prefix.ends_with('r') => raw_string(rest)?,
        '"' => quoted(rest, '"')?,
        '#' if prefix.ends_with('r') => raw_string(rest)?,
        '\'' if prefix.is_empty() || *prefix == "b" => character(rest)?,
        _ => return None,
    };
    Some(prefix.len() + length)
}

/// From `#…"` to the quote with as many `#` after it. `None` for a raw identifier.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.len() - text.trim_start_matches('#').len();
    let inside = text[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(hashes + 1 + inside.find(&end).map_or(inside.len(), |at| at + end.len()))
}

/// From a quote to the next one that no backslash hides.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        match it {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if it == quote => return Some(at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// A character literal; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut inside = text.chars().skip(1);
    match (inside.next()?, inside.next()?) {
        ('\\', _) => quoted(text, '\''),
        (it, '\'') => Some(2 + it.len_utf8()),
        _ => None,
    }
}

/// The length of the identifier, keyword or number that begins here.
fn word(text: &str) -> Option<usize> {
    let end = text
        .find(|it: char| !it.is_alphanumeric() && it != '_')
        .unwrap_or(text.len());
    (end > 0).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scanner_knows_strings_characters_and_comments() {
        let table = [
            ("a // fn {\nb", "a b"),
            ("a /* { /* } */ fn */ b", "a b"),
            (
                r#"f("}\"{", '{', '\'', b'}')"#,
                r#"f ( "}\"{" , '{' , '\'' , b'}' )"#,
            ),
            (r##"r#"}"{"# x"##, r##"r#"}"{"# x"##),
            ("fn f<'a>(x: &'a str)", "fn f < ' a > ( x : & ' a str )"),
            ("r#type '∞' br\"\\\" b", "r # type '∞' br\"\\\" b"),
            ("\"no end", "\"no end"),
        ];
        for (text, expected) in table {
            let words: Vec<_> = tokens(text).into_iter().map(|it| it.text).collect();
            assert_eq!(words.join(" "), expected, "{text}");
        }
    }
}
