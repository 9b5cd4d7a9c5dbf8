//! More requests than servers can bear: some wait, some are turned away, and an origin that fails
//! is left alone for a while.

mod breaker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::harness::{
    Client, Fields, Gate, NO_STORE, Origin, Proxy, Reserved, Response, Setup, eventually, within,
};

/// Stale at once, and good for when its origin fails.
const STALE: Fields<'static> = &[("cache-control", "max-age=0, stale-if-error=600")];
const BREAKER: &str = "breaker = { requests_min = 4, window = \"60s\", open_for = \"1s\", trials = 2 }\n\
                       ejection = { enabled = false }";

/// A server that says its name after a gate, and notes how many it has at once.
struct Held {
    origin: Origin,
    gate: Gate,
    peak: Arc<AtomicUsize>,
}

impl Held {
    fn named(name: &'static str) -> Self {
        let (gate, peak) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        let (held, seen, now) = (gate.clone(), Arc::clone(&peak), AtomicUsize::new(0));
        let origin = Origin::start(async move |request, connection| {
            let count = now.fetch_add(1, Ordering::Relaxed) + 1;
            seen.fetch_max(count, Ordering::Relaxed);
            if request.path != "/free" {
                held.pass().await;
            }
            now.fetch_sub(1, Ordering::Relaxed);
            connection.respond(200, NO_STORE, name).await;
        });
        Self { origin, gate, peak }
    }

    fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}

/// A server that answers with a status that the test commands.
struct Moody {
    origin: Origin,
    status: Arc<AtomicU16>,
}

impl Moody {
    fn new(fields: Fields<'static>) -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let said = Arc::clone(&status);
        let origin = Origin::start(async move |_, connection| {
            let status = said.load(Ordering::Relaxed);
            connection.respond(status, fields, "page").await;
        });
        Self { origin, status }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    fn asked(&self) -> usize {
        self.origin.requests().len()
    }
}

/// The same, where nothing is shared: each request is its client's alone, and ends with it.
fn uncached(servers: &[&Origin], lines: &str) -> Setup {
    Proxy::before_each(servers, lines).table("cache", "enabled = false")
}

async fn pending(proxy: &Proxy) -> f64 {
    proxy
        .metric("copal_origin_pending", "origin=\"pool\"")
        .await
}

async fn shed(proxy: &Proxy, reason: &str) -> f64 {
    let label = format!("reason=\"{reason}\"");
    proxy.metric("copal_origin_shed_total", &label).await
}

/// Clients whose requests wait, one behind the other.
async fn queue_up(proxy: &Proxy, paths: &[&str]) -> Vec<Client> {
    let mut clients = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let mut client = proxy.client().await;
        client.request("GET", path, &[]).await;
        proxy.until_pending(index + 1).await;
        clients.push(client);
    }
    clients
}

fn assert_turned_away(response: &Response, detail: &str) {
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.field("retry-after"), Some("1"), "{response:?}");
    assert!(
        response.says(&format!("detail={detail}")),
        "{}",
        response.cache_status()
    );
}

async fn told(proxy: &Proxy) -> Value {
    let answer = proxy.admin().await.get("/api/v1/origins").await;
    let json: Value = serde_json::from_slice(&answer.body).expect("JSON");
    json["pool"].clone()
}

// --- waiting -------------------------------------------------------------------------------------

#[tokio::test]
async fn what_a_server_has_no_room_for_waits_its_turn() {
    let server = Held::named("a");
    let proxy = Proxy::before_each(&[&server.origin], "requests_max = 1")
        .start()
        .await;
    let mut first = proxy.herd(1, "/first").await;
    server.gate.arrived(1).await;
    let paths = ["/0", "/1", "/2", "/3", "/4"];
    let mut waiting = queue_up(&proxy, &paths).await;
    let pool = told(&proxy).await;
    assert_eq!(
        (&pool["pending"], &pool["servers"][0]["requests_max"]),
        (&5.into(), &1.into())
    );
    server.gate.open();
    for client in first.iter_mut().chain(&mut waiting) {
        assert!(client.response().await.is_good("a"));
    }
    let asked: Vec<_> = server
        .origin
        .requests()
        .into_iter()
        .map(|it| it.path)
        .collect();
    assert_eq!(asked[1..], paths);
    assert_eq!((server.peak(), pending(&proxy).await), (1, 0.0));
}

#[tokio::test]
async fn no_server_ever_has_more_than_its_share() {
    let servers = [Held::named("a"), Held::named("b")];
    let origins = [&servers[0].origin, &servers[1].origin];
    let proxy = uncached(&origins, "requests_max = 3\nbalance = \"random\"")
        .start()
        .await;
    let mut herd = proxy.herd(60, "/a").await;
    for server in &servers {
        server.gate.arrived(3).await;
    }
    proxy.until_pending(54).await;
    servers.iter().for_each(|it| it.gate.open());
    for client in &mut herd {
        assert_eq!(client.response().await.status, 200);
    }
    assert_eq!([servers[0].peak(), servers[1].peak()], [3, 3]);
}

#[tokio::test]
async fn a_full_server_is_passed_over_while_another_has_room() {
    let (full, other) = (Held::named("full"), Held::named("other"));
    let origins = [&full.origin, &other.origin];
    let proxy = Proxy::before_each(&origins, "requests_max = 1\nbalance = \"first\"")
        .start()
        .await;
    let mut held = proxy.herd(1, "/a").await;
    full.gate.arrived(1).await;
    for _ in 0..5 {
        assert!(proxy.get("/free").await.is_good("other"));
    }
    full.gate.open();
    assert!(held[0].response().await.is_good("full"));
    assert!(proxy.get("/free").await.is_good("full"));
}

/// A dead server is never full: who is sent there while the others are waits for them all the same.
#[tokio::test]
async fn who_was_sent_to_a_dead_server_waits_for_a_full_one() {
    let (dead, alive) = (Reserved::new(), Held::named("alive"));
    let servers = [format!("http://{}", dead.address()), alive.origin.url()];
    let lines = "requests_max = 1\nejection = { enabled = false }";
    let proxy = Proxy::before_all(&servers, lines).start().await;
    let mut clients = proxy.herd(8, "/a").await;
    alive.gate.arrived(1).await;
    alive.gate.open();
    for client in &mut clients {
        assert_eq!(client.response().await.text(), "alive");
    }
}

#[tokio::test]
async fn beyond_the_queue_requests_are_turned_away_at_once() {
    let server = Held::named("a");
    let lines = "requests_max = 1\npending_max = 2";
    let proxy = Proxy::before_each(&[&server.origin], lines).start().await;
    let mut clients = proxy.herd(1, "/a").await;
    server.gate.arrived(1).await;
    clients.extend(queue_up(&proxy, &["/b", "/c"]).await);
    assert_turned_away(&proxy.get("/d").await, "origin-full");
    assert_eq!(shed(&proxy, "queue-full").await, 1.0);
    server.gate.open();
    for client in &mut clients {
        assert!(client.response().await.is_good("a"));
    }
    assert_eq!(server.origin.count("/d"), 0);
}

#[tokio::test]
async fn nobody_waits_longer_than_configured() {
    let server = Held::named("a");
    let lines = "requests_max = 1\npending_timeout = \"200ms\"";
    let proxy = Proxy::before_each(&[&server.origin], lines).start().await;
    let mut held = proxy.herd(1, "/a").await;
    server.gate.arrived(1).await;
    let asked = Instant::now();
    assert_turned_away(&proxy.get("/b").await, "origin-queue-timeout");
    assert!(asked.elapsed() >= Duration::from_millis(200));
    assert_eq!(shed(&proxy, "queue-timeout").await, 1.0);
    server.gate.open();
    assert!(held[0].response().await.is_good("a"));
}

#[tokio::test]
async fn who_leaves_the_queue_is_not_served() {
    let server = Held::named("a");
    let proxy = uncached(&[&server.origin], "requests_max = 1")
        .start()
        .await;
    let mut held = proxy.herd(1, "/a").await;
    server.gate.arrived(1).await;
    let paths = ["/stays", "/leaves", "/stays-too"];
    let mut waiting = queue_up(&proxy, &paths).await;
    waiting.remove(1).reset();
    proxy.until_pending(2).await;
    server.gate.open();
    for client in held.iter_mut().chain(&mut waiting) {
        assert!(client.response().await.is_good("a"));
    }
    assert_eq!(server.origin.count("/leaves"), 0);
}

/// One connection serves all, one after the other: no other is opened, and none refused.
#[tokio::test]
async fn requests_wait_for_a_connection_too() {
    let server = Held::named("a");
    let proxy = Proxy::before_each(&[&server.origin], "connections_max = 1")
        .start()
        .await;
    let mut clients = proxy.herd(1, "/a").await;
    server.gate.arrived(1).await;
    clients.extend(queue_up(&proxy, &["/b", "/c", "/d"]).await);
    server.gate.open();
    for client in &mut clients {
        assert!(client.response().await.is_good("a"));
    }
    assert_eq!(server.origin.connections(), 1);
}

/// A server that closes each connection leaves the next request without one for a moment.
#[tokio::test]
async fn a_connection_that_closes_makes_room_for_the_next() {
    let origin = Origin::start(async |_, connection| {
        let fields = [NO_STORE[0], ("connection", "close")];
        connection.respond(200, &fields, "a").await;
        connection.close();
    });
    let proxy = uncached(&[&origin], "connections_max = 1").start().await;
    let mut herd = proxy.herd(20, "/a").await;
    for client in &mut herd {
        assert!(client.response().await.is_good("a"));
    }
    assert_eq!(origin.connections(), 20);
}

/// A pooled connection that has died unnoticed is replaced, though no other may be open.
#[tokio::test]
async fn a_dead_connection_is_replaced_where_there_may_be_one() {
    let origin = Origin::start(async |_, connection| {
        if connection.served == 1 {
            return connection.reset();
        }
        connection.respond(200, NO_STORE, "a").await;
    });
    let lines = "connections_max = 1\nrequests_max = 1";
    let proxy = Proxy::before_each(&[&origin], lines).start().await;
    for _ in 0..5 {
        assert!(proxy.get("/a").await.is_good("a"));
    }
}

/// What has failed has no place while it waits to be tried again: neither it nor others wait for it.
#[tokio::test]
async fn what_is_tried_again_later_leaves_its_place_meanwhile() {
    let origin = Origin::start(async |request, connection| {
        if request.nth == 1 {
            return connection.reset();
        }
        connection.respond(200, NO_STORE, "a").await;
    });
    let lines = "requests_max = 1\npending_timeout = \"10s\"\n\
                 retry = { backoff = \"100ms\" }\nejection = { enabled = false }";
    let proxy = uncached(&[&origin], lines).start().await;
    let asked = Instant::now();
    assert!(proxy.get("/a").await.is_good("a"));
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn what_is_stored_stands_in_for_a_server_without_room() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.path == "/held" {
            held.pass().await;
        }
        connection.respond(200, STALE, "page").await;
    });
    let lines = "requests_max = 1\npending_max = 0";
    let proxy = Proxy::before_each(&[&origin], lines).start().await;
    assert!(proxy.get("/page").await.is_good("page"));
    let mut busy = proxy.herd(1, "/held").await;
    gate.arrived(1).await;
    let stale = proxy.get("/page").await;
    assert!(
        stale.is_good("page") && stale.says("detail=stale-if-error"),
        "{stale:?}"
    );
    assert_turned_away(&proxy.get("/other").await, "origin-full");
    gate.open();
    assert!(busy[0].response().await.is_good("page"));
}

/// The servers of a TCP listener have room for connections instead of requests.
#[tokio::test]
async fn connections_of_a_tcp_listener_wait_too() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = server.local_addr().expect("a bound socket");
    let listen = "protocol = \"tcp\"\norigin = \"pool\"\n";
    let origin = format!("servers = [\"tcp://{address}\"]\nrequests_max = 1\npending_max = 1\n");
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .table("[listen]", listen)
        .table("origins.pool", &origin)
        .sites("")
        .start()
        .await;
    let connect = async || within("a connection", TcpStream::connect(proxy.address())).await;
    let first = connect().await.expect("a listener");
    let (carried, _) = within("the first", server.accept()).await.expect("one");
    let _second = connect().await.expect("a listener");
    proxy.until_pending(1).await;
    // It may be reset before it has heard that it is connected.
    let third = async { connect().await?.read(&mut [0]).await };
    let end = within("the end of the third", third).await;
    assert!(end.is_err(), "it is reset: {end:?}");
    assert_eq!(shed(&proxy, "queue-full").await, 1.0);
    drop((first, carried));
    within("the second", server.accept()).await.expect("one");
}

/// The new bound is for those who wait as well, in their order.
#[tokio::test]
async fn who_waits_keeps_its_place_over_a_reload() {
    let server = Held::named("a");
    let proxy = Proxy::before_each(&[&server.origin], "requests_max = 1")
        .start()
        .await;
    let mut clients = proxy.herd(1, "/a").await;
    server.gate.arrived(1).await;
    clients.extend(queue_up(&proxy, &["/b", "/c"]).await);
    proxy.configure(&Proxy::before_each(&[&server.origin], "requests_max = 2"));
    proxy.sighup();
    server.gate.arrived(2).await;
    assert_eq!(server.origin.last().path, "/b");
    assert_eq!(pending(&proxy).await, 1.0);
    clients.extend(proxy.herd(1, "/d").await);
    proxy.until_pending(2).await;
    server.gate.open();
    for client in &mut clients {
        assert!(client.response().await.is_good("a"));
    }
    assert_eq!((pending(&proxy).await, server.peak()), (0.0, 2));
}

// --- a bound that follows latency ----------------------------------------------------------------

/// Answers take as long as they do, however many there are: there is always room for more. It goes
/// up as long as it is made use of.
#[tokio::test]
async fn an_adaptive_bound_grows_while_answers_are_quick() {
    let origin = Origin::start(async |_, connection| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        connection.respond(200, NO_STORE, "a").await;
    });
    let proxy = Proxy::before_each(&[&origin], "requests_max = \"adaptive\"")
        .start()
        .await;
    let bound = async || proxy.metric("copal_origin_requests_max", "").await;
    assert_eq!(bound().await, 4.0);
    let mut clients = JoinSet::new();
    for _ in 0..40 {
        let mut client = proxy.client().await;
        clients.spawn(async move {
            loop {
                assert!(client.get("/a").await.is_good("a"));
            }
        });
    }
    eventually("the bound to grow", async || bound().await >= 8.0).await;
    clients.shutdown().await;
}
