//! Purges by what a response was made of: tags of all the fields that caches have for them, groups of
//! RFC 9875, what answers say that they have changed, and patterns.

use crate::harness::{Gate, Origin, Proxy, Response, eventually, with_cache};

fn purged(response: &Response) -> Option<u64> {
    assert_eq!(response.status, 200, "{response:?}");
    let json: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    json["purged"].as_u64()
}

/// Pages by their paths: `/a?cache-tag=x%20y` is one with the tags x and y in that field. A POST
/// answers with the fields that it was sent as `x-answer: name=value`.
fn tagging() -> Origin {
    Origin::start(async |request, connection| {
        if let Some(answer) = request.field("x-answer") {
            let (name, value) = answer.split_once('=').expect("a field");
            return connection.respond(200, &[(name, value)], "done").await;
        }
        let query = request.path.split_once('?').map_or("", |it| it.1);
        let (name, value) = query.split_once('=').unwrap_or(("x-none", ""));
        let value = value.replace("%20", " ").replace("%22", "\"");
        let fields = [("cache-control", "max-age=60"), (name, &*value)];
        connection
            .respond(200, &fields, request.nth.to_string())
            .await;
    })
}

const PAGES: [&str; 7] = [
    "/1?surrogate-key=a%20b",
    "/2?cache-tag=a,c",
    "/3?xkey=b%20d",
    "/4?x-magento-tags=a,cat_p_1",
    "/5?x-litespeed-tag=c",
    "/6?cache-groups=%22a%22,%22e%20f%22",
    "/7",
];

async fn fill(proxy: &Proxy) {
    for page in PAGES {
        proxy.get(page).await;
        assert!(proxy.get(page).await.is_hit(), "{page}");
    }
}

#[tokio::test]
async fn tags_of_all_fields_are_one_set() {
    let table: [(&str, u64, &[usize]); 6] = [
        ("[\"a\"]", 4, &[0, 1, 3, 5]),
        ("[\"b\",\"cat_p_1\"]", 3, &[0, 2, 3]),
        ("[\"a\",\"b\",\"c\"]", 6, &[0, 1, 2, 3, 4, 5]),
        ("[\"e f\"]", 1, &[5]),
        ("[\"e\"]", 0, &[]),
        ("[\"A\"]", 0, &[]),
    ];
    let origin = tagging();
    let proxy = Proxy::start(&origin).await;
    for soft in [false, true] {
        for (tags, count, met) in table {
            proxy.purge("{\"all\":true}").await;
            fill(&proxy).await;
            let answer = proxy
                .purge(&format!("{{\"tags\":{tags},\"soft\":{soft}}}"))
                .await;
            assert_eq!(purged(&answer), Some(count), "{tags}");
            for (index, page) in PAGES.iter().enumerate() {
                let next = proxy.get(page).await;
                let is_right = match met.contains(&index) {
                    true => next.says("fwd=stale") == soft && !next.is_hit(),
                    false => next.is_hit(),
                };
                assert!(is_right, "{tags}, {page}: {next:?}");
            }
        }
    }
}

#[tokio::test]
async fn clients_see_no_tags_unless_they_are_to() {
    let origin = tagging();
    for (lines, is_shown) in [("", false), ("tags.show = true", true)] {
        let proxy = with_cache(lines)(&origin).start().await;
        for _ in ["miss", "hit"] {
            let answer = proxy.get(PAGES[0]).await;
            assert_eq!(
                answer.field("surrogate-key").is_some(),
                is_shown,
                "{answer:?}"
            );
            let answer = proxy.get(PAGES[5]).await;
            assert!(
                answer.field("cache-groups").is_some(),
                "for all caches: {answer:?}"
            );
        }
        let passed = proxy.send("POST", "/", &[("x-answer", "xkey=a")]).await;
        assert_eq!(passed.field("xkey").is_some(), is_shown, "{passed:?}");
        let answer = proxy.purge("{\"tags\":[\"b\"]}").await;
        assert_eq!(purged(&answer), Some(1));
    }
}

#[tokio::test]
async fn a_304_that_says_nothing_of_tags_leaves_them() {
    let origin = Origin::start(async |request, connection| {
        let fields = [
            ("cache-control", "max-age=60"),
            ("etag", "\"1\""),
            ("xkey", "a"),
        ];
        match request.field("if-none-match") {
            Some(_) => connection.respond(304, &fields[..2], "").await,
            None => connection.respond(200, &fields, "text").await,
        }
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/").await;
    proxy.purge("{\"all\":true,\"soft\":true}").await;
    assert!(proxy.get("/").await.says("fwd-status=304"));
    assert_eq!(purged(&proxy.purge("{\"tags\":[\"a\"]}").await), Some(1));
    assert!(!proxy.get("/").await.is_hit());
}

#[tokio::test]
async fn a_response_with_too_many_tags_is_not_stored() {
    let origin = tagging();
    let proxy = with_cache("tags.max = 2")(&origin).start().await;
    for _ in 0..2 {
        let answer = proxy.get("/?xkey=a%20b%20c").await;
        assert!(answer.says("detail=too-many-tags"), "{answer:?}");
    }
    proxy.get("/?xkey=a%20b").await;
    assert!(proxy.get("/?xkey=a%20b").await.is_hit());
}

/// RFC 9875 §3, and what is configured; each about its own origin alone.
#[tokio::test]
async fn an_answer_purges_what_it_says_of_its_own_origin() {
    let group = "cache-group-invalidation=\"a\"";
    let table = [
        ("POST", "example.test", group, false),
        ("DELETE", "example.test", group, false),
        ("GET", "example.test", group, true),
        ("POST", "other.test", group, true),
        ("POST", "example.test:8080", group, true),
        (
            "POST",
            "example.test",
            "cache-group-invalidation=\"b\"",
            true,
        ),
        ("POST", "example.test", "cache-group-invalidation=a", true),
        ("POST", "example.test", "x-purge=b a", false),
        ("GET", "example.test", "x-purge=a", false),
        ("GET", "other.test", "x-purge=a", true),
    ];
    let origin = tagging();
    let setup = with_cache("tags.purged_by = [\"X-Purge\"]")(&origin);
    let proxy = setup.start().await;
    for (method, host, answer, is_left) in table {
        proxy.get(PAGES[5]).await;
        assert!(proxy.get(PAGES[5]).await.is_hit());
        let fields = [("host", host), ("x-answer", answer)];
        let answered = proxy.send(method, "/new", &fields).await;
        assert_eq!((answered.status, answered.field("x-purge")), (200, None));
        let next = proxy.get(PAGES[5]).await;
        assert_eq!(next.is_hit(), is_left, "{method} {host} {answer}: {next:?}");
    }
}

#[tokio::test]
async fn a_pattern_is_about_host_path_and_query() {
    let table: [(&str, &[usize]); 5] = [
        ("^example\\\\.test/[12]", &[0, 1]),
        ("cache", &[1, 5]),
        ("^example.test/7$", &[6]),
        ("^/7$", &[]),
        ("^other", &[]),
    ];
    let origin = tagging();
    let proxy = Proxy::start(&origin).await;
    for soft in [false, true] {
        for (pattern, met) in table {
            proxy.purge("{\"all\":true}").await;
            fill(&proxy).await;
            let json = format!("{{\"pattern\":\"{pattern}\",\"soft\":{soft}}}");
            assert_eq!(purged(&proxy.purge(&json).await), None, "{pattern}");
            for (index, page) in PAGES.iter().enumerate() {
                let next = proxy.get(page).await;
                assert_eq!(
                    !next.is_hit(),
                    met.contains(&index),
                    "{pattern} {page}: {next:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_page_is_purged_with_all_its_queries() {
    let origin = tagging();
    let proxy = Proxy::start(&origin).await;
    let pages = ["/p", "/p?a=1", "/p?a=/p/", "/p/", "/p/b", "/pa"];
    for page in pages {
        proxy.get(page).await;
    }
    let json = "{\"url\":\"https://example.test/p?c\",\"any_query\":true}";
    assert_eq!(purged(&proxy.purge(json).await), None);
    for (index, page) in pages.iter().enumerate() {
        assert_eq!(proxy.get(page).await.is_hit(), index > 2, "{page}");
    }
}

/// How many wait for an answer for `/a`.
async fn waiting(proxy: &Proxy) -> Option<u64> {
    let mut admin = proxy.admin().await;
    let url = "/api/v1/explain?url=http%3A%2F%2Fexample.test%2Fa";
    let told: serde_json::Value = serde_json::from_slice(&admin.get(url).await.body).ok()?;
    told["fetches"]["waiting"].as_u64()
}

/// Asked for before the purge, of which nobody knew yet what it would be made of.
#[tokio::test]
async fn a_fetch_in_progress_does_not_outlive_a_purge_by_tag() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.nth == 1 {
            held.pass().await;
        }
        let fields = [("cache-control", "max-age=60"), ("xkey", "a")];
        connection
            .respond(200, &fields, request.nth.to_string())
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut early = proxy.herd(2, "/a").await;
    gate.arrived(1).await;
    proxy.purge("{\"tags\":[\"a\"]}").await;
    let mut late = proxy.herd(2, "/a").await;
    eventually("three to wait for the first", async || {
        waiting(&proxy).await == Some(3)
    })
    .await;
    gate.open();
    for client in &mut early {
        let answer = client.response().await;
        assert!(answer.is_good("1") || answer.is_good("2"), "{answer:?}");
    }
    for client in &mut late {
        let answer = client.response().await;
        assert!(answer.is_good("2"), "{answer:?}");
    }
    assert!(proxy.get("/a").await.is_good("2"));
}

#[tokio::test]
async fn explain_tells_the_tags() {
    let origin = tagging();
    let proxy = Proxy::start(&origin).await;
    proxy.get(PAGES[0]).await;
    let mut admin = proxy.admin().await;
    let url = "/api/v1/explain?url=http%3A%2F%2Fexample.test%2F1%3Fsurrogate-key%3Da%2520b";
    admin.request("GET", url, &[]).await;
    let told: serde_json::Value =
        serde_json::from_slice(&admin.response().await.body).expect("JSON");
    assert_eq!(
        told["variants"][0]["tags"],
        serde_json::json!(["a", "b"]),
        "{told}"
    );
}
