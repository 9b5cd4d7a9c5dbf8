//! What the operator is told of a URL: by the admin endpoint, and by `copal explain`. Telling must
//! change nothing, and what is foretold must be what happens.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{Fields, Gate, Origin, Proxy, Response, TAGGED, TempDir, command, eventually};

/// The answer for a path of the usual host, with these fields.
async fn explain_with(proxy: &Proxy, path: &str, fields: Fields<'_>) -> Value {
    let mut query = format!("url={}", encoded(&format!("http://example.test{path}")));
    for (name, value) in fields {
        query += &format!("&header={}", encoded(&format!("{name}: {value}")));
    }
    let response = ask(proxy, &query).await;
    assert_eq!(response.status, 200, "{response:?}");
    json_of(&response)
}

async fn explain(proxy: &Proxy, path: &str) -> Value {
    explain_with(proxy, path, &[]).await
}

async fn ask(proxy: &Proxy, query: &str) -> Response {
    let path = format!("/api/v1/explain?{query}");
    proxy.admin().await.get(&path).await
}

/// A GET whose answer is on the shelf, or known not to be stored, when this returns.
async fn prime(proxy: &Proxy, path: &str, fields: Fields<'_>) {
    proxy.get_with(path, fields).await;
    let landed = async || explain(proxy, path).await["fetches"]["count"] == 0;
    eventually("the fill to end", landed).await;
}

fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).expect("JSON")
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn why(told: &Value) -> &str {
    told["next"]["why"].as_str().expect("sentences")
}

// --- what is stored ------------------------------------------------------------------------------

#[tokio::test]
async fn of_an_unknown_url_nothing_is_known_and_asking_changes_nothing() {
    let origin = Origin::answering(200, TAGGED, "hello");
    let proxy = Proxy::start(&origin).await;
    for _ in 0..3 {
        let told = explain(&proxy, "/a?b").await;
        assert_eq!(told["url"], "http://example.test/a?b");
        assert_eq!(told["key"], "http://example.test/a?b");
        assert_eq!(told["next"]["outcome"], "miss");
        assert_eq!(told["next"]["cache_status"], "copal; fwd=uri-miss");
        assert_eq!(told["variants"], json!([]));
        assert_eq!(told["hit_for_miss"], Value::Null);
        assert_eq!(
            told["fetches"],
            json!({"count": 0, "open": 0, "waiting": 0})
        );
    }
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(proxy.metric("copal_requests_total", "").await, 0.0);
}

#[tokio::test]
async fn of_a_fresh_page_age_lifetime_and_hits_are_told() {
    let fields = [
        ("cache-control", "max-age=600"),
        ("age", "100"),
        ("etag", "\"e\""),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ];
    let origin = Origin::start(async move |_, connection| {
        connection.respond(200, &fields, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    prime(&proxy, "/a", &[]).await;
    for hits in 0..3 {
        let told = explain(&proxy, "/a").await;
        assert_eq!(told["next"]["outcome"], "hit", "{told}");
        assert!(why(&told).contains("fresh"), "{told}");
        let variant = &told["variants"][0];
        let age = variant["age"].as_i64().expect("an age");
        assert!((100..110).contains(&age), "{variant}");
        assert_eq!(variant["ttl"], 600 - age);
        assert!(variant["bytes"].as_u64() > Some(5), "{variant}");
        let expected = [
            ("chosen", json!(true)),
            ("status", json!(200)),
            ("lifetime", json!(600)),
            ("hits", json!(hits)),
            ("tier", json!("memory")),
            ("complete", json!(true)),
            ("vary", json!({})),
            ("soft_purged", json!(false)),
            ("etag", json!("\"e\"")),
            ("last_modified", json!("Sun, 06 Nov 1994 08:49:37 GMT")),
        ];
        for (name, value) in expected {
            assert_eq!(variant[name], value, "{name}: {variant}");
        }
        assert!(proxy.get("/a").await.is_hit());
    }
}

#[tokio::test]
async fn hits_are_counted_on_through_a_revalidation_and_a_soft_purge_is_told() {
    let origin = Origin::start(async |request, connection| {
        let status = match request.field("if-none-match") {
            Some(_) => 304,
            None => 200,
        };
        connection.respond(status, TAGGED, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    prime(&proxy, "/a", &[]).await;
    assert!(proxy.get("/a").await.is_hit());
    proxy
        .purge("{\"url\":\"http://example.test/a\",\"soft\":true}")
        .await;
    let told = explain(&proxy, "/a").await;
    assert_eq!(told["next"]["outcome"], "revalidated", "{told}");
    assert!(why(&told).starts_with("A soft-purged response"), "{told}");
    assert_eq!(told["variants"][0]["soft_purged"], true);
    assert_eq!(told["variants"][0]["hits"], 1);
    assert!(proxy.get("/a").await.says("fwd-status=304"));
    assert!(proxy.get("/a").await.is_hit());
    let told = explain(&proxy, "/a").await;
    assert_eq!(told["variants"][0]["soft_purged"], false);
    assert_eq!(told["variants"][0]["hits"], 2);
}

#[tokio::test]
async fn a_field_chooses_among_variants() {
    let origin = Origin::start(async |request, connection| {
        let fields = [("cache-control", "max-age=60"), ("vary", "accept-language")];
        let language = request.field("accept-language").unwrap_or("none");
        connection.respond(200, &fields, language).await;
    });
    let proxy = Proxy::start(&origin).await;
    prime(&proxy, "/a", &[("accept-language", "de")]).await;
    prime(&proxy, "/a", &[("accept-language", "EN, fr")]).await;
    // (the request, which of the variants, newest first)
    let table: [(Fields, Option<usize>); 4] = [
        (&[("accept-language", "en,fr")], Some(0)),
        (&[("Accept-Language", "de"), ("x", "y")], Some(1)),
        (&[("accept-language", "it")], None),
        (&[], None),
    ];
    for (fields, chosen) in table {
        let told = explain_with(&proxy, "/a", fields).await;
        let variants = told["variants"].as_array().expect("variants");
        let languages = variants.iter().map(|it| &it["vary"]["accept-language"]);
        assert_eq!(languages.collect::<Vec<_>>(), ["en,fr", "de"]);
        let found = variants.iter().position(|it| it["chosen"] == true);
        assert_eq!(found, chosen, "{fields:?}");
        let expected = match chosen {
            Some(_) => "copal; hit",
            None => "copal; fwd=vary-miss",
        };
        assert_eq!(told["next"]["cache_status"], expected, "{fields:?}");
    }
    prime(&proxy, "/a", &[]).await;
    let told = explain(&proxy, "/a").await;
    assert_eq!(
        told["variants"][0]["vary"]["accept-language"],
        Value::Null,
        "it was absent"
    );
}

#[tokio::test]
async fn what_is_being_fetched_is_told() {
    let (head, body) = (Gate::new(), Gate::new());
    let held = (head.clone(), body.clone());
    let origin = Origin::start(async move |_, connection| {
        held.0.pass().await;
        let fields = [TAGGED[0], ("transfer-encoding", "chunked")];
        connection.begin(200, &fields).await;
        connection.chunk("one").await;
        held.1.pass().await;
        connection.chunk("").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut herd = proxy.herd(3, "/a").await;
    head.arrived(1).await;
    let waiting = async || {
        let told = explain(&proxy, "/a").await;
        told["fetches"] == json!({"count": 1, "open": 1, "waiting": 2})
    };
    eventually("two requests to wait for the third's answer", waiting).await;
    let told = explain(&proxy, "/a").await;
    assert_eq!(told["next"]["outcome"], "collapsed", "{told}");
    assert!(why(&told).contains("waited for"), "{told}");
    head.open();
    for client in &mut herd {
        client.head().await;
    }
    let told = explain(&proxy, "/a").await;
    assert_eq!(told["variants"][0]["complete"], false, "{told}");
    assert_eq!(told["variants"][0]["status"], 200);
    assert_eq!(
        told["next"]["cache_status"],
        "copal; fwd=uri-miss; collapsed"
    );
    body.open();
    let filed = async || explain(&proxy, "/a").await["variants"][0]["complete"] == true;
    eventually("the body to end", filed).await;
    assert_eq!(explain(&proxy, "/a").await["fetches"]["count"], 0);
}

// --- what is foretold ----------------------------------------------------------------------------

/// One situation: what the origin says, and what is then asked and foretold.
struct Case {
    stored: Fields<'static>,
    asked: Fields<'static>,
    outcome: &'static str,
    cache_status: &'static str,
    word: &'static str,
}

#[rustfmt::skip]
const CASES: [Case; 9] = [
    Case {
        stored: TAGGED, asked: &[], outcome: "hit", cache_status: "copal; hit", word: "fresh",
    },
    Case {
        stored: &[("cache-control", "max-age=1, stale-while-revalidate=900"), ("age", "5"), ("etag", "\"1\"")],
        asked: &[], outcome: "stale", cache_status: "copal; hit; ttl=-", word: "grace of 900 s",
    },
    Case {
        stored: &[("cache-control", "max-age=1"), ("age", "5"), ("etag", "\"1\"")],
        asked: &[], outcome: "revalidated", cache_status: "copal; fwd=stale", word: "still right",
    },
    Case {
        stored: &[("cache-control", "no-cache"), ("etag", "\"1\"")],
        asked: &[], outcome: "revalidated", cache_status: "copal; fwd=stale", word: "each time",
    },
    Case {
        stored: &[("cache-control", "private")],
        asked: &[], outcome: "miss", cache_status: "copal; fwd=uri-miss", word: "could not be shared",
    },
    Case {
        stored: &[("cache-control", "private")], asked: &[("range", "bytes=0-1")],
        outcome: "miss", cache_status: "copal; fwd=uri-miss", word: "could not be shared",
    },
    Case {
        stored: TAGGED, asked: &[("authorization", "Basic eA==")],
        outcome: "pass", cache_status: "copal; fwd=request", word: "Authorization",
    },
    Case {
        stored: TAGGED, asked: &[("cookie", "a=b")],
        outcome: "pass", cache_status: "copal; fwd=bypass; detail=cookie", word: "cookie \"a\"",
    },
    Case {
        stored: &[("cache-control", "max-age=60"), ("vary", "a")], asked: &[("a", "1")],
        outcome: "miss", cache_status: "copal; fwd=vary-miss", word: "other fields",
    },
];

#[tokio::test]
async fn what_is_foretold_happens() {
    for case in CASES {
        let origin =
            Origin::start(
                async move |request, connection| match request.field("if-none-match") {
                    Some(_) => connection.respond(304, case.stored, "").await,
                    None => connection.respond(200, case.stored, "hello").await,
                },
            );
        let proxy = Proxy::start(&origin).await;
        prime(&proxy, "/a", &[]).await;
        let told = explain_with(&proxy, "/a", case.asked).await;
        assert_eq!(told["next"]["outcome"], case.outcome, "{told}");
        assert!(why(&told).contains(case.word), "{told}");
        let foretold = told["next"]["cache_status"].as_str().expect("a member");
        assert!(foretold.starts_with(case.cache_status), "{told}");
        let response = proxy.get_with("/a", case.asked).await;
        // Seconds may pass in between, and what an answer alone can tell comes behind.
        let happened = response.cache_status();
        let known = foretold.split("; ttl=").next().unwrap_or_default();
        assert!(happened.starts_with(known), "{foretold}, but {happened}");
        assert_eq!(foretold.contains("ttl="), case.outcome == "stale");
        let counted = async || proxy.metric("copal_requests_total", "").await == 2.0;
        eventually("both requests to be counted", counted).await;
        let label = format!("outcome=\"{}\"", case.outcome);
        let count = proxy.metric("copal_requests_total", &label).await;
        let first = if case.outcome == "miss" { 1.0 } else { 0.0 };
        assert_eq!(count - first, 1.0, "{}", case.outcome);
    }
}

#[tokio::test]
async fn a_mark_is_told_with_the_time_it_has_left() {
    let origin = Origin::answering(200, &[("cache-control", "no-store")], "hello");
    let proxy = Proxy::start(&origin).await;
    assert_eq!(explain(&proxy, "/a").await["hit_for_miss"], Value::Null);
    proxy.get("/a").await;
    let told = explain(&proxy, "/a").await;
    let left = told["hit_for_miss"].as_u64().expect("seconds");
    assert!((1..=600).contains(&left), "{told}");
    assert_eq!(told["variants"], json!([]));
}

#[tokio::test]
async fn each_route_is_named_with_what_it_does() {
    let origin = Origin::answering(200, TAGGED, "hello");
    let proxy = Proxy::before(&origin)
        .sites(
            r#"
            [[site]]
            hosts = ["example.test", "*.example.test"]
            route = [
                { path = "/*", origin = "main", cache = { grace = "20s" } },
                { path = "/pass/{id}", origin = "main", cache = { enabled = false } },
                { path = "/old", redirect = { to = "/new", status = 301 } },
                { path = "/gone", answer = { status = 410 } },
            ]
            "#,
        )
        .start()
        .await;
    // (path, pattern, action, target, outcome, Cache-Status)
    let table = [
        ("/a", "/*", "origin", "main", "miss", "copal; fwd=uri-miss"),
        (
            "/pass/1",
            "/pass/{id}",
            "origin",
            "main",
            "pass",
            "copal; fwd=bypass; detail=disabled",
        ),
        (
            "/old",
            "/old",
            "redirect",
            "301 /new",
            "synth",
            "copal; detail=synth",
        ),
        (
            "/gone",
            "/gone",
            "answer",
            "410",
            "synth",
            "copal; detail=synth",
        ),
    ];
    for (path, pattern, action, target, outcome, cache_status) in table {
        let told = explain(&proxy, path).await;
        let route = &told["route"];
        assert_eq!(route["hosts"], "example.test, *.example.test");
        assert_eq!(route["path"], pattern);
        assert_eq!(route["action"], action);
        assert_eq!(route["target"], target);
        assert_eq!(told["next"]["outcome"], outcome, "{told}");
        assert_eq!(told["next"]["cache_status"], cache_status, "{told}");
        assert_eq!(route["rules"].is_object(), path == "/a", "{told}");
        let happened = proxy.get(path).await;
        assert!(
            happened.cache_status().starts_with(cache_status),
            "{happened:?}"
        );
    }
    let told = explain(&proxy, "/a").await;
    assert_eq!(told["route"]["rules"]["grace"], "20s");
    assert_eq!(told["route"]["rules"]["range"], "whole");
    let nowhere = json_of(&ask(&proxy, "url=http://other.test/").await);
    assert_eq!(nowhere["route"], Value::Null);
    assert_eq!(nowhere["next"]["cache_status"], "copal; detail=no-route");
}

#[tokio::test]
async fn the_key_is_told_as_the_rules_shape_it() {
    let origin = Origin::answering(200, TAGGED, "hello");
    let proxy = Proxy::before(&origin)
        .table(
            "cache",
            "key = { query = \"sort\", query_deny = [\"utm_*\"], fields = [\"x-area\"] }",
        )
        .start()
        .await;
    prime(&proxy, "/a?a=1&b=2", &[("x-area", "eu")]).await;
    let told = explain_with(&proxy, "/a?b=2&utm_x=1&a=1", &[("x-area", "eu")]).await;
    assert_eq!(told["key"], "http://example.test/a?a=1&b=2");
    assert_eq!(told["next"]["outcome"], "hit", "{told}");
    assert_eq!(told["variants"][0]["key_parts"], "x-area=eu");
    let elsewhere = explain_with(&proxy, "/a?a=1&b=2", &[("x-area", "us")]).await;
    assert_eq!(elsewhere["next"]["outcome"], "miss");
}

// --- questions that make no sense ----------------------------------------------------------------

#[tokio::test]
async fn a_question_that_makes_no_sense_is_a_400_that_says_why() {
    let origin = Origin::answering(200, TAGGED, "hello");
    let proxy = Proxy::start(&origin).await;
    let table = [
        ("", "url"),
        ("url=", "url"),
        ("url=/a", "url"),
        ("url=ftp://example.test/", "url"),
        ("url=http://a%20b/", "url"),
        ("url=http://user@example.test/", "url"),
        ("url=http://example.test/a?b=1&c=2", "c:"),
        ("url=http://example.test/&header=x", "header"),
    ];
    for (query, word) in table {
        let response = ask(&proxy, query).await;
        assert_eq!(response.status, 400, "{query}: {response:?}");
        let error = json_of(&response);
        let error = error["error"].as_str().expect("an error");
        assert!(error.starts_with(word), "{query}: {error}");
    }
    let mut admin = proxy.admin().await;
    let posted = admin.send_body("POST", "/api/v1/explain", "{}").await;
    assert_eq!(posted.status, 405);
}

// --- the command line ----------------------------------------------------------------------------

#[tokio::test]
async fn the_command_shows_a_note_or_json_and_says_how_it_went() {
    let origin = Origin::start(async |_, connection| {
        let fields = [TAGGED[0], TAGGED[1], ("vary", "x-steer")];
        connection.respond(200, &fields, "hello").await;
    });
    let proxy = Proxy::before(&origin)
        .table("admin", "token = \"secret\"")
        .start()
        .await;
    let folder = TempDir::new();
    let admin = proxy.admin_address().to_string();
    let told = async |arguments: &[&str]| -> (Option<i32>, String, String) {
        let arguments = [&["explain", "--admin", &*admin], arguments].concat();
        let Output {
            status,
            stdout,
            stderr,
        } = command(&arguments, folder.path()).await;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout), text(stderr))
    };
    let url = "http://example.test/a";
    proxy.get_with("/a", &[("x-steer", "\u{9b}1A")]).await;
    let filed = async || {
        let path = format!("/api/v1/explain?url={}", encoded(url));
        let token = [("authorization", "Bearer secret")];
        let response = proxy.admin().await.get_with(&path, &token).await;
        json_of(&response)["fetches"]["count"] == 0
    };
    eventually("the fill to end", filed).await;

    let (code, note, _) = told(&["--token", "secret", url]).await;
    assert_eq!(code, Some(0));
    for line in [
        url,
        "next GET  miss",
        "fwd=vary-miss",
        "1 variant",
        "200, age 0 s of 60 s",
        "etag \"1\"",
    ] {
        assert!(note.contains(line), "{line}: {note}");
    }
    assert!(note.lines().count() < 20, "{note}");
    let is_plain = |char: char| char == '\n' || !char.is_control();
    assert!(note.chars().all(is_plain), "{note:?}");

    let field = "X-Steer: \u{9b}1A";
    let (code, note, _) = told(&["--token", "secret", "--header", field, url]).await;
    assert_eq!(code, Some(0));
    assert!(note.contains("next GET  hit"), "{note}");

    let (code, text, _) = told(&["--token", "secret", "--json", url]).await;
    assert_eq!(code, Some(0));
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["next"]["outcome"], "miss");

    // (arguments, exit code)
    let table: [(&[&str], i32); 5] = [
        (&["--token", "secret", "example.test/a"], 2),
        (&["--token", "secret"], 2),
        (&["--token", "secret", "--header", "nothing", url], 2),
        (&["--token", "wrong", url], 1),
        (&[url], 1),
    ];
    for (arguments, expected) in table {
        let (code, shown, error) = told(arguments).await;
        assert_eq!(code, Some(expected), "{arguments:?}: {error}");
        assert!(shown.is_empty() && !error.is_empty(), "{arguments:?}");
    }
    drop(proxy);
    let (code, _, error) = told(&["--token", "secret", url]).await;
    assert_eq!(code, Some(1), "{error}");
}
