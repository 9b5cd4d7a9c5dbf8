//! TCP listeners: bytes both ways between clients and servers, whatever they speak.

use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::harness::{
    DEADLINE, Origin, Proxy, Reserved, TempDir, command, eventually, noise, within,
};

// --- who is there --------------------------------------------------------------------------------

/// A server that says its name and then sends back what it gets, until its client has said all.
struct Echo {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Echo {
    async fn named(name: &'static str) -> Self {
        let listener = listener().await;
        let address = address_of(&listener);
        let task = tokio::spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                clients.spawn(async move {
                    let (mut from, mut to) = client.split();
                    to.write_all(name.as_bytes()).await.ok();
                    copy(&mut from, &mut to).await.ok();
                });
            }
        });
        Self { address, task }
    }

    fn url(&self) -> String {
        format!("tcp://{}", self.address)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}

fn address_of(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a bound socket")
}

/// A TCP listener before one server of the test's own.
async fn before_one(server: &TcpListener, listen: &str) -> Proxy {
    let url = format!("tcp://{}", address_of(server));
    Proxy::before_tcp(&[url], listen, "").start().await
}

async fn connect(proxy: &Proxy) -> TcpStream {
    let stream = within("a connection", TcpStream::connect(proxy.address())).await;
    stream.expect("a listener that accepts")
}

async fn accept(server: &TcpListener) -> TcpStream {
    let accepted = within("the proxy to connect", server.accept()).await;
    accepted.expect("a connection").0
}

/// A client and the server's end of its connection.
async fn pair(proxy: &Proxy, server: &TcpListener) -> (TcpStream, TcpStream) {
    (connect(proxy).await, accept(server).await)
}

async fn send(stream: &mut TcpStream, bytes: &[u8]) {
    let sent = within("our bytes to be taken", stream.write_all(bytes)).await;
    sent.expect("an open connection");
}

async fn receive(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let read = within("bytes", stream.read_exact(&mut bytes)).await;
    read.expect("an open connection");
    bytes
}

/// What comes until the end; `None` if the connection is reset.
async fn until_end(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = within("the end", stream.read_to_end(&mut bytes)).await;
    read.ok().map(|_| bytes)
}

async fn half_close(stream: &mut TcpStream) {
    stream.shutdown().await.expect("an open connection");
}

/// The name that the server of a new connection says.
async fn name(proxy: &Proxy) -> String {
    let bytes = receive(&mut connect(proxy).await, 3).await;
    String::from_utf8(bytes).expect("a name")
}

// --- bytes ---------------------------------------------------------------------------------------

#[tokio::test]
async fn bytes_go_both_ways_and_each_half_ends_by_itself() {
    let server = listener().await;
    let proxy = before_one(&server, "").await;
    for client_first in [true, false] {
        let (mut client, mut far) = pair(&proxy, &server).await;
        send(&mut client, b"to the server").await;
        assert_eq!(receive(&mut far, 13).await, b"to the server");
        send(&mut far, b"to the client").await;
        assert_eq!(receive(&mut client, 13).await, b"to the client");
        let (one, other) = match client_first {
            true => (&mut client, &mut far),
            false => (&mut far, &mut client),
        };
        half_close(one).await;
        assert_eq!(until_end(other).await.as_deref(), Some(&b""[..]));
        // The other half is still open.
        send(other, b"and then").await;
        assert_eq!(receive(one, 8).await, b"and then");
        half_close(other).await;
        assert_eq!(until_end(one).await.as_deref(), Some(&b""[..]));
    }
}

#[tokio::test]
async fn what_is_reset_on_one_side_is_reset_on_the_other() {
    let server = listener().await;
    let proxy = before_one(&server, "").await;
    for client_first in [true, false] {
        let (mut client, mut far) = pair(&proxy, &server).await;
        send(&mut client, b"half a mess").await;
        receive(&mut far, 11).await;
        let (one, mut other) = match client_first {
            true => (client, far),
            false => (far, client),
        };
        one.set_zero_linger().expect("an open connection");
        drop(one);
        assert_eq!(until_end(&mut other).await, None);
    }
    let broken = async || proxy.metric("copal_tcp_errors_total", "broken").await == 2.0;
    eventually("both to be counted", broken).await;
}

/// Sends all of `bytes` and, at the same time, reads to the end.
async fn exchange(stream: TcpStream, bytes: Vec<u8>) -> Vec<u8> {
    let (mut from, mut to) = stream.into_split();
    let mut received = Vec::with_capacity(bytes.len());
    let sending = tokio::spawn(async move {
        to.write_all(&bytes).await.expect("an open connection");
        to.shutdown().await.expect("an open connection");
    });
    from.read_to_end(&mut received).await.expect("a clean end");
    sending.await.expect("a task that ends");
    received
}

#[tokio::test]
async fn much_goes_both_ways_at_once_and_is_counted() {
    const LENGTH: usize = 32 << 20;
    let server = listener().await;
    let proxy = before_one(&server, "").await;
    let (client, far) = pair(&proxy, &server).await;
    let (up, down) = (noise(1, LENGTH), noise(2, LENGTH));
    let far = tokio::spawn(exchange(far, down.clone()));
    let near = tokio::spawn(exchange(client, up.clone()));
    // A debug build before a busy machine.
    let both = tokio::time::timeout(6 * DEADLINE, async { (far.await, near.await) });
    let (far, near) = both.await.expect("all bytes in time");
    // Not assert_eq: it would print them.
    assert!(far.expect("a server") == up && near.expect("a client") == down);
    for direction in ["\"in\"", "\"out\""] {
        let bytes = proxy.metric("copal_tcp_bytes_total", direction).await;
        assert_eq!(bytes, LENGTH as f64, "{direction}");
    }
}

#[tokio::test]
async fn a_hundred_connections_at_once() {
    let echo = Echo::named("one").await;
    let proxy = Proxy::before_tcp(&[echo.url()], "", "").start().await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(connect(&proxy).await);
    }
    for client in &mut clients {
        assert_eq!(receive(client, 3).await, b"one");
    }
    assert_eq!(proxy.metric("copal_tcp_connections_open", "").await, 100.0);
    assert_eq!(proxy.metric("copal_origin_active", "pool").await, 100.0);
    for (number, client) in clients.iter_mut().enumerate() {
        let text = number.to_string();
        send(client, text.as_bytes()).await;
        half_close(client).await;
        assert_eq!(until_end(client).await.as_deref(), Some(text.as_bytes()));
    }
    let closed = async || proxy.metric("copal_tcp_connections_open", "").await == 0.0;
    eventually("all to be closed", closed).await;
    assert_eq!(proxy.metric("copal_tcp_connections_total", "").await, 100.0);
    assert_eq!(proxy.metric("copal_tcp_errors_total", "").await, 0.0);
}

// --- servers -------------------------------------------------------------------------------------

#[tokio::test]
async fn connections_are_balanced() {
    let (one, two) = (Echo::named("one").await, Echo::named("two").await);
    let servers = [one.url(), two.url()];
    let proxy = Proxy::before_tcp(&servers, "", "balance = \"round-robin\"")
        .start()
        .await;
    let mut names = Vec::new();
    for _ in 0..10 {
        names.push(name(&proxy).await);
    }
    assert_eq!(
        names.iter().filter(|it| *it == "one").count(),
        5,
        "{names:?}"
    );
    assert_eq!(
        names.iter().filter(|it| *it == "two").count(),
        5,
        "{names:?}"
    );
}

#[tokio::test]
async fn open_connections_count_as_load() {
    let (one, two) = (Echo::named("one").await, Echo::named("two").await);
    let servers = [one.url(), two.url()];
    let proxy = Proxy::before_tcp(&servers, "", "balance = \"least-requests\"")
        .start()
        .await;
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut client = connect(&proxy).await;
        receive(&mut client, 3).await;
        held.push(client);
    }
    for server in servers {
        let label = server.trim_start_matches("tcp://");
        assert_eq!(proxy.metric("copal_origin_active", label).await, 5.0);
    }
}

#[tokio::test]
async fn a_client_keeps_its_server_by_its_address() {
    let (one, two) = (Echo::named("one").await, Echo::named("two").await);
    let servers = [one.url(), two.url()];
    let proxy = Proxy::before_tcp(&servers, "", "balance = \"ip-hash\"")
        .start()
        .await;
    let first = name(&proxy).await;
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut client = connect(&proxy).await;
        assert_eq!(receive(&mut client, 3).await, first.as_bytes());
        held.push(client);
    }
}

#[tokio::test]
async fn a_dead_server_is_passed_over_and_then_ejected() {
    let (dead, alive) = (Reserved::new(), Echo::named("one").await);
    let servers = [format!("tcp://{}", dead.address()), alive.url()];
    let proxy = Proxy::before_tcp(&servers, "", "balance = \"round-robin\"")
        .start()
        .await;
    for _ in 0..20 {
        assert_eq!(name(&proxy).await, "one");
    }
    let label = dead.address().to_string();
    assert_eq!(proxy.metric("copal_origin_errors_total", &label).await, 5.0);
    assert_eq!(
        proxy.metric("copal_origin_ejected_total", &label).await,
        1.0
    );
    assert_eq!(proxy.metric("copal_tcp_errors_total", "").await, 0.0);
}

#[tokio::test]
async fn without_a_server_the_connection_is_reset() {
    let dead = Reserved::new();
    let url = format!("tcp://{}", dead.address());
    let proxy = Proxy::before_tcp(&[url], "", "").start().await;
    // The reset may come before we see that the connection was made.
    let end = match within("a connection", TcpStream::connect(proxy.address())).await {
        Ok(mut client) => until_end(&mut client).await,
        Err(_) => None,
    };
    assert_eq!(end, None);
    let counted = async || proxy.metric("copal_tcp_errors_total", "no-server").await == 1.0;
    eventually("it to be counted", counted).await;
}

#[tokio::test]
async fn a_server_that_fails_its_probes_gets_none() {
    let (dead, alive) = (Reserved::new(), Echo::named("one").await);
    let servers = [format!("tcp://{}", dead.address()), alive.url()];
    let lines = "balance = \"first\"\nhealth = { kind = \"tcp\", interval = \"50ms\" }";
    let proxy = Proxy::before_tcp(&servers, "", lines).start().await;
    let label = dead.address().to_string();
    let down = async || proxy.metric("copal_origin_up", &label).await == 0.0;
    eventually("the dead server to be known", down).await;
    let before = proxy.metric("copal_origin_errors_total", &label).await;
    assert_eq!(name(&proxy).await, "one");
    assert_eq!(
        proxy.metric("copal_origin_errors_total", &label).await,
        before
    );
}

// --- time ----------------------------------------------------------------------------------------

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = listener().await;
    let proxy = before_one(&server, "idle_timeout = \"900ms\"").await;
    let (mut client, mut far) = pair(&proxy, &server).await;
    let began = Instant::now();
    // Bytes of either direction keep it.
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        send(&mut far, b"x").await;
        receive(&mut client, 1).await;
    }
    assert_eq!(until_end(&mut client).await.as_deref(), Some(&b""[..]));
    assert_eq!(until_end(&mut far).await.as_deref(), Some(&b""[..]));
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(2090) && took < DEADLINE / 2,
        "{took:?}"
    );
    assert_eq!(proxy.metric("copal_tcp_errors_total", "idle").await, 1.0);
}

#[tokio::test]
async fn a_drain_lets_connections_end() {
    let server = listener().await;
    let mut proxy = before_one(&server, "").await;
    let (mut client, mut far) = pair(&proxy, &server).await;
    proxy.sigterm();
    // Not by connecting, for a connection that came before the order would be one to wait for.
    let drains = async || proxy.admin().await.get("/readyz").await.status == 503;
    eventually("the drain to begin", drains).await;
    send(&mut client, b"still").await;
    assert_eq!(receive(&mut far, 5).await, b"still");
    half_close(&mut far).await;
    half_close(&mut client).await;
    assert_eq!(until_end(&mut client).await.as_deref(), Some(&b""[..]));
    assert_eq!(proxy.wait_exit().await.code(), Some(0));
}

#[tokio::test]
async fn what_a_drain_cuts_does_not_look_whole() {
    let server = listener().await;
    let url = format!("tcp://{}", address_of(&server));
    let setup = Proxy::before_tcp(&[url], "", "").table("server", "drain_timeout = \"200ms\"");
    let mut proxy = setup.start().await;
    let (mut client, mut far) = pair(&proxy, &server).await;
    send(&mut client, b"half").await;
    receive(&mut far, 4).await;
    proxy.sigterm();
    assert_eq!(until_end(&mut client).await, None);
    assert_eq!(until_end(&mut far).await, None);
    assert_eq!(proxy.wait_exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_reload_keeps_open_connections() {
    let (one, two) = (Echo::named("one").await, Echo::named("two").await);
    let proxy = Proxy::before_tcp(&[one.url()], "", "").start().await;
    let mut client = connect(&proxy).await;
    assert_eq!(receive(&mut client, 3).await, b"one");
    proxy.configure(&Proxy::before_tcp(&[two.url()], "", ""));
    proxy.sighup();
    eventually("new connections to go elsewhere", async || {
        name(&proxy).await == "two"
    })
    .await;
    send(&mut client, b"still here").await;
    assert_eq!(receive(&mut client, 10).await, b"still here");
}

// --- the PROXY protocol --------------------------------------------------------------------------

/// A header of version 2 for 192.0.2.1:258 to 192.0.2.2:772.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x01\x02\x03\x04";
const V1: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 258 772\r\n";

#[tokio::test]
async fn servers_are_told_who_the_client_is() {
    let server = listener().await;
    let proxy = before_one(&server, "proxy_protocol = \"v1\"").await;
    let (mut client, mut far) = pair(&proxy, &server).await;
    let (from, to) = (
        client.local_addr().expect("bound").port(),
        proxy.address().port(),
    );
    let header = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {from} {to}\r\n");
    send(&mut client, b"hello").await;
    let expected = header + "hello";
    assert_eq!(receive(&mut far, expected.len()).await, expected.as_bytes());
}

#[tokio::test]
async fn what_a_proxy_before_us_tells_is_told_on() {
    let server = listener().await;
    for (version, told) in [("v1", V1), ("v2", V2)] {
        let lines = format!("accept_proxy = true\nproxy_protocol = \"{version}\"");
        let proxy = before_one(&server, &lines).await;
        for header in [V1, V2] {
            let mut client = connect(&proxy).await;
            // In two parts, as networks may.
            send(&mut client, &header[..13]).await;
            send(&mut client, &[&header[13..], b"hello"].concat()).await;
            let mut far = accept(&server).await;
            let expected = [told, b"hello"].concat();
            assert_eq!(
                receive(&mut far, expected.len()).await,
                expected,
                "{version}"
            );
        }
    }
}

#[tokio::test]
async fn a_connection_without_its_header_is_closed() {
    let server = listener().await;
    let url = format!("tcp://{}", address_of(&server));
    let setup = Proxy::before_tcp(&[url], "accept_proxy = true", "");
    let proxy = setup
        .table("server", "header_timeout = \"200ms\"")
        .start()
        .await;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"PROXY TCP4 ",
        b"",
    ] {
        let mut client = connect(&proxy).await;
        send(&mut client, bytes).await;
        let got = until_end(&mut client).await.unwrap_or_default();
        assert_eq!(got, b"");
    }
    assert_eq!(
        proxy.metric("copal_tcp_errors_total", "bad-header").await,
        3.0
    );
    assert_eq!(
        proxy.metric("copal_origin_connects_total", "pool").await,
        0.0
    );
}

#[tokio::test]
async fn http_listeners_take_the_header_too() {
    let origin = Origin::answering(200, &[], "hello");
    let setup = Proxy::before(&origin).table("[listen]", "accept_proxy = true");
    let proxy = setup.start().await;
    for header in [V1, V2] {
        let mut client = proxy.client().await;
        client.send(header).await;
        assert!(client.get("/a").await.is_good("hello"));
        assert_eq!(
            origin.last().head.field("x-forwarded-for"),
            Some("192.0.2.1")
        );
        // Once for a connection, not once for a request.
        assert!(client.get("/b").await.is_good("hello"));
    }
    let mut bare = proxy.client().await;
    bare.request("GET", "/c", &[]).await;
    assert!(bare.try_response().await.is_none());
}

// --- without a file ------------------------------------------------------------------------------

#[tokio::test]
async fn the_command_prints_its_port_and_balances() {
    let (one, two) = (Echo::named("one").await, Echo::named("two").await);
    let (a, b) = (one.address.to_string(), two.address.to_string());
    let mut proxy = Proxy::tcp(&["127.0.0.1:0", &a, &b]).await;
    let line = format!("listening tcp {}", proxy.address());
    assert_eq!(proxy.stdout(), [line]);
    let mut client = connect(&proxy).await;
    let name = receive(&mut client, 3).await;
    assert!([&b"one"[..], b"two"].contains(&&name[..]), "{name:?}");
    drop(client);
    proxy.sigterm();
    assert_eq!(proxy.wait_exit().await.code(), Some(0));
}

#[tokio::test]
async fn bad_arguments_are_told() {
    let taken = listener().await;
    let taken = address_of(&taken).to_string();
    let folder = TempDir::new();
    for (arguments, code, said) in [
        (&["tcp", "here", "a:80"][..], 2, "LISTEN: "),
        (&["tcp", "127.0.0.1:0", "a"], 2, "BACKEND: has no port"),
        (&["tcp", "127.0.0.1:0"], 2, "<BACKEND>"),
        (&["tcp", &taken, "a:80"], 1, "cannot listen on"),
    ] {
        let output = command(arguments, folder.path()).await;
        let text = String::from_utf8_lossy(&output.stderr);
        let status: ExitStatus = output.status;
        assert_eq!(status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
}
