//! Streams of HTTP/2 clients, seen frame by frame: interim responses, uploads, priorities, windows, what
//! makes a request, and how a connection is left.

use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;

use crate::harness::frames::{
    self, ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE,
    NO_ERROR, PING, PRIORITY_UPDATE, PROTOCOL_ERROR, RST_STREAM, WINDOW_UPDATE,
};
use crate::harness::{
    FRESH, Fields, Frames, Gate, NO_STORE, Origin, Proxy, eventually, holding, settled, within,
};

const CANCEL: u32 = 8;
const LARGE: usize = 4 << 20;

/// A window that no test fills.
const WIDE: u32 = 1 << 30;

fn widen(stream: u32, more: u32) -> Vec<u8> {
    frames::frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

async fn is_answered(proxy: &Proxy) {
    let page = proxy.get("/page").await;
    assert!(page.is_good("hello"), "{page:?}");
}

/// An origin with a small page, and a large one that may be kept.
fn pages() -> Origin {
    Origin::start(async |request, connection| match &*request.path {
        "/page" => connection.respond(200, FRESH, "hello").await,
        "/large" => connection.respond(200, FRESH, vec![b'x'; LARGE]).await,
        _ => {
            connection.request_body().await;
            connection.respond(200, NO_STORE, "hello").await;
        }
    })
}

#[tokio::test]
async fn hints_of_the_origin_reach_clients_of_http2() {
    let origin = Origin::start(async |_, connection| {
        let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";
        connection.send(hints).await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    client.get(1, "/a").await;
    assert_eq!(client.status(1).await, Some(103));
    assert_eq!(client.status(1).await, Some(200));
    assert_eq!(client.reset(1).await, None);
    client.get(3, "/a").await;
    let head = client.find(|it| it.kind == HEADERS && it.stream == 3).await;
    assert_eq!(head.expect("a hit").status(), 200, "a hit has no hints");
}

/// RFC 9110 §10.1.1: leave is given as soon as somebody wants the body, and not before.
#[tokio::test]
async fn leave_is_given_to_send_a_body() {
    let gate = Gate::new();
    let origin = {
        let gate = gate.clone();
        Origin::start(async move |_, connection| {
            let (body, _) = connection.request_body().await;
            gate.pass().await;
            connection.respond(200, NO_STORE, body).await;
        })
    };
    gate.open();
    let proxy = Proxy::before(&origin)
        .table("server", "body_bytes_max = \"1KiB\"")
        .start()
        .await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    let fields = [("expect", "100-continue"), ("content-length", "5")];
    client.send(&frames::post(1, "/a", &fields)).await;
    assert_eq!(client.status(1).await, Some(100));
    client.send_frame(DATA, END_STREAM, 1, b"hello").await;
    assert_eq!(client.status(1).await, Some(200));
    assert_eq!(client.reset(1).await, None);

    let fields = [("expect", "100-continue"), ("content-length", "5000")];
    client.send(&frames::post(3, "/a", &fields)).await;
    assert_eq!(client.status(3).await, Some(413));
    // Who gets no leave sends nothing, and is not waited for.
    let reset = client
        .find(|it| it.kind == RST_STREAM)
        .await
        .expect("a reset");
    assert_eq!((reset.stream, reset.code(0)), (3, NO_ERROR));
}

/// An answer that comes before the end of its upload is not cut off from it: curl 7.88 takes a reset
/// amidst its upload for a failure, whatever its code (RFC 9113 §8.1).
#[tokio::test]
async fn an_early_answer_is_read_by_who_is_still_sending() {
    let origin = pages();
    let proxy = Proxy::before(&origin)
        .table("server", "body_bytes_max = \"1KiB\"")
        .start()
        .await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    client.send(&frames::post(1, "/a", &[])).await;
    let piece = frames::frame(DATA, 0, 1, &[b'x'; 16_000]);
    client.send(&piece).await;
    assert_eq!(client.status(1).await, Some(413));
    assert_eq!(client.reset(1).await, None);
    // More than the stream's window has room for: it is given back all the time.
    for _ in 0..40 {
        client.send(&piece).await;
        client.send_frame(PING, 0, 0, &[0; 8]).await;
        let answer = client
            .find(|it| it.kind == PING || it.kind == RST_STREAM)
            .await;
        assert_eq!(answer.expect("an answer").kind, PING, "it was reset");
    }
    client.send_frame(DATA, END_STREAM, 1, b"x").await;
    client.get(3, "/page").await;
    assert_eq!(client.status(3).await, Some(200));
    assert_eq!(client.reset(3).await, None);

    // Who falls silent is not heard out for ever.
    client.send(&frames::post(5, "/a", &[])).await;
    client
        .send(&frames::frame(DATA, 0, 5, &[b'x'; 16_000]))
        .await;
    let reset = client
        .find(|it| it.kind == RST_STREAM)
        .await
        .expect("a reset");
    assert_eq!((reset.stream, reset.code(0)), (5, NO_ERROR));
}

async fn h2_client(proxy: &Proxy) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(proxy.address())
        .await
        .expect("a listener");
    let (sender, connection) = h2::client::handshake(stream).await.expect("a handshake");
    tokio::spawn(connection);
    sender.ready().await.expect("room for a stream")
}

/// However small its pieces, a body is held back by its window and by nothing else.
#[tokio::test]
async fn many_small_frames_are_a_body_like_any_other() {
    for size in [10, 40, 100] {
        let gate = Gate::new();
        let origin = {
            let gate = gate.clone();
            Origin::start(async move |_, connection| {
                gate.pass().await;
                let (body, _) = connection.request_body().await;
                let length = body.len().to_string();
                connection.respond(200, NO_STORE, length).await;
            })
        };
        let proxy = Proxy::start(&origin).await;
        let mut sender = h2_client(&proxy).await;
        let request = Request::post("http://example.test/a").body(());
        let (answer, mut upload) = sender
            .send_request(request.expect("a request"), false)
            .expect("a stream");
        gate.arrived(1).await;
        let piece = Bytes::from(vec![b'x'; size]);
        for number in 0..12_000 {
            // As much as the window has room for comes before anybody reads.
            if number == 1000 {
                gate.open();
            }
            upload.reserve_capacity(size);
            while upload.capacity() < size {
                let room = std::future::poll_fn(|cx| upload.poll_capacity(cx));
                within("room for a piece", room)
                    .await
                    .expect("a stream")
                    .expect("room");
            }
            upload
                .send_data(piece.clone(), number == 11_999)
                .expect("a stream");
        }
        let (head, mut body) = within("an answer", answer)
            .await
            .expect("an answer")
            .into_parts();
        assert_eq!(head.status, 200, "{size}");
        let text = within("a body", body.data())
            .await
            .expect("bytes")
            .expect("bytes");
        assert_eq!(text, (12_000 * size).to_string());
    }
}

/// A reader that stops is given up alone.
#[tokio::test]
async fn a_stalled_stream_is_reset_and_its_neighbours_go_on() {
    let origin = pages();
    let proxy = Proxy::before(&origin)
        .table("server", "send_timeout = \"1s\"")
        .start()
        .await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    client.send(&widen(0, WIDE)).await;
    client.get(1, "/large").await;
    assert_eq!(client.status(1).await, Some(200));
    let mut stream = 3;
    let reset = loop {
        client.get(stream, "/page").await;
        let ended = |it: &frames::Frame| {
            it.kind == RST_STREAM || it.stream == stream && it.flags & END_STREAM != 0
        };
        let frame = client.find(ended).await.expect("a connection that goes on");
        if frame.kind == RST_STREAM {
            break frame;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream += 2;
    };
    assert_eq!((reset.stream, reset.code(0)), (1, CANCEL));
    client.get(stream + 2, "/page").await;
    assert_eq!(client.reset(stream + 2).await, None);
    assert!(proxy.metric("copal_http2_stalled_total", "").await >= 1.0);
}

/// RFC 9218 §10: the urgent first, and nobody never.
#[tokio::test]
async fn urgent_responses_go_first_and_none_starves() {
    let origin = pages();
    let proxy = Proxy::start(&origin).await;
    assert_eq!(proxy.get("/large").await.body.len(), LARGE);
    for update in [false, true] {
        let mut client = Frames::connect(proxy.address(), &[(INITIAL_WINDOW_SIZE, WIDE)]).await;
        let urgency = |urgency| [("priority", urgency)];
        client
            .send(&frames::get_with(1, "/large", &urgency("u=7")))
            .await;
        // What the connection's window has room for goes out before there is a choice.
        let mut filled = 0;
        while filled < 65_535 {
            let data = client.find(|it| it.kind == DATA).await.expect("bytes");
            filled += data.payload.len();
        }
        if update {
            client
                .send(&frames::get_with(3, "/large", &urgency("u=7")))
                .await;
            client
                .send_frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x03u=1")
                .await;
        } else {
            client
                .send(&frames::get_with(3, "/large", &urgency("u=1")))
                .await;
        }
        assert_eq!(client.status(3).await, Some(200));
        let mut bytes = [0, 0];
        while bytes[0] + bytes[1] < 1 << 20 {
            client.send(&widen(0, 64 << 10)).await;
            let data = client.find(|it| it.kind == DATA).await.expect("bytes");
            bytes[usize::from(data.stream == 3)] += data.payload.len();
        }
        let [low, high] = bytes;
        assert!(low > 0 && high > 4 * low, "{update}: {low} {high}");
    }
}

/// RFC 9113 §8.2.3: browsers send each cookie by itself.
#[tokio::test]
async fn crumbs_of_cookies_are_one_field() {
    let origin = pages();
    let proxy = Proxy::start(&origin).await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    let crumbs: Vec<String> = (0..120).map(|it| format!("c{it}={it}")).collect();
    let fields: Vec<_> = crumbs.iter().map(|it| ("cookie", &**it)).collect();
    client.send(&frames::get_with(1, "/page", &fields)).await;
    assert_eq!(client.status(1).await, Some(200));
    assert_eq!(origin.last().field("cookie"), Some(&*crumbs.join("; ")));
    let count = origin.requests().len();
    let many = vec![("cookie", "a=b"); 10_000];
    let block = frames::block(&[&frames::pseudo("GET", "/page")[..], &many].concat());
    let mut pieces = block.chunks(16_000);
    let first = pieces.next().expect("a block");
    client.send_frame(HEADERS, END_STREAM, 3, first).await;
    for piece in pieces {
        let is_last = piece.len() < 16_000;
        let flags = if is_last { END_HEADERS } else { 0 };
        client.send_frame(CONTINUATION, flags, 3, piece).await;
    }
    assert_eq!(client.end().await, Some(frames::ENHANCE_YOUR_CALM));
    assert_eq!(origin.requests().len(), count);
}

/// RFC 9113 §8.2.1, §8.3.1: what is not a request, or may be taken for several, reaches no origin.
#[tokio::test]
async fn requests_that_are_not_clear_are_refused() {
    let origin = pages();
    let proxy = Proxy::start(&origin).await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    let none: Vec<(&str, &str)> = vec![(":method", "GET"), (":scheme", "http"), (":path", "/page")];
    let with = |fields: Fields<'static>| [&frames::pseudo("GET", "/page"), fields].concat();
    let host = [&none[..], &[("host", "example.test")]].concat();
    let mut stream = 1;
    for (what, fields, status) in [
        ("no authority", none, 400),
        ("only a Host", host, 200),
        ("another Host", with(&[("host", "b.test")]), 400),
        ("the same Host", with(&[("host", "EXAMPLE.test:80")]), 200),
        ("a space before", with(&[("x", " a")]), 400),
        ("a tab behind", with(&[("x", "a\t")]), 400),
        ("neither", with(&[("x", "a b")]), 200),
    ] {
        let block = frames::block(&fields);
        client
            .send_frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
            .await;
        let head = client
            .find(|it| it.kind == HEADERS && it.stream == stream)
            .await;
        // The second 400 is known to the table of both ends.
        let payload = head.expect("a head").payload;
        let found = if payload[0] == 0x8c { 400 } else { 200 };
        assert_eq!(found, status, "{what}");
        stream += 2;
    }
}

/// RFC 9113 §8.1: "Pseudo-header fields MUST NOT appear in a trailer section."
#[tokio::test]
async fn malformed_trailers_are_refused() {
    let origin = Origin::start(async |_, connection| {
        connection.request_body().await;
        connection.respond(200, NO_STORE, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    let flags = END_HEADERS | END_STREAM;
    for (stream, trailers, expected) in [
        (1, &[("x", "1")][..], None),
        (3, &[(":path", "/b")], Some(PROTOCOL_ERROR)),
        (5, &[("x", "1 ")], Some(PROTOCOL_ERROR)),
    ] {
        client.send(&frames::post(stream, "/a", &[])).await;
        client.send_frame(DATA, 0, stream, b"hello").await;
        client
            .send_frame(HEADERS, flags, stream, &frames::block(trailers))
            .await;
        assert_eq!(client.reset(stream).await, expected, "{trailers:?}");
    }
}

/// RFC 9113 §6.8: a GOAWAY that leaves room for what is under way, and one that says how far it came.
#[tokio::test]
async fn a_drain_says_goodbye_in_two_steps() {
    let gate = Gate::new();
    let origin = holding(&gate, NO_STORE);
    let mut proxy = Proxy::start(&origin).await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    client.get(1, "/a").await;
    gate.arrived(1).await;
    proxy.sigterm();
    let goaway = |it: &frames::Frame| it.kind == GOAWAY;
    let first = client.find(goaway).await.expect("a warning");
    assert_eq!((first.code(0), first.code(4)), (0x7fff_ffff, NO_ERROR));
    let ping = client.find(|it| it.kind == PING).await.expect("a ping");
    // What was on its way is served.
    client.get(3, "/a").await;
    client.send_frame(PING, ACK, 0, &ping.payload).await;
    let second = client.find(goaway).await.expect("a goodbye");
    assert_eq!((second.code(0), second.code(4)), (3, NO_ERROR));
    gate.open();
    let mut open = vec![1, 3];
    while !open.is_empty() {
        let frame = client.next().await.expect("both answers");
        assert_ne!(frame.kind, RST_STREAM);
        open.retain(|it| *it != frame.stream || frame.flags & END_STREAM == 0);
    }
    assert_eq!(client.end().await.unwrap_or(NO_ERROR), NO_ERROR);
    assert!(proxy.wait_exit().await.success());
}

/// An origin is read no faster than its client reads, however many streams it has.
#[tokio::test]
async fn a_client_that_reads_nothing_is_sent_little() {
    const EACH: usize = 8 << 20;
    let origin = Origin::start(async |_, connection| {
        connection.respond(200, NO_STORE, vec![b'x'; EACH]).await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = Frames::connect(proxy.address(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    client.send(&widen(0, WIDE)).await;
    for stream in 0..20 {
        client.get(2 * stream + 1, &format!("/{stream}")).await;
    }
    eventually("all requests at the origin", async || {
        origin.requests().len() == 20
    })
    .await;
    let before = proxy.rss_bytes();
    let sent = settled("the origin", || origin.sent_bytes()).await;
    // The kernel's buffers between the two are a few MiB for each.
    assert!(sent < 20 * EACH as u64, "{sent}");
    let grown = proxy.rss_bytes().saturating_sub(before) >> 20;
    assert!(grown < 48, "{grown} MiB");
    is_answered(&Proxy::start(&pages()).await).await;
}

/// A key of `[server.http2]` holds for connections that are accepted after it.
#[tokio::test]
async fn streams_and_windows_are_configured() {
    let origin = pages();
    let keys = "http2 = { streams_max = 7, stream_window = \"32KiB\", connection_window = \"64KiB\", \
                header_table = \"1KiB\", header_list_bytes_max = \"9KiB\" }";
    let proxy = Proxy::before(&origin).table("server", keys).start().await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    let settings = client.next().await.expect("SETTINGS");
    let pairs: Vec<(u16, u32)> = settings
        .payload
        .chunks(6)
        .map(|it| {
            let value = it[2..].try_into().expect("four bytes");
            (
                u16::from_be_bytes([it[0], it[1]]),
                u32::from_be_bytes(value),
            )
        })
        .collect();
    for expected in [(1, 1 << 10), (3, 7), (4, 32 << 10), (6, 9 << 10)] {
        assert!(pairs.contains(&expected), "{expected:?}: {pairs:?}");
    }
}
