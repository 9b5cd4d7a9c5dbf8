//! The operator's page, and the sample of requests that it shows. What a browser makes of it is tried by
//! tests/outside/dashboard.py.

use serde_json::Value;

use crate::harness::{FRESH, Origin, Proxy, eventually};

const FILES: [&str; 6] = [
    "style.css",
    "main.js",
    "api.js",
    "figures.js",
    "show.js",
    "forms.js",
];

#[tokio::test]
async fn the_page_needs_no_token_and_runs_nothing_but_its_own_scripts() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::before(&origin)
        .table("admin", "token = \"secret\"")
        .start()
        .await;
    let mut admin = proxy.admin().await;
    let pages = FILES.map(|it| format!("/dashboard/{it}"));
    for path in ["/dashboard"]
        .into_iter()
        .chain(pages.iter().map(|it| &**it))
    {
        let page = admin.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        let policy = page.field("content-security-policy").unwrap_or_default();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(page.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.field("cache-control"), Some("no-store"));
    }
    assert_eq!(admin.get("/dashboard/secret.js").await.status, 404);
    assert_eq!(admin.get("/api/v1/requests").await.status, 401);
}

#[tokio::test]
async fn a_browser_is_sent_there_from_the_root() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    let mut admin = proxy.admin().await;
    let fields = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let sent = admin.get_with("/", &fields).await;
    assert_eq!(
        (sent.status, sent.field("location")),
        (303, Some("/dashboard"))
    );
    assert_eq!(admin.get_with("/", &[("accept", "*/*")]).await.status, 200);
}

async fn recent(proxy: &Proxy, after: u64) -> Value {
    let path = format!("/api/v1/requests?after={after}");
    let told = proxy.admin().await.get(&path).await;
    assert_eq!(told.status, 200, "{told:?}");
    serde_json::from_slice(&told.body).expect("JSON")
}

#[tokio::test]
async fn requests_are_shown_to_who_has_looked_before_each_once() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    proxy.get("/unseen").await;
    let counted = async || proxy.metric("copal_requests_total", "").await == 1.0;
    eventually("the first to end", counted).await;
    assert_eq!(recent(&proxy, 0).await["requests"], Value::Array(vec![]));
    for path in ["/a?b=1", "/a?b=1"] {
        proxy.get(path).await;
    }
    let counted = async || recent(&proxy, 0).await["last"] == 2;
    eventually("both to be taken", counted).await;
    let told = recent(&proxy, 0).await;
    let [miss, hit] = &told["requests"].as_array().expect("a list")[..] else {
        panic!("{told}");
    };
    for (request, outcome, bytes) in [(miss, "miss", 5), (hit, "hit", 5)] {
        assert_eq!(request["outcome"], outcome, "{told}");
        assert_eq!(request["body_bytes"], bytes, "{told}");
        assert_eq!(request["status"], 200, "{told}");
        assert!(
            request["url"]
                .as_str()
                .is_some_and(|it| it.ends_with("/a?b=1")),
            "{told}"
        );
    }
    assert!(
        miss["server"].is_string() && hit["server"].is_null(),
        "{told}"
    );
    assert_eq!(recent(&proxy, 2).await["requests"], Value::Array(vec![]));
    let mut admin = proxy.admin().await;
    assert_eq!(admin.get("/api/v1/requests?after=x").await.status, 400);
}

/// What the page counts by.
#[tokio::test]
async fn the_status_has_requests_by_site_and_how_long_they_took() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    for path in ["/a", "/a", "/b"] {
        proxy.get(path).await;
    }
    let counted = async || proxy.metric("copal_requests_total", "").await == 3.0;
    eventually("three requests to be counted", counted).await;
    let told = proxy.admin().await.get("/api/v1/status").await;
    let told: Value = serde_json::from_slice(&told.body).expect("JSON");
    let sites = told["sites"].as_object().expect("a table");
    let hits = |outcome| {
        sites
            .values()
            .filter_map(|it| it["requests"][outcome].as_u64())
            .sum::<u64>()
    };
    assert_eq!((hits("hit"), hits("miss")), (1, 2), "{told}");
    assert_eq!(told["responses"]["2xx"], 3, "{told}");
    let durations = &told["durations"];
    assert_eq!(durations["count"], 3);
    let buckets = durations["buckets"].as_array().expect("a list");
    let counts = buckets.iter().filter_map(|it| it["count"].as_u64());
    assert_eq!(counts.sum::<u64>(), 3, "{durations}");
    assert!(
        buckets.last().is_some_and(|it| it["seconds"].is_null()),
        "{durations}"
    );
}
