//! Cache poisoning: requests that are made to change what others get. What a client adds to its
//! request shapes no page for others, and what an origin says of one bad request ends no page.

use crate::harness::{FRESH, Gate, Origin, Proxy, STALE, all_wait, responses};

// --- what makes no page for others ---------------------------------------------------------------

/// What is ignored for the key is not seen by the origin either: else the first client's page
/// would be everybody's.
#[tokio::test]
async fn an_ignored_cookie_makes_no_page_for_all() {
    let origin = Origin::start(async |request, connection| {
        let name = request.field("cookie").unwrap_or("nobody");
        connection.respond(200, FRESH, format!("for {name}")).await;
    });
    let setups = [
        Proxy::before(&origin).table("cache", "cookies = \"ignore\""),
        Proxy::before(&origin).profile("rfc"),
    ];
    for setup in setups {
        let proxy = setup.start().await;
        let first = proxy.get_with("/a", &[("cookie", "anna")]).await;
        assert!(first.is_good("for nobody"), "{first:?}");
        let second = proxy.get("/a").await;
        assert!(
            second.is_good("for nobody") && second.is_hit(),
            "{second:?}"
        );
        let third = proxy.get_with("/a", &[("cookie", "bert")]).await;
        assert!(third.is_good("for nobody") && third.is_hit(), "{third:?}");
    }
}

/// Fields that make an origin answer another URL, method or host than the key says.
#[tokio::test]
async fn fields_that_steer_an_origin_do_not_reach_it_on_a_miss() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    let names = [
        "Forwarded",
        "X-Real-IP",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Scheme",
        "X-Forwarded-Prefix",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
    ];
    for name in names {
        let path = format!("/{name}");
        let response = proxy.get_with(&path, &[(name, "poison")]).await;
        assert!(response.is_good("hello"), "{name}: {response:?}");
        let seen = origin.last().head.to_string();
        assert!(!seen.contains("poison"), "{name}: {seen}");
        assert!(proxy.get(&path).await.is_hit(), "{name}");
    }
}

// --- what ends no page ---------------------------------------------------------------------------

/// With such a field an origin may answer for another URL.
#[tokio::test]
async fn a_head_that_was_steered_ends_no_page() {
    let origin = Origin::start(async |request, connection| {
        match (request.field("x-original-url"), request.nth) {
            (Some(_), _) => connection.respond(200, &[("etag", "\"2\"")], "").await,
            (None, 1) => connection.respond(200, STALE, "page").await,
            _ => connection.respond(503, &[], "sorry").await,
        }
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("page"));
    proxy.send("HEAD", "/a", &[("x-original-url", "/b")]).await;
    let next = proxy.get("/a").await;
    assert!(next.is_good("page"), "{next:?}");
}

/// Answers a GET of a [`STALE`] object: 304 for those who have it.
fn revalidated(request_tag: Option<&str>) -> u16 {
    if request_tag == Some("\"1\"") {
        304
    } else {
        200
    }
}

/// What the origin says about one bad request, it does not say about the page.
#[tokio::test]
async fn a_request_that_is_refused_evicts_no_stale_page() {
    for status in [400, 413, 414, 429, 431] {
        let origin = Origin::start(async move |request, connection| {
            if request.field("x-attack").is_some() {
                return connection.respond(status, &[], "refused").await;
            }
            let status = revalidated(request.field("if-none-match"));
            connection.respond(status, STALE, "hello").await;
        });
        let proxy = Proxy::start(&origin).await;
        assert!(proxy.get("/a").await.is_good("hello"));
        let attack = proxy.get_with("/a", &[("x-attack", "1")]).await;
        assert_eq!(attack.status, status, "{attack:?}");
        let next = proxy.get("/a").await;
        assert!(next.is_good("hello"), "{status}: {next:?}");
        assert_eq!(
            origin.last().field("if-none-match"),
            Some("\"1\""),
            "{status}"
        );
    }
}

/// Whom the origin turns away, it tells nothing about the page.
#[tokio::test]
async fn a_client_that_is_turned_away_evicts_no_stale_page() {
    for status in [401, 403, 407] {
        let origin =
            Origin::start(
                async move |request, connection| match request.field("x-attack") {
                    Some(_) => connection.respond(status, &[], "away").await,
                    None => connection.respond(200, STALE, "hello").await,
                },
            );
        let proxy = Proxy::start(&origin).await;
        assert!(proxy.get("/a").await.is_good("hello"));
        let away = proxy.get_with("/a", &[("x-attack", "1")]).await;
        assert_eq!(away.status, status, "{away:?}");
        assert!(proxy.get("/a").await.is_good("hello"));
        let tag = origin.last().field("if-none-match").map(str::to_owned);
        assert_eq!(tag.as_deref(), Some("\"1\""), "{status}");
    }
}

/// Nor does it mark a page that is not stored yet as one that cannot be shared.
#[tokio::test]
async fn a_client_that_is_turned_away_keeps_no_others_apart() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.field("x-attack").is_some() {
            return connection.respond(403, &[], "away").await;
        }
        held.pass().await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    assert_eq!(proxy.get_with("/a", &[("x-attack", "1")]).await.status, 403);
    let mut leader = proxy.herd(1, "/a").await.remove(0);
    gate.arrived(1).await;
    let mut others = proxy.herd(5, "/a").await;
    all_wait(&mut others).await;
    assert_eq!(origin.count("/a"), 2);
    gate.open();
    assert!(leader.response().await.is_good("hello"));
    for response in responses(&mut others).await {
        assert!(response.is_good("hello"), "{response:?}");
    }
    assert_eq!(origin.count("/a"), 2);
}

/// A request that the origin answers with a reset is a matter between those two.
#[tokio::test]
async fn a_leader_that_provokes_a_reset_fails_no_follower() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.field("x-attack").is_some() {
            held.pass().await;
            return connection.reset();
        }
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut leader = proxy.client().await;
    leader.request("GET", "/a", &[("x-attack", "1")]).await;
    gate.arrived(1).await;
    let mut followers = proxy.herd(10, "/a").await;
    all_wait(&mut followers).await;
    gate.open();
    for response in responses(&mut followers).await {
        assert!(response.is_good("hello"), "{response:?}");
    }
    // It may find by then what the followers have brought.
    let leader = leader.response().await;
    assert!(leader.is_broken() || leader.is_good("hello"), "{leader:?}");
}
