//! Hostile clients of HTTP/2: each is gone before it costs much, for a reason that is counted, and others
//! are served meanwhile. tests/outside/http2_hostile.py does the same at length and looks at memory.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::harness::frames::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS,
    INITIAL_WINDOW_SIZE, PADDED, PING, PREFACE, PRIORITY, PRIORITY_UPDATE, PROTOCOL_ERROR,
    RST_STREAM, SETTINGS, SETTINGS_TIMEOUT, WINDOW_UPDATE, block, frame, get, post, pseudo,
    settings_frame,
};
use crate::harness::{
    Authority, FRESH, Frames, Gate, Greeting, NO_STORE, Origin, Proxy, Setup, TempDir, eventually,
};

const CANCEL: u32 = 8;

/// A page for bystanders, a large one, and what takes its time.
fn origin() -> Origin {
    Origin::start(async |request, connection| match &*request.path {
        "/page" => connection.respond(200, FRESH, "hello").await,
        "/large" => connection.respond(200, FRESH, vec![b'x'; 1 << 20]).await,
        "/slow" => {
            sleep(Duration::from_millis(300)).await;
            connection.respond(200, NO_STORE, "hello").await;
        }
        _ => {
            connection.request_body().await;
            connection.respond(200, NO_STORE, "hello").await;
        }
    })
}

/// How often a connection was cut for this reason.
async fn cut(proxy: &Proxy, why: &str) -> f64 {
    proxy
        .metric("copal_http2_cut_total", &format!("why=\"{why}\""))
        .await
}

/// Repeats a frame until the proxy has enough, and hears why. A bystander is served meanwhile.
async fn flood(
    proxy: &Proxy,
    client: &mut Frames,
    mut next: impl FnMut(u32) -> Vec<u8>,
) -> Option<u32> {
    for batch in 0..40 {
        let bytes: Vec<u8> = (0..100).flat_map(|it| next(batch * 100 + it)).collect();
        if !client.try_send(&bytes).await {
            break;
        }
        if batch == 1 {
            assert!(proxy.get("/page").await.is_good("hello"));
        }
    }
    client.end().await
}

#[tokio::test]
async fn floods_of_frames_are_cut_and_counted_by_kind() {
    let origin = origin();
    let proxy = Proxy::start(&origin).await;
    type Flood = (&'static str, fn(u32) -> Vec<u8>);
    let floods: [Flood; 12] = [
        ("settings", |_| settings_frame(&[])),
        ("settings", |it| settings_frame(&[(1, it % 2 * 4096)])),
        ("settings", |it| {
            settings_frame(&[(INITIAL_WINDOW_SIZE, it % 2 * 65_535)])
        }),
        ("pings", |_| frame(PING, 0, 0, &[0; 8])),
        ("priorities", |it| {
            frame(PRIORITY, 0, 2 * it + 1, &[0, 0, 0, 0, 15])
        }),
        ("priorities", |_| {
            frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1")
        }),
        ("window-updates", |_| {
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])
        }),
        ("unknown", |_| frame(0x42, 0, 0, b"x")),
        ("goaways", |_| frame(GOAWAY, 0, 0, &[0; 8])),
        ("empty-data", |_| frame(DATA, 0, 1, b"")),
        ("padding", |_| {
            frame(DATA, PADDED, 1, &[&[255, b'x'][..], &[0; 255]].concat())
        }),
        ("resets", |it| {
            [
                get(2 * it + 3, "/page"),
                frame(RST_STREAM, 0, 2 * it + 3, &[0, 0, 0, 8]),
            ]
            .concat()
        }),
    ];
    for (number, (why, next)) in floods.into_iter().enumerate() {
        let before = cut(&proxy, why).await;
        let mut client = Frames::connect(proxy.address(), &[]).await;
        client.send(&post(1, "/upload", &[])).await;
        let code = flood(&proxy, &mut client, next).await;
        assert_eq!(code, Some(ENHANCE_YOUR_CALM), "{number}: {why}");
        assert_eq!(cut(&proxy, why).await, before + 1.0, "{number}: {why}");
    }
    proxy.says("an HTTP/2 connection was cut").await;
}

/// What the origin sees of clients that take their requests back.
#[tokio::test]
async fn who_takes_requests_back_in_pace_is_gone_soon() {
    let origin = origin();
    let proxy = Proxy::start(&origin).await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    let mut next = 1;
    'pace: loop {
        let streams: Vec<u32> = (0..20).map(|it| next + 2 * it).collect();
        next += 40;
        let requests: Vec<u8> = streams.iter().flat_map(|it| get(*it, "/slow")).collect();
        client.send(&requests).await;
        // Seen by h2 and by the pipeline before they are taken back.
        client.send_frame(PING, 0, 0, &[0; 8]).await;
        loop {
            match client.next().await {
                Some(it) if it.kind == PING => break,
                Some(it) if it.kind != GOAWAY => {}
                _ => break 'pace,
            }
        }
        for stream in streams {
            client
                .send_frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])
                .await;
        }
        assert!(next < 2000, "it goes on");
    }
    assert!(origin.requests().len() < 400, "{}", origin.requests().len());
    assert_eq!(cut(&proxy, "resets").await, 1.0);
}

/// A browser that leaves a page takes back much at once, and gets all that it asks for afterwards.
#[tokio::test]
async fn who_takes_requests_back_now_and_then_is_served() {
    let origin = origin();
    let proxy = Proxy::start(&origin).await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    for round in 0..8 {
        let first = round * 1000 + 1;
        for number in 0..60 {
            client.get(first + 2 * number, "/slow").await;
        }
        for number in 0..60 {
            client
                .send_frame(RST_STREAM, 0, first + 2 * number, &[0, 0, 0, 8])
                .await;
        }
        for number in 60..140 {
            let stream = first + 2 * number;
            client.get(stream, "/page").await;
            assert_eq!(client.reset(stream).await, None);
        }
    }
}

/// CVE-2025-8671: streams that the server is made to reset.
#[tokio::test]
async fn who_has_us_reset_streams_is_cut() {
    let origin = origin();
    let proxy = Proxy::start(&origin).await;
    let update = |stream, more: u32| frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes());
    let data = |stream| frame(DATA, END_STREAM, stream, b"more than was said");
    let length = [("content-length", "1")];
    for kind in 0..3 {
        let before = cut(&proxy, "provoked-resets").await;
        let mut client = Frames::connect(proxy.address(), &[]).await;
        let code = flood(&proxy, &mut client, |it| {
            let stream = 2 * it + 1;
            match kind {
                0 => [get(stream, "/slow"), update(stream, 0)].concat(),
                1 => [get(stream, "/slow"), update(stream, i32::MAX as u32)].concat(),
                _ => [post(stream, "/slow", &length), data(stream)].concat(),
            }
        })
        .await;
        // A window that grows by nothing ends the connection as soon as it is seen.
        let expected = [PROTOCOL_ERROR, ENHANCE_YOUR_CALM, ENHANCE_YOUR_CALM][kind];
        assert_eq!(code, Some(expected), "{kind}");
        let counted = cut(&proxy, "provoked-resets").await - before;
        assert_eq!(counted, if kind == 0 { 0.0 } else { 1.0 }, "{kind}");
    }
    let count = origin.requests().len();
    assert!(count < 3 * 1200, "{count}");
}

/// CVE-2024-27316, and what has no end in time.
#[tokio::test]
async fn heads_without_end_are_cut() {
    let origin = origin();
    let proxy = Proxy::before(&origin)
        .table("server", "header_timeout = \"1s\"")
        .start()
        .await;
    let open = [&pseudo("GET", "/page")[..], &[("x", "y")]].concat();
    let open = frame(HEADERS, END_STREAM, 1, &block(&open));
    let long = "x".repeat(1000);
    for fields in [block(&[("x", &long)]), Vec::new()] {
        let mut client = Frames::connect(proxy.address(), &[]).await;
        client.send(&open).await;
        let code = flood(&proxy, &mut client, |_| frame(CONTINUATION, 0, 1, &fields)).await;
        assert_eq!(code, Some(ENHANCE_YOUR_CALM), "{}", fields.len());
    }
    let timeouts = cut(&proxy, "header-timeout").await;
    let mut silent = Frames::connect(proxy.address(), &[]).await;
    silent.send(&open).await;
    let mut dripping = Frames::connect(proxy.address(), &[]).await;
    dripping.send(&open).await;
    let drip = async {
        while dripping.send_frame(CONTINUATION, 0, 1, b"").await {
            sleep(Duration::from_millis(400)).await;
        }
        dripping.end().await
    };
    let (silent, _) = tokio::join!(silent.end(), drip);
    assert_eq!(silent, Some(ENHANCE_YOUR_CALM));
    let both = async || cut(&proxy, "header-timeout").await == timeouts + 2.0;
    eventually("both to be cut", both).await;
}

#[tokio::test]
async fn who_does_not_set_up_the_connection_is_cut() {
    let origin = origin();
    let proxy = Proxy::before(&origin)
        .table("server", "header_timeout = \"1s\"")
        .start()
        .await;
    let settings = settings_frame(&[]);
    let unacknowledged = [PREFACE, &settings, &get(1, "/page")].concat();
    for (what, bytes, expected) in [
        ("half a preface", &PREFACE[..12], None),
        ("no SETTINGS", PREFACE, Some(SETTINGS_TIMEOUT)),
        (
            "half a SETTINGS",
            &[PREFACE, &settings[..5]].concat(),
            Some(SETTINGS_TIMEOUT),
        ),
        (
            "no acknowledgement",
            &unacknowledged,
            Some(SETTINGS_TIMEOUT),
        ),
    ] {
        let start = Instant::now();
        let mut client = Frames::silent(proxy.address()).await;
        client.send(bytes).await;
        assert_eq!(client.end().await, expected, "{what}");
        assert!(start.elapsed() > Duration::from_millis(900), "{what}");
    }
}

/// A head that is small on its way and large when it is read.
#[tokio::test]
async fn bombs_of_fields_are_refused() {
    let origin = origin();
    let proxy = Proxy::start(&origin).await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    // A field of 4,000 bytes goes into the table, and is referred to a thousand times.
    let large = "x".repeat(4000 - 32 - 1);
    let mut fields = block(&pseudo("GET", "/page"));
    fields.extend(b"\x40\x01y\x7f\x80\x1e");
    assert_eq!(large.len(), 0x7f + (0x1e << 7));
    fields.extend(large.bytes());
    fields.extend([0xbe; 1000]);
    client
        .send_frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields)
        .await;
    assert_eq!(client.end().await, Some(ENHANCE_YOUR_CALM));
    assert!(origin.requests().is_empty());
    assert_eq!(cut(&proxy, "header-list").await, 1.0);
}

/// Streams without a window are given up one by one; the connection is of use to others.
#[tokio::test]
async fn windows_of_nothing_are_given_up() {
    let origin = origin();
    let proxy = Proxy::before(&origin)
        .table("server", "send_timeout = \"1s\"")
        .start()
        .await;
    proxy.get("/large").await;
    let mut client = Frames::connect(proxy.address(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    for number in 0..100 {
        client.get(2 * number + 1, "/large").await;
    }
    let mut resets = 0;
    while resets < 100 {
        let reset = client
            .find(|it| it.kind == RST_STREAM)
            .await
            .expect("a reset");
        assert_eq!(reset.code(0), CANCEL);
        resets += 1;
    }
    client
        .send(&settings_frame(&[(INITIAL_WINDOW_SIZE, 65_535)]))
        .await;
    client.get(201, "/page").await;
    assert_eq!(client.reset(201).await, None);
}

/// Uploads that never come have their deadline, and do not hold their streams for ever.
#[tokio::test]
async fn uploads_that_never_come_are_answered() {
    let origin = origin();
    let proxy = Proxy::before(&origin)
        .table("server", "body_timeout = \"1s\"")
        .start()
        .await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    for number in 0..100 {
        client.send(&post(2 * number + 1, "/upload", &[])).await;
    }
    let mut ended = 0;
    while ended < 100 {
        let frame = client.next().await.expect("an answer");
        ended += usize::from(frame.kind == RST_STREAM);
    }
    client.get(201, "/page").await;
    assert_eq!(client.reset(201).await, None);
}

/// More requests than may be at once are refused, and the others answered.
#[tokio::test]
async fn a_thousand_requests_at_once_are_served_as_far_as_may_be() {
    let gate = Gate::new();
    let origin = {
        let gate = gate.clone();
        Origin::start(async move |_, connection| {
            gate.pass().await;
            connection.respond(200, NO_STORE, "hello").await;
        })
    };
    let proxy = Proxy::start(&origin).await;
    let mut client = Frames::connect(proxy.address(), &[]).await;
    let all: Vec<u8> = (0..1000)
        .flat_map(|it| get(2 * it + 1, &format!("/{it}")))
        .collect();
    client.send(&all).await;
    let (mut refused, mut answered) = (0, 0);
    while refused + answered < 1000 {
        if refused == 900 {
            gate.open();
        }
        let frame = client.next().await.expect("a connection that goes on");
        refused += usize::from(frame.kind == RST_STREAM);
        answered += usize::from(frame.kind == DATA && frame.flags & END_STREAM != 0);
    }
    assert_eq!((refused, answered), (900, 100));
    assert_eq!(origin.requests().len(), 100);
}

/// The same over TLS, where records are what is read and written.
#[tokio::test]
async fn floods_over_tls_are_cut_too() {
    let (origin, authority, folder) = (origin(), Authority::new(), TempDir::new());
    let issued = authority.issue(&["example.test"]);
    let setup: Setup = Proxy::before(&origin);
    let sites = format!(
        "[[certificate]]\n{}\n[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n",
        issued.lines(&folder, "a")
    );
    let proxy = setup
        .table(
            "[listen]",
            "tls = true\n[[listen]]\naddress = \"127.0.0.1:0\"",
        )
        .sites(&sites)
        .start()
        .await;
    let greeting = Greeting::to("example.test", &authority).offering(&["h2"]);
    let secure = proxy.announces("https", 1).await;
    for kind in [PING, SETTINGS] {
        let mut client = Frames::over(greeting.shake(secure).await);
        client.set_up(&[]).await;
        let payload: &[u8] = if kind == PING { &[0; 8] } else { &[] };
        for _ in 0..40 {
            if !client
                .try_send(&frame(kind, 0, 0, payload).repeat(100))
                .await
            {
                break;
            }
        }
        assert_eq!(client.end().await, Some(ENHANCE_YOUR_CALM), "{kind}");
    }
    let mut client = Frames::over(greeting.shake(secure).await);
    client.set_up(&[]).await;
    client.send(&frames::get(1, "/page")).await;
    assert_eq!(client.reset(1).await, None);
}
