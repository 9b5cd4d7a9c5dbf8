//! TCP listeners before several servers that fail. Servers that speak HTTP stand in for any other:
//! what goes over a connection is nobody's business here. One dead server, probes and reloads are
//! in `tcp.rs`; redis and a thousand connections in `tests/outside/tcp.py`.

use std::time::{Duration, Instant};

use crate::harness::{Client, Connection, Hole, Proxy, Reserved, eventually, named};

const ROUND_ROBIN: &str = "balance = \"round-robin\"";
/// The same, where who is ejected is soon asked again.
const SOON: &str = "balance = \"round-robin\"\nejection = { base = \"500ms\" }";

fn tcp(address: impl std::fmt::Display) -> String {
    format!("tcp://{address}")
}

/// Who answers on a new connection; nothing if it is reset.
async fn asked(proxy: &Proxy) -> Option<String> {
    let mut client = Client::try_connect(proxy.address()).await?;
    client.request("GET", "/", &[]).await;
    client.try_response().await.map(|it| it.text())
}

/// A host that is gone costs the first of its clients the connect timeout, and nobody the
/// connection.
#[tokio::test]
async fn a_host_that_is_gone_is_passed_over() {
    let (hole, alive) = (Hole::new(), named("alive"));
    let servers = [tcp(hole.address()), tcp(alive.address())];
    let lines = format!("{ROUND_ROBIN}\nconnect_timeout = \"200ms\"");
    let proxy = Proxy::before_tcp(&servers, "", &lines).start().await;
    for _ in 0..20 {
        assert_eq!(asked(&proxy).await.as_deref(), Some("alive"));
    }
    let label = hole.address().to_string();
    let errors = proxy.metric("copal_origin_errors_total", &label).await;
    assert_eq!(errors, 5.0, "then it is ejected");
    assert_eq!(proxy.metric("copal_tcp_errors_total", "").await, 0.0);
}

/// A backup takes the connections that no other accepts.
#[tokio::test]
async fn a_backup_stands_in() {
    let (dead, spare) = (Reserved::new(), named("spare"));
    let servers = format!(
        "servers = [\"{}\", {{ url = \"{}\", backup = true }}]",
        tcp(dead.address()),
        tcp(spare.address())
    );
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .table("[listen]", "protocol = \"tcp\"\norigin = \"pool\"")
        .table("origins.pool", &servers)
        .sites("");
    let proxy = proxy.start().await;
    for _ in 0..5 {
        assert_eq!(asked(&proxy).await.as_deref(), Some("spare"));
    }
}

/// A server that dies takes its own connections with it and no other's, and new ones go elsewhere
/// until it is back.
#[tokio::test]
async fn a_server_that_dies_takes_only_its_own_connections() {
    const EACH: usize = 10;
    let (port, two) = (Reserved::new(), named("two"));
    let one = async |_: &_, connection: &mut Connection| {
        connection.respond(200, &[], "one").await;
    };
    let first = port.visit(one);
    let servers = [tcp(first.address()), tcp(two.address())];
    let proxy = Proxy::before_tcp(&servers, "", SOON).start().await;
    let (mut ones, mut twos) = (Vec::new(), Vec::new());
    for _ in 0..2 * EACH {
        let mut client = proxy.client().await;
        match &*client.get("/").await.text() {
            "one" => ones.push(client),
            _ => twos.push(client),
        }
    }
    assert_eq!((ones.len(), twos.len()), (EACH, EACH));
    first.kill();
    for client in &mut ones {
        client.until_gone().await;
    }
    for client in &mut twos {
        assert!(client.get("/").await.is_good("two"));
    }
    for _ in 0..EACH {
        assert_eq!(asked(&proxy).await.as_deref(), Some("two"));
    }
    let _back = port.visit(one);
    let is_back = async || asked(&proxy).await.as_deref() == Some("one");
    eventually("connections for the one that is back", is_back).await;
    let no_server = proxy.metric("copal_tcp_errors_total", "no-server").await;
    assert_eq!(no_server, 0.0);
}

/// Whoever connects is connected, to one server or the other, however often one of them comes and
/// goes.
#[tokio::test]
async fn a_server_that_flaps_refuses_nobody() {
    let (port, two) = (Reserved::new(), named("two"));
    let servers = [tcp(port.address()), tcp(two.address())];
    let proxy = Proxy::before_tcp(&servers, "", ROUND_ROBIN).start().await;
    for round in 0..8 {
        let one = async |_: &_, connection: &mut Connection| {
            connection.respond(200, &[], "one").await;
        };
        let first = port.visit(one);
        for _ in 0..4 {
            assert!(asked(&proxy).await.is_some(), "round {round}");
        }
        first.kill();
        for _ in 0..4 {
            assert_eq!(asked(&proxy).await.as_deref(), Some("two"), "round {round}");
        }
    }
}

/// With all servers gone clients are told at once, and one that comes back is enough.
#[tokio::test]
async fn with_all_servers_gone_connections_are_reset_soon() {
    let ports = [Reserved::new(), Reserved::new(), Reserved::new()];
    let servers = ports.each_ref().map(|it| tcp(it.address()));
    let proxy = Proxy::before_tcp(&servers, "", SOON).start().await;
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(asked(&proxy).await, None);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    let _back = ports[2].visit(async |_, connection| connection.respond(200, &[], "back").await);
    // It may be the one of the three that is ejected.
    let is_back = async || asked(&proxy).await.as_deref() == Some("back");
    eventually("the one that is back to be asked", is_back).await;
}

/// The server that is tried after another gets the header once, and the client's bytes behind it.
#[tokio::test]
async fn the_header_goes_to_the_server_that_accepts() {
    let (dead, alive) = (Reserved::new(), named("alive"));
    let servers = [tcp(dead.address()), tcp(alive.address())];
    let first = "balance = \"first\"";
    let proxy = Proxy::before_tcp(&servers, "proxy_protocol = \"v1\"", first)
        .start()
        .await;
    let mut client = Client::connect(proxy.address()).await;
    assert!(client.get("/").await.is_good("alive"));
    let head = alive.last().head.to_string();
    assert_eq!(head.matches("PROXY TCP4").count(), 1, "{head}");
    assert!(head.starts_with("PROXY TCP4 127.0.0.1 "), "{head}");
    assert!(head.contains("\r\nGET / HTTP/1.1\r\n"), "{head}");
}
