//! Keys that a site and a route may both set: the origin, how much a client may send, and how long
//! anybody may be silent. And the name of the hop, which is for all of them.

use crate::harness::{FRESH, Gate, Origin, Proxy, named};

#[tokio::test]
async fn a_route_that_names_no_origin_has_its_sites() {
    let (main, api) = (named("main"), named("api"));
    let proxy = Proxy::before(&main)
        .origin("origins.api", &api)
        .sites(
            r#"
            [[site]]
            hosts = ["*"]
            origin = "main"
            [[site.route]]
            path = "/img/*"
            response_fields.set = { x-route = "img" }
            [[site.route]]
            path = "/api/*"
            origin = "api"
            [[site.route]]
            path = "/old"
            redirect = { to = "/new" }
            "#,
        )
        .start()
        .await;
    for (path, name, route) in [
        ("/img/a", "main", Some("img")),
        ("/api/a", "api", None),
        ("/else", "main", None),
    ] {
        let response = proxy.get(path).await;
        assert!(response.is_good(name), "{path}: {response:?}");
        assert_eq!(response.field("x-route"), route, "{path}");
    }
    assert_eq!(proxy.get("/old").await.status, 302);
}

#[tokio::test]
async fn a_route_for_all_paths_may_lean_on_its_site() {
    let main = named("main");
    let proxy = Proxy::before(&main)
        .sites(
            r#"
            [[site]]
            hosts = ["*"]
            origin = "main"
            route = [{ path = "/*", response_fields = { set = { x-route = "all" } } }]
            "#,
        )
        .start()
        .await;
    let response = proxy.get("/a").await;
    assert!(response.is_good("main"), "{response:?}");
    assert_eq!(response.field("x-route"), Some("all"));
}

#[tokio::test]
async fn how_much_a_client_may_send_goes_by_the_route() {
    let origin = Origin::start(async move |_, connection| {
        connection.request_body().await;
        connection.respond(200, &[], "taken").await;
    });
    let proxy = Proxy::before(&origin)
        .table("server", "body_bytes_max = 10")
        .sites(
            r#"
            [[site]]
            hosts = ["*"]
            origin = "main"
            body_bytes_max = 20
            [[site.route]]
            path = "/upload"
            body_bytes_max = 40
            [[site.route]]
            path = "/small"
            body_bytes_max = "5B"
            [[site]]
            hosts = ["plain.test"]
            origin = "main"
            "#,
        )
        .start()
        .await;
    for (host, path, allowed) in [
        ("a.test", "/upload", 40),
        ("a.test", "/small", 5),
        ("a.test", "/else", 20),
        ("plain.test", "/upload", 10),
    ] {
        for (length, status) in [(allowed, 200), (allowed + 1, 413)] {
            let body = "x".repeat(length);
            let announced = proxy.client().await.asking_for(host);
            let response = { announced }.send_body("POST", path, &body).await;
            assert_eq!(response.status, status, "{host}{path} {length}");
            let chunk = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
            let mut client = proxy.client().await.asking_for(host);
            let fields = [("transfer-encoding", "chunked")];
            client.request("POST", path, &fields).await;
            client.send(&chunk).await;
            let status_of_chunks = client.response().await.status;
            assert_eq!(status_of_chunks, status, "chunked {host}{path} {length}");
        }
    }
}

#[tokio::test]
async fn how_long_an_origin_may_be_silent_goes_by_the_route() {
    let gate = Gate::new();
    let silent = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.path.ends_with("/silent") {
            silent.pass().await;
        }
        connection.respond(200, FRESH, "late").await;
    });
    let proxy = Proxy::before(&origin)
        .table(
            "origins.main",
            "first_byte_timeout = \"200ms\"\nretry.tries = 1",
        )
        .sites(
            r#"
            [[site]]
            hosts = ["*"]
            origin = "main"
            [[site.route]]
            path = "/report/*"
            first_byte_timeout = "1h"
            "#,
        )
        .start()
        .await;
    let mut patient = proxy.client().await;
    patient.request("GET", "/report/silent", &[]).await;
    gate.arrived(1).await;
    assert_eq!(proxy.get("/silent").await.status, 504);
    assert_eq!(proxy.get("/silent").await.status, 504);
    gate.open();
    assert!(patient.response().await.is_good("late"));
}

#[tokio::test]
async fn a_client_may_be_silent_for_as_long_as_its_route_says() {
    let gate = Gate::new();
    let begun = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        begun.pass().await;
        connection.request_body().await;
        connection.respond(200, &[], "taken").await;
    });
    gate.open();
    let proxy = Proxy::before(&origin)
        .table("server", "body_timeout = \"200ms\"")
        .sites(
            r#"
            [[site]]
            hosts = ["*"]
            origin = "main"
            [[site.route]]
            path = "/slow"
            body_timeout = "1h"
            "#,
        )
        .start()
        .await;
    let (mut slow, mut quick) = (proxy.client().await, proxy.client().await);
    let fields = [("content-length", "2")];
    for (client, path) in [(&mut slow, "/slow"), (&mut quick, "/quick")] {
        client.request("POST", path, &fields).await;
        client.send("a").await;
    }
    let cut = quick.try_response().await;
    assert!(cut.is_none_or(|it| it.status == 408));
    slow.send("b").await;
    assert!(slow.response().await.is_good("taken"));
}

#[tokio::test]
async fn a_hop_may_have_a_name() {
    let origin = Origin::answering(200, FRESH, "page");
    let proxy = Proxy::before(&origin)
        .top("name = \"edge-1\"")
        .start()
        .await;
    let miss = proxy.get("/a").await;
    assert_eq!(origin.last().head.fields("via"), ["1.1 edge-1"]);
    let hit = proxy.get("/a").await;
    for (response, says) in [
        (&miss, "edge-1; fwd=uri-miss; stored"),
        (&hit, "edge-1; hit"),
    ] {
        let status = response.head.fields("cache-status").join(", ");
        assert!(status.starts_with(says), "{status}");
        assert_eq!(response.head.fields("via"), ["1.1 edge-1"]);
    }
    let ours = proxy.send("TRACE", "/a", &[]).await;
    assert_eq!(
        ours.head.fields("cache-status"),
        ["edge-1; detail=method-refused"]
    );
    assert_eq!(ours.head.fields("via"), ["1.1 edge-1"]);
}
