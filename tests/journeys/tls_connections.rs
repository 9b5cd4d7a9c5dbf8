//! TLS connections after their handshake: kept, parked, ended in order, or broken off so that the client
//! can tell.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::tls::Scene;
use crate::harness::{Client, End, Gate, Origin, Proxy, Setup, eventually, within};

pub(super) fn proxy(scene: &Scene, origin: &Origin) -> Setup {
    let issued = scene
        .authority
        .issue(&["a.example", "example.test", "localhost", "127.0.0.1"]);
    Proxy::before(origin)
        .table("[listen]", "tls = true")
        .table("[certificate]", &issued.lines(&scene.folder, "a"))
}

#[tokio::test]
async fn a_parked_connection_wakes_for_a_request_and_ends_in_order() {
    let scene = Scene::new();
    let setup = proxy(&scene, &scene.origin).table("server", "idle_timeout = \"3s\"");
    let proxy = setup.start().await;
    let mut client = scene.to("a.example").client(proxy.address()).await;
    for _ in 0..2 {
        assert!(client.get("/").await.is_good("page"));
        // Longer than it takes to be parked.
        assert!(client.is_silent_for(Duration::from_millis(1500)).await);
    }
    assert!(client.get("/").await.is_good("page"));
    assert!(client.until_gone().await.is_empty());
    assert!(!client.was_broken_off(), "no close_notify");
    assert_eq!(
        proxy.metric("copal_connections_accepted_total", "").await,
        1.0
    );
}

/// A record without a byte of HTTP wakes the socket, but not the connection (RFC 8446 §4.6.3).
#[tokio::test]
async fn new_keys_are_taken_by_a_parked_connection() {
    let scene = Scene::new();
    let proxy = proxy(&scene, &scene.origin).start().await;
    let mut stream = scene.to("a.example").shake(proxy.address()).await;
    let page = b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(page).await.expect("a proxy");
        let mut seen = Vec::new();
        while !seen.ends_with(b"page") {
            within("a page", stream.read_buf(&mut seen))
                .await
                .expect("a proxy");
        }
        tokio::time::sleep(Duration::from_millis(1300)).await;
        stream.get_mut().1.refresh_traffic_keys().expect("TLS 1.3");
        stream.flush().await.expect("a proxy");
        let silence = tokio::time::timeout(Duration::from_millis(300), stream.read_u8()).await;
        assert!(silence.is_err(), "{silence:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_early_harms_nobody() {
    let scene = Scene::new();
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection
            .respond(200, &[("cache-control", "max-age=60")], b"page")
            .await;
    });
    let proxy = proxy(&scene, &origin).start().await;
    let greeting = scene.to("a.example");
    for _ in 0..4 {
        let mut client = greeting.client(proxy.address()).await;
        client.request("GET", "/", &[]).await;
        gate.arrived(1).await;
        client.reset();
    }
    let mut left = greeting.shake(proxy.address()).await;
    left.shutdown().await.expect("a proxy");
    let mut nothing = Vec::new();
    within("the end", left.read_to_end(&mut nothing))
        .await
        .expect("a close_notify");
    gate.open();
    assert!(
        greeting
            .client(proxy.address())
            .await
            .get("/")
            .await
            .is_good("page")
    );
    let open = async || proxy.metric("copal_connections", "").await <= 1.0;
    eventually("the others to be gone", open).await;
}

#[tokio::test]
async fn a_body_that_breaks_ends_without_a_close_notify() {
    let scene = Scene::new();
    let origin = Origin::start(async move |request, connection| {
        let framing = match request.path.as_str() {
            "/length" => "content-length: 100\r\n",
            "/chunked" => "transfer-encoding: chunked\r\n",
            _ => "",
        };
        let body = if framing.starts_with('t') {
            "5\r\nhello\r\n"
        } else {
            "hello"
        };
        connection
            .send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n{body}"))
            .await;
        connection.reset();
    });
    let proxy = proxy(&scene, &origin).start().await;
    for path in ["/length", "/chunked", "/close"] {
        let mut client = scene.to("a.example").client(proxy.address()).await;
        client.request("GET", path, &[]).await;
        let Some(_) = client.try_head().await else {
            continue;
        };
        let (_, end) = client.rest().await;
        assert_eq!(end, End::Truncated, "{path}");
        client.until_gone().await;
        assert!(client.was_broken_off(), "{path}");
    }
}

#[tokio::test]
async fn a_response_without_a_length_ends_with_a_close_notify() {
    let scene = Scene::new();
    let proxy = proxy(&scene, &scene.origin).start().await;
    let mut client = Client::over(scene.to("a.example").shake(proxy.address()).await);
    client
        .send("GET / HTTP/1.0\r\nhost: a.example\r\n\r\n")
        .await;
    let said = client.until_gone().await;
    assert!(said.ends_with(b"page") && !client.was_broken_off());
}

#[tokio::test]
async fn a_large_body_reaches_a_slow_reader_whole() {
    let scene = Scene::new();
    let body: String = (0..400_000)
        .map(|it| char::from(b'a' + (it % 23) as u8))
        .collect();
    let body: &'static str = body.leak();
    let origin = Origin::answering(200, &[("cache-control", "max-age=60")], body);
    let proxy = proxy(&scene, &origin).start().await;
    for greeting in [scene.to("a.example"), scene.to("example.test")] {
        let mut client = greeting.client(proxy.address()).await;
        client.request("GET", "/", &[]).await;
        client.head().await;
        let mut read = Vec::new();
        while read.len() < 300_000 {
            read.extend(client.read(20_000).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        read.extend(client.rest().await.0);
        assert!(read == body.as_bytes());
    }
    let h2 = scene.to("example.test").offering(&["h2"]);
    let page = h2.http2(proxy.address()).await.get_whole("/").await;
    assert!(page.body() == body.as_bytes());
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let scene = Scene::new();
    let body: &'static str = "x".repeat(8 << 20).leak();
    let origin = Origin::answering(200, &[("cache-control", "max-age=60")], body);
    let setup = proxy(&scene, &origin).table("server", "send_timeout = \"500ms\"");
    let proxy = setup.start().await;
    let mut client = scene.to("a.example").client(proxy.address()).await;
    client.request("GET", "/", &[]).await;
    client.head().await;
    let gone = async || proxy.metric("copal_connections", "").await == 0.0;
    eventually("the client to be cut", gone).await;
}

#[tokio::test]
async fn a_drain_ends_idle_connections_in_order_and_answers_what_has_begun() {
    let scene = Scene::new();
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.path == "/slow" {
            held.pass().await;
        }
        connection
            .respond(200, &[("cache-control", "no-store")], b"page")
            .await;
    });
    let mut proxy = proxy(&scene, &origin).start().await;
    let greeting = scene.to("a.example");
    let mut busy = greeting.client(proxy.address()).await;
    busy.request("GET", "/slow", &[]).await;
    let mut idle = greeting.client(proxy.address()).await;
    assert!(idle.get("/").await.is_good("page"));
    let mut fresh = greeting.client(proxy.address()).await;
    gate.arrived(1).await;
    proxy.sigterm();
    for client in [&mut idle, &mut fresh] {
        assert!(client.until_gone().await.is_empty());
        assert!(!client.was_broken_off());
    }
    gate.open();
    let response = busy.response().await;
    assert!(response.is_good("page") && response.field("connection") == Some("close"));
    busy.until_gone().await;
    assert!(!busy.was_broken_off());
    assert!(proxy.wait_exit().await.success());
}
