//! What anybody tries first: a hit and what its fields say, and the command line.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::harness::{FRESH, Origin, Proxy, TempDir, command, http_date};

// --- a hit ---------------------------------------------------------------------------------------

#[tokio::test]
async fn the_second_get_is_a_hit() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;

    let miss = proxy.get("/a").await;
    assert!(miss.is_good("hello"), "{miss:?}");
    assert!(
        miss.cache_status().starts_with("copal; fwd=uri-miss"),
        "{miss:?}"
    );
    assert!(miss.says("stored") && !miss.is_hit(), "{miss:?}");
    assert_eq!(miss.age(), None, "Age is for what comes from the cache");

    let hit = proxy.get("/a").await;
    assert!(hit.is_good("hello"), "{hit:?}");
    assert!(hit.cache_status().starts_with("copal; hit"), "{hit:?}");
    assert!(hit.age().is_some_and(|it| it < 30), "{hit:?}");
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn via_names_us_in_both_directions() {
    let origin = Origin::answering(200, &[("via", "1.0 inner")], "hello");
    let proxy = Proxy::start(&origin).await;
    let response = proxy.get_with("/a", &[("via", "1.0 outer")]).await;
    assert_eq!(
        response.head.fields("via").join(", "),
        "1.0 inner, 1.1 copal"
    );
    assert_eq!(
        origin.last().head.fields("via").join(", "),
        "1.0 outer, 1.1 copal"
    );
}

#[tokio::test]
async fn a_stored_get_answers_a_head() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let mut client = proxy.client().await;
    client.request("HEAD", "/a", &[]).await;
    let head = client.response().await;
    assert!(head.is_hit() && head.body.is_empty(), "{head:?}");
    assert_eq!(head.field("content-length"), Some("5"));
    assert!(
        client.get("/a").await.is_good("hello"),
        "the connection is still in step"
    );
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn origin_fields_pass_unchanged_on_a_miss_and_on_a_hit() {
    let date = http_date(-5);
    let dated = date.clone();
    let origin = Origin::start(async move |_, connection| {
        let fields = [
            ("cache-control", "max-age=60, x-unknown=\"a, b\""),
            ("date", &dated),
            ("etag", "W/\"1\""),
            ("x-many", "one"),
            ("x-many", "two"),
            ("server", "Scripted/1.0"),
        ];
        connection.respond(200, &fields, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    for _ in 0..2 {
        let response = proxy.get("/a").await;
        assert_eq!(
            response.field("cache-control"),
            Some("max-age=60, x-unknown=\"a, b\"")
        );
        assert_eq!(
            response.head.fields("date"),
            [&date],
            "an origin's Date is its own"
        );
        assert_eq!(response.head.fields("x-many"), ["one", "two"]);
        assert_eq!(response.field("etag"), Some("W/\"1\""));
        assert_eq!(response.field("server"), Some("Scripted/1.0"));
    }
}

/// RFC 9110 §7.6.1: "Intermediaries MUST parse a received Connection header field before a message
/// is forwarded and, for each connection-option in this field, remove any header or trailer
/// field(s) from the message with the same name".
#[tokio::test]
async fn hop_by_hop_fields_stay_on_their_hop() {
    let fields = &[
        ("connection", "x-private"),
        ("x-private", "secret"),
        ("keep-alive", "timeout=5"),
        ("cache-control", "max-age=60"),
        ("x-public", "kept"),
    ];
    let origin = Origin::answering(200, fields, "hello");
    let proxy = Proxy::start(&origin).await;
    let asked = [
        ("Connection", "x-mine"),
        ("X-Mine", "secret"),
        ("TE", "trailers"),
        ("Upgrade", "h2c"),
        ("Proxy-Connection", "keep-alive"),
        ("X-Kept", "kept"),
    ];
    let miss = proxy.get_with("/a", &asked).await;
    let hit = proxy.get("/a").await;
    for response in [miss, hit] {
        assert_eq!(response.field("x-public"), Some("kept"));
        assert!(response.field("x-private").is_none(), "{response:?}");
        assert!(response.field("keep-alive").is_none(), "{response:?}");
    }
    let seen = origin.last();
    assert_eq!(seen.field("x-kept"), Some("kept"));
    for name in ["x-mine", "te", "upgrade", "proxy-connection"] {
        assert!(
            seen.field(name).is_none(),
            "{name} was forwarded: {}",
            seen.head
        );
    }
}

#[tokio::test]
async fn hosts_and_queries_do_not_share() {
    let origin = Origin::start(async |request, connection| {
        let body = format!(
            "{} {}",
            request.field("host").unwrap_or("none"),
            request.path
        );
        connection.respond(200, FRESH, body).await;
    });
    let proxy = Proxy::start(&origin).await;
    for _ in 0..2 {
        for (host, path) in [
            ("one.test", "/a"),
            ("two.test", "/a"),
            ("one.test", "/a?b"),
            ("one.test", "/A"),
        ] {
            let response = proxy.get_with(path, &[("host", host)]).await;
            assert!(response.is_good(&format!("{host} {path}")), "{response:?}");
        }
    }
    assert_eq!(origin.requests().len(), 4);
}

/// RFC 9110 §4.2.3: host case and the scheme's default port make no other resource.
#[tokio::test]
async fn one_host_in_other_letters_is_the_same_host() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    proxy.get_with("/a", &[("host", "one.test")]).await;
    for host in ["ONE.test", "one.test:80"] {
        assert!(
            proxy.get_with("/a", &[("host", host)]).await.is_hit(),
            "{host}"
        );
    }
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for path in ["/a", "/b", "/a", "/b"] {
        assert!(client.get(path).await.is_good("hello"));
    }
    assert_eq!(
        origin.connections(),
        1,
        "the origin's connection is kept, too"
    );
}

/// RFC 9112 §6.1: "A server MUST NOT send a response containing Transfer-Encoding unless the
/// corresponding request indicates HTTP/1.1 (or later minor revisions)."
#[tokio::test]
async fn an_old_client_gets_no_chunks() {
    let origin = Origin::start(async |_, connection| {
        connection
            .begin(200, &[("transfer-encoding", "chunked")])
            .await;
        connection.chunk("hel").await;
        connection.chunk("lo").await;
        connection.chunk("").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    client
        .send("GET /a HTTP/1.0\r\nHost: example.test\r\n\r\n")
        .await;
    let response = client.response().await;
    assert!(response.is_good("hello"), "{response:?}");
    assert!(
        response.field("transfer-encoding").is_none(),
        "{response:?}"
    );
}

#[tokio::test]
async fn http2_by_prior_knowledge_is_served_from_the_same_cache() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;

    let stream = TcpStream::connect(proxy.address())
        .await
        .expect("a listener");
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    let request = http::Request::get("http://example.test/a").body(Empty::<Bytes>::new());
    let response = sender
        .send_request(request.expect("a request"))
        .await
        .expect("a response");
    assert_eq!(response.status(), 200);
    let status = response.headers()["cache-status"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(status.starts_with("copal; hit"), "{status}");
    let body = response
        .into_body()
        .collect()
        .await
        .expect("a whole body")
        .to_bytes();
    assert_eq!(body, "hello");
    assert_eq!(origin.requests().len(), 1);
}

// --- the command line ----------------------------------------------------------------------------

#[tokio::test]
async fn flags_start_a_proxy_without_a_file() {
    let origin = Origin::answering(200, FRESH, "hello");
    let url = origin.url();
    let proxy = Proxy::run(&["--listen", "127.0.0.1:0", "--origin", &url]).await;
    assert!(proxy.get("/a").await.is_good("hello"));
    assert!(proxy.get("/a").await.is_hit());
}

#[tokio::test]
async fn check_tells_every_mistake_with_its_line_and_exits_with_2() {
    let folder = TempDir::new();
    let good = "[[listen]]\naddress = \"127.0.0.1:0\"\n\n[origins.main]\n\
                servers = [\"http://127.0.0.1:1\"]\n\n[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n";
    folder.write("good.toml", good);
    let output = command(&["check", "-c", "good.toml"], folder.path()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");

    let bad = good.replace("origin = \"main\"", "origin = \"mian\"\nunheard = 1");
    folder.write("bad.toml", &bad);
    for arguments in [["check", "-c", "bad.toml"], ["run", "-c", "bad.toml"]] {
        let output = command(&arguments, folder.path()).await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("bad.toml:9:") && said.contains("main"),
            "{said}"
        );
        assert!(
            said.contains("bad.toml:10:") && said.contains("unheard"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn bad_arguments_exit_with_2() {
    let folder = TempDir::new();
    for arguments in [
        &["fly"][..],
        &["run", "--listen", "nowhere"],
        &["check", "-c", "none.toml"],
    ] {
        let output = command(arguments, folder.path()).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}
