//! Sessions that are resumed, before and after a reload and by another Copal, and handshakes that never
//! end.

use rustls::{CipherSuite, HandshakeKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::tls::{Scene, has_failed};
use crate::harness::{Client, Greeting, Proxy, eventually, within};

const OLD: &[CipherSuite] = &[CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256];

/// Shakes hands and takes a page, so that tickets have come in; tells whether a session was resumed.
async fn is_resumed(greeting: &Greeting, proxy: &Proxy) -> bool {
    let stream = greeting.shake(proxy.address()).await;
    let kind = stream.get_ref().1.handshake_kind();
    let mut client = Client::over(stream).asking_for("a.example");
    assert_eq!(client.get("/").await.status, 200);
    kind == Some(HandshakeKind::Resumed)
}

#[tokio::test]
async fn a_session_is_resumed_before_and_after_a_reload() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["a.example"]);
    let renewed = scene.authority.issue(&["a.example"]);
    let setup = scene.proxy(&[&issued]);
    let proxy = setup.start().await;
    let new = scene.to("a.example");
    let old = Greeting::old("a.example", &scene.authority, OLD);
    for greeting in [&new, &old] {
        assert!(!is_resumed(greeting, &proxy).await);
        assert!(is_resumed(greeting, &proxy).await);
    }
    renewed.replace(scene.folder.path(), "0");
    let answer = proxy
        .admin()
        .await
        .send_body("POST", "/api/v1/reload", "")
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for greeting in [&new, &old] {
        assert!(is_resumed(greeting, &proxy).await);
    }
    let resumed = "resumed=\"true\"";
    assert_eq!(
        proxy.metric("copal_tls_handshakes_total", resumed).await,
        4.0
    );
}

#[tokio::test]
async fn two_copals_with_one_file_of_keys_resume_each_others_sessions() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["a.example"]);
    let (first, second) = ("01".repeat(32), "02".repeat(32));
    let keys = scene.folder.write("tickets", &format!("{first}\n"));
    let lines = format!("ticket_keys = {keys:?}");
    let one = scene.proxy(&[&issued]).table("tls", &lines).start().await;
    let other = scene.proxy(&[&issued]).table("tls", &lines).start().await;
    let greeting = scene.to("a.example");
    assert!(!is_resumed(&greeting, &one).await);
    assert!(is_resumed(&greeting, &other).await);
    // A key that is put before the old one seals, and the old one still opens.
    scene
        .folder
        .write("tickets", &format!("# new\n{second}\n{first}\n"));
    for proxy in [&one, &other] {
        let answer = proxy
            .admin()
            .await
            .send_body("POST", "/api/v1/reload", "")
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert!(is_resumed(&greeting, &one).await);
    assert!(is_resumed(&greeting, &other).await);
    scene.folder.write("tickets", "no key");
    let bad = async || one.metric("copal_tls_files_bad", "").await == 1.0;
    eventually("the file to be bad", bad).await;
    assert!(is_resumed(&greeting, &one).await);
}

#[tokio::test]
async fn a_session_is_resumed_under_its_own_name_alone() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["a.example", "b.example"]);
    let proxy = scene.proxy(&[&issued]).start().await;
    let greeting = scene.to("a.example");
    assert!(!is_resumed(&greeting, &proxy).await);
    let greeting = greeting.asking_for("b.example");
    assert!(!is_resumed(&greeting, &proxy).await);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_cut_at_its_deadline() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["a.example"]);
    let proxy = scene.proxy(&[&issued]);
    let proxy = proxy
        .table("tls", "handshake_timeout = \"300ms\"")
        .start()
        .await;
    let mut silent = TcpStream::connect(proxy.address())
        .await
        .expect("a listener");
    let mut slow = TcpStream::connect(proxy.address())
        .await
        .expect("a listener");
    slow.write_all(b"\x16\x03\x01\x02\0\x01")
        .await
        .expect("a listener");
    let mut stopped = hello(&scene, &proxy).await;
    for (name, stream) in [
        ("silent", &mut silent),
        ("slow", &mut slow),
        ("stopped", &mut stopped),
    ] {
        // By an end or by a reset: that it ends is what is wanted.
        let _ = within(name, stream.read_to_end(&mut Vec::new())).await;
    }
    has_failed(&proxy, "timeout", 3).await;
    assert_eq!(
        proxy.metric("copal_tls_handshakes_under_way", "").await,
        0.0
    );
    assert!(!is_resumed(&scene.to("a.example"), &proxy).await);
}

/// A connection on which a ClientHello has been sent, and nothing behind it.
async fn hello(scene: &Scene, proxy: &Proxy) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address())
        .await
        .expect("a listener");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("a bound socket");
    let greeting = scene.to("a.example");
    let (_, recorded) = tokio::join!(
        async {
            tokio::time::timeout(
                std::time::Duration::from_millis(100),
                greeting.try_shake(address),
            )
            .await
        },
        async {
            let (mut client, _) = listener.accept().await.expect("a client");
            let mut bytes = vec![0; 16 * 1024];
            let count = client.read(&mut bytes).await.expect("a hello");
            bytes.truncate(count);
            bytes
        }
    );
    stream.write_all(&recorded).await.expect("a listener");
    stream
}

#[tokio::test]
async fn for_one_handshake_too_many_the_oldest_is_cut() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["a.example"]);
    let proxy = scene
        .proxy(&[&issued])
        .table("tls", "handshakes_max = 8")
        .start()
        .await;
    let mut begun = Vec::new();
    for _ in 0..32 {
        begun.push(hello(&scene, &proxy).await);
    }
    has_failed(&proxy, "crowded", 24).await;
    assert_eq!(
        proxy.metric("copal_tls_handshakes_under_way", "").await,
        8.0
    );
    // Whoever means it gets through.
    for _ in 0..8 {
        assert!(!is_resumed(&scene.to("a.example"), &proxy).await);
    }
    drop(begun);
}

#[tokio::test]
async fn what_was_agreed_on_is_in_the_log() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["a.example"]);
    let log = "access = \"stdout\"\nformat = \"json\"";
    let proxy = scene.proxy(&[&issued]).table("log", log).start().await;
    let _: TlsStream<TcpStream> = scene.to("a.example").shake(proxy.address()).await;
    scene
        .to("a.example")
        .client(proxy.address())
        .await
        .get("/x")
        .await;
    let wanted = "\"tls_version\":\"TLSv1.3\",\"tls_suite\":\"TLS_AES_256_GCM_SHA384\",\
                  \"tls_group\":\"X25519MLKEM768\",\"sni\":\"a.example\"";
    let is_there = async || proxy.stdout().iter().any(|it| it.contains(wanted));
    eventually("a line of the log", is_there).await;
}
