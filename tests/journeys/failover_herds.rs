//! Herds before several servers, one of which fails the first of the herd. Herds before one server
//! are in `coalesce.rs`, and what becomes of clients that leave in `leaving.rs`.

use crate::harness::{End, FRESH, Gate, Origin, PRIVATE, Proxy, Setup, responses, seen};

const HERD: usize = 30;

fn before(servers: &[&Origin], balance: &str) -> Setup {
    Proxy::before_each(servers, &format!("balance = \"{balance}\""))
}

/// A failure before the head: another server answers the one that asked, so that all who wait are
/// served by two requests in all.
#[tokio::test]
async fn a_herd_does_not_notice_that_its_first_server_failed() {
    let gate = Gate::new();
    let held = gate.clone();
    let fails = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.reset();
    });
    let good = Origin::answering(200, FRESH, "hello");
    let proxy = before(&[&fails, &good], "first").start().await;
    let mut herd = proxy.herd(HERD, "/a").await;
    gate.arrived(1).await;
    gate.open();
    for response in responses(&mut herd).await {
        assert!(response.is_good("hello"), "{response:?}");
    }
    assert_eq!((seen(&[&fails]), seen(&[&good])), (1, 1));
}

/// A failure amid the body: those who have bytes see the end come early; whoever asks afterwards
/// gets all of it, from another server where the first is on the way out.
#[tokio::test]
async fn a_body_that_breaks_for_a_herd_is_whole_for_the_next() {
    let gate = Gate::new();
    let held = gate.clone();
    let fails = Origin::start(async move |_, connection| {
        connection
            .begin(200, &[FRESH[0], ("content-length", "11")])
            .await;
        connection.send("hello").await;
        held.pass().await;
        connection.reset();
    });
    let good = Origin::answering(200, FRESH, "hello world");
    let proxy = before(&[&fails, &good], "round-robin").start().await;
    let mut herd = proxy.herd(HERD, "/a").await;
    for client in &mut herd {
        client.head().await;
        assert_eq!(client.read(5).await, b"hello");
    }
    gate.open();
    for client in &mut herd {
        assert_eq!(client.rest().await.1, End::Truncated);
    }
    let mut next = proxy.herd(HERD, "/a").await;
    for response in responses(&mut next).await {
        assert!(response.is_good("hello world"), "{response:?}");
    }
    assert_eq!((seen(&[&fails]), seen(&[&good])), (1, 1));
}

/// Each of a herd on what is nobody else's asks for itself, all at once and of all servers alike.
#[tokio::test]
async fn a_herd_on_an_uncacheable_object_is_spread_over_all_servers() {
    let (first, crowd) = (Gate::new(), Gate::new());
    let server = || {
        let (leader, others) = (first.clone(), crowd.clone());
        Origin::start(async move |_, connection| {
            // Who comes while the first is held is one of the others.
            match leader.is_open() {
                false => leader.pass().await,
                true => others.pass().await,
            }
            connection.respond(200, PRIVATE, "hello").await;
        })
    };
    let servers = [server(), server(), server()];
    let proxy = before(&servers.each_ref(), "round-robin").start().await;
    let mut herd = proxy.herd(HERD, "/a").await;
    first.arrived(1).await;
    first.open();
    crowd.arrived(HERD - 1).await;
    crowd.open();
    for response in responses(&mut herd).await {
        assert!(response.is_good("hello"), "{response:?}");
    }
    for server in &servers {
        assert_eq!(seen(&[server]), HERD / 3);
    }
}
