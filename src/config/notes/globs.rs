//! Notes on names that are written as regular expressions, or as globs where there are none.

use super::Notebook;
use crate::config::Config;

/// Lists of names in which `*` is the only sign.
const GLOBS: [&str; 5] = [
    ".query_allow[",
    ".query_deny[",
    ".key.cookies[",
    ".cookies.pass[",
    ".cookies.ignore[",
];

/// Lists of names of fields, which are taken as they are written.
const FIELDS: [&str; 3] = [
    ".request_fields.remove[",
    ".response_fields.remove[",
    ".key.fields[",
];

pub(super) fn look(_: &Config, book: &mut Notebook) {
    for (path, text) in book.texts() {
        let is_in = |lists: &[&str]| lists.iter().any(|list| path.contains(list));
        let is_of_cache = path.starts_with("cache.") || path.contains(".cache.");
        if is_of_cache && is_in(&GLOBS) && is_expression(&text) {
            let said = "is taken letter by letter but for `*`, which stands for any rest; write \
                        each name by itself, as \"utm_*\"";
            book.at(&path, said);
        } else if is_in(&FIELDS) && (text.contains('*') || is_expression(&text)) {
            let said = "is the name of one field, letter by letter; write each name by itself";
            book.at(&path, said);
        }
    }
}

fn is_expression(text: &str) -> bool {
    let signs = [".*", ".+", "|", "\\"];
    text.starts_with('^') || text.ends_with('$') || signs.iter().any(|sign| text.contains(sign))
}
