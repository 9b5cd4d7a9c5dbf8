//! Which requests share a stored response beyond Vary: what of the query, the fields and the
//! cookies is in the key. Wherever two share wrongly, one sees the other's page: so each origin
//! here answers with what it was asked. What is folded before the key is made is in `fold.rs`, and
//! what a response says of its own query in `no_vary_search.rs`.

use crate::harness::{FRESH, Fields, Origin, Proxy, Response, Setup, with_cache};

/// A row: what it shows, the first request's target, the second's, whether they share.
type Pair = (&'static str, &'static str, &'static str, bool);

/// Answers with the target it was asked for.
fn echoing_target() -> Origin {
    Origin::start(async |request, connection| {
        let fields = [("cache-control", "max-age=60")];
        connection.respond(200, &fields, &*request.path).await;
    })
}

/// Answers with the value of a field.
fn echoing_field(name: &'static str) -> Origin {
    Origin::start(async move |request, connection| {
        let value = request.head.fields(name).join(", ");
        let fields = [("cache-control", "max-age=60")];
        connection.respond(200, &fields, value).await;
    })
}

/// Asks for both targets of each row, by a host of its own, and complains of all that share wrongly
/// or do not share.
async fn assert_pairs(setup: impl FnOnce(&Origin) -> Setup, rows: &[Pair]) {
    let origin = echoing_target();
    let proxy = setup(&origin).start().await;
    let mut wrong = Vec::new();
    for (index, (name, first, second, shared)) in rows.iter().enumerate() {
        let host = format!("row-{index}.test");
        let host = [("host", &*host)];
        let stored = proxy.get_with(first, &host).await;
        let body = stored.text();
        assert!(
            stored.is_good(&body) && !stored.is_hit(),
            "{name}: {stored:?}"
        );
        // What the origin sees of a target is what the key says of it.
        let response = proxy.get_with(second, &host).await;
        if response.is_hit() != *shared || (response.text() == body) != *shared {
            wrong.push(format!("{name}: {first} then {second}: {response:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

// --- the query -----------------------------------------------------------------------------------

#[tokio::test]
async fn a_query_counts_byte_for_byte_by_default() {
    let rows = &[
        ("the same", "/a?b=1&a=2", "/a?b=1&a=2", true),
        ("another order", "/a?b=1&a=2", "/a?a=2&b=1", false),
        ("an empty one", "/a", "/a?", false),
        ("a campaign", "/a", "/a?utm_source=x", false),
    ];
    assert_pairs(Proxy::before, rows).await;
}

#[tokio::test]
async fn a_sorted_query_makes_one_page_of_many_orders() {
    let rows = &[
        ("another order", "/a?b=1&a=2", "/a?a=2&b=1", true),
        ("another value", "/a?b=1&a=2", "/a?a=1&b=2", false),
        ("one less", "/a?b=1&a=2", "/a?a=2", false),
        ("one name, another order", "/a?a=1&a=2", "/a?a=2&a=1", false),
        (
            "one name among others",
            "/a?a=1&b=3&a=2",
            "/a?b=3&a=1&a=2",
            true,
        ),
        ("another path", "/a?b=1&a=2", "/b?a=2&b=1", false),
    ];
    assert_pairs(with_cache("key = { query = \"sort\" }"), rows).await;
}

#[tokio::test]
async fn denied_parameters_make_no_page_of_their_own() {
    let rows = &[
        (
            "by prefix",
            "/a?utm_source=x&id=1",
            "/a?id=1&utm_medium=y",
            true,
        ),
        ("by name", "/a?id=1&fbclid=x", "/a?id=1", true),
        ("the only one", "/a?utm_source=x", "/a", true),
        (
            "another value",
            "/a?id=1&fbclid=x",
            "/a?id=2&fbclid=x",
            false,
        ),
        ("a longer name", "/a?fbclid2=x", "/a?fbclid2=y", false),
        ("less than the prefix", "/a?utm=x", "/a?utm=y", false),
        ("a value like a name", "/a?id=fbclid", "/a?id=", false),
        (
            "the others' order",
            "/a?b=1&a=2&fbclid=x",
            "/a?a=2&b=1",
            false,
        ),
    ];
    let denied = "key = { query_deny = [\"utm_*\", \"fbclid\"] }";
    assert_pairs(with_cache(denied), rows).await;
    let rows = &[(
        "sorted, too",
        "/a?b=1&utm_x=1&a=2",
        "/a?a=2&b=1&fbclid=y",
        true,
    )];
    let sorted = "key = { query = \"sort\", query_deny = [\"utm_*\", \"fbclid\"] }";
    assert_pairs(with_cache(sorted), rows).await;
}

#[tokio::test]
async fn only_allowed_parameters_make_a_page_of_their_own() {
    let rows = &[
        ("others do not count", "/a?id=1&x=1", "/a?y=2&id=1", true),
        ("nor alone", "/a?x=1", "/a", true),
        ("another value", "/a?id=1&x=1", "/a?id=2&x=1", false),
        ("absent", "/a?id=1", "/a", false),
        (
            "another page of it",
            "/a?id=1&page=1",
            "/a?id=1&page=2",
            false,
        ),
    ];
    let allowed = "key = { query_allow = [\"id\", \"page\"] }";
    assert_pairs(with_cache(allowed), rows).await;
    let rows = &[("none is allowed", "/a?id=1", "/a?id=2", true)];
    assert_pairs(with_cache("key = { query_allow = [] }"), rows).await;
    let rows = &[
        ("denied after all", "/a?id=1&page=1", "/a?id=1&page=2", true),
        ("still allowed", "/a?id=1&page=1", "/a?id=2&page=1", false),
    ];
    let both = "key = { query_allow = [\"id\", \"page\"], query_deny = [\"page\"] }";
    assert_pairs(with_cache(both), rows).await;
}

/// `[id]` is `id` to Node's qs, `a[b` is `a_b` to PHP, `%u0069d` is `id` to ASP.NET.
#[tokio::test]
async fn a_parameter_that_origins_read_variously_is_not_left_out_or_moved() {
    let allow_id = "key = { query_allow = [\"id\"] }";
    let allow_ab = "key = { query_allow = [\"a_b\"] }";
    let rows = [
        (allow_id, "/a?[id]=x", "/a"),
        (allow_id, "/a?%5Bid%5D=x&id=1", "/a?id=1"),
        (allow_id, "/a?%u0069d=x", "/a"),
        (allow_ab, "/a?a[b=x", "/a"),
        (
            "key = { query = \"sort\" }",
            "/a?a[b=1&a_b=2",
            "/a?a_b=2&a[b=1",
        ),
    ];
    for (lines, first, second) in rows {
        let origin = Origin::start(async |request, connection| {
            connection.respond(200, FRESH, &*request.path).await;
        });
        let proxy = Proxy::before(&origin).table("cache", lines).start().await;
        assert!(proxy.get(first).await.is_good(first), "{first}");
        let other = proxy.get(second).await;
        assert!(other.is_good(second), "{first}: {other:?}");
    }
}

/// A page that repeats its query in links was stored with those of whoever came first.
#[tokio::test]
async fn what_is_no_part_of_the_key_never_reaches_the_origin() {
    let rows = [
        ("query_deny = [\"utm_*\"]", "/?utm_campaign=evil", "/"),
        (
            "query_deny = [\"utm_*\"]",
            "/a?b=%7E1&utm_a=x&a=2&&utm_b",
            "/a?b=%7E1&a=2",
        ),
        (
            "query_deny = [\"utm_*\"]",
            "/a?utm%5Fa=x&a=?",
            "/a?utm%5Fa=x&a=?",
        ),
        (
            "query_deny = [\"utm_*\"]",
            "/a?utm_a=x;b=1",
            "/a?utm_a=x;b=1",
        ),
        ("query_allow = [\"a\"]", "/a?b=1&A=%61&c", "/a?A=%61"),
        ("query_allow = []", "/a?b=1", "/a"),
        // Sorted in the key alone.
        (
            "query = \"sort\", query_deny = [\"c\"]",
            "/a?b=1&c=2&a=3",
            "/a?b=1&a=3",
        ),
        ("query = \"sort\"", "/a?b&&a", "/a?b&&a"),
    ];
    for (key, target, seen) in rows {
        let origin = echoing_target();
        let proxy = with_cache(format!("key = {{ {key} }}"))(&origin)
            .start()
            .await;
        let response = proxy.get(target).await;
        assert!(response.is_good(seen), "{key}: {target}: {response:?}");
        assert!(proxy.get(seen).await.is_hit(), "{key}: {seen}");
        assert_eq!(origin.count(seen), 1, "{key}: {target}");
    }
}

#[tokio::test]
async fn the_origin_sees_the_url_as_it_came_where_all_of_it_is_forwarded() {
    let origin = echoing_target();
    let key = "key = { query = \"sort\", query_deny = [\"utm_*\"], query_allow = [\"a\", \"b\"], \
               query_forward = \"all\" }";
    let proxy = with_cache(key)(&origin).start().await;
    let target = "/a?utm_source=x&b=%7E1&&a=2&c";
    assert!(proxy.get(target).await.is_good(target));
    assert_eq!(origin.last().path, target);
    assert!(proxy.get("/a?a=2&b=%7E1").await.is_hit());
}

#[tokio::test]
async fn a_request_that_passes_keeps_its_whole_query() {
    let origin = echoing_target();
    let key = "key = { query_deny = [\"utm_*\"] }";
    let proxy = with_cache(key)(&origin).start().await;
    let target = "/a?utm_source=x&a=1";
    let own = proxy.get_with(target, &[("cookie", "sid=1")]).await;
    assert!(own.is_good(target) && own.says("detail=cookie"), "{own:?}");
    let mut client = proxy.client().await;
    client
        .request("POST", target, &[("content-length", "0")])
        .await;
    assert!(client.response().await.is_good(target));
}

/// What a refresh and a range ask for is what the first request did.
#[tokio::test]
async fn later_requests_for_a_page_ask_for_no_more_than_its_key() {
    let origin = Origin::start(async |request, connection| {
        let fields = [("cache-control", "max-age=0"), ("etag", "\"1\"")];
        match request.field("if-none-match") {
            Some(_) => connection.respond(304, &fields, "").await,
            None => connection.respond(200, &fields, &*request.path).await,
        }
    });
    let key = "key = { query_deny = [\"utm_*\"] }";
    let proxy = with_cache(key)(&origin).start().await;
    for target in ["/a?utm_a=1", "/a?utm_a=2", "/a?utm_a=3"] {
        let response = proxy.get_with(target, &[("range", "bytes=0-1")]).await;
        assert_eq!(response.text(), "/a", "{response:?}");
        assert_eq!(origin.last().path, "/a");
    }
}

/// A POST is sent as it came, so the answer is not what the shorter URL would have brought.
#[tokio::test]
async fn an_answer_to_a_post_with_denied_parameters_is_not_stored_for_others() {
    let origin = Origin::start(async |request, connection| {
        let fields = [
            ("cache-control", "max-age=60"),
            ("content-location", &*request.path),
        ];
        connection.respond(200, &fields, &*request.path).await;
    });
    let proxy = with_cache("key = { query_deny = [\"utm_*\"] }")(&origin)
        .start()
        .await;
    for (target, stored) in [("/a?utm_a=evil", false), ("/a?b", true)] {
        let mut client = proxy.client().await;
        client
            .request("POST", target, &[("content-length", "0")])
            .await;
        assert!(client.response().await.is_good(target));
        let next = proxy.get(target).await;
        assert_eq!(next.is_hit(), stored, "{target}: {next:?}");
    }
}

#[tokio::test]
async fn a_purge_of_one_url_clears_what_shares_its_key() {
    let key = "key = { query = \"sort\", query_deny = [\"utm_*\"] }";
    let origin = echoing_target();
    let setup = with_cache(key)(&origin).table("server", "purge_from = [\"127.0.0.0/8\"]");
    let proxy = setup.start().await;
    let shared = ["/a?b=1&a=2", "/a?a=2&b=1&utm_source=x"];
    for by_method in [false, true] {
        proxy.get(shared[0]).await;
        assert!(proxy.get(shared[1]).await.is_hit());
        match by_method {
            true => {
                let mut client = proxy.client().await;
                client.request("PURGE", shared[1], &[]).await;
                client.response().await
            }
            false => {
                let url = format!("http://example.test{}", shared[1]);
                proxy.purge(&format!("{{\"url\":\"{url}\"}}")).await
            }
        };
        let next = proxy.get(shared[0]).await;
        assert!(!next.is_hit(), "by method {by_method}: {next:?}");
    }
}

// --- fields and cookies --------------------------------------------------------------------------

#[tokio::test]
async fn a_field_of_the_key_makes_a_page_of_its_own() {
    let origin = echoing_field("x-device");
    let setup = with_cache("key = { fields = [\"X-Device\"] }");
    let proxy = setup(&origin).start().await;
    for round in 0..2 {
        for device in ["phone", "desk"] {
            let response = proxy.get_with("/a", &[("x-device", device)]).await;
            assert!(response.is_good(device), "{response:?}");
            assert_eq!(response.is_hit(), round == 1, "{response:?}");
        }
        let without = proxy.get("/a").await;
        assert!(without.is_good(""), "{without:?}");
        assert_eq!(without.is_hit(), round == 1, "{without:?}");
    }
    let other = [("x-device", "phone"), ("x-other", "1")];
    assert!(proxy.get_with("/a", &other).await.is_hit());
}

/// Who purges a page means the page, whatever it was chosen by.
#[tokio::test]
async fn a_purge_of_a_url_clears_all_its_fields_and_cookies() {
    let origin = echoing_field("x-device");
    let key = "cookies = \"ignore\"\nkey = { fields = [\"x-device\"], cookies = [\"lang\"] }";
    let proxy = with_cache(key)(&origin).start().await;
    let table: [Fields; 3] = [
        &[("x-device", "phone")],
        &[("x-device", "phone"), ("cookie", "lang=de")],
        &[],
    ];
    for fields in table {
        proxy.get_with("/a", fields).await;
        assert!(proxy.get_with("/a", fields).await.is_hit(), "{fields:?}");
    }
    proxy.purge("{\"url\":\"http://example.test/a\"}").await;
    for fields in table {
        let next = proxy.get_with("/a", fields).await;
        assert!(!next.is_hit(), "{fields:?}: {next:?}");
    }
}

/// A proxy with these rules for cookies, and an origin that answers with the Cookie it got.
async fn with_cookies(cookies: &str) -> (Origin, Proxy) {
    let origin = echoing_field("cookie");
    let lines = format!("cookies = \"{cookies}\"\nkey = {{ cookies = [\"lang\", \"theme\"] }}");
    let proxy = Proxy::before(&origin).table("cache", &lines).start().await;
    (origin, proxy)
}

async fn get_with_cookie(proxy: &Proxy, cookie: &str) -> Response {
    proxy.get_with("/a", &[("cookie", cookie)]).await
}

#[tokio::test]
async fn cookies_of_the_key_alone_reach_the_origin_where_others_are_ignored() {
    let (origin, proxy) = with_cookies("ignore").await;
    let first = get_with_cookie(&proxy, "session=anna; lang=de").await;
    assert!(first.is_good("lang=de") && !first.is_hit(), "{first:?}");
    for (cookie, shared) in [
        ("lang=de", true),
        ("lang=de; session=bert", true),
        ("lang=en; session=anna", false),
        ("lang=de; theme=dark", false),
        ("session=anna", false),
        ("xlang=de", false),
        ("lang=", false),
    ] {
        let path = if shared { "/a" } else { "/b" };
        let seed = proxy.get_with(path, &[("cookie", "lang=de")]).await;
        assert!(seed.is_good("lang=de"), "{seed:?}");
        let response = proxy.get_with(path, &[("cookie", cookie)]).await;
        assert_eq!(
            response.is_good("lang=de"),
            shared,
            "{cookie}: {response:?}"
        );
        assert!(!response.text().contains("session"), "{response:?}");
    }
    assert!(
        origin
            .requests()
            .iter()
            .all(|it| !it.head.to_string().contains("session"))
    );
}

#[tokio::test]
async fn a_cookie_beyond_the_key_passes_whole_where_cookies_pass() {
    let (origin, proxy) = with_cookies("pass").await;
    for _ in 0..2 {
        let passed = get_with_cookie(&proxy, "session=anna; lang=de").await;
        assert!(passed.is_good("session=anna; lang=de"), "{passed:?}");
        assert!(passed.says("detail=cookie"), "{passed:?}");
    }
    for hit in [false, true] {
        let response = get_with_cookie(&proxy, "lang=de").await;
        assert!(response.is_good("lang=de"), "{response:?}");
        assert_eq!(response.is_hit(), hit, "{response:?}");
    }
    assert!(!get_with_cookie(&proxy, "lang=en").await.is_hit());
    assert_eq!(origin.count("/a"), 4);
}

/// Parts of a key that look alike once they stand in a row.
#[tokio::test]
async fn keys_that_read_alike_are_not_alike() {
    let origin = Origin::start(async |request, connection| {
        let fields = ["x-a", "x-b", "cookie"].map(|it| request.field(it));
        let body = format!("{} {fields:?}", request.path);
        let fresh = [("cache-control", "max-age=60")];
        connection.respond(200, &fresh, body).await;
    });
    let key = "cookies = \"ignore\"\n\
               key = { fields = [\"x-a\", \"x-b\"], cookies = [\"a\", \"b\"] }";
    let proxy = with_cache(key)(&origin).start().await;
    let table: &[(&str, Fields)] = &[
        ("/p", &[]),
        ("/p", &[("x-a", "1"), ("x-b", "23")]),
        ("/p", &[("x-a", "12"), ("x-b", "3")]),
        ("/p", &[("x-a", "123")]),
        ("/p", &[("x-b", "123")]),
        ("/p", &[("x-a", "1"), ("x-b", "2"), ("cookie", "a=3")]),
        ("/p", &[("x-a", "1, x-b: 23")]),
        ("/p", &[("x-a", "1\tx-b\t23")]),
        ("/p", &[("x-a", "1;x-b=23")]),
        ("/p", &[("cookie", "a=12")]),
        ("/p", &[("cookie", "a=1; b=2")]),
        ("/p", &[("cookie", "b=12")]),
        ("/p", &[("cookie", "a=1b=2")]),
        ("/p?x-a=123", &[]),
        ("/p?x-a", &[("x-b", "123")]),
        ("/p1", &[("x-a", "23")]),
        ("/p", &[("x-a", "a=12")]),
    ];
    let mut bodies = Vec::new();
    for (path, fields) in table {
        let response = proxy.get_with(path, fields).await;
        assert!(!response.is_hit(), "{path} {fields:?}: {response:?}");
        bodies.push(response.text());
    }
    for ((path, fields), body) in table.iter().zip(bodies) {
        let response = proxy.get_with(path, fields).await;
        assert!(response.is_hit(), "{path} {fields:?}: {response:?}");
        assert_eq!(response.text(), body, "{path} {fields:?}");
    }
}

/// What a client says of hosts and addresses that only a proxy knows must shape no stored page.
#[tokio::test]
async fn a_clients_forwarding_fields_shape_no_stored_page() {
    let origin = Origin::start(async |request, connection| {
        let fields = [("cache-control", "max-age=60")];
        connection
            .respond(200, &fields, request.head.to_string())
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let poison = [
        ("x-forwarded-host", "poison.test"),
        ("x-forwarded-for", "192.0.2.99"),
        ("x-forwarded-proto", "poison"),
        ("forwarded", "for=192.0.2.99;host=poison.test"),
    ];
    let first = proxy.get_with("/a", &poison).await;
    for word in ["poison", "192.0.2.99"] {
        assert!(!first.text().contains(word), "{first:?}");
    }
    let seen = origin.last();
    if let Some(host) = seen.field("x-forwarded-host") {
        assert_eq!(host, "example.test", "our own form");
    }
    assert!(proxy.get("/a").await.is_hit());
}
