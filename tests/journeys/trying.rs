//! `copal test`: cases that go as expected, those that do not, and how quickly time passes in them.

use std::fmt::Write as _;
use std::process::Output;

use crate::harness::{TempDir, command};

const CONFIG: &str = r#"
[[listen]]
address = "127.0.0.1:0"
[origins.main]
servers = [{ url = "https://origin.internal", resolve = "each" }]
[origins.canary]
servers = ["http://192.0.2.9"]
health = { path = "/health" }
[cache]
stale_if_error = "1h"
[[site]]
hosts = ["shop.example"]
origin = "main"
[[rule]]
name = "logged-in"
when = 'cookie.any("login_*")'
pass = true
[[rule]]
name = "canary"
when = 'header["x-canary"] == "1"'
origin = "canary"
key = ["canary"]
[[rule]]
name = "office"
when = '!(ip in ["192.0.2.0/24"])'
deny = 403
[[rule]]
name = "images"
when = 'type.startsWith("image/")'
response = { ttl = "7d" }
[[rule]]
name = "never"
when = 'path == "/never"'
pass = true
"#;

const CASES: &str = r#"
config = "copal.toml"

[[case]]
name = "a page is stored for its minute, and stands in when the origin is gone"
origin = { body = "page" }
[[case.step]]
url = "https://shop.example/a"
expect = { status = 200, outcome = "miss", body = "page", fetches = 1, rules = [] }
[[case.step]]
after = "30s"
url = "https://shop.example/a"
expect = { outcome = "hit", fetches = 0, headers = { age = "30" }, cache_status = ["hit"] }
[[case.step]]
after = "10m"
url = "https://shop.example/a"
origin = { fails = "refused" }
expect = { outcome = "stale", body = "page", cache_status = ["detail=stale-if-error"] }
[[case.step]]
url = "https://shop.example/b"
origin = { fails = "closed" }
expect = { status = 502, outcome = "error" }

[[case]]
name = "a slow origin is stood in for"
[[case.step]]
url = "https://shop.example/a"
[[case.step]]
after = "5m"
url = "https://shop.example/a"
origin = { delay = "20s" }
expect = { outcome = "stale", cache_status = ["detail=stale-after"], fetches = 1 }
[[case.step]]
url = "https://shop.example/none"
origin = { delay = "10m" }
expect = { status = 504 }

[[case]]
name = "a login passes, with its cookie"
[[case.step]]
url = "https://shop.example/a?b=c"
headers = { cookie = "login_1=anna" }
expect = { outcome = "pass", rules = ["logged-in"], cache_status = ["detail=rule-logged-in"] }
asked = { origin = "main", method = "GET", target = "/a?b=c", headers = { cookie = "login_1=anna" }, without = ["x-none"] }

[[case]]
name = "the canary has its own pages"
[[case.step]]
url = "https://shop.example/a"
[[case.step]]
url = "https://shop.example/a"
headers = { x-canary = "1" }
expect = { outcome = "miss", rules = ["canary"] }
asked = { origin = "canary" }

[[case]]
name = "strangers are refused"
[[case.step]]
url = "https://shop.example/a"
client = "198.51.100.7"
method = "POST"
body = "hello"
expect = { status = 403, rules = ["office"], fetches = 0, without = ["set-cookie"] }

[[case]]
name = "images live for a week"
[[case.step]]
url = "https://shop.example/a.png"
origin = { headers = { content-type = "image/png" } }
expect = { rules = ["images"], cache_status = ["ttl=604800"] }
[[case.step]]
after = "6d"
url = "https://shop.example/a.png"
expect = { outcome = "hit" }
"#;

/// `copal test` in a folder with these cases.
async fn try_out(cases: &str, arguments: &[&str]) -> (Output, TempDir) {
    let folder = TempDir::new();
    folder.write("copal.toml", CONFIG);
    folder.write("cases.toml", cases);
    let arguments: Vec<_> = [&["test", "cases.toml"], arguments].concat();
    (command(&arguments, folder.path()).await, folder)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn cases_that_go_as_expected_are_good() {
    let (output, _) = try_out(CASES, &["--coverage"]).await;
    assert_eq!(
        stdout(&output),
        "not covered: rule never\n6 cases, 0 failed\n",
        "{output:?}"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn what_is_not_as_expected_is_told_with_its_line() {
    let cases = r#"config = "copal.toml"
[[case]]
name = "good"
[[case.step]]
url = "https://shop.example/"
[[case]]
name = "bad"
[[case.step]]
url = "https://shop.example/"
expect = { status = 404, outcome = "hit", headers = { x-a = "b" }, without = ["via"], body = "x", rules = ["never"], fetches = 0, cache_status = ["hit"] }
asked = { target = "/b" }
"#;
    let (output, folder) = try_out(cases, &["--junit", "out.xml"]).await;
    let expected = "\
cases.toml:6: bad: step 1: expected status 404, got 200
cases.toml:6: bad: step 1: expected outcome \"hit\", got \"miss\"
cases.toml:6: bad: step 1: expected body \"x\", got \"\"
cases.toml:6: bad: step 1: expected x-a \"b\", and there is none
cases.toml:6: bad: step 1: expected no via, got \"1.1 copal\"
";
    let said = stdout(&output);
    assert!(said.starts_with(expected), "{said}");
    assert!(
        said.contains("expected rules {\"never\"}, got {}"),
        "{said}"
    );
    assert!(said.contains("expected fetches 0, got 1"), "{said}");
    assert!(
        said.contains("expected asked target \"/b\", got \"/\""),
        "{said}"
    );
    assert!(said.ends_with("2 cases, 1 failed\n"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    let junit = std::fs::read_to_string(folder.path().join("out.xml")).unwrap();
    assert!(junit.contains("tests=\"2\" failures=\"1\""), "{junit}");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_told() {
    let (output, _) = try_out("[[case]]\nname = 1\n", &[]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("cases.toml:2: "), "{said}");
    assert_eq!(output.status.code(), Some(2));
    let (output, _) = try_out(CASES, &["-c", "none.toml"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("none.toml: "), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

/// Each of these cases is of an hour with a timeout in it: nobody waits for a clock.
#[tokio::test]
async fn hundreds_of_cases_of_an_hour_take_seconds() {
    let mut cases = String::from("config = \"copal.toml\"\n");
    for number in 0..300 {
        let _ = write!(
            cases,
            "[[case]]\nname = \"{number}\"\n[[case.step]]\nurl = \"https://shop.example/{number}\"\n\
             [[case.step]]\nafter = \"50m\"\nurl = \"https://shop.example/{number}\"\n\
             origin = {{ delay = \"10m\" }}\nexpect = {{ outcome = \"stale\" }}\n"
        );
    }
    let (output, _) = try_out(&cases, &[]).await;
    assert_eq!(stdout(&output), "300 cases, 0 failed\n", "{output:?}");
}
