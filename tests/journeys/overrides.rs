//! What the operator decides where the origin would decide otherwise: lifetimes by route and by
//! status, and which fields are meant for caches like this one (RFC 9213). What clients wish is in
//! `request_directives.rs`.

use crate::harness::{
    FRESH, Fields, Origin, Proxy, Response, Setup, by_number, http_date, with_cache,
};

/// A row: what it shows, the origin's status and fields, the lifetime in seconds of what is reused,
/// or nothing where nothing is.
type Row<'a> = (&'a str, u16, Fields<'a>, Option<i64>);

/// Whether a response was stored for so long; a second may have passed, or be rounded up.
fn is_stored_for(response: &Response, seconds: i64) -> bool {
    let near = (seconds - 3)..=(seconds + 1);
    response.says("stored") && response.ttl().is_some_and(|it| near.contains(&it))
}

/// Asks for every row twice and complains of all that were kept wrongly or for the wrong time.
async fn assert_kept(setup: impl FnOnce(&Origin) -> Setup, rows: &[Row<'_>]) {
    let origin = by_number(rows.iter().map(|it| (it.1, it.2)));
    let proxy = setup(&origin).start().await;
    let mut client = proxy.client().await;
    let mut wrong = Vec::new();
    for (index, (name, status, _, seconds)) in rows.iter().enumerate() {
        let path = format!("/{index}");
        let first = client.get(&path).await;
        let second = client.get(&path).await;
        assert_eq!((first.status, second.status), (*status, *status), "{name}");
        let right = match seconds {
            Some(seconds) => second.is_hit() && is_stored_for(&first, *seconds),
            None => !second.is_hit(),
        };
        if !right {
            let (first, second) = (first.cache_status(), second.cache_status());
            wrong.push(format!("{name}: {first} then {second}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

// --- lifetimes -----------------------------------------------------------------------------------

#[tokio::test]
async fn a_routes_ttl_comes_before_what_the_response_says() {
    let past = http_date(-3600);
    let rows: &[Row] = &[
        ("nothing said", 200, &[], Some(30)),
        ("less", 200, &[("cache-control", "max-age=5")], Some(30)),
        ("more", 200, &[("cache-control", "s-maxage=600")], Some(30)),
        ("none", 200, &[("cache-control", "max-age=0")], Some(30)),
        ("no-cache", 200, &[("cache-control", "no-cache")], Some(30)),
        (
            "must-revalidate",
            200,
            &[("cache-control", "max-age=0, must-revalidate")],
            Some(30),
        ),
        ("Expires", 200, &[("expires", &past)], Some(30)),
        ("but not for errors", 404, &[], None),
    ];
    assert_kept(with_cache("ttl = \"30s\""), rows).await;
}

/// What is somebody's own, or secret, is so whatever the operator wants.
#[tokio::test]
async fn a_routes_ttl_stores_nothing_that_may_not_be_shared() {
    let rows: &[Row] = &[
        ("no-store", 200, &[("cache-control", "no-store")], None),
        ("private", 200, &[("cache-control", "private")], None),
        (
            "private beside a lifetime",
            200,
            &[("cache-control", "private, max-age=60")],
            None,
        ),
        ("Set-Cookie", 200, &[("set-cookie", "a=b")], None),
        ("Vary: *", 200, &[("vary", "*")], None),
    ];
    assert_kept(with_cache("ttl = \"30s\""), rows).await;
    let origin = Origin::answering(200, &[], "hello");
    let setup = Proxy::before(&origin).table("cache", "ttl = \"30s\"");
    let proxy = setup.start().await;
    for _ in 0..2 {
        let secret = [("authorization", "Basic YTpi")];
        assert!(!proxy.get_with("/a", &secret).await.is_hit());
    }
}

#[tokio::test]
async fn a_lifetime_by_route_is_said_to_be_one() {
    let origin = Origin::answering(200, &[("cache-control", "no-cache")], "hello");
    let sites = r#"
        [[site]]
        hosts = ["*"]
        route = [
            { path = "/*", origin = "main" },
            { path = "/long/*", origin = "main", cache = { ttl = "1h" } },
        ]
    "#;
    let proxy = Proxy::before(&origin).sites(sites).start().await;
    let first = proxy.get("/long/a").await;
    assert!(is_stored_for(&first, 3600), "{first:?}");
    assert!(first.says("detail=ttl-by-route"), "{first:?}");
    assert_eq!(first.field("cache-control"), Some("no-cache"), "unchanged");
    assert!(proxy.get("/long/a").await.is_hit());
    proxy.get("/a").await;
    assert!(!proxy.get("/a").await.is_hit(), "another route");
}

#[tokio::test]
async fn a_status_may_have_a_lifetime_of_its_own() {
    let lines = r#"
        default_ttl = "30s"
        status_ttl = { 404 = "10s", "4xx" = "20s", 301 = "1h", "5xx" = "5s" }
    "#;
    let rows: &[Row] = &[
        ("exact", 404, &[], Some(10)),
        ("by class", 410, &[], Some(20)),
        ("not cacheable by heuristics", 403, &[], Some(20)),
        (
            "exact without a class",
            301,
            &[("location", "/")],
            Some(3600),
        ),
        ("an error", 500, &[], Some(5)),
        ("by default", 200, &[], Some(30)),
        ("by default for some only", 302, &[("location", "/")], None),
        (
            "the response's own",
            404,
            &[("cache-control", "max-age=60")],
            Some(60),
        ),
        (
            "none of its own",
            404,
            &[("cache-control", "max-age=0")],
            None,
        ),
        ("private", 404, &[("cache-control", "private")], None),
        ("no-store", 404, &[("cache-control", "no-store")], None),
    ];
    assert_kept(with_cache(lines), rows).await;
}

#[tokio::test]
async fn an_error_is_not_kept_for_as_long_as_it_says() {
    let long: Fields = &[("cache-control", "max-age=600")];
    let rows = |capped| -> [Row; 4] {
        [
            ("a 500", 500, long, Some(capped)),
            ("a 503", 503, long, Some(capped)),
            ("a 404 is none", 404, long, Some(600)),
            ("nor is a 200", 200, long, Some(600)),
        ]
    };
    assert_kept(Proxy::before, &rows(10)).await;
    let rfc = |origin: &Origin| Proxy::before(origin).profile("rfc");
    assert_kept(rfc, &rows(600)).await;
    assert_kept(with_cache("error_ttl_max = \"1m\""), &rows(60)).await;
    let both = |origin: &Origin| rfc(origin).table("cache", "error_ttl_max = \"1m\"");
    assert_kept(both, &rows(60)).await;
    let brief: &[Row] = &[("less", 500, &[("cache-control", "max-age=7")], Some(7))];
    assert_kept(Proxy::before, brief).await;
}

/// `error_ttl_max` bounds for how long an error is served at all, and `grace` is for pages.
#[tokio::test]
async fn an_error_is_not_served_long_after_its_time() {
    let rows = [
        ("", "max-age=600, stale-while-revalidate=86400"),
        ("grace = \"1h\"", "max-age=600"),
    ];
    for (lines, control) in rows {
        let origin = Origin::start(async move |request, connection| {
            let fields = [("cache-control", control), ("age", "62")];
            match request.nth {
                1 => connection.respond(503, &fields, "outage").await,
                _ => connection.respond(200, FRESH, "well").await,
            }
        });
        let proxy = Proxy::before(&origin).table("cache", lines).start().await;
        assert_eq!(proxy.get("/a").await.status, 503);
        let next = proxy.get("/a").await;
        assert!(next.is_good("well"), "{control}: {next:?}");
    }
}

#[tokio::test]
async fn a_route_may_have_a_grace_of_its_own() {
    let origin = Origin::start(async |request, connection| {
        let fields = [
            ("cache-control", "max-age=60"),
            ("age", "62"),
            ("etag", "\"1\""),
        ];
        connection
            .respond(200, &fields, request.nth.to_string())
            .await;
    });
    let sites = r#"
        [[site]]
        hosts = ["*"]
        route = [
            { path = "/*", origin = "main" },
            { path = "/graceful/*", origin = "main", cache = { grace = "1m" } },
        ]
    "#;
    let proxy = Proxy::before(&origin).sites(sites).start().await;
    for (path, stale) in [("/a", false), ("/graceful/a", true)] {
        proxy.get(path).await;
        let second = proxy.get(path).await;
        assert_eq!(second.is_stale_hit(), stale, "{path}: {second:?}");
    }
}

// --- fields meant for caches like this one -------------------------------------------------------

/// RFC 9213 §2.2: "the cache MUST select the first (in target-list order) field with a valid,
/// non-empty value and use its value to determine the caching policy for the response, and it MUST
/// ignore the Cache-Control and Expires header fields in that response".
#[tokio::test]
async fn cdn_cache_control_comes_before_cache_control_and_expires() {
    let (past, future) = (http_date(-3600), http_date(3600));
    let rows: &[Row] = &[
        (
            "over no-store",
            200,
            &[
                ("cache-control", "no-store"),
                ("cdn-cache-control", "max-age=30"),
            ],
            Some(30),
        ),
        (
            "over a longer lifetime",
            200,
            &[
                ("cache-control", "s-maxage=600"),
                ("cdn-cache-control", "max-age=30"),
            ],
            Some(30),
        ),
        (
            "over Expires",
            200,
            &[("expires", &past), ("cdn-cache-control", "max-age=30")],
            Some(30),
        ),
        (
            "no-store",
            200,
            &[
                ("cache-control", "max-age=60"),
                ("cdn-cache-control", "no-store"),
            ],
            None,
        ),
        (
            "private",
            200,
            &[
                ("cache-control", "max-age=60"),
                ("cdn-cache-control", "private, max-age=60"),
            ],
            None,
        ),
        (
            "no-cache",
            200,
            &[
                ("cache-control", "max-age=60"),
                ("cdn-cache-control", "no-cache"),
            ],
            None,
        ),
        (
            "no lifetime there is none",
            200,
            &[("expires", &future), ("cdn-cache-control", "public")],
            None,
        ),
        (
            "several lines",
            200,
            &[
                ("cdn-cache-control", "public"),
                ("cdn-cache-control", "max-age=30"),
            ],
            Some(30),
        ),
        (
            "parameters of a directive",
            200,
            &[
                ("cache-control", "no-store"),
                ("cdn-cache-control", "max-age=30;x=1"),
            ],
            Some(30),
        ),
        (
            "Age counts",
            200,
            &[("cdn-cache-control", "max-age=60"), ("age", "90")],
            None,
        ),
    ];
    assert_kept(Proxy::before, rows).await;
}

/// RFC 9213 §2.1: "If a targeted field in a given response is empty or a parsing error is
/// encountered, that field MUST be ignored by the cache (i.e., it behaves as if the field were not
/// present, likely falling back to other cache-control mechanisms present)."
#[tokio::test]
async fn a_targeted_field_that_makes_no_sense_is_ignored() {
    for value in ["", "max-age=", "max-age=30,", "max-age=30, ?", "=30", "\"x"] {
        let rows: &[Row] = &[
            (
                "beside a lifetime",
                200,
                &[
                    ("cache-control", "max-age=60"),
                    ("cdn-cache-control", value),
                ],
                Some(60),
            ),
            (
                "beside no-store",
                200,
                &[("cache-control", "no-store"), ("cdn-cache-control", value)],
                None,
            ),
        ];
        assert_kept(Proxy::before, rows).await;
    }
}

#[tokio::test]
async fn targeted_fields_reach_the_client_unchanged() {
    let fields = &[
        ("cache-control", "no-store"),
        ("cdn-cache-control", "max-age=60;x=1,  x-unknown=(a b)"),
        ("surrogate-control", "max-age=5"),
    ];
    let origin = Origin::answering(200, fields, "hello");
    let proxy = Proxy::start(&origin).await;
    for hit in [false, true] {
        let response = proxy.get("/a").await;
        assert_eq!(response.is_hit(), hit, "{response:?}");
        for (name, value) in fields {
            assert_eq!(response.head.fields(name), [*value], "{response:?}");
        }
    }
}

/// RFC 9213 §2.2: "The target list might be fixed, user configurable, or generated per request",
/// and "Targeted fields that are not on a cache's target list MUST NOT change that cache's behavior
/// and MUST be passed through."
#[tokio::test]
async fn the_operator_says_which_targeted_fields_count() {
    let fields: Fields = &[
        ("cache-control", "max-age=60"),
        ("cdn-cache-control", "max-age=40"),
        ("surrogate-control", "max-age=20"),
    ];
    let table = [
        ("[]", 60),
        ("[\"cdn-cache-control\"]", 40),
        ("[\"Surrogate-Control\"]", 20),
        ("[\"surrogate-control\", \"cdn-cache-control\"]", 20),
        ("[\"cdn-cache-control\", \"surrogate-control\"]", 40),
        ("[\"x-cache-control\", \"surrogate-control\"]", 20),
    ];
    for (targeted, seconds) in table {
        let setup = with_cache(format!("targeted = {targeted}"));
        assert_kept(setup, &[(targeted, 200, fields, Some(seconds))]).await;
    }
    let broken: Fields = &[
        ("cache-control", "max-age=60"),
        ("cdn-cache-control", "max-age="),
        ("surrogate-control", "max-age=20"),
    ];
    let setup = with_cache("targeted = [\"cdn-cache-control\", \"surrogate-control\"]");
    assert_kept(setup, &[("the next valid one", 200, broken, Some(20))]).await;
}
