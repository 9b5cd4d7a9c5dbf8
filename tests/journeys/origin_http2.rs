//! Servers that are spoken to in HTTP/2: many requests over one connection, and what is lost when a
//! stream, or the connection, ends before its time.

mod agreement;

use h2::Reason;
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{
    Client, Exchange, Gate, Http2, Http2Origin, NO_STORE, Proxy, Setup, eventually, within,
};

/// `http_version = "2"`, and more lines of the origin's table.
fn before(origin: &Http2Origin, lines: &str) -> Setup {
    let lines = format!("http_version = \"2\"\n{lines}");
    Proxy::before_url(&origin.url()).table("origins.main", &lines)
}

/// An origin that answers with the path, and holds requests for `/held…` at the gate first.
async fn holding(gate: &Gate, streams_max: u32) -> Http2Origin {
    let gate = gate.clone();
    Http2Origin::start_with(streams_max, async move |request, exchange| {
        if request.uri().path().starts_with("/held") {
            gate.pass().await;
        }
        answer(request, exchange).await;
    })
    .await
}

async fn answer(request: &Request<()>, exchange: &mut Exchange) {
    let path = request.uri().path().to_owned();
    exchange.respond(200, NO_STORE, path).await;
}

/// So many clients, each of which has sent a request for a path of its own.
async fn ask_all(proxy: &Proxy, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for number in 0..count {
        let mut client = proxy.client().await;
        client.request("GET", &format!("/held/{number}"), &[]).await;
        clients.push(client);
    }
    clients
}

async fn pending(proxy: &Proxy) -> f64 {
    proxy.metric("copal_origin_pending", "main").await
}

async fn all_are_answered(clients: Vec<Client>) {
    for (number, mut client) in clients.into_iter().enumerate() {
        let response = client.response().await;
        assert!(response.is_good(&format!("/held/{number}")), "{response:?}");
    }
}

// --- connections ---------------------------------------------------------------------------------

#[tokio::test]
async fn many_requests_share_one_connection() {
    let gate = Gate::new();
    let origin = holding(&gate, 1000).await;
    let proxy = before(&origin, "").start().await;
    let clients = ask_all(&proxy, 60).await;
    gate.arrived(60).await;
    assert_eq!(origin.connections(), 1);
    assert_eq!(proxy.metric("copal_origin_active", "main").await, 60.0);
    gate.open();
    all_are_answered(clients).await;
    assert_eq!(proxy.metric("copal_origin_connections", "main").await, 1.0);
    assert_eq!(
        proxy.metric("copal_origin_connects_total", "main").await,
        1.0
    );
    assert_eq!(
        proxy.metric("copal_origin_reused_total", "main").await,
        59.0
    );
}

#[tokio::test]
async fn a_further_connection_is_opened_when_all_streams_are_taken() {
    // By the server's word, or by ours.
    for (streams_max, lines) in [(4, ""), (1000, "streams_max = 4")] {
        let gate = Gate::new();
        let origin = holding(&gate, streams_max).await;
        let proxy = before(&origin, lines).start().await;
        let clients = ask_all(&proxy, 10).await;
        gate.arrived(10).await;
        let connections = origin.connections();
        assert!((3..=4).contains(&connections), "{connections} of {lines:?}");
        gate.open();
        all_are_answered(clients).await;
    }
}

/// Beyond the last stream of the last connection there is no room, and requests wait for some. How
/// many streams the server allows is not known before it has said so.
#[tokio::test]
async fn connections_are_bounded() {
    let gate = Gate::new();
    let origin = holding(&gate, 2).await;
    let lines = "connections_max = 1\npending_timeout = \"30s\"";
    let proxy = before(&origin, lines).start().await;
    let clients = ask_all(&proxy, 20).await;
    gate.arrived(2).await;
    // Two more had been let in before it was known, and are next.
    eventually("the others to wait", async || pending(&proxy).await >= 16.0).await;
    gate.open();
    all_are_answered(clients).await;
    assert_eq!((origin.connections(), pending(&proxy).await), (1, 0.0));
    assert_eq!(proxy.metric("copal_origin_active", "main").await, 0.0);
}

/// However few streams a connection has, there may be many connections.
#[tokio::test]
async fn many_who_come_at_once_find_as_many_connections_as_they_need() {
    let gate = Gate::new();
    let origin = holding(&gate, 4).await;
    let proxy = before(&origin, "").start().await;
    let clients = ask_all(&proxy, 100).await;
    gate.arrived(100).await;
    gate.open();
    all_are_answered(clients).await;
}

/// Who comes while the only connection is opened ahead waits for that.
#[tokio::test]
async fn a_connection_that_is_opened_ahead_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let lines = "http_version = \"2\"\nidle_min = 1\nconnections_max = 1";
    let proxy = Proxy::before_url(&url).table("origins.main", lines);
    let proxy = proxy.start().await;
    let (stream, _) = within("a connection", listener.accept()).await.unwrap();
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    let active = async || proxy.metric("copal_origin_active", "main").await == 1.0;
    eventually("the request to be let in", active).await;
    let mut server = Frames::greet(stream).await;
    let stream = server.request().await;
    server.answer(stream).await;
    assert_eq!(client.response().await.status, 204);
}

#[tokio::test]
async fn a_server_that_goes_away_is_missed_by_nobody() {
    let (leave, end) = (Gate::new(), Gate::new());
    let (leaving, ending) = (leave.clone(), end.clone());
    let origin = Http2Origin::start(async move |request, exchange| {
        if request.uri().path() == "/held/0" {
            leaving.pass().await;
            exchange.go_away();
            ending.pass().await;
        }
        answer(request, exchange).await;
    })
    .await;
    let proxy = before(&origin, "").start().await;
    let clients = ask_all(&proxy, 1).await;
    leave.arrived(1).await;
    leave.open();
    // The old connection ends its stream; all others go over a new one.
    for number in 0..20 {
        let path = format!("/{number}");
        let response = proxy.get(&path).await;
        assert!(response.is_good(&path), "{response:?}");
    }
    end.open();
    all_are_answered(clients).await;
    assert_eq!(origin.connections(), 2);
}

/// A server, frame by frame: no library would send this.
struct Frames(TcpStream);

impl Frames {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = within("a connection", listener.accept())
            .await
            .expect("a client");
        Self::greet(stream).await
    }

    async fn greet(stream: TcpStream) -> Self {
        let mut frames = Self(stream);
        let mut preface = [0; 24];
        within("a preface", frames.0.read_exact(&mut preface))
            .await
            .expect("bytes");
        frames.send(4, 0, 0, &[]).await;
        frames
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).expect("a short payload");
        let head = [0, 0, length, kind, flags, 0, 0, 0, stream];
        let frame = [&head, payload].concat();
        self.0.write_all(&frame).await.expect("a connection");
    }

    /// Reads until a request has come, and gives the number of its stream.
    async fn request(&mut self) -> u8 {
        loop {
            let mut head = [0; 9];
            within("a frame", self.0.read_exact(&mut head))
                .await
                .expect("bytes");
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            within("a payload", self.0.read_exact(&mut payload))
                .await
                .expect("bytes");
            if head[3] == 1 {
                return head[8];
            }
        }
    }

    /// 204 in one byte of HPACK, and the end of the stream.
    async fn answer(&mut self, stream: u8) {
        self.send(1, 5, stream, &[0x89]).await;
    }
}

/// RFC 9113 §8.7: what is above the last stream of a GOAWAY was not processed.
#[tokio::test]
async fn what_a_server_has_not_processed_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let proxy = Proxy::before_url(&url).table("origins.main", "http_version = \"2\"");
    let proxy = proxy.start().await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    let mut first = Frames::accept(&listener).await;
    let stream = first.request().await;
    // Last-Stream-ID 0, NO_ERROR.
    first.send(7, 0, 0, &[0; 8]).await;
    let mut second = Frames::accept(&listener).await;
    assert_eq!((stream, second.request().await), (1, 1));
    second.answer(1).await;
    assert_eq!(client.response().await.status, 204);
}

/// A connection that had been good and dies on use is replaced for what may be sent again.
#[tokio::test]
async fn a_get_on_a_dying_connection_is_tried_once_more() {
    let origin = Http2Origin::start(async |request, exchange| match exchange.served {
        0 => answer(request, exchange).await,
        _ => exchange.close().await,
    })
    .await;
    let proxy = before(&origin, "").start().await;
    for path in ["/a", "/b", "/c"] {
        let response = proxy.get(path).await;
        assert!(response.is_good(path), "{response:?}");
    }
    assert_eq!((origin.requests().len(), origin.connections()), (5, 3));
    let mut client = proxy.client().await;
    let response = client.send_body("POST", "/d", "text").await;
    assert_eq!(response.status, 502, "{response:?}");
    assert_eq!(origin.requests().len(), 6);
}

// --- streams -------------------------------------------------------------------------------------

#[tokio::test]
async fn a_refused_stream_is_tried_again() {
    let origin = Http2Origin::start(async |request, exchange| {
        match (request.uri().path(), exchange.served) {
            ("/refused", 1) => exchange.reset(Reason::REFUSED_STREAM),
            _ => answer(request, exchange).await,
        }
    })
    .await;
    let proxy = before(&origin, "").start().await;
    assert!(proxy.get("/first").await.is_good("/first"));
    let response = proxy.get("/refused").await;
    assert!(response.is_good("/refused"), "{response:?}");
    assert_eq!((origin.requests().len(), origin.connections()), (3, 1));
}

/// However many there are, others do not suffer.
#[tokio::test]
async fn a_stream_that_is_reset_is_one_failure_and_no_more() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Http2Origin::start(async move |request, exchange| match request.uri().path() {
        "/held/0" => {
            exchange.begin(200, NO_STORE);
            assert!(exchange.data("/held").await);
            held.pass().await;
            exchange.data("/0").await;
            exchange.end();
        }
        "/cut" => {
            exchange.begin(200, NO_STORE);
            assert!(exchange.data("half").await);
            exchange.reset(Reason::INTERNAL_ERROR);
        }
        // hyper takes it for an end.
        "/cut-without-error" => {
            exchange.begin(200, NO_STORE);
            assert!(exchange.data("half").await);
            exchange.reset(Reason::NO_ERROR);
        }
        _ => exchange.reset(Reason::INTERNAL_ERROR),
    })
    .await;
    let proxy = before(&origin, "").start().await;
    let clients = ask_all(&proxy, 1).await;
    gate.arrived(1).await;
    let mut posting = proxy.client().await;
    let response = posting.send_body("POST", "/reset", "text").await;
    assert_eq!(response.status, 502, "{response:?}");
    assert!(response.says("detail=origin-reset"), "{response:?}");
    for path in ["/cut", "/cut-without-error"] {
        assert!(proxy.get(path).await.is_broken(), "{path}");
    }
    gate.open();
    all_are_answered(clients).await;
    assert_eq!((origin.requests().len(), origin.connections()), (4, 1));
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_stream_and_no_more() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Http2Origin::start(async move |request, exchange| {
        if request.uri().path() == "/left" {
            exchange.begin(200, NO_STORE);
            assert!(exchange.data("piece").await);
            assert_eq!(exchange.reset_by_client().await, Some(Reason::CANCEL));
            held.pass().await;
            return;
        }
        answer(request, exchange).await;
    })
    .await;
    let proxy = before(&origin, "").start().await;
    let mut client = proxy.client().await;
    client.request("GET", "/left", &[]).await;
    client.head().await;
    client.reset();
    gate.arrived(1).await;
    assert!(proxy.get("/a").await.is_good("/a"));
    assert_eq!(origin.connections(), 1);
    gate.open();
}

/// RFC 9113 §5.2: each stream has a window of its own, and that of the connection has room for all.
#[tokio::test]
async fn who_does_not_read_stalls_nobody() {
    const MUCH: usize = 64 << 20;
    let origin = Http2Origin::start(async move |request, exchange| {
        if request.uri().path().starts_with("/held") {
            exchange.begin(200, NO_STORE);
            exchange.data(vec![b'x'; MUCH]).await;
            return;
        }
        answer(request, exchange).await;
    })
    .await;
    let proxy = before(&origin, "streams_max = 40").start().await;
    let mut idle = Vec::new();
    for number in 0..30 {
        let mut client = Client::connect_narrow(proxy.address()).await;
        client.request("GET", &format!("/held/{number}"), &[]).await;
        client.head().await;
        idle.push(client);
    }
    let mut client = proxy.client().await;
    for number in 0..20 {
        let path = format!("/{number}");
        let response = client.get(&path).await;
        assert!(response.is_good(&path), "{response:?}");
    }
    assert_eq!(origin.connections(), 1);
}

/// A server that does not read one upload takes the others.
#[tokio::test]
async fn an_upload_goes_as_its_server_reads_it() {
    let origin = Http2Origin::start(async |_, exchange| {
        let (body, _) = exchange.request_body().await;
        exchange
            .respond(200, NO_STORE, body.len().to_string())
            .await;
    })
    .await;
    let proxy = before(&origin, "").start().await;
    let text = "x".repeat(1 << 20);
    let response = proxy.client().await.send_body("PUT", "/a", &text).await;
    assert!(response.is_good(&text.len().to_string()), "{response:?}");
    let seen = origin.requests().pop().expect("a request");
    assert_eq!(seen.headers().get("content-length").unwrap(), "1048576");
}

/// What ends an upload is told by its status, as it is with HTTP/1.1.
#[tokio::test]
async fn an_upload_that_stops_is_the_clients_fault() {
    let origin = Http2Origin::start(async |_, exchange| {
        exchange.request_body().await;
    })
    .await;
    let proxy = before(&origin, "").table("server", "body_timeout = \"200ms\"");
    let proxy = proxy.start().await;
    let mut client = proxy.client().await;
    client
        .request("POST", "/a", &[("content-length", "9")])
        .await;
    client.send("text").await;
    let response = client.response().await;
    assert_eq!(response.status, 408, "{response:?}");
}

#[tokio::test]
async fn a_server_that_is_silent_is_given_up() {
    let gate = Gate::new();
    let origin = holding(&gate, 1000).await;
    let proxy = before(&origin, "first_byte_timeout = \"200ms\"")
        .start()
        .await;
    assert_eq!(proxy.get("/held").await.status, 504);
    assert!(proxy.get("/a").await.is_good("/a"));
    assert_eq!(origin.connections(), 1);
    gate.open();
}

// --- messages ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_request_is_said_in_the_words_of_http2() {
    let origin = Http2Origin::start(answer).await;
    let proxy = before(&origin, "").start().await;
    let fields = [
        ("connection", "keep-alive, x-hop"),
        ("keep-alive", "timeout=5"),
        ("x-hop", "1"),
        ("te", "gzip, trailers"),
        ("x-end", "1"),
    ];
    let response = proxy.get_with("/a?b=c", &fields).await;
    assert!(response.is_good("/a"), "{response:?}");
    assert_eq!(response.field("via"), Some("2.0 copal"));
    let seen = origin.requests().pop().expect("a request");
    assert_eq!(seen.uri().to_string(), "http://example.test/a?b=c");
    assert_eq!(seen.headers().get("x-end").unwrap(), "1");
    for name in ["host", "connection", "keep-alive", "x-hop"] {
        assert!(!seen.headers().contains_key(name), "{name}: {seen:?}");
    }
}

/// RFC 9113 §8.2.3: crumbs are one cookie to whom it matters, on either side.
#[tokio::test]
async fn crumbs_of_a_cookie_are_joined() {
    let origin = Http2Origin::start(answer).await;
    let proxy = before(&origin, "").start().await;
    let mut client = Http2::connect(proxy.address()).await;
    let crumbs = [("cookie", "a=1"), ("cookie", "b=2")];
    let response = client.get_with("/a", &crumbs).await;
    assert_eq!(response.status(), 200);
    let seen = origin.requests().pop().expect("a request");
    let cookies: Vec<_> = seen.headers().get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2"]);
}

#[tokio::test]
async fn what_http2_brings_is_stored_as_any_other() {
    let origin = Http2Origin::start(async |_, exchange| {
        let fresh = [("cache-control", "max-age=60"), ("content-length", "4")];
        exchange.respond(200, &fresh, "page").await;
    })
    .await;
    let proxy = before(&origin, "").start().await;
    let clients = proxy.herd(20, "/a").await;
    for mut client in clients {
        assert!(client.response().await.is_good("page"));
    }
    assert!(proxy.get("/a").await.is_hit());
    assert_eq!(origin.requests().len(), 1);
}

/// Probes speak as requests do, or a server that knows nothing else would be down.
#[tokio::test]
async fn probes_speak_http2_as_well() {
    let origin = Http2Origin::start(async |request, exchange| match request.uri().path() {
        "/health" => exchange.respond_empty(204, &[]),
        _ => answer(request, exchange).await,
    })
    .await;
    let health = "health = { path = \"/health\", status = \"204\", interval = \"50ms\" }";
    let proxy = before(&origin, health).start().await;
    let path = |request: &Request<()>| request.uri().path().to_owned();
    let probed = async || {
        origin
            .requests()
            .iter()
            .filter(|it| path(it) == "/health")
            .count()
            > 2
    };
    eventually("some probes", probed).await;
    assert_eq!(proxy.metric("copal_origin_up", "main").await, 1.0);
    assert_eq!(
        proxy
            .metric("copal_origin_probe_failures_total", "main")
            .await,
        0.0
    );
    assert!(proxy.get("/a").await.is_good("/a"));
}
