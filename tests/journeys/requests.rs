//! Requests that are odd but well-formed, understood the one way the RFCs allow; and bodies.

use std::future;
use std::time::Duration;

use tokio::time;

use crate::harness::{Client, End, FRESH, Gate, Origin, Proxy, eventually};

/// RFC 9112 §3.2.2: "a proxy MUST ignore the received Host header field (if any) and instead
/// replace it with the host information of the request-target."
#[tokio::test]
async fn an_absolute_target_names_the_host() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client
        .request("GET", "http://example.test/a?b", &[("host", "other.test")])
        .await;
    assert!(client.response().await.is_good("hello"));
    let seen = origin.last();
    assert_eq!(
        (&*seen.path, seen.field("host")),
        ("/a?b", Some("example.test"))
    );
    assert!(proxy.get("/a?b").await.is_hit(), "it is the same resource");
    client.request("GET", "http://example.test", &[]).await;
    client.response().await;
    assert_eq!(origin.last().path, "/", "VSV00018: no path is the root");
}

/// Requests that come all at once, without a wait for an answer.
#[tokio::test]
async fn fifty_pipelined_requests_are_answered_in_order() {
    let origin = Origin::start(async |request, connection| {
        connection.respond(200, FRESH, &*request.path).await;
    });
    let proxy = Proxy::start(&origin).await;
    let request = |it| format!("GET /{} HTTP/1.1\r\nHost: example.test\r\n\r\n", it % 20);
    let mut client = proxy.client().await;
    client.send((0..50).map(request).collect::<String>()).await;
    for number in 0..50 {
        let path = format!("/{}", number % 20);
        assert!(client.response().await.is_good(&path), "{path}");
    }
}

/// b00013: half a request after a whole one waits for its other half.
#[tokio::test]
async fn a_request_may_arrive_in_pieces() {
    let origin = Origin::start(async |request, connection| {
        let (body, _) = connection.request_body().await;
        let answer = format!("{} {}", request.path, String::from_utf8_lossy(&body));
        connection.respond(200, &[], answer).await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    let post = "POST /a HTTP/1.1\r\nHost: example.test\r\nContent-Length: 4\r\n\r\ntext";
    let (start, rest) = "GET /b HTTP/1.1\r\nHost: example.test\r\n\r\n".split_at(9);
    client.send(format!("{post}{start}")).await;
    assert!(client.response().await.is_good("/a text"));
    client.send(rest).await;
    assert!(client.response().await.is_good("/b "));
}

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

/// A client that says that nothing more will come, and reads on.
#[tokio::test]
async fn a_client_that_half_closes_is_still_answered() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, &[], "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    client.half_close().await;
    gate.arrived(1).await;
    gate.open();
    assert!(client.response().await.is_good("hello"));
}

/// RFC 9110 §10.1.1, c00018.
#[tokio::test]
async fn a_client_that_expects_100_gets_it_and_its_body_through() {
    let origin = Origin::start(async |_, connection| {
        let (body, _) = connection.request_body().await;
        connection.respond(200, &[], body).await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client
        .request(
            "POST",
            "/a",
            &[("expect", "100-continue"), ("content-length", "4")],
        )
        .await;
    assert_eq!(client.any_head().await.map(|it| it.status()), Some(100));
    client.send("text").await;
    assert!(client.response().await.is_good("text"));
}

#[tokio::test]
async fn an_upload_arrives_whole_however_it_was_framed() {
    let origin = Origin::start(async |_, connection| {
        let (body, end) = connection.request_body().await;
        assert_eq!(end, End::Clean);
        connection.respond(200, &[], body).await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    let long = "0123456789".repeat(100_000);
    assert!(client.send_body("PUT", "/a", &long).await.is_good(&long));
    client
        .request("POST", "/b", &[("transfer-encoding", "chunked")])
        .await;
    client
        .send("3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: z\r\n\r\n")
        .await;
    assert!(client.response().await.is_good("hello"));
    let forwarded = origin.last();
    let framings =
        ["content-length", "transfer-encoding"].map(|it| forwarded.head.fields(it).len());
    assert_eq!(
        framings.iter().sum::<usize>(),
        1,
        "one framing: {}",
        forwarded.head
    );
}

#[tokio::test]
async fn an_unknown_method_is_the_origins_business() {
    let origin = Origin::start(async |request, connection| {
        connection.respond(200, &[], &*request.method).await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for method in ["M-SEARCH", "PROPFIND", "DELETE", "OPTIONS", "PATCH"] {
        client.request(method, "/a", &[]).await;
        let response = client.response().await;
        assert!(
            response.is_good(method) && response.says("fwd=method"),
            "{method}: {response:?}"
        );
    }
}

const MIB: usize = 1 << 20;

/// Longer than an idle connection keeps its buffers, which is one second.
const IDLE: Duration = Duration::from_millis(1600);

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
        // Where all of it has come the connection would go on.
        client.half_close().await;
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
