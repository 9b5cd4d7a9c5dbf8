//! Requests that are sent again: after which failures, with which body, how often, and how soon.

use std::time::{Duration, Instant};

use crate::harness::{
    Connection, End, Gate, NO_STORE, Origin, Proxy, Request, Reserved, Setup, named,
};

/// Nobody is left alone for having failed: these stories are about single requests.
const PLAIN: &str = "balance = \"first\"\nejection = { enabled = false }\n\
                     first_byte_timeout = \"300ms\"\n";

/// A pool of these servers, asked in this order, and more lines of its table.
fn pool(servers: &[String], lines: &str) -> Setup {
    Proxy::before_all(servers, &format!("{PLAIN}{lines}"))
}

/// A server that fails each request in the way that its path names.
async fn fail(request: &Request, connection: &mut Connection) {
    match &*request.path {
        "/reset" => connection.reset(),
        "/close" => connection.close(),
        "/timeout" => connection.peer_gone().await,
        "/malformed" => {
            connection.send("ICY 200 OK\r\n\r\n").await;
            connection.close();
        }
        path => {
            let status = path.trim_start_matches('/').parse().expect("a status");
            connection.respond(status, NO_STORE, "failed").await;
        }
    }
}

/// How many requests were sent again with this label.
async fn retries(proxy: &Proxy, label: &str) -> f64 {
    proxy.metric("copal_origin_retries_total", label).await
}

// --- which failures ------------------------------------------------------------------------------

/// Each class of failure, with and without being named.
#[tokio::test]
async fn a_failure_is_tried_at_another_server_where_it_is_named() {
    for (path, name, status) in [
        ("/reset", "reset", 502),
        ("/close", "reset", 502),
        ("/timeout", "timeout", 504),
        ("/malformed", "malformed", 502),
        ("/500", "500", 500),
        ("/502", "502", 502),
        ("/503", "503", 503),
        ("/504", "504", 504),
        ("/404", "404", 404),
        ("/429", "429", 429),
    ] {
        let (failing, good) = (Origin::start(fail), named("good"));
        let servers = [failing.url(), good.url()];
        let is_status = name.parse::<u16>().is_ok();
        let why = if is_status { "status" } else { name };

        let lines = format!("retry = {{ on = [\"{name}\"] }}");
        let proxy = pool(&servers, &lines).start().await;
        let response = proxy.get(path).await;
        assert!(response.is_good("good"), "{path}: {response:?}");
        assert_eq!((failing.count(path), good.count(path)), (1, 1), "{path}");
        assert_eq!(
            retries(&proxy, &format!("why=\"{why}\"")).await,
            1.0,
            "{path}"
        );

        let lines = "retry = { on = [\"connect\", \"599\"] }";
        let proxy = pool(&servers, lines).start().await;
        let response = proxy.get(path).await;
        assert_eq!(response.status, status, "{path}: {response:?}");
        assert_eq!((failing.count(path), good.count(path)), (2, 1), "{path}");
        assert_eq!(retries(&proxy, "why").await, 0.0, "{path}");
    }
}

#[tokio::test]
async fn who_accepts_no_connection_is_passed_over_where_that_is_named() {
    let (gone, good) = (Reserved::new(), named("good"));
    let servers = [format!("http://{}", gone.address()), good.url()];
    let proxy = pool(&servers, "").start().await;
    assert!(proxy.get("/a").await.is_good("good"));
    assert_eq!(retries(&proxy, "why=\"connect\"").await, 1.0);
    // Not even a POST was sent to anybody.
    let posted = proxy.client().await.send_body("POST", "/a", "text").await;
    assert!(posted.is_good("good"), "{posted:?}");
    for lines in [
        "retry = { on = [\"reset\", \"timeout\"] }",
        "retry = { tries = 1 }",
    ] {
        let proxy = pool(&servers, lines).start().await;
        assert_eq!(proxy.get("/a").await.status, 502, "{lines}");
    }
}

/// Without a word about it only what is safe beyond doubt is done.
#[tokio::test]
async fn by_default_neither_timeouts_nor_statuses_are_tried_again() {
    let (failing, good) = (Origin::start(fail), named("good"));
    let proxy = pool(&[failing.url(), good.url()], "").start().await;
    for (path, status) in [("/timeout", 504), ("/503", 503), ("/malformed", 502)] {
        assert_eq!(proxy.get(path).await.status, status, "{path}");
        assert_eq!(good.count(path), 0, "{path}");
    }
    assert!(proxy.get("/reset").await.is_good("good"));
}

#[tokio::test]
async fn when_no_server_is_left_the_last_answer_is_passed_on() {
    let one = Origin::answering(503, NO_STORE, "one");
    let two = Origin::answering(503, NO_STORE, "two");
    let lines = "retry = { on = [\"503\"] }";
    let proxy = pool(&[one.url(), two.url()], lines).start().await;
    let response = proxy.get("/a").await;
    assert_eq!((response.status, response.end), (503, End::Clean));
    assert_eq!(response.text(), "two");
    assert_eq!((one.count("/a"), two.count("/a")), (1, 1));
}

#[tokio::test]
async fn a_post_that_may_have_been_acted_upon_is_not_sent_again() {
    let (failing, good) = (Origin::start(fail), named("good"));
    let lines = "retry = { on = [\"reset\", \"timeout\", \"503\"] }";
    let proxy = pool(&[failing.url(), good.url()], lines).start().await;
    for (path, status) in [("/reset", 502), ("/timeout", 504), ("/503", 503)] {
        let response = proxy.client().await.send_body("POST", path, "text").await;
        assert_eq!(response.status, status, "{path}: {response:?}");
        assert_eq!((failing.count(path), good.count(path)), (1, 0), "{path}");
    }
}

// --- bodies --------------------------------------------------------------------------------------

/// A server that says what it got.
fn echo() -> Origin {
    Origin::start(async |request, connection| {
        let (body, end) = connection.request_body().await;
        assert_eq!(end, End::Clean);
        let length = request
            .field("content-length")
            .unwrap_or("chunked")
            .to_owned();
        connection
            .respond(200, &[NO_STORE[0], ("x-length", &length)], body)
            .await;
    })
}

/// A server that fails after so many bytes of a body, in the way that the path names.
fn failing_after(bytes: usize) -> Origin {
    Origin::start(async move |request, connection| {
        if bytes > 0 {
            let (body, _) = connection.request_body().await;
            assert!(body.len() >= bytes);
        }
        fail(request, connection).await;
    })
}

#[tokio::test]
async fn a_body_is_sent_again_byte_for_byte() {
    let body = "0123456789abcdef".repeat(1000);
    for (method, path, bytes) in [
        ("PUT", "/reset", 0),
        ("PUT", "/reset", body.len()),
        ("DELETE", "/reset", body.len()),
        ("PUT", "/503", body.len()),
        ("PUT", "/timeout", body.len()),
        ("QUERY", "/503", body.len()),
    ] {
        let (failing, good) = (failing_after(bytes), echo());
        let lines = "retry = { on = [\"reset\", \"503\", \"timeout\"] }";
        let proxy = pool(&[failing.url(), good.url()], lines).start().await;
        let response = proxy.client().await.send_body(method, path, &body).await;
        assert!(
            response.is_good(&body),
            "{method} {path}: {}",
            response.status
        );
        let length = body.len().to_string();
        assert_eq!(response.field("x-length"), Some(&*length), "{method}");
        assert_eq!((failing.count(path), good.count(path)), (1, 1), "{method}");
    }
}

/// The first server fails when it has read half; what it read and what comes then reach the other.
#[tokio::test]
async fn a_body_of_which_half_was_sent_is_sent_whole() {
    let gate = Gate::new();
    let held = gate.clone();
    let failing = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.reset();
    });
    let good = echo();
    let proxy = pool(&[failing.url(), good.url()], "").start().await;
    let mut client = proxy.client().await;
    client
        .send("PUT /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        .await;
    gate.arrived(1).await;
    gate.open();
    crate::harness::eventually("the other server to be asked", async || {
        good.count("/a") == 1
    })
    .await;
    client.send("6\r\nsecond\r\n0\r\n\r\n").await;
    let response = client.response().await;
    assert!(response.is_good("firstsecond"), "{response:?}");
}

#[tokio::test]
async fn a_body_that_is_too_long_to_be_kept_is_sent_once() {
    for (length, is_chunked, status) in [
        (1024, false, 200),
        (1025, false, 502),
        (1024, true, 200),
        (1025, true, 502),
    ] {
        let body = "x".repeat(length);
        let (failing, good) = (failing_after(length), echo());
        let lines = "retry = { body_max = \"1KiB\" }";
        let proxy = pool(&[failing.url(), good.url()], lines).start().await;
        let mut client = proxy.client().await;
        let response = if is_chunked {
            let head = "PUT /reset HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            client.send(format!("{head}{chunk}")).await;
            client.response().await
        } else {
            client.send_body("PUT", "/reset", &body).await
        };
        assert_eq!(response.status, status, "{length} {is_chunked}");
        let reached = usize::from(status == 200);
        assert_eq!(good.count("/reset"), reached, "{length} {is_chunked}");
    }
}

// --- how many, and how soon ----------------------------------------------------------------------

/// With every server failing, whichever way, clients' requests become a fifth more and not thrice
/// as many.
#[tokio::test]
async fn a_storm_of_failures_stays_within_the_budget() {
    const CLIENTS: usize = 8;
    const EACH: usize = 60;
    let failing = [(); 3].map(|()| Origin::start(fail));
    let lines =
        "retry = { tries = 5, on = [\"reset\", \"503\", \"malformed\"], backoff = \"1ms\" }";
    let proxy = pool(&failing.each_ref().map(Origin::url), lines)
        .start()
        .await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = proxy.client().await;
        let path = ["/503", "/reset", "/malformed", "/503"][number % 4];
        clients.push(tokio::spawn(async move {
            for _ in 0..EACH {
                // A client of its own for each: nothing is shared, so nothing is asked only once.
                let response = client.get_with(path, &[("cookie", "a=1")]).await;
                assert!([502, 503].contains(&response.status), "{response:?}");
            }
        }));
    }
    for client in clients {
        client.await.expect("a client that got its answers");
    }
    let asked = CLIENTS * EACH;
    let seen: usize = failing.iter().map(|it| it.requests().len()).sum();
    assert!(seen > asked + asked / 10, "some are retried: {seen}");
    // What trickles where there are few requests is owed, five retries at the most at any moment.
    assert!(seen <= asked + asked / 5 + 5, "{seen} requests for {asked}");
    let counted = retries(&proxy, "why").await;
    assert_eq!(counted, (seen - asked) as f64);
}

#[tokio::test]
async fn without_a_budget_nothing_is_asked_twice() {
    let (failing, good) = (Origin::start(fail), named("good"));
    let lines = "retry = { budget = 0, on = [\"503\"] }";
    let proxy = pool(&[failing.url(), good.url()], lines).start().await;
    assert_eq!(proxy.get("/503").await.status, 503);
    assert_eq!(good.count("/503"), 0);
}

/// A server that fails its first two requests is waited for, where a wait is configured.
#[tokio::test]
async fn the_only_server_is_tried_again_after_a_wait() {
    let flaky = || {
        Origin::start(async |request, connection| match request.nth {
            1 | 2 => connection.reset(),
            _ => connection.respond(200, NO_STORE, "at last").await,
        })
    };
    let origin = flaky();
    let lines = "retry = { backoff = \"100ms\" }";
    let proxy = pool(&[origin.url()], lines).start().await;
    let began = Instant::now();
    assert!(proxy.get("/a").await.is_good("at last"));
    // Half of a hundred, and half of two hundred, at the least.
    assert!(began.elapsed() >= Duration::from_millis(150));
    assert_eq!(origin.count("/a"), 3);

    let origin = flaky();
    let proxy = pool(&[origin.url()], "").start().await;
    assert_eq!(proxy.get("/a").await.status, 502);
    assert_eq!(origin.count("/a"), 1, "no server is tried twice by default");
}

#[tokio::test]
async fn a_connection_that_died_in_the_pool_is_no_try() {
    let origin = Origin::start(async |_, connection| {
        if connection.served == 0 {
            return connection.respond(200, NO_STORE, "good").await;
        }
        connection.close();
    });
    let lines = "retry = { tries = 1, on = [] }";
    let proxy = pool(&[origin.url()], lines).start().await;
    assert!(proxy.get("/a").await.is_good("good"));
    assert!(proxy.get("/b").await.is_good("good"));
    assert_eq!(retries(&proxy, "why=\"stale\"").await, 1.0);
}
