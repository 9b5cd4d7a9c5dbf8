//! Who is let in: clients by their addresses, at the server, at sites and at routes, before anything else
//! and for hits as well; and targets that maps send elsewhere.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::harness::{Client, FRESH, Origin, Proxy, Response, TempDir, eventually};

const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn other(proxy: &Proxy) -> Client {
    Client::connect_from(OTHER, proxy.address()).await
}

fn is_denied(response: &Response) -> bool {
    response.status == 403 && response.says("detail=address-denied")
}

// --- addresses -----------------------------------------------------------------------------------

#[tokio::test]
async fn who_is_denied_gets_nothing_not_even_a_hit() {
    let origin = Origin::answering(200, FRESH, "hello");
    let site = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\ndeny = [\"127.0.0.2\"]\n";
    let proxy = Proxy::before(&origin).sites(site).start().await;
    assert!(proxy.get("/a").await.is_good("hello"));
    assert!(proxy.get("/a").await.is_hit());
    let mut denied = other(&proxy).await;
    for path in ["/a", "/b"] {
        let answer = denied.get(path).await;
        assert!(is_denied(&answer), "{answer:?}");
        assert_eq!(answer.field("cache-control"), Some("no-store"));
    }
    assert_eq!(origin.requests().len(), 1);
    let counted = async || {
        proxy
            .metric("copal_turned_away_total", "address-denied")
            .await
            == 2.0
    };
    eventually("two refusals to be counted", counted).await;
}

#[tokio::test]
async fn the_nearest_allow_counts_and_each_deny() {
    let origin = Origin::answering(200, FRESH, "hello");
    let sites = "
        [[site]]
        hosts = [\"*\"]
        origin = \"main\"
        allow = [\"127.0.0.1\"]
        deny = [\"127.0.0.3\"]
        route = [{ path = \"/open/*\", allow = [\"127.0.0.0/8\"] }, { path = \"/*\" }]
    ";
    let proxy = Proxy::before(&origin)
        .table("server", "deny = [\"127.0.0.4\"]")
        .sites(sites)
        .start()
        .await;
    for (address, closed, open) in [
        (1, true, true),
        (2, false, true),
        (3, false, false),
        (4, false, false),
    ] {
        let address = Ipv4Addr::new(127, 0, 0, address);
        let mut client = Client::connect_from(address, proxy.address()).await;
        let found = (client.get("/a").await, client.get("/open/a").await);
        assert_eq!(
            (found.0.status == 200, found.1.status == 200),
            (closed, open),
            "{address}"
        );
    }
}

/// Whoever asks for what is nowhere is denied too, and learns nothing of what there is.
#[tokio::test]
async fn the_server_denies_whatever_is_asked_for() {
    let origin = Origin::answering(200, FRESH, "hello");
    let sites = "[[site]]\nhosts = [\"a.test\"]\norigin = \"main\"\n";
    let proxy = Proxy::before(&origin)
        .table(
            "server",
            "deny = [\"127.0.0.2\"]\npurge_from = [\"127.0.0.0/8\"]",
        )
        .sites(sites)
        .start()
        .await;
    let mut denied = other(&proxy).await;
    assert!(is_denied(&denied.get("/nowhere").await));
    denied.request("PURGE", "/a", &[]).await;
    assert!(is_denied(&denied.response().await));
    assert!(is_denied(
        &denied
            .send_body("POST", "/a", "a body that nobody reads")
            .await
    ));
    assert!(is_denied(&denied.get("/a").await), "the connection goes on");
    assert!(!is_denied(&proxy.send("PURGE", "/a", &[]).await));
}

#[tokio::test]
async fn the_address_is_what_trusted_proxies_tell() {
    let origin = Origin::answering(200, FRESH, "hello");
    let site = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\nallow = [\"192.0.2.0/24\"]\n";
    let proxy = Proxy::before(&origin)
        .table("server", "trusted_proxies = [\"127.0.0.1\"]")
        .sites(site)
        .start()
        .await;
    for (told, status) in [
        ("192.0.2.1", 200),
        ("198.51.100.1", 403),
        ("192.0.2.1, 198.51.100.1", 403),
    ] {
        let answer = proxy.get_with("/a", &[("x-forwarded-for", told)]).await;
        assert_eq!(answer.status, status, "{told}");
    }
    let mut liar = other(&proxy).await;
    assert!(is_denied(
        &liar
            .get_with("/a", &[("x-forwarded-for", "192.0.2.1")])
            .await
    ));
}

#[tokio::test]
async fn a_list_is_read_again_at_a_reload() {
    let origin = Origin::answering(200, FRESH, "hello");
    let folder = TempDir::new();
    let file = folder.write("bad", "127.0.0.2 # since yesterday\n");
    let list = format!(
        "kind = \"networks\"\nfile = {:?}",
        file.display().to_string()
    );
    let site = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\ndeny = [\"bad\"]\n";
    let setup = Proxy::before(&origin).table("list.bad", &list).sites(site);
    let proxy = setup.start().await;
    let mut client = other(&proxy).await;
    assert!(is_denied(&client.get("/a").await));
    folder.write("bad", "127.0.0.3\n127.0.0.1/8\n");
    proxy.sighup();
    proxy
        .says("bad:2: list.bad.file: has bits set beyond its prefix")
        .await;
    assert!(is_denied(&client.get("/a").await), "the lists before go on");
    folder.write("bad", "127.0.0.3\n");
    proxy.sighup();
    let let_in = async || client.get("/a").await.status == 200;
    eventually("the new list to be in force", let_in).await;
}

// --- redirects -----------------------------------------------------------------------------------

#[tokio::test]
async fn a_map_sends_elsewhere_and_all_else_goes_on() {
    let origin = Origin::answering(200, FRESH, "hello");
    let sites = "
        [[site]]
        hosts = [\"*\"]
        origin = \"main\"
        redirects = \"moved\"
        route = [
            { path = \"/*\" },
            { path = \"/by/*\", redirects = { map = \"moved\", status = 308, by = \"target\" } },
            { path = \"/keep/*\", redirects = { map = \"moved\", keep_query = true } },
            { path = \"/off/*\", redirects = \"off\" },
        ]
    ";
    let map = r#"entries = { "/a" = "/b", "/by/a?x=1" = "https://x.test/?y#z", "/keep/a" = "/c?d", "/off/a" = "/" }"#;
    let setup = Proxy::before(&origin).table("map.moved", map);
    let proxy = setup.sites(sites).start().await;
    for (target, status, location) in [
        ("/a", 301, Some("/b")),
        ("/a?x=1", 301, Some("/b")),
        ("/a/", 200, None),
        ("/by/a?x=1", 308, Some("https://x.test/?y#z")),
        ("/by/a", 200, None),
        ("/keep/a?x=1", 301, Some("/c?d&x=1")),
        ("/off/a", 200, None),
    ] {
        let answer = proxy.get(target).await;
        assert_eq!(
            (answer.status, answer.field("location")),
            (status, location),
            "{target}"
        );
        assert_eq!(answer.says("detail=moved"), status != 200, "{target}");
    }
    assert!(proxy.get("/a/").await.is_hit());
    let explained = proxy
        .admin()
        .await
        .get("/api/v1/explain?url=http%3A%2F%2Fa%2Fa")
        .await
        .text();
    assert!(explained.contains("sends it to /b"), "{explained}");
}

#[tokio::test]
async fn a_hundred_thousand_redirects_come_from_a_file() {
    let origin = Origin::answering(200, FRESH, "hello");
    let folder = TempDir::new();
    let mut text = String::from("# from to\n");
    for number in 0..100_000 {
        writeln!(text, "/old/{number} /new/{number}").unwrap();
    }
    let file = folder.write("moved", &text);
    let map = format!("file = {:?}", file.display().to_string());
    let site = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\nredirects = \"moved\"\n";
    let setup = Proxy::before(&origin).table("map.moved", &map);
    let proxy = setup.sites(site).start().await;
    for number in [0, 4_711, 99_999] {
        let answer = proxy.get(&format!("/old/{number}")).await;
        assert_eq!(answer.field("location"), Some(&*format!("/new/{number}")));
    }
    assert!(proxy.get("/old/100000").await.is_good("hello"));
}
