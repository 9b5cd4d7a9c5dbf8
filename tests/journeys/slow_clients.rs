//! Clients that dribble, and connections that have lasted long enough. Who makes progress is served.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::harness::{Client, End, NO_STORE, Origin, Proxy, Setup, eventually};

/// An origin that answers when it has read the whole request.
fn reading() -> Origin {
    Origin::start(async |_, connection| {
        let (body, end) = connection.request_body().await;
        if end == End::Clean {
            let told = body.len().to_string();
            connection.respond(200, NO_STORE, told).await;
        }
    })
}

async fn has_ended(proxy: &Proxy, reason: &str, count: usize) {
    let label = format!("reason=\"{reason}\"");
    let name = "copal_connections_ended_total";
    let ended = async || proxy.metric(name, &label).await == count as f64;
    eventually(&format!("{count} connections to be ended: {reason}"), ended).await;
}

/// Sends so many pieces of this length, one each 100 ms, until there is an answer: its status.
async fn upload(proxy: &Proxy, path: &str, fields: &str, piece: usize, count: usize) -> u16 {
    let mut client = proxy.client().await;
    let length = piece * count;
    client
        .send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n"
        ))
        .await;
    for _ in 0..count {
        if !client.try_send(vec![b'x'; piece]).await {
            break;
        }
        if !client.is_silent_for(Duration::from_millis(100)).await {
            break;
        }
    }
    client.response().await.status
}

// --- uploads -------------------------------------------------------------------------------------

const RATES: &str = "receive_rate_min = 1000\nrate_window = \"1s\"";

#[tokio::test]
async fn an_upload_that_dribbles_is_cut_and_one_that_comes_along_is_not() {
    let origin = reading();
    let proxy = Proxy::before(&origin).table("server", RATES).start().await;
    let dribbled = upload(&proxy, "/a", "", 10, 100);
    let steady = upload(&proxy, "/b", "", 500, 25);
    let (dribbled, steady) = tokio::join!(dribbled, steady);
    assert_eq!((dribbled, steady), (408, 200));
    has_ended(&proxy, "receive-rate", 1).await;
}

#[tokio::test]
async fn streams_of_messages_may_take_their_time() {
    let origin = reading();
    let site = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n\
                [[site.route]]\npath = \"/events/*\"\nreceive_rate_min = 0\n";
    let setup = Proxy::before(&origin).sites(site);
    let proxy = setup.table("server", RATES).start().await;
    let by_route = upload(&proxy, "/events/a", "", 10, 20);
    let by_kind = upload(
        &proxy,
        "/a",
        "Content-Type: application/grpc+proto\r\n",
        10,
        20,
    );
    let all = tokio::join!(by_route, by_kind);
    assert_eq!(all, (200, 200));
}

// --- downloads -----------------------------------------------------------------------------------

const LONG: usize = 64 << 20;

/// Reads a long body slowly, for so long at most; whether it was still going on then.
async fn read_slowly(setup: Setup, time: Duration) -> (Proxy, bool) {
    let proxy = setup.start().await;
    let mut client = Client::connect_narrow(proxy.address()).await;
    client.request("GET", "/a", &[]).await;
    assert_eq!(client.head().await.status(), 200);
    let began = Instant::now();
    while began.elapsed() < time {
        let ended = async || proxy.metric("copal_connections_ended_total", "").await > 0.0;
        if ended().await {
            return (proxy, false);
        }
        client.read(16 << 10).await;
        sleep(Duration::from_millis(20)).await;
    }
    (proxy, true)
}

fn long() -> Origin {
    Origin::start(async |_, connection| {
        connection.respond(200, NO_STORE, vec![b'x'; LONG]).await;
    })
}

#[tokio::test]
async fn who_takes_too_little_of_a_response_is_cut() {
    let origin = long();
    let lines = "send_rate_min = \"200MiB\"\nrate_window = \"1s\"";
    let setup = Proxy::before(&origin).table("server", lines);
    let (proxy, goes_on) = read_slowly(setup, Duration::from_secs(20)).await;
    assert!(!goes_on);
    has_ended(&proxy, "send-rate", 1).await;
}

#[tokio::test]
async fn who_takes_some_of_it_is_not() {
    let origin = long();
    let lines = "send_rate_min = 1000\nrate_window = \"1s\"";
    let setup = Proxy::before(&origin).table("server", lines);
    let (_proxy, goes_on) = read_slowly(setup, Duration::from_secs(4)).await;
    assert!(goes_on);
}

// --- connections ---------------------------------------------------------------------------------

#[tokio::test]
async fn who_never_says_anything_is_not_waited_for_as_an_idle_one_is() {
    let origin = Origin::answering(200, NO_STORE, "hello");
    let setup = Proxy::before(&origin).table("server", "header_timeout = \"300ms\"");
    let proxy = setup.start().await;
    let mut mute = proxy.client().await;
    let mut kept = proxy.client().await;
    assert!(kept.get("/a").await.is_good("hello"));
    assert!(mute.until_gone().await.is_empty());
    has_ended(&proxy, "silent", 1).await;
    sleep(Duration::from_secs(1)).await;
    assert!(
        kept.get("/a").await.is_good("hello"),
        "it has said something"
    );
}

#[tokio::test]
async fn a_connection_carries_only_so_many_requests() {
    let origin = Origin::answering(200, NO_STORE, "hello");
    let lines = "requests_per_connection_max = 20";
    let proxy = Proxy::before(&origin).table("server", lines).start().await;
    let mut client = proxy.client().await;
    let mut count = 0;
    loop {
        let response = client.get("/a").await;
        assert!(response.is_good("hello"), "{response:?}");
        count += 1;
        if response.field("connection") == Some("close") {
            break;
        }
        assert!(count < 23, "none is the last");
    }
    assert!(client.until_gone().await.is_empty());
    assert!((18..=22).contains(&count), "{count}");
    has_ended(&proxy, "requests", 1).await;
}

#[tokio::test]
async fn a_connection_lasts_only_so_long_and_ends_with_a_response() {
    let origin = Origin::answering(200, NO_STORE, "hello");
    let lines = "connection_lifetime = \"2s\"";
    let proxy = Proxy::before(&origin).table("server", lines).start().await;
    let began = Instant::now();
    // One is busy all the time, the other has been idle for longer than its buffers are kept.
    let (mut busy, mut idle) = (proxy.client().await, proxy.client().await);
    assert!(idle.get("/a").await.is_good("hello"));
    loop {
        let response = busy.get("/a").await;
        assert!(response.is_good("hello"), "{response:?}");
        if response.field("connection") == Some("close") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(8), "it lasts on");
        sleep(Duration::from_millis(20)).await;
    }
    assert!(began.elapsed() > Duration::from_secs(1));
    sleep(Duration::from_secs(1)).await;
    let last = idle.get("/a").await;
    assert!(last.is_good("hello"), "{last:?}");
    assert_eq!(last.field("connection"), Some("close"));
    has_ended(&proxy, "lifetime", 2).await;
}
