//! HTTP/2 connections of clients: how they idle, and how a reader that takes its time is served.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use tokio::time;

use crate::harness::{FRESH, Http2, Origin, Proxy, Setup, within};

const LONG: usize = 3_000_000;

/// Longer than an idle connection keeps its buffers, which is one second.
const IDLE: Duration = Duration::from_millis(1600);

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
