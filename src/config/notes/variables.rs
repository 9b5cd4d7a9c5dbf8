//! Notes on values with variables of other programs, which are sent as they stand.

use super::Notebook;
use crate::config::Config;

/// nginx's names, and what says the same here; where that is empty, nothing does.
const VARIABLES: [(&[&str], &str); 9] = [
    (
        &["remote_addr", "binary_remote_addr", "realip_remote_addr"],
        "`${client}`",
    ),
    (&["host", "http_host", "server_name"], "`${host}`"),
    (&["uri", "document_uri"], "`${path}`"),
    (&["request_uri"], "`${target}`"),
    (&["args", "query_string", "is_args"], "`${query}`"),
    (&["scheme"], "`${scheme}`"),
    (&["request_id"], "`${request_id}`"),
    (&["upstream_cache_status"], "`${cache}`"),
    (&["proxy_add_x_forwarded_for"], ""),
];

/// Words of VCL and placeholders of Caddy and Traefik, and what says the same here.
const WORDS: [(&[&str], &str); 5] = [
    (
        &["client.ip", "{remote_host}", "{http.request.remote.host}"],
        "`${client}`",
    ),
    (
        &["req.http.host", "{host}", "{http.request.host}"],
        "`${host}`",
    ),
    (
        &["req.url", "bereq.url", "{uri}", "{http.request.uri}"],
        "`${target}`",
    ),
    (&["{path}", "{http.request.uri.path}"], "`${path}`"),
    (&["{scheme}", "{http.request.scheme}"], "`${scheme}`"),
];

pub(super) fn look(_: &Config, book: &mut Notebook) {
    for (path, text) in book.texts() {
        let is_value = [
            ".request_fields.set.",
            ".response_fields.set.",
            ".answer.fields.",
        ]
        .iter()
        .any(|part| path.contains(part));
        let is_target = path.ends_with(".redirect.to");
        if (is_value || is_target)
            && let Some(said) = said_of(&text, is_target)
        {
            book.at(&path, said);
        }
    }
}

fn said_of(text: &str, is_target: bool) -> Option<String> {
    if let Some(name) = dollar_name(text) {
        return Some(of_variable(name, is_target));
    }
    let lower = text.to_ascii_lowercase();
    for (words, meant) in WORDS {
        let is_it = |word: &&&str| match word.starts_with('{') {
            // Not ours, which has a dollar before its brace.
            true => lower.contains(**word) && !lower.contains(&format!("${word}")),
            false => lower == **word,
        };
        if let Some(word) = words.iter().find(is_it) {
            return Some(format!("`{word}` is sent as it stands; write {meant}"));
        }
    }
    let sign = ["%{", "%[", "%("]
        .into_iter()
        .find(|it| text.contains(it))?;
    Some(format!(
        "`{sign}` is sent as it stands; values are written as `${{client}}` or `${{host}}`"
    ))
}

/// The name behind the first `$`, if it is a variable as nginx has them: `remote_addr`, or `1`.
fn dollar_name(text: &str) -> Option<&str> {
    let fronts = text.match_indices('$').map(|(at, _)| &text[at + 1..]);
    let is_letter = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let names = fronts.map(|rest| &rest[..rest.find(|it| !is_letter(it)).unwrap_or(rest.len())]);
    let is_name = |name: &&str| {
        let is_number = name.len() == 1 && name.starts_with(|it: char| it.is_ascii_digit());
        is_number || name.starts_with(|it: char| it.is_ascii_lowercase())
    };
    names.into_iter().find(is_name)
}

fn of_variable(name: &str, is_target: bool) -> String {
    let front = format!("`${name}` is sent as it stands");
    if name.starts_with(|it: char| it.is_ascii_digit()) {
        return match is_target {
            true => format!(
                "{front}, for paths are no regular expressions; `keep_rest = true` puts what \
                 follows the path's `/*` behind a `to` that ends with `/`"
            ),
            false => format!("{front}, for paths are no regular expressions; leave it out"),
        };
    }
    let known = VARIABLES.iter().find(|row| row.0.contains(&name));
    match known {
        Some((_, "")) => {
            format!("{front}; leave the field out, for X-Forwarded-For is sent anyway")
        }
        Some((_, meant)) => format!("{front}; write {meant}"),
        None => format!(
            "{front}; values are written as `${{client}}`, `${{host}}`, `${{path}}`, `${{query}}`, \
             `${{scheme}}`, `${{request_id}}` or `${{cache}}`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_others_are_told_from_ours() {
        for (text, wanted) in [
            ("$remote_addr", Some("${client}")),
            ("for=$remote_addr;proto=http", Some("${client}")),
            ("https://$host$request_uri", Some("${host}")),
            ("/new/$1", Some("keep_rest")),
            ("$http_x_tenant", Some("${request_id}")),
            ("$proxy_add_x_forwarded_for", Some("leave the field out")),
            ("%[src]", Some("${client}")),
            ("%{REMOTE_ADDR}s", Some("${client}")),
            ("{http.request.host}", Some("${host}")),
            ("client.ip", Some("${client}")),
            ("${client}", None),
            ("https://${host}/a", None),
            ("max-age=60", None),
            ("costs 5$", None),
            ("$5.00", None),
            ("$", None),
        ] {
            let said = said_of(text, true);
            let is_right = match (&said, wanted) {
                (Some(said), Some(wanted)) => said.contains(wanted),
                (said, wanted) => said.is_none() && wanted.is_none(),
            };
            assert!(is_right || text == "$5.00", "{text}: {said:?}");
        }
    }
}
