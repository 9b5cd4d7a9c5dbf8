//! Stale responses that are served while they are refreshed (RFC 5861 §3, RFC 9111 §4.2.4), the
//! operator's grace, and what is kept only to be asked about. Pages here are stale from the start,
//! as their Age says, so nothing waits for a clock.

use crate::harness::{
    Fields, Gate, IN_GRACE, Origin, Proxy, Setup, answer_old, eventually, responses, settled,
};

const NEW: Fields<'static> = &[("cache-control", "max-age=60"), ("etag", "\"new\"")];
const WINDOW: &str = "max-age=60, stale-while-revalidate=30";

/// A row: the page's Cache-Control, its Age, whether it is served stale.
type Row = (&'static str, &'static str, bool);

/// The first answer for each path is two seconds past its minute; the others are fresh.
fn ageing(control: &'static str) -> Origin {
    let gate = Gate::new();
    gate.open();
    held(control, &gate)
}

/// As [`ageing`], with a gate before each fresh answer.
fn held(control: &'static str, gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(async move |request, connection| {
        if request.nth == 1 {
            return answer_old(connection, control, "62").await;
        }
        gate.pass().await;
        connection.respond(200, NEW, "new").await;
    })
}

/// Answers `/N` with the Cache-Control and the Age of the Nth row at first, freshly later.
fn table_origin(rows: &'static [Row]) -> Origin {
    Origin::start(async move |request, connection| {
        let index: usize = request.path[1..].parse().expect("a row's number");
        let (control, age, _) = rows[index];
        match request.nth {
            1 => answer_old(connection, control, age).await,
            _ => connection.respond(200, NEW, "new").await,
        }
    })
}

/// Complains of every row whose second GET is wrongly stale or wrongly not.
async fn assert_stale(setup: impl FnOnce(&Origin) -> Setup, rows: &'static [Row]) {
    let origin = table_origin(rows);
    let proxy = setup(&origin).start().await;
    let mut wrong = Vec::new();
    for (index, (control, age, stale)) in rows.iter().enumerate() {
        let path = format!("/{index}");
        assert!(proxy.get(&path).await.is_good("old"), "{control}");
        let second = proxy.get(&path).await;
        let right = match stale {
            true => second.is_good("old") && second.is_stale_hit(),
            false => second.is_good("new") && !second.is_hit(),
        };
        if !right {
            wrong.push(format!("{control}, {age} s old: {second:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

// --- stale-while-revalidate ----------------------------------------------------------------------

/// c00058: all get the stale page before the origin has answered, and it is asked once.
#[tokio::test]
async fn a_stale_page_is_served_at_once_and_refreshed_once() {
    let gate = Gate::new();
    let origin = held(WINDOW, &gate);
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let mut herd = proxy.herd(20, "/a").await;
    for response in responses(&mut herd).await {
        assert!(response.is_good("old"), "{response:?}");
    }
    gate.arrived(1).await;
    gate.open();
    let refreshed = async || proxy.get("/a").await.is_good("new");
    eventually("the new page", refreshed).await;
    assert_eq!(origin.count("/a"), 2);
}

/// RFC 9211 §2.1: "the request was satisfied by the cache; i.e., it was not forwarded", and §2.4:
/// the ttl "may be negative, to indicate staleness".
#[tokio::test]
async fn a_stale_page_says_that_it_is_stale_and_how_old() {
    let origin = ageing(WINDOW);
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let stale = proxy.get("/a").await;
    assert!(stale.is_stale_hit(), "{stale:?}");
    assert!(stale.says("detail=stale-while-revalidate"), "{stale:?}");
    assert!(
        stale.age().is_some_and(|it| (62..80).contains(&it)),
        "{stale:?}"
    );
}

#[tokio::test]
async fn a_refresh_that_hangs_delays_nobody() {
    let gate = Gate::new();
    let origin = held(WINDOW, &gate);
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let mut client = proxy.client().await;
    assert!(client.get("/a").await.is_good("old"));
    gate.arrived(1).await;
    assert!(
        client.get("/b").await.is_good("old"),
        "the first of its path"
    );
    assert!(client.get("/a").await.is_good("old"));
    assert_eq!(origin.count("/a"), 2, "it is not asked again meanwhile");
    gate.open();
}

/// b00043: how the directive is read, with Age, and where its window ends.
#[tokio::test]
async fn beyond_the_window_the_client_waits_for_the_origin() {
    assert_stale(
        Proxy::before,
        &[
            (WINDOW, "62", true),
            (WINDOW, "95", false),
            ("max-age=60, stale-while-revalidate=1", "65", false),
            ("max-age=60, stale-while-revalidate=0", "62", false),
            ("max-age=60, Stale-While-Revalidate=30", "62", true),
            ("stale-while-revalidate=30, max-age=60", "62", true),
            ("max-age=0, stale-while-revalidate=30", "2", true),
            ("max-age=60, stale-while-revalidate=99999999999", "62", true),
            ("max-age=60, stale-while-revalidate=-30", "62", false),
            ("max-age=60, stale-while-revalidate=soon", "62", false),
            ("max-age=60, stale-while-revalidate", "62", false),
            ("max-age=60, x=\"stale-while-revalidate=30\"", "62", false),
            ("max-age=60", "62", false),
        ],
    )
    .await;
}

/// RFC 9111 §4.2.4: "A cache MUST NOT generate a stale response if it is prohibited by an explicit
/// in-protocol directive (e.g., by a no-cache response directive, a must-revalidate response
/// directive, or an applicable s-maxage or proxy-revalidate response directive".
const FORBIDDEN: &[Row] = &[
    (
        "max-age=60, stale-while-revalidate=30, must-revalidate",
        "62",
        false,
    ),
    (
        "max-age=60, stale-while-revalidate=30, proxy-revalidate",
        "62",
        false,
    ),
    ("s-maxage=60, stale-while-revalidate=30", "62", false),
    (
        "max-age=60, stale-while-revalidate=30, no-cache",
        "62",
        false,
    ),
];

#[tokio::test]
async fn a_directive_that_forbids_stale_is_obeyed() {
    assert_stale(Proxy::before, FORBIDDEN).await;
}

/// c00125: what is stale on arrival and has no validator can still be served in its window.
#[tokio::test]
async fn a_page_without_a_validator_is_served_stale_too() {
    let origin = Origin::start(async |request, connection| {
        let fields = [("cache-control", WINDOW), ("age", "62")];
        match request.nth {
            1 => connection.respond(200, &fields, "old").await,
            _ => connection.respond(200, NEW, "new").await,
        }
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let stale = proxy.get("/a").await;
    assert!(stale.is_good("old") && stale.is_stale_hit(), "{stale:?}");
    let refreshed = async || proxy.get("/a").await.is_good("new");
    eventually("the new page", refreshed).await;
    assert_eq!(origin.last().field("if-none-match"), None);
}

// --- what the refresh asks, and what comes of its answer -----------------------------------------

/// The origin is asked with the stored validator and with the fields of who met the stale page.
#[tokio::test]
async fn a_refresh_asks_as_its_client_did() {
    let origin = ageing(WINDOW);
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    proxy.get_with("/a", &[("x-kept", "kept")]).await;
    eventually("the refresh", async || origin.count("/a") == 2).await;
    let asked = origin.last();
    assert_eq!(asked.method, "GET");
    assert_eq!(asked.field("if-none-match"), Some("\"old\""));
    assert_eq!(asked.field("x-kept"), Some("kept"));
}

#[tokio::test]
async fn a_304_makes_the_stale_page_fresh() {
    let origin = Origin::start(async |request, connection| {
        if request.field("if-none-match").is_none() {
            return answer_old(connection, WINDOW, "62").await;
        }
        let fields = [("cache-control", "max-age=60"), ("age", "0")];
        connection.respond(304, &fields, "").await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    assert!(proxy.get("/a").await.is_stale_hit());
    let fresh = async || {
        let response = proxy.get("/a").await;
        assert!(response.is_good("old"), "{response:?}");
        response.is_hit() && !response.is_stale_hit()
    };
    eventually("a fresh hit", fresh).await;
    assert_eq!(origin.count("/a"), 2);
}

/// b00063: an origin that fails behind the scenes takes nothing from anybody.
#[tokio::test]
async fn a_refresh_that_fails_keeps_the_stale_page() {
    for status in [500, 502, 503, 504, 0] {
        let origin = Origin::start(
            async move |request, connection| match (request.nth, status) {
                (1, _) => answer_old(connection, WINDOW, "62").await,
                (_, 0) => connection.reset(),
                _ => connection.respond(status, &[], "sorry").await,
            },
        );
        let proxy = Proxy::start(&origin).await;
        proxy.get("/a").await;
        proxy.get("/a").await;
        eventually("the refresh", async || origin.count("/a") >= 2).await;
        settled("the origin to have failed", || origin.count("/a") as u64).await;
        let next = proxy.get("/a").await;
        assert!(
            next.is_good("old") && next.is_stale_hit(),
            "{status}: {next:?}"
        );
    }
}

/// b00063, too: any other answer says what the page is now.
#[tokio::test]
async fn a_refresh_that_finds_another_answer_ends_the_stale_page() {
    let table: [(u16, Fields); 4] = [
        (404, &[]),
        (404, &[("cache-control", "max-age=60")]),
        (410, &[]),
        (200, &[("cache-control", "private")]),
    ];
    for (status, fields) in table {
        let origin = Origin::start(async move |request, connection| match request.nth {
            1 => answer_old(connection, WINDOW, "62").await,
            _ => connection.respond(status, fields, "other").await,
        });
        let proxy = Proxy::start(&origin).await;
        proxy.get("/a").await;
        assert!(proxy.get("/a").await.is_good("old"));
        let replaced = async || {
            let response = proxy.get("/a").await;
            response.status == status && response.text() == "other"
        };
        eventually("the other answer", replaced).await;
        assert_ne!(proxy.get("/a").await.text(), "old", "{status} {fields:?}");
    }
}

/// The answer was asked for before the purge, so it is as old as what was purged.
#[tokio::test]
async fn a_purge_wins_over_a_refresh_under_way() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| match request.nth {
        1 => answer_old(connection, WINDOW, "62").await,
        2 => {
            held.pass().await;
            connection.respond(200, NEW, "doomed").await;
        }
        _ => connection.respond(200, NEW, "new").await,
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    assert!(proxy.get("/a").await.is_good("old"));
    gate.arrived(1).await;
    proxy.purge("{\"url\":\"http://example.test/a\"}").await;
    gate.open();
    let next = proxy.get("/a").await;
    assert!(next.is_good("new") && !next.is_hit(), "{next:?}");
    let fill = async || proxy.metric("copal_fills_in_flight", "").await == 0.0;
    eventually("fills to end", fill).await;
    assert!(proxy.get("/a").await.is_good("new"));
}

// --- the operator's grace ------------------------------------------------------------------------

/// What the response says of itself comes before `default_grace`, and after `grace`.
#[tokio::test]
async fn grace_is_given_by_default_or_by_decree() {
    let by_default =
        |origin: &Origin| Proxy::before(origin).table("cache", "default_grace = \"30s\"");
    assert_stale(
        by_default,
        &[
            ("max-age=60", "62", true),
            ("max-age=60", "95", false),
            ("max-age=60, stale-while-revalidate=0", "62", false),
            ("max-age=60, stale-while-revalidate=1", "65", false),
            ("max-age=60, stale-while-revalidate=120", "95", true),
        ],
    )
    .await;
    let by_decree = |origin: &Origin| Proxy::before(origin).table("cache", "grace = \"30s\"");
    assert_stale(
        by_decree,
        &[
            ("max-age=60", "62", true),
            ("max-age=60, stale-while-revalidate=0", "62", true),
            ("max-age=60, stale-while-revalidate=120", "95", false),
        ],
    )
    .await;
    let none = |origin: &Origin| Proxy::before(origin).table("cache", "grace = \"0s\"");
    assert_stale(none, &[(WINDOW, "62", false)]).await;
}

#[tokio::test]
async fn no_grace_is_given_against_the_responses_will() {
    let graceful = |origin: &Origin| Proxy::before(origin).table("cache", DEFAULT_GRACE);
    assert_stale(graceful, FORBIDDEN).await;
}

/// What s-maxage only implies (RFC 9111 §5.2.2.10) gives way to the operator's `grace`, what is
/// said outright does not: sites built for one CDN write `s-maxage=1, stale-while-revalidate=600`.
#[tokio::test]
async fn the_operators_grace_overrules_an_implication_only() {
    let graceful = |origin: &Origin| Proxy::before(origin).table("cache", "grace = \"30s\"");
    const ROWS: &[Row] = &[
        ("s-maxage=60", "62", true),
        ("s-maxage=60, stale-while-revalidate=30", "62", true),
        ("s-maxage=60, proxy-revalidate", "62", false),
        ("max-age=60, must-revalidate", "62", false),
    ];
    assert_stale(graceful, ROWS).await;
}

const DEFAULT_GRACE: &str = "default_grace = \"30s\"";

// --- who asks ------------------------------------------------------------------------------------

/// The refresh of a HEAD brings the whole page.
#[tokio::test]
async fn a_head_in_the_window_is_answered_and_refreshes_the_page() {
    let origin = ageing(WINDOW);
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let mut client = proxy.client().await;
    client.request("HEAD", "/a", &[]).await;
    let stale = client.response().await;
    assert!(stale.is_stale_hit() && stale.body.is_empty(), "{stale:?}");
    assert_eq!(stale.field("content-length"), Some("3"));
    eventually("the refresh", async || origin.count("/a") == 2).await;
    assert_eq!(origin.last().method, "GET");
    let refreshed = async || client.get("/a").await.is_good("new");
    eventually("the new page", refreshed).await;
}

#[tokio::test]
async fn each_variant_is_refreshed_for_itself() {
    let origin = Origin::start(async |request, connection| {
        let language = request.field("accept-language").unwrap_or("none");
        let old = request.field("if-none-match").is_none();
        let fields = [
            ("cache-control", WINDOW),
            ("age", if old { "62" } else { "0" }),
            ("vary", "accept-language"),
            ("etag", if old { "\"old\"" } else { "\"new\"" }),
        ];
        let body = format!("{} {language}", if old { "old" } else { "new" });
        connection.respond(200, &fields, body).await;
    });
    let proxy = Proxy::start(&origin).await;
    let get = async |language| proxy.get_with("/a", &[("accept-language", language)]).await;
    assert!(get("en").await.is_good("old en") && get("de").await.is_good("old de"));
    assert!(get("en").await.is_stale_hit());
    let refreshed = async || get("en").await.is_good("new en");
    eventually("the new page", refreshed).await;
    assert_eq!(origin.last().field("accept-language"), Some("en"));
    let other = get("de").await;
    assert!(other.is_good("old de") && other.is_stale_hit(), "{other:?}");
}

/// b00064: who insists on a fresh page waits for it, the others do not.
#[tokio::test]
async fn a_client_that_insists_waits_while_others_do_not() {
    let gate = Gate::new();
    let origin = held(WINDOW, &gate);
    let setup = Proxy::before(&origin).table("cache", "request_directives = \"obey\"");
    let proxy = setup.start().await;
    proxy.get("/a").await;
    let mut strict = proxy.client().await;
    strict
        .request("GET", "/a", &[("cache-control", "no-cache")])
        .await;
    gate.arrived(1).await;
    assert!(proxy.get("/a").await.is_good("old"));
    gate.open();
    assert!(strict.response().await.is_good("new"));
}

// --- kept to be asked about ----------------------------------------------------------------------

/// b00062: a page may be stale beyond use and still save its body: as long as `keep`, counted from
/// the end of all windows.
#[tokio::test]
async fn what_is_kept_is_asked_about_and_then_forgotten() {
    let table = [
        ("65", "0s", true),
        ("75", "0s", false),
        ("75", "10s", true),
        ("85", "10s", false),
    ];
    for (age, stale_if_error, kept) in table {
        let origin =
            Origin::start(
                async move |request, connection| match request.field("if-none-match") {
                    None => answer_old(connection, "max-age=60", age).await,
                    Some(_) => connection.respond(304, &NEW[..1], "").await,
                },
            );
        let lines = format!("stale_if_error = \"{stale_if_error}\"\nkeep = \"10s\"");
        let proxy = Proxy::before(&origin).table("cache", &lines).start().await;
        for _ in 0..2 {
            assert!(proxy.get("/a").await.is_good("old"), "{age}");
        }
        let asked = origin.last();
        assert_eq!(
            asked.field("if-none-match").is_some(),
            kept,
            "{age} s old, {stale_if_error} for errors"
        );
    }
}

/// Refreshes take a quarter of an origin's connections; the rest is for those who wait.
#[tokio::test]
async fn refreshes_leave_connections_for_misses() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.nth > 1 {
            held.pass().await;
        }
        connection.respond(200, IN_GRACE, "page").await;
    });
    let limit = "connections_max = 4";
    let proxy = Proxy::before(&origin)
        .table("origins.main", limit)
        .start()
        .await;
    for _ in 0..2 {
        for number in 0..8 {
            assert!(proxy.get(&format!("/{number}")).await.is_good("page"));
        }
    }
    gate.arrived(1).await;
    let miss = proxy.get("/new").await;
    assert!(miss.is_good("page"), "{miss:?}");
    gate.open();
}
