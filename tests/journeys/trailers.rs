//! Fields behind the content (RFC 9110 §6.5): passed to those who take them, never stored, never
//! fields of the head.

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt;

use crate::harness::{
    Connection, End, FRESH, Fields, Http2, Http2Origin, Origin, PRIVATE, Proxy, within,
};

/// Sends a chunked response with trailers in one piece.
async fn with_trailers(connection: &mut Connection, fields: Fields<'_>) {
    let framing = [("transfer-encoding", "chunked"), ("trailer", "x-sum, age")];
    let fields = [fields, &framing].concat();
    connection.begin(200, &fields).await;
    connection
        .send("5\r\nhello\r\n0\r\nx-sum: 1\r\nage: 99999\r\ncontent-length: 1\r\n\r\n")
        .await;
}

fn answering(fields: Fields<'static>) -> Origin {
    Origin::start(async move |_, connection| with_trailers(connection, fields).await)
}

/// The same by HTTP/2.
async fn answering_http2() -> Http2Origin {
    Http2Origin::start(async |_, exchange| {
        let announced = [("cache-control", "private"), ("trailer", "x-sum")];
        exchange.begin(200, &announced);
        exchange.data("hello").await;
        exchange.trailers(&[("x-sum", "1"), ("age", "99999")]);
    })
    .await
}

/// RFC 9110 §6.5.1: trailers may be dropped; they must not become fields of the head.
#[tokio::test]
async fn trailers_of_a_stored_response_are_dropped() {
    let origin = answering(FRESH);
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for path in ["/a", "/a", "/b"] {
        client.request("GET", path, &[("te", "trailers")]).await;
        let response = client.response().await;
        assert!(response.is_good("hello"), "{response:?}");
        for name in ["trailer", "x-sum"] {
            assert_eq!(response.field(name), None, "{}", response.head);
        }
    }
    assert_eq!(origin.count("/a"), 1);
    assert_eq!(origin.connections(), 1, "the connection is used again");
}

#[tokio::test]
async fn trailers_go_on_to_clients_of_http1_that_say_so() {
    let origin = answering(PRIVATE);
    let of_http2 = answering_http2().await;
    let http2 = Proxy::before_url(&of_http2.url()).table("origins.main", "http_version = \"2\"");
    for proxy in [Proxy::start(&origin).await, http2.start().await] {
        for (te, end) in [
            ("trailers", "5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"),
            ("gzip", "5\r\nhello\r\n0\r\n\r\n"),
        ] {
            let mut client = proxy.client().await;
            let fields = [("te", te), ("connection", "te, close")];
            client.request("GET", "/a", &fields).await;
            let bytes = client.until_gone().await;
            let text = String::from_utf8_lossy(&bytes);
            assert!(text.ends_with(end), "{text}");
            assert_eq!(text.contains("trailer: "), te == "trailers", "{text}");
            assert!(!text.contains("99999"), "{text}");
        }
    }
    assert_eq!(origin.connections(), 1, "the connection is used again");
    assert_eq!(of_http2.connections(), 1);
}

#[tokio::test]
async fn trailers_go_on_to_clients_of_http2() {
    let origin = answering(PRIVATE);
    let of_http2 = answering_http2().await;
    let http2 = Proxy::before_url(&of_http2.url()).table("origins.main", "http_version = \"2\"");
    for proxy in [Proxy::start(&origin).await, http2.start().await] {
        let mut client = Http2::connect(proxy.address()).await;
        let body = client.get("/a").await.into_body();
        let body = within("a body", body.collect())
            .await
            .expect("a whole body");
        let expected = HeaderMap::from_iter([("x-sum".parse().unwrap(), "1".parse().unwrap())]);
        assert_eq!(body.trailers(), Some(&expected));
        assert_eq!(body.to_bytes(), "hello");
    }
}

/// The last server hears what the client takes, and no more than that.
#[tokio::test]
async fn a_server_is_told_who_takes_trailers() {
    let origin = answering(PRIVATE);
    let proxy = Proxy::start(&origin).await;
    for (sent, te, connection) in [
        ("gzip, trailers", Some("trailers"), Some("te")),
        ("gzip", None, None),
    ] {
        let mut client = proxy.client().await;
        client.request("DELETE", "/a", &[("te", sent)]).await;
        assert!(client.response().await.is_good("hello"));
        let seen = origin.last();
        assert_eq!(
            (seen.field("te"), seen.field("connection")),
            (te, connection)
        );
    }
    assert_eq!(origin.connections(), 1, "it is not one that closes");
}

#[tokio::test]
async fn trailers_of_a_request_are_dropped_towards_http1() {
    let origin = Origin::start(async |_, connection| {
        let (body, end) = connection.request_body().await;
        assert_eq!(end, End::Clean);
        connection.respond(200, &[], body).await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let fields = [("transfer-encoding", "chunked"), ("trailer", "x-sum")];
        client.request("POST", "/a", &fields).await;
        client
            .send("5\r\nhello\r\n0\r\nx-sum: 1\r\nhost: evil.test\r\n\r\n")
            .await;
        assert!(client.response().await.is_good("hello"));
        let seen = origin.last();
        for name in ["trailer", "x-sum"] {
            assert_eq!(seen.field(name), None, "{}", seen.head);
        }
        assert_eq!(seen.field("host"), Some("example.test"));
    }
    assert_eq!(origin.connections(), 1, "the connection is used again");
}

#[tokio::test]
async fn trailers_of_a_request_go_on_over_http2() {
    let origin = Http2Origin::start(async |request: &Request<()>, exchange| {
        assert_eq!(request.uri().authority().unwrap(), "example.test");
        let (body, trailers) = exchange.request_body().await;
        let trailers = trailers.unwrap_or_default();
        let names: Vec<_> = trailers.keys().map(|name| name.as_str()).collect();
        let body = [&body[..], b" ", names.join(" ").as_bytes()].concat();
        exchange.respond(200, &[], Bytes::from(body)).await;
    })
    .await;
    let setup = Proxy::before_url(&origin.url()).table("origins.main", "http_version = \"2\"");
    let proxy = setup.start().await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let chunked = [("transfer-encoding", "chunked")];
        client.request("POST", "/a", &chunked).await;
        client
            .send("5\r\nhello\r\n0\r\nx-sum: 1\r\nhost: evil.test\r\n\r\n")
            .await;
        let response = client.response().await;
        assert!(response.is_good("hello x-sum"), "{response:?}");
    }
}
