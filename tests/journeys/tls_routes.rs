//! What routes want of the scheme: clients are sent on to https, and browsers told to stay there.

use super::tls::Scene;
use crate::harness::{Client, Origin, Setup};

const SITES: &str = "[[site]]
hosts = [\"a.example\", \"example.test\"]
https_only = true
hsts = { max_age = \"365d\", subdomains = true }
[[site.route]]
path = \"/*\"
origin = \"main\"
[[site.route]]
path = \"/open/*\"
origin = \"main\"
https_only = false
hsts = \"off\"
[[site.route]]
path = \"/short\"
answer = { status = 200, body = \"short\" }
hsts = \"1h\"
";
const HSTS: &str = "strict-transport-security";

/// Two listeners, one in clear and one with TLS.
fn both(scene: &Scene, sites: &str) -> Setup {
    let issued = scene.authority.issue(&["a.example", "example.test"]);
    let clear = "[[listen]]\naddress = \"127.0.0.1:0\"\n";
    scene.proxy_of(&[&issued], &format!("{clear}{sites}"))
}

#[tokio::test]
async fn clients_in_clear_are_sent_on_to_https_and_told_nothing_else() {
    let scene = Scene::new();
    let proxy = both(&scene, SITES).start().await;
    let clear = proxy.announces("http", 1).await;
    let mut client = Client::connect(clear).await;
    for (method, path, status, location) in [
        ("GET", "/p?q=1", 308, Some("https://a.example/p?q=1")),
        ("POST", "/p", 308, Some("https://a.example/p")),
        ("GET", "/short", 308, Some("https://a.example/short")),
        ("GET", "/open/x", 200, None),
    ] {
        let fields = [("host", "a.example:8080"), ("content-length", "0")];
        client.request(method, path, &fields).await;
        let response = client.response().await;
        assert_eq!(
            (response.status, response.field("location")),
            (status, location),
            "{path}"
        );
        assert_eq!(response.field(HSTS), None, "{path}");
    }
    assert_eq!(scene.origin.count("/p"), 0);
}

#[tokio::test]
async fn a_question_to_the_server_as_a_whole_has_no_other_url() {
    let scene = Scene::new();
    let proxy = both(&scene, SITES).start().await;
    let clear = proxy.announces("http", 1).await;
    let mut client = Client::connect(clear).await.asking_for("a.example");
    client.request("OPTIONS", "*", &[]).await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(scene.origin.last().path, "*");
}

#[tokio::test]
async fn where_we_say_it_the_origin_says_nothing() {
    let mut scene = Scene::new();
    let fields = &[(HSTS, "max-age=5"), ("cache-control", "max-age=60")];
    scene.origin = Origin::answering(200, fields, "page");
    let site = |hsts| format!("[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n{hsts}");
    for (key, in_clear, over_tls) in [
        ("hsts = \"1h\"\n", None, Some("max-age=3600")),
        ("", Some("max-age=5"), Some("max-age=5")),
    ] {
        let proxy = both(&scene, &site(key)).start().await;
        let clear = proxy.announces("http", 1).await;
        let mut clear = Client::connect(clear).await.asking_for("a.example");
        let mut secure = scene.to("a.example").client(proxy.address()).await;
        for _ in 0..2 {
            assert_eq!(clear.get("/").await.field(HSTS), in_clear, "{key}");
            assert_eq!(secure.get("/").await.field(HSTS), over_tls, "{key}");
        }
    }
}

#[tokio::test]
async fn the_port_of_https_is_the_one_that_was_said() {
    let scene = Scene::new();
    let proxy = both(&scene, SITES)
        .table("server", "https_port = 8443")
        .start()
        .await;
    let clear = proxy.announces("http", 1).await;
    let mut client = Client::connect(clear).await.asking_for("a.example");
    let response = client.get("/").await;
    assert_eq!(response.field("location"), Some("https://a.example:8443/"));
}

#[tokio::test]
async fn browsers_are_told_to_stay_with_https() {
    let scene = Scene::new();
    let proxy = both(&scene, SITES).start().await;
    let mut client = scene.to("a.example").client(proxy.address()).await;
    let long = Some("max-age=31536000; includeSubDomains");
    for (path, hsts) in [
        ("/", long),
        ("/", long),
        ("/open/x", None),
        ("/short", Some("max-age=3600")),
    ] {
        let response = client.get(path).await;
        assert_eq!(
            (response.status, response.field(HSTS)),
            (200, hsts),
            "{path}"
        );
    }
    let greeting = scene.to("example.test").offering(&["h2"]);
    let page = greeting.http2(proxy.address()).await.get_whole("/").await;
    assert_eq!(
        page.headers().get(HSTS).map(|it| it.as_bytes()),
        long.map(str::as_bytes)
    );
}

#[tokio::test]
async fn origins_are_told_the_scheme_in_either_dialect() {
    let scene = Scene::new();
    let sites = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n";
    let proxy = both(&scene, sites)
        .table("server", "forwarded = \"both\"")
        .start()
        .await;
    let clear = proxy.announces("http", 1).await;
    let mut secure = scene.to("a.example").client(proxy.address()).await;
    let mut plain = Client::connect(clear).await.asking_for("a.example");
    // The two are filed apart: what came in clear is not what https gives.
    for (client, scheme) in [(&mut secure, "https"), (&mut plain, "http")] {
        assert!(!client.get("/").await.is_hit(), "{scheme}");
        let asked = scene.origin.last();
        assert_eq!(asked.field("x-forwarded-proto"), Some(scheme));
        let forwarded = asked.field("forwarded").unwrap_or_default();
        assert!(
            forwarded.contains(&format!("proto={scheme}")),
            "{forwarded}"
        );
        assert!(client.get("/").await.is_hit(), "{scheme}");
    }
}
