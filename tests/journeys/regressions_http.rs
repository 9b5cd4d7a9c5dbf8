//! Defects that were found once and must not come back: what happens on connections when a client
//! or an origin does not keep to the order of things. Those of the store are in `regressions.rs`.

use std::future;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use tokio::time;

use crate::harness::{
    Client, FRESH, Fields, Gate, Http2, Origin, Proxy, Setup, eventually, within,
};

const MIB: usize = 1 << 20;
const LONG: usize = 3_000_000;

/// Longer than an idle connection keeps its buffers, which is one second.
const IDLE: Duration = Duration::from_millis(1600);

// --- uploads -------------------------------------------------------------------------------------

/// What is left of a body is never read as a request, however long it takes to come.
#[tokio::test]
async fn the_rest_of_an_upload_is_never_a_request() {
    let origin = Origin::start(async |request, connection| {
        if request.method == "POST" {
            connection.respond(200, &[], "early").await;
            // Whatever of the upload gets here is not a request either.
            return connection.peer_gone().await;
        }
        connection.respond(200, FRESH, "smuggled").await;
    });
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n";
    let whole = smuggled.repeat(900 / smuggled.len() + 1);
    for rest in [smuggled, &whole[..900]] {
        let proxy = Proxy::start(&origin).await;
        let mut client = proxy.client().await;
        client
            .request("POST", "/a", &[("content-length", "1000")])
            .await;
        client.send("x".repeat(100)).await;
        assert!(client.response().await.is_good("early"));
        client.is_silent_for(IDLE).await;
        client.send(rest).await;
        let more = client.until_gone().await;
        assert!(more.is_empty(), "{}", String::from_utf8_lossy(&more));
        assert_eq!(origin.count("/smuggled"), 0);
    }
}

/// An upload that jams holds a connection to the origin no longer than its client stays.
#[tokio::test]
async fn jammed_uploads_give_their_connections_back() {
    const CONNECTIONS: usize = 4;
    let gate = Gate::new();
    let reached = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.method != "POST" {
            return connection.respond(200, FRESH, "hello").await;
        }
        reached.open();
        reached.pass().await;
        future::pending().await
    });
    let limits = format!("connections_max = {CONNECTIONS}\nfirst_byte_timeout = \"1s\"");
    let proxy = Proxy::before(&origin)
        .table("origins.main", &limits)
        .start()
        .await;
    let body = "x".repeat(30 * MIB);
    let length = body.len().to_string();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = proxy.client().await;
        client
            .request("POST", "/up", &[("content-length", &length)])
            .await;
        let sent = time::timeout(Duration::from_millis(200), client.send(&body)).await;
        assert!(sent.is_err(), "nothing takes in that much");
        clients.push(client);
    }
    gate.arrived(CONNECTIONS).await;
    clients.into_iter().for_each(Client::reset);
    let served = async || proxy.get("/a").await.is_good("hello");
    eventually("a connection to be given back", served).await;
}

// --- pipelining ----------------------------------------------------------------------------------

/// A head behind a request in progress has its time from that request's end.
#[tokio::test]
async fn half_a_head_does_not_cut_the_request_before_it() {
    for rest_comes_early in [true, false] {
        let gate = Gate::new();
        let held = gate.clone();
        let origin = Origin::start(async move |request, connection| {
            if request.path == "/slow" {
                held.pass().await;
            }
            connection.respond(200, &[], &*request.path).await;
        });
        let proxy = Proxy::before(&origin)
            .table("server", "header_timeout = \"300ms\"")
            .start()
            .await;
        let mut client = proxy.client().await;
        client
            .send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHo")
            .await;
        gate.arrived(1).await;
        if rest_comes_early {
            client.send("st: a\r\n\r\n").await;
        }
        assert!(
            client.is_silent_for(Duration::from_secs(1)).await,
            "neither an answer nor the end may come before the origin's"
        );
        gate.open();
        assert!(client.response().await.is_good("/slow"));
        if rest_comes_early {
            assert!(client.response().await.is_good("/next"));
        } else {
            let said = client.until_gone().await;
            let refused = said.is_empty() || said.starts_with(b"HTTP/1.1 408");
            assert!(refused, "the head's own deadline still holds: {said:?}");
        }
    }
}

// --- HTTP/2 --------------------------------------------------------------------------------------

/// An HTTP/2 connection wakes from its idleness by the request, not by a timer.
#[tokio::test]
async fn a_hit_over_an_idle_http2_connection_comes_at_once() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let mut client = Http2::connect(proxy.address()).await;
    client.get_whole("/a").await;
    for _ in 0..3 {
        time::sleep(IDLE).await;
        let start = Instant::now();
        let hit = client.get_whole("/a").await;
        let took = start.elapsed();
        assert_eq!(
            (hit.status().as_u16(), &hit.body()[..]),
            (200, &b"hello"[..])
        );
        assert!(took < Duration::from_millis(300), "{took:?}");
    }
    assert_eq!(origin.count("/a"), 1);
}

/// A fresh object of [`LONG`] bytes, already stored.
async fn long_hit(setup: impl FnOnce(&Origin) -> Setup) -> (Origin, Proxy) {
    let origin = Origin::start(async |_, connection| {
        connection.respond(200, FRESH, vec![b'x'; LONG]).await;
    });
    let proxy = setup(&origin).start().await;
    assert_eq!(proxy.get("/a").await.body.len(), LONG);
    (origin, proxy)
}

/// Reads `/a` over HTTP/2 at a megabyte each second; how many bytes each frame brought.
async fn read_slowly(proxy: &Proxy) -> Vec<usize> {
    let mut client = Http2::connect(proxy.address()).await;
    let mut body = client.get("/a").await.into_body();
    let mut frames = Vec::new();
    while let Some(frame) = within("a frame", body.frame()).await {
        let frame = frame.unwrap_or_else(|error| panic!("{error} after {frames:?}"));
        let bytes = frame.data_ref().map_or(0, |data| data.len());
        time::sleep(Duration::from_micros(bytes as u64)).await;
        frames.push(bytes);
    }
    frames
}

/// A client that takes its time, but takes, is not idle.
#[tokio::test]
async fn a_slow_reader_over_http2_is_not_cut_as_idle() {
    let timeout = "idle_timeout = \"1s\"";
    let (origin, proxy) = long_hit(|it| Proxy::before(it).table("server", timeout)).await;
    let start = Instant::now();
    assert_eq!(read_slowly(&proxy).await.iter().sum::<usize>(), LONG);
    assert!(start.elapsed() > Duration::from_secs(2), "it was not slow");
    assert_eq!(origin.count("/a"), 1);
}

/// However the client's window falls on the pieces of a body, no crumbs are sent: their number
/// would grow with every window.
#[tokio::test]
async fn a_slow_reader_over_http2_gets_no_crumbs() {
    let (_origin, proxy) = long_hit(Proxy::before).await;
    let frames = read_slowly(&proxy).await;
    let crumbs = frames.iter().filter(|bytes| **bytes < 1024).count();
    assert!(
        crumbs < LONG / (16 << 10),
        "{crumbs} of {} frames",
        frames.len()
    );
}

// --- clients that leave --------------------------------------------------------------------------

/// Whoever leaves before there is a status has asked all the same.
#[tokio::test]
async fn a_client_that_leaves_before_the_head_is_counted() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let table: &[(&str, Fields)] = &[("/miss", &[]), ("/pass", &[("cookie", "a=b")])];
    for (nth, (path, fields)) in (1..).zip(table) {
        let mut client = proxy.client().await;
        client.request("GET", path, fields).await;
        gate.arrived(nth).await;
        client.reset();
        let label = "status=\"other\"";
        let counted = async || proxy.metric("copal_requests_total", label).await == nth as f64;
        eventually(&format!("{path} to be counted"), counted).await;
    }
    assert_eq!(proxy.metric("copal_requests_total", "").await, 2.0);
}
