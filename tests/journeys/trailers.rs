//! Fields behind the content (RFC 9110 §6.5): dropped both ways, and nothing else is lost by it.

use crate::harness::{Connection, End, Fields, Origin, Proxy};

const FRESH: Fields<'static> = &[("cache-control", "max-age=60")];
const PRIVATE: Fields<'static> = &[("cache-control", "private")];

/// Sends a chunked response with trailers in one piece.
async fn with_trailers(connection: &mut Connection, fields: Fields<'_>) {
    let framing = [
        ("transfer-encoding", "chunked"),
        ("trailer", "x-sum"),
        ("connection", "trailer"),
    ];
    let fields = [fields, &framing].concat();
    connection.begin(200, &fields).await;
    connection
        .send("5\r\nhello\r\n0\r\nx-sum: 1\r\nage: 99999\r\ncontent-length: 1\r\n\r\n")
        .await;
}

/// RFC 9110 §6.5.1: trailers may be dropped; they must not become fields of the head.
#[tokio::test]
async fn trailers_of_a_response_are_dropped() {
    for (fields, hit) in [(FRESH, true), (PRIVATE, false)] {
        let origin = Origin::start(async move |_, connection| {
            with_trailers(connection, fields).await;
        });
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
        assert_eq!(origin.count("/a") == 1, hit, "{fields:?}");
        assert_eq!(origin.connections(), 1, "the connection is used again");
    }
}

#[tokio::test]
async fn trailers_of_a_request_are_dropped() {
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
