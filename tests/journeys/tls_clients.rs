//! Client certificates: who must show one, who vouches for it, and who gets to know.

use super::tls::{Scene, has_failed};
use crate::harness::{Authority, Client, Greeting, Issued, Setup};

/// Clients of two authorities, of which one is known.
struct Clients {
    scene: Scene,
    known: Authority,
    unknown: Authority,
    server: Issued,
}

// === impl Clients ===

impl Clients {
    fn new() -> Self {
        let scene = Scene::new();
        let server = scene
            .authority
            .issue(&["in.example", "open.example", "*.wild.example"]);
        Self {
            scene,
            known: Authority::new(),
            unknown: Authority::new(),
            server,
        }
    }

    /// A proxy whose site `in.example` wants certificates in this way, and `open.example` none.
    fn proxy(&self, lines: &str) -> Setup {
        let ca = self.known.write(&self.scene.folder, "clients.pem");
        let sites = format!(
            "[[site]]\nhosts = [\"in.example\"]\norigin = \"main\"\n\
             tls = {{ client_auth = \"{lines}\", client_ca = {ca:?} }}\n\
             [[site]]\nhosts = [\"open.example\", \"*.wild.example\"]\norigin = \"main\"\n"
        );
        self.scene.proxy_of(&[&self.server], &sites)
    }

    fn showing(&self, name: &'static str, issued: &Issued) -> Greeting {
        Greeting::showing(name, &self.scene.authority, issued)
    }
}

/// The status of a page, or none where the handshake fails. With TLS 1.3 the client may learn that
/// only when it reads.
async fn status(
    greeting: &Greeting,
    address: std::net::SocketAddr,
    host: &'static str,
) -> Option<u16> {
    let stream = greeting.try_shake(address).await.ok()?;
    let mut client = Client::over(stream).asking_for(host);
    client.request("GET", "/", &[]).await;
    client.try_response().await.map(|it| it.status)
}

#[tokio::test]
async fn a_site_that_requires_a_certificate_is_for_those_with_a_good_one() {
    let clients = Clients::new();
    let proxy = clients.proxy("require").start().await;
    let (known, unknown) = (clients.known.issue(&["me"]), clients.unknown.issue(&["me"]));
    let expired = clients.known.issue_expired(&["me"]);
    let address = proxy.address();
    let none = clients.scene.to("in.example");
    assert_eq!(status(&none, address, "in.example").await, None);
    for (issued, expected) in [(&known, Some(200)), (&unknown, None), (&expired, None)] {
        let greeting = clients.showing("in.example", issued);
        assert_eq!(status(&greeting, address, "in.example").await, expected);
    }
    assert_eq!(
        status(&clients.scene.to("open.example"), address, "open.example").await,
        Some(200)
    );
    has_failed(&proxy, "client-certificate-missing", 1).await;
    has_failed(&proxy, "client-certificate-bad", 2).await;
}

#[tokio::test]
async fn the_origin_is_told_what_was_shown_and_nothing_that_clients_claim() {
    let clients = Clients::new();
    let proxy = clients.proxy("request").start().await;
    let known = clients.known.issue(&["me"]);
    let claims = [
        ("client-cert", ":Zm9yZ2Vk:"),
        ("client-cert-chain", ":Zm9yZ2Vk:"),
    ];
    let mut shown = clients
        .showing("in.example", &known)
        .client(proxy.address())
        .await;
    assert_eq!(shown.get_with("/shown", &claims).await.status, 200);
    let told = clients
        .scene
        .origin
        .last()
        .field("client-cert")
        .map(str::to_owned);
    let told = told.expect("a certificate");
    assert!(
        told.starts_with(":MII") || told.starts_with(":MI"),
        "{told}"
    );
    assert!(told.ends_with(':') && told != ":Zm9yZ2Vk:");
    let mut none = clients.scene.to("in.example").client(proxy.address()).await;
    for path in ["/none", "/again"] {
        assert_eq!(none.get_with(path, &claims).await.status, 200);
        let last = clients.scene.origin.last();
        assert_eq!(
            (last.field("client-cert"), last.field("client-cert-chain")),
            (None, None)
        );
    }
}

/// As with Authorization (RFC 9111 §3.5): the origin may have chosen its answer by the certificate.
#[tokio::test]
async fn what_a_certificate_brought_is_not_shared_unless_the_origin_says_so() {
    let clients = Clients::new();
    let proxy = clients.proxy("request").start().await;
    let known = clients.known.issue(&["me"]);
    let mut shown = clients
        .showing("in.example", &known)
        .client(proxy.address())
        .await;
    let mut none = clients.scene.to("in.example").client(proxy.address()).await;
    assert!(!shown.get("/").await.is_hit());
    assert!(!none.get("/").await.is_hit());
    assert!(none.get("/").await.is_hit());
    assert!(!shown.get("/").await.is_hit());
}

#[tokio::test]
async fn a_revoked_certificate_is_as_good_as_none_as_soon_as_the_list_says_so() {
    let clients = Clients::new();
    let folder = &clients.scene.folder;
    let (good, bad) = (clients.known.issue(&["me"]), clients.known.issue(&["me"]));
    let ca = clients.known.write(folder, "clients.pem");
    let crl = clients.known.write_revoked(folder, "revoked.pem", &[]);
    let listen = format!(
        "[listen.tls]\nclient_auth = \"require\"\nclient_ca = {ca:?}\nclient_crl = {crl:?}"
    );
    let setup = clients.scene.proxy(&[&clients.server]).without("[listen]");
    let setup = setup.table("[listen]", &format!("address = \"127.0.0.1:0\"\n{listen}"));
    let proxy = setup.start().await;
    let (one, other) = (
        clients.showing("in.example", &good),
        clients.showing("in.example", &bad),
    );
    for greeting in [&one, &other] {
        assert_eq!(
            status(greeting, proxy.address(), "in.example").await,
            Some(200)
        );
    }
    clients.known.write_revoked(folder, "revoked.pem", &[&bad]);
    let answer = proxy
        .admin()
        .await
        .send_body("POST", "/api/v1/reload", "")
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // Nor is a session resumed that was begun when it was good.
    assert_eq!(status(&other, proxy.address(), "in.example").await, None);
    assert_eq!(status(&one, proxy.address(), "in.example").await, Some(200));
}

/// RFC 9110 §15.5.20: whoever got in by one name gets no further by another, but only where that would
/// make a difference.
#[tokio::test]
async fn a_host_whose_policy_differs_from_the_names_wants_a_connection_of_its_own() {
    let clients = Clients::new();
    let proxy = clients.proxy("require").start().await;
    let known = clients.known.issue(&["me"]);
    let open = clients.scene.to("open.example");
    let shown = clients.showing("in.example", &known);
    for (greeting, host, expected) in [
        (&open, "open.example", 200),
        (&open, "a.wild.example", 200),
        (&open, "in.example", 421),
        (&open, "in.example:1234", 421),
        (&shown, "in.example", 200),
        (&shown, "open.example", 421),
    ] {
        let found = status(greeting, proxy.address(), host).await;
        assert_eq!(found, Some(expected), "{host}");
    }
    let h2 = clients.scene.to("open.example").offering(&["h2"]);
    let mut client = h2.http2(proxy.address()).await;
    let refused = client.get_with("/", &[("host", "in.example")]).await;
    assert!(
        [400, 404, 421].contains(&refused.status().as_u16()),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_site_that_requires_a_certificate_is_not_served_in_clear() {
    let clients = Clients::new();
    let setup = clients.proxy("require").without("[listen]");
    let proxy = setup
        .table("[listen]", "address = \"127.0.0.1:0\"")
        .start()
        .await;
    for (host, expected) in [("in.example", 421), ("open.example", 200)] {
        let mut client = proxy.client().await.asking_for(host);
        assert_eq!(client.get("/").await.status, expected, "{host}");
    }
}
