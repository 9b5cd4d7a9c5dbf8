//! Clients that leave before they have been served. What they caused goes on where somebody may
//! want it, and ends where nobody will.

use crate::harness::{
    CHUNKED, Client, FRESH, Fields, Gate, Origin, PRIVATE, Proxy, eventually, holding, responses,
};

/// Who caused the miss may leave; the others are served, and the object is kept.
#[tokio::test]
async fn a_leader_may_leave() {
    let gate = Gate::new();
    let origin = holding(&gate, FRESH);
    let proxy = Proxy::start(&origin).await;
    let mut leader = proxy.client().await;
    leader.request("GET", "/a", &[]).await;
    gate.arrived(1).await;
    let mut followers = proxy.herd(10, "/a").await;
    leader.reset();
    gate.open();
    for response in responses(&mut followers).await {
        assert!(response.is_good("hello"), "{response:?}");
    }
    assert_eq!(origin.count("/a"), 1);
}

/// `finish_fill` is on: the fetch goes on even when all have left, however many they were.
#[tokio::test]
async fn a_fill_goes_on_when_all_have_left() {
    let gate = Gate::new();
    let origin = holding(&gate, FRESH);
    let proxy = Proxy::start(&origin).await;
    let first = proxy.herd(1, "/a").await;
    gate.arrived(1).await;
    first.into_iter().for_each(Client::reset);
    for _ in 0..210 {
        proxy.herd(1, "/a").await.remove(0).reset();
    }
    gate.open();
    assert!(proxy.get("/a").await.is_good("hello"));
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn a_fill_ends_with_its_last_client_where_so_configured() {
    let gate = Gate::new();
    let left = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        connection.begin(200, CHUNKED).await;
        connection.chunk("hello").await;
        connection.peer_gone().await;
        left.pass().await;
    });
    let proxy = Proxy::before(&origin)
        .table("store", "finish_fill = false")
        .start()
        .await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    client.head().await;
    client.read(5).await;
    client.reset();
    gate.arrived(1).await;
}

/// c00110: nobody reads it and nobody will: the origin is told to stop.
#[tokio::test]
async fn a_download_that_is_not_stored_ends_with_its_client() {
    let origin = Origin::start(async |_, connection| {
        connection
            .respond(200, PRIVATE, vec![b'x'; 50_000_000])
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    client.head().await;
    client.read(1000).await;
    client.reset();
    eventually("the download to end", async || {
        origin.open_connections() == 0
    })
    .await;
    assert!(
        origin.sent_bytes() < 40_000_000,
        "{} bytes were fetched",
        origin.sent_bytes()
    );
}

/// Fifty clients abort in the midst of a miss; the connections to the origin come back.
#[tokio::test]
async fn aborted_clients_leave_no_connections_behind() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.path != "/after" {
            held.pass().await;
        }
        connection.respond(200, PRIVATE, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut clients = Vec::new();
    for number in 0..50 {
        clients.extend(proxy.herd(1, &format!("/{number}")).await);
    }
    gate.arrived(50).await;
    clients.into_iter().for_each(Client::reset);
    gate.open();
    eventually("fills to end", async || {
        proxy.metric("copal_fills_in_flight", "").await == 0.0
    })
    .await;
    assert!(proxy.get("/after").await.is_good("hello"));
    let few = async || proxy.metric("copal_connections", "").await <= 2.0;
    eventually("connections to go back", few).await;
    assert!(
        origin.connections() <= 51,
        "{} connections",
        origin.connections()
    );
}

/// Clients that abort leave nothing in flight at any server.
#[tokio::test]
async fn aborted_clients_leave_nothing_in_flight_at_any_server() {
    const HERD: usize = 30;
    let gate = Gate::new();
    let server = || {
        let held = gate.clone();
        Origin::start(async move |_, connection| {
            held.pass().await;
            connection.respond(200, PRIVATE, "hello").await;
        })
    };
    let servers = [server(), server(), server()];
    let proxy = Proxy::before_each(&servers.each_ref(), "balance = \"least-requests\"");
    let proxy = proxy.start().await;
    let mut clients = Vec::new();
    for number in 0..HERD {
        clients.extend(proxy.herd(1, &format!("/{number}")).await);
    }
    gate.arrived(HERD).await;
    for server in &servers {
        let label = server.address().to_string();
        let active = proxy.metric("copal_origin_active", &label).await;
        assert_eq!(active, (HERD / 3) as f64);
    }
    clients.into_iter().for_each(Client::reset);
    gate.open();
    let idle = async || proxy.metric("copal_origin_active", "pool").await == 0.0;
    eventually("nothing to be in flight", idle).await;
    for server in &servers {
        assert!(proxy.get("/after").await.is_good("hello"));
        assert!(server.connections() <= HERD / 3 + 1);
    }
}

/// r01391: an abort on a URL that is remembered as uncacheable leaves nothing stuck.
#[tokio::test]
async fn an_abort_on_an_uncacheable_stream_leaves_nothing_stuck() {
    let gate = Gate::new();
    let left = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.nth != 2 {
            return connection.respond(200, PRIVATE, "hello").await;
        }
        connection
            .begin(200, &[PRIVATE[0], ("transfer-encoding", "chunked")])
            .await;
        connection.chunk("hello").await;
        connection.peer_gone().await;
        left.pass().await;
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("hello"));
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    client.head().await;
    client.read(5).await;
    client.reset();
    gate.arrived(1).await;
    assert!(proxy.get("/a").await.is_good("hello"));
}

/// Whoever leaves before there is a status has asked all the same.
#[tokio::test]
async fn a_client_that_leaves_before_the_head_is_counted() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let table: &[(&str, Fields)] = &[("/miss", &[]), ("/pass", &[("cookie", "a=b")])];
    for (nth, (path, fields)) in (1..).zip(table) {
        let mut client = proxy.client().await;
        client.request("GET", path, fields).await;
        gate.arrived(nth).await;
        client.reset();
        let label = "status=\"other\"";
        let counted = async || proxy.metric("copal_requests_total", label).await == nth as f64;
        eventually(&format!("{path} to be counted"), counted).await;
    }
    assert_eq!(proxy.metric("copal_requests_total", "").await, 2.0);
}
