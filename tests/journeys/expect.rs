//! `Expect: 100-continue` (RFC 9110 §10.1.1): who waits for leave to send a body gets it when the
//! body is wanted, or a final answer instead.

use std::time::Duration;

use crate::harness::{FRESH, Fields, Gate, Origin, Proxy};

const EXPECTS: Fields<'static> = &[("expect", "100-continue"), ("content-length", "4")];

/// RFC 9110 §10.1.1: the client is told to go on when somebody takes the body, and not before.
#[tokio::test]
async fn a_100_comes_when_the_body_is_wanted() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.path == "/held" {
            held.pass().await;
        }
        let (body, _) = connection.request_body().await;
        connection.respond(200, &[], body).await;
    });
    let proxy = Proxy::before(&origin)
        .table("origins.main", "connections_max = 1\npending_max = 0")
        .start()
        .await;
    let mut first = proxy.client().await;
    first.request("GET", "/held", &[]).await;
    gate.arrived(1).await;
    let mut client = proxy.client().await;
    client.request("POST", "/a", EXPECTS).await;
    let refused = client.any_head().await.expect("a final response");
    assert_eq!(refused.status(), 503, "no connection, no 100: {refused}");
    gate.open();
    assert!(first.response().await.is_good(""));
    let mut client = proxy.client().await;
    client.request("POST", "/b", EXPECTS).await;
    assert_eq!(client.any_head().await.map(|it| it.status()), Some(100));
    client.send("text").await;
    assert!(client.response().await.is_good("text"));
    assert_eq!(origin.last().field("expect"), None);
    assert_eq!(origin.count("/a"), 0);
}

/// What is refused or answered without its body is not asked for it, and says that the connection
/// ends, since whether the body comes is the client's choice.
#[tokio::test]
async fn a_final_answer_spares_the_body() {
    let origin = Origin::answering(200, FRESH, "hello");
    let sites = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n\
                 [[site.route]]\npath = \"/gone\"\nanswer = { status = 404 }\n";
    let proxy = Proxy::before(&origin)
        .table("server", "body_bytes_max = \"1KiB\"")
        .sites(sites)
        .start()
        .await;
    for (path, length, status) in [("/a", "2000", 413), ("/gone", "4", 404)] {
        let mut client = proxy.client().await;
        let fields = [("expect", "100-continue"), ("content-length", length)];
        client.request("POST", path, &fields).await;
        let head = client.any_head().await.expect("a head");
        assert_eq!(head.status(), status, "{head}");
        assert_eq!(head.field("connection"), Some("close"), "{head}");
        client.until_gone().await;
    }
    assert!(origin.requests().is_empty());
}

/// The origin's own refusal comes after the 100, for we want the body as soon as we have a
/// connection; then too the rest of it is not read as a request.
#[tokio::test]
async fn a_refusal_by_the_origin_ends_the_connection() {
    let origin = Origin::start(async |_, connection| {
        connection.respond(403, &[], "no").await;
        connection.peer_gone().await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.request("POST", "/a", EXPECTS).await;
    let response = client.response().await;
    assert_eq!((response.status, &*response.text()), (403, "no"));
    assert_eq!(response.field("connection"), Some("close"));
    client.until_gone().await;
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_served_too() {
    let origin = Origin::start(async |_, connection| {
        let (body, _) = connection.request_body().await;
        connection.respond(200, &[], body).await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for _ in 0..3 {
        client.request("POST", "/a", EXPECTS).await;
        client.send("text").await;
        let response = client.response().await;
        assert!(response.is_good("text"), "{response:?}");
        assert_eq!(response.field("connection"), None);
    }
}

#[tokio::test]
async fn what_else_is_expected_cannot_be_met() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    for value in ["200-ok", "100-continue, x", "x=\"100-continue\""] {
        let response = proxy.get_with("/a", &[("expect", value)]).await;
        assert_eq!(response.status, 417, "{value}");
        assert!(response.says("detail=expectation"), "{response:?}");
    }
    assert!(origin.requests().is_empty());
}

/// "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that
/// expectation." (RFC 9110 §10.1.1)
#[tokio::test]
async fn an_http_1_0_client_expects_in_vain() {
    let origin = Origin::start(async |_, connection| {
        let (body, _) = connection.request_body().await;
        connection.respond(200, &[], body).await;
    });
    let proxy = Proxy::start(&origin).await;
    for value in ["100-continue", "x"] {
        let mut client = proxy.client().await;
        let head = format!("POST /a HTTP/1.0\r\nExpect: {value}\r\nContent-Length: 4\r\n\r\n");
        client.send(head).await;
        assert!(client.is_silent_for(Duration::from_millis(100)).await);
        client.send("text").await;
        let head = client.any_head().await.expect("a head");
        assert_eq!(head.status(), 200, "{value}: {head}");
    }
}
