//! Readers of one body that will not be kept, at different paces: nobody who moves is cut off, and nobody
//! waits for long for who does not. Bodies that are kept are told of in `coalesce.rs`.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::harness::{
    Client, Connection, End, Gate, Origin, Proxy, Request, Setup, all_wait, eventually, settled,
};

/// Beyond what the kernel's buffers of a connection and the window of those who fall behind hold together.
const BYTES: usize = 12 << 20;
const CHUNK_BYTES: usize = 64 << 10;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const TAG: (&str, &str) = ("etag", "\"one\"");
const RANGES: (&str, &str) = ("accept-ranges", "bytes");

/// Every stretch of it differs from all others.
static BODY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let words = (0..BYTES as u32 / 4).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes());
    words.flatten().collect()
});

/// What the origin says to a request for the rest.
#[derive(Clone, Copy, Debug)]
enum Then {
    Part,
    /// Another representation, with its own tag.
    OtherTag,
    /// 412: it has another one by now.
    Failed,
    /// A part that does not begin where it was to begin.
    Elsewhere,
    /// All of it, since it knows no ranges.
    Whole,
    Unavailable,
    /// The part breaks off.
    Broken,
}

/// Sends the body in chunks; the first time only its beginning until the gate is open.
async fn whole(connection: &mut Connection, gate: &Gate) {
    let fields = [FRESH, TAG, RANGES, ("transfer-encoding", "chunked")];
    connection.begin(200, &fields).await;
    let mut chunks = BODY.chunks(CHUNK_BYTES);
    connection.chunk(chunks.next().unwrap_or_default()).await;
    gate.pass().await;
    for chunk in chunks {
        connection.chunk(chunk).await;
    }
    connection.chunk("").await;
}

async fn part(connection: &mut Connection, (first, from): (usize, usize), tag: &str, len: usize) {
    let range = format!("bytes {first}-{}/{BYTES}", BYTES - 1);
    let length = (BYTES - from).to_string();
    let fields = [
        ("etag", tag),
        ("content-range", &*range),
        ("content-length", &*length),
    ];
    connection.begin(206, &fields).await;
    connection.send(&BODY[from..from + len]).await;
    if len < BYTES - from {
        connection.reset();
    }
}

fn first_of(request: &Request) -> Option<usize> {
    let range = request.head.field("range")?;
    range
        .strip_prefix("bytes=")?
        .strip_suffix('-')?
        .parse()
        .ok()
}

fn origin(gate: &Gate, then: Then) -> Origin {
    let gate = gate.clone();
    Origin::start(async move |request, connection| {
        let Some(first) = first_of(request) else {
            return whole(connection, &gate).await;
        };
        assert_eq!(request.head.field("if-match"), Some(TAG.1));
        let rest = BYTES - first;
        match then {
            Then::Part => part(connection, (first, first), TAG.1, rest).await,
            Then::OtherTag => part(connection, (first, first), "\"two\"", rest).await,
            Then::Failed => connection.respond(412, &[("etag", "\"two\"")], "").await,
            Then::Elsewhere => part(connection, (first - 9, first - 9), TAG.1, rest + 9).await,
            Then::Whole => whole(connection, &gate).await,
            Then::Unavailable => connection.respond(503, &[], "sorry").await,
            Then::Broken => part(connection, (first, first), TAG.1, rest / 2).await,
        }
    })
}

fn before(origin: &Origin) -> Setup {
    Proxy::before(origin).table("store", "object_max = \"256KiB\"")
}

/// Two clients that read the same body: one whose kernel takes in little, and another. Both have begun.
async fn two(proxy: &Proxy, gate: &Gate) -> (Client, Client) {
    let mut slow = Client::connect_narrow(proxy.address()).await;
    slow.request("GET", "/a", &[]).await;
    gate.arrived(1).await;
    let mut fast = proxy.herd(1, "/a").await.remove(0);
    for client in [&mut slow, &mut fast] {
        client.head().await;
        client.read(CHUNK_BYTES).await;
    }
    gate.open();
    (slow, fast)
}

fn assert_rest((body, end): (Vec<u8>, End)) {
    assert_eq!((body.len(), end), (BYTES - CHUNK_BYTES, End::Clean));
    assert!(body == BODY[CHUNK_BYTES..], "bytes that are not its own");
}

/// Reads to the end, so many bytes at a time with a pause after each.
async fn slowly(mut client: Client, bytes: usize, pause: Duration) -> (Vec<u8>, End) {
    let mut body = Vec::new();
    while body.len() + bytes < BYTES - CHUNK_BYTES {
        body.extend(client.read(bytes).await);
        sleep(pause).await;
    }
    let (rest, end) = client.rest().await;
    body.extend(rest);
    (body, end)
}

/// What is left for a client, read by a task of its own.
fn reading(mut client: Client) -> JoinHandle<(Vec<u8>, End)> {
    tokio::spawn(async move { client.rest().await })
}

/// The pace of one is not the pace of all: who falls behind gets the rest by a fetch of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_falls_behind_gets_the_rest_by_a_fetch_of_its_own() {
    let gate = Gate::new();
    let origin = origin(&gate, Then::Part);
    let proxy = before(&origin).start().await;
    let (mut slow, mut fast) = two(&proxy, &gate).await;
    let start = Instant::now();
    assert_rest(fast.rest().await);
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "it waited for the other"
    );
    assert_rest(slow.rest().await);
    let asked: Vec<_> = origin.requests().split_off(1);
    assert!(!asked.is_empty(), "a fetch of its own");
    assert!(
        asked
            .iter()
            .all(|it| it.head.field("x-forwarded-for").is_none())
    );
    let parted = proxy.metric("copal_laggards_total", "\"parted\"").await;
    let cut = proxy.metric("copal_laggards_total", "\"cut\"").await;
    assert_eq!((parted as usize, cut), (asked.len(), 0.0));
}

/// Whatever the origin says to the request for the rest: both get what they began with, byte by byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_moves_gets_all_of_it_whatever_has_become_of_the_origins_version() {
    for then in [
        Then::Part,
        Then::OtherTag,
        Then::Failed,
        Then::Elsewhere,
        Then::Whole,
        Then::Unavailable,
    ] {
        let gate = Gate::new();
        let origin = origin(&gate, then);
        let proxy = before(&origin).start().await;
        let (mut slow, fast) = two(&proxy, &gate).await;
        let fast = reading(fast);
        let asked = || origin.requests().iter().filter_map(first_of).count();
        eventually("a request for the rest", async || asked() > 0).await;
        assert_rest(slow.rest().await);
        assert_rest(fast.await.expect("a reader"));
        // On a busy machine the one that is to be fast may have been slow for a moment.
        assert!(asked() <= 2, "{then:?}: once for each at the most");
    }
}

/// Slowness is no fault: who takes a little all the time is never cut, and gets what the others get.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_a_little_all_the_time_outlasts_send_timeout() {
    let gate = Gate::new();
    let origin = origin(&gate, Then::Failed);
    let setup = before(&origin).table("server", "send_timeout = \"1s\"");
    let proxy = setup.start().await;
    let (slow, fast) = two(&proxy, &gate).await;
    let fast = reading(fast);
    let start = Instant::now();
    assert_rest(slowly(slow, 512 << 10, Duration::from_millis(120)).await);
    assert!(start.elapsed() > Duration::from_secs(2));
    assert_rest(fast.await.expect("a reader"));
}

/// A fetch of its own that breaks off is a cut for who it was for, and for nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_of_ones_own_that_breaks_off_is_a_cut() {
    let gate = Gate::new();
    let origin = origin(&gate, Then::Broken);
    let proxy = before(&origin).start().await;
    let (mut slow, fast) = two(&proxy, &gate).await;
    let fast = reading(fast);
    eventually("a request for the rest", async || {
        origin.requests().len() > 1
    })
    .await;
    let two = [slow.rest().await, fast.await.expect("a reader")];
    for (body, _) in &two {
        assert!(BODY[CHUNK_BYTES..].starts_with(body) && body.len() > CHUNK_BYTES);
    }
    let cut = two.iter().filter(|(_, end)| *end == End::Truncated);
    assert_eq!(cut.count(), origin.requests().len() - 1);
}

/// A fetch of its own is one more request under way to the origin: where there may be none, the others
/// wait for who moves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_wait_where_no_further_fetch_is_allowed() {
    let gate = Gate::new();
    let origin = origin(&gate, Then::Part);
    let site = "[[site]]\nhosts = [\"*\"]\n\
                [[site.route]]\npath = \"/*\"\norigin = \"main\"\nconcurrency_max = 1\n";
    let proxy = before(&origin).sites(site).start().await;
    let (mut slow, fast) = two(&proxy, &gate).await;
    let fast = reading(fast);
    settled("the origin to be held back", || origin.sent_bytes()).await;
    assert!(!fast.is_finished());
    assert_rest(slow.rest().await);
    assert_rest(fast.await.expect("a reader"));
    assert_eq!(origin.requests().len(), 1);
}

/// Only who takes nothing is cut, after `send_timeout`, and the others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_is_cut_after_send_timeout_and_the_others_go_on() {
    let gate = Gate::new();
    let origin = origin(&gate, Then::Failed);
    let setup = before(&origin).table("server", "send_timeout = \"1s\"");
    let proxy = setup.start().await;
    let (mut stopped, mut fast) = two(&proxy, &gate).await;
    let start = Instant::now();
    assert_rest(fast.rest().await);
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(stopped.rest().await.1, End::Truncated);
}

/// What is kept for those who are behind is counted, and given back when nobody is.
#[tokio::test]
async fn what_is_no_longer_kept_takes_no_room() {
    let gate = Gate::new();
    let origin = origin(&gate, Then::Failed);
    let sizes = "memory = \"64MiB\"\nobject_max = \"4MiB\"\nfill_memory = \"16MiB\"";
    let proxy = Proxy::before(&origin).table("store", sizes).start().await;
    gate.open();
    let mut client = Client::connect_narrow(proxy.address()).await;
    client.request("GET", "/a", &[]).await;
    client.head().await;
    client.read(8 << 20).await;
    let room = proxy.metric("copal_fill_bytes", "").await as usize;
    assert!((1..=2 << 20).contains(&room), "{room} bytes");
    assert_eq!(client.rest().await.1, End::Clean);
    let nothing = async || proxy.metric("copal_fill_bytes", "").await == 0.0;
    eventually("the room to be given back", nothing).await;
}

/// Who was waiting when the body began, and comes to read it when its first bytes are gone, asks anew.
#[tokio::test]
async fn who_comes_too_late_to_what_is_not_kept_asks_anew() {
    let (gate, full) = (Gate::new(), Gate::new());
    let (held, filling) = (gate.clone(), full.clone());
    let origin = Origin::start(async move |request, connection| {
        if request.path == "/full" {
            connection
                .begin(200, &[FRESH, ("content-length", "1048576")])
                .await;
            return filling.pass().await;
        }
        if request.nth == 1 {
            held.pass().await;
        }
        let fields = [FRESH, ("transfer-encoding", "chunked")];
        connection.begin(200, &fields).await;
        for chunk in BODY[..2 << 20].chunks(CHUNK_BYTES) {
            connection.chunk(chunk).await;
        }
        connection.chunk("").await;
    });
    let sizes = "memory = \"4MiB\"\nobject_max = \"1MiB\"\nfill_memory = \"1MiB\"";
    let proxy = Proxy::before(&origin).table("store", sizes).start().await;
    let mut filler = proxy.herd(1, "/full").await.remove(0);
    filler.head().await;
    let mut herd = proxy.herd(40, "/a").await;
    gate.arrived(1).await;
    all_wait(&mut herd[..4]).await;
    gate.open();
    let readers = herd
        .into_iter()
        .map(|mut client| tokio::spawn(async move { client.response().await }));
    for reader in readers.collect::<Vec<_>>() {
        let response = reader.await.expect("a reader");
        assert_eq!((response.status, response.end), (200, End::Clean));
        assert!(response.body == BODY[..2 << 20]);
    }
    full.open();
}
