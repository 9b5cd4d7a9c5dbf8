//! TLS of listeners of every kind: behind a PROXY header, before servers without it, and of the operator.

use tokio::io::AsyncWriteExt as _;

use super::tls::Scene;
use super::tls_connections::proxy;
use crate::harness::{Client, Greeting, Proxy, TempDir, command};

#[tokio::test]
async fn a_proxy_header_comes_before_the_handshake() {
    let scene = Scene::new();
    let setup = proxy(&scene, &scene.origin).table("[listen]", "accept_proxy = true");
    let issued = scene.authority.issue(&["a.example"]);
    issued.write(&scene.folder, "a");
    let proxy = setup.start().await;
    let tcp = tokio::net::TcpStream::connect(proxy.address()).await;
    let mut tcp = tcp.expect("a listener");
    tcp.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 5555 443\r\n")
        .await
        .expect("a listener");
    let stream = scene
        .to("a.example")
        .shake_over(tcp)
        .await
        .expect("a handshake");
    assert!(
        Client::over(stream)
            .asking_for("a.example")
            .get("/")
            .await
            .is_good("page")
    );
    assert_eq!(
        scene.origin.last().field("x-forwarded-for"),
        Some("192.0.2.7")
    );
}

#[tokio::test]
async fn a_tcp_listener_may_end_tls_before_servers_that_have_none() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["cache.example"]);
    let setup = Proxy::before_tcp(
        &[scene.origin.url().replace("http", "tcp")],
        "tls = true",
        "",
    );
    let proxy = setup.table("[certificate]", &issued.lines(&scene.folder, "a"));
    let proxy = proxy.start().await;
    let mut client = scene.to("cache.example").client(proxy.address()).await;
    assert!(client.get("/").await.is_good("page"));
    let with_alpn = scene.to("cache.example").offering(&["imap"]);
    assert!(
        with_alpn
            .client(proxy.address())
            .await
            .get("/")
            .await
            .is_good("page")
    );
    assert_eq!(proxy.announced("tcp"), [proxy.address()]);
}

#[tokio::test]
async fn operators_may_come_by_tls_and_a_reload_may_change_that() {
    let scene = Scene::new();
    let folder = TempDir::new();
    let issued = scene.authority.issue(&["localhost"]);
    let lines = issued.lines(&folder, "a");
    let with = |admin: &str| {
        Proxy::before(&scene.origin)
            .table("admin", admin)
            .table("[certificate]", &lines)
    };
    let proxy = with("tls = true").start().await;
    let admin = proxy.admin_address();
    let greeting: Greeting = scene.to("localhost");
    let health = greeting.client(admin).await.get("/healthz").await;
    assert_eq!(health.status, 200);
    let mut clear = Client::connect(admin).await;
    assert_eq!(clear.get("/healthz").await.status, 400);
    let at = format!("address = \"{admin}\"");
    let ca = scene
        .authority
        .write(&folder, "ca.pem")
        .display()
        .to_string();
    let by_tls = format!("https://localhost:{}", admin.port());
    let purge = ["purge", "--all", "--admin", &by_tls, "--admin-ca", &ca];
    let purged = command(&purge, folder.path()).await;
    assert!(purged.status.success(), "{purged:?}");
    let untrusted = command(&purge[..4], folder.path()).await;
    assert_eq!(untrusted.status.code(), Some(1), "{untrusted:?}");
    proxy.configure(&with("").without("admin").table("admin", &at));
    let answer = greeting
        .client(admin)
        .await
        .send_body("POST", "/api/v1/reload", "")
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        Client::connect(admin).await.get("/healthz").await.status,
        200
    );
}
