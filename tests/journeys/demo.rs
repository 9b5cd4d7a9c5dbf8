//! The demo: what a newcomer sees first must be true.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::harness::{TempDir, command};

/// A demo that is over when the story is.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[tokio::test]
async fn the_demo_plays_five_acts_and_tells_the_truth_of_each() {
    let output = command(&["demo", "--once"], TempDir::new().path()).await;
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let wanted = [
        "1  one page, twice",
        "copal; fwd=uri-miss; stored; ttl=60",
        "from memory",
        "copal; hit",
        "2  a hundred clients at once",
        "for the slowest of 100: 1 request to the origin",
        "3  a page's lifetime of one second is over",
        "detail=stale-while-revalidate",
        "the new one",
        "4  the origin is switched off",
        "a page that is fresh",
        "502: a page that was never stored",
        "5  the origin is back, and /shop is purged",
        "before: A stored response is fresh",
        "copal purge URL",
        "after: Nothing is stored for this URL.",
        "copal; fwd=uri-miss; stored; ttl=60",
    ];
    let mut rest = text.as_str();
    for part in wanted {
        let at = rest.find(part);
        let at =
            at.unwrap_or_else(|| panic!("no {part:?} in what is left of it:\n{rest}\nof\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn after_its_acts_the_demo_counts_what_it_is_asked() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_copal"));
    let command = command
        .arg("demo")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut demo = Demo(command.spawn().expect("the binary"));
    let stdout = BufReader::new(demo.0.stdout.take().expect("piped"));
    let lines = stdout.lines().map_while(Result::ok);
    let told = ["/dashboard", "requests/s"];
    let told: Vec<_> = lines
        .filter(|line| told.iter().any(|it| line.contains(it)))
        .take(2)
        .collect();
    assert!(told[0].trim().starts_with("http://127.0.0.1:"), "{told:?}");
    assert!(told[1].contains("% without the origin"), "{told:?}");
}
