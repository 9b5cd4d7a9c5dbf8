//! What the answers to unsafe methods take out of the cache (RFC 9111 §4.4).

use crate::harness::{Origin, Proxy, TAGGED};

/// RFC 9111 §4.4: "A cache MUST invalidate the target URI when it receives a non-error status code
/// in response to an unsafe request method (including methods whose safety is unknown)", and "a
/// 'non-error response' is one with a 2xx (Successful) or 3xx (Redirection) status code."
#[tokio::test]
async fn an_unsafe_method_that_succeeds_invalidates_its_url() {
    let origin = Origin::start(async |request, connection| {
        let status = match request.field("x-status") {
            Some(status) => status.parse().expect("a status"),
            None => 200,
        };
        connection.respond(status, TAGGED, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let statuses = [
        ("200", false),
        ("201", false),
        ("204", false),
        ("303", false),
        ("307", false),
        ("400", true),
        ("404", true),
        ("500", true),
        ("503", true),
    ];
    for method in ["POST", "PUT", "DELETE", "PATCH", "PROPPATCH", "X-UNKNOWN"] {
        for (status, kept) in statuses {
            proxy.get("/a").await;
            assert!(proxy.get("/a").await.is_hit());
            proxy.send(method, "/a", &[("x-status", status)]).await;
            let next = proxy.get("/a").await;
            assert_eq!(next.is_hit(), kept, "{method} {status}: {next:?}");
        }
    }
}

/// RFC 9110 §9.2.1: "the GET, HEAD, OPTIONS, and TRACE methods are defined to be safe."
#[tokio::test]
async fn a_safe_method_invalidates_nothing() {
    let origin = Origin::start(async |request, connection| match &*request.method {
        "GET" => connection.respond(200, TAGGED, "hello").await,
        _ => {
            let fields = [("location", "/a"), ("content-location", "/a")];
            connection.respond(200, &fields, "done").await;
        }
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    for method in ["HEAD", "OPTIONS", "TRACE"] {
        for path in ["/a", "/b"] {
            proxy.send(method, path, &[]).await;
            assert!(proxy.get("/a").await.is_hit(), "{method} {path}");
        }
    }
}

/// A row: what it shows, the target of the POST, its answer's status and field, a stored page's
/// host and target, whether that page is kept.
type Row = (
    &'static str,
    &'static str,
    u16,
    (&'static str, &'static str),
    (&'static str, &'static str),
    bool,
);

const OWN: &str = "example.test";

/// RFC 9111 §4.4: "A cache MAY invalidate other URIs when it receives a non-error status code in
/// response to an unsafe request method […]. In particular, the URI(s) in the Location and
/// Content-Location response header fields (if present) are candidates for invalidation", but "a
/// cache MUST NOT trigger an invalidation under these conditions if the origin […] of the URI to be
/// invalidated differs from that of the target URI".
const CANDIDATES: &[Row] = &[
    (
        "Location",
        "/form",
        201,
        ("location", "/a"),
        (OWN, "/a"),
        false,
    ),
    (
        "Content-Location",
        "/form",
        200,
        ("content-location", "/a"),
        (OWN, "/a"),
        false,
    ),
    (
        "a redirection",
        "/form",
        303,
        ("location", "/a"),
        (OWN, "/a"),
        false,
    ),
    (
        "an absolute reference",
        "/form",
        201,
        ("location", "http://example.test/a"),
        (OWN, "/a"),
        false,
    ),
    (
        "the same origin in other letters",
        "/form",
        201,
        ("location", "http://EXAMPLE.test:80/a"),
        (OWN, "/a"),
        false,
    ),
    (
        "relative to the scheme",
        "/form",
        201,
        ("location", "//example.test/a"),
        (OWN, "/a"),
        false,
    ),
    (
        "relative to the folder",
        "/dir/form",
        201,
        ("location", "a"),
        (OWN, "/dir/a"),
        false,
    ),
    (
        "not to the root",
        "/dir/form",
        201,
        ("location", "a"),
        (OWN, "/a"),
        true,
    ),
    (
        "relative to the folder above",
        "/dir/form",
        201,
        ("content-location", "../a"),
        (OWN, "/a"),
        false,
    ),
    (
        "a query of the target",
        "/dir/form",
        303,
        ("location", "?b"),
        (OWN, "/dir/form?b"),
        false,
    ),
    (
        "a query",
        "/form",
        201,
        ("location", "/a?b"),
        (OWN, "/a?b"),
        false,
    ),
    (
        "another query",
        "/form",
        201,
        ("location", "/a?b"),
        (OWN, "/a"),
        true,
    ),
    (
        "a fragment",
        "/form",
        201,
        ("location", "/a#b"),
        (OWN, "/a"),
        false,
    ),
    (
        "another host",
        "/form",
        201,
        ("location", "http://other.test/a"),
        ("other.test", "/a"),
        true,
    ),
    (
        "another host, relative to the scheme",
        "/form",
        200,
        ("content-location", "//other.test/a"),
        ("other.test", "/a"),
        true,
    ),
    (
        "nor is it taken for our own",
        "/form",
        201,
        ("location", "http://other.test/a"),
        (OWN, "/a"),
        true,
    ),
    (
        "another port",
        "/form",
        201,
        ("location", "http://example.test:8080/a"),
        ("example.test:8080", "/a"),
        true,
    ),
    (
        "another scheme",
        "/form",
        201,
        ("location", "https://example.test/a"),
        (OWN, "/a"),
        true,
    ),
    (
        "nonsense",
        "/form",
        201,
        ("location", "http://[/a"),
        (OWN, "/a"),
        true,
    ),
    (
        "a refusal",
        "/form",
        403,
        ("location", "/a"),
        (OWN, "/a"),
        true,
    ),
    (
        "a failure",
        "/form",
        500,
        ("location", "/a"),
        (OWN, "/a"),
        true,
    ),
];

#[tokio::test]
async fn an_unsafe_method_invalidates_what_its_answer_points_to() {
    let origin = Origin::start(async |request, connection| {
        let Some(row) = request.field("x-row") else {
            return connection.respond(200, TAGGED, "hello").await;
        };
        let row: usize = row.parse().expect("a row's number");
        let (_, _, status, field, _, _) = CANDIDATES[row];
        connection.respond(status, &[field], "").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut wrong = Vec::new();
    for (index, (name, target, _, field, (host, path), kept)) in CANDIDATES.iter().enumerate() {
        let host = [("host", *host)];
        proxy.get_with(path, &host).await;
        assert!(proxy.get_with(path, &host).await.is_hit(), "{name}");
        proxy
            .send("POST", target, &[("x-row", &index.to_string())])
            .await;
        let next = proxy.get_with(path, &host).await;
        if next.is_hit() != *kept {
            wrong.push(format!("{name}: {field:?}, {}", next.cache_status()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
