//! Byte ranges of a response that is still arriving.

use super::{
    CHUNKED, FRESH, LENGTH, assert_part, assert_unsatisfiable, assert_whole, first_reader, halves,
    parts, slice, text, texts,
};
use crate::harness::{Client, End, Gate, Origin, Proxy, Response};

/// The first request for a page may be for a part of it: the whole is fetched and kept.
#[tokio::test]
async fn a_miss_with_a_range_brings_the_whole_into_the_cache() {
    let origin = texts(&[FRESH]);
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    let response = client.get_with("/a", &[("range", "bytes=-10")]).await;
    assert_part(&response, 9990, 9999, "10000");
    assert!(
        response.says("fwd=uri-miss") && response.says("stored"),
        "{response:?}"
    );
    assert_eq!(response.field("age"), None);
    assert_eq!(origin.last().field("range"), None);
    assert_whole(&client.get("/a").await);
    let response = client.get_with("/b", &[("range", "bytes=10000-")]).await;
    assert_unsatisfiable(&response, "10000");
    assert_whole(&client.get("/b").await);
    assert_eq!(origin.requests().len(), 2);
}

/// r02035: The origin has stalled, and nobody who has his bytes waits for it.
#[tokio::test]
async fn an_early_range_is_answered_while_the_origin_stalls() {
    let gate = Gate::new();
    let origin = halves(&gate, LENGTH);
    let proxy = Proxy::start(&origin).await;
    let mut leader = proxy.client().await;
    let early = leader.get_with("/a", &[("range", "bytes=100-4999")]).await;
    assert_part(&early, 100, 4999, "10000");
    for (first, last) in [(0, 0), (4000, 4999), (17, 123)] {
        let range = format!("bytes={first}-{last}");
        let response = leader.get_with("/a", &[("range", &range)]).await;
        assert_part(&response, first, last, "10000");
        assert!(response.says("collapsed"), "{response:?}");
    }
    let response = leader.get_with("/a", &[("range", "bytes=10000-")]).await;
    assert_unsatisfiable(&response, "10000");
    gate.open();
    assert_whole(&leader.get("/a").await);
    assert_eq!(origin.count("/a"), 1);
}

/// A range that has not come yet is waited for, alone or among several.
#[tokio::test]
async fn a_far_range_comes_when_its_bytes_come() {
    let gate = Gate::new();
    let origin = halves(&gate, LENGTH);
    let proxy = Proxy::start(&origin).await;
    let mut whole = first_reader(&proxy).await;
    let mut waiting = Vec::new();
    for range in ["bytes=9000-9099", "bytes=-10", "bytes=8000-8009,0-9"] {
        let mut client = proxy.client().await;
        client.request("GET", "/a", &[("range", range)]).await;
        let head = client.head().await;
        assert_eq!(head.status(), 206, "{range}");
        waiting.push((client, head));
    }
    let mut across = proxy.client().await;
    let range = [("range", "bytes=4990-5009")];
    across.request("GET", "/a", &range).await;
    assert_eq!(across.head().await.field("content-length"), Some("20"));
    assert_eq!(across.read(10).await, slice(4990, 4999).as_bytes());
    gate.open();
    let rest = (slice(5000, 5009).into_bytes(), End::Clean);
    assert_eq!(across.rest().await, rest);
    let mut responses = Vec::new();
    for (mut client, head) in waiting {
        let (body, end) = client.rest().await;
        responses.push(Response {
            status: head.status(),
            head,
            body,
            end,
        });
    }
    assert_part(&responses[0], 9000, 9099, "10000");
    assert_part(&responses[1], 9990, 9999, "10000");
    let contents = parts(&responses[2]).into_iter().map(|(_, bytes)| bytes);
    let expected = [slice(8000, 8009), slice(0, 9)];
    assert_eq!(contents.collect::<Vec<_>>(), expected);
    assert_eq!(whole.rest().await.0, slice(5000, 9999).as_bytes());
}

/// r01506: Of a body whose end is not known, only what is here is cut.
#[tokio::test]
async fn ranges_of_a_body_of_unknown_length() {
    let gate = Gate::new();
    let origin = halves(&gate, CHUNKED);
    let proxy = Proxy::start(&origin).await;
    let mut whole = first_reader(&proxy).await;
    let mut client = proxy.client().await;
    for (first, last) in [(0, 0), (4000, 4999)] {
        let range = format!("bytes={first}-{last}");
        let response = client.get_with("/a", &[("range", &range)]).await;
        assert_part(&response, first, last, "*");
    }
    let mut clients = Vec::new();
    for range in [
        "bytes=4000-5000",
        "bytes=4000-",
        "bytes=-10",
        "bytes=0-0,4000-4009",
    ] {
        let mut client = proxy.client().await;
        client.request("GET", "/a", &[("range", range)]).await;
        assert_eq!(client.head().await.status(), 200, "{range}");
        clients.push(client);
    }
    gate.open();
    for mut client in clients {
        assert_eq!(client.rest().await, (text().into_bytes(), End::Clean));
    }
    assert_eq!(whole.rest().await.1, End::Clean);
    let response = client.get_with("/a", &[("range", "bytes=-10")]).await;
    assert_part(&response, 9990, 9999, "10000");
}

/// r02258: Who has all his bytes never hears of it; who has not, does.
#[tokio::test]
async fn an_origin_that_breaks_off_within_a_range_truncates_it() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.nth > 1 {
            return connection.respond(200, &[FRESH], text()).await;
        }
        connection.begin(200, &[FRESH, LENGTH]).await;
        connection.send(slice(0, 4999)).await;
        held.pass().await;
        connection.reset();
    });
    let proxy = Proxy::start(&origin).await;
    let mut early = proxy.client().await;
    let response = early.get_with("/a", &[("range", "bytes=0-99")]).await;
    assert_part(&response, 0, 99, "10000");
    let mut late = Vec::new();
    for range in ["bytes=4000-5999", "bytes=4000-4999,5500-5999", "bytes=-10"] {
        let mut client = proxy.client().await;
        client.request("GET", "/a", &[("range", range)]).await;
        late.push(client);
    }
    assert_eq!(late[0].head().await.status(), 206);
    assert_eq!(late[0].read(1000).await, slice(4000, 4999).as_bytes());
    assert_eq!(late[1].head().await.status(), 206);
    assert_eq!(late[2].head().await.status(), 206);
    gate.open();
    for mut client in late {
        assert_eq!(client.rest().await.1, End::Truncated);
    }
    let again = early.get_with("/a", &[("range", "bytes=5000-5009")]).await;
    assert_part(&again, 5000, 5009, "10000");
    assert_eq!(origin.count("/a"), 2);
}

/// A client that takes its range slowly gets every byte of it, and holds up nobody.
#[tokio::test]
async fn a_slow_reader_of_a_range() {
    const LARGE: usize = 8 << 20;
    let content: Vec<u8> = (0..LARGE).map(|at| (at >> 7) as u8).collect();
    let sent = content.clone();
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, &[FRESH], &sent).await;
    });
    let proxy = Proxy::start(&origin).await;
    let (first, last) = (1 << 20, 7 << 20);
    let range = format!("bytes={first}-{last}");
    let mut slow = Client::connect_narrow(proxy.address()).await;
    slow.request("GET", "/a", &[("range", &range)]).await;
    gate.arrived(1).await;
    let mut fast = proxy.client().await;
    fast.request("GET", "/a", &[]).await;
    gate.open();
    assert!(fast.response().await.body == content);
    assert!(fast.get_with("/a", &[("range", &range)]).await.body == content[first..=last]);
    let response = slow.response().await;
    assert_eq!((response.status, response.end), (206, End::Clean));
    assert!(response.body == content[first..=last]);
    assert_eq!(origin.count("/a"), 1);
}
