//! What is shown when something failed: pages, templates and JSON in place of our own line of text and of
//! origins' errors, and maintenance.

use std::fs;
use std::net::Ipv4Addr;

use crate::harness::{Client, FRESH, Origin, Proxy, Response, TempDir, eventually};

const PAGE: &str = "<h1>${status} ${reason}</h1>${host} ${path} ${header[\"x-name\"]}";

/// Files of error pages, by their names.
struct Pages(TempDir);

// === impl Pages ===

impl Pages {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new();
        for (name, text) in files {
            folder.write(name, text);
        }
        Self(folder)
    }

    /// A path as it stands in TOML.
    fn path(&self, name: &str) -> String {
        format!("{:?}", self.0.path().join(name).display().to_string())
    }
}

fn is_page(response: &Response, kind: &str, body: &str) -> bool {
    response.field("content-type") == Some(kind)
        && response.field("cache-control") == Some("no-store")
        && response.text() == body
}

const HTML: &str = "text/html; charset=utf-8";

// --- our own -------------------------------------------------------------------------------------

#[tokio::test]
async fn pages_stand_in_for_our_line_of_text_the_nearest_first() {
    let pages = Pages::with(&[
        ("server.html", "server ${status}"),
        ("site.html", "site ${status}"),
        ("route.txt", "route ${status} ${reason}"),
    ]);
    let (server, site, route) = (
        pages.path("server.html"),
        pages.path("site.html"),
        pages.path("route.txt"),
    );
    let sites = format!(
        "
        [[site]]
        hosts = [\"a.test\"]
        origin = \"main\"
        error_pages = {{ 502 = {site} }}
        route = [
            {{ path = \"/*\" }},
            {{ path = \"/route/*\", error_pages = {{ \"5xx\" = {route} }} }},
            {{ path = \"/own\", answer = {{ status = 404, body = \"mine\" }} }},
        ]
        "
    );
    let server = format!("error_pages = {{ \"4xx\" = {server}, \"5xx\" = {server} }}");
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .table("server", &server)
        .sites(&sites)
        .start()
        .await;
    let mut here = proxy.client().await.asking_for("a.test");
    let mut nowhere = proxy.client().await.asking_for("b.test");
    let answer = here.get("/x").await;
    assert!(
        answer.status == 502 && is_page(&answer, HTML, "site 502"),
        "{answer:?}"
    );
    assert!(
        answer.says("detail=origin-refused") && answer.field("x-request-id").is_some(),
        "{answer:?}"
    );
    let answer = here.get("/route/x").await;
    let plain = "text/plain; charset=utf-8";
    assert!(
        is_page(&answer, plain, "route 502 Bad Gateway"),
        "{answer:?}"
    );
    let answer = nowhere.get("/x").await;
    assert!(
        answer.status == 404 && is_page(&answer, HTML, "server 404"),
        "{answer:?}"
    );
    let answer = here.send_body("TRACE", "/x", "").await;
    assert!(
        answer.status == 405 && is_page(&answer, HTML, "server 405"),
        "{answer:?}"
    );
    assert_eq!(here_again(&proxy).await.get("/own").await.text(), "mine");
}

async fn here_again(proxy: &Proxy) -> Client {
    proxy.client().await.asking_for("a.test")
}

#[tokio::test]
async fn what_a_client_wrote_stays_text() {
    let pages = Pages::with(&[
        ("e.html", PAGE),
        (
            "e.json",
            "{\"path\":\"${path}\",\"name\":\"${header[\"x-name\"]}\"}",
        ),
    ]);
    let site = format!(
        "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\nerror_pages = {{ \"5xx\" = [{}, {}] }}\n",
        pages.path("e.html"),
        pages.path("e.json")
    );
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .sites(&site)
        .start()
        .await;
    let name = ("x-name", "\"<b>&\\");
    let mut client = proxy.client().await.asking_for("a.test");
    let answer = client.get_with("/a'", &[name]).await;
    let body = "<h1>502 Bad Gateway</h1>a.test /a&#39; &quot;&lt;b&gt;&amp;\\";
    assert!(is_page(&answer, HTML, body), "{answer:?}");
    let accept = ("accept", "application/json");
    let answer = client.get_with("/a'", &[name, accept]).await;
    let body = r#"{"path":"/a'","name":"\"\u003cb>&\\"}"#;
    assert!(is_page(&answer, "application/json", body), "{answer:?}");
}

/// RFC 9457; a client that says nothing of JSON is told as ever.
#[tokio::test]
async fn clients_of_an_api_get_problems() {
    let site = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\nerror_json = true\n";
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .sites(site)
        .start()
        .await;
    for (accept, is_json) in [
        ("application/json", true),
        ("application/problem+json", true),
        ("application/json, text/plain, */*", true),
        ("text/html,*/*;q=0.8", false),
        ("*/*", false),
    ] {
        let answer = proxy.get_with("/a", &[("accept", accept)]).await;
        let kind = answer.field("content-type").unwrap_or_default();
        assert_eq!(
            kind == "application/problem+json",
            is_json,
            "{accept}: {answer:?}"
        );
        let id = answer.field("x-request-id").unwrap_or_default();
        let problem = format!(
            "{{\"title\":\"Bad Gateway\",\"status\":502,\"detail\":\"the origin gave no valid \
             answer\",\"request_id\":\"{id}\"}}\n"
        );
        assert_eq!(answer.text() == problem, is_json, "{accept}: {answer:?}");
    }
}

#[tokio::test]
async fn a_head_has_the_length_of_the_page_and_no_more() {
    let pages = Pages::with(&[("e.html", "sixteen letters.")]);
    let site = format!(
        "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\nintercept = [\"5xx\"]\nerror_pages = {{ \"5xx\" = {} }}\n",
        pages.path("e.html")
    );
    let origin = Origin::answering(500, &[], "internal");
    let proxy = Proxy::before(&origin).sites(&site).start().await;
    let answer = proxy.send("HEAD", "/a", &[]).await;
    assert_eq!(
        (answer.status, answer.field("content-length")),
        (500, Some("16"))
    );
    let none = Proxy::before_url("http://127.0.0.1:1")
        .sites(&site)
        .start()
        .await;
    let answer = none.send("HEAD", "/a", &[]).await;
    assert_eq!(
        (answer.status, answer.field("content-length")),
        (502, Some("16"))
    );
}

// --- of origins ----------------------------------------------------------------------------------

#[tokio::test]
async fn errors_of_origins_are_replaced_where_it_is_wanted() {
    let pages = Pages::with(&[("e.html", "ours ${status}")]);
    let origin = Origin::start(async move |request, connection| {
        let (status, fields): (_, &[(&str, &str)]) = match &*request.path {
            "/busy" => (503, &[("retry-after", "7"), ("x-secret", "stack trace")]),
            "/gone" => (404, FRESH),
            "/mine" => (418, &[]),
            _ => (200, FRESH),
        };
        connection.respond(status, fields, "theirs").await;
    });
    let site = format!(
        "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\nintercept = [\"5xx\", \"404\", \"416\"]\n\
         error_pages = {{ \"4xx\" = {page}, \"5xx\" = {page} }}\n",
        page = pages.path("e.html")
    );
    let proxy = Proxy::before(&origin).sites(&site).start().await;
    let busy = proxy.get("/busy").await;
    assert!(
        busy.status == 503 && is_page(&busy, HTML, "ours 503"),
        "{busy:?}"
    );
    assert_eq!(
        (busy.field("retry-after"), busy.field("x-secret")),
        (Some("7"), None)
    );
    assert!(busy.says("fwd=uri-miss"), "{busy:?}");
    for is_hit in [false, true] {
        let gone = proxy.get("/gone").await;
        assert!(
            gone.status == 404 && is_page(&gone, HTML, "ours 404"),
            "{gone:?}"
        );
        assert_eq!(
            (gone.is_hit(), gone.age()),
            (is_hit, None),
            "the origin's answer is stored"
        );
    }
    assert_eq!(origin.count("/gone"), 1);
    assert_eq!(proxy.get("/mine").await.text(), "theirs");
    assert!(proxy.get("/page").await.is_good("theirs"));
    let beyond = proxy.get_with("/page", &[("range", "bytes=99-")]).await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.field("content-range"), Some("bytes */6"));
    assert!(proxy.get("/a").await.is_good("theirs"));
    let counted = async || proxy.metric("copal_intercepted_total", "").await == 3.0;
    eventually("three pages to be counted", counted).await;
}

/// A reload reads the pages again.
#[tokio::test]
async fn a_page_is_read_at_load() {
    let pages = Pages::with(&[("e.html", "old")]);
    let site = format!(
        "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\nerror_pages = {{ 502 = {} }}\n",
        pages.path("e.html")
    );
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .sites(&site)
        .start()
        .await;
    pages.0.write("e.html", "new");
    assert_eq!(proxy.get("/").await.text(), "old");
    proxy.sighup();
    let renewed = async || proxy.get("/").await.text() == "new";
    eventually("the page to be read again", renewed).await;
    pages.0.write("e.html", "${statuss}");
    proxy.sighup();
    proxy
        .says("unknown value `${statuss}`; did you mean `${status}`?")
        .await;
    assert_eq!(proxy.get("/").await.text(), "new");
}

// --- maintenance ---------------------------------------------------------------------------------

fn is_closed(response: &Response, retry_after: &str) -> bool {
    response.status == 503
        && response.says("detail=maintenance")
        && response.field("retry-after") == Some(retry_after)
}

#[tokio::test]
async fn in_a_maintenance_all_but_a_few_come_again_later() {
    let pages = Pages::with(&[("closed.html", "back soon")]);
    let origin = Origin::answering(200, FRESH, "hello");
    let site = format!(
        "
        [[site]]
        hosts = [\"*\"]
        origin = \"main\"
        maintenance = {{ retry_after = \"90s\", allow = [\"127.0.0.2\"] }}
        error_pages = {{ 503 = {} }}
        route = [{{ path = \"/*\" }}, {{ path = \"/status\", maintenance = false }}]
        ",
        pages.path("closed.html")
    );
    let proxy = Proxy::before(&origin).sites(&site).start().await;
    let mut few = Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), proxy.address()).await;
    assert!(few.get("/a").await.is_good("hello"));
    let closed = proxy.get("/a").await;
    assert!(
        is_closed(&closed, "90") && is_page(&closed, HTML, "back soon"),
        "{closed:?}"
    );
    assert!(proxy.get("/status").await.is_good("hello"));
}

#[tokio::test]
async fn a_file_begins_a_maintenance_and_ends_it() {
    let folder = TempDir::new();
    let file = folder.path().join("closed");
    let origin = Origin::answering(200, FRESH, "hello");
    let switch = format!(
        "maintenance = {{ file = {:?} }}",
        file.display().to_string()
    );
    let proxy = Proxy::before(&origin)
        .table("server", &switch)
        .start()
        .await;
    assert!(proxy.get("/a").await.is_good("hello"));
    folder.write("closed", "");
    let closed = async || is_closed(&proxy.get("/a").await, "300");
    eventually("the maintenance to begin", closed).await;
    fs::remove_file(&file).expect("the file of ours");
    let open = async || proxy.get("/a").await.is_hit();
    eventually("the maintenance to end", open).await;
    proxy.says("maintenance ends").await;
}
