//! `copal reload` and `copal config`: what an operator types after an edit, and what is in force.

use std::process::Output;

use crate::harness::{FRESH, Origin, Proxy, Setup, TempDir, command};

const TOKEN: &str = "a-token-that-nobody-may-see";

async fn copal(proxy: &Proxy, words: &[&str]) -> (Option<i32>, String, String) {
    // As a browser shows it: an address or a URL will do.
    let admin = format!("http://{}", proxy.announces("admin", 1).await);
    let arguments = [words, &["--admin", &admin, "--token", TOKEN]].concat();
    let Output {
        status,
        stdout,
        stderr,
    } = command(&arguments, TempDir::new().path()).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

fn before(origin: &Origin) -> Setup {
    Proxy::before(origin).table("admin", &format!("token = \"{TOKEN}\""))
}

#[tokio::test]
async fn a_reload_tells_what_has_changed() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = before(&origin).start().await;
    let (code, out, _) = copal(&proxy, &["reload"]).await;
    assert_eq!((code, &*out), (Some(0), "reloaded; nothing has changed\n"));
    let edited = before(&origin).table("cache", "default_ttl = \"90s\"");
    proxy.configure(&edited.table("store", "memory = \"32MiB\""));
    let (code, out, _) = copal(&proxy, &["reload"]).await;
    assert_eq!(code, Some(0), "{out}");
    for line in [
        "cache.default_ttl: nothing -> \"90s\"",
        "store.memory: \"256MiB\" -> \"32MiB\"   (at the next start)",
    ] {
        assert!(out.contains(line), "{line} in {out}");
    }
    let (_, out, _) = copal(&proxy, &["config"]).await;
    assert!(out.contains("default_ttl = \"90s\""), "{out}");
    assert!(
        out.contains("memory = \"256MiB\""),
        "in force until the next start: {out}"
    );
}

#[tokio::test]
async fn a_reload_that_is_refused_tells_the_mistakes_of_the_file() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = before(&origin).start().await;
    let site = "[[site]]\nhosts = [\"*\"]\norigin = \"mian\"\n";
    proxy.configure(&before(&origin).sites(site));
    let (code, out, told) = copal(&proxy, &["reload"]).await;
    assert_eq!((code, &*out), (Some(2), ""), "{told}");
    let is_complaint = |line: &&str| line.contains("config.toml:") && line.contains("mian");
    assert_eq!(told.lines().filter(is_complaint).count(), 1, "{told}");
    assert!(told.contains("the old configuration goes on"), "{told}");
    let (any, url) = ("127.0.0.1:0", origin.url());
    let flags = Proxy::run(&["--listen", any, "--origin", &url, "--admin", any]).await;
    let (code, _, told) = copal(&flags, &["reload"]).await;
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("started from flags"), "{told}");
}

#[tokio::test]
async fn what_is_in_force_is_shown_without_its_secrets() {
    let origin = Origin::answering(200, FRESH, "hello");
    let setup = before(&origin).table("server", "drain_timeout = \"7s\"");
    let proxy = setup.start().await;
    let (code, toml, _) = copal(&proxy, &["config"]).await;
    assert_eq!(code, Some(0), "{toml}");
    let (code, json, _) = copal(&proxy, &["config", "--json"]).await;
    assert_eq!(code, Some(0), "{json}");
    for shown in [&toml, &json] {
        assert!(!shown.contains(TOKEN) && shown.contains("***"), "{shown}");
        assert!(shown.contains(&origin.url()), "{shown}");
    }
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["server"]["drain_timeout"], "7s", "as written: {json}");
    assert_eq!(
        json["server"]["header_timeout"], "10s",
        "by default: {json}"
    );
    assert_eq!(json["site"][0]["origin"], "main", "{json}");
    let folder = TempDir::new();
    let file = folder.write("shown.toml", &toml).display().to_string();
    let output = command(&["check", "-c", &file], folder.path()).await;
    let said = String::from_utf8_lossy(&output.stderr);
    // The mask is no token, and that is all that is wrong with it.
    assert!(said.lines().all(|it| it.contains("token")), "{said}");
}

#[tokio::test]
async fn without_the_token_neither_is_to_be_had() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = before(&origin).start().await;
    let mut admin = proxy.admin().await;
    assert_eq!(admin.get("/api/v1/config").await.status, 401);
    assert_eq!(
        admin.send_body("POST", "/api/v1/reload", "").await.status,
        401
    );
}
