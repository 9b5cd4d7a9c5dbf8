//! Patience and memory are bounded: clients that say nothing, read nothing or want too much.

use std::time::{Duration, Instant};

use crate::harness::{
    Client, End, FRESH, Gate, IN_GRACE, Origin, PRIVATE, Proxy, eventually, responses, settled,
};

const MIB: usize = 1 << 20;

// --- clients that say nothing --------------------------------------------------------------------

/// Slowloris: two hundred half-sent heads are cut at the head's deadline, and dripping does not put
/// it off; meanwhile others are served.
#[tokio::test]
async fn a_head_that_never_ends_is_cut() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::before(&origin)
        .table("server", "header_timeout = \"500ms\"")
        .start()
        .await;
    let mut clients = Vec::new();
    for _ in 0..200 {
        let mut client = proxy.client().await;
        client.send("GET /a HTTP/1.1\r\nHost: exam").await;
        clients.push(client);
    }
    assert!(proxy.get("/a").await.is_good("hello"));
    let start = Instant::now();
    let mut dripping = clients.pop().expect("one of 200");
    while dripping.is_silent_for(Duration::from_millis(50)).await {
        dripping.send("x").await;
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "dripping puts the deadline off"
        );
    }
    for client in &mut clients {
        let said = client.until_gone().await;
        assert!(
            said.is_empty() || said.starts_with(b"HTTP/1.1 408"),
            "{said:?}"
        );
    }
    assert!(
        origin.requests().len() == 1,
        "no half request was forwarded"
    );
}

/// A connection that never says anything, and one whose requests are over.
#[tokio::test]
async fn an_idle_connection_is_closed() {
    let origin = Origin::answering(200, FRESH, "hello");
    let timeouts = "idle_timeout = \"300ms\"\nheader_timeout = \"300ms\"";
    let proxy = Proxy::before(&origin)
        .table("server", timeouts)
        .start()
        .await;
    let mut mute = proxy.client().await;
    let mut done = proxy.client().await;
    assert!(done.get("/a").await.is_good("hello"));
    assert!(done.until_gone().await.is_empty());
    mute.until_gone().await;
}

/// A body that stops coming is a 408, or at least the end of its connection and of the fetch.
#[tokio::test]
async fn an_upload_that_stalls_is_cut() {
    let gate = Gate::new();
    let ended = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        let (_, end) = connection.request_body().await;
        assert_eq!(end, End::Truncated);
        ended.pass().await;
    });
    let proxy = Proxy::before(&origin)
        .table("server", "body_timeout = \"300ms\"")
        .start()
        .await;
    let mut client = proxy.client().await;
    client
        .request("POST", "/a", &[("content-length", "10")])
        .await;
    client.send("hello").await;
    let response = client.try_response().await;
    assert!(response.is_none_or(|it| it.status == 408));
    gate.arrived(1).await;
}

/// Hundreds of connections that were used once and are kept.
#[tokio::test]
async fn idle_connections_hinder_nobody() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    let before = proxy.rss_bytes();
    let mut idle = Vec::new();
    for _ in 0..400 {
        let mut client = proxy.client().await;
        assert!(client.get("/a").await.is_good("hello"));
        idle.push(client);
    }
    assert!(proxy.get("/a").await.is_hit());
    let each = proxy.rss_bytes().saturating_sub(before) / 400;
    assert!(each < 40 << 10, "{each} bytes for each idle connection");
    for client in &mut idle {
        assert!(client.get("/a").await.is_hit(), "and they may go on");
    }
}

/// Beyond `connections_max` clients wait in the kernel's queue, and are served when one leaves.
#[tokio::test]
async fn connections_are_bounded() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::before(&origin)
        .table("server", "connections_max = 2")
        .start()
        .await;
    let mut first = proxy.client().await;
    let mut second = proxy.client().await;
    assert!(first.get("/a").await.is_good("hello") && second.get("/a").await.is_good("hello"));
    let mut third = proxy.client().await;
    third.request("GET", "/a", &[]).await;
    assert!(
        third.is_silent_for(Duration::from_millis(300)).await,
        "a third is not served yet"
    );
    drop(first);
    assert!(third.response().await.is_good("hello"));
}

// --- clients that read nothing -------------------------------------------------------------------

/// r03189: back-pressure reaches the origin, and nothing piles up in between.
#[tokio::test]
async fn readers_of_nothing_cost_no_memory() {
    const BYTES: usize = 20 * MIB;
    let origin = Origin::start(async |request, connection| {
        if request.path == "/warm" {
            return connection.respond(200, PRIVATE, "hello").await;
        }
        connection.respond(200, PRIVATE, vec![b'x'; BYTES]).await;
    });
    let proxy = Proxy::start(&origin).await;
    responses(&mut proxy.herd(20, "/warm").await).await;
    let before = proxy.rss_bytes();
    let mut clients = Vec::new();
    for number in 0..20 {
        let mut client = Client::connect_narrow(proxy.address()).await;
        client.request("GET", &format!("/{number}"), &[]).await;
        clients.push(client);
    }
    eventually("all to be fetched", async || origin.requests().len() == 40).await;
    settled("the origin to be held back", || origin.sent_bytes()).await;
    let growth = proxy.rss_bytes().saturating_sub(before) as usize;
    assert!(
        growth < 32 * MIB,
        "{} KiB more for 20 readers of nothing",
        growth >> 10
    );
    let response = clients[0].response().await;
    assert_eq!(
        (response.body.len(), response.end),
        (BYTES, End::Clean),
        "it goes on when read"
    );
}

/// s00010, r03189: a client that takes nothing for long is given up, and so is its fetch.
#[tokio::test]
async fn a_reader_of_nothing_is_given_up_in_time() {
    let gate = Gate::new();
    let left = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        connection.respond(200, PRIVATE, vec![b'x'; 50 * MIB]).await;
        left.pass().await;
    });
    let proxy = Proxy::before(&origin)
        .table("server", "send_timeout = \"500ms\"")
        .start()
        .await;
    let mut client = Client::connect_narrow(proxy.address()).await;
    client.request("GET", "/a", &[]).await;
    gate.arrived(1).await;
    assert!(
        origin.sent_bytes() < 50 * MIB as u64,
        "the fetch ended with its client"
    );
    client.head().await;
    assert_eq!(client.rest().await.1, End::Truncated);
}

/// Who reads slowly keeps its copy, purged or not.
#[tokio::test]
async fn a_purge_takes_nothing_from_those_who_read() {
    const BYTES: usize = 8 * MIB;
    let origin = Origin::start(async |_, connection| {
        connection.respond(200, FRESH, vec![b'x'; BYTES]).await;
    });
    let proxy = Proxy::start(&origin).await;
    assert_eq!(proxy.get("/a").await.body.len(), BYTES);
    let mut client = Client::connect_narrow(proxy.address()).await;
    client.request("GET", "/a", &[]).await;
    client.head().await;
    client.read(1000).await;
    assert_eq!(proxy.purge("{\"all\":true}").await.status, 200);
    let (rest, end) = client.rest().await;
    assert_eq!((rest.len() >= BYTES - 100_000, end), (true, End::Clean));
}

// --- clients that want too much ------------------------------------------------------------------

/// What is too large to keep is streamed, whether it says so at once or turns out so.
#[tokio::test]
async fn an_object_that_is_too_large_is_streamed() {
    const BYTES: usize = 2 * MIB;
    let origin = Origin::start(async |request, connection| {
        if request.path == "/length" {
            return connection.respond(200, FRESH, vec![b'x'; BYTES]).await;
        }
        connection
            .begin(200, &[FRESH[0], ("transfer-encoding", "chunked")])
            .await;
        for _ in 0..BYTES / 4096 {
            connection.chunk([b'x'; 4096]).await;
        }
        connection.chunk("").await;
    });
    let proxy = Proxy::before(&origin)
        .table("store", "object_max = \"256KiB\"")
        .start()
        .await;
    for path in ["/length", "/chunks"] {
        for _ in 0..2 {
            let response = proxy.get(path).await;
            assert_eq!(
                (response.body.len(), response.end),
                (BYTES, End::Clean),
                "{path}"
            );
            assert!(!response.is_hit(), "{path}");
        }
        assert_eq!(origin.count(path), 2);
    }
    assert_eq!(proxy.metric("copal_objects", "").await, 0.0);
}

/// All members of a herd get it whole, even those who were following when it grew too large.
#[tokio::test]
async fn a_herd_on_an_object_that_grows_too_large_is_served() {
    const BYTES: usize = 2 * MIB;
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        connection
            .begin(200, &[FRESH[0], ("transfer-encoding", "chunked")])
            .await;
        connection.chunk([b'x'; 4096]).await;
        if request.nth == 1 {
            held.pass().await;
        }
        for _ in 1..BYTES / 4096 {
            connection.chunk([b'x'; 4096]).await;
        }
        connection.chunk("").await;
    });
    let proxy = Proxy::before(&origin)
        .table("store", "object_max = \"256KiB\"")
        .start()
        .await;
    let mut herd = proxy.herd(5, "/a").await;
    gate.arrived(1).await;
    for client in &mut herd {
        client.head().await;
    }
    gate.open();
    // All read at the same time: who is ahead may have to wait for who is behind.
    let readers = herd
        .into_iter()
        .map(|mut client| tokio::spawn(async move { client.rest().await }));
    for reader in readers.collect::<Vec<_>>() {
        let (body, end) = reader.await.expect("a reader");
        assert_eq!((body.len(), end), (BYTES, End::Clean));
    }
}

/// It would be served stale, and fetched in vain, for as long as it has grace.
#[tokio::test]
async fn a_page_that_has_outgrown_the_store_is_not_served_as_it_was() {
    const CHUNKS: usize = 40;
    let origin = Origin::start(async |request, connection| {
        if request.nth == 1 {
            return connection.respond(200, IN_GRACE, "small").await;
        }
        let fields = [FRESH[0], ("transfer-encoding", "chunked")];
        connection.begin(200, &fields).await;
        for _ in 0..CHUNKS {
            connection.chunk([b'x'; 16 << 10]).await;
        }
        connection.chunk("").await;
    });
    let limit = "object_max = \"64KiB\"";
    let proxy = Proxy::before(&origin).table("store", limit).start().await;
    assert!(proxy.get("/a").await.is_good("small"));
    let grown = async || proxy.get("/a").await.body.len() == CHUNKS * (16 << 10);
    eventually("the page as it is now", grown).await;
}

/// A full cache never fails a response: it streams uncached.
#[tokio::test]
async fn a_full_store_still_serves() {
    const BYTES: usize = MIB;
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        let length = BYTES.to_string();
        connection
            .begin(200, &[FRESH[0], ("content-length", &length)])
            .await;
        connection.send(vec![b'x'; BYTES / 2]).await;
        held.pass().await;
        connection.send(vec![b'x'; BYTES / 2]).await;
    });
    let sizes = "memory = \"8MiB\"\nobject_max = \"2MiB\"\nfill_memory = \"2MiB\"";
    let proxy = Proxy::before(&origin).table("store", sizes).start().await;
    let mut clients = Vec::new();
    for number in 0..8 {
        clients.extend(proxy.herd(1, &format!("/{number}")).await);
    }
    gate.arrived(8).await;
    gate.open();
    for client in &mut clients {
        let response = client.response().await;
        assert_eq!((response.body.len(), response.end), (BYTES, End::Clean));
    }
}

/// However many URLs, the store stays within its bound.
#[tokio::test]
async fn the_store_stays_within_its_memory() {
    let origin = Origin::start(async |_, connection| {
        connection.respond(200, FRESH, vec![b'x'; 64 << 10]).await;
    });
    let proxy = Proxy::before(&origin)
        .table("store", "memory = \"4MiB\"")
        .start()
        .await;
    let mut client = proxy.client().await;
    for number in 0..400 {
        let response = client.get(&format!("/{number}")).await;
        assert_eq!((response.status, response.body.len()), (200, 64 << 10));
    }
    let within = async || proxy.metric("copal_store_bytes", "").await <= 4.0 * MIB as f64;
    eventually("eviction to keep the bound", within).await;
    assert!(
        proxy.metric("copal_objects", "").await > 10.0,
        "and it still stores"
    );
}

/// Beyond an origin's `connections_max` a request is refused at once where none may wait.
#[tokio::test]
async fn connections_to_an_origin_are_bounded() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.path == "/held" {
            held.pass().await;
        }
        connection.respond(200, PRIVATE, "hello").await;
    });
    let limits = "connections_max = 1\npending_max = 0";
    let setup = Proxy::before(&origin).table("origins.main", limits);
    let proxy = setup.start().await;
    let mut first = proxy.herd(1, "/held").await;
    gate.arrived(1).await;
    assert_eq!(proxy.get("/b").await.status, 503);
    gate.open();
    assert!(responses(&mut first).await[0].is_good("hello"));
    assert!(proxy.get("/b").await.is_good("hello"));
    assert_eq!(origin.connections(), 1);
}
