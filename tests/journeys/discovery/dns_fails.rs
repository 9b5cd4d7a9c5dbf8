//! Servers that are names while DNS is slow, silent or wrong.

use serde_json::Value;

use super::{APP, app, at, before, lookups, neighbours, servers, told, until_servers};
use crate::harness::{Dns, Mood, Proxy, eventually};

#[tokio::test]
async fn the_last_good_answer_stays_in_use_while_dns_fails() {
    let dns = Dns::start().await;
    let (port, _servers) = neighbours(["a", "b"]);
    dns.addresses(APP, 0, &["127.0.0.2"]);
    let proxy = before(&dns, &app(port, "each"), "").start().await;
    assert!(proxy.get("/").await.is_good("a"));
    for (mood, result) in [
        (Mood::Fails, "failed"),
        (Mood::Silent, "failed"),
        (Mood::Denies, "empty"),
    ] {
        let before = lookups(&proxy, result).await;
        dns.mood(APP, mood);
        let counted = async || lookups(&proxy, result).await > before + 1.0;
        eventually("further lookups", counted).await;
        assert!(proxy.get("/").await.is_good("a"), "{mood:?}");
    }
    assert_ne!(told(&proxy).await["names"][0]["fault"], Value::Null);
    dns.addresses(APP, 0, &[]);
    let before = lookups(&proxy, "empty").await;
    let counted = async || lookups(&proxy, "empty").await > before + 1.0;
    eventually("lookups without an answer", counted).await;
    assert_eq!(servers(&proxy).await, at(port, &[2]));
    proxy.says("the name does not resolve").await;
    let said = proxy.stderr().matches("the name does not resolve").count();
    assert_eq!(said, 1, "it is said once");
    dns.addresses(APP, 0, &["127.0.0.3"]);
    until_servers(&proxy, &at(port, &[3])).await;
    assert!(proxy.get("/").await.is_good("b"));
    assert_eq!(told(&proxy).await["names"][0]["fault"], Value::Null);
    proxy.says("the name resolves again").await;
}

#[tokio::test]
async fn until_a_name_resolves_there_is_nobody_to_ask() {
    for resolve in ["one", "each"] {
        let dns = Dns::start().await;
        let (port, [a]) = neighbours(["a"]);
        let proxy = before(&dns, &app(port, resolve), "").start().await;
        assert_eq!(proxy.get("/").await.status, 503, "{resolve}");
        dns.addresses(APP, 0, &["127.0.0.2"]);
        let answers = async || proxy.get("/").await.status == 200;
        eventually("an answer", answers).await;
        assert!(a.count("/") > 0);
    }
}

#[tokio::test]
async fn the_first_request_waits_for_the_first_answer() {
    for resolve in ["one", "each"] {
        let dns = Dns::start().await;
        let (port, [_a]) = neighbours(["a"]);
        dns.addresses(APP, 60, &["127.0.0.2"]);
        // All of them come at once, and before anything is known.
        let proxy = before(&dns, &app(port, resolve), "").start().await;
        for mut client in proxy.herd(20, "/").await {
            assert!(client.response().await.is_good("a"), "{resolve}");
        }
        assert_eq!(dns.asked(APP), 1);
    }
}

#[tokio::test]
async fn a_name_that_nobody_answers_for_holds_up_no_other() {
    let dns = Dns::start().await;
    let (port, [_a]) = neighbours(["a"]);
    dns.addresses(APP, 60, &["127.0.0.2"]);
    dns.addresses("silent.test", 60, &["127.0.0.3"]);
    dns.mood("silent.test", Mood::Silent);
    let silent = app(port, "each").replace(APP, "silent.test");
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .table("resolver", &dns.table().replace("300ms", "30s"))
        .table(
            "origins.pool",
            &format!(
                "servers = [{silent}, {}]\nconnect_timeout = \"1m\"",
                app(port, "each")
            ),
        )
        .sites("[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n")
        .start()
        .await;
    for mut client in proxy.herd(20, "/").await {
        assert!(client.response().await.is_good("a"));
    }
}

/// As some servers do. The first request waits for the first lookup, but not for all of it.
#[tokio::test]
async fn who_never_answers_for_ipv6_holds_up_nobody() {
    let dns = Dns::start().await;
    let (port, [_a]) = neighbours(["a"]);
    dns.addresses(APP, 60, &["127.0.0.2"]);
    dns.mood(APP, Mood::KnowsNoIpv6);
    for how in ["one", "each"] {
        let proxy = Proxy::before_url("http://127.0.0.1:1")
            .table("resolver", &dns.table().replace("300ms", "30s"))
            .table("origins.pool", &format!("servers = [{}]", app(port, how)))
            .sites("[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n")
            .start()
            .await;
        assert!(proxy.get("/").await.is_good("a"), "{how}");
    }
}

#[tokio::test]
async fn what_does_not_fit_into_a_datagram_comes_by_tcp() {
    let dns = Dns::start().await;
    let (port, [_a]) = neighbours(["a"]);
    dns.truncates();
    dns.addresses(APP, 60, &["127.0.0.2"]);
    let proxy = before(&dns, &app(port, "each"), "").start().await;
    assert!(proxy.get("/").await.is_good("a"));
    assert!(dns.was_asked_by_tcp());
}

#[tokio::test]
async fn a_reload_keeps_what_is_known_and_asks_again() {
    let dns = Dns::start().await;
    let (port, _servers) = neighbours(["a", "b"]);
    dns.addresses(APP, 3600, &["127.0.0.2"]);
    let setup = || before(&dns, &app(port, "each"), "");
    let proxy = setup().start().await;
    assert!(proxy.get("/").await.is_good("a"));
    dns.mood(APP, Mood::Silent);
    for version in ["1", "2"] {
        let route = "[[site]]\nhosts = [\"*\"]\n[[site.route]]\npath = \"/*\"\norigin = \"pool\"";
        let sites = format!("{route}\nresponse_fields.set.version = \"{version}\"\n");
        let asked = dns.asked(APP);
        proxy.configure(&setup().sites(&sites));
        proxy.sighup();
        let reloaded = async || {
            let response = proxy.get("/").await;
            assert!(
                response.is_good("a"),
                "no request meets an origin without servers"
            );
            response.field("version") == Some(version)
        };
        eventually("the reload", reloaded).await;
        eventually("a new lookup", async || dns.asked(APP) > asked).await;
    }
    dns.addresses(APP, 3600, &["127.0.0.3"]);
    until_servers(&proxy, &at(port, &[3])).await;
    assert!(proxy.get("/").await.is_good("b"));
}
