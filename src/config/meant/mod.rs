//! Keys that a table does not know, tables in the wrong form and files of another kind: what was meant.
//!
//! Not the finding of mistakes (`recover.rs`): here is what was most likely meant, by the habits of
//! those who come from nginx, Varnish, HAProxy and others.

pub(super) mod addresses;
mod common;
pub(super) mod foreign;
mod haproxy;
mod homes;
pub(super) mod kind;
mod nginx;
pub(super) mod other_ways;
mod shapes;
mod varnish;

use super::wording;

/// What is said of the entry `key` of the table at `path`, at which serde stumbled with `message`;
/// and the key of that table that was probably meant.
pub(super) fn of_entry(path: &str, key: &str, message: &str) -> (String, Option<String>) {
    let scope = scope_of(path);
    if let Some(text) = shapes::wrong_shape(&scope, key, message) {
        return (text, None);
    }
    let known = wording::known_keys(message);
    if known.is_empty() {
        return wording::of_serde(message, key);
    }
    let said = common::word(&scope, key).or_else(|| {
        let is_slip = wording::near(key, &known).is_some();
        let elsewhere = || foreign::setting(key).or_else(|| homes::elsewhere(&scope, key));
        (!is_slip).then(elsewhere)?
    });
    match said {
        Some(text) => {
            let meant = named_in(&text, &known);
            (text, meant)
        }
        None => wording::of_serde(message, key),
    }
}

/// The first key of this table that the text names, by itself or as the header of a table.
fn named_in(text: &str, known: &[&str]) -> Option<String> {
    let code = text.split('`').skip(1).step_by(2);
    let names = code.filter_map(|it| it.split(' ').next());
    let headers = text.split('[').skip(1);
    let tables = headers.filter_map(|it| it.split(['.', ']']).next());
    let mut all = names.chain(tables);
    all.find(|it| known.contains(it)).map(str::to_owned)
}

/// The table or list all of which is lost with what was said of something in it, so that it is said
/// once.
pub(super) fn lost_by(path: &str, text: &str) -> Option<String> {
    if text == shapes::NAMELESS {
        return Some("origins".to_owned());
    }
    let list = path.rsplit_once('[')?.0;
    shapes::is_of_a_list(text).then(|| list.to_owned())
}

/// What is said of an element of the list at `path`.
pub(super) fn of_element(path: &str, message: &str) -> String {
    let list = path.rsplit_once('[').map_or(path, |it| it.0);
    let (table, key) = list.rsplit_once('.').unwrap_or(("", list));
    shapes::wrong_shape(&scope_of(table), key, message)
        .unwrap_or_else(|| wording::of_value(message))
}

/// The path of a table without numbers and names: `site.route` for `site[0].route[2]`, and
/// `origins.NAME.health` for `origins.shop.health`.
fn scope_of(path: &str) -> String {
    let bare = |it: &str| it.split('[').next().unwrap_or(it).to_owned();
    let mut parts: Vec<String> = path.split('.').map(bare).collect();
    if let [first, name, ..] = &mut parts[..]
        && first == "origins"
    {
        *name = "NAME".to_owned();
    }
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes() {
        for (path, scope) in [
            ("", ""),
            ("server", "server"),
            ("site[0].route[12].cache", "site.route.cache"),
            ("origins.shop", "origins.NAME"),
            ("origins.shop.health", "origins.NAME.health"),
            ("origins", "origins"),
        ] {
            assert_eq!(scope_of(path), scope);
        }
    }
}
