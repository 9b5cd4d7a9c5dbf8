//! What is said before the answer: 1xx from the origin to the client that waits (RFC 9110 §15.2,
//! RFC 8297). They are nothing but passed on: never stored, never shared.

use std::time::Duration;

use crate::harness::{Client, End, FRESH, Fields, Gate, Http2, Origin, PRIVATE, Proxy, responses};

const HINT: &str = "</a.css>; rel=preload; as=style";
const HINTS: Fields<'static> = &[("link", HINT), ("x-early", "yes")];

/// As many as may go to one client for one request.
const FORWARDED_MAX: usize = 8;

/// An origin that gives hints at once, and the answer when the gate opens.
fn hinting(gate: &Gate, fields: Fields<'static>) -> Origin {
    let gate = gate.clone();
    Origin::start(async move |_, connection| {
        connection.begin(103, HINTS).await;
        gate.pass().await;
        connection.respond(200, fields, "hello").await;
    })
}

/// An origin that answers with hints and the response in one piece.
fn hasty() -> Origin {
    Origin::start(async |request, connection| {
        let path = &request.path;
        let response = format!(
            "HTTP/1.1 103 Early Hints\r\nlink: {path}\r\n\r\n\
             HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 5\r\n\r\nhello"
        );
        connection.send(response).await;
    })
}

/// The statuses of all heads up to the final one, whose body is read and must be good.
async fn statuses(client: &mut Client) -> Vec<u16> {
    let mut all = Vec::new();
    loop {
        let head = client.any_head().await.expect("a head");
        all.push(head.status());
        if head.status() >= 200 {
            assert_eq!(client.rest().await, (b"hello".to_vec(), End::Clean));
            return all;
        }
    }
}

#[tokio::test]
async fn hints_arrive_while_the_origin_still_holds_its_answer() {
    for (method, fields) in [("GET", FRESH), ("GET", PRIVATE), ("DELETE", FRESH)] {
        let gate = Gate::new();
        let origin = hinting(&gate, fields);
        let proxy = Proxy::start(&origin).await;
        let mut client = proxy.client().await;
        client.request(method, "/a", &[]).await;
        let hints = client.any_head().await.expect("hints");
        assert_eq!(hints.start_line(), "HTTP/1.1 103 Early Hints", "{method}");
        assert_eq!(hints.field("link"), Some(HINT));
        gate.open();
        let response = client.response().await;
        assert!(response.is_good("hello"), "{response:?}");
        assert_eq!(response.field("link"), None, "{method}: {}", response.head);
    }
}

/// RFC 8297 §2: hints speak of this moment, and of them nothing is kept.
#[tokio::test]
async fn hints_are_not_stored() {
    let origin = hasty();
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    assert_eq!(statuses(&mut client).await, [103, 200]);
    client.request("GET", "/a", &[]).await;
    let hit = client.any_head().await.expect("a hit");
    assert_eq!((hit.status(), hit.field("link")), (200, None), "{hit}");
    assert!(
        hit.field("cache-status")
            .is_some_and(|it| it.contains("hit"))
    );
}

#[tokio::test]
async fn a_revalidation_brings_its_hints() {
    let origin = Origin::start(async |request, connection| {
        connection.begin(103, HINTS).await;
        let stale = [("cache-control", "max-age=0"), ("etag", "\"a\"")];
        let status = if request.nth == 1 { 200 } else { 304 };
        connection.respond(status, &stale, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        client.request("GET", "/a", &[]).await;
        assert_eq!(statuses(&mut client).await, [103, 200]);
    }
    assert_eq!(origin.last().field("if-none-match"), Some("\"a\""));
}

#[tokio::test]
async fn all_that_come_are_forwarded_in_their_order() {
    let origin = Origin::start(async |_, connection| {
        for status in [102, 103, 100, 103, 199] {
            connection.begin(status, &[]).await;
        }
        connection.respond(200, PRIVATE, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        client.request("GET", "/a", &[]).await;
        let statuses = statuses(&mut client).await;
        assert_eq!(
            statuses,
            [102, 103, 103, 199, 200],
            "100 is not ours to pass on"
        );
    }
    assert_eq!(origin.connections(), 1, "the connection is used again");
}

#[tokio::test]
async fn a_102_alone_is_forwarded() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        connection.request_body().await;
        connection.begin(102, &[]).await;
        held.pass().await;
        connection.respond(200, &[], "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    let request = "POST /a HTTP/1.1\r\nHost: example.test\r\nContent-Length: 4\r\n\r\ntext";
    client.send(request).await;
    let head = client.any_head().await.expect("a head");
    assert_eq!(head.start_line(), "HTTP/1.1 102 Processing");
    gate.open();
    assert!(client.response().await.is_good("hello"));
}

/// RFC 9110 §7.6.1, §8.6.
#[tokio::test]
async fn fields_of_the_connection_are_not_forwarded() {
    let origin = Origin::start(async |_, connection| {
        let fields = [
            ("connection", "x-hop, keep-alive"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("content-length", "5"),
            ("link", HINT),
        ];
        connection.begin(103, &fields).await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    let head = client.any_head().await.expect("hints");
    let expected = format!("HTTP/1.1 103 Early Hints\r\nlink: {HINT}\r\n\r\n");
    assert_eq!(head.to_string(), expected);
    assert!(client.response().await.is_good("hello"));
}

/// "A server MUST NOT send a 1xx response to an HTTP/1.0 client." (RFC 9110 §15.2)
#[tokio::test]
async fn an_http_1_0_client_gets_none() {
    let origin = hasty();
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for path in ["/a", "/b"] {
        let request = format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        client.send(request).await;
        assert_eq!(statuses(&mut client).await, [200]);
    }
    client.request("GET", "/c", &[]).await;
    assert_eq!(statuses(&mut client).await, [103, 200], "it has grown up");
}

#[tokio::test]
async fn an_http_2_client_gets_a_good_response() {
    let origin = hasty();
    let proxy = Proxy::start(&origin).await;
    let mut client = Http2::connect(proxy.address()).await;
    for _ in 0..2 {
        let response = client.get_whole("/a").await;
        assert_eq!(response.status(), 200);
        assert_eq!(&response.body()[..], b"hello");
        assert!(!response.headers().contains_key("link"));
    }
}

#[tokio::test]
async fn pipelined_requests_get_their_hints_each_in_its_place() {
    let origin = hasty();
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    let request = |number| format!("GET /{number} HTTP/1.1\r\nHost: example.test\r\n\r\n");
    client.send((0..50).map(request).collect::<String>()).await;
    for number in 0..50 {
        let hints = client.any_head().await.expect("hints");
        let path = format!("/{number}");
        assert_eq!((hints.status(), hints.field("link")), (103, Some(&*path)));
        assert!(client.response().await.is_good("hello"));
    }
}

/// The first response is larger than what the kernel takes, so that it is still being written when
/// the second request's hints are there.
#[tokio::test]
async fn hints_do_not_come_into_the_response_before() {
    let large = "0123456789abcdef".repeat(1 << 18);
    let body = large.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.path == "/large" {
            return connection.respond(200, FRESH, &body).await;
        }
        connection.begin(103, HINTS).await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = Client::connect_narrow(proxy.address()).await;
    client.request("GET", "/large", &[]).await;
    client.request("GET", "/a", &[]).await;
    assert!(client.response().await.is_good(&large));
    assert_eq!(statuses(&mut client).await, [103, 200]);
    client.request("GET", "/large", &[]).await;
    client.request("GET", "/b", &[]).await;
    assert!(client.response().await.is_good(&large), "from the cache");
    assert_eq!(statuses(&mut client).await, [103, 200]);
}

#[tokio::test]
async fn followers_get_none() {
    let gate = Gate::new();
    let origin = hinting(&gate, FRESH);
    let proxy = Proxy::start(&origin).await;
    let mut leader = proxy.client().await;
    leader.request("GET", "/a", &[]).await;
    assert_eq!(leader.any_head().await.map(|it| it.status()), Some(103));
    let mut followers = proxy.herd(5, "/a").await;
    gate.open();
    assert!(leader.response().await.is_good("hello"));
    for follower in &mut followers {
        assert_eq!(statuses(follower).await, [200]);
    }
    assert_eq!(origin.count("/a"), 1);
}

/// A leader that leaves does not take the answer along, though nobody listens to its hints.
#[tokio::test]
async fn a_client_that_leaves_is_not_missed() {
    let (left, gate) = (Gate::new(), Gate::new());
    let (held, last) = (left.clone(), gate.clone());
    let origin = Origin::start(async move |request, connection| {
        if request.nth == 1 {
            connection.begin(103, HINTS).await;
            held.pass().await;
            connection.begin(103, HINTS).await;
            last.pass().await;
        }
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut leader = proxy.client().await;
    leader.request("GET", "/a", &[]).await;
    assert_eq!(leader.any_head().await.map(|it| it.status()), Some(103));
    let mut followers = proxy.herd(3, "/a").await;
    leader.reset();
    left.open();
    gate.arrived(1).await;
    gate.open();
    for response in responses(&mut followers).await {
        assert!(response.is_good("hello"), "{response:?}");
    }
    assert!(proxy.get("/a").await.is_hit());
}

#[tokio::test]
async fn a_flood_is_bounded_and_the_answer_still_comes() {
    let origin = Origin::start(async |_, connection| {
        let flood = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n".repeat(1000);
        connection.send(flood).await;
        connection.respond(200, PRIVATE, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        client.request("GET", "/a", &[]).await;
        let statuses = statuses(&mut client).await;
        assert_eq!(statuses.len(), FORWARDED_MAX + 1, "{statuses:?}");
    }
}

#[tokio::test]
async fn hints_that_are_too_long_are_dropped() {
    let origin = Origin::start(async |_, connection| {
        connection
            .begin(103, &[("link", &"x".repeat(20_000))])
            .await;
        connection.begin(103, HINTS).await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    let hints = client.any_head().await.expect("hints");
    assert_eq!(hints.field("link"), Some(HINT));
    assert!(client.response().await.is_good("hello"));
}

/// A head of any kind may have 96 KiB, or it is no HTTP.
#[tokio::test]
async fn a_huge_interim_head_is_a_broken_answer() {
    let origin = Origin::start(async |_, connection| {
        connection
            .begin(103, &[("link", &"x".repeat(200_000))])
            .await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    let head = client.any_head().await.expect("a head");
    assert_eq!(head.status(), 502, "{head}");
}

/// RFC 9110 §7.8: `Upgrade` is not forwarded, so nobody was asked to switch.
#[tokio::test]
async fn a_101_is_still_refused() {
    let origin = Origin::start(async |_, connection| {
        connection.begin(103, HINTS).await;
        connection.begin(101, &[("upgrade", "x")]).await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    assert_eq!(client.any_head().await.map(|it| it.status()), Some(103));
    assert_eq!(client.any_head().await.map(|it| it.status()), Some(502));
}

/// As many hints as may be, each as long as may be, and a client that takes little at a time: they
/// wait in a bounded queue, the answer behind them, and nothing is lost or mixed up.
#[tokio::test]
async fn a_client_that_reads_slowly_gets_everything_in_order() {
    let origin = Origin::start(async move |_, connection| {
        let link = "x".repeat(15_000);
        for _ in 0..FORWARDED_MAX {
            connection.begin(103, &[("link", &link)]).await;
        }
        connection.respond(200, PRIVATE, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = Client::connect_narrow(proxy.address()).await;
    client.request("GET", "/a", &[]).await;
    for _ in 0..FORWARDED_MAX {
        let hints = client.any_head().await.expect("hints");
        assert_eq!(hints.field("link").map(str::len), Some(15_000));
    }
    assert!(client.response().await.is_good("hello"));
}

/// They go on as they come: whoever is asked again may say them again.
#[tokio::test]
async fn a_request_that_is_tried_again_brings_those_of_each_try() {
    let origin = Origin::start(async |request, connection| {
        connection.begin(103, HINTS).await;
        if request.nth == 1 && connection.served == 1 {
            return connection.reset();
        }
        connection.respond(200, PRIVATE, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    assert_eq!(statuses(&mut client).await, [103, 200]);
    client.request("GET", "/b", &[]).await;
    let statuses = statuses(&mut client).await;
    // A reset may overtake what was sent before it.
    let expected = [&[103, 103, 200][..], &[103, 200]];
    assert!(expected.contains(&&*statuses), "{statuses:?}");
    assert_eq!(origin.count("/b"), 2);
}

/// Between hints a connection waits for the answer, not for the client: it is neither parked nor
/// cut, and can be used afterwards.
#[tokio::test]
async fn a_connection_stays_in_use_between_hints() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        connection.begin(103, HINTS).await;
        held.pass().await;
        connection.begin(103, HINTS).await;
        connection.respond(200, PRIVATE, "hello").await;
    });
    let timeouts = "idle_timeout = \"200ms\"\nheader_timeout = \"200ms\"\nsend_timeout = \"200ms\"";
    let proxy = Proxy::before(&origin)
        .table("server", timeouts)
        .start()
        .await;
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    assert_eq!(client.any_head().await.map(|it| it.status()), Some(103));
    assert!(client.is_silent_for(Duration::from_millis(1500)).await);
    gate.open();
    assert_eq!(statuses(&mut client).await, [103, 200]);
    client.request("GET", "/b", &[]).await;
    assert_eq!(statuses(&mut client).await, [103, 103, 200]);
}

/// hyper writes its 100 on its own; hints come before or behind it, never into it.
#[tokio::test]
async fn a_100_and_hints_do_not_get_into_each_others_way() {
    let origin = Origin::start(async |_, connection| {
        connection.begin(103, HINTS).await;
        let (body, _) = connection.request_body().await;
        connection.begin(103, HINTS).await;
        connection
            .respond(200, &[], [&b"h"[..], &body].concat())
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    let expects = [("expect", "100-continue"), ("content-length", "4")];
    for _ in 0..20 {
        client.request("POST", "/a", &expects).await;
        let mut before = Vec::new();
        for _ in 0..2 {
            before.push(client.any_head().await.expect("a head").status());
        }
        before.sort_unstable();
        assert_eq!(before, [100, 103]);
        client.send("ello").await;
        assert_eq!(statuses(&mut client).await, [103, 200]);
    }
}
