//! Large files in slices: the origin is asked for what the client waits for, and for every slice
//! once.

mod unsliced;
mod versions;

use std::sync::LazyLock;

use crate::harness::{
    Client, Connection, End, Fields, Gate, HOST, Origin, Proxy, Request, Response, Setup,
    eventually, noise, settled,
};

const SLICE: usize = 64 << 10;
/// Ten slices and a half.
const BYTES: usize = 10 * SLICE + SLICE / 2;
const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const STALE: (&str, &str) = ("cache-control", "max-age=0");
const ONE: (&str, &str) = ("etag", "\"1\"");

static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| noise(1, BYTES));
static OTHER: LazyLock<Vec<u8>> = LazyLock::new(|| noise(2, BYTES));

/// The first and last byte that a request asks for, if it does.
fn asked(range: Option<&str>) -> Option<(usize, usize)> {
    let (first, last) = range?.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().unwrap_or(usize::MAX)))
}

/// Serves a file as a good origin does: ranges, If-Match, If-None-Match.
async fn serve(request: &Request, connection: &mut Connection, file: &[u8], fields: Fields<'_>) {
    let etag = fields.iter().find(|it| it.0 == "etag").map(|it| it.1);
    if request.field("if-match").is_some_and(|it| Some(it) != etag) {
        return connection.respond(412, &[], "").await;
    }
    if request
        .field("if-none-match")
        .is_some_and(|it| Some(it) == etag)
    {
        return connection.respond(304, fields, "").await;
    }
    let Some((first, last)) = asked(request.field("range")) else {
        return connection.respond(200, fields, file).await;
    };
    if first >= file.len() {
        let range = format!("bytes */{}", file.len());
        return connection
            .respond(416, &[("content-range", &range)], "")
            .await;
    }
    let last = last.min(file.len() - 1);
    let range = format!("bytes {first}-{last}/{}", file.len());
    let mut fields = fields.to_vec();
    fields.push(("content-range", &range));
    connection.respond(206, &fields, &file[first..=last]).await;
}

/// An origin of the one file.
fn files(fields: Fields<'static>) -> Origin {
    Origin::start(async move |request, connection| {
        serve(request, connection, &FILE, fields).await;
    })
}

fn slicing(origin: &Origin) -> Setup {
    Proxy::before(origin).table("cache", "range = \"slice\"\nslice_size = \"64KiB\"")
}

/// The Range of slice `n`.
fn range_of(n: usize) -> String {
    format!("bytes={}-{}", n * SLICE, (n + 1) * SLICE - 1)
}

/// What the origin was asked for, in order.
fn ranges(origin: &Origin) -> Vec<String> {
    let requests = origin.requests();
    let range = |it: &Request| it.field("range").unwrap_or("whole").to_owned();
    requests.iter().map(range).collect()
}

/// The same, sorted and without repetitions.
fn distinct(origin: &Origin) -> Vec<String> {
    let mut ranges = ranges(origin);
    ranges.sort();
    ranges.dedup();
    ranges
}

async fn get(proxy: &Proxy, range: &str) -> Response {
    proxy.get_with("/a", &[("range", range)]).await
}

/// Waits until every slice that was asked for is stored.
async fn filed(proxy: &Proxy) {
    let no_fills = async || proxy.metric("copal_fills_in_flight", "").await == 0.0;
    eventually("slices to be filed", no_fills).await;
}

#[track_caller]
fn assert_part(response: &Response, first: usize, last: usize) {
    let range = format!("bytes {first}-{last}/{BYTES}");
    assert_eq!((response.status, response.end), (206, End::Clean));
    assert_eq!(response.field("content-range"), Some(range.as_str()));
    assert!(response.body == FILE[first..=last], "{}", response.head);
}

#[track_caller]
fn assert_whole(response: &Response, file: &[u8]) {
    assert_eq!((response.status, response.end), (200, End::Clean));
    assert!(response.body == file, "{}", response.head);
    assert_eq!(response.field("content-range"), None);
}

// --- what is asked for ---------------------------------------------------------------------------

#[tokio::test]
async fn a_far_range_of_a_cold_file_asks_for_its_slice_alone() {
    static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| noise(3, 20 << 20));
    let origin = Origin::start(async |request, connection| {
        serve(request, connection, &LARGE, &[FRESH, ONE]).await;
    });
    let proxy = Proxy::before(&origin)
        .table("cache", "range = \"slice\"")
        .table("store", "object_max = \"2MiB\"")
        .start()
        .await;
    let first = get(&proxy, "bytes=15728740-15728839").await;
    assert_eq!(ranges(&origin), ["bytes=15728640-16777215"]);
    assert!(
        first.says("fwd=uri-miss") && first.says("stored"),
        "{}",
        first.head
    );
    filed(&proxy).await;
    let second = get(&proxy, "bytes=16777000-16777215").await;
    assert!(second.is_hit(), "{}", second.head);
    for (response, first, last) in [(first, 15728740, 15728839), (second, 16777000, 16777215)] {
        assert!(response.status == 206 && response.body == LARGE[first..=last]);
        let range = format!("bytes {first}-{last}/20971520");
        assert_eq!(response.field("content-range"), Some(range.as_str()));
    }
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(proxy.metric("copal_slices_total", "origin").await, 1.0);
    assert_eq!(proxy.metric("copal_slices_total", "memory").await, 1.0);
}

#[tokio::test]
async fn a_whole_get_fetches_only_the_slices_that_are_missing() {
    let origin = files(&[FRESH, ONE]);
    let proxy = slicing(&origin).start().await;
    for n in [3, 7] {
        let (first, last) = (n * SLICE, n * SLICE + 9);
        let response = get(&proxy, &format!("bytes={first}-{last}")).await;
        assert_part(&response, first, last);
    }
    let partly = proxy.get("/a").await;
    assert_whole(&partly, &FILE);
    assert!(
        partly.says("fwd=partial") && partly.says("stored"),
        "{}",
        partly.head
    );
    assert_eq!(partly.field("content-length"), Some("688128"));
    filed(&proxy).await;
    let again = proxy.get("/a").await;
    assert_whole(&again, &FILE);
    assert!(again.is_hit(), "{}", again.head);
    assert_eq!(ranges(&origin).len(), 11, "each slice once");
    assert_eq!(distinct(&origin).len(), 11);
}

#[tokio::test]
async fn later_slices_are_asked_for_by_the_tag_and_without_the_clients_own() {
    let origin = files(&[FRESH, ONE]);
    let proxy = slicing(&origin).start().await;
    let fields = [
        ("referer", "http://a.test/"),
        ("if-none-match", "\"0\""),
        ("x-own", "1"),
    ];
    assert_whole(&proxy.get_with("/a", &fields).await, &FILE);
    let requests = origin.requests();
    let (first, later) = requests.split_first().expect("a request");
    assert_eq!(first.field("if-match"), None);
    for request in later {
        assert_eq!(request.field("if-match"), Some("\"1\""));
        assert_eq!(request.field("x-own"), Some("1"));
        for name in ["referer", "if-none-match", "x-forwarded-for"] {
            assert_eq!(request.field(name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn a_suffix_begins_with_the_slice_that_tells_the_length() {
    let origin = files(&[FRESH, ONE]);
    let proxy = slicing(&origin).start().await;
    assert_part(&get(&proxy, "bytes=-100").await, BYTES - 100, BYTES - 1);
    assert_eq!(
        ranges(&origin),
        [range_of(0), "bytes=655360-688127".to_owned()]
    );
}

#[tokio::test]
async fn several_ranges_over_several_slices_are_one_multipart_response() {
    let origin = files(&[FRESH, ONE]);
    let proxy = slicing(&origin).start().await;
    let edge = 5 * SLICE;
    let set = format!("bytes={}-{},0-9", edge - 10, edge + 9);
    let response = get(&proxy, &set).await;
    assert_eq!((response.status, response.end), (206, End::Clean));
    for part in [&FILE[edge - 10..edge + 10], &FILE[..10]] {
        assert!(response.body.windows(part.len()).any(|it| it == part));
    }
    assert_eq!(distinct(&origin), [range_of(0), range_of(4), range_of(5)]);
}

#[tokio::test]
async fn if_range_decides_between_a_part_and_the_whole() {
    let origin = files(&[FRESH, ONE]);
    let proxy = slicing(&origin).start().await;
    let fields = [("range", "bytes=70000-70009"), ("if-range", "\"1\"")];
    assert_part(&proxy.get_with("/a", &fields).await, 70000, 70009);
    let fields = [("range", "bytes=70000-70009"), ("if-range", "\"0\"")];
    assert_whole(&proxy.get_with("/a", &fields).await, &FILE);
}

#[tokio::test]
async fn head_tells_the_length_of_the_whole() {
    let origin = files(&[FRESH, ONE]);
    let proxy = slicing(&origin).start().await;
    get(&proxy, "bytes=0-9").await;
    let mut client = proxy.client().await;
    client.request("HEAD", "/a", &[]).await;
    let head = client.response().await;
    assert!(head.status == 200 && head.is_hit(), "{}", head.head);
    assert_eq!(head.field("content-length"), Some("688128"));
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_range_beyond_the_end_is_not_satisfiable() {
    let origin = files(&[FRESH, ONE]);
    let proxy = slicing(&origin).start().await;
    for hits in [false, true] {
        let response = get(&proxy, "bytes=688128-").await;
        assert_eq!((response.status, response.text().as_str()), (416, ""));
        assert_eq!(response.field("content-range"), Some("bytes */688128"));
        assert_eq!(response.is_hit(), hits);
    }
    assert_eq!(
        ranges(&origin),
        [range_of(10)],
        "the last slice has the length"
    );
    proxy.purge(r#"{"all": true}"#).await;
    let response = get(&proxy, "bytes=9999999-").await;
    assert_eq!(response.field("content-range"), Some("bytes */688128"));
    assert_eq!(
        ranges(&origin)[1..],
        ["bytes=9961472-10027007".to_owned(), range_of(0)]
    );
}

// --- who waits -----------------------------------------------------------------------------------

#[tokio::test]
async fn readers_of_one_missing_slice_share_one_request() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.field("range") == Some(&range_of(5)) {
            held.pass().await;
        }
        serve(request, connection, &FILE, &[FRESH, ONE]).await;
    });
    let proxy = slicing(&origin).start().await;
    get(&proxy, "bytes=0-9").await;
    let mut clients = Vec::new();
    for n in 0..8 {
        let mut client = proxy.client().await;
        let (first, last) = (5 * SLICE + n, 5 * SLICE + n + 9);
        let range = format!("bytes={first}-{last}");
        client.request("GET", "/a", &[("range", &range)]).await;
        assert_eq!(client.head().await.status(), 206);
        clients.push((client, first, last));
    }
    gate.arrived(1).await;
    gate.open();
    for (mut client, first, last) in clients {
        let (body, end) = client.rest().await;
        assert!(end == End::Clean && body == FILE[first..=last]);
    }
    assert_eq!(ranges(&origin), [range_of(0), range_of(5)]);
}

#[tokio::test]
async fn a_cold_herd_asks_once_for_each_slice() {
    let origin = files(&[FRESH, ONE]);
    let proxy = slicing(&origin).start().await;
    for mut client in proxy.herd(20, "/a").await {
        assert_whole(&client.response().await, &FILE);
    }
    assert_eq!((ranges(&origin).len(), distinct(&origin).len()), (11, 11));
}

#[tokio::test]
async fn the_first_slice_flows_while_it_arrives() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        let range = format!("bytes 0-65535/{BYTES}");
        let fields = [
            FRESH,
            ONE,
            ("content-range", &range),
            ("content-length", "65536"),
        ];
        connection.begin(206, &fields).await;
        connection.send(&FILE[..100]).await;
        held.pass().await;
        connection.send(&FILE[100..SLICE]).await;
    });
    let proxy = slicing(&origin).start().await;
    let mut client = proxy.client().await;
    client
        .request("GET", "/a", &[("range", "bytes=0-199")])
        .await;
    assert_eq!(client.head().await.status(), 206);
    assert!(client.read(100).await == FILE[..100]);
    gate.open();
    assert_eq!(client.rest().await, (FILE[100..200].to_vec(), End::Clean));
}

#[tokio::test]
async fn a_slow_client_holds_few_slices() {
    const SLICES: usize = 400;
    static LONG: LazyLock<Vec<u8>> = LazyLock::new(|| noise(4, SLICES * SLICE));
    let origin = Origin::start(async |request, connection| {
        serve(request, connection, &LONG, &[FRESH, ONE]).await;
    });
    let proxy = slicing(&origin).start().await;
    let mut client = Client::connect_narrow(proxy.address()).await;
    client.request("GET", "/a", &[]).await;
    assert_eq!(client.head().await.status(), 200);
    client.read(1).await;
    let asked = settled("the origin", || origin.requests().len() as u64).await;
    // What the sockets between us take in is not the proxy's.
    assert!(
        asked < SLICES as u64 / 4,
        "{asked} slices for a client that reads none"
    );
    let (rest, end) = client.rest().await;
    assert!(end == End::Clean && rest.len() + 1 >= LONG.len() - SLICE);
}

// --- what goes -----------------------------------------------------------------------------------

#[tokio::test]
async fn a_purge_drops_all_slices() {
    let origin = files(&[FRESH, ONE]);
    let proxy = slicing(&origin).start().await;
    assert_whole(&proxy.get("/a").await, &FILE);
    assert!(proxy.metric("copal_store_bytes", "").await > BYTES as f64);
    assert_eq!(proxy.metric("copal_objects", "").await, 1.0);
    filed(&proxy).await;
    let url = format!("{{\"url\": \"http://{}/a\"}}", HOST);
    let purged = proxy.purge(&url).await;
    assert!(
        purged.status == 200 && purged.text().contains("\"purged\":1"),
        "{}",
        purged.text()
    );
    eventually("the slices to go", async || {
        proxy.metric("copal_store_bytes", "").await == 0.0
    })
    .await;
    let asked = ranges(&origin).len();
    let again = get(&proxy, "bytes=0-9").await;
    assert_part(&again, 0, 9);
    assert!(!again.is_hit() && ranges(&origin).len() == asked + 1);
}

#[tokio::test]
async fn a_soft_purge_keeps_the_slices_for_the_origins_word() {
    let origin = files(&[FRESH, ONE]);
    let proxy = slicing(&origin).start().await;
    assert_whole(&proxy.get("/a").await, &FILE);
    filed(&proxy).await;
    proxy.purge(r#"{"all": true, "soft": true}"#).await;
    let confirmed = proxy.get("/a").await;
    assert_whole(&confirmed, &FILE);
    assert!(confirmed.says("fwd-status=304"), "{}", confirmed.head);
    assert_eq!(origin.requests().len(), 12);
}

#[tokio::test]
async fn a_cold_slice_makes_room_alone() {
    let origin = files(&[FRESH, ONE]);
    let limits = "memory = \"384KiB\"\nobject_max = \"64KiB\"\nfill_memory = \"1MiB\"";
    let proxy = slicing(&origin).table("store", limits).start().await;
    assert_whole(&proxy.get("/a").await, &FILE);
    filed(&proxy).await;
    eventually("evictions", async || {
        proxy.metric("copal_store_bytes", "").await <= f64::from(384 << 10)
    })
    .await;
    assert!(proxy.metric("copal_evicted_total", "").await >= 5.0);
    let asked = origin.requests().len();
    let warm = get(&proxy, &format!("bytes={}-", BYTES - 9)).await;
    assert_part(&warm, BYTES - 9, BYTES - 1);
    assert!(
        warm.is_hit() && origin.requests().len() == asked,
        "{}",
        warm.head
    );
    let cold = get(&proxy, "bytes=0-9").await;
    assert_part(&cold, 0, 9);
    assert!(cold.says("fwd=partial"), "{}", cold.head);
    assert_eq!(ranges(&origin)[asked..], [range_of(0)]);
}

/// A slice without room for it on the way flows to its reader all the same.
#[tokio::test]
async fn no_room_costs_no_client_its_response() {
    static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| noise(5, 5 << 20));
    let origin = Origin::start(async |request, connection| {
        serve(request, connection, &LARGE, &[FRESH, ONE]).await;
    });
    let proxy = Proxy::before(&origin)
        .table("cache", "range = \"slice\"\nslice_size = \"1MiB\"")
        .table(
            "store",
            "memory = \"64MiB\"\nobject_max = \"1MiB\"\nfill_memory = \"1MiB\"",
        )
        .start()
        .await;
    for mut client in proxy.herd(6, "/a").await {
        let response = client.response().await;
        assert!(
            response.end == End::Clean && response.body == *LARGE,
            "{}",
            response.head
        );
    }
}
