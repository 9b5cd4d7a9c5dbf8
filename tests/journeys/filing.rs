//! Clients that ask again as soon as they have read a response to its end. They meet what was stored of
//! it, whatever the response was like.

use crate::harness::{Client, Connection, Origin, Proxy, Request};

/// Of each client. What was filed a moment too late was missed once in thousands of rounds, and oftener
/// where the machine was busy.
const ROUNDS: usize = 50;
/// So many at once that the proxy's threads have other things to do.
const CLIENTS: usize = 10;

const LONG: &[u8] = &[b'x'; 40 << 10];
const MINUTE: (&str, &str) = ("cache-control", "max-age=60");
const TAG: (&str, &str) = ("etag", "\"1\"");

/// `/KIND/…` is a response of that kind.
async fn answer(request: &Request, connection: &mut Connection) {
    let kind = request.path.split('/').nth(1).unwrap_or_default();
    match kind {
        "no-content" => connection.respond(204, &[MINUTE], "").await,
        "empty" => connection.respond(200, &[MINUTE], "").await,
        "short" => connection.respond(200, &[MINUTE], "hello").await,
        "long" => connection.respond(200, &[MINUTE], LONG).await,
        "missing" => connection.respond(404, &[MINUTE], "gone").await,
        "nowhere" => connection.respond(410, &[MINUTE], "").await,
        "chunked" => {
            let fields = [MINUTE, ("transfer-encoding", "chunked")];
            connection.begin(200, &fields).await;
            connection.chunk("hello").await;
            connection.chunk("").await;
        }
        "confirmed" if request.head.field("if-none-match").is_some() => {
            connection.respond(304, &[MINUTE, TAG], "").await;
        }
        "confirmed" => {
            let fields = [("cache-control", "max-age=0"), TAG];
            connection.respond(200, &fields, "hello").await;
        }
        _ => connection.respond(500, &[], kind).await,
    }
}

/// How often a client missed what it had just read: it asks for pages of a kind, and for each again,
/// in turns by GET and by HEAD.
async fn missed(mut client: Client, kind: &str, number: usize) -> usize {
    let mut missed = 0;
    for round in 0..ROUNDS {
        let path = format!("/{kind}/{number}/{round}");
        let first = client.get(&path).await;
        assert!(!first.is_hit() && first.status != 500, "{first:?}");
        if kind == "confirmed" {
            let confirmed = client.get(&path).await;
            assert!(confirmed.says("fwd-status=304"), "{confirmed:?}");
        }
        let method = if round % 2 == 0 { "GET" } else { "HEAD" };
        client.request(method, &path, &[]).await;
        missed += usize::from(!client.response().await.is_hit());
    }
    missed
}

/// How often clients that all ask for pages of this kind missed what they had just read.
async fn missed_by_all(kind: &'static str) -> usize {
    let origin = Origin::start(answer);
    let proxy = Proxy::start(&origin).await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let client = proxy.client().await;
        clients.push(tokio::spawn(missed(client, kind, number)));
    }
    let mut sum = 0;
    for client in clients {
        sum += client.await.expect("a client");
    }
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_again_for_what_has_no_content_hits() {
    for kind in ["no-content", "empty", "nowhere"] {
        assert_eq!(missed_by_all(kind).await, 0, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_again_for_what_has_content_hits() {
    for kind in ["short", "long", "chunked", "missing"] {
        assert_eq!(missed_by_all(kind).await, 0, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_again_for_what_was_confirmed_hits() {
    assert_eq!(missed_by_all("confirmed").await, 0);
}
