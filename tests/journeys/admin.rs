//! The operator's door: health, status, metrics, token. Purging has a theme of its own.

use crate::harness::{FRESH, Fields, NO_STORE, Origin, Proxy, TempDir, command, eventually};

#[tokio::test]
async fn it_is_alive_ready_and_says_how_it_is() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    let mut admin = proxy.admin().await;
    assert_eq!(admin.get("/healthz").await.status, 200);
    assert_eq!(admin.get("/readyz").await.status, 200);
    let status = admin.get("/api/v1/status").await;
    assert_eq!(status.status, 200, "{status:?}");
    assert!(
        status
            .field("content-type")
            .is_some_and(|it| it.starts_with("application/json"))
    );
    let json: serde_json::Value = serde_json::from_slice(&status.body).expect("JSON");
    assert!(json.as_object().is_some_and(|it| !it.is_empty()), "{json}");
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_refused() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    let mut admin = proxy.admin().await;
    assert_eq!(admin.get("/nowhere").await.status, 404);
    let refused = admin.get("/api/v1/purge").await;
    assert_eq!(refused.status, 405, "a purge is no GET");
    assert_eq!(refused.field("allow"), Some("POST, OPTIONS"));
    let refused = admin.send_body("POST", "/api/v1/status", "{}").await;
    assert_eq!(refused.status, 405);
    assert_eq!(refused.field("allow"), Some("GET, HEAD, OPTIONS"));
    let told = admin.send_body("OPTIONS", "/api/v1/status", "").await;
    assert_eq!(told.status, 200);
    assert_eq!(told.field("allow"), Some("GET, HEAD, OPTIONS"));
}

#[tokio::test]
async fn the_traffic_listener_is_no_admin_listener() {
    let origin = Origin::answering(200, &[], "the origin's");
    let proxy = Proxy::start(&origin).await;
    for path in ["/metrics", "/healthz", "/api/v1/status"] {
        assert!(proxy.get(path).await.is_good("the origin's"), "{path}");
    }
}

#[tokio::test]
async fn every_promised_metric_is_there_and_well_formed() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    for path in ["/a", "/a", "/b"] {
        proxy.get(path).await;
    }
    let counted = async || proxy.metric("copal_requests_total", "").await == 3.0;
    eventually("three requests to be counted", counted).await;
    let requests = "copal_requests_total";
    assert_eq!(proxy.metric(requests, "outcome=\"hit\"").await, 1.0);
    assert_eq!(proxy.metric(requests, "outcome=\"miss\"").await, 2.0);
    assert_eq!(proxy.metric(requests, "status=\"2xx\"").await, 3.0);
    assert_eq!(proxy.metric("copal_response_bytes_total", "").await, 15.0);
    assert_eq!(
        proxy
            .metric("copal_request_duration_seconds_count", "")
            .await,
        3.0
    );
    assert_eq!(
        proxy
            .metric("copal_request_duration_seconds_bucket", "le=\"+Inf\"")
            .await,
        3.0
    );
    assert_eq!(proxy.metric("copal_objects", "").await, 2.0);
    assert!(proxy.metric("copal_store_bytes", "").await > 10.0);
    assert_eq!(
        proxy
            .metric("copal_origin_requests_total", "origin=\"main\"")
            .await,
        2.0
    );

    let metrics = proxy.metrics().await;
    for name in ["copal_fills_in_flight", "copal_connections"] {
        let there = metrics.keys().any(|it| it.split('{').next() == Some(name));
        assert!(there, "{name} is not among {:?}", metrics.keys());
    }
    assert!(
        metrics
            .keys()
            .all(|it| it.starts_with("copal_") || it.starts_with("process_")),
        "{metrics:?}"
    );
}

#[tokio::test]
async fn outcomes_are_told_apart() {
    let origin = Origin::start(async |request, connection| match &*request.path {
        "/stale" => {
            let status = if request.nth > 1 { 304 } else { 200 };
            let fields = [("cache-control", "max-age=0"), ("etag", "\"1\"")];
            connection.respond(status, &fields, "hello").await;
        }
        "/broken" => connection.close(),
        _ => connection.respond(200, FRESH, "hello").await,
    });
    let sites = r#"
        [[site]]
        hosts = ["*"]
        route = [
            { path = "/*", origin = "main" },
            { path = "/answer", answer = { status = 200, body = "ours" } },
        ]
    "#;
    let proxy = Proxy::before(&origin).sites(sites).start().await;
    for path in ["/stale", "/stale", "/broken", "/answer"] {
        proxy.get(path).await;
    }
    proxy.client().await.send_body("POST", "/a", "text").await;
    for outcome in ["miss", "revalidated", "error", "synth", "pass"] {
        let label = format!("outcome=\"{outcome}\"");
        let counted = async || proxy.metric("copal_requests_total", &label).await == 1.0;
        eventually(&format!("one {outcome}"), counted).await;
    }
    assert_eq!(
        proxy.metric("copal_requests_total", "status=\"5xx\"").await,
        1.0
    );
}

#[tokio::test]
async fn a_token_is_wanted_where_one_is_configured() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::before(&origin)
        .table("admin", "token = \"secret\"")
        .start()
        .await;
    let mut admin = proxy.admin().await;
    let table: &[(Fields, u16)] = &[
        (&[], 401),
        (&[("authorization", "Bearer wrong")], 401),
        (&[("authorization", "Bearer secre")], 401),
        (&[("authorization", "Basic secret")], 401),
        (&[("authorization", "Bearer secret")], 200),
    ];
    for (fields, status) in table {
        let response = admin.get_with("/api/v1/status", fields).await;
        assert_eq!(response.status, *status, "{fields:?}: {response:?}");
    }
    proxy.get("/a").await;
    assert_eq!(proxy.purge("{\"all\":true}").await.status, 401);
    assert!(proxy.get("/a").await.is_hit());
}

/// Each opens what it is for; who has changed what is told.
#[tokio::test]
async fn a_token_opens_what_its_scopes_say() {
    let origin = Origin::answering(200, FRESH, "hello");
    let lines = "token = \"all\"\n\
                 tokens = [{ name = \"deploy\", token = \"one\", scopes = [\"purge\"] },\n\
                 { name = \"graphs\", token = \"two\", scopes = [\"read\"] },\n\
                 { name = \"oncall\", token = \"three\", scopes = [\"read\", \"operate\"] }]";
    let proxy = Proxy::before(&origin).table("admin", lines).start().await;
    let calls = [
        ("GET", "/api/v1/status", ""),
        ("POST", "/api/v1/purge", "{\"all\":true}"),
        ("PUT", "/api/v1/origins/main/servers/none", "{}"),
    ];
    for (token, statuses) in [
        ("all", [200, 200, 404]),
        ("one", [403, 200, 403]),
        ("two", [200, 403, 403]),
        ("three", [200, 403, 404]),
        ("four", [401, 401, 401]),
    ] {
        for ((method, path, body), status) in calls.into_iter().zip(statuses) {
            let mut admin = proxy.admin().await;
            let (token, length) = (format!("Bearer {token}"), body.len().to_string());
            let fields = [("authorization", &*token), ("content-length", &*length)];
            admin.request(method, path, &fields).await;
            admin.send(body).await;
            let answer = admin.response().await;
            assert_eq!(answer.status, status, "{token} {path}: {answer:?}");
            let challenge = answer.field("www-authenticate").unwrap_or_default();
            assert_eq!(challenge.contains("insufficient_scope"), status == 403);
        }
    }
    proxy.says("POST /api/v1/purge").await;
    proxy.says("deploy").await;
    assert!(!proxy.stderr().contains("graphs"), "it has changed nothing");
}

#[tokio::test]
async fn who_asks_too_often_is_told_to_wait() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::before(&origin).table("admin", "rate = \"3/h\"");
    let proxy = proxy.start().await;
    let mut admin = proxy.admin().await;
    for status in [200, 200, 200, 429, 429] {
        let answer = admin.get("/api/v1/status").await;
        assert_eq!(answer.status, status, "{answer:?}");
        let wait = (status == 429).then_some("1");
        assert_eq!(answer.field("retry-after"), wait);
    }
    assert_eq!(admin.get("/healthz").await.status, 200, "a probe");
}

#[tokio::test]
async fn it_describes_itself_for_programs() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    let document = proxy.admin().await.get("/api/v1/openapi.json").await;
    let json: serde_json::Value = serde_json::from_slice(&document.body).expect("JSON");
    assert_eq!(json["openapi"], "3.1.0");
    assert!(json["paths"]["/api/v1/purge"]["post"].is_object());
}

/// The name of a web page that its DNS server lets lead to this machine is the page's own site to a
/// browser, which reads there what it likes (DNS rebinding).
#[tokio::test]
async fn without_a_token_nothing_is_told_under_a_name_that_others_can_make_lead_here() {
    let origin = Origin::answering(200, FRESH, "hello");
    for (token, refused) in [("", 421), ("token = \"secret\"", 200)] {
        let proxy = Proxy::before(&origin).table("admin", token).start().await;
        let address = proxy.admin_address().to_string();
        for (host, status) in [
            (&*address, 200),
            ("127.0.0.1", 200),
            ("[::1]:9180", 200),
            ("LocalHost:9180", 200),
            ("copal.localhost", 200),
            ("evil.test", refused),
            ("evil.test:9180", refused),
            ("localhost.evil.test", refused),
            ("127.0.0.1.evil.test", refused),
            ("notlocalhost", refused),
        ] {
            let fields = [("host", host), ("authorization", "Bearer secret")];
            let mut admin = proxy.admin().await;
            for path in ["/", "/metrics", "/api/v1/status"] {
                let answer = admin.get_with(path, &fields).await;
                assert_eq!(answer.status, status, "{token} {host} {path}: {answer:?}");
            }
            let told = admin.get_with("/nowhere", &fields).await;
            assert_eq!(told.status, if status == 200 { 404 } else { 421 });
            assert_eq!(told.text().contains("set `token`"), status == 421);
            // Probes say nothing that a page could use.
            assert_eq!(admin.get_with("/healthz", &fields).await.status, 200);
        }
    }
}

#[tokio::test]
async fn a_page_of_another_site_is_told_nothing() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    for (from, status) in [
        ("http://localhost", 200),
        ("http://localhost:3000", 403),
        ("http://evil.test", 403),
        ("null", 403),
    ] {
        let fields = [("origin", from)];
        let answer = proxy.admin().await.get_with("/metrics", &fields).await;
        assert_eq!(answer.status, status, "{from}: {answer:?}");
    }
}

/// As the dashboard's purges come, where the listener has a name.
#[tokio::test]
async fn with_a_token_a_page_of_its_own_name_is_heard() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::before(&origin).table("admin", "token = \"secret\"");
    let proxy = proxy.start().await;
    for (from, token, status) in [
        ("http://copal.example:9180", "secret", 200),
        ("http://copal.example:9180", "guessed", 401),
        ("http://evil.test", "secret", 403),
    ] {
        let token = format!("Bearer {token}");
        let fields = [
            ("host", "copal.example:9180"),
            ("origin", from),
            ("authorization", &*token),
        ];
        let answer = proxy.admin().await.get_with("/metrics", &fields).await;
        assert_eq!(answer.status, status, "{from}: {answer:?}");
    }
}

/// The host of an absolute target counts too, and that of each line.
#[tokio::test]
async fn a_host_cannot_be_hidden_behind_another() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    for head in [
        "GET http://evil.test/metrics HTTP/1.1\r\nHost: localhost",
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.test",
    ] {
        let mut admin = proxy.admin().await;
        admin.send(format!("{head}\r\n\r\n")).await;
        assert_eq!(admin.response().await.status, 421, "{head}");
    }
}

/// A purge that was sent to the wrong port gave the token to the origin.
#[tokio::test]
async fn the_commands_give_a_token_to_an_admin_listener_only() {
    const CHALLENGE: Fields<'_> = &[("www-authenticate", "Bearer realm=\"copal admin\"")];
    let (page, liar) = (
        Origin::answering(200, NO_STORE, "a page"),
        Origin::answering(401, CHALLENGE, "a bearer token is wanted"),
    );
    let folder = TempDir::new();
    let purge = async |admin: &str| {
        let arguments = ["purge", "--token", "secret", "--admin", admin, "--all"];
        let output = command(&arguments, folder.path()).await;
        let told = String::from_utf8(output.stderr).expect("text");
        (output.status.code(), told)
    };
    for origin in [&page, &liar] {
        let proxy = Proxy::start(origin).await;
        let traffic = proxy.address().to_string();
        let (code, told) = purge(&traffic).await;
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("the token was not sent"), "{told}");
        assert!(!origin.requests().is_empty());
        for request in origin.requests() {
            assert_eq!((&*request.method, &*request.path), ("GET", "/"));
            assert_eq!(request.field("authorization"), None);
        }
        // Nobody wants it there.
        let (code, told) = purge(&proxy.admin_address().to_string()).await;
        assert_eq!(code, Some(0), "{told}");
    }
    let proxy = Proxy::before(&page).table("admin", "token = \"secret\"");
    let (code, told) = purge(&proxy.start().await.admin_address().to_string()).await;
    assert_eq!(code, Some(0), "{told}");
}
