//! Hedged requests: a slow one is sent to another server as well, the first answer wins, the other
//! try is given up, and there are never more of them than their share.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Gate, NO_STORE, Origin, Proxy, Setup, eventually, named};

/// Every request may be hedged.
const SOON: &str = "hedge = { after = \"50ms\", share_max = 1 }";

/// A pool of these servers, asked in this order.
fn pool(servers: &[&Origin], lines: &str) -> Setup {
    Proxy::before_each(servers, &format!("balance = \"first\"\n{lines}"))
}

/// A server that never answers, and closes when it is given up.
fn hanging() -> Origin {
    Origin::start(async |_, connection| connection.peer_gone().await)
}

/// A server that answers once the gate is open.
fn held(gate: &Gate, status: u16, name: &'static str) -> Origin {
    let gate = gate.clone();
    Origin::start(async move |_, connection| {
        gate.pass().await;
        connection.respond(status, NO_STORE, name).await;
    })
}

/// Races that were run, and those that the other server won.
async fn races(proxy: &Proxy) -> (f64, f64) {
    let hedged = proxy.metric("copal_origin_hedged_total", "pool").await;
    let won = proxy.metric("copal_origin_hedge_won_total", "pool").await;
    (hedged, won)
}

#[tokio::test]
async fn the_other_servers_answer_wins_and_the_slow_one_is_given_up() {
    let (slow, quick) = (hanging(), named("quick"));
    let proxy = pool(&[&slow, &quick], SOON).start().await;
    assert!(proxy.get("/a").await.is_good("quick"));
    assert_eq!((slow.count("/a"), quick.count("/a")), (1, 1));
    let given_up = "the slow server's connection to be closed";
    eventually(given_up, async || slow.open_connections() == 0).await;
    assert_eq!(races(&proxy).await, (1.0, 1.0));
    assert_eq!(proxy.metric("copal_origin_active", "pool").await, 0.0);
    assert_eq!(proxy.metric("copal_origin_errors_total", "pool").await, 0.0);
    assert!(proxy.metric("copal_origin_latency_seconds", "pool").await >= 0.05);
}

#[tokio::test]
async fn the_slow_servers_answer_wins_if_it_comes_first() {
    let gate = Gate::new();
    let (slow, other) = (held(&gate, 200, "slow"), hanging());
    let proxy = pool(&[&slow, &other], SOON).start().await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    eventually("the other server to be asked", async || {
        other.count("/a") == 1
    })
    .await;
    gate.open();
    assert!(client.response().await.is_good("slow"));
    let given_up = "the other server's connection to be closed";
    eventually(given_up, async || other.open_connections() == 0).await;
    assert_eq!(races(&proxy).await, (1.0, 0.0));
}

#[tokio::test]
async fn a_quick_answer_is_not_hedged() {
    let (quick, other) = (named("quick"), named("other"));
    let lines = "hedge = { after = \"10s\", share_max = 1 }";
    let proxy = pool(&[&quick, &other], lines).start().await;
    for _ in 0..10 {
        assert!(proxy.get("/a").await.is_good("quick"));
    }
    assert_eq!((other.count("/a"), races(&proxy).await), (0, (0.0, 0.0)));
}

/// Where all are slow, asking twice would only make it worse.
#[tokio::test]
async fn no_more_than_their_share_are_hedged() {
    const REQUESTS: usize = 100;
    let slow = [(); 2].map(|()| {
        Origin::start(async |_, connection| {
            tokio::time::sleep(Duration::from_millis(30)).await;
            connection.respond(200, NO_STORE, "slow").await;
        })
    });
    let lines = "hedge = { after = \"1ms\", share_max = 0.05 }";
    let proxy = pool(&slow.each_ref(), lines).start().await;
    let mut client = proxy.client().await;
    for number in 0..REQUESTS {
        let response = client.get(&format!("/{number}")).await;
        assert!(response.is_good("slow"), "{response:?}");
    }
    let seen: usize = slow.iter().map(|it| it.requests().len()).sum();
    assert_eq!(seen, REQUESTS + 5);
    assert_eq!(races(&proxy).await.0, 5.0);
}

#[tokio::test]
async fn only_what_changes_nothing_and_has_no_content_is_hedged() {
    let gate = Gate::new();
    let (slow, other) = (held(&gate, 200, "slow"), named("other"));
    let lines = "hedge = { after = \"1ms\", share_max = 1 }";
    let proxy = pool(&[&slow, &other], lines).start().await;
    let mut clients = Vec::new();
    for (arrived, (method, path)) in [("POST", "/a"), ("PUT", "/b"), ("QUERY", "/c")]
        .into_iter()
        .enumerate()
    {
        let mut client = proxy.client().await;
        let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx");
        client.send(request).await;
        gate.arrived(arrived + 1).await;
        clients.push(client);
    }
    // By now any of them would have been hedged as well.
    assert!(proxy.get("/d").await.is_good("other"));
    gate.open();
    for client in &mut clients {
        assert!(client.response().await.is_good("slow"));
    }
    assert_eq!(other.requests().len(), 1);
}

/// A client that belongs to a server has its session there.
#[tokio::test]
async fn who_belongs_to_a_server_waits_for_it() {
    let gate = Gate::new();
    let is_held = gate.clone();
    let one = Origin::start(async move |request, connection| {
        if request.path.starts_with("/held") {
            is_held.pass().await;
        }
        connection.respond(200, NO_STORE, "one").await;
    });
    let two = named("two");
    let lines = format!("{SOON}\nsticky = {{ secret = \"nobody would guess this\" }}");
    let proxy = pool(&[&one, &two], &lines).start().await;
    let set = proxy.get("/a").await;
    let cookie = set.field("set-cookie").expect("a cookie");
    let cookie = cookie.split(';').next().expect("a pair");
    let mut client = proxy.client().await;
    client
        .request("GET", "/held/1", &[("cookie", cookie)])
        .await;
    gate.arrived(1).await;
    // Who belongs to nobody is hedged after as long as that one has waited already.
    assert!(proxy.get("/held/2").await.is_good("two"));
    gate.open();
    assert!(client.response().await.is_good("one"));
    assert_eq!((two.count("/held/1"), two.count("/held/2")), (0, 1));
}

#[tokio::test]
async fn a_second_try_that_fails_does_not_end_the_first() {
    let gate = Gate::new();
    let failing = Origin::start(async |request, connection| match &*request.path {
        "/reset" => connection.reset(),
        _ => connection.respond(503, NO_STORE, "failed").await,
    });
    let slow = held(&gate, 200, "slow");
    let lines = format!("{SOON}\nretry = {{ on = [\"reset\", \"503\"] }}");
    let proxy = pool(&[&slow, &failing], &lines).start().await;
    let mut clients = Vec::new();
    for path in ["/reset", "/503"] {
        let mut client = proxy.client().await;
        client.request("GET", path, &[]).await;
        eventually("the second try", async || failing.count(path) == 1).await;
        clients.push(client);
    }
    gate.open();
    for client in &mut clients {
        let response = client.response().await;
        assert!(response.is_good("slow"), "{response:?}");
    }
    assert_eq!(races(&proxy).await, (2.0, 0.0));
    let errors = proxy.metric("copal_origin_errors_total", "closed").await;
    assert_eq!(errors, 1.0, "it counts as any failure");
}

/// Both fail: what is left is a failed try like any other, and a third server is asked.
#[tokio::test]
async fn a_race_that_nobody_wins_is_tried_again() {
    let gate = Gate::new();
    let (one, two, three) = (
        held(&gate, 503, "one"),
        held(&gate, 503, "two"),
        named("three"),
    );
    let lines = format!("{SOON}\nretry = {{ on = [\"503\"] }}");
    let proxy = pool(&[&one, &two, &three], &lines).start().await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    gate.arrived(2).await;
    gate.open();
    let response = client.response().await;
    assert!(response.is_good("three"), "{response:?}");
    let counts = [&one, &two, &three].map(|it| it.count("/a"));
    assert_eq!(counts, [1, 1, 1]);
}

/// The pool learns how long its answers take; what takes longer is hedged.
#[tokio::test]
async fn a_request_is_hedged_that_is_slower_than_most() {
    let gate = Gate::new();
    let is_held = gate.clone();
    let one = Origin::start(async move |request, connection| {
        if request.path == "/slow" {
            is_held.pass().await;
        }
        connection.respond(200, NO_STORE, "one").await;
    });
    let two = named("two");
    let lines = "hedge = { after = \"p95\", share_max = 1 }";
    let proxy = pool(&[&one, &two], lines).start().await;
    let hedges_after = async || {
        let answer = proxy.admin().await.get("/api/v1/origins").await;
        let json: Value = serde_json::from_slice(&answer.body).expect("JSON");
        json["pool"]["hedges_after_seconds"].as_f64()
    };
    assert_eq!(hedges_after().await, None, "nothing is known yet");
    let mut client = proxy.client().await;
    for number in 0..40 {
        assert_eq!(client.get(&format!("/{number}")).await.status, 200);
    }
    eventually("a time to be known", async || {
        hedges_after().await.is_some()
    })
    .await;
    assert!(client.get("/slow").await.is_good("two"));
    gate.open();
    assert!(races(&proxy).await.1 >= 1.0);
}
