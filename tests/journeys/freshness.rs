//! What may be reused, and for how long (RFC 9111 §3 and §4.2), under both profiles. The verdicts
//! are tested beside `semantics`; here each rule is seen to reach the wire.

use std::time::Duration;

use crate::harness::{
    FRESH, Fields, Origin, Proxy, Request, Response, by_number, eventually, http_date,
};

/// A row: what it shows, the origin's status and fields, whether a second GET is a hit.
type Row<'a> = (&'a str, u16, Fields<'a>, bool);

/// Asks for every row twice and complains of all that were reused wrongly.
async fn assert_reuse(profile: &'static str, rows: &[Row<'_>]) {
    let origin = by_number(rows.iter().map(|it| (it.1, it.2)));
    let proxy = Proxy::before(&origin).profile(profile).start().await;
    let mut client = proxy.client().await;
    let mut wrong = Vec::new();
    for (index, (name, status, _, reused)) in rows.iter().enumerate() {
        let path = format!("/{index}");
        let first = client.get(&path).await;
        let second = client.get(&path).await;
        assert_eq!(
            (first.status, second.status),
            (*status, *status),
            "{name}: {second:?}"
        );
        if second.is_hit() != *reused {
            wrong.push(format!(
                "{name}: {} then {}",
                first.cache_status(),
                second.cache_status()
            ));
        }
    }
    assert!(wrong.is_empty(), "{profile}: {wrong:#?}");
}

/// Whether the second of two GETs with these fields is a hit.
async fn is_reused(proxy: &Proxy, path: &str, fields: Fields<'_>) -> (bool, Response) {
    proxy.get_with(path, fields).await;
    let second = proxy.get_with(path, fields).await;
    (second.is_hit(), second)
}

#[tokio::test]
async fn lifetimes_are_read_as_rfc_9111_says() {
    let (future, past, now) = (http_date(600), http_date(-600), http_date(0));
    assert_reuse(
        "cautious",
        &[
            (
                "§5.2.2.1 max-age",
                200,
                &[("cache-control", "max-age=60")],
                true,
            ),
            (
                "§5.2 any letter case",
                200,
                &[("Cache-Control", "MAX-AGE=60")],
                true,
            ),
            (
                "§5.2 unknown beside known",
                200,
                &[("cache-control", "x, max-age=60, y=z")],
                true,
            ),
            (
                "§5.2.2.10 s-maxage",
                200,
                &[("cache-control", "s-maxage=60")],
                true,
            ),
            (
                "s-maxage over max-age",
                200,
                &[("cache-control", "max-age=0, s-maxage=60")],
                true,
            ),
            (
                "also when it is less",
                200,
                &[("cache-control", "max-age=60, s-maxage=0")],
                false,
            ),
            (
                "§5.3 Expires",
                200,
                &[("expires", &future), ("date", &now)],
                true,
            ),
            (
                "Expires in the past",
                200,
                &[("expires", &past), ("date", &now)],
                false,
            ),
            ("§5.3 invalid Expires", 200, &[("expires", "0")], false),
            (
                "max-age over Expires",
                200,
                &[("cache-control", "max-age=60"), ("expires", "0")],
                true,
            ),
            (
                "§4.2.3 Age counts",
                200,
                &[("cache-control", "max-age=60"), ("age", "90")],
                false,
            ),
            (
                "less Age",
                200,
                &[("cache-control", "max-age=60"), ("age", "30")],
                true,
            ),
            (
                "§1.2.2 huge number",
                200,
                &[("cache-control", "max-age=99999999999")],
                true,
            ),
            (
                "huge Age",
                200,
                &[
                    ("cache-control", "max-age=60"),
                    ("age", "99999999999999999999"),
                ],
                false,
            ),
            (
                "not a number",
                200,
                &[("cache-control", "max-age=soon")],
                false,
            ),
            ("negative", 200, &[("cache-control", "max-age=-60")], false),
            (
                "inside a string",
                200,
                &[("cache-control", "x=\"max-age=60\"")],
                false,
            ),
            ("nothing said", 200, &[], false),
            (
                "several lines",
                200,
                &[("cache-control", "x"), ("cache-control", "max-age=60")],
                true,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_must_not_be_stored_is_not() {
    assert_reuse(
        "cautious",
        &[
            (
                "§5.2.2.5 no-store",
                200,
                &[("cache-control", "no-store, max-age=60")],
                false,
            ),
            (
                "§5.2.2.7 private",
                200,
                &[("cache-control", "private, max-age=60")],
                false,
            ),
            (
                "§5.2.2.4 no-cache",
                200,
                &[("cache-control", "no-cache, max-age=60")],
                false,
            ),
            (
                "any letter case",
                200,
                &[("cache-control", "No-Store, max-age=60")],
                false,
            ),
            (
                "§4.1 Vary: *",
                200,
                &[("cache-control", "max-age=60"), ("vary", "*")],
                false,
            ),
            (
                "Set-Cookie",
                200,
                &[("cache-control", "max-age=60"), ("set-cookie", "a=b")],
                false,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn any_final_status_is_stored_when_it_says_for_how_long() {
    assert_reuse(
        "cautious",
        &[
            ("204", 204, &[("cache-control", "max-age=60")], true),
            (
                "301",
                301,
                &[("cache-control", "max-age=60"), ("location", "/")],
                true,
            ),
            ("404", 404, &[("cache-control", "max-age=60")], true),
            ("410", 410, &[("cache-control", "max-age=60")], true),
            ("500", 500, &[("cache-control", "max-age=60")], true),
            ("404 bare", 404, &[], false),
            ("500 bare", 500, &[], false),
            ("503 bare", 503, &[], false),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_lifetime_is_guessed_from_the_last_change() {
    let old = http_date(-864_000);
    let changed = [("last-modified", &*old)];
    let with_cookie = [("last-modified", &*old), ("set-cookie", "a=b")];
    for profile in ["cautious", "rfc"] {
        let rows: &[Row] = &[
            ("§4.2.2 heuristic", 200, &changed, true),
            ("for a 404, too", 404, &changed, true),
            ("§7.3 not beside a cookie", 200, &with_cookie, false),
        ];
        assert_reuse(profile, rows).await;
    }
}

/// A guess is bounded, more tightly by the cautious.
#[tokio::test]
async fn a_guess_is_bounded_by_the_profile() {
    let old = http_date(-8_640_000);
    for (profile, seconds) in [("cautious", 120), ("rfc", 86_400)] {
        let old = old.clone();
        let origin = Origin::start(async move |_, connection| {
            let fields = [("last-modified", &*old)];
            connection.respond(200, &fields, "hello").await;
        });
        let proxy = Proxy::before(&origin).profile(profile).start().await;
        let ttl = proxy.get("/a").await.ttl();
        let near = seconds - 3..=seconds;
        assert!(
            ttl.is_some_and(|ttl| near.contains(&ttl)),
            "{profile}: {ttl:?}"
        );
    }
}

#[tokio::test]
async fn set_cookie_is_stored_under_the_rfc_profile_alone() {
    let cookie = [("cache-control", "max-age=60"), ("set-cookie", "a=b")];
    for (profile, reused) in [("cautious", false), ("rfc", true)] {
        let rows: &[Row] = &[("§7.3 Set-Cookie", 200, &cookie, reused)];
        assert_reuse(profile, rows).await;
    }
}

/// A cookie is for the client of the answer that sets it: nobody confirms it, and an answer that has
/// not said how long it may be used has not said that it is for others.
#[tokio::test]
async fn a_stored_cookie_is_not_handed_out_by_a_304() {
    let origin = Origin::start(async |request: &Request, connection| {
        let lifetime = match request.path.as_str() {
            "/stated" => ("cache-control", "max-age=0, must-revalidate"),
            _ => ("x-lifetime", "none"),
        };
        let cookie = format!("visitor={}", request.nth);
        let fields = [lifetime, ("etag", "\"1\""), ("set-cookie", &cookie)];
        match request.field("if-none-match") {
            Some("\"1\"") => connection.respond(304, &fields[..2], "").await,
            _ => connection.respond(200, &fields, "hello").await,
        }
    });
    let proxy = Proxy::before(&origin).profile("rfc").start().await;
    let first = proxy.get("/stated").await;
    assert_eq!(first.field("set-cookie"), Some("visitor=1"), "{first:?}");
    for _ in 0..2 {
        let confirmed = proxy.get("/stated").await;
        assert!(confirmed.says("fwd=stale"), "{confirmed:?}");
        assert_eq!(confirmed.field("set-cookie"), None, "{confirmed:?}");
    }
    for nth in ["visitor=1", "visitor=2"] {
        let response = proxy.get("/unstated").await;
        assert!(response.says("detail=set-cookie"), "{response:?}");
        assert_eq!(response.field("set-cookie"), Some(nth), "a visitor's own");
    }
}

#[tokio::test]
async fn a_request_with_a_cookie_passes_unless_cookies_are_ignored() {
    let origin = Origin::answering(200, &[("cache-control", "max-age=60")], "hello");
    let sites = r#"
        [[site]]
        hosts = ["*"]
        route = [
            { path = "/*", origin = "main" },
            { path = "/public/*", origin = "main", cache = { cookies = "ignore" } },
        ]
    "#;
    let cookie = [("cookie", "session=1")];
    let cautious = Proxy::before(&origin).sites(sites).start().await;
    let (reused, response) = is_reused(&cautious, "/a", &cookie).await;
    assert!(
        !reused && response.cache_status().contains("fwd="),
        "{response:?}"
    );
    assert!(
        response.cache_status().contains("detail="),
        "a pass says why: {response:?}"
    );
    assert!(
        !cautious.get("/a").await.is_hit(),
        "what a pass brought is not stored"
    );
    assert!(is_reused(&cautious, "/public/a", &cookie).await.0);

    let rfc = Proxy::before(&origin).profile("rfc").start().await;
    assert!(is_reused(&rfc, "/a", &cookie).await.0);
}

/// A stored page must not become somebody's own by being asked for with a Cookie, nor the reverse.
#[tokio::test]
async fn a_stored_page_is_not_given_to_a_request_with_a_cookie() {
    let origin = Origin::start(async |request, connection| {
        let body = request.field("cookie").unwrap_or("nobody").to_owned();
        connection
            .respond(200, &[("cache-control", "max-age=60")], body)
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("nobody"));
    assert!(
        proxy
            .get_with("/a", &[("cookie", "alice")])
            .await
            .is_good("alice")
    );
    assert!(
        proxy
            .get_with("/a", &[("cookie", "bob")])
            .await
            .is_good("bob")
    );
    assert!(proxy.get("/a").await.is_good("nobody"));
}

/// RFC 9111 §3.5: "A shared cache MUST NOT use a cached response to a request with an Authorization
/// header field to satisfy any subsequent request unless the response contains a Cache-Control
/// field with a response directive that allows it".
#[tokio::test]
async fn an_answer_to_authorization_is_shared_only_when_it_says_so() {
    let origin = Origin::start(async |request, connection| {
        let directives = match &*request.path {
            "/public" => "public, max-age=60",
            "/s-maxage" => "s-maxage=60",
            "/must-revalidate" => "must-revalidate, max-age=60",
            _ => "max-age=60",
        };
        connection
            .respond(200, &[("cache-control", directives)], "hello")
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let secret = [("authorization", "Basic YTpi")];
    for (path, reused) in [
        ("/plain", false),
        ("/public", true),
        ("/s-maxage", true),
        ("/must-revalidate", true),
    ] {
        let (hit, response) = is_reused(&proxy, path, &secret).await;
        assert_eq!(hit, reused, "{path}: {response:?}");
    }
    assert_eq!(
        origin.last().field("authorization"),
        Some("Basic YTpi"),
        "and it is forwarded"
    );
    assert!(
        !proxy.get("/plain").await.is_hit(),
        "what a user was told is nobody else's"
    );
}

#[tokio::test]
async fn age_is_what_the_origin_said_plus_the_time_here() {
    let fields = &[("cache-control", "max-age=600"), ("age", "30")];
    let origin = Origin::answering(200, fields, "hello");
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let age = proxy.get("/a").await.age();
    assert!(age.is_some_and(|it| (30..60).contains(&it)), "{age:?}");
    let older = async || proxy.get("/a").await.age() > age;
    eventually("Age to grow", older).await;
    assert_eq!(origin.count("/a"), 1);
}

/// s00006: what says that it is fresh does not look stale to the next cache.
#[tokio::test]
async fn the_age_of_a_fresh_page_is_below_its_lifetime() {
    let origin = Origin::start(async |request, connection| {
        connection
            .respond(
                200,
                &[("cache-control", "max-age=2")],
                request.nth.to_string(),
            )
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    let renewed = async || {
        let response = client.get("/a").await;
        let age = response.age().unwrap_or_default();
        assert!(!response.is_hit() || age < 2, "{response:?}");
        response.is_good("2")
    };
    eventually("the page to be renewed", renewed).await;
}

/// s00007, as RFC 9111 §4.2.3 has it: "corrected_age_value = age_value + response_delay": what an
/// origin was slow to say is as old as the question.
#[tokio::test]
async fn the_time_an_origin_takes_counts_as_age() {
    let origin = Origin::start(async |_, connection| {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let hit = proxy.get("/a").await;
    assert!(hit.is_hit(), "{hit:?}");
    assert!(hit.age().is_some_and(|it| it >= 1), "{hit:?}");
}

#[tokio::test]
async fn what_has_grown_too_old_is_asked_for_again() {
    let origin = Origin::start(async |request, connection| {
        let body = request.nth.to_string();
        connection
            .respond(200, &[("cache-control", "max-age=61"), ("age", "60")], body)
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("1"));
    let renewed = async || proxy.get("/a").await.is_good("2");
    eventually("a stale object to be replaced", renewed).await;
}

#[tokio::test]
async fn a_default_lifetime_is_for_those_who_say_nothing() {
    let origin = Origin::start(async |request, connection| {
        let (status, fields): (u16, Fields) = match &*request.path {
            "/private" => (200, &[("cache-control", "private")]),
            "/zero" => (200, &[("cache-control", "max-age=0")]),
            "/error" => (500, &[]),
            _ => (200, &[]),
        };
        connection.respond(status, fields, "hello").await;
    });
    let proxy = Proxy::before(&origin)
        .table("cache", "default_ttl = \"1m\"")
        .start()
        .await;
    for (path, reused) in [
        ("/a", true),
        ("/private", false),
        ("/zero", false),
        ("/error", false),
    ] {
        assert_eq!(is_reused(&proxy, path, &[]).await.0, reused, "{path}");
    }
}

#[tokio::test]
async fn a_route_may_do_without_the_cache() {
    let origin = Origin::answering(200, &[("cache-control", "max-age=60")], "hello");
    let sites = r#"
        [[site]]
        hosts = ["*"]
        route = [{ path = "/*", origin = "main", cache = { enabled = false } }]
    "#;
    let proxy = Proxy::before(&origin).sites(sites).start().await;
    let (reused, response) = is_reused(&proxy, "/a", &[]).await;
    assert!(
        !reused && response.cache_status().contains("fwd="),
        "{response:?}"
    );
    assert_eq!(origin.count("/a"), 2);
}

/// RFC 9111 §3: "the response final status code" and "the request method is understood by the
/// cache": an answer to POST is not reused for GET.
#[tokio::test]
async fn only_get_fills_the_cache() {
    let origin = Origin::answering(200, &[("cache-control", "max-age=60")], "hello");
    let proxy = Proxy::start(&origin).await;
    let posted = proxy.client().await.send_body("POST", "/a", "text").await;
    assert!(
        posted.is_good("hello") && posted.says("fwd=method"),
        "{posted:?}"
    );
    assert!(!proxy.get("/a").await.is_hit());
    assert!(proxy.get("/a").await.is_hit());
}
