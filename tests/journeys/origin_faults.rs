//! Origins that lie, stall and break off. What is broken must never look whole, never be stored,
//! and never harm the next request.

use std::time::{Duration, Instant};

use crate::harness::{Connection, End, FRESH, Gate, Origin, Proxy, Setup};

/// Sends these bytes and closes for the first request of a path; answers the next ones well.
fn once(bytes: impl Into<String>) -> Origin {
    let bytes = bytes.into();
    Origin::start(async move |request, connection| {
        if request.nth > 1 {
            return connection.respond(200, FRESH, "good").await;
        }
        connection.send(&bytes).await;
        connection.close();
    })
}

/// A proxy that loses patience with its origin after 300 ms.
fn impatient(origin: &Origin) -> Setup {
    let timeouts = "first_byte_timeout = \"300ms\"\nbetween_bytes_timeout = \"300ms\"";
    Proxy::before(origin).table("origins.main", timeouts)
}

/// The first GET is seen to fail, nothing of it is stored, and the second is good.
async fn assert_broken_once(what: &str, origin: &Origin, proxy: &Proxy) {
    let broken = proxy.get("/a").await;
    assert!(broken.is_broken(), "{what}: {broken:?}");
    let next = proxy.get("/a").await;
    assert!(next.is_good("good") && !next.is_hit(), "{what}: {next:?}");
    assert_eq!(origin.count("/a"), 2, "{what}");
}

// --- bodies that break ---------------------------------------------------------------------------

/// Bodies that end too early or whose chunks are no chunks.
#[tokio::test]
async fn a_short_or_malformed_body_never_looks_whole_and_is_not_stored() {
    let table = [
        ("short Content-Length", "content-length: 10\r\n\r\nhello"),
        (
            "no last chunk",
            "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ),
        (
            "within a chunk",
            "transfer-encoding: chunked\r\n\r\n5\r\nhel",
        ),
        (
            "within the last",
            "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        ),
        (
            "no number",
            "transfer-encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "negative",
            "transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "overflow",
            "transfer-encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "data longer",
            "transfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
        ),
        (
            "f00016, bare LF",
            "transfer-encoding: chunked\r\n\r\n5\nhello\n0\n\n",
        ),
    ];
    for (what, rest) in table {
        let origin = once(format!(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n{rest}"
        ));
        let proxy = Proxy::start(&origin).await;
        assert_broken_once(what, &origin, &proxy).await;
    }
}

/// A body that ends early when the head and some bytes have been delivered: the client sees the end
/// come early.
#[tokio::test]
async fn truncation_is_seen_by_a_client_that_has_read_half() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        connection
            .begin(200, &[FRESH[0], ("content-length", "10")])
            .await;
        connection.send("hello").await;
        held.pass().await;
        connection.close();
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    client.head().await;
    assert_eq!(client.read(5).await, b"hello");
    gate.open();
    assert_eq!(client.rest().await, (Vec::new(), End::Truncated));
}

/// A reset amid a chunk, amid a body that only the close would end, and right after the head.
#[tokio::test]
async fn a_reset_is_not_an_end() {
    let table = [
        (
            "within a chunk",
            "transfer-encoding: chunked\r\n\r\n5\r\nhel",
        ),
        ("within a body", "\r\nhello"),
        ("after the head", "content-length: 5\r\n\r\n"),
    ];
    for (what, rest) in table {
        let text = format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n{rest}");
        let origin = Origin::start(async move |request, connection| {
            if request.nth > 1 {
                return connection.respond(200, FRESH, "good").await;
            }
            connection.send(&text).await;
            connection.reset();
        });
        let proxy = Proxy::start(&origin).await;
        assert_broken_once(what, &origin, &proxy).await;
    }
}

/// RFC 9112 §6.3: without a length, the body is all "received prior to the server closing the
/// connection"; a half-close is as good.
#[tokio::test]
async fn a_body_that_ends_with_its_connection_is_whole() {
    let origin = Origin::start(async |request, connection| {
        connection.begin(200, FRESH).await;
        connection.send("hello").await;
        match &*request.path {
            "/half" => connection.half_close().await,
            _ => connection.close(),
        }
    });
    let proxy = Proxy::start(&origin).await;
    for path in ["/whole", "/half"] {
        assert!(proxy.get(path).await.is_good("hello"), "{path}");
        let hit = proxy.get(path).await;
        assert!(hit.is_good("hello") && hit.is_hit(), "{path}: {hit:?}");
    }
}

// --- origins that are slow -----------------------------------------------------------------------

/// An origin that takes the request and says nothing.
#[tokio::test]
async fn an_origin_that_never_answers_is_a_504() {
    let origin = Origin::start(async |_, connection| connection.peer_gone().await);
    let proxy = impatient(&origin).start().await;
    let response = proxy.get("/a").await;
    assert_eq!(
        (response.status, response.end),
        (504, End::Clean),
        "{response:?}"
    );
    assert!(!response.body.is_empty(), "with a word for people");
    assert_eq!(proxy.get("/a").await.status, 504);
}

/// Neither a dripping head nor endless interim answers put the deadline off.
#[tokio::test]
async fn the_head_has_a_deadline_as_a_whole() {
    async fn drip(connection: &mut Connection, bytes: &str, pause: u64) {
        connection.drip(bytes, Duration::from_millis(pause)).await;
    }
    let origin = Origin::start(async |request, connection| match &*request.path {
        "/drip" => drip(connection, &"HTTP/1.1 200 OK\r\n".repeat(20), 50).await,
        _ => {
            drip(
                connection,
                &"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(20),
                5,
            )
            .await
        }
    });
    let proxy = impatient(&origin).start().await;
    for path in ["/drip", "/interim"] {
        let start = Instant::now();
        let response = proxy.get(path).await;
        assert_eq!(response.status, 504, "{path}: {response:?}");
        assert!(
            start.elapsed() < Duration::from_millis(1500),
            "{path}: {:?}",
            start.elapsed()
        );
    }
}

/// An origin that falls silent amid a body, and keeps the connection.
#[tokio::test]
async fn an_origin_that_stalls_within_a_body_truncates_it() {
    let origin = Origin::start(async |request, connection| {
        if request.nth > 1 {
            return connection.respond(200, FRESH, "good").await;
        }
        connection
            .begin(200, &[FRESH[0], ("content-length", "10")])
            .await;
        connection.send("hello").await;
        connection.peer_gone().await;
    });
    let proxy = impatient(&origin).start().await;
    assert_broken_once("stalled", &origin, &proxy).await;
}

// --- answers that are no answers -----------------------------------------------------------------

/// No head, an ambiguous one, or a switch of protocols nobody asked for.
#[tokio::test]
async fn a_head_that_makes_no_sense_is_a_502() {
    let table = [
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        ),
        (
            "no number",
            "HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
        ),
        (
            "negative",
            "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
        ),
        ("garbage", "hello\r\n\r\n"),
        ("HTTP/0.9", "<html>hello</html>"),
        ("ICY", "ICY 200 OK\r\n\r\nhello"),
        ("no status", "HTTP/1.1 OK\r\ncontent-length: 0\r\n\r\n"),
        (
            "another version",
            "HTTP/9.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "unasked 101",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhello",
        ),
        ("closed without a byte", ""),
        ("closed within the head", "HTTP/1.1 200 OK\r\ncontent-le"),
        (
            "space before the colon",
            "HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n",
        ),
        (
            "NUL in a value",
            "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n",
        ),
    ];
    for (what, bytes) in table {
        let origin = Origin::start(async move |_, connection| {
            connection.send(bytes).await;
            connection.close();
        });
        let proxy = Proxy::start(&origin).await;
        let response = proxy.get("/a").await;
        assert_eq!(
            (response.status, response.end),
            (502, End::Clean),
            "{what}: {response:?}"
        );
        assert!(
            !response.is_hit() && !response.body.is_empty(),
            "{what}: {response:?}"
        );
    }
}

/// RFC 9112 §6.3: with both, Transfer-Encoding "overrides the Content-Length", and the message
/// "ought to be handled as an error". What must not happen is that the length goes on.
#[tokio::test]
async fn a_length_beside_chunks_is_refused_or_dropped() {
    let origin = once(
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\n\r\n",
    );
    let proxy = Proxy::start(&origin).await;
    let response = proxy.get("/a").await;
    let dropped = response.is_good("hello") && response.field("content-length") != Some("3");
    assert!(response.status == 502 || dropped, "{response:?}");
}

/// A 304 or a 206 that answers no condition and no range is never the object.
#[tokio::test]
async fn an_unasked_304_or_206_is_never_stored_as_a_200() {
    let table = [
        (
            "304",
            304,
            "HTTP/1.1 304 Not Modified\r\ncache-control: max-age=60\r\n\r\n",
        ),
        (
            "206",
            206,
            "HTTP/1.1 206 Partial Content\r\ncache-control: max-age=60\r\n\
             content-range: bytes 0-4/9\r\ncontent-length: 5\r\n\r\nhello",
        ),
    ];
    for (what, status, bytes) in table {
        let origin = once(bytes);
        let proxy = Proxy::start(&origin).await;
        let first = proxy.get("/a").await;
        assert!([status, 502].contains(&first.status), "{what}: {first:?}");
        let next = proxy.get("/a").await;
        assert!(next.is_good("good") && !next.is_hit(), "{what}: {next:?}");
    }
}

/// A head that is too long, by one field or by many.
#[tokio::test]
async fn a_huge_head_is_a_502_and_costs_little_memory() {
    let long = format!("x: {}\r\n", "x".repeat(1 << 20));
    let many: String = (0..20_000).map(|it| format!("x-{it}: y\r\n")).collect();
    for fields in [long, many] {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n");
        let origin = Origin::start(async move |_, connection| connection.send(&head).await);
        let proxy = Proxy::start(&origin).await;
        let before = proxy.rss_bytes();
        for _ in 0..10 {
            assert_eq!(proxy.get("/a").await.status, 502);
        }
        let growth = proxy.rss_bytes().saturating_sub(before);
        assert!(growth < 16 << 20, "{growth} bytes more");
    }
}

/// Interim responses, one or hundreds, put nothing in the place of the final one.
#[tokio::test]
async fn interim_answers_come_before_the_final_one() {
    let origin = Origin::start(async |request, connection| {
        let (count, status) = match &*request.path {
            "/many" => (300, 102),
            "/hints" => (1, 103),
            _ => (1, 100),
        };
        for _ in 0..count {
            connection.respond(status, &[], "").await;
        }
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    for path in ["/many", "/hints", "/continue"] {
        assert!(proxy.get(path).await.is_good("hello"), "{path}");
        assert!(proxy.get(path).await.is_hit(), "{path}");
    }
}

// --- uploads -------------------------------------------------------------------------------------

/// An answer may come before the whole request has been sent.
#[tokio::test]
async fn an_early_answer_is_relayed_and_both_connections_end() {
    let origin = Origin::start(async |_, connection| {
        connection.respond(403, &[], "no").await;
        connection.close();
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    let length = ("content-length", "1000000");
    client.request("POST", "/a", &[length]).await;
    client.send([b'x'; 1000]).await;
    let response = client.response().await;
    assert_eq!(
        (response.status, response.text()),
        (403, "no".to_owned()),
        "{response:?}"
    );
    client.until_gone().await;
}

/// A reset while the body of the request is being sent.
#[tokio::test]
async fn an_origin_that_dies_during_an_upload_is_a_502_at_once() {
    let origin = Origin::start(async |_, connection| connection.reset());
    let proxy = Proxy::start(&origin).await;
    let start = Instant::now();
    let mut client = proxy.client().await;
    client
        .request("POST", "/a", &[("content-length", "5000000")])
        .await;
    client.send(vec![b'x'; 5_000_000]).await;
    assert_eq!(client.try_response().await.map(|it| it.status), Some(502));
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(origin.count("/a"), 1);
}

/// RFC 9110 §8.6: a recipient of identical values in a list "MUST either reject the message as
/// invalid or replace the duplicated field values with a single valid Content-Length".
#[tokio::test]
async fn a_repeated_content_length_reaches_the_client_once() {
    let origin = Origin::start(async |request, connection| {
        let control = if request.path == "/kept" {
            "max-age=60"
        } else {
            "no-store"
        };
        let fields = [("cache-control", control), ("content-length", "5, 5")];
        connection.begin(200, &fields).await;
        connection.send("hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    for path in ["/kept", "/passed", "/kept"] {
        let response = proxy.get(path).await;
        assert!(response.is_good("hello"), "{path}: {response:?}");
        assert_eq!(
            response.head.fields("content-length"),
            ["5"],
            "{path}: {response:?}"
        );
    }
    assert_eq!(origin.count("/kept"), 1);
}
