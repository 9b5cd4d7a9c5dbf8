//! Byte ranges out of what is stored, whole or still arriving. The origin is never asked for a
//! range of what may be stored; the cache cuts.

mod filling;

use http_body_util::BodyExt;

use crate::harness::{
    Client, End, Fields, Gate, Http2, Origin, Proxy, Response, eventually, http_date, within,
};

const BYTES: usize = 10_000;
const LENGTH: (&str, &str) = ("content-length", "10000");
const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");
const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const ETAG: (&str, &str) = ("etag", "\"1\"");
const TYPE: (&str, &str) = ("content-type", "text/plain");

/// Ten thousand bytes of which no two stretches are alike.
fn text() -> String {
    (0..BYTES / 10).map(|line| format!("{line:09}\n")).collect()
}

fn slice(first: usize, last: usize) -> String {
    text()[first..=last].to_owned()
}

/// An origin whose every page is the text.
fn texts(fields: Fields<'static>) -> Origin {
    Origin::start(async move |_, connection| connection.respond(200, fields, text()).await)
}

/// An origin that sends the first half, and the other when the gate opens. A request beyond the
/// first would be a mistake.
fn halves(gate: &Gate, framing: (&'static str, &'static str)) -> Origin {
    let gate = gate.clone();
    Origin::start(async move |request, connection| {
        assert_eq!((request.nth, request.field("range")), (1, None));
        connection.begin(200, &[FRESH, ETAG, framing]).await;
        for half in [slice(0, 4999), slice(5000, 9999)] {
            match framing {
                CHUNKED => connection.chunk(half).await,
                _ => connection.send(half).await,
            }
            gate.pass().await;
        }
        if framing == CHUNKED {
            connection.chunk("").await;
        }
    })
}

/// A client that reads the page from its start and has got the first half.
async fn first_reader(proxy: &Proxy) -> Client {
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    assert_eq!(client.head().await.status(), 200);
    assert_eq!(client.read(5000).await.len(), 5000);
    client
}

/// Asserts a 206 with these bytes and nothing else.
#[track_caller]
fn assert_part(response: &Response, first: usize, last: usize, complete: &str) {
    let length = (last - first + 1).to_string();
    let range = format!("bytes {first}-{last}/{complete}");
    let head = [
        response.field("content-range"),
        response.field("content-length"),
    ];
    assert_eq!(response.status, 206, "{response:?}");
    assert_eq!(
        head,
        [Some(range.as_str()), Some(length.as_str())],
        "{response:?}"
    );
    assert_eq!(
        (response.text(), response.end),
        (slice(first, last), End::Clean)
    );
}

#[track_caller]
fn assert_whole(response: &Response) {
    assert!(response.is_good(&text()), "{response:?}");
    assert_eq!(response.field("content-range"), None);
}

#[track_caller]
fn assert_unsatisfiable(response: &Response, complete: &str) {
    let range = format!("bytes */{complete}");
    assert_eq!(
        (response.status, response.text().as_str()),
        (416, ""),
        "{response:?}"
    );
    assert_eq!(response.field("content-range"), Some(range.as_str()));
    assert_eq!(response.field("content-length"), Some("0"));
    assert_eq!(response.field("cache-control"), Some("no-store"));
    assert_eq!(
        response.field("etag"),
        None,
        "nobody shall take it for the page"
    );
}

/// The parts of a multipart/byteranges response, as their fields and their bytes.
fn parts(response: &Response) -> Vec<(String, String)> {
    let kind = response.field("content-type").expect("a Content-Type");
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .expect("a multipart type");
    let (text, end) = (response.text(), format!("\r\n--{boundary}--\r\n"));
    let inside = text.strip_suffix(&end).expect("the last boundary");
    let first = format!("--{boundary}\r\n");
    let inside = inside.strip_prefix(&first).expect("the first boundary");
    inside
        .split(&format!("\r\n{first}"))
        .map(|part| part.split_once("\r\n\r\n").expect("an empty line"))
        .map(|(fields, bytes)| (fields.to_owned(), bytes.to_owned()))
        .collect()
}

fn part(first: usize, last: usize) -> (String, String) {
    let fields = format!("content-type: text/plain\r\ncontent-range: bytes {first}-{last}/{BYTES}");
    (fields, slice(first, last))
}

/// c00034, r04336.
#[tokio::test]
async fn single_ranges_of_a_stored_page() {
    let origin = texts(&[FRESH, ETAG, TYPE]);
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    assert_whole(&client.get("/a").await);
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=5000-5099", 5000, 5099),
        ("bytes=9999-9999", 9999, 9999),
        ("bytes=-1", 9999, 9999),
        ("bytes=-100", 9900, 9999),
        ("bytes=9000-", 9000, 9999),
        ("bytes=0-", 0, 9999),
        ("bytes=9990-20000", 9990, 9999),
        ("bytes=-20000", 0, 9999),
        ("bytes=5-99999999999999999999999", 5, 9999),
        ("Bytes=0-4", 0, 4),
    ] {
        let response = client.get_with("/a", &[("range", range)]).await;
        assert_part(&response, first, last, "10000");
        assert!(
            response.is_hit() && response.field("etag").is_some(),
            "{response:?}"
        );
        assert_eq!(response.field("content-type"), Some("text/plain"));
    }
    for range in [
        "bytes=10000-",
        "bytes=10000-10001",
        "bytes=-0",
        "bytes=10000-,-0",
    ] {
        let response = client.get_with("/a", &[("range", range)]).await;
        assert_unsatisfiable(&response, "10000");
    }
    for range in [
        "bytes=9-5",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "lines=0-4",
        "0-4",
        "bytes=0-4,x",
    ] {
        assert_whole(&client.get_with("/a", &[("range", range)]).await);
    }
    let twice = [("range", "bytes=0-4"), ("range", "bytes=5-9")];
    assert_whole(&client.get_with("/a", &twice).await);
    assert_eq!(origin.count("/a"), 1);
}

/// RFC 9110 §15.3.7.2.
#[tokio::test]
async fn several_ranges_are_a_multipart_response() {
    let origin = texts(&[FRESH, TYPE]);
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    assert_whole(&client.get("/a").await);
    let ranges = [("range", "bytes=-10, 0-4, 20000-, 5000-5050,5040-5099")];
    let (one, two) = (
        client.get_with("/a", &ranges).await,
        client.get_with("/a", &ranges).await,
    );
    for response in [&one, &two] {
        assert_eq!(
            (response.status, response.end),
            (206, End::Clean),
            "{response:?}"
        );
        assert_eq!(response.field("content-range"), None);
        let length = response.body.len().to_string();
        assert_eq!(response.field("content-length"), Some(length.as_str()));
        let expected = [part(9990, 9999), part(0, 4), part(5000, 5099)];
        assert_eq!(parts(response), expected);
    }
    let kinds = [one, two].map(|it| it.field("content-type").map(str::to_owned));
    assert_ne!(kinds[0], kinds[1], "nobody can know the boundary before");
}

/// What is left as one range after joining is sent as one.
#[tokio::test]
async fn near_ranges_are_one() {
    let origin = texts(&[FRESH]);
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    for range in [
        "bytes=0-9,5-99",
        "bytes=10-99,0-5",
        "bytes=0-99,20000-20001",
    ] {
        let response = proxy.get_with("/a", &[("range", range)]).await;
        let first = slice(0, 99);
        assert!(
            response.status == 206 && response.text() == first,
            "{response:?}"
        );
        assert_eq!(response.field("content-range"), Some("bytes 0-99/10000"));
    }
}

/// What describes bytes that are encoded describes each part, not the message around them.
#[tokio::test]
async fn a_coding_goes_into_the_parts() {
    let origin = texts(&[FRESH, TYPE, ("content-encoding", "x-own")]);
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let ranges = [("range", "bytes=0-4,5000-5004")];
    let response = proxy.get_with("/a", &ranges).await;
    assert_eq!(response.field("content-encoding"), None);
    for (fields, _) in parts(&response) {
        assert!(
            fields.contains("\r\ncontent-encoding: x-own\r\n"),
            "{fields}"
        );
    }
}

/// CVE-2011-3192 and RangeAmp: the whole page once, without as many copies.
#[tokio::test]
async fn a_hundred_overlapping_ranges_get_the_whole() {
    const LARGE: usize = 8 << 20;
    let origin = Origin::start(async |_, connection| {
        connection.respond(200, &[FRESH], vec![b'x'; LARGE]).await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let before = proxy.rss_bytes();
    let killer: Vec<_> = (0..100).map(|n| format!("{n}-")).collect();
    let killer = format!("bytes={}", killer.join(","));
    for range in [killer.as_str(), "bytes=0-,0-,0-,0-,0-,0-,0-"] {
        let response = proxy.get_with("/a", &[("range", range)]).await;
        assert_eq!((response.status, response.end), (200, End::Clean));
        assert_eq!(response.body.len(), LARGE);
    }
    let grown = proxy.rss_bytes().saturating_sub(before);
    assert!(grown < 2 * LARGE as u64, "{grown} bytes more");
}

/// c00135, RFC 9110 §14.2: a range is asked for with GET, of a 200 that has bytes.
#[tokio::test]
async fn what_has_no_ranges_is_answered_as_if_none_was_asked_for() {
    let origin = Origin::start(async |request, connection| {
        let (status, body) = match request.path.as_str() {
            "/empty" => (200, ""),
            "/missing" => (404, "nothing here"),
            _ => (200, "hello"),
        };
        connection.respond(status, &[FRESH], body).await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for (path, status, body) in [("/empty", 200, ""), ("/missing", 404, "nothing here")] {
        for _ in 0..2 {
            let response = client.get_with(path, &[("range", "bytes=0-3")]).await;
            assert_eq!((response.status, response.text().as_str()), (status, body));
        }
    }
    client.get("/a").await;
    client
        .request("HEAD", "/a", &[("range", "bytes=0-3")])
        .await;
    let response = client.response().await;
    assert_eq!(
        (response.status, response.is_hit()),
        (200, true),
        "{response:?}"
    );
    assert_eq!(response.field("content-length"), Some("5"));
}

/// c00100, RFC 9110 §13.1.5.
#[tokio::test]
async fn if_range_is_compared_strongly() {
    let (modified, now) = (http_date(-60), http_date(0));
    let (old, young) = (modified.clone(), now.clone());
    let origin = Origin::start(async move |request, connection| {
        let (etag, date) = match request.path.as_str() {
            "/strong" => ("\"1\"", &old),
            "/weak" => ("W/\"1\"", &old),
            _ => ("\"1\"", &young),
        };
        let fields = [
            FRESH,
            ("etag", etag),
            ("last-modified", date),
            ("date", &young),
        ];
        connection.respond(200, &fields, text()).await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for (path, validator, partial) in [
        ("/strong", "\"1\"", true),
        ("/strong", "\"2\"", false),
        ("/strong", "W/\"1\"", false),
        ("/strong", modified.as_str(), true),
        ("/strong", now.as_str(), false),
        ("/strong", "nonsense", false),
        ("/weak", "\"1\"", false),
        ("/weak", "W/\"1\"", false),
        ("/young", now.as_str(), false),
    ] {
        let fields = [("range", "bytes=10-19"), ("if-range", validator)];
        let response = client.get_with(path, &fields).await;
        match partial {
            true => assert_part(&response, 10, 19, "10000"),
            false => assert_whole(&response),
        }
    }
}

/// RFC 9110 §13.2.2: conditions come first.
#[tokio::test]
async fn a_condition_goes_before_a_range() {
    let origin = texts(&[FRESH, ETAG]);
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.get("/a").await;
    for (name, value, status) in [
        ("if-none-match", "\"1\"", 304),
        ("if-none-match", "\"2\"", 206),
        ("if-match", "\"2\"", 412),
        ("if-match", "\"1\"", 206),
    ] {
        for range in ["bytes=0-9", "bytes=20000-"] {
            let response = client
                .get_with("/a", &[(name, value), ("range", range)])
                .await;
            let expected = match (status, range) {
                (206, "bytes=20000-") => 416,
                (status, _) => status,
            };
            assert_eq!(response.status, expected, "{name}: {value}, {range}");
            assert_eq!(
                response.field("content-range").is_some(),
                matches!(expected, 206 | 416)
            );
        }
    }
}

#[tokio::test]
async fn what_is_counted_is_what_was_sent() {
    let origin = texts(&[FRESH]);
    let proxy = Proxy::start(&origin).await;
    for range in ["bytes=0-9", "bytes=-5", "bytes=10000-"] {
        proxy.get_with("/a", &[("range", range)]).await;
    }
    let counted = async || proxy.metric("copal_requests_total", "").await == 3.0;
    eventually("three requests counted", counted).await;
    let refused = proxy.metric("copal_requests_total", "status=\"4xx\"").await;
    let sent = proxy.metric("copal_response_bytes_total", "").await;
    assert_eq!((refused, sent), (1.0, 15.0));
}

/// What cannot be stored is passed, range and all, once that is known.
#[tokio::test]
async fn a_range_of_what_is_not_stored_is_the_origins_to_cut() {
    let origin = Origin::start(async |request, connection| match request.field("range") {
        Some("bytes=0-4") => {
            let fields = [
                ("cache-control", "private"),
                ("content-range", "bytes 0-4/11"),
            ];
            connection.respond(206, &fields, "hello").await;
        }
        _ => {
            connection
                .respond(200, &[("cache-control", "private")], "hello world")
                .await
        }
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    assert!(client.get("/a").await.is_good("hello world"));
    let response = client.get_with("/a", &[("range", "bytes=0-4")]).await;
    assert_eq!((response.status, response.text().as_str()), (206, "hello"));
    assert_eq!(response.field("content-range"), Some("bytes 0-4/11"));
}

#[tokio::test]
async fn ranges_over_http2() {
    let origin = texts(&[FRESH, TYPE]);
    let proxy = Proxy::start(&origin).await;
    let mut client = Http2::connect(proxy.address()).await;
    client.get_whole("/a").await;
    for (range, status, expected) in [
        ("bytes=100-199", 206, Some(slice(100, 199))),
        ("bytes=0-9,9000-9009", 206, None),
        ("bytes=10000-", 416, Some(String::new())),
    ] {
        let (head, body) = client
            .get_with("/a", &[("range", range)])
            .await
            .into_parts();
        let body = within("the rest of a body", body.collect()).await;
        let body = body.expect("a whole body").to_bytes();
        assert_eq!(head.status, status, "{range}");
        // Over HTTP/2 an empty body needs no length.
        let length = head.headers.get("content-length");
        assert!(length.map_or(body.is_empty(), |it| *it == body.len().to_string()));
        assert!(expected.is_none_or(|it| body == it), "{range}: {body:?}");
    }
}

/// RFC 9530 §2: Content-Digest is of the content that the message has, here a part.
#[tokio::test]
async fn a_part_does_not_have_the_digest_of_the_whole() {
    let digest = (
        "content-digest",
        "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:",
    );
    let origin = Origin::start(async move |_, connection| {
        connection
            .respond(200, &[FRESH, digest], "hello world")
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.field(digest.0).is_some());
    let part = proxy.get_with("/a", &[("range", "bytes=0-4")]).await;
    assert_eq!((part.status, &*part.text()), (206, "hello"));
    assert_eq!(part.field(digest.0), None, "{part:?}");
    assert!(proxy.get("/a").await.field(digest.0).is_some());
}
