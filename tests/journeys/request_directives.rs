//! What clients wish of the cache (RFC 9111 §5.2.1 and §5.4), which it heeds where the operator
//! says so; `only-if-cached` it heeds always.

use crate::harness::{FRESH, Fields, Gate, IN_GRACE, Origin, Proxy, STALE, eventually};

/// A row: what it shows, the stored response's Cache-Control and Age, the request's fields, whether
/// it is answered from the cache.
type Wish = (
    &'static str,
    &'static str,
    &'static str,
    Fields<'static>,
    bool,
);

/// RFC 9111 §5.2.1 and §5.4, row by row.
const WISHES: &[Wish] = &[
    (
        "no-cache",
        "max-age=600",
        "30",
        &[("cache-control", "no-cache")],
        false,
    ),
    (
        "Pragma",
        "max-age=600",
        "30",
        &[("pragma", "no-cache")],
        false,
    ),
    (
        "max-age, too old",
        "max-age=600",
        "30",
        &[("cache-control", "max-age=10")],
        false,
    ),
    (
        "max-age=0",
        "max-age=600",
        "30",
        &[("cache-control", "max-age=0")],
        false,
    ),
    (
        "max-age, young enough",
        "max-age=600",
        "30",
        &[("cache-control", "max-age=300")],
        true,
    ),
    (
        "min-fresh, too little",
        "max-age=600",
        "30",
        &[("cache-control", "min-fresh=590")],
        false,
    ),
    (
        "min-fresh, enough",
        "max-age=600",
        "30",
        &[("cache-control", "min-fresh=300")],
        true,
    ),
    (
        "any letter case",
        "max-age=600",
        "30",
        &[("cache-control", "No-Cache")],
        false,
    ),
    (
        "unknown",
        "max-age=600",
        "30",
        &[("cache-control", "x-unknown=1")],
        true,
    ),
    (
        "max-stale, stale by less",
        "max-age=600",
        "620",
        &[("cache-control", "max-stale=60")],
        true,
    ),
    (
        "max-stale, stale by more",
        "max-age=600",
        "720",
        &[("cache-control", "max-stale=60")],
        false,
    ),
    (
        "max-stale, however stale",
        "max-age=600",
        "720",
        &[("cache-control", "max-stale")],
        true,
    ),
    (
        "max-stale against must-revalidate",
        "max-age=600, must-revalidate",
        "620",
        &[("cache-control", "max-stale=60")],
        false,
    ),
];

/// Stores each row's response, asks as it says, and complains of all that went another way.
async fn assert_wishes(lines: &str, expected: impl Fn(&Wish) -> bool) {
    let origin = Origin::start(async |request, connection| {
        let index: usize = request.path[1..].parse().expect("a row's number");
        let (_, control, age, ..) = WISHES[index];
        let fields = [("cache-control", control), ("age", age), ("etag", "\"1\"")];
        connection
            .respond(200, &fields, request.nth.to_string())
            .await;
    });
    let setup = Proxy::before(&origin).table("cache", lines);
    let proxy = setup.start().await;
    let mut wrong = Vec::new();
    for (index, wish) in WISHES.iter().enumerate() {
        let path = format!("/{index}");
        let (name, _, _, fields, _) = wish;
        assert!(proxy.get(&path).await.is_good("1"), "{name}");
        let response = proxy.get_with(&path, fields).await;
        let hit = expected(wish);
        let body = if hit { "1" } else { "2" };
        if response.is_hit() != hit || !response.is_good(body) {
            wrong.push(format!("{name}: {response:?}"));
        }
    }
    assert!(wrong.is_empty(), "{lines}: {wrong:#?}");
}

/// RFC 9111 §5.2.1: "They are advisory; a cache MAY implement them, but is not required to." Before
/// an origin they would let any client switch the cache off.
#[tokio::test]
async fn by_default_a_clients_wishes_change_nothing() {
    let fresh = |(_, _, age, ..): &Wish| *age == "30";
    assert_wishes("", fresh).await;
    assert_wishes("request_directives = \"ignore\"", fresh).await;
}

#[tokio::test]
async fn a_clients_wishes_are_obeyed_where_so_configured() {
    assert_wishes("request_directives = \"obey\"", |(.., hit)| *hit).await;
}

/// RFC 9111 §5.2.1.5: "a cache MUST NOT store any part of either this request or any response to
/// it", where it is obeyed at all.
#[tokio::test]
async fn the_answer_to_no_store_is_stored_unless_obeyed() {
    for (directives, stored) in [("ignore", true), ("obey", false)] {
        let origin = Origin::answering(200, FRESH, "hello");
        let lines = format!("request_directives = \"{directives}\"");
        let proxy = Proxy::before(&origin).table("cache", &lines).start().await;
        proxy.get_with("/a", &[("cache-control", "no-store")]).await;
        let next = proxy.get("/a").await;
        assert_eq!(next.is_hit(), stored, "{directives}: {next:?}");
    }
}

/// The answer to one who insisted is everybody's from then on.
#[tokio::test]
async fn the_answer_to_no_cache_replaces_what_was_stored() {
    let origin = Origin::start(async |request, connection| {
        connection
            .respond(200, FRESH, request.nth.to_string())
            .await;
    });
    let setup = Proxy::before(&origin).table("cache", "request_directives = \"obey\"");
    let proxy = setup.start().await;
    assert!(proxy.get("/a").await.is_good("1"));
    let insisting = proxy.get_with("/a", &[("cache-control", "no-cache")]).await;
    assert!(insisting.is_good("2"), "{insisting:?}");
    assert!(insisting.says("fwd=request"), "{insisting:?}");
    let next = proxy.get("/a").await;
    assert!(next.is_good("2") && next.is_hit(), "{next:?}");
}

/// RFC 9111 §5.2.1.7: a cache that honours it responds "with either a stored response consistent
/// with the other constraints of the request or a 504 (Gateway Timeout) status code." It costs no
/// origin anything, so it is obeyed always.
#[tokio::test]
async fn only_if_cached_is_answered_from_the_cache_or_not_at_all() {
    for directives in ["ignore", "obey"] {
        let origin = Origin::start(async |request, connection| {
            let age = if request.path == "/stale" { "62" } else { "0" };
            let fields = [FRESH[0], ("age", age), ("etag", "\"1\"")];
            connection.respond(200, &fields, "hello").await;
        });
        let lines = format!("request_directives = \"{directives}\"");
        let proxy = Proxy::before(&origin).table("cache", &lines).start().await;
        for path in ["/fresh", "/stale"] {
            proxy.get(path).await;
        }
        let only = [("cache-control", "only-if-cached")];
        for (path, status) in [("/fresh", 200), ("/stale", 504), ("/none", 504)] {
            let response = proxy.get_with(path, &only).await;
            assert_eq!(response.status, status, "{path}: {response:?}");
            assert_eq!(response.is_hit(), status == 200, "{path}: {response:?}");
            let ours = response.says("detail=only-if-cached");
            assert_eq!(ours, status == 504, "{path}: {response:?}");
        }
        assert_eq!(origin.requests().len(), 2, "nobody was asked");
    }
}

/// Nor does it wait for another's question.
#[tokio::test]
async fn only_if_cached_waits_for_nobody() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut leader = proxy.herd(1, "/a").await;
    gate.arrived(1).await;
    let only = [("cache-control", "only-if-cached")];
    assert_eq!(proxy.get_with("/a", &only).await.status, 504);
    gate.open();
    assert!(leader.remove(0).response().await.is_good("hello"));
}

const OBEY: &str = "request_directives = \"obey\"";

/// RFC 9111 §5.2.1.5: "a cache MUST NOT store any part of either this request or any response to
/// it", a 304 included.
#[tokio::test]
async fn a_304_to_no_store_is_not_stored() {
    let origin = Origin::start(
        async |request, connection| match request.field("if-none-match") {
            Some(_) => connection.respond(304, &[FRESH[0], STALE[1]], "").await,
            None => connection.respond(200, STALE, "hello").await,
        },
    );
    let proxy = Proxy::before(&origin).table("cache", OBEY).start().await;
    proxy.get("/a").await;
    let private = proxy.get_with("/a", &[("cache-control", "no-store")]).await;
    assert!(
        private.is_good("hello") && !private.says("stored"),
        "{private:?}"
    );
    let next = proxy.get("/a").await;
    assert!(next.is_good("hello") && !next.is_hit(), "{next:?}");
    assert_eq!(origin.last().field("if-none-match"), Some("\"1\""));
}

/// Nothing of a refresh for it could be stored, and others would take it for theirs.
#[tokio::test]
async fn a_no_store_client_starts_no_refresh() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.nth == 1 {
            return connection.respond(200, IN_GRACE, "old").await;
        }
        held.pass().await;
        connection.respond(200, FRESH, "new").await;
    });
    let proxy = Proxy::before(&origin).table("cache", OBEY).start().await;
    for fields in [&[][..], &[("cache-control", "no-store")], &[]] {
        assert!(proxy.get_with("/a", fields).await.is_good("old"));
    }
    gate.arrived(1).await;
    gate.open();
    let refreshed = async || proxy.get("/a").await.is_good("new");
    eventually("the new page", refreshed).await;
    assert_eq!(origin.count("/a"), 2);
}

/// Who insists on another look, and gets none because the origin fails, has followed nobody.
#[tokio::test]
async fn a_fresh_page_stands_in_for_a_look_that_failed() {
    let origin = Origin::start(async |request, connection| match request.nth {
        1 => connection.respond(200, FRESH, "hello").await,
        _ => connection.close(),
    });
    let proxy = Proxy::before(&origin).table("cache", OBEY).start().await;
    proxy.get("/a").await;
    let response = proxy.get_with("/a", &[("cache-control", "no-cache")]).await;
    assert!(response.is_good("hello"), "{response:?}");
    assert!(response.says("detail=stale-if-error"), "{response:?}");
    assert!(!response.says("collapsed"), "{response:?}");
}

/// RFC 9111 §5.2.1.7, where the cache is not asked at all: it can have nothing either.
#[tokio::test]
async fn only_if_cached_asks_no_origin_past_the_cache() {
    let origin = Origin::answering(200, FRESH, "hello");
    let off = "{ path = \"/off\", origin = \"main\", cache = { enabled = false } }";
    let all = "{ path = \"/*\", origin = \"main\" }";
    let sites = format!("[[site]]\nhosts = [\"*\"]\nroute = [{all}, {off}]\n");
    let proxy = Proxy::before(&origin).sites(&sites).start().await;
    let only = ("cache-control", "only-if-cached");
    let with_cookie = proxy.get_with("/a", &[only, ("cookie", "a=1")]).await;
    assert_eq!(with_cookie.status, 504, "{with_cookie:?}");
    let disabled = proxy.get_with("/off", &[only]).await;
    assert_eq!(disabled.status, 504, "{disabled:?}");
    assert!(origin.requests().is_empty());
}

/// What was purged softly is not to be had stale by asking for it.
#[tokio::test]
async fn max_stale_does_not_revive_what_was_purged() {
    let origin = Origin::start(async |request, connection| {
        let body = request.nth.to_string();
        connection.respond(200, FRESH, body).await;
    });
    let proxy = Proxy::before(&origin).table("cache", OBEY).start().await;
    assert!(proxy.get("/a").await.is_good("1"));
    proxy.purge("{\"all\":true,\"soft\":true}").await;
    let next = proxy
        .get_with("/a", &[("cache-control", "max-stale")])
        .await;
    assert!(next.is_good("2"), "{next:?}");
}
