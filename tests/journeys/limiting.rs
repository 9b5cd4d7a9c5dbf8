//! How often clients may ask, how many connections each may have, and how many requests of a route
//! may be under way. Rates are either so slow that no test lives to see a bucket refill, or so fast
//! that it refills while the test looks on; none depends on how long a step takes.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::harness::{
    Client, End, FRESH, Fields, Gate, Origin, Proxy, Response, eventually, responses,
};

/// Stale from the start, and good for as long as its origin cannot be asked.
const OLD: Fields<'static> = &[
    ("cache-control", "max-age=60"),
    ("age", "62"),
    ("etag", "\"old\""),
];

const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A site that answers by itself, with a limit on all of it.
fn answering(limit: &str) -> String {
    format!(
        r#"
        [[limit]]
        name = "api"
        {limit}
        [[site]]
        hosts = ["*"]
        limit = ["api"]
        route = [
            {{ path = "/a", answer = {{ body = "a" }} }},
            {{ path = "/b", answer = {{ body = "b" }} }},
        ]
        "#
    )
}

/// A proxy of which each client may ask once, in effect: the next time comes in an hour.
async fn once(limit: &str) -> Proxy {
    let origin = Origin::answering(200, &[], "unused");
    let limit = format!("rate = \"1/h\"\n{limit}");
    Proxy::before(&origin)
        .sites(&answering(&limit))
        .start()
        .await
}

fn is_limited(response: &Response) -> bool {
    response.status == 429 && response.says("detail=rate-limited")
}

#[tokio::test]
async fn a_burst_is_served_and_then_refused_even_from_the_cache() {
    let origin = Origin::answering(200, FRESH, "hello");
    let limit = "[[limit]]\nname = \"api\"\nrate = \"6/h\"\nburst = 3\n";
    let site = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\nlimit = [\"api\"]\n";
    let proxy = Proxy::before(&origin)
        .sites(&format!("{limit}{site}"))
        .start()
        .await;
    for _ in 0..3 {
        assert!(proxy.get("/a").await.is_good("hello"));
    }
    assert_eq!(origin.count("/a"), 1, "two of the three were hits");
    for _ in 0..2 {
        let refused = proxy.get("/a").await;
        assert!(is_limited(&refused), "{refused:?}");
    }
    let limited = async || proxy.metric("copal_limited_total", "limit=\"api\"").await == 2.0;
    eventually("two refusals to be counted", limited).await;
    let synth = "copal_requests_total{outcome=\"synth\",status=\"4xx\"}";
    assert_eq!(proxy.metrics().await[synth], 2.0);
}

/// draft-ietf-httpapi-ratelimit-headers-10, RFC 9110 §10.2.3, RFC 6585 §4.
#[tokio::test]
async fn a_refusal_says_by_which_policy_and_when_to_come_again() {
    let proxy = once("").await;
    proxy.get("/a").await;
    let refused = proxy.get("/a").await;
    let wait: u64 = refused
        .field("retry-after")
        .and_then(|it| it.parse().ok())
        .expect("a Retry-After in seconds");
    assert!((3_000..=3_600).contains(&wait), "{wait}");
    assert_eq!(
        refused.field("ratelimit-policy"),
        Some("\"api\";q=1;w=3600")
    );
    let limit = format!("\"api\";r=0;t={wait}");
    assert_eq!(refused.field("ratelimit"), Some(limit.as_str()));
    assert_eq!(refused.field("cache-control"), Some("no-store"));
    assert_eq!(refused.cache_status(), "copal; detail=rate-limited");
}

#[tokio::test]
async fn a_bucket_refills() {
    let origin = Origin::answering(200, &[], "unused");
    let proxy = Proxy::before(&origin)
        .sites(&answering("rate = \"2/s\"\nburst = 1"))
        .start()
        .await;
    let mut client = proxy.client().await;
    // All at once, so that they take far less than half a second.
    client
        .send("GET /a HTTP/1.1\r\nhost: a.test\r\n\r\n".repeat(20))
        .await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(client.response().await.status);
    }
    assert_eq!(statuses[0], 200);
    assert!(statuses.contains(&429), "{statuses:?}");
    let served = async || client.get("/a").await.is_good("a");
    eventually("the bucket to refill", served).await;
}

#[tokio::test]
async fn each_address_has_a_bucket_of_its_own() {
    let proxy = once("").await;
    assert!(proxy.get("/a").await.is_good("a"));
    assert!(is_limited(&proxy.get("/a").await));
    let mut other = Client::connect_from(OTHER, proxy.address()).await;
    assert!(other.get("/a").await.is_good("a"));
    assert!(is_limited(&other.get("/b").await));
}

#[tokio::test]
async fn the_addresses_of_a_network_share_one_where_it_is_so_written() {
    let proxy = once("key = \"ip/24\"").await;
    assert!(proxy.get("/a").await.is_good("a"));
    let mut other = Client::connect_from(OTHER, proxy.address()).await;
    assert!(is_limited(&other.get("/a").await));
    let mut far = Client::connect_from([127, 0, 1, 1], proxy.address()).await;
    assert!(far.get("/a").await.is_good("a"));
}

#[tokio::test]
async fn allowed_networks_are_not_limited() {
    let proxy = once("allow = [\"127.0.0.2\"]").await;
    let mut other = Client::connect_from(OTHER, proxy.address()).await;
    for _ in 0..5 {
        assert!(other.get("/a").await.is_good("a"));
    }
    assert!(proxy.get("/a").await.is_good("a"));
    assert!(is_limited(&proxy.get("/a").await));
}

/// What has no one value of the field is limited by its address: neither leaving the field out nor
/// sending it twice gets around the limit.
#[tokio::test]
async fn each_value_of_a_field_has_a_bucket() {
    let proxy = once("key = { header = \"X-Api-Key\" }").await;
    let (one, two) = (("x-api-key", "one"), ("x-api-key", "two"));
    for key in [one, two] {
        assert!(proxy.get_with("/a", &[key]).await.is_good("a"));
        assert!(is_limited(&proxy.get_with("/a", &[key]).await));
    }
    assert!(proxy.get("/a").await.is_good("a"));
    assert!(is_limited(&proxy.get("/a").await));
    assert!(is_limited(&proxy.get_with("/a", &[one, two]).await));
}

#[tokio::test]
async fn a_route_may_have_one_bucket_for_all() {
    let proxy = once("key = \"route\"").await;
    assert!(proxy.get("/a").await.is_good("a"));
    assert!(proxy.get("/b").await.is_good("b"));
    let mut other = Client::connect_from(OTHER, proxy.address()).await;
    assert!(is_limited(&other.get("/a").await));
}

#[tokio::test]
async fn limits_of_server_site_and_route_hold_together() {
    let origin = Origin::answering(200, &[], "unused");
    let site = r#"
        [[limit]]
        name = "wide"
        rate = "4/h"
        status = 503
        [[limit]]
        name = "narrow"
        rate = "1/h"
        [[site]]
        hosts = ["*"]
        route = [
            { path = "/a", answer = { body = "a" }, limit = ["narrow", "wide"] },
            { path = "/b", answer = { body = "b" } },
        ]
    "#;
    let proxy = Proxy::before(&origin)
        .table("server", "limit = [\"wide\"]")
        .sites(site)
        .start()
        .await;
    assert!(proxy.get("/a").await.is_good("a"));
    let narrow = proxy.get("/a").await;
    assert_eq!(narrow.status, 429);
    assert_eq!(
        narrow.field("ratelimit-policy"),
        Some("\"narrow\";q=1;w=3600")
    );
    assert_eq!(proxy.get("/nowhere").await.status, 404);
    assert!(proxy.get("/b").await.is_good("b"));
    for path in ["/a", "/b", "/nowhere"] {
        let wide = proxy.get(path).await;
        assert_eq!((wide.status, wide.says("detail=rate-limited")), (503, true));
    }
}

#[tokio::test]
async fn a_purge_is_not_limited() {
    let origin = Origin::answering(200, &[], "unused");
    let proxy = Proxy::before(&origin)
        .table("server", "purge_from = [\"127.0.0.1\"]")
        .sites(&answering("rate = \"1/h\""))
        .start()
        .await;
    assert!(proxy.get("/a").await.is_good("a"));
    let mut client = proxy.client().await;
    for _ in 0..3 {
        client.request("PURGE", "/a", &[]).await;
        assert_eq!(client.response().await.status, 200);
    }
}

/// A hundred thousand keys meet the table itself beside its code; here it is seen from outside.
#[tokio::test]
async fn a_flood_of_keys_is_held_in_bounded_memory() {
    const KEYS: usize = 8_000;
    let proxy = once("key = { header = \"x-api-key\" }\nkeys_max = 1024").await;
    let used_up = [("x-api-key", "mine")];
    let mut client = proxy.client().await;
    assert!(client.get_with("/a", &used_up).await.is_good("a"));
    for batch in 0..KEYS / 100 {
        let mut requests = String::new();
        for number in 0..100 {
            let key = batch * 100 + number;
            let head = "GET /a HTTP/1.1\r\nhost: a.test\r\nx-api-key:";
            write!(requests, "{head} {key}\r\n\r\n").expect("text grows");
        }
        client.send(requests).await;
        for _ in 0..100 {
            assert!(
                client.response().await.is_good("a"),
                "a new key has a burst"
            );
        }
    }
    let keys = proxy.metric("copal_limit_keys", "limit=\"api\"").await;
    assert!((900.0..=1024.0).contains(&keys), "{keys}");
}

#[tokio::test]
async fn a_reload_keeps_the_buckets_of_limits_that_stay_the_same() {
    let origin = Origin::answering(200, &[], "unused");
    let setup = |rate: &str, body: &str| {
        let sites = answering(&format!("rate = \"{rate}\""));
        let route = format!("route = [\n{{ path = \"/v\", answer = {{ body = \"{body}\" }} }},");
        let sites = sites.replace("route = [", &route);
        let sites = sites.replace("limit = [\"api\"]", "");
        let sites = sites.replace("path = \"/a\",", "path = \"/a\", limit = [\"api\"],");
        Proxy::before(&origin).sites(&sites)
    };
    let proxy = setup("1/h", "first").start().await;
    assert!(proxy.get("/a").await.is_good("a"));
    assert!(is_limited(&proxy.get("/a").await));

    proxy.configure(&setup("1/h", "second"));
    proxy.sighup();
    let reloaded = async || proxy.get("/v").await.is_good("second");
    eventually("the second configuration", reloaded).await;
    assert!(
        is_limited(&proxy.get("/a").await),
        "the bucket is empty still"
    );

    proxy.configure(&setup("2/h", "third"));
    proxy.sighup();
    let reloaded = async || proxy.get("/v").await.is_good("third");
    eventually("the third configuration", reloaded).await;
    assert!(proxy.get("/a").await.is_good("a"), "a new limit");
    assert_eq!(
        proxy.metric("copal_limited_total", "limit=\"api\"").await,
        2.0
    );
}

#[tokio::test]
async fn a_client_has_so_many_connections_and_no_more() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::before(&origin)
        .table("server", "connections_per_client_max = 2")
        .start()
        .await;
    let mut first = proxy.client().await;
    let mut second = proxy.client().await;
    for client in [&mut first, &mut second] {
        assert!(client.get("/a").await.is_good("hello"));
    }
    let mut third = proxy.client().await;
    assert_eq!(third.until_gone().await, b"");
    let refused = async || proxy.metric("copal_connections_refused_total", "").await == 1.0;
    eventually("the refusal to be counted", refused).await;
    assert_eq!(proxy.metric("copal_connections", "").await, 2.0);

    let mut other = Client::connect_from(OTHER, proxy.address()).await;
    assert!(other.get("/a").await.is_good("hello"), "another client");
    assert!(first.get("/a").await.is_good("hello"), "goes on");
    drop(first);
    let admitted = async || {
        let mut client = proxy.client().await;
        client.request("GET", "/a", &[]).await;
        client.try_response().await.is_some()
    };
    eventually("a place to become free", admitted).await;
}

/// One route to the origin on which so many may be under way.
fn with_room(concurrency_max: usize, cache: &str) -> String {
    format!(
        r#"
        [[site]]
        hosts = ["*"]
        [[site.route]]
        path = "/*"
        origin = "main"
        concurrency_max = {concurrency_max}
        {cache}
        "#
    )
}

#[tokio::test]
async fn a_full_route_says_so_until_a_response_has_ended() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.path != "/held" {
            return connection.respond(200, &[], "hello").await;
        }
        let fields = [("transfer-encoding", "chunked")];
        connection.begin(200, &fields).await;
        connection.chunk("first ").await;
        held.pass().await;
        connection.chunk("second").await;
        connection.chunk("").await;
    });
    let proxy = Proxy::before(&origin)
        .sites(&with_room(1, "cache = { enabled = false }"))
        .start()
        .await;
    let mut client = proxy.client().await;
    client.request("GET", "/held", &[]).await;
    assert_eq!(client.head().await.status(), 200);
    gate.arrived(1).await;
    let full = proxy.get("/a").await;
    assert_eq!((full.status, full.field("retry-after")), (503, Some("1")));
    assert!(full.says("detail=route-full"), "{full:?}");
    assert_eq!(origin.count("/a"), 0);
    gate.open();
    let body = (b"first second".to_vec(), End::Clean);
    assert_eq!(client.rest().await, body);
    let free = async || proxy.get("/a").await.is_good("hello");
    eventually("the place to be free", free).await;
}

#[tokio::test]
async fn a_full_route_serves_what_is_stored_fresh_or_stale() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| match &*request.path {
        "/held" => {
            held.pass().await;
            connection.respond(200, FRESH, "held").await;
        }
        "/old" => connection.respond(200, OLD, "old").await,
        _ => connection.respond(200, FRESH, "fresh").await,
    });
    let proxy = Proxy::before(&origin)
        .sites(&with_room(1, ""))
        .start()
        .await;
    for path in ["/old", "/fresh"] {
        // The place of the one before may not be free yet.
        let stored = async || proxy.get(path).await.status == 200;
        eventually("a page to be stored", stored).await;
    }
    let mut herd = proxy.herd(1, "/held").await;
    gate.arrived(1).await;
    assert!(proxy.get("/fresh").await.is_hit());
    let old = proxy.get("/old").await;
    assert!(
        old.is_good("old") && old.says("detail=stale-if-error"),
        "{old:?}"
    );
    let new = proxy.get("/new").await;
    assert!(
        new.status == 503 && new.says("detail=route-full"),
        "{new:?}"
    );
    assert_eq!((origin.count("/old"), origin.count("/new")), (1, 0));
    gate.open();
    assert!(responses(&mut herd).await[0].is_good("held"));
}

#[tokio::test]
async fn a_herd_takes_one_place() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::before(&origin)
        .sites(&with_room(1, ""))
        .start()
        .await;
    let mut herd = proxy.herd(20, "/a").await;
    gate.arrived(1).await;
    gate.open();
    for response in responses(&mut herd).await {
        assert!(response.is_good("hello"), "{response:?}");
    }
    assert_eq!(origin.count("/a"), 1);
}

/// Who leaves gives its place back.
#[tokio::test]
async fn a_place_goes_with_its_client() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| match &*request.path {
        "/held" => {
            held.pass().await;
            connection.peer_gone().await;
        }
        _ => connection.respond(200, &[], "hello").await,
    });
    let proxy = Proxy::before(&origin)
        .sites(&with_room(1, "cache = { enabled = false }"))
        .start()
        .await;
    let mut client = proxy.client().await;
    client.request("GET", "/held", &[]).await;
    gate.arrived(1).await;
    assert_eq!(proxy.get("/a").await.status, 503);
    client.reset();
    gate.open();
    let free = async || proxy.get("/a").await.is_good("hello");
    eventually("the place to be free", free).await;
}
