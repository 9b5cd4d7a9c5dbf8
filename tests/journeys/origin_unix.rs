//! Servers that listen on a socket in the file system.

use std::fs;

use crate::harness::{Proxy, TempDir, UnixDoor, eventually, named};

#[tokio::test]
async fn a_server_behind_a_socket_is_asked_as_any_other() {
    let (origin, folder) = (named("page"), TempDir::new());
    let path = folder.path().join("app.sock");
    let _door = UnixDoor::before(&origin, &path);
    let url = format!("unix:{}", path.display());
    let proxy = Proxy::before_url(&url).start().await;
    let mut client = proxy.client().await;
    for path in ["/a", "/b"] {
        let response = client.get_with(path, &[("host", "shop.test")]).await;
        assert!(response.is_good("page"), "{response:?}");
    }
    assert_eq!(origin.connections(), 1, "the connection is kept");
    assert_eq!(origin.last().field("x-forwarded-for"), Some("127.0.0.1"));
    // What is known of it goes by the socket's path.
    let label = format!("server=\"{url}\"");
    assert_eq!(
        proxy.metric("copal_origin_requests_total", &label).await,
        2.0
    );
    let path = format!("/api/v1/origins/main/servers/{url}");
    let json = "{\"state\":\"maintenance\"}";
    let adjusted = proxy.admin().await.send_body("PUT", &path, json).await;
    assert_eq!(adjusted.status, 200, "{adjusted:?}");
    assert_eq!(proxy.get("/c").await.status, 503);
}

#[tokio::test]
async fn a_host_may_be_given_to_a_server_that_has_none() {
    let (origin, folder) = (named("page"), TempDir::new());
    let path = folder.path().join("app.sock");
    let _door = UnixDoor::before(&origin, &path);
    let url = format!("unix:{}", path.display());
    let setup = Proxy::before_url(&url).table("origins.main", "host = \"app.internal\"");
    let proxy = setup.start().await;
    assert!(proxy.get("/a").await.is_good("page"));
    assert_eq!(origin.last().field("host"), Some("app.internal"));
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_a_refused_connection() {
    let (origin, folder) = (named("other"), TempDir::new());
    let gone = format!("unix:{}", folder.path().join("gone.sock").display());
    let proxy = Proxy::before_url(&gone).start().await;
    let response = proxy.get("/a").await;
    assert_eq!(response.status, 502);
    assert!(response.says("detail=origin-refused"), "{response:?}");
    let servers = format!(
        "servers = [\"{gone}\", \"{}\"]\nbalance = \"first\"",
        origin.url()
    );
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .table("origins.pool", &servers)
        .sites("[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n")
        .start()
        .await;
    assert!(proxy.get("/a").await.is_good("other"));
}

#[tokio::test]
async fn sockets_are_probed() {
    let (origin, folder) = (named("page"), TempDir::new());
    let path = folder.path().join("app.sock");
    let door = UnixDoor::before(&origin, &path);
    let health = "health = { path = \"/health\", interval = \"50ms\", rise = 1, fall = 1 }";
    let url = format!("unix:{}", path.display());
    let setup = Proxy::before_url(&url).table("origins.main", health);
    let proxy = setup.start().await;
    eventually("a probe", async || origin.count("/health") > 0).await;
    let probe = origin.last();
    assert_eq!(probe.field("host"), Some("localhost"));
    let is_up = async |up| proxy.metric("copal_origin_up", "").await == up;
    eventually("the server to be up", async || is_up(1.0).await).await;
    drop(door);
    fs::remove_file(&path).expect("a socket");
    eventually("the server to be down", async || is_up(0.0).await).await;
}
