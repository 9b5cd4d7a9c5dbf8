//! Key `path_form` of `[server]`, sites and routes: how the spelling of a path is taken, and what of it
//! is refused.
//!
//! Not the normal form itself, which is `semantics::path_form`'s.

use serde::Deserialize;
use toml::Spanned;

use super::report::{Given, Report};
use super::text_or::TextOr;
use crate::semantics::path_form::{PathForm, PathRule};

const FORMS: [(&str, PathForm); 3] = [
    ("as-is", PathForm::AsIs),
    ("normalize", PathForm::Normalize),
    ("strict", PathForm::Strict),
];

/// `path_form` as written: the form alone, or a table.
pub(super) type RawPathForm = TextOr<RawPathTable>;

/// `path_form` as a table.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPathTable {
    form: Given<String>,
    encoded_slash: Option<Oddity>,
    encoded_nul: Option<Oddity>,
    raw_bytes: Option<Oddity>,
}

/// What becomes of a path that has something odd in it.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Oddity {
    Keep,
    Refuse,
}

/// What is written, or `base`.
pub(super) fn over(given: &Given<RawPathForm>, base: PathRule, report: &mut Report) -> PathRule {
    let Some(written) = given else { return base };
    let table = match written.get_ref() {
        TextOr::Text(text) => {
            let form = Spanned::new(written.span(), text.clone());
            return PathRule::of(form_of(&form, report).unwrap_or(base.form));
        }
        TextOr::Table(table) => table,
    };
    // What is left out of a table is its form's, and the form that of the site.
    let form = table.form.as_ref().and_then(|it| form_of(it, report));
    let rule = form.map_or(base, PathRule::of);
    let refuses = |given: Option<Oddity>, base| given.map_or(base, |it| it == Oddity::Refuse);
    PathRule {
        refuses_slash: refuses(table.encoded_slash, rule.refuses_slash),
        refuses_nul: refuses(table.encoded_nul, rule.refuses_nul),
        refuses_raw: refuses(table.raw_bytes, rule.refuses_raw),
        ..rule
    }
}

/// `None` after a complaint.
fn form_of(text: &Spanned<String>, report: &mut Report) -> Option<PathForm> {
    let known = FORMS.iter().find(|(name, _)| name == text.get_ref());
    if known.is_none() {
        let told = "is no form of paths; write \"normalize\", \"as-is\" or \"strict\"";
        report.at(text.span(), told);
    }
    known.map(|(_, form)| *form)
}

/// As it would be written, in full.
pub(super) fn in_words(rule: PathRule) -> toml::Value {
    let name = FORMS.iter().find(|(_, form)| *form == rule.form);
    let name = name.map_or("normalize", |(name, _)| *name);
    if rule == PathRule::of(rule.form) {
        return name.into();
    }
    let word = |refuses| toml::Value::from(if refuses { "refuse" } else { "keep" });
    let entries = [
        ("form", name.into()),
        ("encoded_slash", word(rule.refuses_slash)),
        ("encoded_nul", word(rule.refuses_nul)),
        ("raw_bytes", word(rule.refuses_raw)),
    ];
    let entries = entries.map(|(key, value)| (key.to_owned(), value));
    toml::Table::from_iter(entries).into()
}
