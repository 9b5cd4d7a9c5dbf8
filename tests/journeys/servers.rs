//! `copal servers`: what an operator and a deploy script see and set of a running proxy's servers.
//! What states and weights do is in `health.rs`.

use std::process::Output;

use crate::harness::{Origin, Proxy, Setup, TempDir, command};

fn pool(origins: &[&Origin]) -> Setup {
    Proxy::before_each(origins, "balance = \"round-robin\"")
}

fn label(origin: &Origin) -> String {
    origin.url().trim_start_matches("http://").to_owned()
}

/// The exit code, standard output and standard error of `copal servers`.
async fn servers(proxy: &Proxy, arguments: &[&str]) -> (Option<i32>, String, String) {
    let admin = proxy.admin_address().to_string();
    let arguments = [&["servers", "--admin", &*admin], arguments].concat();
    let folder = TempDir::new();
    let Output {
        status,
        stdout,
        stderr,
    } = command(&arguments, folder.path()).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// The words of the line about a server.
fn words<'a>(table: &'a str, server: &str) -> Vec<&'a str> {
    let line = table.lines().find(|it| it.contains(server));
    line.expect("a line").split_whitespace().collect()
}

#[tokio::test]
async fn a_deploy_script_drains_a_server_and_takes_it_back() {
    let (one, two) = (
        Origin::answering(200, &[], "one"),
        Origin::answering(200, &[], "two"),
    );
    let proxy = pool(&[&one, &two]).start().await;
    let name = label(&one);
    let (code, table, _) = servers(&proxy, &["pool", &name, "--state", "drain"]).await;
    assert_eq!(code, Some(0));
    assert_eq!(words(&table, &name)[..4], ["pool", &name, "drain", "drain"]);
    assert_eq!(table.lines().count(), 2, "{table}");
    for _ in 0..4 {
        assert_eq!(proxy.get("/a").await.text(), "two");
    }
    let back = ["pool", &name, "--state", "auto", "--weight", "3"];
    let (code, table, _) = servers(&proxy, &back).await;
    assert_eq!(code, Some(0));
    assert_eq!(words(&table, &name)[2..5], ["ready", "usable", "3"]);
    for _ in 0..8 {
        proxy.get("/a").await;
    }
    assert_eq!(one.requests().len(), 6);
    let (_, table, _) = servers(&proxy, &["pool", &name, "--weight", "default"]).await;
    assert_eq!(words(&table, &name)[4], "1");
}

#[tokio::test]
async fn all_servers_are_shown_and_as_json_too() {
    let (one, two) = (
        Origin::answering(200, &[], "one"),
        Origin::answering(200, &[], "two"),
    );
    let proxy = pool(&[&one, &two]).start().await;
    proxy.get("/a").await;
    let (code, table, _) = servers(&proxy, &[]).await;
    assert_eq!(code, Some(0));
    assert!(table.starts_with("ORIGIN"), "{table}");
    for origin in [&one, &two] {
        assert_eq!(words(&table, &label(origin))[0], "pool");
    }
    let (code, text, _) = servers(&proxy, &["--json", "pool"]).await;
    let told: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (code, told["pool"]["servers"][0]["up"].as_bool()),
        (Some(0), Some(true))
    );
}

#[tokio::test]
async fn what_cannot_be_is_told() {
    let origin = Origin::answering(200, &[], "");
    let proxy = pool(&[&origin]).start().await;
    let name = label(&origin);
    for (arguments, exit, told) in [
        (&["nowhere"][..], 1, "there is no such server"),
        (
            &["nowhere", &name, "--state", "drain"],
            1,
            "there is no such origin",
        ),
        (
            &["pool", "10.0.0.1:1", "--weight", "1"],
            1,
            "the origin has no such server",
        ),
        (&["pool", &name, "--weight", "257"], 2, "0 to 256"),
        (&["pool", &name, "--state", "off"], 2, "drain"),
        (&["pool", "--state", "drain"], 2, "SERVER"),
    ] {
        let (code, _, error) = servers(&proxy, arguments).await;
        assert_eq!(code, Some(exit), "{arguments:?}: {error}");
        assert!(error.contains(told), "{arguments:?}: {error}");
    }
}
