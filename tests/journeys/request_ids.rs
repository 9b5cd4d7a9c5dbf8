//! Ids of requests and traces: who may give them, and where they are found again.

use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::Value;

use crate::harness::{FRESH, Origin, Proxy, Setup, TempDir, eventually};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn made() -> Regex {
    Regex::new("^[0-9a-hjkmnp-tv-z]{26}$").expect("a pattern")
}

/// Starts it with a log of JSON, of which [`logged`] reads the lines.
async fn logging(setup: Setup, folder: &Path) -> Proxy {
    let path = folder.join("access.log");
    let table = format!("access = {path:?}\nformat = \"json\"");
    setup.table("log", &table).start().await
}

async fn logged(folder: &Path, count: usize) -> Vec<Value> {
    let mut lines = Vec::new();
    let enough = async || {
        let text = fs::read_to_string(folder.join("access.log")).unwrap_or_default();
        lines = text.lines().map(str::to_owned).collect();
        lines.len() >= count
    };
    eventually("lines in the access log", enough).await;
    let parse = |line: &String| serde_json::from_str(line).expect("a line of JSON");
    lines.iter().map(parse).collect()
}

#[tokio::test]
async fn a_request_has_one_id_for_its_origin_and_the_log() {
    let (origin, folder) = (Origin::answering(200, FRESH, "page"), TempDir::new());
    let proxy = logging(Proxy::before(&origin), folder.path()).await;
    proxy.get("/a").await;
    proxy.get_with("/b", &[("x-request-id", "mine")]).await;
    proxy.get("/b").await;
    let lines = logged(folder.path(), 3).await;
    for (seen, line) in origin.requests().iter().zip(&lines) {
        let told = seen.head.fields("x-request-id");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(made().is_match(told[0]), "{told:?}");
        assert_eq!(line["request_id"], told[0], "{line}");
    }
    let hit = &lines[2];
    let id = hit["request_id"].as_str().unwrap_or_default();
    assert!(made().is_match(id), "{hit}");
    assert_ne!(hit["request_id"], lines[1]["request_id"]);
}

#[tokio::test]
async fn only_a_trusted_proxy_may_give_an_id() {
    let (origin, folder) = (Origin::answering(200, FRESH, "page"), TempDir::new());
    let table = "trusted_proxies = [\"127.0.0.1\"]\nrequest_id = \"X-Correlation-ID\"";
    let setup = Proxy::before(&origin).table("server", table);
    let proxy = logging(setup, folder.path()).await;
    let fields = [("x-correlation-id", "edge-7:1"), ("x-request-id", "mine")];
    proxy.get_with("/a", &fields).await;
    let seen = origin.last();
    assert_eq!(seen.head.fields("x-correlation-id"), ["edge-7:1"]);
    assert_eq!(seen.head.fields("x-request-id"), ["mine"], "no id here");
    let unfit = [("x-correlation-id", "two words")];
    proxy.get_with("/b", &unfit).await;
    let told = origin.last();
    assert!(made().is_match(told.head.fields("x-correlation-id")[0]));
    let lines = logged(folder.path(), 2).await;
    assert_eq!(lines[0]["request_id"], "edge-7:1");
}

#[tokio::test]
async fn without_ids_fields_are_the_clients() {
    let (origin, folder) = (Origin::answering(200, FRESH, "page"), TempDir::new());
    let setup = Proxy::before(&origin).table("server", "request_id = \"off\"");
    let proxy = logging(setup, folder.path()).await;
    proxy.get_with("/a", &[("x-request-id", "mine")]).await;
    proxy.get("/b").await;
    let [first, second] = &origin.requests()[..] else {
        panic!("two requests");
    };
    assert_eq!(first.head.fields("x-request-id"), ["mine"]);
    assert_eq!(second.field("x-request-id"), None);
    assert_eq!(logged(folder.path(), 2).await[0]["request_id"], Value::Null);
}

#[tokio::test]
async fn a_template_may_ask_for_the_id_and_a_failure_names_it() {
    let origin = Origin::start(async move |request, connection| match request.nth {
        1 => connection.respond(200, FRESH, "page").await,
        _ => connection.close(),
    });
    let sites = r#"
        [[site]]
        hosts = ["*"]
        [[site.route]]
        path = "/*"
        origin = "main"
        response_fields.set = { x-id = "${request_id}" }
        cache = { enabled = false }
        "#;
    let proxy = Proxy::before(&origin).sites(sites).start().await;
    let good = proxy.get("/a").await;
    let id = origin.last().head.fields("x-request-id").join("");
    assert_eq!(good.head.fields("x-id"), [&*id]);
    assert_eq!(good.field("x-request-id"), None, "it is for origins");
    let failed = proxy.get("/a").await;
    assert_eq!(failed.status, 502, "{failed:?}");
    let id = origin.last().head.fields("x-request-id").join("");
    assert_eq!(failed.head.fields("x-request-id"), [&*id]);
}

#[tokio::test]
async fn a_trace_goes_on_as_it_came_and_is_logged() {
    let (origin, folder) = (Origin::answering(200, FRESH, "page"), TempDir::new());
    let proxy = logging(Proxy::before(&origin), folder.path()).await;
    let fields = [("traceparent", TRACE), ("tracestate", "a=b")];
    proxy.get_with("/a", &fields).await;
    proxy.get_with("/b", &[("traceparent", "nonsense")]).await;
    let seen = &origin.requests()[0];
    assert_eq!(seen.head.fields("traceparent"), [TRACE]);
    assert_eq!(seen.head.fields("tracestate"), ["a=b"]);
    let lines = logged(folder.path(), 2).await;
    assert_eq!(lines[0]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(lines[1]["trace_id"], Value::Null);
}
