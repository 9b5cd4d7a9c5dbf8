//! Servers that are names and have moved long before the TTL of their addresses is over: the first
//! connection that fails has DNS asked again.

use std::time::{Duration, Instant};

use super::{APP, SERVICE, app, before, named, service};
use crate::harness::{
    Authority, Dns, Hole, NO_STORE, Origin, Proxy, Reserved, Setup, TempDir, TlsDoor, eventually,
};

/// A day, so that nobody asks again because of it.
const LONG: u32 = 86400;

/// As [`before`], but names are looked up again a second after the last lookup at the earliest.
fn slowly_before(dns: &Dns, servers: &str) -> Setup {
    Proxy::before_url("http://127.0.0.1:1")
        .table("resolver", &dns.table().replace("retry = \"50ms\"", ""))
        .table("origins.pool", &format!("servers = [{servers}]"))
        .sites("[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n")
}

async fn until_good(proxy: &Proxy, body: &str) {
    let is_good = async || proxy.get("/").await.is_good(body);
    eventually(&format!("an answer of {body}"), is_good).await;
}

/// It answered with 502 until the TTL was over.
#[tokio::test]
async fn a_server_that_has_moved_is_found_within_about_a_second() {
    for resolve in ["one", "each"] {
        let dns = Dns::start().await;
        let [old, new] = Reserved::neighbours();
        let port = old.address().port();
        dns.addresses(APP, LONG, &["127.0.0.2"]);
        let old = named(old, "old");
        let proxy = slowly_before(&dns, &app(port, resolve)).start().await;
        assert!(proxy.get("/").await.is_good("old"));
        let _new = named(new, "new");
        dns.addresses(APP, LONG, &["127.0.0.3"]);
        old.kill();
        let killed = Instant::now();
        until_good(&proxy, "new").await;
        let took = killed.elapsed();
        assert!(took < Duration::from_secs(3), "{resolve}: {took:?}");
        assert_eq!(dns.asked(APP), 2, "{resolve}");
        for _ in 0..20 {
            assert!(proxy.get("/").await.is_good("new"), "{resolve}");
        }
        assert_eq!(dns.asked(APP), 2, "{resolve}: the new address is good");
    }
}

#[tokio::test]
async fn dns_is_not_asked_more_often_than_once_a_second_however_many_connections_fail() {
    let dns = Dns::start().await;
    let nobody = Reserved::new();
    dns.addresses(APP, LONG, &["127.0.0.1"]);
    let began = Instant::now();
    let server = app(nobody.address().port(), "one");
    let proxy = slowly_before(&dns, &server).start().await;
    let mut failures = 0;
    while dns.asked(APP) < 4 {
        assert_eq!(proxy.get("/").await.status, 502);
        failures += 1;
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(3), "{took:?}");
    assert!(failures > 20, "{failures} in {took:?}");
}

/// As a server that is refused.
#[tokio::test]
async fn a_server_that_takes_no_connection_or_proves_another_name_may_have_moved_too() {
    let (authority, folder) = (Authority::new(), TempDir::new());
    let origin = Origin::answering(200, NO_STORE, "new");
    let (other, right) = (authority.issue(&["other.test"]), authority.issue(&[APP]));
    let (impostor, door) = (
        TlsDoor::before(&origin, &other).await,
        TlsDoor::before(&origin, &right).await,
    );
    let (hole, plain) = (Hole::new(), origin.address().port());
    let roots = authority.write(&folder, "ca.pem");
    let tls = format!("tls = {{ roots = {roots:?} }}");
    let secure = service().replace("http://", "https://");
    for (server, tls, old, new, status) in [
        (secure, &*tls, impostor.port(), door.port(), 502),
        (service(), "", hole.address().port(), plain, 504),
    ] {
        let dns = Dns::start().await;
        dns.addresses(APP, LONG, &["127.0.0.1"]);
        dns.services(SERVICE, LONG, &[(1, 1, old, APP)]);
        let lines = format!("connect_timeout = \"200ms\"\n{tls}");
        let proxy = before(&dns, &server, &lines).start().await;
        assert_eq!(proxy.get("/").await.status, status);
        dns.services(SERVICE, LONG, &[(1, 1, new, APP)]);
        until_good(&proxy, "new").await;
    }
}
