//! Requests that are odd but well-formed, understood the one way the RFCs allow; and bodies.

use crate::harness::{End, FRESH, Gate, Origin, Proxy};

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

/// Row 52.
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

/// Row 51.
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
