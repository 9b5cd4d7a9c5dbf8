//! HTTPS: which certificate a client is shown, what is agreed on, and what is said to those who speak
//! something else.

use rustls::CipherSuite;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::harness::{
    Authority, Client, End, Greeting, Issued, Origin, Proxy, Setup, TempDir, eventually, within,
};

const ECDSA: &[CipherSuite] = &[CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256];
const RSA: &[CipherSuite] = &[CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];

/// An authority, its files, and an origin whose page can be stored.
pub(super) struct Scene {
    pub(super) authority: Authority,
    pub(super) folder: TempDir,
    pub(super) origin: Origin,
}

// === impl Scene ===

impl Scene {
    pub(super) fn new() -> Self {
        Self {
            authority: Authority::new(),
            folder: TempDir::new(),
            origin: Origin::answering(200, &[("cache-control", "max-age=60")], "page"),
        }
    }

    /// A TLS listener with these certificates, before one site for every host.
    pub(super) fn proxy(&self, issued: &[&Issued]) -> Setup {
        self.proxy_of(issued, "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n")
    }

    /// The same before these sites.
    pub(super) fn proxy_of(&self, issued: &[&Issued], sites: &str) -> Setup {
        let mut tables = String::new();
        for (number, issued) in issued.iter().enumerate() {
            let lines = issued.lines(&self.folder, &format!("{number}"));
            tables.push_str(&format!("[[certificate]]\n{lines}\n"));
        }
        Proxy::before(&self.origin)
            .table("[listen]", "tls = true")
            .sites(&(tables + sites))
    }

    pub(super) fn to(&self, name: &'static str) -> Greeting {
        Greeting::to(name, &self.authority)
    }
}

pub(super) fn is_shown(stream: &TlsStream<TcpStream>, issued: &Issued) -> bool {
    let shown = stream.get_ref().1.peer_certificates();
    shown.and_then(|it| it.first()) == Some(issued.der())
}

/// Waits until so many handshakes have failed for this reason.
pub(super) async fn has_failed(proxy: &Proxy, reason: &str, count: usize) {
    let label = format!("reason=\"{reason}\"");
    let failed = async || {
        let failures = "copal_tls_handshake_failures_total";
        proxy.metric(failures, &label).await == count as f64
    };
    eventually(&format!("{count} times {reason}"), failed).await;
}

#[tokio::test]
async fn a_page_is_served_over_tls_and_kept_by_its_scheme() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["shop.example"]);
    let proxy = scene.proxy(&[&issued]).start().await;
    let mut client = scene.to("shop.example").client(proxy.address()).await;
    let first = client.get("/").await;
    assert!(first.is_good("page") && !first.is_hit(), "{first:?}");
    let second = client.get("/").await;
    assert!(second.is_good("page") && second.is_hit(), "{second:?}");
    let asked = scene.origin.last();
    assert_eq!(asked.field("x-forwarded-proto"), Some("https"));
    assert_eq!(proxy.announced("https"), [proxy.address()]);
    let purged = proxy.purge(r#"{"url":"https://shop.example/"}"#).await;
    assert_eq!(purged.text().trim(), r#"{"purged":1}"#);
    assert!(!client.get("/").await.is_hit());
}

#[tokio::test]
async fn an_exact_name_goes_before_a_wildcard_and_that_before_the_first() {
    let scene = Scene::new();
    let names = ["first.example", "*.shop.example", "www.shop.example"];
    let issued = names.map(|it| scene.authority.issue(&[it, "127.0.0.1"]));
    let proxy = scene.proxy(&issued.each_ref()).start().await;
    for (name, expected) in [
        ("first.example", 0),
        ("www.shop.example", 2),
        ("blog.shop.example", 1),
        // No name is asked for.
        ("127.0.0.1", 0),
    ] {
        let stream = scene.to(name).shake(proxy.address()).await;
        assert!(is_shown(&stream, &issued[expected]), "{name}");
    }
    // Nobody has that name, and the client sees it.
    for name in ["a.blog.shop.example", "shop.example", "other.example"] {
        assert!(
            scene.to(name).try_shake(proxy.address()).await.is_err(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_client_gets_the_kind_of_key_that_it_can_check() {
    let scene = Scene::new();
    let rsa = scene.authority.issue_rsa(&["shop.example"]);
    let ecdsa = scene.authority.issue(&["shop.example"]);
    let proxy = scene.proxy(&[&rsa, &ecdsa]).start().await;
    let old = |suites| Greeting::old("shop.example", &scene.authority, suites);
    for (greeting, expected) in [
        (scene.to("shop.example"), &ecdsa),
        (old(ECDSA), &ecdsa),
        (old(RSA), &rsa),
    ] {
        let stream = greeting.shake(proxy.address()).await;
        assert!(is_shown(&stream, expected));
    }
}

#[tokio::test]
async fn the_protocol_is_what_the_client_likes_best_of_ours() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["shop.example"]);
    let proxy = scene.proxy(&[&issued]).start().await;
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["acme-tls/1", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let greeting = scene.to("shop.example").offering(offered);
        let stream = greeting.shake(proxy.address()).await;
        let found = stream.get_ref().1.alpn_protocol();
        assert_eq!(found, agreed.map(str::as_bytes), "{offered:?}");
        if agreed != Some("h2") {
            assert!(Client::over(stream).get("/").await.is_good("page"));
        }
    }
    // RFC 7301 §3.2: a fatal alert.
    let greeting = scene.to("shop.example").offering(&["spdy/3"]);
    assert!(greeting.try_shake(proxy.address()).await.is_err());
    has_failed(&proxy, "no-protocol", 1).await;
}

#[tokio::test]
async fn http2_over_tls_is_served_from_the_same_store() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["example.test"]);
    let proxy = scene.proxy(&[&issued]).start().await;
    let greeting = scene.to("example.test").offering(&["h2"]);
    let mut client = greeting.http2(proxy.address()).await;
    for path in ["/", "/", "/other"] {
        assert_eq!(client.get_whole(path).await.body(), "page");
    }
    let mut old = scene.to("example.test").client(proxy.address()).await;
    assert!(old.get("/").await.is_hit());
    assert_eq!(scene.origin.count("/"), 1);
}

/// RFC 9113 §3.2 and §3.4: whoever agrees on HTTP/2 begins with its preface, and nobody else does.
#[tokio::test]
async fn what_was_agreed_on_is_what_is_spoken() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["example.test"]);
    let proxy = scene.proxy(&[&issued]).start().await;
    let chosen_2 = scene.to("example.test").offering(&["h2"]);
    let mut client = Client::over(chosen_2.shake(proxy.address()).await);
    client
        .send("GET / HTTP/1.1\r\nhost: example.test\r\n\r\n")
        .await;
    assert!(!String::from_utf8_lossy(&client.until_gone().await).contains("HTTP/1.1"));
    let chosen_1 = scene.to("example.test").offering(&["http/1.1"]);
    let mut client = Client::over(chosen_1.shake(proxy.address()).await);
    client
        .send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    let said = client.until_gone().await;
    assert!(
        said.is_empty() || said.starts_with(b"HTTP/1.1 400 "),
        "{said:?}"
    );
    assert_eq!(scene.origin.connections(), 0);
}

#[tokio::test]
async fn who_speaks_http_in_clear_is_told_in_words() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["shop.example"]);
    let proxy = scene.proxy(&[&issued]).start().await;
    let response = proxy.get("/").await;
    assert_eq!((response.status, response.end), (400, End::Clean));
    assert!(response.text().contains("https://"), "{response:?}");
    let mut other = TcpStream::connect(proxy.address())
        .await
        .expect("a listener");
    other.write_all(b"\0\x01\x02").await.expect("a listener");
    let mut said = Vec::new();
    let end = within("the end", other.read_to_end(&mut said)).await;
    assert!(said.is_empty(), "{end:?} {said:?}");
    has_failed(&proxy, "plain-http", 1).await;
    has_failed(&proxy, "malformed", 1).await;
}

#[tokio::test]
async fn versions_and_suites_are_those_that_were_named() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["shop.example"]);
    let tls = "[listen.tls]\nmin_version = \"1.3\"\nsuites = [\"TLS_AES_256_GCM_SHA384\"]\n\
               groups = [\"X25519MLKEM768\"]\n";
    let proxy = Proxy::before(&scene.origin)
        .table("[listen]", tls)
        .table("[certificate]", &issued.lines(&scene.folder, "a"))
        .start()
        .await;
    let stream = scene.to("shop.example").shake(proxy.address()).await;
    let session = stream.get_ref().1;
    let suite = session.negotiated_cipher_suite().map(|it| it.suite());
    assert_eq!(suite, Some(CipherSuite::TLS13_AES_256_GCM_SHA384));
    let group = session.negotiated_key_exchange_group().map(|it| it.name());
    assert_eq!(group, Some(rustls::NamedGroup::X25519MLKEM768));
    let old = Greeting::old("shop.example", &scene.authority, ECDSA);
    assert!(old.try_shake(proxy.address()).await.is_err());
    has_failed(&proxy, "nothing-in-common", 1).await;
    let label = "version=\"TLSv1.3\",suite=\"TLS_AES_256_GCM_SHA384\",resumed=\"false\"";
    assert_eq!(proxy.metric("copal_tls_handshakes_total", label).await, 1.0);
}

#[tokio::test]
async fn suites_that_were_named_are_chosen_in_their_order_and_not_the_clients() {
    let scene = Scene::new();
    let issued = scene.authority.issue(&["shop.example"]);
    // Our client would have them the other way round, as the listener without a list shows.
    let named =
        "[listen.tls]\nsuites = [\"TLS_CHACHA20_POLY1305_SHA256\", \"TLS_AES_256_GCM_SHA384\"]\n";
    let expected = [
        ("tls = true\n", CipherSuite::TLS13_AES_256_GCM_SHA384),
        (named, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ];
    for (tls, suite) in expected {
        let proxy = Proxy::before(&scene.origin)
            .table("[listen]", tls)
            .table("[certificate]", &issued.lines(&scene.folder, "a"))
            .start()
            .await;
        let stream = scene.to("shop.example").shake(proxy.address()).await;
        let chosen = stream.get_ref().1.negotiated_cipher_suite();
        assert_eq!(chosen.map(|it| it.suite()), Some(suite), "{tls}");
    }
}
