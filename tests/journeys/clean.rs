//! Clean requests: whatever a client sends by HTTP/1.1 or HTTP/2, it is refused, or the origin gets
//! exactly one request, and route, key and log have seen one path.

#[path = "clean/fields.rs"]
mod fields;
#[path = "clean/frames.rs"]
mod frames;
#[path = "clean/spellings.rs"]
mod spellings;

use std::fs;

use serde_json::Value;

use crate::harness::{End, FRESH, HOST, Origin, Proxy, TempDir, eventually};
use frames::Frames;

const SITES: &str = r#"
[[site]]
hosts = ["*"]
origin = "main"
[[site.route]]
path = "/a/*"
request_fields = { set = { x-route = "a" } }
[[site.route]]
path = "/admin/*"
request_fields = { set = { x-route = "admin" } }
[[site.route]]
path = "/api/*"
strip_prefix = "/api"
request_fields = { set = { x-route = "api" } }
[[site.route]]
path = "/raw/*"
path_form = "as-is"
request_fields = { set = { x-route = "raw" } }
[[site.route]]
path = "/strict/*"
path_form = "strict"
request_fields = { set = { x-route = "strict" } }
[[site.route]]
path = "/closed/*"
path_form = { encoded_slash = "refuse", raw_bytes = "refuse", encoded_nul = "keep" }
request_fields = { set = { x-route = "closed" } }
"#;

/// What becomes of a request.
#[derive(Debug, PartialEq)]
enum Fate {
    Refused,
    /// What the origin saw as the path, and the route that it came by.
    Served(String, String),
}

/// A row: the path that is sent, and the path that is seen by all but the origin, with what the origin
/// sees and the route; `None` for a refusal.
type Row = (
    &'static str,
    Option<(&'static str, &'static str, &'static str)>,
);

#[rustfmt::skip]
const PATHS: [Row; 30] = [
    ("/a/b", Some(("/a/b", "/a/b", "a"))),
    ("/a/B%2Fc", Some(("/a/B%2Fc", "/a/B%2Fc", "a"))),
    ("/%61/%62", Some(("/a/b", "/%61/%62", "a"))),
    ("/a/%2f", Some(("/a/%2F", "/a/%2f", "a"))),
    ("/a/./c", Some(("/a/c", "/a/./c", "a"))),
    ("/a/../admin/x", Some(("/admin/x", "/a/../admin/x", "admin"))),
    ("/a/%2e%2E/admin/x", Some(("/admin/x", "/a/%2e%2E/admin/x", "admin"))),
    ("/a//b", Some(("/a/b", "/a//b", "a"))),
    ("//admin/x", Some(("/admin/x", "//admin/x", "admin"))),
    ("/a/\u{e9}", Some(("/a/\u{e9}", "/a/\u{e9}", "a"))),
    ("/a/b?c=//../%61", Some(("/a/b?c=//../%61", "/a/b?c=//../%61", "a"))),
    ("/a/%00", None),
    ("/a/%%361", None),
    // What strips a prefix strips it from the normal form.
    ("/x/..//api/v1", Some(("/api/v1", "/v1", "api"))),
    ("/api/./v1", Some(("/api/v1", "/v1", "api"))),
    // Both spellings lead to it, so they are two.
    ("/raw/%7ea", Some(("/raw/%7ea", "/raw/%7ea", "raw"))),
    ("/raw//http://b/../c", Some(("/raw//http://b/../c", "/raw//http://b/../c", "raw"))),
    ("/raw/%00", Some(("/raw/%00", "/raw/%00", "raw"))),
    // No way around the rules of another route.
    ("/raw/../admin/x", Some(("/admin/x", "/raw/../admin/x", "admin"))),
    ("/admin/../raw/x", None),
    ("/strict/./%7ea//b", Some(("/strict/~a/b", "/strict/~a/b", "strict"))),
    ("/strict/%2f", None),
    ("/strict/%5C", None),
    ("/strict/\\", None),
    ("/strict/\u{e9}", None),
    ("/strict/%zz", None),
    ("/../strict/a", None),
    ("/closed/%2F", None),
    ("/closed/\u{e9}", None),
    ("/closed/%00%5f", Some(("/closed/%00_", "/closed/%00%5f", "closed"))),
];

/// The proxy, its origin and its log.
struct Stand {
    origin: Origin,
    proxy: Proxy,
    log: std::path::PathBuf,
}

// === impl Stand ===

impl Stand {
    async fn start(server: &str) -> Self {
        let origin = Origin::answering(200, FRESH, "hello");
        let folder = TempDir::new();
        let log = folder.path().join("access.log");
        let table = format!("access = {log:?}\nformat = \"json\"");
        let setup = Proxy::before(&origin).sites(SITES).table("log", &table);
        let proxy = setup.table("server", server).start_in(folder).await;
        Self { origin, proxy, log }
    }

    /// The last of so many lines.
    async fn logged(&self, count: usize) -> Value {
        let mut last = Value::Null;
        let enough = async || {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let line = text.lines().nth(count - 1);
            last = line.map_or(Value::Null, |it| serde_json::from_str(it).expect("JSON"));
            last != Value::Null
        };
        eventually("a line in the access log", enough).await;
        last
    }

    async fn by_http1(&self, path: &str) -> u16 {
        let mut client = self.proxy.client().await;
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"))
            .await;
        let response = client.response().await;
        assert_eq!(response.end, End::Clean);
        response.status
    }

    async fn by_http2(&self, path: &str) -> u16 {
        let mut frames = Frames::connect(self.proxy.address()).await;
        let head = [(":authority", HOST), (":path", path)];
        frames.get(&head).await
    }

    /// What became of the one request that was sent since there were so many.
    fn fate(&self, status: u16, before: usize) -> Fate {
        let seen = self.origin.requests();
        match (status, &seen[before..]) {
            (400, []) => Fate::Refused,
            (200, [one]) => {
                let route = one.field("x-route").unwrap_or_default();
                Fate::Served(one.path.clone(), route.to_owned())
            }
            (status, more) => panic!("{status} and {more:?}"),
        }
    }

    /// How many objects a purge of this URL has met.
    async fn purged(&self, path: &str) -> u64 {
        let url = serde_json::json!({ "url": format!("http://{HOST}{path}") });
        let answer = self.proxy.purge(&url.to_string()).await;
        let json: Value = serde_json::from_slice(&answer.body).expect("JSON");
        json["purged"].as_u64().expect("a count")
    }
}

#[tokio::test]
async fn route_key_and_log_see_one_path() {
    let stand = Stand::start("").await;
    let mut lines = 0;
    for (path, expected) in PATHS {
        for is_http2 in [false, true] {
            let before = stand.origin.requests().len();
            let status = match is_http2 {
                false => stand.by_http1(path).await,
                true => stand.by_http2(path).await,
            };
            let fate = stand.fate(status, before);
            lines += 1;
            let line = stand.logged(lines).await;
            let told = format!("{path}, HTTP/2: {is_http2}, {line}");
            assert_eq!(line["target"], path, "{told}");
            let Some((normal, sent, route)) = expected else {
                assert_eq!(fate, Fate::Refused, "{told}");
                assert!(line["detail"].is_string(), "{told}");
                continue;
            };
            let served = Fate::Served(sent.to_owned(), route.to_owned());
            assert_eq!(fate, served, "{told}");
            let seen = line["normal_target"].as_str().unwrap_or(path);
            assert_eq!(seen, normal, "{told}");
            // Either spelling names what is stored.
            let purged = stand.purged(if is_http2 { normal } else { path }).await;
            assert_eq!(purged, 1, "{told}");
        }
    }
}

/// Whole heads: for HTTP/1.1 as bytes, for HTTP/2 as fields.
#[tokio::test]
async fn what_two_parsers_could_read_in_two_ways_is_refused() {
    let stand = Stand::start("").await;
    #[rustfmt::skip]
    let http1 = [
        "GET * HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET http://a.test/a#b HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "\r\nGET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test,b.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
        "GET http://a.test,b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ];
    for head in http1 {
        let mut client = stand.proxy.client().await;
        client.send(head).await;
        assert_eq!(client.response().await.status, 400, "{head:?}");
        client.until_gone().await;
    }
    #[rustfmt::skip]
    let http2: [&[(&str, &str)]; 9] = [
        &[(":authority", HOST), (":path", "*")],
        &[(":authority", HOST), (":path", "a")],
        &[(":path", "/a")],
        &[(":path", "/a"), ("host", "a.test,b.test")],
        &[(":authority", "a.test,b.test"), (":path", "/a")],
        &[(":authority", "a.test"), (":path", "/a"), ("host", "b.test")],
        &[(":authority", "a.test"), (":path", "/a"), ("x-a", " b")],
        &[(":authority", "a.test"), (":path", "/a"), ("x-a", "b\t")],
        &[(":authority", "u@a.test"), (":path", "/a")],
    ];
    for head in http2 {
        let mut frames = Frames::connect(stand.proxy.address()).await;
        assert_eq!(frames.get(head).await, 400, "{head:?}");
    }
    assert_eq!(stand.origin.requests().len(), 0);
}

/// What looks odd and is right.
#[tokio::test]
async fn what_has_one_meaning_is_served() {
    let stand = Stand::start("").await;
    #[rustfmt::skip]
    let http1 = [
        // RFC 9112 §3.2: only HTTP/1.1 must have a Host.
        "GET /1 HTTP/1.0\r\n\r\n",
        // RFC 9112 §3.2.2: the target's authority wins.
        "GET http://a.test/2 HTTP/1.1\r\nHost: b.test\r\n\r\n",
        "GET /3 HTTP/1.1\r\nHost: a.test\r\nx-a: \t b \t\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ];
    for head in http1 {
        let mut client = stand.proxy.client().await;
        client.send(head).await;
        assert_eq!(client.response().await.status, 200, "{head:?}");
    }
    let seen = stand.origin.requests();
    assert_eq!(seen[1].field("host"), Some("a.test"));
    assert_eq!(seen[2].field("x-a"), Some("b"));
    assert_eq!(seen[3].path, "*");
    for head in [
        &[(":path", "/4"), ("host", "a.test")][..],
        &[
            (":authority", "A.test"),
            (":path", "/5"),
            ("host", "a.test:80"),
        ],
        &[(":authority", "a.test"), (":path", "/6"), ("x-a", "")],
    ] {
        let mut frames = Frames::connect(stand.proxy.address()).await;
        assert_eq!(frames.get(head).await, 200, "{head:?}");
        assert_eq!(
            stand.origin.last().field("host"),
            Some("a.test"),
            "{head:?}"
        );
    }
}
