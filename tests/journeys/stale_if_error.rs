//! Stale responses that stand in for an origin that fails (RFC 5861 §4, RFC 9111 §4.2.4), and for
//! one that is known to be sick. Pages here are stale from the start, as their Age says.

use crate::harness::{
    End, Fields, Gate, Origin, Proxy, STALE, Setup, all_wait, answer_old, eventually, responses,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const FRESH: Fields<'static> = &[("cache-control", "max-age=60"), ("etag", "\"old\"")];

/// A row: the page's Cache-Control, its Age, whether it is served in place of a 503.
type Row = (&'static str, &'static str, bool);

/// One page, two seconds past its minute, and then this status for ever.
fn failing_with(status: u16) -> Origin {
    Origin::start(async move |request, connection| match request.nth {
        1 => answer_old(connection, "max-age=60", "62").await,
        _ => connection.respond(status, &[], "sorry").await,
    })
}

/// Answers `/N` with the Cache-Control and the Age of the Nth row at first, and with 503 later.
fn table_origin(rows: &'static [Row]) -> Origin {
    Origin::start(async move |request, connection| {
        let index: usize = request.path[1..].parse().expect("a row's number");
        let (control, age, _) = rows[index];
        match request.nth {
            1 => answer_old(connection, control, age).await,
            _ => connection.respond(503, &[], "sorry").await,
        }
    })
}

/// Complains of every row whose page wrongly stands in for a 503 or wrongly does not.
async fn assert_stands_in(setup: impl FnOnce(&Origin) -> Setup, rows: &'static [Row]) {
    let origin = table_origin(rows);
    let proxy = setup(&origin).start().await;
    let mut wrong = Vec::new();
    for (index, (control, age, stands_in)) in rows.iter().enumerate() {
        let path = format!("/{index}");
        assert!(proxy.get(&path).await.is_good("old"), "{control}");
        let second = proxy.get(&path).await;
        let right = match stands_in {
            true => second.is_good("old"),
            false => second.status == 503,
        };
        if !right {
            wrong.push(format!("{control}, {age} s old: {second:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

// --- what is an error ----------------------------------------------------------------------------

/// RFC 5861 §4: "an error is any situation that would result in a 500, 502, 503, or 504 HTTP
/// response status code being returned."
#[tokio::test]
async fn a_stale_page_stands_in_for_a_5xx() {
    for status in [500, 502, 503, 504] {
        let origin = failing_with(status);
        let proxy = Proxy::start(&origin).await;
        proxy.get("/a").await;
        let stale = proxy.get("/a").await;
        assert!(stale.is_good("old"), "{status}: {stale:?}");
        let fwd_status = format!("fwd-status={status}");
        for parameter in ["fwd=stale", &fwd_status, "detail=stale-if-error"] {
            assert!(stale.says(parameter), "{parameter}: {stale:?}");
        }
        assert!(stale.ttl().is_some_and(|it| it < 0), "{stale:?}");
        assert!(stale.age().is_some_and(|it| it >= 62), "{stale:?}");
        assert_eq!(origin.count("/a"), 2, "{status}");
    }
}

#[tokio::test]
async fn a_stale_page_stands_in_for_no_answer() {
    for failure in ["close", "reset", "half a head", "no head", "silence"] {
        let origin = Origin::start(
            async move |request, connection| match (request.nth, failure) {
                (1, _) => answer_old(connection, "max-age=60", "62").await,
                (_, "reset") => connection.reset(),
                (_, "silence") => connection.peer_gone().await,
                (_, "half a head") => {
                    connection.send("HTTP/1.1 200 OK\r\ncache-control: m").await;
                    connection.close();
                }
                (_, "no head") => {
                    connection.send("nonsense\r\n\r\n").await;
                    connection.close();
                }
                _ => connection.close(),
            },
        );
        let impatience = "first_byte_timeout = \"300ms\"";
        let setup = Proxy::before(&origin).table("origins.main", impatience);
        let proxy = setup.start().await;
        proxy.get("/a").await;
        let stale = proxy.get("/a").await;
        assert!(stale.is_good("old"), "{failure}: {stale:?}");
        assert!(
            stale.says("fwd=stale") && stale.says("detail=stale-if-error"),
            "{failure}: {stale:?}"
        );
        assert!(!stale.cache_status().contains("fwd-status"), "{stale:?}");
    }
}

#[tokio::test]
async fn a_stale_page_stands_in_for_an_origin_that_is_away() {
    let origin = failing_with(500);
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    drop(origin);
    let stale = proxy.get("/a").await;
    assert!(stale.is_good("old"), "{stale:?}");
    assert!(stale.says("detail=stale-if-error"), "{stale:?}");
}

#[tokio::test]
async fn a_4xx_is_an_answer() {
    for status in [403, 404, 410, 429] {
        let origin = failing_with(status);
        let proxy = Proxy::start(&origin).await;
        proxy.get("/a").await;
        let response = proxy.get("/a").await;
        assert_eq!(response.status, status, "{response:?}");
    }
}

/// One error is as good as another; the newer one is true.
#[tokio::test]
async fn a_stored_error_does_not_stand_in_for_an_error() {
    let origin = Origin::start(async |request, connection| {
        let fields = [
            ("cache-control", "max-age=60"),
            ("age", "62"),
            ("etag", "\"1\""),
        ];
        match request.nth {
            1 => connection.respond(500, &fields, "old").await,
            _ => connection.respond(503, &[], "new").await,
        }
    });
    let proxy = Proxy::start(&origin).await;
    assert_eq!(proxy.get("/a").await.status, 500);
    let response = proxy.get("/a").await;
    assert_eq!((response.status, &*response.text()), (503, "new"));
}

// --- where it may not ----------------------------------------------------------------------------

#[tokio::test]
async fn the_response_says_whether_and_for_how_long_it_stands_in() {
    assert_stands_in(
        Proxy::before,
        &[
            ("max-age=60", "62", true),
            ("max-age=60", "3500", true),
            ("max-age=60", "3700", false),
            ("max-age=60, stale-if-error=10", "62", true),
            ("max-age=60, stale-if-error=10", "75", false),
            ("max-age=60, stale-if-error=7200", "3700", true),
            ("max-age=60, stale-if-error=0", "62", false),
            ("max-age=60, Stale-If-Error=0", "62", false),
            ("max-age=60, must-revalidate", "62", false),
            ("max-age=60, proxy-revalidate", "62", false),
            ("s-maxage=60", "62", false),
            ("max-age=60, no-cache", "62", false),
            (
                "max-age=60, must-revalidate, stale-if-error=600",
                "62",
                false,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_operator_says_so_for_responses_that_do_not() {
    let short = |origin: &Origin| Proxy::before(origin).table("cache", "stale_if_error = \"10s\"");
    assert_stands_in(
        short,
        &[
            ("max-age=60", "62", true),
            ("max-age=60", "75", false),
            ("max-age=60, stale-if-error=60", "75", true),
        ],
    )
    .await;
    let never = |origin: &Origin| Proxy::before(origin).table("cache", "stale_if_error = \"0s\"");
    assert_stands_in(
        never,
        &[
            ("max-age=60", "62", false),
            ("max-age=60, stale-if-error=60", "62", true),
        ],
    )
    .await;
}

/// RFC 9111 §5.2.2.2: "if a cache is disconnected, the cache MUST generate an error response rather
/// than reuse the stale response."
#[tokio::test]
async fn must_revalidate_holds_while_the_origin_is_away() {
    let origin = Origin::start(async |_, connection| {
        answer_old(connection, "max-age=60, must-revalidate", "62").await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    drop(origin);
    for _ in 0..3 {
        let response = proxy.get("/a").await;
        assert!(response.is_broken(), "{response:?}");
    }
}

// --- many clients --------------------------------------------------------------------------------

/// c00131 with something to fall back on: one question, and its failure troubles nobody. A reset
/// may be the fault of one request, so there others may ask for themselves.
#[tokio::test]
async fn all_who_waited_for_a_failure_get_the_stale_page() {
    for (status, asked_max) in [(503, 2), (0, 11)] {
        let gate = Gate::new();
        let held = gate.clone();
        let origin = Origin::start(async move |request, connection| {
            if request.nth == 1 {
                return answer_old(connection, "max-age=60", "62").await;
            }
            held.pass().await;
            match status {
                0 => connection.reset(),
                _ => connection.respond(status, &[], "sorry").await,
            }
        });
        let proxy = Proxy::start(&origin).await;
        proxy.get("/a").await;
        let mut herd = proxy.herd(10, "/a").await;
        gate.arrived(1).await;
        all_wait(&mut herd).await;
        gate.open();
        for response in responses(&mut herd).await {
            assert!(response.is_good("old"), "{status}: {response:?}");
            assert!(response.says("detail=stale-if-error"), "{response:?}");
        }
        let asked = origin.count("/a");
        assert!(asked <= asked_max, "{status}: asked {asked} times");
    }
}

// --- an origin that is known to be sick ----------------------------------------------------------

/// s00002: once a connection was refused, nobody waits for the next refusal.
#[tokio::test]
async fn a_sick_origin_is_not_asked_before_the_stale_page_is_served() {
    let origin = failing_with(500);
    let proxy = Proxy::start(&origin).await;
    for path in ["/a", "/b"] {
        assert!(proxy.get(path).await.is_good("old"));
    }
    drop(origin);
    assert!(proxy.get("/a").await.says("fwd=stale"));
    for path in ["/a", "/b"] {
        let stale = proxy.get(path).await;
        assert!(stale.is_good("old") && stale.is_stale_hit(), "{stale:?}");
        assert!(stale.says("detail=stale-if-error"), "{stale:?}");
    }
}

#[tokio::test]
async fn an_origin_that_recovers_is_noticed() {
    let sick = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&sick);
    let origin = Origin::start(async move |request, connection| {
        match (request.nth, state.load(Ordering::SeqCst)) {
            (_, true) => connection.close(),
            (1, _) => answer_old(connection, "max-age=60", "62").await,
            _ => connection.respond(200, FRESH, "new").await,
        }
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    sick.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        let stale = proxy.get("/a").await;
        assert!(stale.is_good("old"), "{stale:?}");
    }
    sick.store(false, Ordering::SeqCst);
    let recovered = async || {
        let response = proxy.get("/a").await;
        assert_eq!(response.end, End::Clean, "{response:?}");
        response.is_good("new")
    };
    eventually("the new page", recovered).await;
}

// --- purges --------------------------------------------------------------------------------------

/// What a soft purge leaves may stand in; what a hard purge took is gone.
#[tokio::test]
async fn only_a_soft_purge_leaves_a_stand_in() {
    for (soft, status) in [(true, 200), (false, 502)] {
        let origin = Origin::answering(200, FRESH, "old");
        let proxy = Proxy::start(&origin).await;
        assert!(proxy.get("/a").await.is_good("old"));
        proxy
            .purge(&format!(
                "{{\"url\":\"http://example.test/a\",\"soft\":{soft}}}"
            ))
            .await;
        drop(origin);
        let response = proxy.get("/a").await;
        assert_eq!(response.status, status, "soft {soft}: {response:?}");
    }
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

// --- an origin that hangs ------------------------------------------------------------------------

/// An origin that answers the first request for a page, and lets the others wait at the gate.
fn hanging(gate: &Gate, fields: Fields<'static>) -> Origin {
    let gate = gate.clone();
    Origin::start(async move |request, connection| {
        if request.nth > 1 {
            gate.pass().await;
        }
        let body = format!("answer {}", request.nth);
        connection.respond(200, fields, body).await;
    })
}

const STALE_AT_ONCE: Fields<'static> = &[
    ("cache-control", "max-age=1, stale-if-error=600"),
    ("age", "5"),
    ("etag", "\"1\""),
];

#[tokio::test]
async fn a_stale_page_is_served_while_its_origin_hangs_and_the_fetch_goes_on() {
    let gate = Gate::new();
    let origin = hanging(&gate, STALE_AT_ONCE);
    let cache = "stale_after = '300ms'";
    let proxy = Proxy::before(&origin).table("cache", cache).start().await;
    proxy.get("/a").await;
    let (mut leader, mut follower) = (proxy.client().await, proxy.client().await);
    leader.request("GET", "/a", &[]).await;
    gate.arrived(1).await;
    follower.request("GET", "/a", &[]).await;
    for client in [&mut leader, &mut follower] {
        let response = client.response().await;
        assert_eq!(response.text(), "answer 1", "{response:?}");
        assert!(response.says("fwd=stale"), "{response:?}");
        assert!(response.says("detail=stale-after"), "{response:?}");
    }
    // From now on nobody waits, and nobody else asks.
    let began = Instant::now();
    for _ in 0..20 {
        let response = proxy.get("/a").await;
        assert!(response.is_stale_hit(), "{response:?}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "twenty waits take six seconds"
    );
    assert_eq!(origin.count("/a"), 2);
    gate.open();
    eventually("the answer that was late is stored", async || {
        proxy.get("/a").await.text() != "answer 1"
    })
    .await;
}

#[tokio::test]
async fn a_head_of_a_stale_page_does_not_wait_for_an_origin_that_hangs() {
    let gate = Gate::new();
    let origin = hanging(&gate, STALE_AT_ONCE);
    let cache = "stale_after = '300ms'";
    let proxy = Proxy::before(&origin).table("cache", cache).start().await;
    proxy.get("/a").await;
    let mut client = proxy.client().await;
    client.request("HEAD", "/a", &[]).await;
    let head = client.head().await;
    assert_eq!(head.status(), 200, "{head:?}");
    assert_eq!(head.field("content-length"), Some("8"), "{head:?}");
}

#[tokio::test]
async fn what_may_not_be_served_stale_waits_for_its_origin() {
    let gate = Gate::new();
    let fields: Fields = &[
        ("cache-control", "max-age=1, must-revalidate"),
        ("age", "5"),
        ("etag", "\"1\""),
    ];
    let origin = hanging(&gate, fields);
    let cache = "stale_after = '0s'";
    let proxy = Proxy::before(&origin).table("cache", cache).start().await;
    proxy.get("/a").await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    gate.arrived(1).await;
    assert!(client.is_silent_for(Duration::from_millis(300)).await);
    gate.open();
    assert_eq!(client.response().await.text(), "answer 2");
}

#[tokio::test]
async fn sick_grace_overrules_what_the_response_says() {
    let fields: Fields = &[
        ("cache-control", "max-age=1, stale-if-error=0"),
        ("age", "5"),
        ("etag", "\"1\""),
    ];
    let origin = Origin::start(async move |request, connection| match request.nth {
        1 => connection.respond(200, fields, "hello").await,
        _ => connection.respond(503, &[], "down").await,
    });
    for (line, expected) in [("stale_if_error = '10m'", 503), ("sick_grace = '10m'", 200)] {
        let path = format!("/{expected}");
        let proxy = Proxy::before(&origin).table("cache", line).start().await;
        assert_eq!(proxy.get(&path).await.status, 200);
        assert_eq!(proxy.get(&path).await.status, expected, "{line}");
    }
}
