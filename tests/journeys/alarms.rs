//! What an operator hears of trouble without asking: lines on standard error at the default level, and
//! the figures that alarms are made of.

use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{
    FRESH, NO_STORE, Origin, Proxy, Reserved, Setup, TempDir, command, eventually,
};

/// The lines on standard error with all of these words.
fn lines(proxy: &Proxy, words: &[&str]) -> Vec<String> {
    let all = proxy.stderr();
    let has = |line: &&str| words.iter().all(|word| line.contains(word));
    all.lines().filter(has).map(str::to_owned).collect()
}

async fn until_said(proxy: &Proxy, words: &[&str]) -> String {
    eventually(&format!("a line with {words:?}"), async || {
        !lines(proxy, words).is_empty()
    })
    .await;
    lines(proxy, words).remove(0)
}

/// The table of `copal servers`.
async fn table(proxy: &Proxy) -> String {
    let admin = proxy.admin_address().to_string();
    let Output { stdout, .. } =
        command(&["servers", "--admin", &admin], TempDir::new().path()).await;
    String::from_utf8(stdout).expect("text")
}

/// It was silent: all clients had their 502, and every figure said that all was well.
#[tokio::test]
async fn an_origin_that_is_down_is_told_shown_and_counted_and_so_is_its_return() {
    let place = Reserved::new();
    let server = place.address().to_string();
    let proxy = Proxy::before_url(&format!("http://{server}")).start().await;
    for _ in 0..3 {
        assert_eq!(proxy.get("/a?b").await.status, 502);
    }
    let failed = until_said(&proxy, &["WARN", "request failed"]).await;
    for word in [
        "main",
        &server,
        "http://example.test/a?b",
        "refused the connection",
    ] {
        assert!(failed.contains(word), "{word} in {failed}");
    }
    let sick = until_said(&proxy, &["WARN", "server sick"]).await;
    assert!(sick.contains(&server) && sick.contains("refused"), "{sick}");
    assert_eq!(proxy.metric("copal_origin_up", "main").await, 0.0);
    let shown = table(&proxy).await;
    assert!(
        shown.contains("sick: the server refused the connection"),
        "{shown}"
    );

    let origin = place.start(async |_, connection| {
        connection.respond(200, NO_STORE, "hello").await;
    });
    assert!(proxy.get("/a?b").await.is_good("hello"));
    until_said(&proxy, &["WARN", "server well again", &server]).await;
    assert_eq!(proxy.metric("copal_origin_up", "main").await, 1.0);
    assert!(table(&proxy).await.contains("usable"));
    drop(origin);
}

#[tokio::test]
async fn a_server_that_only_says_that_it_cannot_is_sick_too() {
    let origin = Origin::answering(503, NO_STORE, "no");
    let proxy = Proxy::start(&origin).await;
    for _ in 0..3 {
        assert_eq!(proxy.get("/a").await.status, 503);
    }
    until_said(&proxy, &["server sick", "it answers with status 503"]).await;
    assert_eq!(proxy.metric("copal_origin_up", "main").await, 0.0);
}

#[tokio::test]
async fn the_end_of_an_illness_that_probes_have_seen_is_as_grave_as_its_beginning() {
    let place = Reserved::new();
    let url = format!("http://{}", place.address());
    let probes = "health = { path = \"/\", interval = \"20ms\", fall = 1, rise = 1 }";
    let setup = Proxy::before_url(&url).table("origins.main", probes);
    let proxy = setup.table("log", "level = \"warn\"").start().await;
    until_said(&proxy, &["WARN", "server down"]).await;
    let origin = place.start(async |_, connection| connection.respond(200, &[], "").await);
    until_said(&proxy, &["WARN", "server up"]).await;
    drop(origin);
}

/// A thousand failures a second are no thousand lines.
#[tokio::test]
async fn failed_requests_have_a_line_a_second_and_the_rest_are_counted() {
    let proxy = Proxy::before_url(&format!("http://{}", Reserved::new().address()));
    let proxy = proxy.start().await;
    let (mut client, began) = (proxy.client().await, Instant::now());
    for _ in 0..200 {
        assert_eq!(client.get("/a").await.status, 502);
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).expect("a few");
    let rest = until_said(&proxy, &["WARN", "requests failed", "untold="]).await;
    let told = lines(&proxy, &["WARN", "request failed"]).len();
    assert!(told <= seconds + 2, "{told} lines in {seconds} s");
    let counted = async || {
        let untold = |line: &String| {
            let number = line.split("untold=").nth(1)?.split(' ').next()?;
            number.parse::<usize>().ok()
        };
        let told = lines(&proxy, &["WARN", " request failed"]);
        let all = lines(&proxy, &["WARN", "untold="]);
        told.len() + all.iter().filter_map(untold).sum::<usize>() == 200
    };
    eventually(&format!("all 200 to be accounted for: {rest}"), counted).await;
}

#[tokio::test]
async fn an_answer_that_is_broken_off_is_told() {
    let origin = Origin::start(async |_, connection| {
        connection.begin(200, &[("content-length", "10")]).await;
        connection.send("hello").await;
        connection.close();
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let server = origin.address().to_string();
    until_said(&proxy, &["WARN", "answer broken off", "main", &server]).await;
}

fn logging(setup: Setup, lines: &str) -> (Setup, TempDir, std::path::PathBuf) {
    let folder = TempDir::new();
    let path = folder.path().join("access.log");
    let table = format!("access = {path:?}\n{lines}");
    (setup.table("log", &table), folder, path)
}

/// hyper answers these by itself, before there is a request.
#[tokio::test]
async fn what_is_no_request_is_in_the_access_log() {
    let origin = Origin::answering(200, FRESH, "hello");
    let limits = "header_bytes_max = \"256KiB\"\ntarget_bytes_max = \"60KiB\"";
    let setup = Proxy::before(&origin).table("server", limits);
    let (setup, folder, path) = logging(setup, "format = \"json\"");
    let proxy = setup.start_in(folder).await;
    let long = "a".repeat(70 * 1024);
    let huge = "a".repeat(300 * 1024);
    let rows = [
        (
            400,
            "unparsable",
            "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            "GET /a b HTTP/1.1",
        ),
        (
            400,
            "unparsable",
            "hello\"\x07\r\n\r\n".to_owned(),
            "hello\"\x07",
        ),
        (
            414,
            "target-too-long",
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            "GET /aaa",
        ),
        (
            431,
            "head-too-long",
            format!("GET / HTTP/1.1\r\nA: {huge}\r\n\r\n"),
            "GET / HTTP/1.1",
        ),
    ];
    for (index, (status, detail, bytes, line)) in rows.iter().enumerate() {
        let mut client = proxy.client().await;
        client.send(bytes).await;
        assert_eq!(client.response().await.status, *status, "{line}");
        let text = || fs::read_to_string(&path).unwrap_or_default();
        eventually("a line", async || text().lines().count() > index).await;
        let text = text();
        let record = text.lines().nth(index).expect("a line");
        let record: Value = serde_json::from_str(record).expect("JSON");
        assert_eq!(record["status"], *status, "{record}");
        assert_eq!(record["detail"], *detail, "{record}");
        assert_eq!(record["client"], "127.0.0.1", "{record}");
        let target = record["target"].as_str().expect("a text");
        assert!(target.starts_with(line), "{line}: {target}");
    }
    assert_eq!(proxy.metric("copal_bad_requests_total", "").await, 4.0);
    assert_eq!(proxy.metric("copal_requests_total", "").await, 0.0);
}

#[tokio::test]
async fn lost_lines_of_the_access_log_are_told() {
    let origin = Origin::answering(200, FRESH, "hello");
    let setup = Proxy::before(&origin).table("log", "access = \"/dev/full\"");
    let proxy = setup.start().await;
    let mut client = proxy.client().await;
    let lost = async || {
        // The writer has a buffer, which has to be full before anything fails.
        for _ in 0..100 {
            client.get("/a").await;
        }
        !lines(
            &proxy,
            &["WARN", "lines of the access log were lost", "lines="],
        )
        .is_empty()
    };
    eventually("a word about lost lines", lost).await;
    assert!(proxy.metric("copal_access_log_dropped_total", "").await > 0.0);
}

#[tokio::test]
async fn the_start_is_told_in_one_line() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::before(&origin)
        .table("store", "memory = \"48MiB\"")
        .table("server", "connections_max = 321")
        .start()
        .await;
    let line = until_said(&proxy, &["INFO", "started"]).await;
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    let http = format!("http {}", proxy.address());
    for word in [
        &*version,
        "config.toml",
        &http,
        "admin 127.0.0.1:",
        "memory=\"48 MiB\"",
        "connections_max=321",
        "open_files_max=",
        "allocator=",
    ] {
        assert!(line.contains(word), "{word} in {line}");
    }
    assert_eq!(proxy.stderr().lines().count(), 1, "{}", proxy.stderr());
}

#[tokio::test]
async fn events_are_json_where_the_access_log_is() {
    let setup = || Proxy::before_url(&format!("http://{}", Reserved::new().address()));
    let proxy = setup().table("log", "format = \"json\"").start().await;
    proxy.get("/a").await;
    let line = until_said(&proxy, &["request failed"]).await;
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["level"], "WARN", "{event}");
    assert_eq!(event["message"], "request failed", "{event}");
    assert_eq!(event["origin"], "main", "{event}");
    assert_eq!(event["url"], "http://example.test/a", "{event}");
    for line in proxy.stderr().lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
    proxy
        .reload(&setup().table("log", "format = \"combined\""))
        .await;
    proxy.sighup();
    until_said(&proxy, &["INFO", " reloaded "]).await;
}

/// Whoever reads its standard error has stopped, and the pipe is full: nobody waits for it.
#[tokio::test]
async fn a_standard_error_that_nobody_reads_stops_nobody() {
    let origin = Origin::answering(200, FRESH, "hello");
    let setup = Proxy::before(&origin).table("log", "level = \"trace\"");
    let proxy = setup.deaf().start().await;
    let mut client = proxy.client().await;
    let lost = async || {
        for _ in 0..200 {
            assert!(client.get("/a").await.is_good("hello"));
        }
        proxy.metric("copal_events_dropped_total", "").await > 0.0
    };
    eventually("events to be lost", lost).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_is_named() {
    let folder = TempDir::new();
    let config = "[[listen]]\naddress = \"127.0.0.1:0\"\n[log]\naccess = \"/no/such/folder/a.log\"\n\
                  [origins.a]\nservers = [\"http://127.0.0.1:1\"]\n\
                  [[site]]\nhosts = [\"*\"]\norigin = \"a\"\n";
    folder.write("config.toml", config);
    let output = command(&["run"], folder.path()).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("/no/such/folder/a.log: No such file"),
        "{said}"
    );
}

/// It read "the origin takes no more requests at the moment".
#[tokio::test]
async fn a_name_without_an_address_is_told_as_that() {
    let setup = Proxy::before_url("http://nowhere.invalid");
    let proxy = setup.table(
        "resolver",
        "servers = [\"127.0.0.1:9\"]\ntimeout = \"50ms\"",
    );
    let proxy = proxy.start().await;
    let answer = proxy.get("/a").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.text().contains("name has no address"), "{answer:?}");
    until_said(&proxy, &["WARN", "request failed", "nowhere.invalid"]).await;
    let admin = ["servers", "--admin", "http://nowhere.invalid:9180"];
    let output = command(&admin, TempDir::new().path()).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("the name \"nowhere.invalid\" has no address"),
        "{said}"
    );
}

/// So long may nothing be said about a request that is good.
const QUIET: Duration = Duration::from_millis(300);

#[tokio::test]
async fn good_requests_are_no_news() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    until_said(&proxy, &["started"]).await;
    for path in ["/a", "/a", "/b"] {
        assert!(proxy.get(path).await.is_good("hello"));
    }
    tokio::time::sleep(QUIET).await;
    assert_eq!(proxy.stderr().lines().count(), 1, "{}", proxy.stderr());
}
