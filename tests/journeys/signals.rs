//! Signals of the operator and of those who mean another program: none kills by mistake.

use std::fs;
use std::time::Duration;

use tokio::time::sleep;

use crate::harness::{FRESH, Gate, Origin, Proxy, TempDir, eventually};

/// A proxy that logs requests in `access.log` of the folder.
async fn logging(origin: &Origin, folder: TempDir) -> Proxy {
    let path = folder.path().join("access.log");
    let table = format!("access = {path:?}\nformat = \"common\"");
    let setup = Proxy::before(origin).table("log", &table);
    setup.start_in(folder).await
}

/// As logrotate does it for nginx: the file is renamed, then comes the signal. The new one is there at
/// once, though nobody asks for anything.
#[tokio::test]
async fn usr1_opens_the_access_log_again() {
    let origin = Origin::answering(200, FRESH, "hello");
    let folder = TempDir::new();
    let [path, rotated] = ["access.log", "access.log.1"].map(|it| folder.path().join(it));
    let proxy = logging(&origin, folder).await;
    proxy.get("/before").await;
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    eventually("a line", async || read(&path).contains("/before")).await;
    fs::rename(&path, &rotated).expect("a file in our folder");
    proxy.signal("USR1");
    eventually("another file", async || path.exists()).await;
    proxy.get("/after").await;
    eventually("a line", async || read(&path).contains("/after")).await;
    assert!(!read(&rotated).contains("/after"));
    proxy.says("logs are opened again").await;
}

#[tokio::test]
async fn no_line_is_lost_when_logs_are_opened_again() {
    const ROTATIONS: usize = 10;
    const EACH: usize = 100;
    let origin = Origin::answering(200, FRESH, "hello");
    let folder = TempDir::new();
    let base = folder.path().to_owned();
    let proxy = logging(&origin, folder).await;
    let path = base.join("access.log");
    let ask = async {
        let mut client = proxy.client().await;
        for _ in 0..ROTATIONS * EACH {
            assert_eq!(client.get("/a").await.status, 200);
        }
    };
    let rotate = async {
        for number in 0..ROTATIONS {
            fs::rename(&path, base.join(format!("{number}.log"))).expect("the log's file");
            proxy.signal("USR1");
            eventually("another file", async || path.exists()).await;
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::join!(ask, rotate);
    let all_lines = || -> usize {
        let files = fs::read_dir(&base).expect("our folder");
        let logs = files.filter_map(|it| {
            let path = it.ok()?.path();
            path.extension()?
                .eq_ignore_ascii_case("log")
                .then_some(path)
        });
        logs.map(|it| fs::read_to_string(it).expect("a log").lines().count())
            .sum()
    };
    let all = async || all_lines() == ROTATIONS * EACH;
    eventually("a line for each request", all).await;
}

/// nginx quits gracefully by it.
#[tokio::test]
async fn quit_drains_like_term() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, &[], "hello").await;
    });
    let mut proxy = Proxy::start(&origin).await;
    let mut clients = proxy.herd(1, "/a").await;
    gate.arrived(1).await;
    proxy.signal("QUIT");
    proxy.refuses_connections().await;
    gate.open();
    let response = clients[0].response().await;
    assert!(response.is_good("hello"), "{response:?}");
    assert_eq!(response.field("connection"), Some("close"));
    assert_eq!(proxy.wait_exit().await.code(), Some(0));
}

#[tokio::test]
async fn what_has_no_meaning_is_ignored_with_a_line() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    for (signal, line) in [
        ("USR2", "another binary cannot take over as yet"),
        ("ALRM", "SIGALRM"),
        ("VTALRM", "SIGVTALRM"),
        ("PROF", "SIGPROF"),
        ("XCPU", "SIGXCPU"),
        ("XFSZ", "SIGXFSZ"),
        ("29", "SIGIO"),
        ("16", "SIGSTKFLT"),
        ("PWR", "SIGPWR"),
        // These two are taken without a word: Rust has seen to the first, and the second is a child's.
        ("PIPE", ""),
        ("CHLD", ""),
    ] {
        proxy.signal(signal);
        eventually(signal, async || proxy.stderr().contains(line)).await;
        assert!(proxy.get("/a").await.is_good("hello"), "{signal}");
    }
}
