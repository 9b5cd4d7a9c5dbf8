//! Connections to origins that are kept, lost, poisoned or refused.

use std::time::{Duration, Instant};

use crate::harness::{Gate, Origin, Proxy, Reserved, eventually};

// --- pooled connections --------------------------------------------------------------------------

/// What an origin sends beyond its answer is nobody's answer.
#[tokio::test]
async fn surplus_bytes_harm_nobody() {
    // In one piece, so that the proxy has all of it before it can ask again.
    const EVIL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/a\
                        HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    let origin = Origin::start(async |request, connection| match &*request.path {
        "/a" => connection.send(EVIL).await,
        path => connection.respond(200, &[], path).await,
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("/a"));
    for path in ["/b", "/c"] {
        let response = proxy.get(path).await;
        assert!(response.is_good(path), "{response:?}");
    }
}

/// An answer on an idle connection was asked for by nobody.
#[tokio::test]
async fn an_unsolicited_answer_ends_the_connection() {
    let (gate, gone) = (Gate::new(), Gate::new());
    let (held, left) = (gate.clone(), gone.clone());
    let origin = Origin::start(async move |request, connection| {
        connection.respond(200, &[], &*request.path).await;
        if request.path == "/a" {
            held.pass().await;
            connection
                .send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
                .await;
            connection.peer_gone().await;
            left.pass().await;
        }
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("/a"));
    gate.open();
    gone.arrived(1).await;
    assert!(proxy.get("/b").await.is_good("/b"));
}

/// Node.js closes after five seconds and says so: a POST that met the closed connection could not be
/// sent again.
#[tokio::test]
async fn a_connection_is_kept_no_longer_than_its_server_says() {
    let origin = Origin::start(async |request, connection| {
        let timeout = match &*request.path {
            "/short" => "timeout=0",
            _ => "timeout=60, max=1000",
        };
        connection
            .respond(200, &[("keep-alive", timeout)], "hello")
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for (path, connections) in [("/long", 1), ("/long", 1), ("/short", 1), ("/long", 2)] {
        let response = client.get(path).await;
        assert!(response.is_good("hello"), "{response:?}");
        assert_eq!(
            response.field("keep-alive"),
            None,
            "it is for our ears alone"
        );
        assert_eq!(origin.connections(), connections, "{path}");
    }
}

/// An origin that closes each connection after its answer, without a word.
#[tokio::test]
async fn a_connection_that_closed_while_idle_costs_nothing() {
    let origin = Origin::start(async |_, connection| {
        connection.respond(200, &[], "hello").await;
        connection.close();
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for _ in 0..20 {
        assert!(client.get("/a").await.is_good("hello"));
    }
}

/// r02135: a GET whose pooled connection closes on use is tried again, once.
#[tokio::test]
async fn a_get_on_a_dying_connection_is_tried_once_more() {
    let origin = Origin::start(async |_, connection| match connection.served {
        0 => connection.respond(200, &[], "hello").await,
        _ => connection.close(),
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("hello"));
    assert!(proxy.get("/b").await.is_good("hello"));
    assert_eq!(
        origin.count("/b"),
        2,
        "the one that was lost and the one that was answered"
    );
}

/// r02135: "exactly one transparent retry".
#[tokio::test]
async fn a_get_is_not_tried_for_ever() {
    let origin = Origin::start(async |request, connection| match &*request.path {
        "/a" => connection.respond(200, &[], "hello").await,
        _ => connection.close(),
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    assert_eq!(proxy.get("/b").await.status, 502);
    assert!(origin.count("/b") <= 2, "{} times", origin.count("/b"));
}

/// r02135: a head that breaks off on a connection that was alive may be asked for once more, since
/// a GET is idempotent (RFC 9110 §9.2.2), and no more than once.
#[tokio::test]
async fn a_head_that_breaks_off_is_asked_for_once_more_at_most() {
    let origin = Origin::start(async |request, connection| {
        if request.path == "/a" {
            return connection.respond(200, &[], "hello").await;
        }
        connection.send("HTTP/1.1 200 OK\r\ncontent-le").await;
        connection.close();
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("hello"));
    assert_eq!(proxy.get("/b").await.status, 502);
    assert!(origin.count("/b") <= 2, "{} times", origin.count("/b"));
    assert!(proxy.get("/a").await.is_good("hello"));
}

/// RFC 9110 §9.2.2: "A proxy MUST NOT automatically retry non-idempotent requests."
#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let origin = Origin::start(async |request, connection| match &*request.method {
        "GET" => connection.respond(200, &[], "hello").await,
        _ => connection.close(),
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let response = proxy.client().await.send_body("POST", "/b", "text").await;
    assert_eq!(response.status, 502, "{response:?}");
    assert_eq!(origin.count("/b"), 1);
}

/// r03266, b00073: a connection whose answer says or implies that it ends is not used again.
#[tokio::test]
async fn a_connection_that_says_close_is_not_reused() {
    let origin = Origin::start(async |request, connection| {
        let fields = [("connection", "close")];
        connection
            .respond(200, &fields, connection.served.to_string())
            .await;
        assert_eq!(request.nth, 1);
    });
    let proxy = Proxy::start(&origin).await;
    for path in ["/a", "/b", "/c"] {
        assert!(proxy.get(path).await.is_good("0"));
    }
    assert_eq!(origin.connections(), 3);
}

// --- origins that are away -----------------------------------------------------------------------

/// A port where nobody listens.
#[tokio::test]
async fn a_refused_connection_is_a_fast_502_and_forgotten_at_once() {
    let reserved = Reserved::new();
    let proxy = Proxy::before_url(&format!("http://{}", reserved.address()))
        .start()
        .await;
    let start = Instant::now();
    for _ in 0..3 {
        let response = proxy.get("/a").await;
        assert!([502, 503].contains(&response.status), "{response:?}");
        assert!(!response.body.is_empty());
    }
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    let _origin = reserved.start(async |_, connection| connection.respond(200, &[], "back").await);
    assert!(proxy.get("/a").await.is_good("back"));
}

/// An origin that fails every other time makes clean failures, and no lasting ones.
#[tokio::test]
async fn a_flapping_origin_leaves_no_trace() {
    let origin = Origin::start(async |request, connection| match request.path.as_str() {
        "/after" => connection.respond(200, &[], "hello").await,
        _ if connection.served % 2 == 1 => connection.reset(),
        _ => connection.respond(200, &[], "hello").await,
    });
    let proxy = Proxy::start(&origin).await;
    for number in 0..60 {
        let response = proxy.get(&format!("/{number}")).await;
        assert!(
            response.is_good("hello") || response.status == 502,
            "{response:?}"
        );
    }
    assert!(proxy.get("/after").await.is_good("hello"));
}

#[tokio::test]
async fn failures_are_counted_by_origin() {
    let origin = Origin::start(async |_, connection| connection.reset());
    let proxy = Proxy::start(&origin).await;
    assert_eq!(proxy.get("/a").await.status, 502);
    let counted = async || {
        proxy
            .metric("copal_origin_errors_total", "origin=\"main\"")
            .await
            >= 1.0
    };
    eventually("the error to be counted", counted).await;
}
