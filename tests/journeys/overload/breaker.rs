//! Circuit breaker: an origin that fails is left alone, tried, and trusted again.

use super::{BREAKER, Moody, STALE, assert_turned_away, pending, queue_up, shed, told, uncached};
use crate::harness::{End, Gate, NO_STORE, Origin, Proxy, eventually};

async fn breaker(proxy: &Proxy) -> f64 {
    proxy.metric("copal_origin_breaker", "").await
}

async fn until_breaker(proxy: &Proxy, level: f64) {
    let what = format!("the breaker to stand at {level}");
    eventually(&what, async || breaker(proxy).await == level).await;
}

#[tokio::test]
async fn an_origin_that_fails_is_left_alone_and_tried_before_it_is_trusted() {
    let server = Moody::new(NO_STORE);
    let proxy = Proxy::before_each(&[&server.origin], BREAKER).start().await;
    assert_eq!(proxy.get("/a").await.status, 200);
    assert_eq!(proxy.get("/a").await.status, 200);
    assert_eq!((breaker(&proxy).await, server.asked()), (0.0, 2));
    server.answers(503);
    for _ in 0..2 {
        assert_eq!(proxy.get("/a").await.status, 503);
    }
    // Two of four.
    assert_eq!((breaker(&proxy).await, server.asked()), (2.0, 4));
    for _ in 0..10 {
        assert_turned_away(&proxy.get("/a").await, "origin-breaker");
    }
    assert_eq!((shed(&proxy, "breaker").await, server.asked()), (10.0, 4));
    let pool = told(&proxy).await;
    assert_eq!(
        (&pool["breaker"], &pool["sick"]),
        (&"open".into(), &true.into())
    );
    // A trial that fails opens it again.
    until_breaker(&proxy, 1.0).await;
    assert!(!proxy.get("/a").await.says("detail=origin-breaker"));
    assert_eq!((breaker(&proxy).await, server.asked()), (2.0, 5));
    // Two that do not shut it.
    server.answers(200);
    until_breaker(&proxy, 1.0).await;
    assert_eq!(proxy.get("/a").await.status, 200);
    assert_eq!(breaker(&proxy).await, 1.0);
    assert_eq!(proxy.get("/a").await.status, 200);
    assert_eq!((breaker(&proxy).await, server.asked()), (0.0, 7));
    for line in ["open", "open again", "half-open", "shut"] {
        let line = format!("breaker {line}");
        eventually(&line, async || proxy.stderr().contains(&line)).await;
    }
}

#[tokio::test]
async fn an_open_breaker_says_how_long_and_survives_a_reload() {
    let server = Moody::new(NO_STORE);
    let lines = "breaker = { requests_min = 1, open_for = \"60s\" }";
    let setup = || Proxy::before_each(&[&server.origin], lines);
    let proxy = setup().start().await;
    server.answers(502);
    proxy.get("/a").await;
    for reloads in [false, true] {
        if reloads {
            proxy.configure(&setup().table("log", "level = \"debug\""));
            let answer = proxy
                .admin()
                .await
                .send_body("POST", "/api/v1/reload", "")
                .await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let refused = proxy.get("/a").await;
        let left: u64 = refused
            .field("retry-after")
            .expect("a time")
            .parse()
            .expect("seconds");
        assert!(
            (50..=60).contains(&left) && refused.status == 503,
            "{refused:?}"
        );
    }
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn what_is_stored_stands_in_while_a_breaker_is_open() {
    let server = Moody::new(STALE);
    let lines = "breaker = { requests_min = 2, open_for = \"60s\" }";
    let proxy = Proxy::before_each(&[&server.origin], lines).start().await;
    assert!(proxy.get("/page").await.is_good("page"));
    server.answers(503);
    proxy.get("/other").await;
    let asked = server.asked();
    for _ in 0..5 {
        let stale = proxy.get("/page").await;
        assert!(
            stale.is_good("page") && stale.says("detail=stale-if-error"),
            "{stale:?}"
        );
    }
    assert_eq!(server.asked(), asked);
}

/// They were let through, but have not been sent: an origin that fails is not asked for them either.
#[tokio::test]
async fn who_waits_when_a_breaker_opens_is_not_sent_any_more() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(503, NO_STORE, "").await;
    });
    let lines = "requests_max = 1\nbreaker = { requests_min = 1, open_for = \"60s\" }";
    let proxy = uncached(&[&origin], lines).start().await;
    let mut failing = proxy.herd(1, "/fails").await;
    gate.arrived(1).await;
    let mut waiting = queue_up(&proxy, &["/0", "/1", "/2", "/3", "/4", "/5"]).await;
    gate.open();
    assert_eq!(failing[0].response().await.status, 503);
    for client in &mut waiting {
        let response = client.response().await;
        assert_eq!(response.status, 503, "{response:?}");
    }
    // The next in the queue may have been quicker than the breaker.
    let sent = origin.requests().len();
    assert!(sent <= 3, "{sent}");
    assert!(shed(&proxy, "breaker").await >= 4.0);
    assert_eq!(pending(&proxy).await, 0.0);
}

/// Many come at once when it is half-open: one is the trial.
#[tokio::test]
async fn trials_are_one_at_a_time() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.path == "/fails" {
            return connection.respond(503, NO_STORE, "").await;
        }
        held.pass().await;
        connection.respond(200, NO_STORE, "a").await;
    });
    let lines = "breaker = { requests_min = 1, open_for = \"200ms\" }";
    let proxy = uncached(&[&origin], lines).start().await;
    proxy.get("/fails").await;
    until_breaker(&proxy, 1.0).await;
    let mut herd = proxy.herd(10, "/a").await;
    gate.arrived(1).await;
    eventually("nine to be turned away", async || {
        shed(&proxy, "breaker").await == 9.0
    })
    .await;
    gate.open();
    let mut statuses = Vec::new();
    for client in &mut herd {
        let response = client.response().await;
        assert_eq!(response.end, End::Clean);
        statuses.push(response.status);
    }
    assert_eq!(
        statuses.iter().filter(|it| **it == 200).count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(origin.count("/a"), 1);
}
