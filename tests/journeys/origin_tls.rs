//! Servers behind TLS: they are spoken to only when they have proved who they are.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::harness::{
    Authority, Handshake, Issued, Origin, Proxy, Reserved, Setup, TempDir, TlsDoor, command,
    eventually,
};

/// The longest way to say no.
const VERIFY_OFF: &str = "verify = \"off-so-anyone-can-pose-as-the-server\"";

/// Two authorities, of which the proxy knows the first, and a server behind the proxy.
struct Scene {
    known: Authority,
    unknown: Authority,
    folder: TempDir,
    origin: Origin,
}

// === impl Scene ===

impl Scene {
    fn new() -> Self {
        Self {
            known: Authority::new(),
            unknown: Authority::new(),
            folder: TempDir::new(),
            origin: Origin::answering(200, &[("cache-control", "no-store")], "page"),
        }
    }

    async fn door(&self, issued: &Issued) -> TlsDoor {
        TlsDoor::before(&self.origin, issued).await
    }

    /// A proxy that trusts the known authority, before the server at `port` of this machine.
    fn proxy(&self, port: u16, tls: &str) -> Setup {
        let ca = self.known.write(&self.folder, "ca.pem");
        let url = format!("https://localhost:{port}");
        Proxy::before_url(&url)
            .table("origins.main.tls", &format!("roots = {ca:?}"))
            .table("origins.main.tls", tls)
    }
}

#[tokio::test]
async fn a_server_that_proves_its_name_is_spoken_to() {
    let scene = Scene::new();
    let door = scene.door(&scene.known.issue(&["localhost"])).await;
    let proxy = scene.proxy(door.port(), "").start().await;
    let mut client = proxy.client().await;
    for path in ["/a", "/b", "/c"] {
        assert!(client.get(path).await.is_good("page"));
    }
    // One connection for all, the server's name in it, and HTTP/1.1 although HTTP/2 is on offer.
    let handshake = Handshake {
        name: Some("localhost".to_owned()),
        protocol: Some("http/1.1".to_owned()),
    };
    assert_eq!(door.handshakes(), [handshake]);
    assert_eq!(scene.origin.last().field("x-forwarded-proto"), Some("http"));
}

#[tokio::test]
async fn another_name_is_asked_for_where_one_is_given() {
    let scene = Scene::new();
    let door = scene.door(&scene.known.issue(&["app.internal"])).await;
    let proxy = scene.proxy(door.port(), "name = \"app.internal\"");
    let proxy = proxy.start().await;
    assert!(proxy.get("/a").await.is_good("page"));
    assert_eq!(door.handshakes()[0].name.as_deref(), Some("app.internal"));
}

/// RFC 6066 §3: "Literal IPv4 and IPv6 addresses are not permitted in "HostName"."
#[tokio::test]
async fn an_address_is_verified_as_an_address() {
    let scene = Scene::new();
    let door = scene.door(&scene.known.issue(&["127.0.0.1"])).await;
    let proxy = scene.proxy(door.port(), "name = \"127.0.0.1\"");
    let proxy = proxy.start().await;
    assert!(proxy.get("/a").await.is_good("page"));
    assert_eq!(door.handshakes()[0].name, None);
}

/// What nobody has proved to be the server's reader must not be read by it.
#[tokio::test]
async fn a_server_that_does_not_prove_its_name_gets_no_byte_of_a_request() {
    let scene = Scene::new();
    for (why, issued) in [
        ("wrong name", scene.known.issue(&["other.test"])),
        ("expired", scene.known.issue_expired(&["localhost"])),
        ("unknown authority", scene.unknown.issue(&["localhost"])),
    ] {
        let door = scene.door(&issued).await;
        let proxy = scene.proxy(door.port(), "").start().await;
        let response = proxy.get("/a").await;
        assert_eq!(response.status, 502, "{why}: {response:?}");
        let cache_status = response.field("cache-status").unwrap_or_default();
        assert!(
            cache_status.contains("detail=origin-tls"),
            "{why}: {cache_status}"
        );
        let failures = proxy.metric("copal_origin_errors_total", "kind=\"origin-tls\"");
        assert!(failures.await >= 1.0, "{why}");
    }
    assert!(scene.origin.requests().is_empty());
}

#[tokio::test]
async fn a_server_without_tls_on_the_port_gets_no_byte_of_a_request() {
    let scene = Scene::new();
    let plain = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = plain.local_addr().expect("a bound socket").port();
    let seen = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.expect("a connection");
        let mut seen = vec![0; 16];
        stream.read_exact(&mut seen).await.expect("a first message");
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.expect("a listener");
        stream.read_to_end(&mut seen).await.ok();
        seen
    });
    let proxy = scene.proxy(port, "").start().await;
    let response = proxy.get("/secret").await;
    assert_eq!(response.status, 502, "{response:?}");
    let seen = seen.await.expect("a server");
    // RFC 8446 §5.1: a record that holds a part of a handshake.
    assert_eq!(seen[0], 22, "{seen:?}");
    assert!(!String::from_utf8_lossy(&seen).contains("secret"));
}

#[tokio::test]
async fn another_server_answers_for_one_that_does_not_prove_its_name() {
    let scene = Scene::new();
    let wrong = scene.door(&scene.known.issue(&["other.test"])).await;
    let right = scene.door(&scene.known.issue(&["localhost"])).await;
    let more = format!(
        "servers = [\"https://localhost:{}\", \"https://localhost:{}\"]\nbalance = \"first\"",
        wrong.port(),
        right.port()
    );
    let ca = scene.known.write(&scene.folder, "ca.pem");
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .table("origins.pool", &more)
        .table("origins.pool.tls", &format!("roots = {ca:?}"))
        .sites("[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n")
        .start()
        .await;
    let answer = proxy.client().await.send_body("POST", "/a", "text").await;
    assert!(answer.is_good("page"), "not a byte was sent: {answer:?}");
}

#[tokio::test]
async fn a_server_may_demand_to_know_who_we_are() {
    let scene = Scene::new();
    let issued = scene.known.issue(&["localhost"]);
    let door = TlsDoor::before_for(&scene.origin, &issued, &scene.unknown).await;
    let proxy = scene.proxy(door.port(), "").start().await;
    let refused = proxy.get("/a").await;
    assert_eq!(refused.status, 502, "{refused:?}");
    let cache_status = refused.field("cache-status").unwrap_or_default();
    assert!(cache_status.contains("detail=origin-"), "{cache_status}");
    assert!(scene.origin.requests().is_empty());
    let (certificate, key) = scene
        .unknown
        .issue(&["copal"])
        .write(&scene.folder, "copal");
    let lines = format!("client_certificate = {certificate:?}\nclient_key = {key:?}");
    let proxy = scene.proxy(door.port(), &lines).start().await;
    assert!(proxy.get("/a").await.is_good("page"));
}

#[tokio::test]
async fn who_says_so_at_length_is_not_protected_and_is_told() {
    let scene = Scene::new();
    let door = scene
        .door(&scene.unknown.issue_expired(&["other.test"]))
        .await;
    let proxy = scene.proxy(door.port(), VERIFY_OFF).start().await;
    assert!(proxy.get("/a").await.is_good("page"));
    proxy.says("certificates are not verified").await;
}

#[tokio::test]
async fn probes_speak_tls() {
    let scene = Scene::new();
    let door = scene.door(&scene.known.issue(&["localhost"])).await;
    let wrong = scene.door(&scene.known.issue(&["other.test"])).await;
    for (port, up) in [(door.port(), 1.0), (wrong.port(), 0.0)] {
        let health = "health = { path = \"/health\", interval = \"50ms\", rise = 1, fall = 1 }";
        let setup = scene.proxy(port, "").table("origins.main", health);
        let proxy = setup.start().await;
        let failures = "copal_origin_probe_failures_total";
        eventually("a probe", async || {
            scene.origin.count("/health") > 0 && up > 0.5 || proxy.metric(failures, "").await > 0.0
        })
        .await;
        let as_expected = async || proxy.metric("copal_origin_up", "").await == up;
        eventually("the server to be judged", as_expected).await;
    }
}

// --- files ---------------------------------------------------------------------------------------

/// What `copal check` says of an origin with one `https` server and these lines under `tls`.
async fn told(folder: &TempDir, lines: &str) -> String {
    let text = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n[[site]]\nhosts = [\"*\"]\norigin = \"a\"\n\
         [origins.a]\nservers = [\"https://app.internal\"]\n[origins.a.tls]\n{lines}\n"
    );
    folder.write("check.toml", &text);
    let output = command(&["check", "-c", "check.toml"], folder.path()).await;
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn files_are_checked_before_anything_is_served() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    authority.write(&folder, "ca.pem");
    authority.issue(&["a"]).write(&folder, "a");
    authority.issue(&["b"]).write(&folder, "b");
    folder.write("empty.pem", "");
    let pair = |certificate: &str, key: &str| {
        format!("roots = \"ca.pem\"\nclient_certificate = {certificate:?}\nclient_key = {key:?}")
    };
    for (lines, wanted) in [
        ("roots = \"ca.pem\"".to_owned(), ""),
        (pair("a.pem", "a.key"), ""),
        (
            "roots = \"gone.pem\"".to_owned(),
            "check.toml:9: origins.a.tls.roots: gone.pem cannot be read",
        ),
        (
            "roots = \"empty.pem\"".to_owned(),
            "check.toml:9: origins.a.tls.roots: empty.pem holds no certificate",
        ),
        (
            "roots = \"a.key\"".to_owned(),
            "check.toml:9: origins.a.tls.roots: a.key holds no certificate",
        ),
        (
            pair("a.pem", "b.key"),
            "check.toml:11: origins.a.tls.client_key: does not belong to",
        ),
        (
            pair("a.pem", "a.pem"),
            "check.toml:11: origins.a.tls.client_key: a.pem holds no private key",
        ),
        (
            "roots = \"ca.pem\"\nclient_key = \"a.key\"".to_owned(),
            "origins.a.tls.client_certificate: is missing",
        ),
        (
            "roots = \"ca.pem\"\nverify = false".to_owned(),
            "check.toml:10: origins.a.tls.verify: must be true",
        ),
        (
            "roots = \"ca.pem\"\nname = \"a b\"".to_owned(),
            "check.toml:10: origins.a.tls.name: is not the name of a host",
        ),
    ] {
        let told = told(&folder, &lines).await;
        assert!(told.contains(wanted), "{lines}: {told}");
        assert_eq!(told.is_empty(), wanted.is_empty(), "{lines}: {told}");
    }
    assert!(told(&folder, VERIFY_OFF).await.is_empty());
}

#[tokio::test]
async fn a_port_that_is_closed_is_refused_and_no_matter_of_tls() {
    let (scene, gone) = (Scene::new(), Reserved::new());
    let proxy = scene.proxy(gone.address().port(), "").start().await;
    let response = proxy.get("/a").await;
    let cache_status = response.field("cache-status").unwrap_or_default();
    assert!(
        cache_status.contains("detail=origin-refused"),
        "{cache_status}"
    );
}
