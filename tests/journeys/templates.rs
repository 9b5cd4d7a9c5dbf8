//! Values of requests in fields and redirects: who is told what, and that no client breaks out of the
//! place that a template gives it.

use crate::harness::{FRESH, Origin, Proxy, Setup};

/// One site with one route to `main`, and more lines of it.
fn with_route(origin: &Origin, lines: &str) -> Setup {
    let site = "[[site]]\nhosts = [\"*\"]\n[[site.route]]\npath = \"/*\"\norigin = \"main\"\n";
    Proxy::before(origin).sites(&format!("{site}{lines}\n"))
}

/// One site whose route redirects to this.
fn redirecting(to: &str) -> Setup {
    let sites = format!(
        "[[site]]\nhosts = [\"*\"]\n[[site.route]]\npath = \"/*\"\nredirect = {{ to = '{to}' }}\n"
    );
    Proxy::before_url("http://127.0.0.1:1").sites(&sites)
}

// --- fields of requests --------------------------------------------------------------------------

#[tokio::test]
async fn an_origin_is_told_the_client_in_a_field_that_no_client_can_write() {
    let origin = Origin::answering(200, &[("cache-control", "no-store")], "page");
    let proxy = with_route(
        &origin,
        r#"request_fields.set = { x-real-ip = "${client}", x-from = '${client}:${client.port} by ${scheme}' }"#,
    )
    .start()
    .await;
    let mut client = proxy.client().await;
    client
        .get_with("/a", &[("x-real-ip", "192.0.2.1"), ("x-from", "me")])
        .await;
    let seen = origin.last();
    assert_eq!(seen.head.fields("x-real-ip"), ["127.0.0.1"]);
    let from = seen.head.fields("x-from");
    let port = from[0]
        .strip_prefix("127.0.0.1:")
        .and_then(|it| it.strip_suffix(" by http"));
    assert!(port.is_some_and(|it| it.parse::<u16>().is_ok()), "{from:?}");
}

#[tokio::test]
async fn a_trusted_proxys_client_is_the_client() {
    let origin = Origin::answering(200, &[("cache-control", "no-store")], "page");
    let proxy = with_route(
        &origin,
        r#"request_fields.set = { x-real-ip = "${client}", x-port = "${client.port}" }"#,
    )
    .table("server", "trusted_proxies = [\"127.0.0.1\"]")
    .start()
    .await;
    let claims = [("x-forwarded-for", "192.0.2.7"), ("x-port", "80")];
    proxy.get_with("/a", &claims).await;
    let seen = origin.last();
    assert_eq!(seen.head.fields("x-real-ip"), ["192.0.2.7"]);
    assert_eq!(seen.field("x-port"), None, "nobody knows it");
}

#[tokio::test]
async fn an_origin_is_told_of_the_request_what_its_key_says() {
    let origin = Origin::answering(200, FRESH, "page");
    let set = r#"
        request_fields.set = { x-url = '${method} ${scheme}://${host}${path} ${query} ${authority}${target}' }
        cache.key = { query_deny = ["utm_*"] }"#;
    let proxy = with_route(&origin, set).start().await;
    let fields = [("host", "Shop.test:8080")];
    proxy.get_with("/a/b?x=1&utm_source=evil", &fields).await;
    assert_eq!(
        origin.last().head.fields("x-url"),
        ["GET http://shop.test/a/b x=1 shop.test:8080/a/b?x=1"]
    );
    proxy.get_with("/a", &fields).await;
    assert_eq!(
        origin.last().head.fields("x-url"),
        ["GET http://shop.test/a  shop.test:8080/a"]
    );
}

/// What is filled in is not in the key, so an answer that was chosen by it is for one client alone.
#[tokio::test]
async fn an_answer_that_varies_by_a_filled_field_is_not_shared() {
    let fields = &[("cache-control", "max-age=60"), ("vary", "x-country-of")];
    let origin = Origin::answering(200, fields, "page");
    let proxy = with_route(
        &origin,
        r#"request_fields.set = { x-country-of = "${client}" }"#,
    )
    .start()
    .await;
    for _ in 0..2 {
        assert!(!proxy.get("/a").await.is_hit());
    }
    assert_eq!(origin.count("/a"), 2);
}

// --- fields of responses -------------------------------------------------------------------------

#[tokio::test]
async fn x_cache_says_of_each_delivery_how_it_came_about() {
    let origin = Origin::start(async move |request, connection| {
        let fields = match request.path.as_str() {
            "/private" => &[("cache-control", "private")][..],
            _ => FRESH,
        };
        connection.respond(200, fields, "page").await;
    });
    let proxy = with_route(
        &origin,
        r#"response_fields.set = { x-cache = "${cache}", x-cache-hits = "${hits}", x-status = "${status} ${method}" }"#,
    )
    .start()
    .await;
    for (method, path, cache, hits) in [
        ("GET", "/a", "miss", "0"),
        ("GET", "/a", "hit", "1"),
        ("GET", "/a", "hit", "2"),
        ("GET", "/private", "miss", "0"),
        ("PUT", "/private", "pass", "0"),
    ] {
        let response = proxy.send(method, path, &[]).await;
        assert_eq!(response.head.fields("x-cache"), [cache], "{path}");
        assert_eq!(response.head.fields("x-cache-hits"), [hits], "{path}");
        let status = format!("200 {method}");
        assert_eq!(response.head.fields("x-status"), [&*status], "{path}");
    }
}

#[tokio::test]
async fn a_cache_behind_us_is_told_which_request_field_a_value_came_from() {
    let origin = Origin::answering(
        200,
        &[("cache-control", "max-age=60"), ("vary", "x-a")],
        "a",
    );
    let proxy = with_route(
        &origin,
        r#"response_fields.set = { access-control-allow-origin = '${header["origin"]}', x-a-was = '${header["X-A"]}' }"#,
    )
    .start()
    .await;
    for name in ["https://a.test", "https://b.test"] {
        let response = proxy.get_with("/a", &[("origin", name)]).await;
        let allowed = response.head.fields("access-control-allow-origin");
        assert_eq!(allowed, [name]);
        assert_eq!(response.head.fields("vary"), ["x-a", "origin"]);
        assert_eq!(response.field("x-a-was"), None, "there was no such field");
    }
    assert_eq!(origin.count("/a"), 1, "they are one object");
}

#[tokio::test]
async fn answers_of_our_own_have_values_too() {
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .sites(
            r#"
            [[site]]
            hosts = ["*"]
            [[site.route]]
            path = "/*"
            answer = { body = "${client}", fields = { x-at = "${host}${path}" } }
            response_fields.set = { x-cache = "${cache} ${status}" }
            "#,
        )
        .start()
        .await;
    let response = proxy.get("/a?b").await;
    assert_eq!(response.head.fields("x-at"), ["example.test/a"]);
    assert_eq!(response.head.fields("x-cache"), ["synth 200"]);
    assert_eq!(response.text(), "${client}", "a body is no template");
}

// --- redirects -----------------------------------------------------------------------------------

#[tokio::test]
async fn a_redirect_may_keep_what_was_asked_for() {
    for (to, path, location) in [
        (
            "https://${host}${target}",
            "/a/b?c=d&e",
            "https://shop.test/a/b?c=d&e",
        ),
        ("https://${host}${target}", "/", "https://shop.test/"),
        (
            "${scheme}://www.${host}${path}",
            "/a?b",
            "http://www.shop.test/a",
        ),
        ("/new${path}?${query}", "/a?b=%20c", "/new/a?b=%20c"),
        (
            "/login?next=${target}",
            "/a?b=c&d",
            "/login?next=%2Fa%3Fb%3Dc%26d",
        ),
    ] {
        let proxy = redirecting(to).start().await;
        let response = proxy.get_with(path, &[("host", "Shop.test:8080")]).await;
        assert_eq!(response.status, 302, "{response:?}");
        assert_eq!(response.head.fields("location"), [location], "{to} {path}");
    }
}

/// Who follows a link to us is never sent to a host that the link's author chose.
#[tokio::test]
async fn no_client_can_choose_where_a_redirect_leads() {
    for (to, path, location) in [
        ("${path}", "//evil.test/a", "/evil.test/a"),
        ("${target}", "//evil.test?//x", "/evil.test?//x"),
        ("/${path}", "//evil.test", "/evil.test"),
        ("${path}", "/\\evil.test", "/%5Cevil.test"),
        (
            "https://shop.test${path}",
            "//@evil.test",
            "https://shop.test/@evil.test",
        ),
        (
            "/a?next=${path}",
            "//evil.test&x=y",
            "/a?next=%2Fevil.test%26x%3Dy",
        ),
        (
            "/a${path}",
            "/%0d%0aset-cookie:%20a=b",
            "/a/%0D%0Aset-cookie:%20a=b",
        ),
        ("${path}", "/\"<b>|^{}`", "/%22%3Cb%3E%7C%5E%7B%7D%60"),
    ] {
        let proxy = redirecting(to).start().await;
        let response = proxy.get_with(path, &[("host", "shop.test")]).await;
        // Some of these targets no parser takes.
        if response.status == 302 {
            assert_eq!(response.head.fields("location"), [location], "{to} {path}");
            assert_eq!(response.field("set-cookie"), None);
        } else {
            assert_eq!(response.status, 400, "{to} {path}: {response:?}");
        }
    }
}

#[tokio::test]
async fn a_redirect_by_a_request_field_says_so() {
    let proxy = redirecting(r#"/${header["x-lang"]}${path}"#).start().await;
    let response = proxy.get_with("/a", &[("x-lang", "de/../?#")]).await;
    assert_eq!(response.head.fields("location"), ["/de%2F..%2F%3F%23/a"]);
    assert_eq!(response.head.fields("vary"), ["x-lang"]);
    let bare = proxy.get("//evil.test").await;
    assert_eq!(bare.head.fields("location"), ["/evil.test"]);
}
