//! The choice of HTTP/2 or HTTP/1.1 towards a server: by ALPN, by configuration, or by refusal.

use std::time::Duration;

use tokio::net::TcpListener;

use super::{all_are_answered, answer, ask_all, before, pending};
use crate::harness::{
    Authority, Gate, Http2Origin, NO_STORE, Origin, Proxy, TempDir, TlsDoor, eventually, within,
};

/// A server of this machine behind TLS, and a proxy that trusts it.
async fn behind_tls(door: &TlsDoor, authority: &Authority, version: &str) -> Proxy {
    let lines = format!("http_version = \"{version}\"");
    behind_tls_with(door, authority, &lines).await
}

async fn behind_tls_with(door: &TlsDoor, authority: &Authority, lines: &str) -> Proxy {
    let folder = TempDir::new();
    let ca = authority.write(&folder, "ca.pem");
    Proxy::before_url(&format!("https://localhost:{}", door.port()))
        .table("origins.main", lines)
        .table("origins.main.tls", &format!("roots = {ca:?}"))
        .start()
        .await
}

#[tokio::test]
async fn http2_is_agreed_on_by_alpn() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    let origin = Http2Origin::start(answer).await;
    for version in ["2", "auto"] {
        let both = ["h2", "http/1.1"];
        let door = TlsDoor::before_address(origin.address(), &issued, &both).await;
        let proxy = behind_tls(&door, &authority, version).await;
        for path in ["/a", "/b"] {
            assert!(proxy.get(path).await.is_good(path));
        }
        let handshakes = door.handshakes();
        assert_eq!(handshakes.len(), 1, "one connection for both");
        assert_eq!(handshakes[0].protocol.as_deref(), Some("h2"));
        let seen = origin.requests().pop().expect("a request");
        assert_eq!(seen.uri().scheme_str(), Some("https"));
    }
}

#[tokio::test]
async fn a_server_that_speaks_http1_only_gets_that_where_it_may() {
    let authority = Authority::new();
    let issued = authority.issue(&["localhost"]);
    let origin = Origin::answering(200, NO_STORE, "page");
    for protocols in [&["http/1.1"][..], &[]] {
        let door = TlsDoor::before_address(origin.address(), &issued, protocols).await;
        let proxy = behind_tls(&door, &authority, "auto").await;
        let mut client = proxy.client().await;
        for path in ["/a", "/b", "/c"] {
            assert!(client.get(path).await.is_good("page"));
        }
        assert_eq!(door.handshakes().len(), 1, "one connection for all");
        // Where only HTTP/2 will do, it is no server at all.
        let proxy = behind_tls(&door, &authority, "2").await;
        let response = proxy.get("/a").await;
        assert_eq!(response.status, 502, "{response:?}");
        assert!(response.says("detail=origin-tls"), "{response:?}");
    }
}

/// A connection of HTTP/1.1 has one request at a time, whatever was hoped for: others wait.
#[tokio::test]
async fn connections_are_bounded_where_a_server_speaks_http1_only() {
    let (authority, gate) = (Authority::new(), Gate::new());
    let issued = authority.issue(&["localhost"]);
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        held.pass().await;
        connection.respond(200, NO_STORE, &*request.path).await;
    });
    let door = TlsDoor::before_address(origin.address(), &issued, &["http/1.1"]).await;
    let lines = "http_version = \"auto\"\nconnections_max = 2\npending_timeout = \"30s\"";
    let proxy = behind_tls_with(&door, &authority, lines).await;
    let clients = ask_all(&proxy, 40).await;
    gate.arrived(2).await;
    // Two more had been let in before it was known, and are next.
    eventually("the others to wait", async || pending(&proxy).await >= 36.0).await;
    gate.open();
    all_are_answered(clients).await;
    assert_eq!((origin.connections(), pending(&proxy).await), (2, 0.0));
}

#[tokio::test]
async fn without_tls_auto_is_http1() {
    let origin = Origin::answering(200, NO_STORE, "page");
    let setup = Proxy::before(&origin).table("origins.main", "http_version = \"auto\"");
    let proxy = setup.start().await;
    let mut client = proxy.client().await;
    for path in ["/a", "/b", "/c"] {
        assert!(client.get(path).await.is_good("page"));
    }
    assert_eq!(origin.connections(), 1);
}

/// No byte of a request goes to a server that does not speak HTTP/2: it is known by its first word.
#[tokio::test]
async fn a_server_that_does_not_speak_http2_is_sent_no_request() {
    let origin = Origin::answering(400, &[], "what?");
    let spare = Http2Origin::start(answer).await;
    let servers = format!("servers = [\"{}\", \"{}\"]", origin.url(), spare.url());
    let table = format!("{servers}\nhttp_version = \"2\"\nbalance = \"first\"");
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .table("origins.pool", &table)
        .sites("[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n")
        .start()
        .await;
    let response = proxy.client().await.send_body("POST", "/a", "text").await;
    assert!(response.is_good("/a"), "{response:?}");
}

/// A server that accepts and says nothing costs no more than the time for a connection.
#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let lines = "http_version = \"2\"\nconnect_timeout = \"200ms\"";
    let proxy = Proxy::before_url(&url).table("origins.main", lines);
    let proxy = proxy.start().await;
    let response = within("a failure", proxy.get("/a")).await;
    assert_eq!(response.status, 504, "{response:?}");
    let mut waiting = Vec::new();
    for number in 0..20 {
        let mut client = proxy.client().await;
        client.request("GET", &format!("/{number}"), &[]).await;
        waiting.push(client);
    }
    // All of them at once, not one after the other.
    let began = tokio::time::Instant::now();
    for mut client in waiting {
        assert_eq!(client.response().await.status, 504);
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

/// Idle connections go after their time, and the next request has a new one.
#[tokio::test]
async fn a_connection_without_streams_is_closed_in_time() {
    let origin = Http2Origin::start(answer).await;
    let proxy = before(&origin, "idle_timeout = \"100ms\"").start().await;
    assert!(proxy.get("/a").await.is_good("/a"));
    let closed = async || proxy.metric("copal_origin_connections", "main").await == 0.0;
    eventually("the connection to be closed", closed).await;
    assert!(proxy.get("/b").await.is_good("/b"));
    assert_eq!(origin.connections(), 2);
}
