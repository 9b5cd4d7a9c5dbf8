//! No-Vary-Search: a response that says which parameters of its query play no part, so that it
//! serves URLs other than its own. Wherever two share wrongly, one sees the other's page: so the
//! origin answers with what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{End, FRESH, Gate, Origin, Proxy, STALE, all_wait};

/// A row: the response's No-Vary-Search, the first request's target, the second's, whether they
/// share.
type Row = (&'static str, &'static str, &'static str, bool);

/// Asks for the first row of a table.
const HOST: (&str, &str) = ("host", "row-0.test");

/// Answers with the target it was asked for, under the No-Vary-Search of the row whose host it is.
fn table_origin(rows: &'static [Row]) -> Origin {
    Origin::start(async move |request, connection| {
        let host = request.field("host").expect("a row's host");
        let number = host.trim_start_matches("row-").trim_end_matches(".test");
        let index: usize = number.parse().expect("a row's number");
        let fields = [
            ("cache-control", "max-age=60"),
            ("no-vary-search", rows[index].0),
        ];
        connection.respond(200, &fields, &*request.path).await;
    })
}

/// Complains of all rows whose targets share wrongly or do not share.
async fn assert_rows(lines: &str, rows: &'static [Row]) {
    let origin = table_origin(rows);
    let proxy = Proxy::before(&origin).table("cache", lines).start().await;
    let mut wrong = Vec::new();
    for (index, (value, first, second, shared)) in rows.iter().enumerate() {
        let host = format!("row-{index}.test");
        let host = [("host", &*host)];
        assert!(proxy.get_with(first, &host).await.is_good(first), "{value}");
        let response = proxy.get_with(second, &host).await;
        let body = if *shared { first } else { second };
        if response.is_hit() != *shared || !response.is_good(body) {
            wrong.push(format!("{value}: {first} then {second}: {response:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_response_says_which_parameters_play_no_part() {
    assert_rows(
        "",
        &[
            ("params=(\"x\")", "/a?id=1&x=1", "/a?id=1&x=2", true),
            ("params=(\"x\")", "/a?id=1&x=1", "/a?id=1", true),
            ("params=(\"x\")", "/a?x=1", "/a", true),
            ("params=(\"x\")", "/a", "/a?x=1", true),
            ("params=(\"x\")", "/a?id=1&x=1", "/a?id=2&x=1", false),
            ("params=(\"x\")", "/a?id=1&x=1", "/b?id=1&x=1", false),
            ("params=(\"x\")", "/a?X=1", "/a?X=2", false),
            ("params=(\"x\" \"y\")", "/a?x=1&y=1", "/a?y=2", true),
            ("params=(\"x\")", "/a?b=1&a=1", "/a?a=1&b=1", false),
            ("key-order", "/a?b=1&a=1", "/a?a=1&b=1", true),
            ("key-order", "/a?b=1&a=1", "/a?a=1&b=2", false),
            ("key-order", "/a?a=1&a=2", "/a?a=2&a=1", false),
            ("key-order=?0", "/a?b=1&a=1", "/a?a=1&b=1", false),
            (
                "key-order, params=(\"x\")",
                "/a?b=1&x=1&a=1",
                "/a?a=1&b=1",
                true,
            ),
            ("params", "/a?id=1", "/a?id=2", true),
            ("params=?0", "/a?id=1", "/a?id=2", false),
            (
                "params, except=(\"id\")",
                "/a?id=1&x=1",
                "/a?y=1&id=1",
                true,
            ),
            (
                "params, except=(\"id\")",
                "/a?id=1&x=1",
                "/a?id=2&x=1",
                false,
            ),
            ("params, except=(\"id\")", "/a?id=1", "/a", false),
        ],
    )
    .await;
}

/// A field that does not parse is as good as none: the URLs differ.
#[tokio::test]
async fn a_field_that_makes_no_sense_makes_nothing_alike() {
    assert_rows(
        "",
        &[
            ("", "/a?x=1", "/a?x=2", false),
            ("params=(\"x\"", "/a?x=1", "/a?x=2", false),
            ("params=\"x\"", "/a?x=1", "/a?x=2", false),
            ("params=(x)", "/a?x=1", "/a?x=2", false),
            ("params=(\"x\"), except=(\"y\")", "/a?x=1", "/a?x=2", false),
            ("params, except=\"y\"", "/a?x=1", "/a?x=2", false),
            ("Params=(\"x\")", "/a?x=1", "/a?x=2", false),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_operator_may_forbid_it() {
    assert_rows(
        "no_vary_search = false",
        &[
            ("params=(\"x\")", "/a?x=1", "/a?x=2", false),
            ("key-order", "/a?b=1&a=1", "/a?a=1&b=1", false),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_origin_is_asked_once_for_many_urls_that_are_alike() {
    let origin = table_origin(&[("params=(\"x\")", "", "", true)]);
    let proxy = Proxy::start(&origin).await;
    for number in 0..20 {
        let response = proxy.get_with(&format!("/a?x={number}"), &[HOST]).await;
        assert!(response.is_good("/a?x=0"), "{response:?}");
    }
    assert_eq!(origin.requests().len(), 1);
    let next = proxy.get_with("/a?x=0&y", &[HOST]).await;
    assert!(next.is_good("/a?x=0&y") && !next.is_hit(), "{next:?}");
}

/// What the origin says of its URLs now is what counts, not what it once said.
#[tokio::test]
async fn a_response_without_the_field_ends_what_one_with_it_said() {
    let alike = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&alike);
    let origin = Origin::start(async move |request, connection| {
        let value = match state.load(Ordering::SeqCst) {
            true => "params=(\"x\")",
            false => "params=?0",
        };
        let fields = [("cache-control", "max-age=60"), ("no-vary-search", value)];
        connection.respond(200, &fields, &*request.path).await;
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a?x=1").await.is_good("/a?x=1"));
    assert!(proxy.get("/a?x=2").await.is_good("/a?x=1"));
    alike.store(false, Ordering::SeqCst);
    proxy.purge("{\"all\":true}").await;
    for hit in [false, true] {
        for path in ["/a?x=1", "/a?x=2"] {
            let response = proxy.get(path).await;
            assert!(response.is_good(path), "{response:?}");
            assert_eq!(response.is_hit(), hit, "{response:?}");
        }
    }
    alike.store(true, Ordering::SeqCst);
    proxy.purge("{\"all\":true}").await;
    proxy.get("/a?x=1").await;
    let again = proxy.get("/a?x=3").await;
    assert!(again.is_good("/a?x=1") && again.is_hit(), "{again:?}");
}

/// A purge of the stored response's own URL leaves nothing for the others.
#[tokio::test]
async fn a_purge_of_the_stored_url_takes_it_from_all_that_are_alike() {
    let origin = table_origin(&[("params=(\"x\")", "", "", true)]);
    let proxy = Proxy::start(&origin).await;
    let host = [HOST];
    proxy.get_with("/a?x=1", &host).await;
    assert!(proxy.get_with("/a?x=2", &host).await.is_hit());
    proxy.purge("{\"url\":\"http://row-0.test/a?x=1\"}").await;
    let next = proxy.get_with("/a?x=2", &host).await;
    assert!(next.is_good("/a?x=2") && !next.is_hit(), "{next:?}");
}

/// RFC 9111 §4.1 holds besides: who differs by what the response varies on shares nothing.
#[tokio::test]
async fn urls_that_are_alike_still_vary() {
    let origin = Origin::start(async |request, connection| {
        let language = request.field("accept-language").unwrap_or("none");
        let fields = [
            ("cache-control", "max-age=60"),
            ("no-vary-search", "params=(\"x\")"),
            ("vary", "accept-language"),
        ];
        connection.respond(200, &fields, language).await;
    });
    let proxy = Proxy::start(&origin).await;
    for (number, (language, hit)) in [("en", false), ("de", false), ("en", true), ("de", true)]
        .into_iter()
        .enumerate()
    {
        let path = format!("/a?x={number}");
        let response = proxy
            .get_with(&path, &[("accept-language", language)])
            .await;
        assert!(response.is_good(language), "{response:?}");
        assert_eq!(response.is_hit(), hit, "{path}: {response:?}");
    }
}

// --- what is not alike ---------------------------------------------------------------------------

/// The word that the parameter `a` plays no part.
const WORD: (&str, &str) = ("no-vary-search", "params=(\"a\")");

/// Stale at once, with the word.
fn stale_alike() -> [(&'static str, &'static str); 3] {
    [STALE[0], STALE[1], WORD]
}

/// They do not say that they are for all queries, as the page does.
#[tokio::test]
async fn an_error_or_a_redirect_is_served_for_no_other_query() {
    for status in [301, 404] {
        let origin = Origin::start(async move |request, connection| {
            if request.path == "/p?a=bad" {
                let fields = [FRESH[0], ("location", "/q")];
                return connection.respond(status, &fields, "bad").await;
            }
            connection
                .respond(200, &stale_alike(), &*request.path)
                .await;
        });
        let proxy = Proxy::start(&origin).await;
        assert!(proxy.get("/p?a=good").await.is_good("/p?a=good"));
        assert_eq!(proxy.get("/p?a=bad").await.status, status);
        let again = proxy.get("/p?a=good").await;
        assert!(again.is_good("/p?a=good"), "{status}: {again:?}");
    }
}

/// Two queries were one by the path's last word; the answer that both wait for says so no more.
#[tokio::test]
async fn who_waits_for_an_equivalent_query_gets_no_page_that_is_not_equivalent() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.path == "/p?a=0" {
            return connection.respond(200, &stale_alike(), "seed").await;
        }
        held.pass().await;
        connection.respond(200, FRESH, &*request.path).await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/p?a=0").await;
    let mut anna = proxy.herd(1, "/p?a=anna").await.remove(0);
    gate.arrived(1).await;
    let mut bert = proxy.herd(1, "/p?a=bert").await;
    all_wait(&mut bert).await;
    gate.open();
    assert!(anna.response().await.is_good("/p?a=anna"));
    let response = bert.remove(0).response().await;
    assert!(response.is_good("/p?a=bert"), "{response:?}");
}

/// The path's word has changed while the answer was on its way.
#[tokio::test]
async fn an_answer_is_filed_under_no_other_url_than_its_own() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        match &*request.path {
            "/p?a=0" => return connection.respond(200, &stale_alike(), "seed").await,
            "/p?a=secret" => held.pass().await,
            _ => {}
        }
        connection.respond(200, FRESH, &*request.path).await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/p?a=0").await;
    let mut slow = proxy.herd(1, "/p?a=secret").await.remove(0);
    gate.arrived(1).await;
    assert!(proxy.get("/p?b=1").await.is_good("/p?b=1"));
    gate.open();
    assert!(slow.response().await.is_good("/p?a=secret"));
    let plain = proxy.get("/p").await;
    assert!(plain.is_good("/p"), "{plain:?}");
}

/// Whatever the path has said since: what was purged does not come back.
#[tokio::test]
async fn a_purge_finds_a_page_that_was_filed_by_an_older_word() {
    let origin = Origin::start(async |request, connection| {
        let body = request.nth.to_string();
        match &*request.path {
            "/p?b=1" => connection.respond(200, FRESH, body).await,
            _ => connection.respond(200, &[FRESH[0], WORD], body).await,
        }
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/p?a=1").await.is_good("1"));
    proxy.get("/p?b=1").await;
    let purged = proxy.purge("{\"url\":\"http://example.test/p?a=1\"}").await;
    assert_eq!(purged.text().trim(), "{\"purged\":1}");
    proxy.get("/p?c=1").await;
    let next = proxy.get("/p?a=1").await;
    assert!(next.is_good("2"), "{next:?}");
}

/// The head that brings the word comes after the purge, for a request that was sent before it.
#[tokio::test]
async fn a_purge_is_not_outrun_by_an_answer_that_brings_a_word() {
    let (head, tail) = (Gate::new(), Gate::new());
    let (held, kept) = (head.clone(), tail.clone());
    let origin = Origin::start(async move |request, connection| {
        if request.nth > 1 {
            return connection.respond(200, &[FRESH[0], WORD], "after").await;
        }
        held.pass().await;
        let fields = [FRESH[0], WORD, ("content-length", "6")];
        connection.begin(200, &fields).await;
        connection.send("bef").await;
        kept.pass().await;
        connection.send("ore").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut early = proxy.herd(1, "/p?a=1").await.remove(0);
    head.arrived(1).await;
    proxy.purge("{\"url\":\"http://example.test/p?a=1\"}").await;
    head.open();
    early.head().await;
    let late = proxy.get("/p?a=1").await;
    assert!(late.is_good("after"), "{late:?}");
    tail.open();
    assert_eq!(early.rest().await, (b"before".to_vec(), End::Clean));
    assert!(proxy.get("/p?a=1").await.is_good("after"));
}

/// The word that is known came with another page.
#[tokio::test]
async fn a_page_without_a_word_is_served_for_no_other_query() {
    let origin = Origin::start(async |request, connection| {
        if request.path == "/p?a=1" {
            let fields = [FRESH[0], WORD, ("content-length", "100")];
            connection.begin(200, &fields).await;
            connection.send("half").await;
            return connection.close();
        }
        connection.respond(200, FRESH, &*request.path).await;
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/p").await.is_good("/p"));
    assert_eq!(proxy.get("/p?a=1").await.end, End::Truncated);
    let other = proxy.get("/p?a=2").await;
    assert!(other.is_good("/p?a=2"), "{other:?}");
}

#[tokio::test]
async fn a_304_may_take_the_word_back() {
    let origin = Origin::start(async |request, connection| {
        if request.field("if-none-match").is_some() {
            let fields = [FRESH[0], STALE[1], ("no-vary-search", "params=()")];
            return connection.respond(304, &fields, "").await;
        }
        connection
            .respond(200, &stale_alike(), &*request.path)
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    for _ in 0..2 {
        assert!(proxy.get("/p?a=1").await.is_good("/p?a=1"));
    }
    let other = proxy.get("/p?a=2").await;
    assert!(other.is_good("/p?a=2"), "{other:?}");
}
