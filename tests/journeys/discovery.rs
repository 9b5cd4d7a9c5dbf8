//! Servers that are names: their addresses change, they come and go, and no client notices.

mod dns_fails;
mod moved;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::harness::{
    Authority, Dns, Gate, NO_STORE, Origin, Proxy, Reserved, Setup, TempDir, TlsDoor, eventually,
    settled, within,
};

const APP: &str = "app.test";
const SERVICE: &str = "_http._tcp.app.test";

/// A proxy whose one origin has these servers, by names that `dns` knows.
fn before(dns: &Dns, servers: &str, lines: &str) -> Setup {
    Proxy::before_url("http://127.0.0.1:1")
        .table("resolver", &dns.table())
        .table("origins.pool", &format!("servers = [{servers}]\n{lines}"))
        .sites("[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n")
}

/// The server `app.test` at a port.
fn app(port: u16, resolve: &str) -> String {
    format!("{{ url = \"http://{APP}:{port}\", resolve = \"{resolve}\" }}")
}

/// The servers of a service.
fn service() -> String {
    format!("{{ url = \"http://{SERVICE}\", resolve = \"srv\" }}")
}

fn named(port: Reserved, name: &'static str) -> Origin {
    port.start(async move |_, connection| connection.respond(200, NO_STORE, name).await)
}

/// Servers with names of their own, at one port of 127.0.0.2 and those that follow.
fn neighbours<const N: usize>(names: [&'static str; N]) -> (u16, [Origin; N]) {
    let reserved = Reserved::neighbours::<N>();
    let port = reserved[0].address().port();
    let mut names = names.into_iter();
    let start = |it: Reserved| named(it, names.next().expect("a name for each"));
    (port, reserved.map(start))
}

/// What the admin endpoint says of the origin.
async fn told(proxy: &Proxy) -> Value {
    let answer = proxy.admin().await.get("/api/v1/origins").await;
    let json: Value = serde_json::from_slice(&answer.body).expect("JSON");
    json["pool"].clone()
}

/// Its servers, in order.
async fn servers(proxy: &Proxy) -> Vec<String> {
    let told = told(proxy).await;
    let servers = told["servers"].as_array().expect("a list");
    let name = |it: &Value| it["server"].as_str().expect("a name").to_owned();
    servers.iter().map(name).collect()
}

async fn until_servers(proxy: &Proxy, expected: &[String]) {
    let what = format!("the servers {expected:?}");
    eventually(&what, async || servers(proxy).await == expected).await;
}

fn at(port: u16, last: &[u8]) -> Vec<String> {
    let address = |it: &u8| format!("127.0.0.{it}:{port}");
    last.iter().map(address).collect()
}

async fn lookups(proxy: &Proxy, result: &str) -> f64 {
    let label = format!("result=\"{result}\"");
    proxy.metric("copal_resolver_lookups_total", &label).await
}

/// Clients that ask without a pause until told to stop; how many were answered well, and not.
struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<(usize, usize)>,
}

impl Load {
    async fn of(proxy: &Proxy, clients: usize) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let mut running = JoinSet::new();
        for _ in 0..clients {
            let (mut client, stop) = (proxy.client().await, Arc::clone(&stop));
            running.spawn(async move {
                let (mut good, mut bad) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    match client.get("/").await.status {
                        200 => good += 1,
                        _ => bad += 1,
                    }
                }
                (good, bad)
            });
        }
        Self {
            stop,
            clients: running,
        }
    }

    async fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        let counts = within("the clients to end", self.clients.join_all()).await;
        let sum = |(good, bad), (more, worse)| (good + more, bad + worse);
        counts.into_iter().fold((0, 0), sum)
    }
}

// --- one -----------------------------------------------------------------------------------------

#[tokio::test]
async fn one_server_is_followed_to_its_new_address() {
    let dns = Dns::start().await;
    let (port, [a, b]) = neighbours(["a", "b"]);
    dns.addresses(APP, 0, &["127.0.0.2"]);
    let url = format!("\"http://{APP}:{port}\"");
    let proxy = before(&dns, &url, "").start().await;
    let load = Load::of(&proxy, 4).await;
    eventually("requests at a", async || a.count("/") > 10).await;
    assert_eq!(b.count("/"), 0);
    dns.addresses(APP, 0, &["127.0.0.3"]);
    // Although connections to the old address are never idle for long.
    eventually("a to be left", async || a.open_connections() == 0).await;
    let left = a.count("/");
    eventually("requests at b", async || b.count("/") > 10).await;
    let (good, bad) = load.end().await;
    assert_eq!((a.count("/"), bad), (left, 0));
    assert_eq!(a.count("/") + b.count("/"), good);
    // It has been one server all the time.
    let label = format!("server=\"{APP}:{port}\"");
    let requests = proxy.metric("copal_origin_requests_total", &label).await;
    assert_eq!(requests as usize, good);
    let told = told(&proxy).await;
    assert_eq!(told["servers"][0]["addresses"][0], "127.0.0.3");
    assert_eq!(told["servers"][0]["found_by"], Value::Null);
}

#[tokio::test]
async fn one_server_is_reached_by_all_its_addresses_and_a_dead_one_is_passed_over() {
    let dns = Dns::start().await;
    let (port, [a, b]) = neighbours(["a", "b"]);
    // Nobody listens at the third.
    dns.addresses(APP, 60, &["127.0.0.2", "127.0.0.3", "127.0.0.9"]);
    let url = format!("\"http://{APP}:{port}\"");
    let proxy = before(&dns, &url, "idle_max = 0").start().await;
    for _ in 0..30 {
        assert_eq!(proxy.get("/").await.status, 200);
    }
    let (of_a, of_b) = (a.count("/"), b.count("/"));
    assert_eq!(of_a + of_b, 30);
    assert!(of_a >= 10 && of_b >= 10, "{of_a} and {of_b}");
    assert_eq!(dns.asked(APP), 1, "the TTL is not over");
}

#[tokio::test]
async fn the_name_of_this_machine_needs_no_dns() {
    let origin = Origin::answering(200, NO_STORE, "page");
    let url = format!("http://localhost:{}", origin.address().port());
    let proxy = Proxy::before_url(&url).start().await;
    assert!(proxy.get("/").await.is_good("page"));
}

// --- each ----------------------------------------------------------------------------------------

#[tokio::test]
async fn servers_come_and_go_under_load_and_no_client_notices() {
    let dns = Dns::start().await;
    let (port, [a, b, c]) = neighbours(["a", "b", "c"]);
    let all = || [a.count("/"), b.count("/"), c.count("/")];
    dns.addresses(APP, 0, &["127.0.0.2", "127.0.0.3"]);
    let proxy = before(&dns, &app(port, "each"), "balance = \"round-robin\"")
        .start()
        .await;
    let load = Load::of(&proxy, 8).await;
    eventually("both", async || all()[..2].iter().all(|it| *it > 20)).await;
    dns.addresses(APP, 0, &["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    eventually("the new one", async || c.count("/") > 20).await;
    for _ in 0..3 {
        dns.addresses(APP, 0, &["127.0.0.3", "127.0.0.4"]);
        until_servers(&proxy, &at(port, &[3, 4])).await;
        eventually("a to be left", async || a.open_connections() == 0).await;
        let [left, others, _] = all();
        eventually("the others to go on", async || b.count("/") > others + 20).await;
        assert_eq!(a.count("/"), left, "it gets no new requests");
        dns.addresses(APP, 0, &["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
        eventually("a to be back", async || a.count("/") > left + 20).await;
    }
    // In the place of all of them there is another.
    dns.addresses(APP, 0, &["127.0.0.4"]);
    until_servers(&proxy, &at(port, &[4])).await;
    let [left_a, left_b, others] = all();
    eventually("the last one", async || c.count("/") > others + 20).await;
    let (good, bad) = load.end().await;
    assert_eq!(bad, 0);
    assert_eq!(all().iter().sum::<usize>(), good);
    // Those under way when the others left have ended there.
    assert!(a.count("/") <= left_a + 8 && b.count("/") <= left_b + 8);
}

#[tokio::test]
async fn a_server_that_goes_ends_what_is_under_way() {
    let dns = Dns::start().await;
    let [one, two] = Reserved::neighbours();
    let (port, gate) = (one.address().port(), Gate::new());
    let held = gate.clone();
    let old = one.start(async move |_, connection| {
        connection
            .send("HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 8\r\n\r\nhalf")
            .await;
        held.pass().await;
        connection.send("half").await;
    });
    let _new = named(two, "new");
    dns.addresses(APP, 0, &["127.0.0.2"]);
    let proxy = before(&dns, &app(port, "each"), "").start().await;
    let mut client = proxy.client().await;
    client.request("GET", "/", &[]).await;
    gate.arrived(1).await;
    dns.addresses(APP, 0, &["127.0.0.3"]);
    until_servers(&proxy, &at(port, &[3])).await;
    assert!(proxy.get("/").await.is_good("new"));
    gate.open();
    assert!(client.response().await.is_good("halfhalf"));
    // It does not go back to the pool.
    eventually("its connection to end", async || {
        old.open_connections() == 0
    })
    .await;
    assert_eq!(old.connections(), 1);
}

#[tokio::test]
async fn a_request_whose_servers_have_all_gone_moves_on_to_the_new_ones() {
    let dns = Dns::start().await;
    let [one, two] = Reserved::neighbours();
    let (port, gate) = (one.address().port(), Gate::new());
    let held = gate.clone();
    // It takes the request, and breaks off when it is no longer on the roster.
    let _old = one.start(async move |_, connection| {
        held.pass().await;
        connection.reset();
    });
    let new = named(two, "new");
    dns.addresses(APP, 0, &["127.0.0.2"]);
    let proxy = before(&dns, &app(port, "each"), "").start().await;
    let mut client = proxy.client().await;
    client.request("GET", "/", &[]).await;
    gate.arrived(1).await;
    dns.addresses(APP, 0, &["127.0.0.3"]);
    until_servers(&proxy, &at(port, &[3])).await;
    gate.open();
    assert!(client.response().await.is_good("new"));
    assert_eq!(new.count("/"), 1);
}

#[tokio::test]
async fn probes_follow_the_servers() {
    let dns = Dns::start().await;
    let (port, [a, b]) = neighbours(["a", "b"]);
    let probes = |it: &Origin| it.count("/health");
    dns.addresses(APP, 0, &["127.0.0.2"]);
    let lines = "health = { path = \"/health\", interval = \"20ms\" }";
    let proxy = before(&dns, &app(port, "each"), lines).start().await;
    eventually("probes of a", async || probes(&a) > 2).await;
    // The name is the host that is asked for, not the address.
    assert_eq!(a.last().field("host"), Some(&*format!("{APP}:{port}")));
    dns.addresses(APP, 0, &["127.0.0.3"]);
    eventually("probes of b", async || probes(&b) > 2).await;
    until_servers(&proxy, &at(port, &[3])).await;
    let rest = settled("the probes of a", || probes(&a) as u64).await;
    let more = probes(&b);
    eventually("more probes of b", async || probes(&b) > more + 2).await;
    assert_eq!(probes(&a) as u64, rest);
}

/// Some DNS servers give other addresses each time. A probe must get to its end all the same.
#[tokio::test]
async fn probes_go_on_while_a_server_changes_its_addresses() {
    let dns = Dns::start().await;
    let (reserved, gate) = (Reserved::neighbours::<2>(), Gate::new());
    let port = reserved[0].address().port();
    let _silent = reserved.map(|it| {
        let never = gate.clone();
        it.start(async move |_, _| never.pass().await)
    });
    dns.addresses(APP, 0, &["127.0.0.2"]);
    let health = "health = { interval = \"100ms\", timeout = \"1s\" }";
    let proxy = before(&dns, &app(port, "one"), health).start().await;
    let mut last = 0;
    eventually("the first probe to fail", async || {
        last = 1 - last;
        dns.addresses(APP, 0, &[["127.0.0.2", "127.0.0.3"][last]]);
        told(&proxy).await["servers"][0]["up"] == false
    })
    .await;
}

#[tokio::test]
async fn who_comes_while_others_are_at_work_starts_slowly() {
    let dns = Dns::start().await;
    let (port, _servers) = neighbours(["a", "b", "c"]);
    dns.addresses(APP, 0, &["127.0.0.2", "127.0.0.3"]);
    let proxy = before(&dns, &app(port, "each"), "slow_start = \"1h\"")
        .start()
        .await;
    until_servers(&proxy, &at(port, &[2, 3])).await;
    dns.addresses(APP, 0, &["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    until_servers(&proxy, &at(port, &[2, 3, 4])).await;
    let told = told(&proxy).await;
    let weight = |at: usize| told["servers"][at]["effective_weight"].as_f64();
    assert_eq!(
        [weight(0), weight(1), weight(2)],
        [Some(1.0), Some(1.0), Some(0.1)]
    );
}

#[tokio::test]
async fn a_server_found_by_name_has_to_prove_the_name() {
    let (dns, authority, folder) = (Dns::start().await, Authority::new(), TempDir::new());
    let origin = Origin::answering(200, NO_STORE, "page");
    let roots = format!("roots = {:?}", authority.write(&folder, "ca.pem"));
    dns.addresses(APP, 60, &["127.0.0.1"]);
    for (name, status) in [(APP, 200), ("127.0.0.1", 502)] {
        let door = TlsDoor::before(&origin, &authority.issue(&[name])).await;
        let port = door.port();
        dns.services("_https._tcp.app.test", 60, &[(1, 1, port, APP)]);
        for server in [
            format!("{{ url = \"https://{APP}:{port}\", resolve = \"each\" }}"),
            "{ url = \"https://_https._tcp.app.test\", resolve = \"srv\" }".to_owned(),
        ] {
            let setup = before(&dns, &server, "").table("origins.pool.tls", &roots);
            assert_eq!(setup.start().await.get("/").await.status, status, "{name}");
        }
        for handshake in door.handshakes() {
            assert_eq!(handshake.name.as_deref(), Some(APP));
        }
    }
}

#[tokio::test]
async fn no_more_servers_are_taken_than_allowed() {
    let dns = Dns::start().await;
    let (port, [a, b, c]) = neighbours(["a", "b", "c"]);
    dns.addresses(APP, 0, &["127.0.0.4", "127.0.0.2", "127.0.0.3"]);
    let proxy = before(&dns, &app(port, "each"), "servers_max = 2")
        .start()
        .await;
    for _ in 0..20 {
        assert_eq!(proxy.get("/").await.status, 200);
    }
    assert_eq!(servers(&proxy).await, at(port, &[2, 3]));
    assert_eq!(a.count("/") + b.count("/"), 20);
    assert_eq!(c.count("/"), 0);
    let told = "DNS names more servers than `servers_max`";
    proxy.says(told).await;
    assert_eq!(proxy.stderr().matches(told).count(), 1, "it is said once");
}

// --- srv -----------------------------------------------------------------------------------------

#[tokio::test]
async fn srv_records_have_ports_weights_and_priorities() {
    let dns = Dns::start().await;
    let (a, b, c) = (
        named(Reserved::new(), "a"),
        named(Reserved::new(), "b"),
        named(Reserved::new(), "c"),
    );
    let port = |it: &Origin| it.address().port();
    dns.addresses("one.test", 0, &["127.0.0.1"]);
    let (first, second) = ((10, 3, port(&a), "one.test"), (10, 1, port(&b), "one.test"));
    let backup = (20, 5, port(&c), "one.test");
    dns.services(SERVICE, 0, &[backup, second, first]);
    let proxy = before(&dns, &service(), "balance = \"round-robin\"")
        .start()
        .await;
    for _ in 0..40 {
        assert_eq!(proxy.get("/").await.status, 200);
    }
    assert_eq!([a.count("/"), b.count("/"), c.count("/")], [30, 10, 0]);
    let told = told(&proxy).await;
    let names: Vec<_> = told["servers"].as_array().expect("a list").iter().collect();
    assert!(names.iter().all(|it| it["found_by"] == SERVICE));
    // The weights turn round, with the connections that are open.
    let connections = a.connections();
    let lighter = [(10, 1, port(&a), "one.test"), (10, 3, port(&b), "one.test")];
    dns.services(SERVICE, 0, &[lighter[0], lighter[1], backup]);
    let weight = async || told_weight(&proxy, &a).await == 1;
    eventually("the new weights", weight).await;
    let before = [a.count("/"), b.count("/")];
    for _ in 0..40 {
        assert_eq!(proxy.get("/").await.status, 200);
    }
    assert_eq!(
        [a.count("/"), b.count("/")],
        [before[0] + 10, before[1] + 30]
    );
    assert_eq!(a.connections(), connections);
    // Who is left has the lowest priority now.
    dns.services(SERVICE, 0, &[backup]);
    until_servers(&proxy, &[c.address().to_string()]).await;
    assert!(proxy.get("/").await.is_good("c"));
}

async fn told_weight(proxy: &Proxy, server: &Origin) -> u64 {
    let (told, name) = (told(proxy).await, server.address().to_string());
    let servers = told["servers"].as_array().expect("a list");
    let found = servers.iter().find(|it| it["server"] == *name);
    found
        .and_then(|it| it["weight"].as_u64())
        .expect("a weight")
}

#[tokio::test]
async fn backups_of_srv_records_serve_when_the_first_are_dead() {
    let dns = Dns::start().await;
    let (dead, backup) = (Reserved::new(), named(Reserved::new(), "backup"));
    dns.addresses("one.test", 0, &["127.0.0.1"]);
    let first = (1, 1, dead.address().port(), "one.test");
    let second = (2, 1, backup.address().port(), "one.test");
    dns.services(SERVICE, 0, &[first, second]);
    let proxy = before(&dns, &service(), "").start().await;
    for _ in 0..10 {
        assert!(proxy.get("/").await.is_good("backup"));
    }
}

// --- TCP -----------------------------------------------------------------------------------------

#[tokio::test]
async fn tcp_listeners_follow_as_well() {
    let dns = Dns::start().await;
    let first = TcpListener::bind("127.0.0.2:0").await.expect("a port");
    let port = first.local_addr().expect("a bound socket").port();
    let second = TcpListener::bind(("127.0.0.3", port)).await;
    let second = second.expect("the same port of another address");
    for resolve in ["one", "each"] {
        dns.addresses(APP, 0, &["127.0.0.2"]);
        let server = format!("{{ url = \"tcp://{APP}:{port}\", resolve = \"{resolve}\" }}");
        let setup = before(&dns, &server, "").sites("");
        let proxy = setup
            .table("[listen]", "protocol = \"tcp\"\norigin = \"pool\"")
            .start()
            .await;
        let mut client = TcpStream::connect(proxy.address()).await.expect("a proxy");
        let (old, _) = within("a connection", first.accept()).await.expect("one");
        dns.addresses(APP, 0, &["127.0.0.3"]);
        let follows = async || {
            let _client = TcpStream::connect(proxy.address()).await.expect("a proxy");
            tokio::select! {
                biased;
                accepted = second.accept() => accepted.is_ok(),
                accepted = first.accept() => accepted.is_err(),
            }
        };
        eventually("a connection at the new address", follows).await;
        // The connection that is open goes on to its own end.
        drop(old);
        let ended = within("its end", client.read_u8()).await;
        assert!(ended.is_err());
    }
}
