//! Notes on rules that are never looked at.

use super::Notebook;
use crate::config::{Config, Rule};

pub(super) fn look(config: &Config, book: &mut Notebook) {
    behind_an_end(&config.rules, "", book);
    for (at, site) in config.sites.iter().enumerate() {
        behind_an_end(&site.rules, &format!("site[{at}]."), book);
        for (number, route) in site.routes.iter().enumerate() {
            let place = format!("site[{at}].route[{number}].");
            behind_an_end(&route.rules, &place, book);
        }
    }
}

/// What always answers leaves nothing for those behind it.
fn behind_an_end(rules: &[Rule], place: &str, book: &mut Notebook) {
    let always_ends = |it: &Rule| it.when.is_none() && it.request.end.is_some();
    let Some(at) = rules.iter().position(always_ends) else {
        return;
    };
    if at + 1 < rules.len() {
        let text = format!(
            "is never looked at, for rule `{}` before it answers all requests; give that one a \
             `when`, or move it to the end",
            rules[at].name
        );
        book.at(&format!("{place}rule[{}]", at + 1), text);
    }
}
