//! Tunnels: what a connection becomes when client and server have agreed on another protocol by Upgrade.

#[path = "tunnels/ends.rs"]
mod ends;

use std::fs;
use std::time::Duration;

use crate::harness::{
    Authority, Client, Greeting, Proxy, Setup, TempDir, TlsDoor, eventually, within,
};
use ends::{End, SWITCHING, Server};

const LOAD: usize = 16 << 20;

fn site(lines: &str) -> String {
    format!(
        "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n[[site.route]]\npath = \"/chat/*\"\n\
         upgrade = [\"websocket\"]\n{lines}\n"
    )
}

fn before(server: &Server, lines: &str) -> Setup {
    Proxy::before_url(&server.url()).sites(&site(lines))
}

/// Both ends of an open tunnel: the client's and the server's.
async fn open(proxy: &Proxy, server: &mut Server) -> (End, End) {
    let client = End::ask(proxy.address(), "/chat/a", "");
    let (client, server) = tokio::join!(client, server.switch());
    assert_eq!(client.status(), "101", "{}", client.head);
    (client, server)
}

async fn has_ended(proxy: &Proxy, end: &str, count: usize) {
    let label = format!("end=\"{end}\"");
    let ended = async || proxy.metric("copal_tunnels_ended_total", &label).await == count as f64;
    eventually(&format!("{count} tunnels to end as {end}"), ended).await;
    let open = async || proxy.metric("copal_tunnels_open", "").await == 0.0;
    eventually("no tunnel to be open", open).await;
}

#[tokio::test]
async fn a_handshake_passes_untouched() {
    let mut server = Server::start().await;
    let proxy = before(&server, "").start().await;
    let (client, server) = open(&proxy, &mut server).await;
    assert_eq!(server.head.lines().next(), Some("GET /chat/a HTTP/1.1"));
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "chat, superchat"),
        (
            "sec-websocket-extensions",
            "permessage-deflate; client_max_window_bits",
        ),
    ] {
        assert_eq!(server.field(name), Some(value), "{}", server.head);
    }
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("sec-websocket-protocol", "chat"),
        ("content-length", ""),
        ("transfer-encoding", ""),
    ] {
        let expected = Some(value).filter(|it| !it.is_empty());
        assert_eq!(client.field(name), expected, "{}", client.head);
    }
}

#[tokio::test]
async fn bytes_go_both_ways_at_once_and_are_counted() {
    let mut server = Server::start().await;
    let folder = TempDir::new();
    let log = folder.path().join("access.log");
    let table = format!("access = {log:?}\nformat = \"json\"");
    let setup = before(&server, "").table("log", &table);
    let proxy = setup.start_in(folder).await;
    let (client, server) = open(&proxy, &mut server).await;
    let exchanged = async { tokio::join!(client.exchange(LOAD), server.exchange(LOAD)) };
    let (client, server) = tokio::time::timeout(Duration::from_secs(60), exchanged)
        .await
        .expect("all bytes in good time");
    assert_eq!((client, server), ((LOAD, true), (LOAD, true)));
    has_ended(&proxy, "clean", 1).await;
    for direction in ["in", "out"] {
        let label = format!("direction=\"{direction}\"");
        let carried = proxy.metric("copal_tunnel_bytes_total", &label).await;
        assert_eq!(carried, LOAD as f64, "{direction}");
    }
    let mut text = String::new();
    let logged = async || {
        text = fs::read_to_string(&log).unwrap_or_default();
        text.ends_with('\n')
    };
    eventually("a line in the access log", logged).await;
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for (key, value) in [
        ("status", serde_json::json!(101)),
        ("bytes", LOAD.into()),
        ("received", LOAD.into()),
        ("tunnel_end", "clean".into()),
        ("detail", "upgrade".into()),
        ("outcome", "pass".into()),
        ("complete", true.into()),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
}

#[tokio::test]
async fn a_tunnel_goes_over_tls_on_both_sides() {
    let authority = Authority::new();
    let folder = TempDir::new();
    let mut server = Server::start().await;
    let issued = authority.issue(&["localhost"]);
    let door = TlsDoor::before_address(server.address, &issued, &["http/1.1"]).await;
    let ca = authority.write(&folder, "ca.pem");
    let certificate = issued.lines(&folder, "shown");
    let proxy = Proxy::before_url(&format!("https://localhost:{}", door.port()))
        .table("[listen]", "tls = true")
        .table("[certificate]", &certificate)
        .table("origins.main", "http_version = \"auto\"")
        .table("origins.main.tls", &format!("roots = {ca:?}"))
        .sites(&site(""))
        .start()
        .await;
    let greeting = Greeting::to("localhost", &authority).offering(&["http/1.1"]);
    let stream = greeting.shake(proxy.address()).await;
    let client = End::ask_over(stream, "/chat/a", "");
    let (mut client, mut server) = tokio::join!(client, server.switch());
    assert_eq!(client.status(), "101", "{}", client.head);
    client.is_one_with(&mut server).await;
    let exchanged = async { tokio::join!(client.exchange(1 << 20), server.exchange(1 << 20)) };
    let (client, server) = within("a megabyte each way", exchanged).await;
    assert_eq!((client, server), ((1 << 20, true), (1 << 20, true)));
}

#[tokio::test]
async fn the_end_of_one_direction_is_not_that_of_the_other() {
    let mut server = Server::start().await;
    let proxy = before(&server, "").start().await;
    for is_by_client in [true, false] {
        let (mut client, mut server) = open(&proxy, &mut server).await;
        let (first, other) = match is_by_client {
            true => (&mut client, &mut server),
            false => (&mut server, &mut client),
        };
        first.send("the last").await;
        first.half_close().await;
        assert_eq!(other.rest().await, b"the last");
        other.send("and still this").await;
        other.half_close().await;
        assert_eq!(first.rest().await, b"and still this");
    }
    has_ended(&proxy, "clean", 2).await;
}

/// CVE-2025-64763, CVE-2026-2833.
#[tokio::test]
async fn early_bytes_wait_for_the_101_and_are_not_lost() {
    let mut server = Server::start().await;
    let proxy = before(&server, "").start().await;
    let client = End::ask(proxy.address(), "/chat/a", "GET /early HTTP/1.1\r\n\r\n");
    let server = async {
        let mut server = server.next().await;
        assert!(server.is_silent_for(300).await, "bytes before the 101");
        // Bytes of the server's own may come in one piece with its head.
        server.send(format!("{SWITCHING}at once")).await;
        server
    };
    let (mut client, mut server) = tokio::join!(client, server);
    assert_eq!(client.status(), "101");
    server.hears("GET /early HTTP/1.1\r\n\r\n").await;
    client.hears("at once").await;
    client.is_one_with(&mut server).await;
}

#[tokio::test]
async fn a_refusal_is_an_answer_like_any_other() {
    let mut server = Server::start().await;
    let proxy = before(&server, "").start().await;
    for (status, fields) in [
        ("403 No", "content-length: 2\r\n\r\nno"),
        (
            "200 OK",
            "cache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        ),
    ] {
        let client = End::ask(proxy.address(), "/chat/a", "early");
        let server = async {
            let mut server = server.next().await;
            server.send(format!("HTTP/1.1 {status}\r\n{fields}")).await;
            server
        };
        let (mut client, mut server) = tokio::join!(client, server);
        assert_eq!(client.status(), &status[..3]);
        assert_eq!(client.field("connection"), Some("close"), "{}", client.head);
        let body = String::from_utf8(client.rest().await).expect("text");
        assert!(body.contains("no"), "{body}");
        // Nothing of what was sent too early got there.
        server.half_close().await;
        assert_eq!(server.rest().await, b"");
        assert_eq!(server.unread(), b"");
    }
    // It is not stored, though it might have been.
    let client = async {
        let mut client = Client::connect(proxy.address()).await;
        client.get("/chat/a").await
    };
    let answer = async {
        let mut server = server.next().await;
        server
            .send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nnew")
            .await;
    };
    let (answer, ()) = tokio::join!(client, answer);
    assert!(answer.is_good("new"), "{answer:?}");
    assert_eq!(proxy.metric("copal_tunnels_total", "").await, 0.0);
    assert_eq!(proxy.metric("copal_tunnels_open", "").await, 0.0);
}

#[tokio::test]
async fn a_server_switches_only_to_what_was_asked_for() {
    let mut server = Server::start().await;
    let proxy = before(&server, "").start().await;
    for upgrade in ["h2c", "", "websocket, h2c"] {
        let client = End::ask(proxy.address(), "/chat/a", "");
        let answer = async {
            let mut server = server.next().await;
            let head = SWITCHING.replace("Upgrade: websocket", &format!("Upgrade: {upgrade}"));
            server.send(head).await;
        };
        let (client, ()) = tokio::join!(client, answer);
        assert_eq!(client.status(), "502", "{upgrade}: {}", client.head);
    }
}

#[tokio::test]
async fn a_server_that_leaves_without_an_answer_leaves_no_tunnel() {
    let mut server = Server::start().await;
    let proxy = before(&server, "").start().await;
    let leaves = async {
        loop {
            drop(server.next().await);
        }
    };
    let client = tokio::select! {
        client = End::ask(proxy.address(), "/chat/a", "") => client,
        () = leaves => unreachable!("it goes on for ever"),
    };
    assert_eq!(client.status(), "502", "{}", client.head);
    assert_eq!(proxy.metric("copal_tunnels_open", "").await, 0.0);
}

#[tokio::test]
async fn tunnels_end_when_they_are_idle_or_have_lasted_long_enough() {
    let mut server = Server::start().await;
    let setup = before(&server, "tunnel_idle_timeout = \"500ms\"");
    let proxy = setup.start().await;
    let (mut client, mut far) = open(&proxy, &mut server).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        far.send("tick").await;
        client.hears("tick").await;
    }
    assert_eq!((client.rest().await, far.rest().await), (vec![], vec![]));
    has_ended(&proxy, "idle", 1).await;
    proxy
        .reload(&before(&server, "tunnel_lifetime = \"500ms\""))
        .await;
    let (mut client, mut far) = open(&proxy, &mut server).await;
    client.is_one_with(&mut far).await;
    assert_eq!((client.rest().await, far.rest().await), (vec![], vec![]));
    has_ended(&proxy, "lifetime", 1).await;
}

#[tokio::test]
async fn no_reload_ends_a_tunnel() {
    let mut server = Server::start().await;
    let proxy = before(&server, "").start().await;
    let (mut client, mut far) = open(&proxy, &mut server).await;
    let gone = "[[site]]\nhosts = [\"other.test\"]\norigin = \"other\"\n";
    for round in 0..20 {
        let setup = match round % 2 {
            0 => before(&server, "tunnel_idle_timeout = \"1s\""),
            // Neither its site nor its origin is left.
            _ => Proxy::before_url("http://127.0.0.1:1")
                .without("origins.main")
                .table("origins.other", "servers = [\"http://127.0.0.1:1\"]")
                .sites(gone),
        };
        proxy.reload(&setup).await;
        client.is_one_with(&mut far).await;
    }
    assert_eq!(proxy.metric("copal_tunnels_open", "").await, 1.0);
    // Its limits are those that it began under.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    client.is_one_with(&mut far).await;
    drop(client);
    assert_eq!(far.rest().await, b"");
    drop(far);
    has_ended(&proxy, "clean", 1).await;
}

#[tokio::test]
async fn a_drain_ends_tunnels_by_its_deadline() {
    let mut server = Server::start().await;
    let setup = before(&server, "").table("server", "drain_timeout = \"2s\"");
    let mut proxy = setup.start().await;
    let (mut old, mut old_far) = open(&proxy, &mut server).await;
    // One that is asked for before the drain, and granted within.
    let client = End::ask(proxy.address(), "/chat/b", "");
    let late = async {
        let mut late = server.next().await;
        proxy.sigterm();
        proxy.refuses_connections().await;
        late.send(SWITCHING).await;
        late
    };
    let (mut new, mut new_far) = tokio::join!(client, late);
    assert_eq!(new.status(), "101");
    assert_eq!(new.field("connection"), Some("upgrade"), "{}", new.head);
    old.is_one_with(&mut old_far).await;
    new.is_one_with(&mut new_far).await;
    for end in [&mut old, &mut old_far, &mut new, &mut new_far] {
        assert_eq!(end.rest().await, b"");
    }
    assert!(proxy.wait_exit().await.code().is_some());
}

#[tokio::test]
async fn there_are_only_so_many_tunnels() {
    let mut server = Server::start().await;
    let setup = before(&server, "").table("server", "tunnels_max = 1");
    let proxy = setup.start().await;
    let (client, far) = open(&proxy, &mut server).await;
    let refused = End::ask(proxy.address(), "/chat/a", "").await;
    assert_eq!(refused.status(), "503", "{}", refused.head);
    assert!(
        refused.head.contains("detail=tunnels-full"),
        "{}",
        refused.head
    );
    assert_eq!(proxy.metric("copal_tunnels_refused_total", "").await, 1.0);
    drop((client, far));
    has_ended(&proxy, "clean", 1).await;
    let (mut client, mut far) = open(&proxy, &mut server).await;
    client.is_one_with(&mut far).await;
}

#[tokio::test]
async fn a_tunnel_is_one_of_its_servers_connections() {
    let mut server = Server::start().await;
    let setup = before(&server, "concurrency_max = 1");
    let setup = setup.table("origins.main", "connections_max = 1\npending_max = 0");
    let proxy = setup.start().await;
    let (client, far) = open(&proxy, &mut server).await;
    assert_eq!(proxy.metric("copal_origin_connections", "").await, 1.0);
    assert_eq!(proxy.metric("copal_origin_active", "").await, 1.0);
    // By another route, and by its own.
    for (path, detail) in [("/other", "origin-full"), ("/chat/b", "route-full")] {
        let full = proxy.get(path).await;
        assert_eq!(full.status, 503, "{path}: {full:?}");
        assert!(full.says(&format!("detail={detail}")), "{full:?}");
    }
    drop((client, far));
    has_ended(&proxy, "clean", 1).await;
    let free = async || proxy.metric("copal_origin_connections", "").await == 0.0;
    eventually("the connection to be given back", free).await;
    let (mut client, mut far) = open(&proxy, &mut server).await;
    client.is_one_with(&mut far).await;
}

#[tokio::test]
async fn who_takes_nothing_holds_the_other_side_back() {
    let mut server = Server::start().await;
    let proxy = before(&server, "").start().await;
    let (client, far) = open(&proxy, &mut server).await;
    let sending = tokio::spawn(far.exchange(64 << 20));
    let carried = async || {
        let label = "direction=\"out\"";
        proxy.metric("copal_tunnel_bytes_total", label).await
    };
    let mut before = 0.0;
    eventually("the bytes to come to rest", async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = carried().await;
        let rests = now > 0.0 && now == before;
        before = now;
        rests
    })
    .await;
    // What the kernels hold, and two buffers.
    assert!(before < (32 << 20) as f64, "{before}");
    drop(client);
    sending.abort();
}

#[tokio::test]
async fn what_breaks_on_one_side_is_told_to_the_other() {
    let mut server = Server::start().await;
    let proxy = before(&server, "").start().await;
    let stream = tokio::net::TcpStream::connect(proxy.address()).await;
    let stream = stream.expect("a listener");
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .expect("an open socket");
    let client = End::ask_over(stream, "/chat/a", "");
    let (mut client, mut far) = tokio::join!(client, server.switch());
    client.is_one_with(&mut far).await;
    drop(client);
    assert_eq!(far.rest().await, b"");
    has_ended(&proxy, "broken", 1).await;
}

#[tokio::test]
async fn content_or_another_protocol_makes_no_tunnel() {
    let mut server = Server::start().await;
    let proxy = before(&server, "").start().await;
    let rows = [
        // With content Upgrade is ignored, and WebSocket is nothing without it.
        (
            "POST /chat/a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
            "501",
        ),
        (
            "GET /other HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            "501",
        ),
    ];
    for (head, status) in rows {
        let mut client = proxy.client().await;
        client.send(head).await;
        assert_eq!(client.response().await.status.to_string(), status, "{head}");
    }
    let mut client = proxy.client().await;
    client
        .send("GET /chat/a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
        .await;
    let mut plain = server.next().await;
    assert_eq!(plain.field("upgrade"), None, "{}", plain.head);
    plain
        .send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .await;
    assert!(client.response().await.is_good("ok"));
}
