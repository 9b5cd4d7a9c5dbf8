//! Servers that are told by the PROXY protocol whose each connection is.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::harness::{Client, Proxy, Setup, eventually, within};

/// A server that answers with the header of its connection, in hexadecimal digits if it is binary,
/// and with how many requests came on it before.
struct Introduced {
    url: String,
    _serving: JoinSet<()>,
}

impl Introduced {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream));
            }
        });
        Self {
            url,
            _serving: serving,
        }
    }

    fn before(&self, lines: &str) -> Setup {
        Proxy::before_url(&self.url).table("origins.main", lines)
    }
}

async fn serve(mut stream: TcpStream) {
    let header = header(&mut stream).await;
    for served in 0.. {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else {
                return;
            };
            head.push(byte);
        }
        let body = format!("{header} #{served}");
        let fields = format!("cache-control: no-store\r\ncontent-length: {}", body.len());
        let response = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}");
        stream.write_all(response.as_bytes()).await.ok();
    }
}

async fn header(stream: &mut TcpStream) -> String {
    let mut header = vec![0; 12];
    stream.read_exact(&mut header).await.expect("a header");
    if header == b"\r\n\r\n\0\r\nQUIT\n" {
        let mut rest = [0; 4];
        stream.read_exact(&mut rest).await.expect("a head");
        let mut addresses = vec![0; usize::from(rest[3])];
        stream.read_exact(&mut addresses).await.expect("addresses");
        let bytes = rest.iter().chain(&addresses);
        return bytes.map(|byte| format!("{byte:02x}")).collect();
    }
    while !header.ends_with(b"\r\n") {
        header.push(stream.read_u8().await.expect("a line"));
    }
    String::from_utf8(header)
        .expect("text")
        .trim_end()
        .to_owned()
}

#[tokio::test]
async fn a_server_hears_whose_a_connection_is() {
    let server = Introduced::start().await;
    for (version, begins) in [
        ("v1", "PROXY TCP4 127.0.0.7 127.0.0.1 "),
        // PROXY, TCP over IPv4, 12 bytes.
        ("v2", "2111000c7f0000077f000001"),
    ] {
        let lines = format!("proxy_protocol = \"{version}\"");
        let proxy = server.before(&lines).start().await;
        let mut client = Client::connect_from([127, 0, 0, 7], proxy.address()).await;
        let response = client.get("/a").await.text();
        assert!(response.starts_with(begins), "{response}");
        assert!(response.ends_with(" #0"), "{response}");
    }
}

/// What a server was told of a connection must be true of all that comes on it.
#[tokio::test]
async fn a_connection_is_its_clients_alone() {
    let server = Introduced::start().await;
    let proxy = server.before("proxy_protocol = \"v1\"").start().await;
    let mut one = Client::connect_from([127, 0, 0, 7], proxy.address()).await;
    let mut two = Client::connect_from([127, 0, 0, 8], proxy.address()).await;
    let mut same = Client::connect_from([127, 0, 0, 7], proxy.address()).await;
    let mut seen = Vec::new();
    for round in 0..3 {
        for client in [&mut one, &mut two, &mut same] {
            let text = client.get("/a").await.text();
            let (header, served) = text.split_once(" #").expect("a number");
            assert_eq!(served, round.to_string(), "it is used again: {text}");
            seen.push(header.to_owned());
        }
    }
    assert!(seen[0].contains(" 127.0.0.7 ") && seen[1].contains(" 127.0.0.8 "));
    assert_ne!(seen[0], seen[2], "another connection of the same client");
    for headers in seen.chunks(3).skip(1) {
        assert_eq!(headers, &seen[..3]);
    }
    assert_eq!(
        proxy.metric("copal_origin_connects_total", "main").await,
        3.0
    );
}

/// Connections that wait for clients who may never come back are no reason to refuse others.
#[tokio::test]
async fn idle_connections_of_some_make_room_for_others() {
    let server = Introduced::start().await;
    let lines = "proxy_protocol = \"v1\"\nconnections_max = 2";
    let proxy = server.before(lines).start().await;
    let mut clients = Vec::new();
    for last in 1..=5 {
        let mut client = Client::connect_from([127, 0, 0, last], proxy.address()).await;
        let response = client.get("/a").await;
        assert!(response.text().ends_with(" #0"), "{response:?}");
        clients.push(client);
    }
    // The freshest two are kept.
    for (client, served) in clients.iter_mut().zip([0, 0, 0, 1, 1]).rev() {
        let response = client.get("/a").await;
        assert!(
            response.text().ends_with(&format!(" #{served}")),
            "{response:?}"
        );
    }
}

#[tokio::test]
async fn what_is_told_to_us_is_told_on() {
    let server = Introduced::start().await;
    let setup = server.before("proxy_protocol = \"v1\"");
    let proxy = setup.table("[listen]", "accept_proxy = true").start().await;
    let mut client = proxy.client().await;
    let told = "PROXY TCP4 192.0.2.1 192.0.2.9 56324 443";
    client.send(format!("{told}\r\n")).await;
    let response = client.get("/a").await;
    assert!(response.is_good(&format!("{told} #0")), "{response:?}");
}

/// A probe is nobody's request but ours.
#[tokio::test]
async fn probes_say_that_they_are_ours() {
    for (version, told) in [("v1", "PROXY UNKNOWN #0"), ("v2", "20000000 #0")] {
        let server = Introduced::start().await;
        let health = format!("health = {{ body = \"{told}\", interval = \"50ms\", fall = 1 }}");
        let lines = format!("proxy_protocol = \"{version}\"\n{health}");
        let proxy = server.before(&lines).start().await;
        assert_eq!(within("an answer", proxy.get("/a")).await.status, 200);
        let requests = async || proxy.metric("copal_origin_up", "main").await == 1.0;
        eventually("a good probe", requests).await;
        assert_eq!(
            proxy
                .metric("copal_origin_probe_failures_total", "main")
                .await,
            0.0
        );
    }
}
