//! Answers that come before the end of their requests: who sends all and reads then gets the answer,
//! a short rest leaves the connection in use, and nobody is heard out for ever.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::harness::{CHUNKED, Client, End, FRESH, Gate, Origin, Proxy, Setup, eventually};

const MIB: usize = 1 << 20;
const KIB: usize = 1 << 10;

/// Everything that is answered without its body, by path.
const SITES: &str = r#"
    [[limit]]
    name = "seldom"
    rate = "1/h"
    [[site]]
    hosts = ["*"]
    origin = "main"
    route = [
        { path = "/403", answer = { status = 403 } },
        { path = "/404", answer = { status = 404 } },
        { path = "/301", redirect = { to = "http://else.test/", status = 301 } },
        { path = "/429", answer = { status = 200 }, limit = ["seldom"] },
    ]
"#;

/// A proxy that refuses bodies of more than 3 MiB, and what `SITES` says.
fn refusing(origin: &Origin) -> Setup {
    let table = "body_bytes_max = \"3MiB\"";
    Proxy::before(origin).table("server", table).sites(SITES)
}

/// An origin that answers at once and has no use for the body, nor for another request behind it.
fn hasty() -> Origin {
    Origin::start(async |_, connection| {
        let last = &[("connection", "close")];
        connection.respond(413, last, "too much").await;
        connection.peer_gone().await;
    })
}

fn head(path: &str, fields: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: example.test\r\n{fields}\r\n")
}

/// The head and the body of an upload with a length.
fn upload(path: &str, bytes: usize) -> Vec<u8> {
    let mut upload = head(path, &format!("Content-Length: {bytes}\r\n")).into_bytes();
    upload.resize(upload.len() + bytes, b'x');
    upload
}

/// The same in chunks.
fn chunked(path: &str, bytes: usize) -> Vec<u8> {
    let mut upload = head(path, "Transfer-Encoding: chunked\r\n").into_bytes();
    for _ in 0..bytes.div_ceil(16 * KIB) {
        upload.extend_from_slice(b"4000\r\n");
        upload.resize(upload.len() + 16 * KIB, b'x');
        upload.extend_from_slice(b"\r\n");
    }
    upload.extend_from_slice(b"0\r\n\r\n");
    upload
}

// --- long uploads --------------------------------------------------------------------------------

/// RFC 9112 §9.6: the server "continues to read from the connection until it receives a corresponding
/// close by the client".
#[tokio::test]
async fn who_sends_all_and_reads_then_gets_the_answer() {
    let origin = hasty();
    let proxy = refusing(&origin).start().await;
    assert_eq!(proxy.get("/429").await.status, 200);
    let ambiguous = "Content-Length: 2097152\r\nTransfer-Encoding: chunked\r\n";
    let mut ambiguous = head("/two-framings", ambiguous).into_bytes();
    ambiguous.resize(2 * MIB, b'0');
    let expecting = "Expect: 100-continue\r\nContent-Length: 2097152\r\n";
    let mut expecting = head("/403", expecting).into_bytes();
    expecting.resize(expecting.len() + 2 * MIB, b'x');
    let mut huge = b"GET / HTTP/1.1\r\nHost: example.test\r\nx: ".to_vec();
    huge.resize(2 * MIB, b'x');
    let mut stories = JoinSet::new();
    for (status, bytes) in [
        (413, upload("/", 4 * MIB)),
        (413, chunked("/", 4 * MIB)),
        (413, upload("/early", 2 * MIB)),
        (413, chunked("/early", 2 * MIB)),
        (403, upload("/403", 2 * MIB)),
        (403, expecting),
        (404, upload("/404", 2 * MIB)),
        (404, chunked("/404", 2 * MIB)),
        (301, upload("/301", 2 * MIB)),
        (429, upload("/429", 2 * MIB)),
        (400, ambiguous),
        (431, huge),
    ] {
        let address = proxy.address();
        stories.spawn(async move {
            for time in 1..=10 {
                let mut client = Client::connect(address).await;
                let start = String::from_utf8_lossy(&bytes[..64]).into_owned();
                assert!(client.try_send(&bytes).await, "{time}: {start}");
                let answer = client.response().await;
                assert_eq!(answer.status, status, "{time}: {start}");
                assert_eq!(answer.end, End::Clean, "{time}: {start}");
            }
        });
    }
    stories.join_all().await;
}

/// The answer itself is longer than what the kernel takes before the client reads.
#[tokio::test]
async fn a_long_answer_does_not_keep_us_from_reading() {
    let origin = hasty();
    let body = "x".repeat(2 * MIB);
    let sites = format!(
        "[[site]]\nhosts = [\"*\"]\n[[site.route]]\npath = \"/*\"\nanswer = {{ body = \"{body}\" }}\n"
    );
    let proxy = Proxy::before(&origin).sites(&sites).start().await;
    let mut client = Client::connect_narrow(proxy.address()).await;
    assert!(client.try_send(upload("/", 32 * MIB)).await);
    assert!(client.response().await.is_good(&body));
}

/// The client that has understood need not wait: our half is closed with the answer.
#[tokio::test]
async fn an_answer_to_a_long_upload_closes_our_half_at_once() {
    let origin = hasty();
    let proxy = refusing(&origin).start().await;
    for path in ["/403", "/early"] {
        let mut client = proxy.client().await;
        client.send(&upload(path, 2 * MIB)[..100 * KIB]).await;
        let start = Instant::now();
        let answer = client.response().await;
        assert_eq!(answer.field("connection"), Some("close"), "{answer:?}");
        assert!(client.until_gone().await.is_empty());
        let took = start.elapsed();
        assert!(took < Duration::from_secs(1), "{path}: {took:?}");
    }
}

/// Nor is the last answer lost to requests that came too late to be answered.
#[tokio::test]
async fn requests_behind_the_last_one_cost_no_answer() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = refusing(&origin).start().await;
    proxy.get("/page").await;
    for _ in 0..50 {
        let mut client = proxy.client().await;
        let last = "GET /page HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n";
        let behind = "GET /more HTTP/1.1\r\nHost: example.test\r\n\r\n".repeat(10_000);
        assert!(client.try_send(last.to_owned() + &behind).await);
        assert!(client.response().await.is_good("hello"));
        assert!(client.until_gone().await.is_empty());
    }
    assert_eq!(origin.count("/more"), 0);
}

// --- short uploads -------------------------------------------------------------------------------

#[tokio::test]
async fn a_short_rest_leaves_the_connection_in_use() {
    let origin = Origin::start(async |request, connection| match &*request.path {
        "/early" => {
            connection.respond(413, &[], "too much").await;
            connection.peer_gone().await;
        }
        _ => connection.respond(200, FRESH, "hello").await,
    });
    let proxy = refusing(&origin).start().await;
    let mut client = proxy.client().await;
    for (path, status) in [("/404", 404), ("/301", 301), ("/early", 413)] {
        for bytes in [
            upload(path, 60 * KIB),
            chunked(path, 48 * KIB),
            upload(path, 1),
        ] {
            let (start, rest) = bytes.split_at(bytes.len() - 1);
            client.send(start).await;
            let answer = client.response().await;
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.field("connection"), None, "{answer:?}");
            client.send(rest).await;
            assert!(client.get("/page").await.is_good("hello"));
        }
    }
    let accepted = proxy.metric("copal_connections_accepted_total", "").await;
    assert_eq!(accepted, 1.0);
}

/// What looks like a request in a body that nobody wants is none.
#[tokio::test]
async fn the_rest_of_a_body_is_never_a_request() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = refusing(&origin).start().await;
    let inner = "GET /smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n";
    for bytes in [inner.len(), 200 * KIB] {
        let fields = format!("Content-Length: {bytes}\r\n");
        let mut all = head("/404", &fields) + &inner.repeat(bytes.div_ceil(inner.len()));
        all.truncate(head("/404", &fields).len() + bytes);
        let mut client = proxy.client().await;
        client.send(all).await;
        assert_eq!(client.response().await.status, 404);
        client.half_close().await;
        assert!(client.until_gone().await.is_empty());
    }
    assert_eq!(origin.count("/smuggled"), 0);
}

/// Nor does the connection wait for it for ever.
#[tokio::test]
async fn a_short_rest_that_never_comes_ends_the_connection() {
    let origin = Origin::answering(200, FRESH, "hello");
    let table = "linger_timeout = \"300ms\"";
    let proxy = refusing(&origin).table("server", table).start().await;
    let mut client = proxy.client().await;
    client.send(&upload("/404", KIB)[..200]).await;
    assert_eq!(client.response().await.status, 404);
    assert!(client.until_gone().await.is_empty());
}

// --- bounds --------------------------------------------------------------------------------------

#[tokio::test]
async fn who_sends_without_end_is_cut() {
    let origin = hasty();
    let table = "linger_timeout = \"500ms\"";
    let proxy = refusing(&origin).table("server", table).start().await;
    // As fast as it goes, which is bounded in bytes; and at leisure, which is in time.
    for (path, pause_ms) in [("/404", 0), ("/404", 20), ("/early", 20)] {
        let mut client = proxy.client().await;
        let start = Instant::now();
        client
            .send(head(path, "Content-Length: 1000000000000\r\n"))
            .await;
        while client.try_send([b'x'; 64 * KIB]).await {
            let took = start.elapsed();
            assert!(took < Duration::from_secs(5), "{path}: {took:?}");
            sleep(Duration::from_millis(pause_ms)).await;
        }
    }
}

/// Who says nothing more is given up after two seconds, whatever `linger_timeout` is.
#[tokio::test]
async fn who_falls_silent_is_given_up() {
    let origin = hasty();
    let proxy = refusing(&origin).start().await;
    let mut client = proxy.client().await;
    client.send(&upload("/404", 2 * MIB)[..KIB]).await;
    assert_eq!(client.response().await.status, 404);
    let open = async || proxy.metric("copal_connections", "").await;
    assert_eq!(proxy.metric("copal_connections_lingering", "").await, 1.0);
    assert_eq!(open().await, 1.0, "it counts as any other");
    eventually("it to be given up", async || open().await == 0.0).await;
    assert_eq!(proxy.metric("copal_connections_lingering", "").await, 0.0);
}

/// A quarter of all connections may linger; beyond that they end at once.
#[tokio::test]
async fn those_that_linger_leave_room_for_others() {
    let origin = Origin::answering(200, FRESH, "hello");
    let table = "connections_max = 8";
    let proxy = refusing(&origin).table("server", table).start().await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = proxy.client().await;
        client.send(&upload("/404", 2 * MIB)[..KIB]).await;
        assert_eq!(client.response().await.status, 404);
        clients.push(client);
    }
    let lingering = async || proxy.metric("copal_connections_lingering", "").await;
    assert!(lingering().await <= 2.0);
    assert!(proxy.get("/page").await.is_good("hello"));
}

#[tokio::test]
async fn without_a_time_to_linger_connections_end_at_once() {
    let origin = hasty();
    let table = "linger_timeout = \"0s\"";
    let proxy = refusing(&origin).table("server", table).start().await;
    let mut client = proxy.client().await;
    client.send(&upload("/404", 2 * MIB)[..KIB]).await;
    assert_eq!(client.response().await.status, 404);
    let is_gone = async || proxy.metric("copal_connections", "").await == 0.0;
    let start = Instant::now();
    eventually("the end of the connection", is_gone).await;
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_drain_does_not_wait_for_those_that_linger() {
    let origin = hasty();
    let mut proxy = refusing(&origin).start().await;
    let mut client = proxy.client().await;
    client.send(&upload("/404", 2 * MIB)[..KIB]).await;
    assert_eq!(client.response().await.status, 404);
    let sending = tokio::spawn(async move { while client.try_send([b'x'; KIB]).await {} });
    let start = Instant::now();
    proxy.sigterm();
    assert_eq!(proxy.wait_exit().await.code(), Some(0));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    sending.await.expect("a client that is cut");
}

// --- ends that are none --------------------------------------------------------------------------

/// A client of HTTP/1.0 is told the end of a body without a length by that of its connection; where
/// the body is cut, a reset says so (RFC 9112 §8).
#[tokio::test]
async fn a_cut_body_of_http_1_0_ends_in_a_reset() {
    let origin = Origin::start(async |request, connection| {
        connection.begin(200, CHUNKED).await;
        connection.chunk("first ").await;
        if request.path == "/whole" {
            connection.chunk("second").await;
            connection.chunk("").await;
        }
        connection.close();
    });
    let proxy = Proxy::start(&origin).await;
    for (path, end) in [("/whole", End::Clean), ("/cut", End::Truncated)] {
        let mut client = proxy.client().await;
        client
            .send(format!("GET {path} HTTP/1.0\r\nHost: a\r\n\r\n"))
            .await;
        // The reset may overtake the head.
        let answer = client.try_response().await;
        assert_eq!(
            answer.map_or(End::Truncated, |it| it.end),
            end,
            "{path} by HTTP/1.0"
        );
        let answer = proxy.get(path).await;
        assert_eq!(answer.end, end, "{path} by HTTP/1.1");
    }
}

/// A drain that cuts it does no better.
#[tokio::test]
async fn a_body_of_http_1_0_that_a_drain_cuts_ends_in_a_reset() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        connection.begin(200, CHUNKED).await;
        connection.chunk("first ").await;
        held.pass().await;
    });
    let table = "drain_timeout = \"200ms\"";
    let mut proxy = Proxy::before(&origin).table("server", table).start().await;
    let mut client = proxy.client().await;
    client.send("GET /a HTTP/1.0\r\nHost: a\r\n\r\n").await;
    client.head().await;
    assert_eq!(client.read(6).await, b"first ");
    proxy.sigterm();
    assert_eq!(client.rest().await.1, End::Truncated);
    proxy.wait_exit().await;
    gate.open();
}
