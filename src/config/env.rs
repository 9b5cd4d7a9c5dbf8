//! Variables of the environment in the text of a configuration: `${env.NAME}`, and
//! `${env.NAME:-default}` for one that may be unset or empty.
//!
//! They are filled in wherever a value is text, before it is read as what it is for. Not the values of
//! requests (`template.rs`); nor is what a variable holds looked at again.

use std::borrow::Cow;
use std::env::VarError;

use toml::Spanned;
use toml::de::DeValue;

use super::report::Place;

const FRONT: &str = "${env.";

/// Fills in what stands within `value`, and gives the places of what could not be, with complaints.
pub(super) fn fill(value: &mut Spanned<DeValue<'_>>) -> Vec<(Place, String)> {
    let mut found = Vec::new();
    fill_all(value, &|name| std::env::var(name), &mut found);
    found
}

type Look<'a> = &'a dyn Fn(&str) -> Result<String, VarError>;

fn fill_all(value: &mut Spanned<DeValue<'_>>, look: Look<'_>, found: &mut Vec<(Place, String)>) {
    let place = value.span();
    match value.get_mut() {
        DeValue::Table(table) => table
            .iter_mut()
            .for_each(|(_, it)| fill_all(it, look, found)),
        DeValue::Array(list) => list.iter_mut().for_each(|it| fill_all(it, look, found)),
        DeValue::String(text) => match filled(text, look) {
            Ok(Cow::Borrowed(_)) => {}
            Ok(Cow::Owned(filled)) => *text = Cow::Owned(filled),
            Err(complaint) => found.push((place, complaint)),
        },
        _ => {}
    }
}

/// The text with its variables, or what is wrong and how to mend it.
fn filled<'a>(text: &'a str, look: Look<'_>) -> Result<Cow<'a, str>, String> {
    let mut whole = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(FRONT) {
        let (before, found) = rest.split_at(at);
        whole.push_str(before);
        if before.ends_with('$') {
            // `$${` stands for `${` where values are templates.
            whole.push_str(FRONT);
            rest = &found[FRONT.len()..];
            continue;
        }
        let (said, behind) = found[FRONT.len()..]
            .split_once('}')
            .ok_or("has a `${env.` without its `}`")?;
        whole.push_str(&variable(said, look)?);
        rest = behind;
    }
    if rest.len() == text.len() {
        return Ok(Cow::Borrowed(text));
    }
    whole.push_str(rest);
    Ok(Cow::Owned(whole))
}

/// What stands for `NAME` or `NAME:-default`.
fn variable(said: &str, look: Look<'_>) -> Result<String, String> {
    let (name, default) = match said.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (said, None),
    };
    let is_letter = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
    if name.is_empty() || !name.bytes().all(is_letter) {
        return Err(format!(
            "`${{env.{said}}}` names no variable; write `${{env.NAME}}` or `${{env.NAME:-default}}`"
        ));
    }
    match (look(name), default) {
        (Ok(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Ok(value), _) => Ok(value),
        (Err(VarError::NotPresent), Some(default)) => Ok(default.to_owned()),
        (Err(VarError::NotPresent), None) => Err(format!(
            "the environment has no {name}; set it, or write `${{env.{name}:-default}}`"
        )),
        (Err(VarError::NotUnicode(_)), _) => {
            Err(format!("what the environment has as {name} is no UTF-8"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(name: &str) -> Result<String, VarError> {
        match name {
            "A" => Ok("a".to_owned()),
            "B_2" => Ok("${env.A}".to_owned()),
            "EMPTY" => Ok(String::new()),
            "BROKEN" => Err(VarError::NotUnicode("x".into())),
            _ => Err(VarError::NotPresent),
        }
    }

    #[test]
    fn variables() {
        for (text, expected) in [
            ("", Ok("")),
            ("plain $A ${A}", Ok("plain $A ${A}")),
            ("${env.A}", Ok("a")),
            ("x${env.A}y${env.A}z", Ok("xayaz")),
            ("${env.B_2}", Ok("${env.A}")),
            ("${env.EMPTY}", Ok("")),
            ("${env.EMPTY:-b}", Ok("b")),
            ("${env.A:-b}", Ok("a")),
            ("${env.NONE:-http://b:80}", Ok("http://b:80")),
            ("${env.NONE:-}", Ok("")),
            ("$${env.NONE}", Ok("$${env.NONE}")),
            ("${client} ${env.A}", Ok("${client} a")),
            (
                "${env.NONE}",
                Err("the environment has no NONE; set it, or write `${env.NONE:-default}`"),
            ),
            ("${env.A", Err("has a `${env.` without its `}`")),
            (
                "${env.a-b}",
                Err(
                    "`${env.a-b}` names no variable; write `${env.NAME}` or `${env.NAME:-default}`",
                ),
            ),
            (
                "${env.BROKEN:-b}",
                Err("what the environment has as BROKEN is no UTF-8"),
            ),
        ] {
            let filled = filled(text, &look);
            let filled = filled.as_deref().map_err(String::as_str);
            assert_eq!(filled, expected, "{text}");
        }
    }
}
