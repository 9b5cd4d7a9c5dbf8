//! The access log: one line for each request, in three formats, and nothing a client can forge.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::harness::{FRESH, Origin, Proxy, Setup, TempDir, eventually};

/// A proxy that logs in this format, and where.
async fn logging(setup: Setup, format: &str) -> (Proxy, PathBuf) {
    let folder = TempDir::new();
    let path = folder.path().join("access.log");
    let table = format!("access = {path:?}\nformat = \"{format}\"");
    (setup.table("log", &table).start_in(folder).await, path)
}

/// The log's lines, once there are so many.
async fn lines(path: &Path, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    let enough = async || {
        let text = fs::read_to_string(path).unwrap_or_default();
        found = text.lines().map(str::to_owned).collect();
        found.len() >= count
    };
    eventually("lines in the access log", enough).await;
    assert_eq!(found.len(), count, "{found:#?}");
    found
}

#[tokio::test]
async fn common_and_combined_are_as_apache_writes_them() {
    const COMMON: &str = r#"^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /a\?b HTTP/1\.1" 200 5"#;
    for (format, rest) in [
        ("common", "$"),
        ("combined", r#" "http://ref\.test/" "agent/1"$"#),
    ] {
        let origin = Origin::answering(200, FRESH, "hello");
        let (proxy, path) = logging(Proxy::before(&origin), format).await;
        let fields = [("referer", "http://ref.test/"), ("user-agent", "agent/1")];
        for _ in 0..2 {
            proxy.get_with("/a?b", &fields).await;
        }
        let pattern = Regex::new(&format!("{COMMON}{rest}")).expect("a pattern");
        for line in lines(&path, 2).await {
            assert!(pattern.is_match(&line), "{format}: {line}");
        }
    }
}

#[tokio::test]
async fn json_says_what_became_of_each_request() {
    let origin = Origin::answering(200, FRESH, "hello");
    let (proxy, path) = logging(Proxy::before(&origin), "json").await;
    proxy.get("/a?b").await;
    proxy.get("/a?b").await;
    let parse = |line: &String| serde_json::from_str(line).expect("a line of JSON");
    let records: Vec<serde_json::Value> = lines(&path, 2).await.iter().map(parse).collect();
    for record in &records {
        assert_eq!(record["client"], "127.0.0.1", "{record}");
        assert_eq!(
            (&record["method"], &record["target"]),
            (&"GET".into(), &"/a?b".into())
        );
        assert_eq!(
            (&record["status"], &record["bytes"]),
            (&200.into(), &5.into()),
            "{record}"
        );
        assert_eq!(record["host"], "example.test", "{record}");
        assert!(
            record["duration_ms"].is_number() && record["time"].is_string(),
            "{record}"
        );
    }
    assert_eq!(
        (&records[0]["outcome"], &records[1]["outcome"]),
        (&"miss".into(), &"hit".into())
    );
    assert_eq!(records[0]["origin"], "main", "{}", records[0]);
}

/// A quote or a control character in a field must not end the field, nor the line.
#[tokio::test]
async fn a_client_cannot_forge_a_line() {
    for format in ["combined", "json"] {
        let origin = Origin::answering(200, FRESH, "hello");
        let (proxy, path) = logging(Proxy::before(&origin), format).await;
        let evil = "a\" 200 1 \"b\\\" \u{e9}\t";
        proxy
            .get_with("/a\"b", &[("user-agent", evil), ("referer", evil)])
            .await;
        proxy.get("/b").await;
        let lines = lines(&path, 2).await;
        match format {
            "json" => {
                let record: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
                assert!(
                    record["user_agent"]
                        .as_str()
                        .is_some_and(|it| it.starts_with("a\" 200"))
                );
            }
            _ => assert!(lines[0].contains(r#""a\" 200 1 \"b"#), "{}", lines[0]),
        }
        assert!(!lines[0].contains('\t'), "{:?}", lines[0]);
    }
}

#[tokio::test]
async fn a_broken_response_is_logged_as_such() {
    let origin = Origin::start(async |_, connection| {
        connection.begin(200, &[("content-length", "10")]).await;
        connection.send("hello").await;
        connection.close();
    });
    let (proxy, path) = logging(Proxy::before(&origin), "json").await;
    let seen = proxy.get("/a").await;
    let record: serde_json::Value = serde_json::from_str(&lines(&path, 1).await[0]).expect("JSON");
    assert_eq!(record["status"], seen.status, "{record}");
    assert_eq!(
        record["complete"].as_bool(),
        Some(seen.status == 502),
        "{record}"
    );
}

#[tokio::test]
async fn the_log_may_go_to_standard_output() {
    let origin = Origin::answering(200, FRESH, "hello");
    let table = "access = \"stdout\"\nformat = \"common\"";
    let proxy = Proxy::before(&origin).table("log", table).start().await;
    proxy.get("/a").await;
    let logged = async || {
        proxy
            .stdout()
            .iter()
            .any(|it| it.contains("\"GET /a HTTP/1.1\" 200 5"))
    };
    eventually("a line on standard output", logged).await;
}
