//! Mistakes of those who see Copal for the first time, and word for word what is said about each: by one
//! who tries it in an evening, by operators of nginx, Varnish and HAProxy, and by whoever is on call.
//! Then what is legal and was surely meant otherwise.

mod evening;
mod nginx;
mod notes;
mod on_call;
mod one_word;
mod varnish;

use super::files::{complaints, notes};

/// A mistake, the file with it, and what is said: `line: key: what and how to mend`. In the file `@listen`,
/// `@origin`, `@site` and `@route` stand for tables without mistakes.
pub type Row = (&'static str, &'static str, &'static [&'static str]);

const TABLES: [(&str, &str); 4] = [
    ("@listen\n", "[[listen]]\naddress = \"127.0.0.1:8080\"\n"),
    (
        "@origin\n",
        "[origins.app]\nservers = [\"http://127.0.0.1:3000\"]\n",
    ),
    ("@site\n", "[[site]]\nhosts = [\"*\"]\norigin = \"app\"\n"),
    (
        "@route\n",
        "[[site]]\nhosts = [\"*\"]\n[[site.route]]\npath = \"/*\"\norigin = \"app\"\n",
    ),
];

#[test]
fn what_newcomers_get_wrong_is_told_in_their_words() {
    let rows = [
        evening::ROWS,
        one_word::ROWS,
        nginx::ROWS,
        varnish::ROWS,
        on_call::ROWS,
    ];
    for (mistake, file, said) in rows.into_iter().flatten() {
        assert_eq!(complaints(&written_out(file)), lines(said), "{mistake}");
    }
}

#[test]
fn what_was_surely_meant_otherwise_is_noted() {
    let rows = notes::requests::ROWS.iter().chain(notes::rules::ROWS);
    for (what, file, said) in rows {
        assert_eq!(notes(&written_out(file)), lines(said), "{what}");
    }
}

#[test]
fn what_is_meant_as_it_stands_is_not_noted() {
    for (what, file) in notes::MEANT_SO {
        assert_eq!(notes(&written_out(file)), Vec::<String>::new(), "{what}");
    }
}

fn written_out(file: &str) -> String {
    let put = |text: String, (name, table): &(&str, &str)| text.replace(name, table);
    TABLES.iter().fold(format!("{file}\n"), put)
}

fn lines(said: &[&str]) -> Vec<String> {
    said.iter().map(|it| format!("f:{it}")).collect()
}
