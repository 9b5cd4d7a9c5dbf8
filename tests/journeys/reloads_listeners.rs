//! Reloads of what clients and operators connect to: listeners, limits and timeouts of clients, the
//! admin listener and logs.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::harness::{
    Client, DEADLINE, Fields, Gate, Load, NO_STORE, Origin, Proxy, Setup, TempDir, eventually,
};

const ANY_PORT: &str = "address = \"127.0.0.1:0\"";

/// A proxy whose origin has this server, and nothing is shared between clients.
fn before(server: &str) -> Setup {
    Proxy::before_all(&[server.to_owned()], "").table("cache", "enabled = false")
}

// --- listeners -----------------------------------------------------------------------------------

/// As [`before`], with another listener of these lines.
fn with_listener(setup: Setup, lines: &str) -> Setup {
    setup.sites(&format!(
        "[[listen]]\n{lines}\n[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n"
    ))
}

async fn refuses(address: SocketAddr) {
    let refused = async || Client::try_connect(address).await.is_none();
    eventually("connections to be refused", refused).await;
}

#[tokio::test]
async fn listeners_limits_and_timeouts_change_and_no_client_notices() {
    let origin = Origin::answering(200, NO_STORE, "page");
    let url = origin.url();
    let limits = [
        "header_timeout = \"5s\"\nbody_timeout = \"7s\"\nheader_bytes_max = \"64KiB\"",
        "idle_timeout = \"20s\"\nsend_timeout = \"9s\"\nheader_fields_max = 50",
        "connections_max = 60\nconnections_per_client_max = 40\nbody_bytes_max = \"1MiB\"",
        "drain_timeout = \"3s\"\ntarget_bytes_max = \"4KiB\"",
    ];
    let proxy = before(&url).start().await;
    let load = Load::start(&proxy, 12);
    let mut count = 1;
    for _ in 0..3 {
        for limits in limits {
            let setup = before(&url).table("server", limits);
            proxy.reload(&with_listener(setup, ANY_PORT)).await;
            count += 1;
            let second = proxy.announces("http", count).await;
            let mut client = Client::connect(second).await;
            assert!(client.get("/").await.is_good("page"));
            load.answered(30).await;
            proxy.reload(&before(&url)).await;
            // Whoever asks once more in time is answered, and told to go on elsewhere.
            client.request("GET", "/", &[]).await;
            let last = client.try_response().await;
            assert!(last.is_none_or(|it| it.field("connection") == Some("close")));
            refuses(second).await;
            load.answered(30).await;
        }
    }
    let tally = load.end().await;
    assert!(tally.bad.is_empty(), "{:?}", tally.bad);
    assert!(tally.good >= 12 * 60, "{}", tally.good);
    assert_eq!(
        proxy.announced("http").len(),
        count,
        "the first one was kept"
    );
}

/// What a closed listener had begun goes on to its end.
#[tokio::test]
async fn a_listener_closes_and_its_requests_are_answered() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, NO_STORE, "page").await;
    });
    let url = origin.url();
    let proxy = with_listener(before(&url), ANY_PORT).start().await;
    let second = proxy.announces("http", 2).await;
    let mut client = Client::connect(second).await;
    client.request("GET", "/", &[]).await;
    gate.arrived(1).await;
    proxy.reload(&before(&url)).await;
    refuses(second).await;
    gate.open();
    let response = client.response().await;
    assert!(response.is_good("page"), "{response:?}");
    assert_eq!(response.field("connection"), Some("close"));
    assert!(client.until_gone().await.is_empty());
    let response = proxy.get("/").await;
    assert!(response.is_good("page") && response.field("connection").is_none());
}

#[tokio::test]
async fn a_kept_listener_takes_other_settings_for_new_connections() {
    let origin = Origin::answering(200, NO_STORE, "page");
    let url = origin.url();
    let proxy = before(&url).start().await;
    let mut old = proxy.client().await;
    assert!(old.get("/").await.is_good("page"));
    let introduced = before(&url).table("[listen]", "accept_proxy = true");
    proxy.reload(&introduced).await;
    let mut new = proxy.client().await;
    new.send("PROXY TCP4 192.0.2.1 192.0.2.9 56324 443\r\n")
        .await;
    assert!(new.get("/").await.is_good("page"));
    assert!(
        old.get("/").await.is_good("page"),
        "it began without a header"
    );
    assert_eq!(proxy.announced("http"), [proxy.address()]);
}

/// The kernel lets one more wait than it is told.
#[tokio::test]
async fn as_many_wait_as_the_backlog_says() {
    let origin = Origin::answering(200, NO_STORE, "page");
    let one = "connections_max = 1";
    let waiting = |backlog: &str| {
        let setup = before(&origin.url()).table("server", one);
        setup.table("[listen]", backlog)
    };
    let connects = async |address| {
        let connect = TcpStream::connect(address);
        let connected = timeout(Duration::from_millis(300), connect).await;
        connected.ok().map(|it| it.expect("a listener"))
    };
    let proxy = waiting("backlog = 1").start().await;
    let mut served = proxy.client().await;
    assert!(served.get("/").await.is_good("page"));
    let mut queue = Vec::new();
    for _ in 0..2 {
        queue.push(connects(proxy.address()).await.expect("room to wait"));
    }
    assert!(connects(proxy.address()).await.is_none(), "a third waits");
    proxy.reload(&waiting("backlog = 8")).await;
    for _ in 0..3 {
        queue.push(connects(proxy.address()).await.expect("more room"));
    }
    assert!(served.get("/").await.is_good("page"));
}

#[tokio::test]
async fn an_address_that_is_taken_changes_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("a bound socket");
    let (old, new) = (
        Origin::answering(200, NO_STORE, "old"),
        Origin::answering(200, NO_STORE, "new"),
    );
    let proxy = before(&old.url()).start().await;
    let setup = before(&new.url()).table("log", "access = \"./access.log\"");
    proxy.configure(&with_listener(setup, &format!("address = \"{address}\"")));
    let mut admin = proxy.admin().await;
    let answer = admin.send_body("POST", "/api/v1/reload", "").await;
    assert_eq!(answer.status, 422, "{answer:?}");
    let complaint = format!("cannot listen on {address}");
    assert!(answer.text().contains(&complaint), "{answer:?}");
    assert!(proxy.get("/").await.is_good("old"));
    proxy.sighup();
    let logged = async || proxy.stderr().contains("not reloaded");
    eventually("the failure in the log", logged).await;
    proxy.says(&complaint).await;
    assert!(proxy.get("/").await.is_good("old"));
}

// --- limits of clients ---------------------------------------------------------------------------

/// Whether it is busy, idle or parked when the limits change, an open connection has them from its
/// next request on.
#[tokio::test]
async fn an_open_connection_takes_new_limits_at_its_next_request() {
    let origin = Origin::answering(200, NO_STORE, "page");
    let url = origin.url();
    let limited = |lines: &str| before(&url).table("server", lines);
    let small = "header_bytes_max = \"8KiB\"\nheader_fields_max = 20\nbody_bytes_max = \"1KiB\"";
    let proxy = limited("header_bytes_max = \"64KiB\"").start().await;
    let long = "x".repeat(20_000);
    let long: Fields<'_> = &[("x-long", &long)];
    let many = [("x-many", "1"); 30];
    let mut client = proxy.client().await;
    for _ in 0..2 {
        assert!(client.get_with("/", long).await.is_good("page"));
        assert!(client.get_with("/", &many).await.is_good("page"));
        let mut others = [proxy.client().await, proxy.client().await];
        for other in &mut others {
            assert!(other.get("/").await.is_good("page"));
        }
        proxy.reload(&limited(small)).await;
        let [one, other] = &mut others;
        assert_eq!(one.get_with("/", long).await.status, 431);
        assert_eq!(other.get_with("/", &many).await.status, 431);
        assert!(client.get("/").await.is_good("page"), "the same connection");
        proxy.reload(&limited("header_bytes_max = \"64KiB\"")).await;
    }
    let mut parked = proxy.client().await;
    assert!(parked.get("/").await.is_good("page"));
    assert!(parked.is_silent_for(Duration::from_millis(1500)).await);
    proxy.reload(&limited(small)).await;
    assert_eq!(
        parked
            .send_body("POST", "/", &"x".repeat(2000))
            .await
            .status,
        413
    );
}

#[tokio::test]
async fn timeouts_change_for_connections_that_are_open() {
    let origin = Origin::answering(200, NO_STORE, "page");
    let url = origin.url();
    let proxy = before(&url).start().await;
    let mut client = proxy.client().await;
    assert!(client.get("/").await.is_good("page"));
    let short = "idle_timeout = \"200ms\"\nheader_timeout = \"200ms\"";
    proxy.reload(&before(&url).table("server", short)).await;
    let began = Instant::now();
    assert!(client.until_gone().await.is_empty());
    let mut slow = proxy.client().await;
    slow.send("GET / HTTP/1.1\r\n").await;
    slow.until_gone().await;
    assert!(began.elapsed() < DEADLINE / 3, "{:?}", began.elapsed());
}

#[tokio::test]
async fn connections_of_one_client_are_limited_from_a_reload_on() {
    let origin = Origin::answering(200, NO_STORE, "page");
    let url = origin.url();
    let proxy = before(&url).start().await;
    let limited = before(&url).table("server", "connections_per_client_max = 1");
    proxy.reload(&limited).await;
    let mut first = proxy.client().await;
    assert!(first.get("/").await.is_good("page"));
    assert!(proxy.client().await.until_gone().await.is_empty());
    proxy.reload(&before(&url)).await;
    assert!(proxy.get("/").await.is_good("page"));
    assert!(first.get("/").await.is_good("page"));
}

// --- the operator's ------------------------------------------------------------------------------

#[tokio::test]
async fn the_admin_listener_gets_a_token_moves_and_closes() {
    let origin = Origin::answering(200, NO_STORE, "page");
    let url = origin.url();
    let proxy = before(&url).start().await;
    let mut admin = proxy.admin().await;
    assert_eq!(admin.get("/metrics").await.status, 200);
    let bearer: Fields<'static> = &[("authorization", "Bearer secret")];
    proxy
        .reload(&before(&url).table("admin", "token = \"secret\""))
        .await;
    assert_eq!(admin.get("/metrics").await.status, 401);
    assert_eq!(admin.get_with("/metrics", bearer).await.status, 200);
    proxy.configure(
        &before(&url)
            .without("admin")
            .table("admin", "address = \"127.0.0.2:0\""),
    );
    let fields = [bearer[0], ("content-length", "0")];
    admin.request("POST", "/api/v1/reload", &fields).await;
    assert_eq!(admin.response().await.status, 200);
    let moved = proxy.announces("admin", 2).await;
    refuses(proxy.admin_address()).await;
    assert_eq!(
        admin.get("/metrics").await.status,
        401,
        "it keeps to the old token"
    );
    let mut admin = Client::connect(moved).await.asking_for("localhost");
    assert_eq!(admin.get("/metrics").await.status, 200);
    proxy.configure(&before(&url).without("admin"));
    proxy.sighup();
    refuses(moved).await;
    proxy.configure(&before(&url));
    proxy.sighup();
    let back = proxy.announces("admin", 3).await;
    assert_eq!(
        Client::connect(back).await.get("/healthz").await.status,
        200
    );
}

#[tokio::test]
async fn logs_change_their_place_their_form_and_their_level() {
    let origin = Origin::answering(200, NO_STORE, "page");
    let url = origin.url();
    let folder = TempDir::new();
    let [one, other] = ["one.log", "other.log"].map(|it| folder.path().join(it));
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let logging =
        |path: &Path, rest: &str| before(&url).table("log", &format!("access = {path:?}\n{rest}"));
    let proxy = logging(&one, "format = \"common\"").start().await;
    proxy.get("/1").await;
    proxy
        .reload(&logging(&one, "format = \"json\"\nlevel = \"debug\""))
        .await;
    assert!(
        lines(&one).contains("\"GET /1 HTTP/1.1\" 200"),
        "it was written before the end"
    );
    proxy.get("/2").await;
    proxy.reload(&logging(&other, "format = \"json\"")).await;
    assert!(lines(&one).contains("\"target\":\"/2\""), "{}", lines(&one));
    proxy.get("/3").await;
    let written = async || lines(&other).contains("\"target\":\"/3\"");
    eventually("a line in the other file", written).await;
    assert_eq!(lines(&one).lines().count(), 2);
    proxy.reload(&before(&url)).await;
    proxy.get("/4").await;
    assert_eq!(lines(&other).lines().count(), 1, "it is off");
    let nowhere = folder.path().join("no/such/folder.log");
    proxy.configure(&logging(&nowhere, ""));
    let answer = proxy
        .admin()
        .await
        .send_body("POST", "/api/v1/reload", "")
        .await;
    assert_eq!(answer.status, 422, "{answer:?}");
}

#[tokio::test]
async fn the_size_of_the_store_waits_for_a_restart() {
    let origin = Origin::answering(200, NO_STORE, "page");
    let url = origin.url();
    let proxy = before(&url).start().await;
    proxy
        .reload(&before(&url).table("store", "memory = \"128MiB\""))
        .await;
    let logged = async || proxy.stderr().contains("takes effect at the next start");
    eventually("a warning in the log", logged).await;
    assert!(proxy.get("/").await.is_good("page"));
}
