//! States and weights of servers as the operator sets them, and what a reload keeps of health.

use super::{PROBES, Server, good, pool, put, told, until_up};
use crate::harness::eventually;

#[tokio::test]
async fn states_and_weights_are_set_at_run_time_and_survive_a_reload() {
    let (one, two) = (Server::new(), Server::new());
    let (a, b) = (one.start("a"), two.start("b"));
    let setup = || pool(&[&a, &b], &["balance = \"round-robin\""]);
    let proxy = setup().start().await;
    let shares = async || {
        assert_eq!(good(&proxy, 20).await, 20);
        (one.answered(), two.answered())
    };
    assert_eq!(shares().await, (10, 10));
    for state in ["drain", "maintenance"] {
        let json = format!("{{\"state\":\"{state}\"}}");
        assert_eq!(put(&proxy, &a, &json).await, 200);
        assert_eq!(shares().await, (0, 20), "{state}");
        assert_eq!(told(&proxy, &a).await["state"], state);
    }
    assert_eq!(
        put(&proxy, &a, "{\"state\":\"ready\",\"weight\":4}").await,
        200
    );
    assert_eq!(shares().await, (16, 4));
    assert_eq!(put(&proxy, &b, "{\"state\":\"maintenance\"}").await, 200);
    let requests = proxy.metric("copal_origin_requests_total", "pool").await;
    proxy.configure(&setup());
    let reloaded = proxy
        .admin()
        .await
        .send_body("POST", "/api/v1/reload", "")
        .await;
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    assert_eq!(shares().await, (20, 0), "the state survives");
    let after = proxy.metric("copal_origin_requests_total", "pool").await;
    assert_eq!(after, requests + 20.0, "the counters survive");
    assert_eq!(put(&proxy, &b, "{\"state\":\"ready\"}").await, 200);
    assert_eq!(shares().await, (16, 4), "the weight survives");
    assert_eq!(put(&proxy, &a, "{\"weight\":null}").await, 200);
    assert_eq!(shares().await, (10, 10));
    for server in [&a, &b] {
        put(&proxy, server, "{\"state\":\"maintenance\"}").await;
    }
    let refused = proxy.get("/a").await;
    assert!(refused.says("detail=origin-no-server"), "{refused:?}");
}

#[tokio::test]
async fn what_the_operator_does_is_logged() {
    let one = Server::new();
    let a = one.start("a");
    let proxy = pool(&[&a], &[]).start().await;
    for (json, said) in [
        ("{\"state\":\"drain\"}", "state=\"drain\""),
        ("{\"state\":null}", "state=\"its agent's\""),
        ("{\"weight\":5}", "weight=\"5\""),
        ("{\"weight\":null}", "weight=\"configured\""),
    ] {
        assert_eq!(put(&proxy, &a, json).await, 200, "{json}");
        let said = format!("server=\"{}\" {said}\n", a.address());
        eventually(&said, async || proxy.stderr().contains(&said)).await;
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let one = Server::new();
    let a = one.start("a");
    let proxy = pool(&[&a], &[]).start().await;
    for json in [
        "",
        "{\"state\":\"off\"}",
        "{\"weight\":257}",
        "{\"weight\":-1}",
        "{\"x\":1}",
    ] {
        assert_eq!(put(&proxy, &a, json).await, 400, "{json}");
    }
    let mut admin = proxy.admin().await;
    let address = a.address();
    for path in [
        "/api/v1/origins/pool/servers/127.0.0.1:1".to_owned(),
        format!("/api/v1/origins/none/servers/{address}"),
        "/api/v1/origins/pool".to_owned(),
    ] {
        let answer = admin.send_body("PUT", &path, "{\"weight\":1}").await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(
        admin.get("/api/v1/origins/pool/servers/x").await.status,
        405
    );
}

/// What probes have found is not forgotten by a reload either.
#[tokio::test]
async fn health_survives_a_reload() {
    let (one, two) = (Server::new(), Server::new());
    let (a, b) = (one.start("a"), two.start("b"));
    let setup = || pool(&[&a, &b], &[PROBES]);
    let proxy = setup().start().await;
    one.probed(500);
    until_up(&proxy, &a, false).await;
    // The new pool's first probe does not end in time to find it out anew.
    let slow = "health = { path = \"/health\", interval = \"1h\", jitter = 1 }";
    proxy.configure(&pool(&[&a, &b], &[slow]));
    proxy
        .admin()
        .await
        .send_body("POST", "/api/v1/reload", "")
        .await;
    assert_eq!(told(&proxy, &a).await["up"], false);
    // Without probes nobody could find out that it is well again.
    proxy.configure(&pool(&[&a, &b], &[]));
    proxy
        .admin()
        .await
        .send_body("POST", "/api/v1/reload", "")
        .await;
    assert_eq!(told(&proxy, &a).await["up"], true);
    let probes = a.count("/health");
    assert_eq!(good(&proxy, 30).await, 30);
    assert_eq!(
        a.count("/health"),
        probes,
        "the old pool's probes have ended"
    );
}
