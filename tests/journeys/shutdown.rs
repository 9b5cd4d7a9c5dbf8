//! SIGTERM is a drain with a deadline, not a truncation.

use std::time::{Duration, Instant};

use crate::harness::{Client, DEADLINE, End, Fields, Gate, Origin, Proxy, Setup, eventually};

const CHUNKED: Fields<'static> = &[("transfer-encoding", "chunked")];

/// An origin that has sent half of its answer when it arrives at the gate.
fn halfway(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(async move |_, connection| {
        connection.begin(200, CHUNKED).await;
        connection.chunk("first ").await;
        gate.pass().await;
        connection.chunk("second").await;
        connection.chunk("").await;
    })
}

/// A proxy and a client that has read half of its response.
async fn amid_a_response(setup: Setup, gate: &Gate) -> (Proxy, Client) {
    let proxy = setup.start().await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    client.head().await;
    assert_eq!(client.read(6).await, b"first ");
    gate.arrived(1).await;
    (proxy, client)
}

/// SIGTERM amid a response.
#[tokio::test]
async fn a_response_in_progress_is_completed_before_the_exit() {
    let gate = Gate::new();
    let origin = halfway(&gate);
    let (mut proxy, mut client) = amid_a_response(Proxy::before(&origin), &gate).await;
    proxy.sigterm();
    proxy.refuses_connections().await;
    gate.open();
    assert_eq!(client.rest().await, (b"second".to_vec(), End::Clean));
    assert!(
        client.until_gone().await.is_empty(),
        "and then its connection ends"
    );
    assert_eq!(proxy.wait_exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_request_in_progress_is_answered_with_connection_close() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, &[], "hello").await;
    });
    let mut proxy = Proxy::start(&origin).await;
    let mut clients = proxy.herd(1, "/a").await;
    gate.arrived(1).await;
    proxy.sigterm();
    proxy.refuses_connections().await;
    gate.open();
    let response = clients[0].response().await;
    assert!(response.is_good("hello"), "{response:?}");
    assert_eq!(response.field("connection"), Some("close"));
    assert_eq!(proxy.wait_exit().await.code(), Some(0));
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_exit_up() {
    let origin = Origin::answering(200, &[("cache-control", "max-age=60")], "hello");
    let mut proxy = Proxy::start(&origin).await;
    let mut idle = proxy.client().await;
    let mut mute = proxy.client().await;
    assert!(idle.get("/a").await.is_good("hello"));
    let start = Instant::now();
    proxy.sigterm();
    assert!(idle.until_gone().await.is_empty());
    mute.until_gone().await;
    assert_eq!(proxy.wait_exit().await.code(), Some(0));
    assert!(start.elapsed() < DEADLINE / 3, "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_drain_has_a_deadline() {
    let gate = Gate::new();
    let origin = halfway(&gate);
    let setup = Proxy::before(&origin).table("server", "drain_timeout = \"300ms\"");
    let (mut proxy, mut client) = amid_a_response(setup, &gate).await;
    let start = Instant::now();
    proxy.sigterm();
    proxy.wait_exit().await;
    let took = start.elapsed();
    assert!(
        (Duration::from_millis(250)..DEADLINE / 3).contains(&took),
        "{took:?}"
    );
    assert_eq!(
        client.rest().await.1,
        End::Truncated,
        "what was cut does not look whole"
    );
}

/// SIGTERM once more, by somebody who will not wait.
#[tokio::test]
async fn a_second_sigterm_ends_the_drain() {
    let gate = Gate::new();
    let origin = halfway(&gate);
    let (mut proxy, _client) = amid_a_response(Proxy::before(&origin), &gate).await;
    proxy.sigterm();
    proxy.refuses_connections().await;
    let start = Instant::now();
    proxy.sigterm();
    proxy.wait_exit().await;
    assert!(start.elapsed() < DEADLINE / 3, "{:?}", start.elapsed());
}

#[tokio::test]
async fn while_draining_it_is_alive_but_not_ready() {
    let gate = Gate::new();
    let origin = halfway(&gate);
    let (mut proxy, mut client) = amid_a_response(Proxy::before(&origin), &gate).await;
    assert_eq!(proxy.admin().await.get("/readyz").await.status, 200);
    proxy.sigterm();
    proxy.refuses_connections().await;
    assert_eq!(proxy.admin().await.get("/readyz").await.status, 503);
    assert_eq!(proxy.admin().await.get("/healthz").await.status, 200);
    gate.open();
    assert_eq!(client.rest().await.1, End::Clean);
    assert_eq!(proxy.wait_exit().await.code(), Some(0));
}

/// Readiness fails first, so that a load balancer has the time to notice; until then all is served.
#[tokio::test]
async fn with_a_delay_it_is_not_ready_but_serves_on() {
    let origin = Origin::answering(200, &[("cache-control", "max-age=60")], "hello");
    let table = "drain_delay = \"600ms\"";
    let mut proxy = Proxy::before(&origin).table("server", table).start().await;
    let mut open = proxy.client().await;
    assert!(open.get("/a").await.is_good("hello"));
    let start = Instant::now();
    proxy.sigterm();
    let is_ready = async || proxy.admin().await.get("/readyz").await.status == 200;
    eventually("readiness to fail", async || !is_ready().await).await;
    for response in [open.get("/a").await, proxy.get("/b").await] {
        assert!(response.is_good("hello"), "{response:?}");
        assert_eq!(response.field("connection"), None, "{response:?}");
    }
    assert!(start.elapsed() < Duration::from_millis(600));
    proxy.refuses_connections().await;
    assert!(start.elapsed() >= Duration::from_millis(600));
    assert_eq!(proxy.wait_exit().await.code(), Some(0));
}

/// The second signal is by somebody who will not wait for the delay, the third for nothing.
#[tokio::test]
async fn a_second_signal_skips_the_delay_and_a_third_cuts() {
    let gate = Gate::new();
    let origin = halfway(&gate);
    let setup = Proxy::before(&origin).table("server", "drain_delay = \"1h\"");
    let (mut proxy, mut client) = amid_a_response(setup, &gate).await;
    proxy.sigterm();
    let is_ready = async || proxy.admin().await.get("/readyz").await.status == 200;
    eventually("readiness to fail", async || !is_ready().await).await;
    let mut late = proxy.client().await;
    late.request("GET", "/b", &[]).await;
    assert_eq!(late.head().await.status(), 200, "it accepts still");
    proxy.signal("QUIT");
    proxy.refuses_connections().await;
    let start = Instant::now();
    proxy.signal("INT");
    proxy.wait_exit().await;
    assert!(start.elapsed() < DEADLINE / 3, "{:?}", start.elapsed());
    assert_eq!(client.rest().await.1, End::Truncated);
}
