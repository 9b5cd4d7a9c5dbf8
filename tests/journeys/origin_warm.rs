//! Connections to origins that are there before they are needed, and that do not grow old.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::harness::{Gate, Http2Origin, Origin, Proxy, Reserved, eventually, within};

/// What the admin endpoint says of the one server.
async fn server(proxy: &Proxy) -> Value {
    let text = proxy.admin().await.get("/api/v1/origins").await.text();
    let origins: Value = serde_json::from_str(&text).expect("JSON");
    origins["main"]["servers"][0].clone()
}

#[tokio::test]
async fn connections_are_there_before_the_first_request() {
    let origin = Origin::answering(200, &[("cache-control", "no-store")], "page");
    let proxy = Proxy::before(&origin).table("origins.main", "idle_min = 3");
    let proxy = proxy.start().await;
    eventually("three connections", async || origin.open_connections() == 3).await;
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(
        proxy.metric("copal_origin_idle_connections", "main").await,
        3.0
    );
    for _ in 0..4 {
        assert!(proxy.get("/a").await.is_good("page"));
    }
    assert_eq!(origin.connections(), 3, "no request needed another");
    let server = server(&proxy).await;
    assert_eq!(
        (&server["connections"], &server["reuse_ratio"]),
        (&3.into(), &1.0.into())
    );
}

#[tokio::test]
async fn connections_that_end_are_replaced() {
    let origin = Origin::start(async |_, connection| {
        connection
            .respond(200, &[("cache-control", "no-store")], "page")
            .await;
        connection.close();
    });
    let proxy = Proxy::before(&origin).table("origins.main", "idle_min = 2");
    let proxy = proxy.start().await;
    for connections in [2, 3, 4] {
        let ready = async || (origin.connections(), origin.open_connections()) == (connections, 2);
        eventually("two connections", ready).await;
        assert!(proxy.get("/a").await.is_good("page"));
    }
}

#[tokio::test]
async fn connections_are_opened_when_the_server_comes() {
    let reserved = Reserved::new();
    let proxy = Proxy::before_url(&format!("http://{}", reserved.address()));
    let proxy = proxy.table("origins.main", "idle_min = 2").start().await;
    let tried = async || {
        proxy
            .metric("copal_origin_errors_total", "origin-refused")
            .await
            > 0.0
    };
    eventually("a vain try", tried).await;
    let origin = reserved.start(async |_, connection| connection.respond(200, &[], "page").await);
    eventually("two connections", async || origin.open_connections() == 2).await;
}

/// A server in maintenance is asked for nothing, connections included.
#[tokio::test]
async fn servers_that_are_out_are_left_alone() {
    let origin = Origin::start(async |_, connection| {
        connection
            .respond(200, &[("cache-control", "no-store")], "page")
            .await;
        connection.close();
    });
    let proxy = Proxy::before(&origin).table("origins.main", "idle_min = 1");
    let proxy = proxy.start().await;
    eventually("a connection", async || origin.open_connections() == 1).await;
    let path = format!("/api/v1/origins/main/servers/{}", origin.address());
    let json = "{\"state\":\"drain\"}";
    assert_eq!(
        proxy
            .admin()
            .await
            .send_body("PUT", &path, json)
            .await
            .status,
        200
    );
    let connections = origin.connections();
    // Longer than the pause between two openings.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(origin.connections(), connections);
}

#[tokio::test]
async fn connections_of_http2_are_there_as_well() {
    let origin = Http2Origin::start(async |_, exchange| {
        exchange.respond(200, &[], "page").await;
    })
    .await;
    let lines = "http_version = \"2\"\nidle_min = 2";
    let proxy = Proxy::before_url(&origin.url()).table("origins.main", lines);
    let proxy = proxy.start().await;
    let ready = async || proxy.metric("copal_origin_idle_connections", "main").await == 2.0;
    eventually("two connections", ready).await;
    assert!(proxy.get("/a").await.is_good("page"));
    assert_eq!((origin.connections(), origin.requests().len()), (2, 1));
}

/// Whoever speaks before being asked has nothing to say to our clients.
#[tokio::test]
async fn what_a_server_says_unasked_is_nobodys_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let proxy = Proxy::before_url(&url).table("origins.main", "idle_min = 1");
    let proxy = proxy.start().await;
    let (mut first, _) = within("a connection", listener.accept()).await.unwrap();
    first
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        .await
        .unwrap();
    let ended = within("its end", first.read(&mut [0; 64])).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let mut client = proxy.client().await;
    client.request("GET", "/a", &[]).await;
    let (mut second, _) = within("another connection", listener.accept())
        .await
        .unwrap();
    within("a request", second.read(&mut [0; 1024]))
        .await
        .unwrap();
    second
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood")
        .await
        .unwrap();
    assert!(client.response().await.is_good("good"));
}

#[tokio::test]
async fn an_old_connection_is_not_used_again() {
    let origin = Origin::answering(200, &[("cache-control", "no-store")], "page");
    let of_http2 = Http2Origin::start(async |_, exchange| {
        exchange
            .respond(200, &[("cache-control", "no-store")], "page")
            .await;
    })
    .await;
    for (url, version) in [(origin.url(), "1.1"), (of_http2.url(), "2")] {
        let lines = format!("http_version = \"{version}\"\nage_max = \"200ms\"");
        let proxy = Proxy::before_url(&url).table("origins.main", &lines);
        let proxy = proxy.start().await;
        for connects in [1.0, 2.0] {
            assert!(proxy.get("/a").await.is_good("page"));
            let connected = proxy.metric("copal_origin_connects_total", "main").await;
            assert_eq!(connected, connects, "{version}");
            let over = async || proxy.metric("copal_origin_connections", "main").await == 0.0;
            eventually("the connection to be closed", over).await;
        }
    }
}

/// Age is no reason to cut what is under way.
#[tokio::test]
async fn what_an_old_connection_has_begun_it_ends() {
    let gate = Gate::new();
    let (held, held_by_http2) = (gate.clone(), gate.clone());
    let origin = Origin::start(async move |_, connection| {
        connection.begin(200, &[("content-length", "4")]).await;
        connection.send("pa").await;
        held.pass().await;
        connection.send("ge").await;
    });
    let of_http2 = Http2Origin::start(async move |_, exchange| {
        exchange.begin(200, &[]);
        exchange.data("pa").await;
        held_by_http2.pass().await;
        exchange.data("ge").await;
        exchange.end();
    })
    .await;
    let lines = "age_max = \"50ms\"";
    let one = Proxy::before(&origin)
        .table("origins.main", lines)
        .start()
        .await;
    let lines = "age_max = \"50ms\"\nhttp_version = \"2\"";
    let two = Proxy::before_url(&of_http2.url()).table("origins.main", lines);
    let two = two.start().await;
    let mut clients = [one.client().await, two.client().await];
    for client in &mut clients {
        client.request("GET", "/a", &[]).await;
    }
    gate.arrived(2).await;
    // Well beyond the age, and some ticks of the pool.
    tokio::time::sleep(Duration::from_millis(500)).await;
    gate.open();
    for mut client in clients {
        assert!(client.response().await.is_good("page"));
    }
}
