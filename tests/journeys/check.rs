//! `copal check`: complaints, notes on what was surely meant otherwise, and what a URL would meet.
//! What is said about each mistake stands in tests/config.

use std::process::Output;

use crate::harness::{FRESH, Origin, Proxy, TempDir, command};

const GOOD: &str = "\
[[listen]]
address = \"127.0.0.1:0\"
[origins.app]
servers = [\"http://127.0.0.1:1\"]
[[site]]
hosts = [\"shop.example\", \"*.shop.example\"]
[[site.route]]
path = \"/*\"
origin = \"app\"
cache = { ttl = \"1h\", key = { query_deny = [\"utm_*\"], fields = [\"x-tenant\"] } }
[[site.route]]
path = \"/old/*\"
redirect = { to = \"/new/\", keep_rest = true }
";

/// One path where many were meant.
const NOTED: &str = "\
[[listen]]
address = \"127.0.0.1:0\"
[origins.app]
servers = [\"http://127.0.0.1:1\"]
[[site]]
hosts = [\"*\"]
[[site.route]]
path = \"/\"
origin = \"app\"
";

const NOTE: &str = "8: site[0].route[0].path: note: is for the path `/` alone, and no route is for what \
                    lies below; for that write `path = \"/*\"`";

/// `copal check` in a folder with these two files.
async fn check(arguments: &[&str]) -> Output {
    let folder = TempDir::new();
    folder.write("config.toml", GOOD);
    folder.write("noted.toml", NOTED);
    let arguments: Vec<_> = [&["check"], arguments].concat();
    command(&arguments, folder.path()).await
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

// --- files ---------------------------------------------------------------------------------------

#[tokio::test]
async fn a_file_is_named_by_itself_or_behind_an_option_or_not_at_all() {
    for (arguments, said) in [
        (&[][..], "config.toml: ok\n"),
        (&["noted.toml"], "noted.toml: ok\n"),
        (&["-c", "noted.toml"], "noted.toml: ok\n"),
        (&["--config", "noted.toml"], "noted.toml: ok\n"),
    ] {
        let output = check(arguments).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(stdout(&output), said);
    }
    let both = check(&["config.toml", "-c", "noted.toml"]).await;
    assert_eq!(both.status.code(), Some(2), "{both:?}");
}

#[tokio::test]
async fn run_takes_its_file_without_an_option_too() {
    let origin = Origin::answering(200, FRESH, "hello");
    let folder = TempDir::new();
    let text = GOOD.replace("http://127.0.0.1:1", &origin.url());
    folder.write("shop.toml", &text.replace("\"shop.example\"", "\"*\""));
    let path = folder.path().join("shop.toml");
    let proxy = Proxy::run(&[path.to_str().expect("a path in UTF-8")]).await;
    assert!(proxy.get("/a").await.is_good("hello"));
}

#[tokio::test]
async fn a_file_of_another_program_is_called_by_its_name() {
    let folder = TempDir::new();
    folder.write(
        "nginx.conf",
        "events {}\nhttp {\n  server {\n    listen 80;\n  }\n}\n",
    );
    for arguments in [["check", "nginx.conf"], ["run", "nginx.conf"]] {
        let output = command(&arguments, folder.path()).await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = stderr(&output);
        assert!(
            said.contains("is an nginx.conf, and Copal reads TOML"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

// --- notes ---------------------------------------------------------------------------------------

#[tokio::test]
async fn notes_are_told_with_their_lines_and_are_mistakes_only_if_that_is_asked_for() {
    let output = check(&["noted.toml"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(stderr(&output), format!("noted.toml:{NOTE}\n"));
    assert_eq!(stdout(&output), "noted.toml: ok\n");

    let strict = check(&["--strict", "noted.toml"]).await;
    assert_eq!(strict.status.code(), Some(2), "{strict:?}");
    assert_eq!(stderr(&strict), format!("noted.toml:{NOTE}\n"));
    assert_eq!(stdout(&strict), "");

    let clean = check(&["--strict"]).await;
    assert_eq!(clean.status.code(), Some(0), "{clean:?}");
    assert_eq!(stderr(&clean), "");
}

#[tokio::test]
async fn what_the_machine_does_not_have_is_noted() {
    let folder = TempDir::new();
    let tables = "[store]\nmemory = \"900TiB\"\n[log]\naccess = \"no/such/folder/access.log\"\n";
    folder.write("config.toml", &format!("{tables}{GOOD}"));
    let output = command(&["check"], folder.path()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = stderr(&output);
    let [memory, log] = &said.lines().collect::<Vec<_>>()[..] else {
        panic!("{said}");
    };
    let front = "config.toml:2: store.memory: note: with `fill_memory` it makes 1125TiB, and ";
    assert!(memory.starts_with(front), "{memory}");
    assert_eq!(
        *log,
        "config.toml:4: log.access: note: there is no folder `no/such/folder` here; make it, or \
         write another path"
    );
}

#[tokio::test]
async fn notes_are_in_the_log_of_a_start_and_of_a_reload() {
    let origin = Origin::answering(200, FRESH, "hello");
    let noted = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\nlimit = []\n";
    let setup = |lines: &str| Proxy::before(&origin).sites(noted).table("cache", lines);
    let proxy = setup("ttl = \"0s\"").start().await;
    proxy
        .says("cache.ttl: note: lets every response be stale at once")
        .await;
    assert!(!proxy.stderr().contains("slice_size"));
    proxy.reload(&setup("slice_size = \"4MiB\"")).await;
    proxy
        .says("cache.slice_size: note: counts only beside")
        .await;
    assert!(proxy.stderr().contains("WARN"), "{}", proxy.stderr());
}

// --- what a URL meets ----------------------------------------------------------------------------

#[tokio::test]
async fn a_url_meets_a_site_a_route_and_a_key() {
    let url = "http://www.shop.example/a?utm_source=x&page=2";
    let output = check(&["--url", url, "-H", "X-Tenant: blue"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = stdout(&output);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "GET http://www.shop.example/a?utm_source=x&page=2",
            "  site    shop.example, *.shop.example",
            "  route   /*: origin app",
            "  key     http://www.shop.example/a?page=2",
            "          with x-tenant=blue",
        ]
    );
    assert!(lines[5].starts_with("  rules   ttl 3600s, "), "{said}");
}

#[tokio::test]
async fn what_passes_has_no_key_and_says_why() {
    let url = "http://shop.example/a";
    let passing = |arguments: &[&'static str]| [&["--url", url][..], arguments].concat();
    for (arguments, line) in [
        (
            passing(&["--method", "POST"]),
            "  key     none: The method is neither GET nor HEAD.",
        ),
        (
            passing(&["--header", "Cookie: session=1"]),
            "  key     none: By its cookie \"session\" the request is somebody's own, and so may be \
             its answer.",
        ),
        (
            vec!["--url", "http://shop.example/old/b"],
            "  route   /old/*: redirect 302 /new/",
        ),
        (
            vec!["--url", "http://other.example/"],
            "  site    none: the answer is 404",
        ),
    ] {
        let output = check(&arguments).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = stdout(&output);
        assert!(said.lines().any(|it| it == line), "{arguments:?}: {said}");
    }
    let head = stdout(&check(&passing(&["--method", "HEAD"])).await);
    assert!(
        head.contains("\n  key     http://shop.example/a\n"),
        "{head}"
    );
}

#[tokio::test]
async fn what_a_url_meets_is_json_for_programs() {
    let url = "http://shop.example/a?utm_source=x";
    let said = stdout(&check(&["--url", url, "--json"]).await);
    for part in [
        "\"url\": \"http://shop.example/a?utm_source=x\"",
        "\"method\": \"GET\"",
        "\"site\": \"shop.example, *.shop.example\"",
        "\"path\": \"/*\"",
        "\"target\": \"app\"",
        "\"looked_up\": true",
        "\"key\": \"http://shop.example/a\"",
        "\"ttl\": \"3600s\"",
        "\"why\": null",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let none = stdout(&check(&["--url", "http://other.example/", "--json"]).await);
    assert!(none.contains("\"route\": null"), "{none}");
}

#[tokio::test]
async fn a_question_that_is_none_exits_with_2() {
    for arguments in [
        &["--url", "shop.example/a"][..],
        &["--url", "http://shop.example/", "--header", "no colon"],
        &["--url", "http://shop.example/", "--method", "PURGE"],
        &["--method", "GET"],
        &["--json"],
    ] {
        let output = check(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

/// A port that is taken and a log that is written by the proxy that runs.
#[tokio::test]
async fn nothing_is_bound_and_no_log_is_opened_to_tell_it() {
    let folder = TempDir::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let text = GOOD.replace("127.0.0.1:0", &address);
    folder.write(
        "config.toml",
        &format!("[log]\naccess = \"./access.log\"\n{text}"),
    );
    let arguments = ["check", "--url", "http://shop.example/"];
    let output = command(&arguments, folder.path()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        stdout(&output).contains("route   /*: origin app"),
        "{output:?}"
    );
    assert!(!folder.path().join("access.log").exists());
}
