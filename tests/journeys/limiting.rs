//! How many connections each client may have.

use std::net::Ipv4Addr;

use crate::harness::{Client, Fields, Origin, Proxy, eventually};

const FRESH: Fields<'static> = &[("cache-control", "max-age=60")];

const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

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
