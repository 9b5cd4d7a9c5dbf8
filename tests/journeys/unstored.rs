//! Conditions, preconditions and ranges of requests whose answers are not stored (RFC 9110 §13, §14):
//! each client gets what its origin would give it alone.

use crate::harness::{Fields, Gate, Origin, Proxy, Request, http_date};

const PAGE: &str = "0123456789";

/// Why an answer is not stored: the response's fields and the request's.
const REASONS: &[(&str, Fields, Fields)] = &[
    ("private", &[("cache-control", "private")], &[]),
    ("no-store", &[("cache-control", "no-store")], &[]),
    (
        "set-cookie",
        &[("cache-control", "max-age=60"), ("set-cookie", "a=b")],
        &[],
    ),
    (
        "vary-star",
        &[("cache-control", "max-age=60"), ("vary", "*")],
        &[],
    ),
    (
        "authorization",
        &[("cache-control", "max-age=60")],
        &[("authorization", "Basic eA==")],
    ),
];

/// An origin that does all that RFC 9110 asks of it for an ETag of "v1".
fn origin(fields: Fields<'static>, modified: String) -> Origin {
    Origin::start(async move |request: &Request, connection| {
        let mut fields = fields.to_vec();
        fields.extend([("etag", "\"v1\""), ("last-modified", modified.as_str())]);
        let is = |name, value: &str| request.field(name) == Some(value);
        if is("if-none-match", "\"v1\"") || is("if-modified-since", &modified) {
            return connection.respond(304, &fields, "").await;
        }
        if request.field("if-match").is_some_and(|it| it != "\"v1\"") {
            return connection.respond(412, &fields, "no").await;
        }
        if is("range", "bytes=2-4") {
            fields.push(("content-range", "bytes 2-4/10"));
            return connection.respond(206, &fields, &PAGE[2..=4]).await;
        }
        connection.respond(200, &fields, PAGE).await;
    })
}

#[tokio::test]
async fn conditions_hold_although_the_answer_is_not_stored() {
    let modified = http_date(-86_400);
    for (reason, said, asked) in REASONS {
        let origin = origin(said, modified.clone());
        let proxy = Proxy::start(&origin).await;
        let mut client = proxy.client().await;
        let conditions: [(&str, &str, u16); 5] = [
            ("if-none-match", "\"v1\"", 304),
            ("if-none-match", "\"v0\"", 200),
            ("if-modified-since", &modified, 304),
            ("if-match", "\"v0\"", 412),
            ("if-match", "\"v1\"", 200),
        ];
        // Each on a page of its own, where nothing is known yet, and once more where it is.
        for (index, (name, value, status)) in conditions.into_iter().enumerate() {
            let mut fields = asked.to_vec();
            fields.push((name, value));
            for nth in ["first", "second"] {
                let response = client.get_with(&format!("/{index}"), &fields).await;
                let case = format!("{reason}, {nth} {name}: {value}: {response:?}");
                assert_eq!(response.status, status, "{case}");
                assert_eq!(response.body == PAGE.as_bytes(), status == 200, "{case}");
                assert!(!response.is_hit(), "{case}");
                if status == 304 {
                    assert_eq!(response.field("etag"), Some("\"v1\""), "{case}");
                    assert!(response.body.is_empty(), "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_range_is_a_range_although_the_answer_is_not_stored() {
    for (reason, said, asked) in REASONS {
        let origin = origin(said, http_date(-86_400));
        let proxy = Proxy::start(&origin).await;
        let mut client = proxy.client().await;
        let mut fields = asked.to_vec();
        fields.push(("range", "bytes=2-4"));
        for nth in ["first", "second"] {
            let response = client.get_with("/a", &fields).await;
            let case = format!("{reason}, {nth}: {response:?}");
            assert_eq!(response.status, 206, "{case}");
            assert_eq!(response.text(), "234", "{case}");
            assert_eq!(
                response.field("content-range"),
                Some("bytes 2-4/10"),
                "{case}"
            );
        }
        let last = origin.last();
        assert_eq!(
            last.field("range"),
            Some("bytes=2-4"),
            "{reason}: asked as the client"
        );
        // Once for the whole where it might have been stored, then for the part alone.
        let expected = if asked.is_empty() { 3 } else { 2 };
        assert_eq!(origin.count("/a"), expected, "{reason}");
    }
}

/// Ten gigabytes are not fetched for a hundred bytes of them.
#[tokio::test]
async fn a_range_of_what_is_too_large_to_store_is_asked_for_alone() {
    let origin = Origin::start(async |request: &Request, connection| {
        let common = "cache-control: max-age=60\r\netag: \"v1\"\r\n";
        match request.field("range") {
            Some("bytes=5000000000-5000000004") => {
                let range = "content-range: bytes 5000000000-5000000004/10737418240";
                let head =
                    format!("HTTP/1.1 206 P\r\n{common}{range}\r\ncontent-length: 5\r\n\r\n");
                connection.send(head + "hello").await;
            }
            _ => {
                let head =
                    format!("HTTP/1.1 200 OK\r\n{common}content-length: 10737418240\r\n\r\n");
                connection.send(head + "the first few bytes").await;
                connection.peer_gone().await;
            }
        }
    });
    let proxy = Proxy::start(&origin).await;
    let fields: Fields = &[("range", "bytes=5000000000-5000000004")];
    for nth in ["first", "second"] {
        let response = proxy.get_with("/a", fields).await;
        assert_eq!(response.status, 206, "{nth}: {response:?}");
        assert_eq!(response.text(), "hello", "{nth}");
        assert!(
            response.says("detail=too-large") || nth == "second",
            "{response:?}"
        );
    }
    assert_eq!(origin.count("/a"), 3, "the whole was asked for once");
}

/// The answer to a condition is another's business too, as long as it may be stored.
#[tokio::test]
async fn a_condition_with_credentials_leaves_a_public_page_storable() {
    let origin = Origin::answering(200, &[("cache-control", "public, max-age=60")], "hello");
    let proxy = Proxy::start(&origin).await;
    let fields: Fields = &[("authorization", "Basic eA=="), ("if-none-match", "\"v0\"")];
    assert_eq!(proxy.get_with("/a", fields).await.status, 200);
    assert!(proxy.get("/a").await.is_hit());
}

#[tokio::test]
async fn a_304_that_nobody_asked_for_is_no_answer() {
    let origin = Origin::answering(304, &[("etag", "\"v1\"")], "");
    let proxy = Proxy::start(&origin).await;
    let credentials: Fields = &[("authorization", "Basic eA==")];
    assert_eq!(proxy.get_with("/a", credentials).await.status, 502);
    assert_eq!(proxy.get("/a").await.status, 502);
}

/// Events are for the client that listens: nothing that is given to pages makes them another's.
#[tokio::test]
async fn a_stream_of_events_is_neither_stored_nor_shared() {
    let gate = Gate::new();
    let origin = {
        let gate = gate.clone();
        Origin::start(async move |request: &Request, connection| {
            let fields: Fields = &[
                ("content-type", "text/event-stream"),
                ("last-modified", "x"),
            ];
            connection.begin(200, fields).await;
            connection.chunk(format!("data: {}\n\n", request.nth)).await;
            gate.pass().await;
            connection.chunk("").await;
        })
    };
    let cache = "default_ttl = '1h'\nttl = '1h'";
    let proxy = Proxy::before(&origin).table("cache", cache).start().await;
    let mut clients = proxy.herd(3, "/events").await;
    let mut seen = Vec::new();
    for client in &mut clients {
        let head = client.head().await;
        assert_eq!(head.status(), 200, "{head:?}");
        // The size of the first chunk, and what is in it.
        seen.push(client.read("9\r\ndata: 1\n\n".len()).await);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3, "each has its own: {seen:?}");
    gate.open();
}
