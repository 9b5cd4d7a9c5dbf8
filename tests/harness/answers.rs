//! Answers that many stories give: the fields that say what a cache may do with a page, and origins
//! that need no script of their own.

use super::{Connection, Fields, Gate, Origin};

/// A page that may be kept for a minute.
pub const FRESH: Fields<'static> = &[("cache-control", "max-age=60")];

/// The same, good to be asked about afterwards.
pub const TAGGED: Fields<'static> = &[("cache-control", "max-age=60"), ("etag", "\"1\"")];

/// Stale at once, but good to be asked about.
pub const STALE: Fields<'static> = &[("cache-control", "max-age=0"), ("etag", "\"1\"")];

/// Two seconds past its minute, with half a minute of grace.
pub const IN_GRACE: Fields<'static> = &[
    ("cache-control", "max-age=60, stale-while-revalidate=30"),
    ("age", "62"),
];

/// One client's alone.
pub const PRIVATE: Fields<'static> = &[("cache-control", "private")];

pub const NO_STORE: Fields<'static> = &[("cache-control", "no-store")];

/// A page that may be kept, whose length nobody knows beforehand.
pub const CHUNKED: Fields<'static> = &[
    ("cache-control", "max-age=60"),
    ("transfer-encoding", "chunked"),
];

/// A server whose every answer is its name, for one client alone.
pub fn named(name: &'static str) -> Origin {
    Origin::answering(200, NO_STORE, name)
}

/// An origin that holds its first answer for each path until the gate opens; all answers are alike.
pub fn holding(gate: &Gate, fields: Fields<'static>) -> Origin {
    let gate = gate.clone();
    Origin::start(async move |request, connection| {
        if request.nth == 1 {
            gate.pass().await;
        }
        connection.respond(200, fields, "hello").await;
    })
}

/// An origin that answers `/N` with the Nth of these statuses and fields.
pub fn by_number<'a>(answers: impl IntoIterator<Item = (u16, Fields<'a>)>) -> Origin {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let answers: Vec<(u16, Vec<(String, String)>)> = answers
        .into_iter()
        .map(|(status, fields)| (status, fields.iter().map(own).collect()))
        .collect();
    Origin::start(async move |request, connection| {
        let index: usize = request.path[1..].parse().expect("a row's number");
        let (status, fields) = &answers[index];
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        connection.respond(*status, &fields, "hello").await;
    })
}

/// Answers with a page that is so many seconds old already.
pub async fn answer_old(connection: &mut Connection, control: &str, age: &str) {
    let fields = [
        ("cache-control", control),
        ("age", age),
        ("etag", "\"old\""),
    ];
    connection.respond(200, &fields, "old").await;
}

/// How many requests all of these have seen.
pub fn seen(origins: &[&Origin]) -> usize {
    origins.iter().map(|it| it.requests().len()).sum()
}
