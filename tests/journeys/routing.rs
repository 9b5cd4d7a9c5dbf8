//! Which origin a request goes to, what is changed on the way, and what we answer ourselves.

use crate::harness::{Http2, Origin, Proxy, named};

#[tokio::test]
async fn an_exact_host_comes_before_a_wildcard_and_a_wildcard_before_the_rest() {
    let (rest, exact, wild) = (named("rest"), named("exact"), named("wild"));
    let proxy = Proxy::before(&rest)
        .origin("origins.exact", &exact)
        .origin("origins.wild", &wild)
        .sites(
            r#"
            [[site]]
            hosts = ["*"]
            origin = "main"
            [[site]]
            hosts = ["*.shop.test"]
            origin = "wild"
            [[site]]
            hosts = ["shop.test", "www.shop.test"]
            origin = "exact"
            "#,
        )
        .start()
        .await;
    let table = [
        ("shop.test", "exact"),
        ("SHOP.test", "exact"),
        ("shop.test:8080", "exact"),
        ("www.shop.test", "exact"),
        ("img.shop.test", "wild"),
        ("a.b.shop.test", "wild"),
        ("other.test", "rest"),
        ("myshop.test", "rest"),
    ];
    for (host, name) in table {
        let response = proxy.get_with("/a", &[("host", host)]).await;
        assert!(response.is_good(name), "{host}: {response:?}");
    }
}

#[tokio::test]
async fn the_most_specific_path_wins() {
    let (all, api, avatar, exact) = (named("all"), named("api"), named("avatar"), named("exact"));
    let proxy = Proxy::before(&all)
        .origin("origins.api", &api)
        .origin("origins.avatar", &avatar)
        .origin("origins.exact", &exact)
        .sites(
            r#"
            [[site]]
            hosts = ["*"]
            route = [
                { path = "/*", origin = "main" },
                { path = "/api/*", origin = "api" },
                { path = "/users/{id}/avatar", origin = "avatar" },
                { path = "/api/exact", origin = "exact" },
            ]
            "#,
        )
        .start()
        .await;
    let table = [
        ("/", "all"),
        ("/a/b/c?d", "all"),
        ("/api", "all"),
        ("/api/", "api"),
        ("/api/a/b", "api"),
        ("/api/exact", "exact"),
        ("/api/exact?a=b", "exact"),
        ("/api/exact/a", "api"),
        ("/users/7/avatar", "avatar"),
        ("/users/7/avatars", "all"),
        ("/users/7/8/avatar", "all"),
    ];
    for (path, name) in table {
        let response = proxy.get(path).await;
        assert!(response.is_good(name), "{path}: {response:?}");
    }
}

#[tokio::test]
async fn an_unknown_host_or_path_is_ours_to_refuse() {
    let origin = named("shop");
    let proxy = Proxy::before(&origin)
        .sites(
            r#"
            [[site]]
            hosts = ["shop.test"]
            route = [{ path = "/shop/*", origin = "main" }]
            "#,
        )
        .start()
        .await;
    for (host, path) in [("other.test", "/shop/"), ("shop.test", "/other")] {
        let response = proxy.get_with(path, &[("host", host)]).await;
        assert!(
            (400..500).contains(&response.status),
            "{host}{path}: {response:?}"
        );
    }
    assert!(origin.requests().is_empty());
    assert!(
        proxy
            .get_with("/shop/", &[("host", "shop.test")])
            .await
            .is_good("shop")
    );
}

#[tokio::test]
async fn a_route_may_strip_a_prefix_and_edit_fields() {
    let fields = &[
        ("x-powered-by", "secret"),
        ("x-frame-options", "ALLOW"),
        ("x-kept", "1"),
    ];
    let origin = Origin::answering(200, fields, "hello");
    let proxy = Proxy::before(&origin)
        .sites(
            r#"
            [[site]]
            hosts = ["*"]
            [[site.route]]
            path = "/api/*"
            origin = "main"
            strip_prefix = "/api"
            request_fields = { set = { x-edge = "copal" }, remove = ["x-debug"] }
            response_fields = { set = { x-frame-options = "DENY" }, remove = ["x-powered-by"] }
            "#,
        )
        .start()
        .await;
    let response = proxy
        .get_with("/api/v1?a=b", &[("x-edge", "mine"), ("x-debug", "1")])
        .await;
    let seen = origin.last();
    assert_eq!(seen.path, "/v1?a=b");
    assert_eq!(seen.head.fields("x-edge"), ["copal"]);
    assert_eq!(seen.field("x-debug"), None);
    assert_eq!(response.head.fields("x-frame-options"), ["DENY"]);
    assert_eq!(response.field("x-powered-by"), None);
    assert_eq!(response.field("x-kept"), Some("1"));
}

#[tokio::test]
async fn the_host_towards_the_origin_is_the_clients_unless_configured() {
    let (plain, renamed) = (named("plain"), named("renamed"));
    let proxy = Proxy::before(&plain)
        .origin("origins.renamed", &renamed)
        .table("origins.renamed", "host = \"inner.test\"")
        .sites(
            r#"
            [[site]]
            hosts = ["*"]
            route = [
                { path = "/*", origin = "main" },
                { path = "/renamed", origin = "renamed" },
            ]
            "#,
        )
        .start()
        .await;
    proxy.get("/a").await;
    proxy.get("/renamed").await;
    assert_eq!(plain.last().head.fields("host"), ["example.test"]);
    assert_eq!(renamed.last().head.fields("host"), ["inner.test"]);
}

#[tokio::test]
async fn redirects_and_fixed_answers_need_no_origin() {
    let origin = named("main");
    let proxy = Proxy::before(&origin)
        .sites(
            r#"
            [[site]]
            hosts = ["*"]
            [[site.route]]
            path = "/old/*"
            redirect = { to = "https://shop.test/new/", status = 301, keep_rest = true }
            [[site.route]]
            path = "/moved"
            redirect = { to = "https://shop.test/", status = 307 }
            [[site.route]]
            path = "/robots.txt"
            answer = { status = 200, body = "User-agent: *\n", fields = { content-type = "text/plain" } }
            "#,
        )
        .start()
        .await;
    for (path, status, to) in [
        ("/old/a/b?c=d", 301, "https://shop.test/new/a/b?c=d"),
        ("/old/", 301, "https://shop.test/new/"),
        ("/moved", 307, "https://shop.test/"),
    ] {
        let response = proxy.get(path).await;
        assert_eq!(
            (response.status, response.field("location")),
            (status, Some(to)),
            "{path}"
        );
    }
    let answer = proxy.get("/robots.txt").await;
    assert!(answer.is_good("User-agent: *\n"), "{answer:?}");
    assert_eq!(answer.field("content-type"), Some("text/plain"));
    assert!(answer.field("cache-status").is_some() && answer.field("via").is_some());
    assert!(origin.requests().is_empty());
}

#[tokio::test]
async fn several_servers_take_turns() {
    let (one, two) = (named("one"), named("two"));
    let proxy = Proxy::before(&one)
        .table(
            "origins.both",
            &format!(
                "servers = [\"{}\", \"{}\"]\nbalance = \"round-robin\"",
                one.url(),
                two.url()
            ),
        )
        .sites("[[site]]\nhosts = [\"*\"]\norigin = \"both\"\n")
        .start()
        .await;
    for number in 0..10 {
        assert_eq!(proxy.get(&format!("/{number}")).await.status, 200);
    }
    assert_eq!((one.requests().len(), two.requests().len()), (5, 5));
}

/// RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a status
/// code of 1xx (Informational) or 204 (No Content)."
#[tokio::test]
async fn an_answer_of_204_or_304_has_no_length() {
    let origin = Origin::answering(200, &[], "hello");
    let sites = r#"
        [[site]]
        hosts = ["*"]
        route = [
            { path = "/204", answer = { status = 204 } },
            { path = "/304", answer = { status = 304 } },
        ]
    "#;
    let proxy = Proxy::before(&origin).sites(sites).start().await;
    for status in [204, 304] {
        for (method, version) in [
            ("GET", "1.1"),
            ("HEAD", "1.1"),
            ("POST", "1.1"),
            ("GET", "1.0"),
            ("HEAD", "1.0"),
        ] {
            let mut client = proxy.client().await;
            let head = format!("{method} /{status} HTTP/{version}\r\nhost: a\r\n\r\n");
            client.send(head).await;
            let response = client.head().await;
            let case = format!("{method} {version}: {response:?}");
            assert_eq!(response.status(), status, "{case}");
            assert_eq!(response.field("content-length"), None, "{case}");
            assert_eq!(response.field("transfer-encoding"), None, "{case}");
        }
        let mut client = Http2::connect(proxy.address()).await;
        let response = client.get(&format!("/{status}")).await;
        assert_eq!(response.status().as_u16(), status);
        assert!(
            !response.headers().contains_key("content-length"),
            "{response:?}"
        );
    }
}
