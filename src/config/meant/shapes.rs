//! Tables in the wrong form: one where there are several, several where there is one, a bare value in
//! place of either.

use super::homes;

/// Tables that stand once for each listener, limit and so on, and what one has at the least.
const SEVERAL: [(&str, &str, &str); 4] = [
    ("", "listen", "address = \"127.0.0.1:8080\""),
    ("", "limit", "name = \"api\""),
    ("", "site", "hosts = [\"*\"]"),
    ("site", "route", "path = \"/*\""),
];

/// Tables that stand once.
const ONCE: [&str; 6] = ["server", "admin", "log", "store", "resolver", "cache"];

/// What is said of the keys of an origin right below `[origins]`.
pub(super) const NAMELESS: &str =
    "an origin has a name of its own; write [origins.app] in place of [origins]";

/// Tables that people expect to be one value, and what such a value would be in them.
const TABLES: [(&str, &str); 11] = [
    ("cache", "default_ttl = \"1h\""),
    ("redirect", "to = \"/new/\""),
    ("answer", "status = 200, body = \"hello\""),
    ("health", "path = \"/health\""),
    ("tls", "roots = \"system\""),
    ("retry", "tries = 3"),
    ("hedge", "after = \"p95\""),
    ("sticky", "secret = \"…\""),
    ("agent", "port = 9777"),
    ("ejection", "consecutive = 5"),
    ("breaker", "errors = 0.5"),
];

const OF_A_LIST: &str = "is a list of tables";

/// Whether this is said of a value in place of a list of tables, or in it.
pub(super) fn is_of_a_list(text: &str) -> bool {
    text.starts_with(OF_A_LIST)
}

/// What is said where `key` of a table is of another form than serde expected; `None` where serde's
/// own words will do.
pub(super) fn wrong_shape(scope: &str, key: &str, message: &str) -> Option<String> {
    let rest = message.strip_prefix("invalid type: ")?;
    let found = rest.split_once(", expected ")?.0;
    let several = SEVERAL.iter().find(|it| (it.0, it.1) == (scope, key));
    if let Some((_, _, example)) = several {
        return Some(one_of_several(scope, key, found, example));
    }
    match (scope, found) {
        ("", "sequence") if ONCE.contains(&key) => Some(format!(
            "stands once; write its header in single brackets, [{key}]"
        )),
        ("", "sequence") if key == "origins" => {
            Some("an origin has a name of its own; write [origins.app]".to_owned())
        }
        ("", _) if key == "origins" => Some(
            "is a table for each origin; write [origins.app] and below it \
             `servers = [\"http://127.0.0.1:8081\"]`"
                .to_owned(),
        ),
        ("origins", _) if homes::is_key_of_origin(key) => Some(NAMELESS.to_owned()),
        ("origins", "sequence") => Some(format!(
            "stands once; write its header in single brackets, [origins.{key}]"
        )),
        ("origins", _) => Some(format!(
            "is a table; write [origins.{key}] and below it `servers = [\"http://127.0.0.1:8081\"]`"
        )),
        _ => value_for_a_table(key, found, message),
    }
}

/// A bare value where a table is wanted that has an obvious short form.
fn value_for_a_table(key: &str, found: &str, message: &str) -> Option<String> {
    if !message.contains(", expected a table") || found == "sequence" {
        return None;
    }
    if (key, found) == ("cache", "boolean `false`") {
        return Some("is a table; write `cache = { enabled = false }`".to_owned());
    }
    let (_, example) = TABLES.iter().find(|it| it.0 == key)?;
    Some(format!("is a table; write `{key} = {{ {example} }}`"))
}

fn one_of_several(scope: &str, key: &str, found: &str, example: &str) -> String {
    let dot = if scope.is_empty() { "" } else { "." };
    match found {
        // It is one, too, where [[site.route]] stands below no [[site]].
        "map" if key == "site" => {
            "there may be several; write [[site]], in double brackets, above its [[site.route]]"
                .to_owned()
        }
        "map" => {
            format!(
                "there may be several; write its header in double brackets, [[{scope}{dot}{key}]]"
            )
        }
        _ => format!("{OF_A_LIST}; write [[{scope}{dot}{key}]] and below it `{example}`"),
    }
}
