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

#[tokio::test]
async fn json_says_what_a_proxy_before_us_knows_of_a_connection() {
    const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x37\xc0\0\x02\x01\xc0\0\x02\x02\x01\x02\x03\x04\
        \x01\0\x02h2\x02\0\x06a.test\x05\0\x05id\"-1\x20\0\x0f\x01\0\0\0\0\x21\0\x07TLSv1.3\x04\0\0";
    let origin = Origin::answering(200, FRESH, "hello");
    let setup = Proxy::before(&origin).table("[listen]", "accept_proxy = true");
    let (proxy, path) = logging(setup, "json").await;
    let mut client = proxy.client().await;
    client.send(HEADER).await;
    assert!(client.get("/").await.is_good("hello"));
    let record: serde_json::Value = serde_json::from_str(&lines(&path, 1).await[0]).expect("JSON");
    for (key, expected) in [
        ("client", "192.0.2.1"),
        ("proxy_authority", "a.test"),
        ("proxy_alpn", "h2"),
        ("proxy_tls_version", "TLSv1.3"),
        ("proxy_unique_id", "id\"-1"),
    ] {
        assert_eq!(record[key], expected, "{record}");
    }
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
