//! Requests to go on with another protocol (RFC 9110 §7.8).

use crate::harness::{Fields, Origin, Proxy};

#[tokio::test]
async fn an_upgrade_that_is_not_understood_is_ignored() {
    let origin = Origin::answering(200, &[("cache-control", "max-age=60")], "hello");
    let proxy = Proxy::start(&origin).await;
    let upgrades: [Fields; 4] = [
        &[("connection", "upgrade"), ("upgrade", "TLS/1.0")],
        &[
            ("connection", "Upgrade, HTTP2-Settings"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
        ],
        // Without its connection option it says nothing.
        &[("upgrade", "websocket")],
        &[("connection", "upgrade")],
    ];
    for fields in upgrades {
        let response = proxy.get_with("/a", fields).await;
        assert_eq!(
            (response.status, &*response.text()),
            (200, "hello"),
            "{fields:?}"
        );
    }
    assert_eq!(origin.count("/a"), 1, "each is an ordinary request");
    assert_eq!(origin.last().field("upgrade"), None);
    assert_eq!(origin.last().field("http2-settings"), None);
}

#[tokio::test]
async fn a_websocket_is_refused_and_nothing_of_it_is_cached() {
    let origin = Origin::answering(200, &[("cache-control", "max-age=60")], "hello");
    let proxy = Proxy::start(&origin).await;
    let handshake: Fields = &[
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let refused = proxy.get_with("/a", handshake).await;
    assert_eq!(refused.status, 501, "{refused:?}");
    assert!(refused.says("detail=websocket"), "{refused:?}");
    assert_eq!(origin.count("/a"), 0);
    assert!(!proxy.get("/a").await.is_hit());
    assert_eq!(
        proxy.get_with("/a", handshake).await.status,
        501,
        "not even for a hit"
    );
}

#[tokio::test]
async fn http_1_0_cannot_ask_for_a_websocket() {
    let origin = Origin::answering(200, &[("cache-control", "max-age=60")], "hello");
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client
        .send("GET /a HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 200);
}
