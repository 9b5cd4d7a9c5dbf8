//! QUERY: a safe question whose body is part of what is asked, so it is part of the key. The origin
//! answers with the body that it got.

use crate::harness::{Client, FRESH, Origin, Proxy, Response, eventually};

/// Answers a question with itself, and a GET with a word.
fn echoing() -> Origin {
    Origin::start(async |request, connection| {
        let (body, _) = connection.request_body().await;
        match &*request.method {
            "GET" => connection.respond(200, FRESH, "got").await,
            _ => connection.respond(200, FRESH, body).await,
        }
    })
}

async fn ask_as(client: &mut Client, path: &str, content_type: &str, body: &str) -> Response {
    let length = body.len().to_string();
    let fields = [("content-type", content_type), ("content-length", &*length)];
    client.request("QUERY", path, &fields).await;
    client.send(body).await;
    client.response().await
}

async fn ask(client: &mut Client, path: &str, body: &str) -> Response {
    ask_as(client, path, "application/json", body).await
}

#[tokio::test]
async fn the_same_question_is_asked_once() {
    let origin = echoing();
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for hit in [false, true, true] {
        let response = ask(&mut client, "/q", "[1]").await;
        assert!(response.is_good("[1]"), "{response:?}");
        assert_eq!(response.is_hit(), hit, "{response:?}");
    }
    assert_eq!(origin.count("/q"), 1);
    let asked = origin.last();
    assert_eq!(asked.method, "QUERY");
    assert_eq!(asked.field("content-type"), Some("application/json"));
}

/// However the body came: its bytes are the question, not its framing.
#[tokio::test]
async fn a_question_in_chunks_is_the_same_question() {
    let origin = echoing();
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    ask(&mut client, "/q", "[1]").await;
    let fields = [
        ("content-type", "application/json"),
        ("transfer-encoding", "chunked"),
    ];
    client.request("QUERY", "/q", &fields).await;
    client.send("2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n").await;
    let response = client.response().await;
    assert!(response.is_good("[1]") && response.is_hit(), "{response:?}");
}

#[tokio::test]
async fn another_question_has_another_answer() {
    let origin = echoing();
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    let questions = [
        ("/q", "application/json", "[1]"),
        ("/q", "application/json", "[2]"),
        ("/q", "application/json", ""),
        ("/q", "application/json", "[1] "),
        ("/q", "text/plain", "[1]"),
        ("/q?a", "application/json", "[1]"),
        ("/r", "application/json", "[1]"),
    ];
    for hit in [false, true] {
        for (path, content_type, body) in questions {
            let response = ask_as(&mut client, path, content_type, body).await;
            assert!(response.is_good(body), "{content_type}: {response:?}");
            assert_eq!(response.is_hit(), hit, "{path} {body}: {response:?}");
        }
    }
    assert_eq!(origin.requests().len(), questions.len());
}

/// QUERY is safe: it takes nothing out of the cache, and it is no GET.
#[tokio::test]
async fn a_question_and_a_page_leave_each_other_alone() {
    let origin = echoing();
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    assert!(client.get("/q").await.is_good("got"));
    for body in ["", "[1]"] {
        let response = ask(&mut client, "/q", body).await;
        assert!(response.is_good(body) && !response.is_hit(), "{response:?}");
        let page = client.get("/q").await;
        assert!(page.is_good("got") && page.is_hit(), "{page:?}");
    }
}

#[tokio::test]
async fn a_question_that_is_too_long_passes() {
    let origin = echoing();
    let lines = "query_body_max = \"16B\"";
    let proxy = Proxy::before(&origin).table("cache", lines).start().await;
    let mut client = proxy.client().await;
    let (short, long) = ("x".repeat(16), "x".repeat(17));
    for _ in 0..2 {
        let response = ask(&mut client, "/q", &long).await;
        assert!(
            response.is_good(&long) && !response.is_hit(),
            "{response:?}"
        );
    }
    ask(&mut client, "/q", &short).await;
    let response = ask(&mut client, "/q", &short).await;
    assert!(
        response.is_good(&short) && response.is_hit(),
        "{response:?}"
    );
}

/// One whose length nobody has said turns out too long when part of it has been read already.
#[tokio::test]
async fn a_question_that_grows_too_long_arrives_whole() {
    let origin = echoing();
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    let body = "0123456789abcdef".repeat(8 << 10);
    for _ in 0..2 {
        let fields = [
            ("content-type", "text/plain"),
            ("transfer-encoding", "chunked"),
        ];
        client.request("QUERY", "/q", &fields).await;
        for piece in body.as_bytes().chunks(10_000) {
            client.send(format!("{:x}\r\n", piece.len())).await;
            client.send(piece).await;
            client.send("\r\n").await;
        }
        client.send("0\r\n\r\n").await;
        let response = client.response().await;
        assert!(response.is_good(&body), "{} bytes", response.body.len());
        assert!(!response.is_hit());
    }
}

#[tokio::test]
async fn questions_may_be_kept_out_of_the_cache() {
    let origin = echoing();
    let lines = "query_body_max = 0";
    let proxy = Proxy::before(&origin).table("cache", lines).start().await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let response = ask(&mut client, "/q", "[1]").await;
        assert!(
            response.is_good("[1]") && !response.is_hit(),
            "{response:?}"
        );
    }
    assert_eq!(origin.count("/q"), 2);
}

#[tokio::test]
async fn an_answer_that_is_private_is_asked_for_each_time() {
    let origin = Origin::answering(200, &[("cache-control", "private")], "hello");
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let response = ask(&mut client, "/q", "[1]").await;
        assert!(response.is_good("hello") && !response.is_hit());
    }
}

#[tokio::test]
async fn a_purge_of_the_url_clears_all_its_questions() {
    let origin = echoing();
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    for body in ["[1]", "[2]"] {
        ask(&mut client, "/q", body).await;
        assert!(ask(&mut client, "/q", body).await.is_hit());
    }
    proxy.purge("{\"url\":\"http://example.test/q\"}").await;
    for body in ["[1]", "[2]"] {
        let response = ask(&mut client, "/q", body).await;
        assert!(!response.is_hit(), "{body}: {response:?}");
    }
}

/// RFC 9111 §4.4 speaks of the URI: what changes a page changes what is answered about it.
#[tokio::test]
async fn an_unsafe_method_on_the_url_clears_its_questions() {
    let origin = echoing();
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    ask(&mut client, "/q", "[1]").await;
    assert!(ask(&mut client, "/q", "[1]").await.is_hit());
    client.send_body("POST", "/q", "text").await;
    assert!(!ask(&mut client, "/q", "[1]").await.is_hit());
}

async fn question(proxy: &Proxy, body: &str) -> Response {
    proxy.client().await.send_body("QUERY", "/a", body).await
}

/// Anybody can ask many.
#[tokio::test]
async fn questions_push_no_page_out() {
    let origin = Origin::answering(200, FRESH, "hello");
    let limit = "variants_max = 4";
    let proxy = Proxy::before(&origin).table("store", limit).start().await;
    proxy.get("/a").await;
    for number in 0..8 {
        question(&proxy, &number.to_string()).await;
    }
    assert!(proxy.get("/a").await.is_hit());
}

/// What is read of questions takes its room where fills do; who finds none is passed on.
#[tokio::test]
async fn questions_that_stall_are_bounded_in_memory() {
    let origin = Origin::answering(200, FRESH, "hello");
    let sizes = "object_max = \"1MiB\"\nfill_memory = \"1MiB\"";
    let setup = Proxy::before(&origin).table("store", sizes);
    let setup = setup.table("cache", "query_body_max = \"1MiB\"");
    let proxy = setup.start().await;
    let mut stalling = proxy.client().await;
    let fields = [("content-length", "4")];
    stalling.request("QUERY", "/a", &fields).await;
    stalling.send("[1").await;
    let counted = async || proxy.metric("copal_fill_bytes", "").await > 0.0;
    eventually("the question to be counted", counted).await;
    let passed = question(&proxy, "[2]").await;
    assert!(
        passed.is_good("hello") && passed.says("fwd=bypass"),
        "{passed:?}"
    );
    stalling.send("2]").await;
    let response = stalling.response().await;
    assert!(
        response.is_good("hello") && response.says("stored"),
        "{response:?}"
    );
}
