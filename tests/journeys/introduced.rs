//! Connections that proxies before us introduce: whose PROXY header is believed, and what else it tells.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::tls::Scene;
use super::tls_connections;
use crate::harness::{Client, Origin, Proxy, Setup};

/// Headers for 192.0.2.1.
const V1: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 258 772\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x01\x02\x03\x04";
const OPTIONAL: &str = "accept_proxy = \"optional\"\nproxy_from = [\"127.0.0.1\"]";
const FROM_ELSEWHERE: &str = "proxy_from = [\"10.0.0.0/8\", \"2001:db8::/32\"]";

fn accepting(origin: &Origin, lines: &str) -> Setup {
    Proxy::before(origin).table("[listen]", lines)
}

fn told(origin: &Origin) -> String {
    let last = origin.last();
    last.head
        .field("x-forwarded-for")
        .expect("an address")
        .to_owned()
}

#[tokio::test]
async fn where_a_header_is_optional_it_is_believed_and_not_missed() {
    let origin = Origin::answering(200, &[], "hello");
    let proxy = accepting(&origin, OPTIONAL).start().await;
    for (parts, expected) in [
        (&[V1][..], "192.0.2.1"),
        (&[V2], "192.0.2.1"),
        (&[&V1[..3], &V1[3..]], "192.0.2.1"),
        (&[&V2[..5], &V2[5..9], &V2[9..]], "192.0.2.1"),
        (&[b"PROXY UNKNOWN\r\n"], "127.0.0.1"),
        (&[], "127.0.0.1"),
    ] {
        let mut client = proxy.client().await;
        for part in parts {
            client.send(part).await;
            // So that the parts do not come as one.
            assert!(client.is_silent_for(Duration::from_millis(30)).await);
        }
        assert!(client.get("/a").await.is_good("hello"), "{parts:?}");
        assert!(client.get("/b").await.is_good("hello"), "{parts:?}");
        assert_eq!(told(&origin), expected, "{parts:?}");
    }
    // It begins as a header does.
    let mut client = proxy.client().await;
    client.send("P").await;
    assert!(client.is_silent_for(Duration::from_millis(30)).await);
    client
        .send("UT /c HTTP/1.1\r\nhost: example.test\r\ncontent-length: 0\r\n\r\n")
        .await;
    assert!(client.response().await.is_good("hello"));
    assert_eq!(proxy.metric("copal_bad_requests_total", "").await, 0.0);
}

#[tokio::test]
async fn a_header_from_elsewhere_is_no_header() {
    let origin = Origin::answering(200, &[], "hello");
    let lines = format!("accept_proxy = \"optional\"\n{FROM_ELSEWHERE}");
    let proxy = accepting(&origin, &lines).start().await;
    for header in [V1, V2] {
        let mut client = proxy.client().await;
        client.send(header).await;
        client.request("GET", "/a", &[]).await;
        let answer = client.try_response().await;
        assert!(answer.is_none_or(|it| it.status == 400), "{header:?}");
    }
    assert_eq!(origin.requests().len(), 0, "an address was claimed");
    assert!(proxy.get("/a").await.is_good("hello"));
    assert_eq!(told(&origin), "127.0.0.1");
}

#[tokio::test]
async fn where_a_header_is_required_others_are_turned_away() {
    let origin = Origin::answering(200, &[], "hello");
    let lines = format!("accept_proxy = \"require\"\n{FROM_ELSEWHERE}");
    let proxy = accepting(&origin, &lines).start().await;
    for start in [V1, V2, b""] {
        let mut client = proxy.client().await;
        client.send(start).await;
        client.request("GET", "/a", &[]).await;
        assert!(client.try_response().await.is_none(), "{start:?}");
    }
    assert_eq!(proxy.metric("copal_bad_requests_total", "").await, 3.0);
    let listed = accepting(
        &origin,
        "accept_proxy = \"require\"\nproxy_from = [\"127.0.0.0/8\"]",
    );
    proxy.reload(&listed).await;
    let mut client = proxy.client().await;
    client.send(V1).await;
    assert!(client.get("/a").await.is_good("hello"));
    assert_eq!(told(&origin), "192.0.2.1");
    let mut bare = proxy.client().await;
    bare.request("GET", "/a", &[]).await;
    assert!(bare.try_response().await.is_none());
}

#[tokio::test]
async fn a_handshake_may_have_a_header_before_it() {
    let scene = Scene::new();
    let setup = tls_connections::proxy(&scene, &scene.origin).table("[listen]", OPTIONAL);
    let proxy = setup.start().await;
    for (path, header, expected) in [
        ("/1", V1, "192.0.2.1"),
        ("/2", V2, "192.0.2.1"),
        ("/3", b"", "127.0.0.1"),
    ] {
        let tcp = TcpStream::connect(proxy.address()).await;
        let mut tcp = tcp.expect("a listener");
        tcp.write_all(header).await.expect("a listener");
        let stream = scene.to("a.example").shake_over(tcp).await;
        let stream = stream.expect("a handshake");
        let mut client = Client::over(stream).asking_for("a.example");
        assert!(client.get(path).await.is_good("page"));
        let last = scene.origin.last();
        assert_eq!(last.field("x-forwarded-for"), Some(expected));
    }
}

/// Servers of some protocols speak first, so a client may wait for them.
#[tokio::test]
async fn who_sends_nothing_is_let_through_after_a_while() {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let server = server.expect("a port");
    let url = format!("tcp://{}", server.local_addr().expect("bound"));
    let proxy = Proxy::before_tcp(&[url], OPTIONAL, "")
        .table("server", "header_timeout = \"300ms\"")
        .start()
        .await;
    let mut client = proxy.client().await;
    let accepted = tokio::time::timeout(crate::harness::DEADLINE, server.accept()).await;
    let (mut far, _) = accepted.expect("in time").expect("a connection");
    far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
        .await
        .expect("a client");
    assert!(client.response().await.is_good("hello"));
}
