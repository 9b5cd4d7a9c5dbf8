//! Certificates that come, change, break and go while clients are served, and what a check says of them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::tls::{Scene, is_shown};
use crate::harness::{Greeting, Issued, Proxy, TempDir, command, eventually};

/// What is served within so long counts as taken notice of.
const NOTICED: Duration = Duration::from_secs(2);
const SWAPS: usize = 200;

/// A proxy that serves what is in a folder.
async fn proxy_of_folder(scene: &Scene) -> Proxy {
    let folder = format!("folder = {:?}\n", scene.folder.path());
    let proxy = Proxy::before(&scene.origin)
        .table("[listen]", "tls = true")
        .table("[certificate]", &folder);
    proxy.start().await
}

/// Waits until a client is shown this certificate.
async fn shows(proxy: &Proxy, greeting: &Greeting, issued: &Issued) {
    let began = std::time::Instant::now();
    let is_there = async || {
        let shaken = greeting.try_shake(proxy.address()).await;
        shaken.is_ok_and(|it| is_shown(&it, issued))
    };
    eventually("a certificate to be shown", is_there).await;
    assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
}

#[tokio::test]
async fn certificates_of_a_folder_come_change_and_go() {
    let scene = Scene::new();
    let [one, other, renewed] =
        ["one.example", "other.example", "other.example"].map(|it| scene.authority.issue(&[it]));
    one.write(&scene.folder, "a-one");
    let proxy = proxy_of_folder(&scene).await;
    let greeting = scene.to("other.example");
    assert!(greeting.try_shake(proxy.address()).await.is_err());
    other.replace(scene.folder.path(), "b-other");
    shows(&proxy, &greeting, &other).await;
    renewed.replace(scene.folder.path(), "b-other");
    shows(&proxy, &greeting, &renewed).await;
    let served = "copal_tls_certificate_not_after_seconds";
    let label = "name=\"other.example\"";
    assert_eq!(proxy.metric(served, label).await, 67_090_118_400.0);
    for ending in ["pem", "key"] {
        fs::remove_file(scene.folder.path().join(format!("b-other.{ending}"))).expect("a file");
    }
    let gone = async || greeting.try_shake(proxy.address()).await.is_err();
    eventually("a certificate to be gone", gone).await;
    assert_eq!(proxy.metric(served, label).await, 0.0);
    assert!(
        scene
            .to("one.example")
            .try_shake(proxy.address())
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_pair_that_breaks_goes_on_as_it_was_and_is_told() {
    let scene = Scene::new();
    let (good, other) = (
        scene.authority.issue(&["a.example"]),
        scene.authority.issue(&["a.example"]),
    );
    let setup = scene.proxy(&[&good]);
    let proxy = setup.start().await;
    let greeting = scene.to("a.example");
    let key = fs::read_to_string(scene.folder.path().join("0.key")).expect("a key");
    // The certificate of another key.
    other.write(&TempDir::new(), "x");
    other.replace(scene.folder.path(), "y");
    fs::copy(
        scene.folder.path().join("y.pem"),
        scene.folder.path().join("0.pem"),
    )
    .expect("a copy");
    let bad = async || proxy.metric("copal_tls_files_bad", "").await;
    eventually("the pair to be bad", async || bad().await == 1.0).await;
    assert!(is_shown(&greeting.shake(proxy.address()).await, &good));
    let status = proxy.admin().await.get("/api/v1/status").await.text();
    assert!(
        status.contains("is not the key of") && status.contains("\"is_served\":true"),
        "{status}"
    );
    proxy.says("0.pem").await;
    // Nor does an order to reload change anything, or is refused for it.
    let answer = proxy
        .admin()
        .await
        .send_body("POST", "/api/v1/reload", "")
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(is_shown(&greeting.shake(proxy.address()).await, &good));
    fs::copy(
        scene.folder.path().join("y.key"),
        scene.folder.path().join("0.key"),
    )
    .expect("a copy");
    eventually("the pair to be good", async || bad().await == 0.0).await;
    assert!(is_shown(&greeting.shake(proxy.address()).await, &other));
    drop(key);
}

#[tokio::test]
async fn a_reload_takes_new_certificates_at_once_and_refuses_bad_ones() {
    let scene = Scene::new();
    let (one, other) = (
        scene.authority.issue(&["a.example"]),
        scene.authority.issue(&["a.example"]),
    );
    let proxy = scene.proxy(&[&one]).start().await;
    let greeting = scene.to("a.example");
    assert!(is_shown(&greeting.shake(proxy.address()).await, &one));
    let address = proxy.address();
    let at = |setup: crate::harness::Setup| {
        setup
            .without("[listen]")
            .table("[listen]", &format!("address = \"{address}\"\ntls = true"))
    };
    let folder = TempDir::new();
    let lines = other.lines(&folder, "new");
    let certificate =
        format!("[[certificate]]\n{lines}[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n");
    proxy
        .reload(&at(Proxy::before(&scene.origin).sites(&certificate)))
        .await;
    assert!(is_shown(&greeting.shake(proxy.address()).await, &other));
    let missing = certificate.replace("new.pem", "gone.pem");
    proxy.configure(&at(Proxy::before(&scene.origin).sites(&missing)));
    let answer = proxy
        .admin()
        .await
        .send_body("POST", "/api/v1/reload", "")
        .await;
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.text().contains("gone.pem"), "{answer:?}");
    assert!(is_shown(&greeting.shake(proxy.address()).await, &other));
}

/// Certificates are added, changed, taken away and broken, two hundred in all, while clients come as
/// fast as they can. Not one of them is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_handshake_fails_while_certificates_are_swapped() {
    let scene = Scene::new();
    let steady = scene.authority.issue(&["a.example"]);
    steady.write(&scene.folder, "a");
    let proxy = proxy_of_folder(&scene).await;
    let (address, done) = (proxy.address(), Arc::new(AtomicBool::new(false)));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (greeting, done) = (scene.to("a.example"), Arc::clone(&done));
        clients.spawn(async move {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                let shaken = greeting.try_shake(address).await;
                assert!(shaken.is_ok(), "{shaken:?}");
                count += 1;
            }
            count
        });
    }
    let folder = scene.folder.path().to_path_buf();
    let mut renewals = (0..SWAPS / 4).map(|_| scene.authority.issue(&["a.example"]));
    for number in 0..SWAPS {
        swap(number, &folder, &mut renewals);
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let last = scene.authority.issue(&["a.example"]);
    last.replace(&folder, "a");
    shows(&proxy, &scene.to("a.example"), &last).await;
    done.store(true, Ordering::Relaxed);
    let counts = clients.join_all().await;
    assert!(counts.iter().sum::<usize>() > SWAPS, "{counts:?}");
    let failures = "copal_tls_handshake_failures_total";
    assert_eq!(proxy.metric(failures, "").await, 0.0);
}

/// One of the four things that happen to a certificate.
fn swap(number: usize, folder: &Path, renewals: &mut impl Iterator<Item = Issued>) {
    match number % 4 {
        0 => renewals
            .next()
            .expect("enough of them")
            .replace(folder, "a"),
        1 => {
            let (from, to) = (folder.join("a.pem"), folder.join("b.pem"));
            fs::copy(from, to).expect("a copy");
            fs::copy(folder.join("a.key"), folder.join("b.key")).expect("a copy");
        }
        2 => fs::write(folder.join("b.pem"), "broken").expect("a file"),
        _ => {
            fs::remove_file(folder.join("b.pem")).expect("a file");
            fs::remove_file(folder.join("b.key")).expect("a file");
        }
    }
}

#[tokio::test]
async fn a_check_tells_each_mistake_with_its_line_and_the_way_out() {
    let scene = Scene::new();
    let good = scene.authority.issue(&["shop.example"]);
    let expired = scene.authority.issue_expired(&["shop.example"]);
    let wrong = scene.authority.issue(&["other.example"]);
    let folder = &scene.folder;
    good.write(folder, "good");
    expired.write(folder, "expired");
    wrong.write(folder, "wrong");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (chain, key, line, wants) in [
        ("good.pem", "good.key", 0, ""),
        (
            "expired.pem",
            "expired.key",
            5,
            "expired on 2001-01-01; put a renewed one",
        ),
        (
            "wrong.pem",
            "wrong.key",
            5,
            "is for other.example, and no [[site]]",
        ),
        ("good.pem", "wrong.key", 6, "is not the key of"),
        (
            "gone.pem",
            "good.key",
            5,
            "gone.pem cannot be read: No such file",
        ),
        ("good.pem", ".", 6, "cannot be read: Is a directory"),
        (
            "good.key",
            "good.key",
            5,
            "holds no certificate in PEM form",
        ),
        (
            "good.pem",
            "good.pem",
            6,
            "holds no private key in PEM form",
        ),
    ] {
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n[[certificate]]\nchain = {:?}\nkey = {:?}\n\
             [[site]]\nhosts = [\"shop.example\"]\norigin = \"o\"\n[origins.o]\nservers = [\"http://127.0.0.1:1\"]\n",
            path(chain),
            path(key)
        );
        let file = folder.write("config.toml", &text).display().to_string();
        let output = command(&["check", "-c", &file], folder.path()).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            output.status.code(),
            Some(if line == 0 { 0 } else { 2 }),
            "{chain} {key}: {said}"
        );
        let begins = format!("{file}:{line}: certificate[0].");
        assert!(
            line == 0 || said.starts_with(&begins) && said.contains(wants),
            "{chain} {key}: {said}"
        );
    }
}
