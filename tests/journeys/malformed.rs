//! Requests that are wrong or hostile: answered with 400, their connection closed, and the origin
//! never hears of them.

use crate::harness::{Client, End, FRESH, Origin, Proxy};

/// A row: what is wrong with it, the bytes, the statuses that refuse it.
type Row<'a> = (&'a str, &'a [u8], &'a [u16]);

/// Every row is refused, its connection is closed after that one answer, and nothing is forwarded.
async fn assert_refused(rows: &[Row<'_>]) {
    let origin = Origin::answering(200, FRESH, "forwarded");
    let proxy = Proxy::start(&origin).await;
    let mut wrong = Vec::new();
    for (name, bytes, statuses) in rows {
        if let Some(complaint) = refusal(proxy.client().await, bytes, statuses).await {
            wrong.push(format!("{name}: {complaint}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let seen: Vec<_> = origin
        .requests()
        .iter()
        .map(|it| it.head.to_string())
        .collect();
    assert!(seen.is_empty(), "forwarded: {seen:#?}");
    assert!(
        proxy.get("/after").await.is_good("forwarded"),
        "and the proxy goes on"
    );
}

/// Sends the bytes and a good request after them; what is wrong with the answers, if anything.
async fn refusal(mut client: Client, bytes: &[u8], statuses: &[u16]) -> Option<String> {
    client.send(bytes).await;
    client
        .send("GET /smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n")
        .await;
    let Some(response) = client.try_response().await else {
        return Some("closed without an answer".to_owned());
    };
    if !statuses.contains(&response.status) {
        return Some(format!("answered {}", response.head.start_line()));
    }
    let after = client.until_gone().await;
    (!after.is_empty()).then(|| format!("more after it: {:?}", String::from_utf8_lossy(&after)))
}

/// RFC 9112 §3.
#[tokio::test]
async fn a_malformed_request_line_is_refused() {
    assert_refused(&[
        ("no version", b"GET /\r\nHost: a\r\n\r\n", &[400]),
        ("no target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("two spaces", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        (
            "a space in the target",
            b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
        ),
        (
            "a space first",
            b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
        ),
        (
            "lower-case version",
            b"GET / http/1.1\r\nHost: a\r\n\r\n",
            &[400, 505],
        ),
        (
            "version 2.0",
            b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            &[400, 505],
        ),
        (
            "version 1.2",
            b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
            &[400, 505],
        ),
        ("no method", b"/ HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        (
            "a method that is no token",
            b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
        ),
        ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", &[400]),
    ])
    .await;
}

/// RFC 9112 §3.2: a target in none of the forms for its method; `foo` must not become `/`.
#[tokio::test]
async fn a_target_without_a_form_is_refused() {
    assert_refused(&[
        ("a name", b"GET foo HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        (
            "an authority",
            b"GET foo:80 HTTP/1.1\r\nHost: foo\r\n\r\n",
            &[400],
        ),
        ("a query", b"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        ("an asterisk", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", &[400]),
        (
            "user information",
            b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
        ),
        (
            "another scheme",
            b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400],
        ),
        (
            "CONNECT",
            b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
            &[400, 405, 501],
        ),
        (
            "CONNECT to a path",
            b"CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n",
            &[400, 405, 501],
        ),
    ])
    .await;
}

/// RFC 9112 §3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1
/// request message that lacks a Host header field and to any request message that contains more
/// than one Host header field line or a Host header field with an invalid field value."
#[tokio::test]
async fn a_missing_double_or_invalid_host_is_refused() {
    assert_refused(&[
        ("none", b"GET / HTTP/1.1\r\n\r\n", &[400]),
        (
            "two",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            &[400],
        ),
        (
            "two alike",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            &[400],
        ),
        ("a list", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", &[400]),
        ("a space", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", &[400]),
        (
            "user information",
            b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
            &[400],
        ),
        ("a path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", &[400]),
        (
            "a port beyond",
            b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n",
            &[400],
        ),
        (
            "a port that is none",
            b"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n",
            &[400],
        ),
        (
            "half an address",
            b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
            &[400],
        ),
        ("obs-text", b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", &[400]),
    ])
    .await;
}

/// RFC 9112 §6.3 and the smugglers' history: two ways to read where a body ends is one too many.
#[tokio::test]
async fn an_ambiguous_body_is_refused() {
    const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\n";
    let table = [
        (
            "two lengths",
            "Content-Length: 0\r\nContent-Length: 4\r\n\r\n",
        ),
        ("a list of lengths", "Content-Length: 0, 4\r\n\r\n"),
        ("a sign", "Content-Length: +0\r\n\r\n"),
        ("negative", "Content-Length: -1\r\n\r\n"),
        ("no number", "Content-Length: x\r\n\r\n"),
        ("empty", "Content-Length:\r\n\r\n"),
        ("overflow", "Content-Length: 18446744073709551616\r\n\r\n"),
        (
            "CL and TE",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "TE and CL",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunked twice",
            "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "two lines",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "another first",
            "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "another line first",
            "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunked not last",
            "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        ),
        (
            "an empty member",
            "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
        ),
        ("unknown", "Transfer-Encoding: cow\r\n\r\n0\r\n\r\n"),
        (
            "a vertical tab",
            "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        ),
    ];
    let requests: Vec<_> = table
        .iter()
        .map(|(_, rest)| format!("{POST}{rest}"))
        .collect();
    let named = table.iter().map(|(name, _)| *name).zip(&requests);
    let rows: Vec<Row> = named
        .map(|(name, it)| (name, it.as_bytes(), &[400, 501][..]))
        .collect();
    assert_refused(&rows).await;
    assert_refused(&[(
        "TE in HTTP/1.0",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[400, 501],
    )])
    .await;
}

/// RFC 9112 §5, RFC 9110 §5.5.
#[tokio::test]
async fn a_malformed_field_is_refused() {
    assert_refused(&[
        (
            "space before the colon",
            b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
            &[400],
        ),
        (
            "no colon",
            b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
            &[400],
        ),
        (
            "no name",
            b"GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n",
            &[400],
        ),
        (
            "a name that is no token",
            b"GET / HTTP/1.1\r\nHost: a\r\nX@Y: z\r\n\r\n",
            &[400],
        ),
        (
            "obs-fold",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
            &[400],
        ),
        (
            "fold at once",
            b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            &[400],
        ),
        (
            "NUL",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n",
            &[400],
        ),
        (
            "bare CR",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n",
            &[400],
        ),
        (
            "control",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x01z\r\n\r\n",
            &[400],
        ),
        ("bare LF", b"GET / HTTP/1.1\nHost: a\n\n", &[400]),
        (
            "one bare LF",
            b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
            &[400],
        ),
    ])
    .await;
}

/// VSV00010: what frames or routes a message is not the sender's to call hop-by-hop.
#[tokio::test]
async fn a_connection_field_that_names_vital_fields_is_refused() {
    assert_refused(&[
        ("Host", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n", &[400]),
        (
            "Content-Length",
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: x, content-length\r\nContent-Length: 0\r\n\r\n",
            &[400],
        ),
        (
            "Transfer-Encoding",
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: transfer-encoding\r\n\
              Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[400],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(10_000));
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    let fields = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X: y\r\n".repeat(200)
    );
    assert_refused(&[
        ("the target", target.as_bytes(), &[414]),
        ("the head", head.as_bytes(), &[431]),
        ("the fields", fields.as_bytes(), &[431]),
    ])
    .await;
}

#[tokio::test]
async fn a_body_that_is_too_long_is_a_413() {
    let origin = Origin::start(async |_, connection| {
        let (body, end) = connection.request_body().await;
        assert!(
            end == End::Truncated && body.len() <= 1 << 20,
            "a whole body got through"
        );
        connection.close();
    });
    let proxy = Proxy::before(&origin)
        .table("server", "body_bytes_max = \"1MiB\"")
        .start()
        .await;
    let mut client = proxy.client().await;
    client
        .request("POST", "/a", &[("content-length", "2000000")])
        .await;
    assert_eq!(client.response().await.status, 413);
    assert_eq!(
        origin.count("/a"),
        0,
        "the length alone is enough to refuse it"
    );

    let mut client = proxy.client().await;
    client
        .request("POST", "/b", &[("transfer-encoding", "chunked")])
        .await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..20 {
        client.send(&chunk).await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.try_response().await.map(|it| it.status), Some(413));
}

/// VSV00015: nothing of a refused connection is read as a request.
#[tokio::test]
async fn a_chunk_that_is_no_chunk_ends_the_request() {
    let origin = Origin::start(async |_, connection| {
        let (_, end) = connection.request_body().await;
        assert_eq!(end, End::Truncated, "a malformed body arrived whole");
        connection.close();
    });
    let proxy = Proxy::start(&origin).await;
    for chunks in [
        "x\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "-5\r\n",
    ] {
        let mut client = proxy.client().await;
        client
            .request("POST", "/a", &[("transfer-encoding", "chunked")])
            .await;
        client.send(chunks).await;
        client
            .send("GET /smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n")
            .await;
        let status = client.try_response().await.map_or(400, |it| it.status);
        assert!([400, 502].contains(&status), "{chunks:?}: {status}");
        assert!(client.until_gone().await.is_empty(), "{chunks:?}");
    }
    assert_eq!(origin.count("/smuggled"), 0);
}

/// CVE-2025-4366: a hit is answered without its request's body; what is left of that body must not
/// become the next request.
#[tokio::test]
async fn the_unread_body_of_a_hit_is_not_a_request() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let evil = "GET /smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n";
    let mut client = proxy.client().await;
    client
        .request("GET", "/a", &[("content-length", &evil.len().to_string())])
        .await;
    client.send(evil).await;
    client.half_close().await;
    assert!(client.response().await.is_good("hello"));
    let after = client.until_gone().await;
    assert!(after.is_empty(), "{}", String::from_utf8_lossy(&after));
    assert_eq!(origin.count("/smuggled"), 0);
}
