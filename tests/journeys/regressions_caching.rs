//! Defects of keys, equivalent URIs, staleness and methods that were found once and must not come
//! back. Pages that must be stale are so from the start, by their fields, so nothing waits for a
//! clock. Older ones are in `regressions.rs`.

use std::time::Duration;

use crate::harness::{
    Client, End, FRESH, Gate, IN_GRACE, Origin, Proxy, Response, STALE, all_wait, eventually,
    responses,
};

/// The word that the parameter `a` plays no part.
const WORD: (&str, &str) = ("no-vary-search", "params=(\"a\")");

const OBEY: &str = "request_directives = \"obey\"";

/// Stale at once, with the word.
fn stale_alike() -> [(&'static str, &'static str); 3] {
    [STALE[0], STALE[1], WORD]
}

// --- No-Vary-Search ------------------------------------------------------------------------------

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

// --- the key -------------------------------------------------------------------------------------

/// `[id]` is `id` to Node's qs, `a[b` is `a_b` to PHP, `%u0069d` is `id` to ASP.NET.
#[tokio::test]
async fn a_parameter_that_origins_read_variously_is_not_left_out_or_moved() {
    let allow_id = "key = { query_allow = [\"id\"] }";
    let allow_ab = "key = { query_allow = [\"a_b\"] }";
    let rows = [
        (allow_id, "/a?[id]=x", "/a"),
        (allow_id, "/a?%5Bid%5D=x&id=1", "/a?id=1"),
        (allow_id, "/a?%u0069d=x", "/a"),
        (allow_ab, "/a?a[b=x", "/a"),
        (
            "key = { query = \"sort\" }",
            "/a?a[b=1&a_b=2",
            "/a?a_b=2&a[b=1",
        ),
    ];
    for (lines, first, second) in rows {
        let origin = Origin::start(async |request, connection| {
            connection.respond(200, FRESH, &*request.path).await;
        });
        let proxy = Proxy::before(&origin).table("cache", lines).start().await;
        assert!(proxy.get(first).await.is_good(first), "{first}");
        let other = proxy.get(second).await;
        assert!(other.is_good(second), "{first}: {other:?}");
    }
}

/// As a 200 that varies by what the proxy writes: the key does not hold that.
#[tokio::test]
async fn a_304_that_varies_by_the_clients_address_makes_no_page_for_all() {
    let origin = Origin::start(async |request, connection| {
        if request.field("if-none-match").is_some() {
            let fields = [FRESH[0], STALE[1], ("vary", "x-forwarded-for")];
            return connection.respond(304, &fields, "").await;
        }
        let address = request.field("x-forwarded-for").unwrap_or("nobody");
        connection.respond(200, STALE, address).await;
    });
    let proxy = Proxy::start(&origin).await;
    for _ in 0..2 {
        assert!(proxy.get("/a").await.is_good("127.0.0.1"));
    }
    let mut other = Client::connect_from([127, 0, 0, 2], proxy.address()).await;
    let response = other.get("/a").await;
    assert!(response.is_good("127.0.0.2"), "{response:?}");
}

// --- one client and the pages of all -------------------------------------------------------------

/// Whom the origin turns away, it tells nothing about the page.
#[tokio::test]
async fn a_client_that_is_turned_away_evicts_no_stale_page() {
    for status in [401, 403, 407] {
        let origin =
            Origin::start(
                async move |request, connection| match request.field("x-attack") {
                    Some(_) => connection.respond(status, &[], "away").await,
                    None => connection.respond(200, STALE, "hello").await,
                },
            );
        let proxy = Proxy::start(&origin).await;
        assert!(proxy.get("/a").await.is_good("hello"));
        let away = proxy.get_with("/a", &[("x-attack", "1")]).await;
        assert_eq!(away.status, status, "{away:?}");
        assert!(proxy.get("/a").await.is_good("hello"));
        let tag = origin.last().field("if-none-match").map(str::to_owned);
        assert_eq!(tag.as_deref(), Some("\"1\""), "{status}");
    }
}

/// Nor does it mark a page that is not stored yet as one that cannot be shared.
#[tokio::test]
async fn a_client_that_is_turned_away_keeps_no_others_apart() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.field("x-attack").is_some() {
            return connection.respond(403, &[], "away").await;
        }
        held.pass().await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    assert_eq!(proxy.get_with("/a", &[("x-attack", "1")]).await.status, 403);
    let mut leader = proxy.herd(1, "/a").await.remove(0);
    gate.arrived(1).await;
    let mut others = proxy.herd(5, "/a").await;
    all_wait(&mut others).await;
    assert_eq!(origin.count("/a"), 2);
    gate.open();
    assert!(leader.response().await.is_good("hello"));
    for response in responses(&mut others).await {
        assert!(response.is_good("hello"), "{response:?}");
    }
    assert_eq!(origin.count("/a"), 2);
}

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

// --- stale ---------------------------------------------------------------------------------------

/// `error_ttl_max` bounds for how long an error is served at all, and `grace` is for pages.
#[tokio::test]
async fn an_error_is_not_served_long_after_its_time() {
    let rows = [
        ("", "max-age=600, stale-while-revalidate=86400"),
        ("grace = \"1h\"", "max-age=600"),
    ];
    for (lines, control) in rows {
        let origin = Origin::start(async move |request, connection| {
            let fields = [("cache-control", control), ("age", "62")];
            match request.nth {
                1 => connection.respond(503, &fields, "outage").await,
                _ => connection.respond(200, FRESH, "well").await,
            }
        });
        let proxy = Proxy::before(&origin).table("cache", lines).start().await;
        assert_eq!(proxy.get("/a").await.status, 503);
        let next = proxy.get("/a").await;
        assert!(next.is_good("well"), "{control}: {next:?}");
    }
}

/// It would be served stale, and fetched in vain, for as long as it has grace.
#[tokio::test]
async fn a_page_that_has_outgrown_the_store_is_not_served_as_it_was() {
    const CHUNKS: usize = 40;
    let origin = Origin::start(async |request, connection| {
        if request.nth == 1 {
            return connection.respond(200, IN_GRACE, "small").await;
        }
        let fields = [FRESH[0], ("transfer-encoding", "chunked")];
        connection.begin(200, &fields).await;
        for _ in 0..CHUNKS {
            connection.chunk([b'x'; 16 << 10]).await;
        }
        connection.chunk("").await;
    });
    let limit = "object_max = \"64KiB\"";
    let proxy = Proxy::before(&origin).table("store", limit).start().await;
    assert!(proxy.get("/a").await.is_good("small"));
    let grown = async || proxy.get("/a").await.body.len() == CHUNKS * (16 << 10);
    eventually("the page as it is now", grown).await;
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

/// Refreshes take a quarter of an origin's connections; the rest is for those who wait.
#[tokio::test]
async fn refreshes_leave_connections_for_misses() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.nth > 1 {
            held.pass().await;
        }
        connection.respond(200, IN_GRACE, "page").await;
    });
    let limit = "connections_max = 4";
    let proxy = Proxy::before(&origin)
        .table("origins.main", limit)
        .start()
        .await;
    for _ in 0..2 {
        for number in 0..8 {
            assert!(proxy.get(&format!("/{number}")).await.is_good("page"));
        }
    }
    gate.arrived(1).await;
    let miss = proxy.get("/new").await;
    assert!(miss.is_good("page"), "{miss:?}");
    gate.open();
}

/// Nobody wants the error that a stale page stands in for, however slowly it comes.
#[tokio::test]
async fn an_error_whose_body_trickles_holds_no_connection() {
    let gate = Gate::new();
    let left = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.nth == 1 {
            return connection.respond(200, STALE, "page").await;
        }
        connection.begin(503, &[("content-length", "60000")]).await;
        connection.send("sorry").await;
        connection.peer_gone().await;
        left.pass().await;
    });
    let proxy = Proxy::start(&origin).await;
    for _ in 0..2 {
        assert!(proxy.get("/a").await.is_good("page"));
    }
    gate.arrived(1).await;
    gate.open();
}

/// Each of them leads in turn; none gives up because others went before.
#[tokio::test]
async fn many_who_see_their_leaders_vanish_do_not_go_in_circles() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.close();
    });
    let proxy = Proxy::start(&origin).await;
    let mut herd = proxy.herd(1, "/a").await;
    gate.arrived(1).await;
    herd.append(&mut proxy.herd(39, "/a").await);
    all_wait(&mut herd).await;
    gate.open();
    for response in responses(&mut herd).await {
        assert_eq!(response.status, 502, "{response:?}");
    }
}

// --- methods and partial responses ---------------------------------------------------------------

/// The origin has acted upon the condition; measured again, by what it made, it would not hold.
#[tokio::test]
async fn a_post_is_not_measured_by_its_own_result() {
    let origin = Origin::start(async |request, connection| {
        assert_eq!(request.field("if-match"), Some("\"1\""));
        let fields = [FRESH[0], ("etag", "\"2\""), ("content-location", "/a")];
        connection.respond(200, &fields, "done").await;
    });
    let proxy = Proxy::start(&origin).await;
    let fields = [("if-match", "\"1\""), ("content-length", "0")];
    let response = proxy.send("POST", "/a", &fields).await;
    assert!(response.is_good("done"), "{response:?}");
}

/// With such a field an origin may answer for another URL.
#[tokio::test]
async fn a_head_that_was_steered_ends_no_page() {
    let origin = Origin::start(async |request, connection| {
        match (request.field("x-original-url"), request.nth) {
            (Some(_), _) => connection.respond(200, &[("etag", "\"2\"")], "").await,
            (None, 1) => connection.respond(200, STALE, "page").await,
            _ => connection.respond(503, &[], "sorry").await,
        }
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("page"));
    proxy.send("HEAD", "/a", &[("x-original-url", "/b")]).await;
    let next = proxy.get("/a").await;
    assert!(next.is_good("page"), "{next:?}");
}

/// RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a
/// status code of 1xx (Informational) or 204 (No Content)."
#[tokio::test]
async fn a_head_of_a_204_has_no_content_length() {
    let origin = Origin::answering(204, FRESH, "");
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let head = proxy.send("HEAD", "/a", &[]).await;
    assert_eq!((head.status, head.is_hit()), (204, true), "{head:?}");
    assert_eq!(head.field("content-length"), None, "{head:?}");
}

/// RFC 9530 §2: Content-Digest is of the content that the message has, here a part.
#[tokio::test]
async fn a_part_does_not_have_the_digest_of_the_whole() {
    let digest = (
        "content-digest",
        "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:",
    );
    let origin = Origin::start(async move |_, connection| {
        connection
            .respond(200, &[FRESH[0], digest], "hello world")
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.field(digest.0).is_some());
    let part = proxy.get_with("/a", &[("range", "bytes=0-4")]).await;
    assert_eq!((part.status, &*part.text()), (206, "hello"));
    assert_eq!(part.field(digest.0), None, "{part:?}");
    assert!(proxy.get("/a").await.field(digest.0).is_some());
}

/// RFC 9110 §7.6.2: what is forwarded is the received value less one, "or the recipient's maximum
/// supported value for Max-Forwards".
#[tokio::test]
async fn a_max_forwards_beyond_all_numbers_is_counted_down() {
    let origin = Origin::answering(200, &[], "");
    let proxy = Proxy::start(&origin).await;
    let huge = "9".repeat(25);
    proxy
        .send("OPTIONS", "/a", &[("max-forwards", &huge)])
        .await;
    let last = origin.last();
    let forwarded = last.field("max-forwards").map(str::parse::<u64>);
    assert!(matches!(forwarded, Some(Ok(_))), "{last:?}");
}

// --- QUERY ---------------------------------------------------------------------------------------

async fn question(proxy: &Proxy, body: &str) -> Response {
    proxy.client().await.send_body("QUERY", "/a", body).await
}

/// Anybody can ask many.
#[tokio::test]
async fn questions_push_no_page_out() {
    let origin = Origin::answering(200, FRESH, "hello");
    let limit = "variants_max = 4";
    let proxy = Proxy::before(&origin).table("store", limit).start().await;
    proxy.get("/a").await;
    for number in 0..8 {
        question(&proxy, &number.to_string()).await;
    }
    assert!(proxy.get("/a").await.is_hit());
}

/// What is read of questions takes its room where fills do; who finds none is passed on.
#[tokio::test]
async fn questions_that_stall_are_bounded_in_memory() {
    let origin = Origin::answering(200, FRESH, "hello");
    let sizes = "object_max = \"1MiB\"\nfill_memory = \"1MiB\"";
    let setup = Proxy::before(&origin).table("store", sizes);
    let setup = setup.table("cache", "query_body_max = \"1MiB\"");
    let proxy = setup.start().await;
    let mut stalling = proxy.client().await;
    let fields = [("content-length", "4")];
    stalling.request("QUERY", "/a", &fields).await;
    stalling.send("[1").await;
    let counted = async || proxy.metric("copal_fill_bytes", "").await > 0.0;
    eventually("the question to be counted", counted).await;
    let passed = question(&proxy, "[2]").await;
    assert!(
        passed.is_good("hello") && passed.says("fwd=bypass"),
        "{passed:?}"
    );
    stalling.send("2]").await;
    let response = stalling.response().await;
    assert!(
        response.is_good("hello") && response.says("stored"),
        "{response:?}"
    );
}
