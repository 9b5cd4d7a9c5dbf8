//! Methods other than GET (RFC 9110 §9, RFC 9111 §4.3.5): what they find in the cache and what they
//! put there. What they take out is in `invalidation.rs`; QUERY has a file of its own.

use crate::harness::{Client, End, FRESH, Fields, Origin, Proxy, Response, TAGGED};

// --- POST that fills -----------------------------------------------------------------------------

/// A row: what it shows, the status and the fields of the answer to a POST of `/a`, whether that is
/// the page from then on.
type Posted = (&'static str, u16, Fields<'static>, bool);

/// RFC 9110 §9.3.3: "Responses to POST requests are only cacheable when they include explicit
/// freshness information […] and a Content-Location header field that has the same value as the
/// POST's target URI […]. A cached POST response can be reused to satisfy a later GET or HEAD
/// request."
const POSTED: &[Posted] = &[
    (
        "its own URL",
        200,
        &[("content-location", "/a"), ("cache-control", "max-age=60")],
        true,
    ),
    (
        "in full",
        200,
        &[
            ("content-location", "http://example.test/a"),
            ("cache-control", "max-age=60"),
        ],
        true,
    ),
    ("no lifetime", 200, &[("content-location", "/a")], false),
    (
        "another URL",
        200,
        &[("content-location", "/b"), ("cache-control", "max-age=60")],
        false,
    ),
    (
        "no Content-Location",
        200,
        &[("cache-control", "max-age=60")],
        false,
    ),
    (
        "private",
        200,
        &[
            ("content-location", "/a"),
            ("cache-control", "private, max-age=60"),
        ],
        false,
    ),
    (
        "an error",
        500,
        &[("content-location", "/a"), ("cache-control", "max-age=60")],
        false,
    ),
];

#[tokio::test]
async fn an_answer_to_post_that_says_it_is_the_page_is_the_page() {
    for &(name, status, fields, page) in POSTED {
        let origin = Origin::start(async move |request, connection| match &*request.method {
            "POST" => connection.respond(status, fields, "posted").await,
            _ => connection.respond(200, TAGGED, "got").await,
        });
        let proxy = Proxy::start(&origin).await;
        let posted = proxy.client().await.send_body("POST", "/a", "text").await;
        assert_eq!(posted.text(), "posted", "{name}");
        let next = proxy.get("/a").await;
        let body = if page { "posted" } else { "got" };
        assert!(next.is_good(body), "{name}: {next:?}");
        assert_eq!(next.is_hit(), page, "{name}: {next:?}");
        let other = proxy.get("/b").await;
        assert!(other.is_good("got"), "{name}: {other:?}");
    }
}

/// What one client's cookies, or fields that are not in the key, may have shaped is that client's.
#[tokio::test]
async fn an_answer_to_post_that_the_client_has_shaped_is_not_the_page() {
    let fields: Fields = &[("content-location", "/a"), ("cache-control", "max-age=60")];
    let vary: Fields = &[
        ("content-location", "/a"),
        ("cache-control", "max-age=60"),
        ("vary", "accept-encoding"),
    ];
    let rows: &[(Fields, Fields, bool)] = &[
        (&[("x-other", "1")], fields, true),
        (&[("accept-encoding", "br, gzip;q=0.1")], fields, true),
        (&[("cookie", "session=1")], fields, false),
        (&[("x-original-url", "/b")], fields, false),
        (&[("accept-encoding", "br, gzip;q=0.1")], vary, false),
    ];
    for profile in ["cautious", "rfc"] {
        for &(asked, answered, page) in rows {
            let origin = Origin::start(async move |request, connection| match &*request.method {
                "POST" => connection.respond(200, answered, "posted").await,
                _ => connection.respond(200, TAGGED, "got").await,
            });
            let proxy = Proxy::before(&origin).profile(profile).start().await;
            proxy.send("POST", "/a", asked).await;
            let next = proxy.get("/a").await;
            assert_eq!(
                next.text() == "posted",
                page,
                "{profile} {asked:?} {next:?}"
            );
        }
    }
}

// --- HEAD ----------------------------------------------------------------------------------------

async fn head(client: &mut Client, path: &str) -> Response {
    client.request("HEAD", path, &[]).await;
    let response = client.response().await;
    assert!(response.body.is_empty(), "{response:?}");
    response
}

/// b00065: the length that the page has, and none of its bytes.
#[tokio::test]
async fn a_head_is_answered_from_the_stored_page() {
    let origin = Origin::answering(200, TAGGED, "hello");
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.get("/a").await;
    for _ in 0..2 {
        let response = head(&mut client, "/a").await;
        assert_eq!((response.status, response.end), (200, End::Clean));
        assert!(
            response.is_hit() && response.age().is_some(),
            "{response:?}"
        );
        assert_eq!(response.field("content-length"), Some("5"));
        assert_eq!(response.field("etag"), Some("\"1\""));
    }
    assert!(client.get("/a").await.is_good("hello"), "still in step");
    assert_eq!(origin.requests().len(), 1);
}

/// r00679, r04245: nothing is stored by it that a GET could find, and its length is the origin's.
#[tokio::test]
async fn a_head_that_misses_stores_nothing() {
    let origin = Origin::answering(200, TAGGED, "hello");
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let response = head(&mut client, "/a").await;
        assert_eq!(response.field("content-length"), Some("5"), "{response:?}");
        assert!(!response.is_hit(), "{response:?}");
    }
    let page = client.get("/a").await;
    assert!(page.is_good("hello") && !page.is_hit(), "{page:?}");
}

/// An origin whose page is stale from the start and has then been replaced by another.
fn replaced() -> Origin {
    Origin::start(async |request, connection| match request.nth {
        1 => {
            let fields = [TAGGED[0], TAGGED[1], ("age", "62")];
            connection.respond(200, &fields, "old").await;
        }
        _ => {
            let fields = [TAGGED[0], ("etag", "\"2\"")];
            connection.respond(200, &fields, "newer").await;
        }
    })
}

/// RFC 9111 §4.3.5: a HEAD's answer tells of the page that a GET would bring. When its validators
/// are not those of what is stored, what is stored is that page no more.
#[tokio::test]
async fn a_head_that_tells_of_another_page_ends_the_stored_one() {
    let origin = replaced();
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    assert!(client.get("/a").await.is_good("old"));
    let response = head(&mut client, "/a").await;
    assert_eq!(response.field("content-length"), Some("5"), "{response:?}");
    assert!(client.get("/a").await.is_good("newer"));
    let asked: Vec<_> = origin.requests().split_off(2);
    assert!(
        asked
            .iter()
            .all(|it| it.field("if-none-match") != Some("\"1\"")),
        "{asked:?}"
    );
}

/// Not even where the origin is away: the old page is known to be wrong.
#[tokio::test]
async fn a_page_that_a_head_has_ended_stands_in_for_nothing() {
    let origin = replaced();
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    assert!(client.get("/a").await.is_good("old"));
    head(&mut client, "/a").await;
    drop(origin);
    assert_ne!(client.get("/a").await.text(), "old");
}

/// A HEAD has no body to give: it makes no stale page fresh, and brings none back.
#[tokio::test]
async fn a_head_revives_nothing() {
    let origin = Origin::start(async |request, connection| {
        let age = if request.nth == 1 { "62" } else { "0" };
        let fields = [TAGGED[0], ("age", age)];
        connection
            .respond(200, &fields, request.nth.to_string())
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.get("/stale").await;
    head(&mut client, "/stale").await;
    let page = client.get("/stale").await;
    assert_ne!(page.text(), "1", "{page:?}");

    client.get("/purged").await;
    client.get("/purged").await;
    proxy
        .purge("{\"url\":\"http://example.test/purged\"}")
        .await;
    head(&mut client, "/purged").await;
    let page = client.get("/purged").await;
    assert!(!["1", "2"].contains(&&*page.text()), "{page:?}");
}

// --- OPTIONS, TRACE, CONNECT ---------------------------------------------------------------------

/// RFC 9110 §9.3.7: "Responses to the OPTIONS method are not cacheable."
#[tokio::test]
async fn an_answer_to_options_is_never_stored() {
    let origin = Origin::answering(200, TAGGED, "hello");
    let proxy = Proxy::start(&origin).await;
    for _ in 0..2 {
        let response = proxy.send("OPTIONS", "/a", &[]).await;
        assert!(response.says("fwd=method"), "{response:?}");
    }
    assert!(!proxy.get("/a").await.is_hit());
    assert_eq!(origin.count("/a"), 3);
}

#[tokio::test]
async fn options_may_be_about_the_whole_server() {
    let origin = Origin::answering(200, &[("allow", "GET")], "");
    let proxy = Proxy::start(&origin).await;
    let response = proxy.send("OPTIONS", "*", &[]).await;
    assert_eq!(response.field("allow"), Some("GET"), "{response:?}");
    assert_eq!(origin.last().path, "*");
}

/// RFC 9110 §7.6.2: "If the received value is zero (0), the intermediary MUST NOT forward the
/// request; instead, the intermediary MUST respond as the final recipient."
#[tokio::test]
async fn options_that_may_go_no_further_is_answered_here() {
    let origin = Origin::answering(200, &[], "hello");
    let proxy = Proxy::start(&origin).await;
    let here = proxy.send("OPTIONS", "/a", &[("max-forwards", "0")]).await;
    assert!((200..300).contains(&here.status), "{here:?}");
    assert!(origin.requests().is_empty());
    proxy.send("OPTIONS", "/a", &[("max-forwards", "5")]).await;
    assert_eq!(origin.last().field("max-forwards"), Some("4"));
}

/// RFC 9110 §9.3.8: a TRACE shows the request's fields to whoever can send one; CONNECT makes a
/// tunnel, which a gateway has no use for.
#[tokio::test]
async fn trace_and_connect_are_refused() {
    let origin = Origin::answering(200, TAGGED, "hello");
    let proxy = Proxy::start(&origin).await;
    let trace = proxy.send("TRACE", "/a", &[]).await;
    assert_eq!(trace.status, 405, "{trace:?}");
    let connect = proxy.send("CONNECT", "example.test:80", &[]).await;
    assert!((400..500).contains(&connect.status), "{connect:?}");
    assert!(origin.requests().is_empty());
}

// --- what goes through ---------------------------------------------------------------------------

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

/// RFC 9211 §2.2: "stale" says that "the cache was able to select a response for the request, but it
/// was stale".
#[tokio::test]
async fn a_head_of_what_is_stale_is_no_miss() {
    let fields: Fields = &[("cache-control", "max-age=0"), ("etag", "\"1\"")];
    let origin = Origin::answering(200, fields, "hello");
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    let nothing = head(&mut client, "/a").await;
    assert!(
        nothing.cache_status().contains("fwd=uri-miss"),
        "{nothing:?}"
    );
    client.get("/a").await;
    let stale = head(&mut client, "/a").await;
    assert!(stale.cache_status().contains("fwd=stale"), "{stale:?}");
}
