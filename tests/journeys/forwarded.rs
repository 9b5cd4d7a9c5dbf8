//! Proxies between the client and us: who of them is believed, and what the origin is told.

use crate::harness::{Client, Fields, Origin, Proxy, Response, Setup};

/// Only 127.0.0.1, from which clients come unless they say otherwise.
const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]";

fn origin() -> Origin {
    Origin::answering(200, &[("cache-control", "no-store")], "page")
}

fn trusting(origin: &Origin, more: &str) -> Setup {
    Proxy::before(origin)
        .table("server", TRUSTED)
        .table("server", more)
}

/// What the origin is told, in X-Forwarded-For, -Proto and -Host.
fn told(origin: &Origin) -> [String; 3] {
    let request = origin.last();
    ["for", "proto", "host"].map(|it| {
        let name = format!("x-forwarded-{it}");
        request.head.fields(&name).join(" | ")
    })
}

#[tokio::test]
async fn by_default_nobody_is_believed() {
    let origin = origin();
    let proxy = Proxy::start(&origin).await;
    let claims = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "other.test"),
        ("forwarded", "for=192.0.2.1"),
        ("host", "shop.test"),
    ];
    proxy.get_with("/a", &claims).await;
    assert_eq!(told(&origin), ["127.0.0.1", "http", "shop.test"]);
    assert_eq!(origin.last().field("forwarded"), None);
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_others_are_not() {
    let origin = origin();
    let proxy = trusting(&origin, "").start().await;
    let claims = [
        ("x-forwarded-for", "1.2.3.4, 192.0.2.1, 10.0.0.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.test"),
        ("x-forwarded-port", "444"),
        ("forwarded", "for=5.6.7.8"),
    ];
    proxy.get_with("/a", &claims).await;
    let list = "1.2.3.4, 192.0.2.1, 10.0.0.2, 127.0.0.1";
    assert_eq!(told(&origin), [list, "https", "shop.test"]);
    let seen = origin.last();
    assert_eq!(seen.field("host"), Some("shop.test"));
    assert_eq!(
        (seen.field("forwarded"), seen.field("x-forwarded-port")),
        (None, None)
    );
    let mut stranger = Client::connect_from([127, 0, 0, 9], proxy.address()).await;
    stranger.get_with("/a", &claims).await;
    assert_eq!(told(&origin)[..2], ["127.0.0.9", "http"]);
}

#[tokio::test]
async fn what_cannot_be_understood_is_not_believed() {
    let origin = origin();
    let proxy = trusting(&origin, "").start().await;
    for (name, value) in [
        ("x-forwarded-proto", "https, http"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-host", "a.test, b.test"),
        ("x-forwarded-host", "a.test/b"),
    ] {
        proxy
            .get_with("/a", &[(name, value), ("host", "shop.test")])
            .await;
        assert_eq!(told(&origin), ["127.0.0.1", "http", "shop.test"], "{value}");
    }
}

/// RFC 7239 §4 and §6.
#[tokio::test]
async fn forwarded_is_spoken_where_it_is_wanted() {
    let origin = origin();
    let proxy = trusting(&origin, "forwarded = \"rfc7239\"").start().await;
    let host = ("host", "shop.test:81");
    proxy.get_with("/a", &[host]).await;
    let own = "for=127.0.0.1;host=\"shop.test:81\";proto=http";
    assert_eq!(origin.last().field("forwarded"), Some(own));
    assert_eq!(told(&origin), ["", "", ""]);
    let claim = "for=\"[2001:db8::1]:4711\";host=a.test;proto=https";
    proxy.get_with("/a", &[host, ("forwarded", claim)]).await;
    let both = format!("{claim}, for=127.0.0.1;host=a.test;proto=https");
    assert_eq!(origin.last().field("forwarded"), Some(&*both));
    assert_eq!(origin.last().field("host"), Some("a.test"));
    // What cannot be read is neither believed nor passed on.
    proxy
        .get_with("/a", &[host, ("forwarded", "for=\"1.2.3.4")])
        .await;
    assert_eq!(origin.last().field("forwarded"), Some(own));
}

/// Who speaks the one may leave the other as a client wrote it.
#[tokio::test]
async fn of_both_words_one_is_believed_and_both_are_written() {
    let origin = origin();
    let proxy = trusting(&origin, "forwarded = \"both\"").start().await;
    let host = ("host", "shop.test");
    let claims = [
        host,
        ("x-forwarded-for", "192.0.2.1"),
        ("forwarded", "for=5.6.7.8"),
    ];
    proxy.get_with("/a", &claims).await;
    assert_eq!(told(&origin)[0], "192.0.2.1, 127.0.0.1");
    let wanted = "for=192.0.2.1, for=127.0.0.1;host=shop.test;proto=http";
    assert_eq!(origin.last().field("forwarded"), Some(wanted));
    proxy
        .get_with("/a", &[host, ("forwarded", "for=192.0.2.2;proto=https")])
        .await;
    assert_eq!(
        told(&origin),
        ["192.0.2.2, 127.0.0.1", "https", "shop.test"]
    );
}

// --- what hangs on it ----------------------------------------------------------------------------

async fn ask(proxy: &Proxy, fields: Fields<'_>) -> Response {
    let fields = [fields, &[("host", "shop.test")]].concat();
    proxy.get_with("/a", &fields).await
}

/// An origin may well answer by scheme and host, so they are in the key.
#[tokio::test]
async fn what_is_believed_is_in_the_key() {
    let origin = Origin::start(async |request, connection| {
        let proto = request.field("x-forwarded-proto").unwrap_or_default();
        let host = request.field("x-forwarded-host").unwrap_or_default();
        let body = format!("{proto}://{host}");
        connection
            .respond(200, &[("cache-control", "max-age=60")], body)
            .await;
    });
    let proxy = trusting(&origin, "").start().await;
    let claims: [Fields<'_>; 4] = [
        &[],
        &[("x-forwarded-proto", "https")],
        &[("x-forwarded-host", "other.test")],
        &[
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "other.test"),
        ],
    ];
    let pages = [
        "http://shop",
        "https://shop",
        "http://other",
        "https://other",
    ];
    for is_hit in [false, true] {
        for (fields, page) in claims.iter().zip(pages) {
            let response = ask(&proxy, fields).await;
            assert!(response.is_good(&format!("{page}.test")), "{response:?}");
            assert_eq!(response.is_hit(), is_hit, "{page}");
        }
    }
    // A stranger who says so asks for what its connection and its Host say.
    let mut stranger = Client::connect_from([127, 0, 0, 9], proxy.address()).await;
    let fields = [claims[3], &[("host", "shop.test")]].concat();
    let response = stranger.get_with("/a", &fields).await;
    assert!(
        response.is_hit() && response.is_good("http://shop.test"),
        "{response:?}"
    );
    assert_eq!(origin.requests().len(), 4);
}

/// The list names the client, and no two clients have the same.
#[tokio::test]
async fn a_page_chosen_by_the_list_is_not_shared() {
    let origin = Origin::start(async |request, connection| {
        let list = request.field("x-forwarded-for").unwrap_or_default();
        let fields = [("cache-control", "max-age=60"), ("vary", "x-forwarded-for")];
        connection.respond(200, &fields, list.to_owned()).await;
    });
    let proxy = trusting(&origin, "").start().await;
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.1"] {
        let response = ask(&proxy, &[("x-forwarded-for", client)]).await;
        assert!(
            response.is_good(&format!("{client}, 127.0.0.1")),
            "{response:?}"
        );
        assert!(!response.is_hit());
    }
}

#[tokio::test]
async fn the_log_and_purges_go_by_the_client_that_was_told() {
    let origin = origin();
    let setup = trusting(&origin, "purge_from = [\"192.0.2.0/24\"]");
    let proxy = setup.table("log", "access = \"stdout\"").start().await;
    for (client, status) in [("192.0.2.7", 200), ("192.0.3.7", 403)] {
        let mut door = proxy.client().await;
        door.request("PURGE", "/a", &[("x-forwarded-for", client)])
            .await;
        assert_eq!(door.response().await.status, status, "{client}");
        let begins = format!("{client} ");
        let is_logged = async || proxy.stdout().iter().any(|it| it.starts_with(&begins));
        crate::harness::eventually("a line of the log", is_logged).await;
    }
}

#[tokio::test]
async fn a_client_goes_to_its_server_whichever_proxy_it_came_by() {
    let named = |name| Origin::answering(200, &[("cache-control", "no-store")], name);
    let (one, two) = (named("one"), named("two"));
    let servers = format!(
        "servers = [\"{}\", \"{}\"]\nbalance = \"ip-hash\"",
        one.url(),
        two.url()
    );
    let proxy = trusting(&one, "")
        .table("origins.pool", &servers)
        .sites("[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n")
        .start()
        .await;
    let mut answers = Vec::new();
    for last in 1..=16 {
        let client = format!("192.0.2.{last}");
        let through = format!("{client}, 10.0.0.{last}");
        let first = ask(&proxy, &[("x-forwarded-for", &client)]).await.text();
        let second = ask(&proxy, &[("x-forwarded-for", &through)]).await.text();
        assert_eq!(first, second, "{client}");
        answers.push(first);
    }
    assert!(answers.iter().any(|it| it != &answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_reload_changes_who_is_believed() {
    let origin = origin();
    let proxy = trusting(&origin, "").start().await;
    ask(&proxy, &[("x-forwarded-for", "192.0.2.1")]).await;
    assert_eq!(told(&origin)[0], "192.0.2.1, 127.0.0.1");
    proxy.configure(&Proxy::before(&origin));
    proxy.sighup();
    let is_forgotten = async || {
        ask(&proxy, &[("x-forwarded-for", "192.0.2.1")]).await;
        told(&origin)[0] == "127.0.0.1"
    };
    crate::harness::eventually("the new configuration", is_forgotten).await;
}
