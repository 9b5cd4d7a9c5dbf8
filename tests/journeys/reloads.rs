//! Reloads in the midst of everything: servers come, go and change while requests wait, flow and
//! fail, and nothing of the configuration before stays behind.

use crate::harness::{
    Client, Dns, FRESH, Gate, Http2Origin, Load, Mood, NO_STORE, Origin, Proxy, Setup, eventually,
};

/// A proxy whose origin has these servers, and nothing is shared between clients.
fn before(servers: &[&str], lines: &str) -> Setup {
    let servers: Vec<_> = servers.iter().map(|it| (*it).to_owned()).collect();
    Proxy::before_all(&servers, lines).table("cache", "enabled = false")
}

async fn get(proxy: &Proxy, path: &str) -> Client {
    let mut client = proxy.client().await;
    client.request("GET", path, &[]).await;
    client
}

// --- connections ---------------------------------------------------------------------------------

/// Nobody would use them again, and a download may take hours.
#[tokio::test]
async fn idle_connections_are_closed_whatever_is_still_under_way() {
    let (held, download) = (Gate::new(), Gate::new());
    let (herd, rest) = (held.clone(), download.clone());
    let origin = Origin::start(async move |request, connection| {
        if request.path == "/download" {
            connection
                .send("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf")
                .await;
            rest.pass().await;
            connection.send("half").await;
        } else {
            herd.pass().await;
            connection.respond(200, NO_STORE, "page").await;
        }
    });
    let url = origin.url();
    let setup = before(&[&url], "");
    let proxy = setup.start().await;
    let mut long = get(&proxy, "/download").await;
    download.arrived(1).await;
    let mut clients = proxy.herd(5, "/page").await;
    held.arrived(5).await;
    held.open();
    for client in &mut clients {
        assert!(client.response().await.is_good("page"));
    }
    assert_eq!(origin.open_connections(), 6);
    proxy.reload(&before(&[&url], "")).await;
    let closed = async || origin.open_connections() == 1;
    eventually("the idle connections to be closed", closed).await;
    let counted = proxy.metric("copal_origin_connections", "pool").await;
    assert_eq!(counted, 1.0, "what is open is counted, whoever opened it");
    download.open();
    assert!(long.response().await.is_good("halfhalf"));
}

// --- those who wait ------------------------------------------------------------------------------

/// The server they waited for is not among those in force, and may never have room again.
#[tokio::test]
async fn who_waits_goes_on_to_the_servers_of_a_reload() {
    let gate = Gate::new();
    let stuck = gate.clone();
    let old = Origin::start(async move |_, connection| {
        stuck.pass().await;
        connection.respond(200, NO_STORE, "old").await;
    });
    let new = Origin::answering(200, NO_STORE, "new");
    let lines = "requests_max = 1\npending_timeout = \"1h\"";
    let (old_url, new_url) = (old.url(), new.url());
    let proxy = before(&[&old_url], lines).start().await;
    let mut first = get(&proxy, "/0").await;
    gate.arrived(1).await;
    let mut waiting = vec![get(&proxy, "/1").await];
    proxy.until_pending(1).await;
    waiting.push(get(&proxy, "/2").await);
    proxy.until_pending(2).await;
    proxy.reload(&before(&[&new_url], lines)).await;
    // Who comes now is not held up by them.
    assert!(proxy.get("/3").await.is_good("new"));
    for client in &mut waiting {
        assert!(client.response().await.is_good("new"));
    }
    gate.open();
    assert!(first.response().await.is_good("old"));
    assert_eq!(old.requests().len(), 1, "who has left takes no more");
}

/// There is nobody to go on to as yet: their servers are names that have not been looked up.
#[tokio::test]
async fn who_waits_stays_until_the_servers_of_a_reload_are_known() {
    let (dns, gate) = (Dns::start().await, Gate::new());
    dns.addresses("app.test", 60, &["127.0.0.2"]);
    dns.mood("app.test", Mood::Silent);
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, NO_STORE, "old").await;
    });
    let named = Proxy::before_url("http://127.0.0.1:1")
        .table("resolver", &dns.table())
        .table(
            "origins.pool",
            "servers = [{ url = \"http://app.test\", resolve = \"each\" }]",
        )
        .sites("[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n");
    let proxy = before(&[&origin.url()], "requests_max = 1").start().await;
    let mut clients = vec![get(&proxy, "/0").await];
    gate.arrived(1).await;
    clients.push(get(&proxy, "/1").await);
    proxy.until_pending(1).await;
    proxy.reload(&named).await;
    gate.open();
    for client in &mut clients {
        assert!(client.response().await.is_good("old"));
    }
}

/// The last servers of the old configuration die while it is being replaced.
#[tokio::test]
async fn who_has_failed_goes_on_to_the_servers_of_a_reload() {
    let gate = Gate::new();
    let held = gate.clone();
    let old = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.reset();
    });
    let new = Origin::answering(200, NO_STORE, "new");
    let proxy = before(&[&old.url()], "").start().await;
    let mut client = get(&proxy, "/").await;
    gate.arrived(1).await;
    proxy.reload(&before(&[&new.url()], "")).await;
    gate.open();
    assert!(client.response().await.is_good("new"));
}

// --- under load ----------------------------------------------------------------------------------

#[tokio::test]
async fn configurations_of_all_kinds_follow_each_other_and_no_client_notices() {
    let answering = || Origin::answering(200, NO_STORE, "page");
    let [a, b, c] = [answering(), answering(), answering()];
    let h2c = Http2Origin::start(async |_, exchange| {
        exchange.respond(200, NO_STORE, "page").await;
    })
    .await;
    let (a, b, c) = (a.url(), b.url(), c.url());
    let health = "health = { interval = \"20ms\" }\n";
    let breaker = "breaker = { requests_min = 5 }\n";
    let h2 = h2c.url();
    let setups = || {
        [
            before(&[&a, &b], ""),
            before(&[&b, &c], health),
            before(&[&c], "requests_max = 2"),
            before(&[&h2], "http_version = \"2\"\nidle_min = 2"),
            before(&[&a, &c], "requests_max = \"adaptive\""),
            before(
                &[&h2],
                "http_version = \"2\"\nstreams_max = 1\nrequests_max = 1",
            ),
            before(
                &[&c, &b, &a],
                &format!("{health}{breaker}hedge = {{ after = \"1ms\" }}"),
            ),
            before(&[&a], "proxy_protocol = \"off\"\nconnections_max = 1"),
            before(&[&b], "age_max = \"1s\"\nidle_min = 3"),
        ]
    };
    let [first, ..] = setups();
    let proxy = first.start().await;
    let load = Load::start(&proxy, 12);
    for _ in 0..3 {
        for setup in setups() {
            proxy.reload(&setup).await;
            load.answered(60).await;
        }
    }
    let tally = load.end().await;
    assert!(tally.bad.is_empty(), "{:?}", tally.bad);
    assert!(tally.good > 27 * 60, "{}", tally.good);
}

// --- what is reloaded ----------------------------------------------------------------------------

/// All to the origin but `/answer`, which is the proxy's own.
fn answering(origin: &Origin, body: &str) -> Setup {
    let route = format!("{{ path = \"/answer\", answer = {{ status = 200, body = \"{body}\" }} }}");
    let all = "{ path = \"/*\", origin = \"main\" }";
    let sites = format!("[[site]]\nhosts = [\"*\"]\nroute = [{all}, {route}]\n");
    Proxy::before(origin).sites(&sites)
}

#[tokio::test]
async fn a_reload_changes_routes_and_keeps_the_store() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = answering(&origin, "old").start().await;
    assert!(proxy.get("/a").await.is_good("hello"));
    assert!(proxy.get("/answer").await.is_good("old"));
    proxy.configure(&answering(&origin, "new"));
    assert!(
        proxy.get("/answer").await.is_good("old"),
        "nobody has asked yet"
    );
    proxy.sighup();
    let changed = async || proxy.get("/answer").await.is_good("new");
    eventually("the reload", changed).await;
    assert!(proxy.get("/a").await.is_hit());
    proxy.configure(&answering(&origin, "newest"));
    let reloaded = proxy
        .admin()
        .await
        .send_body("POST", "/api/v1/reload", "")
        .await;
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    assert!(proxy.get("/answer").await.is_good("newest"));
    assert!(proxy.get("/a").await.is_hit());
}

#[tokio::test]
async fn a_broken_file_is_refused_and_the_old_goes_on() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = answering(&origin, "old").start().await;
    assert!(proxy.get("/a").await.is_good("hello"));
    let site = "[[site]]\nhosts = [\"*\"]\norigin = \"mian\"\nunheard = 1\n";
    proxy.configure(&Proxy::before(&origin).sites(site));
    let refused = proxy
        .admin()
        .await
        .send_body("POST", "/api/v1/reload", "")
        .await;
    assert_eq!(refused.status, 422, "{refused:?}");
    for complaint in ["mian", "unheard"] {
        assert!(refused.text().contains(complaint), "{refused:?}");
    }
    proxy.sighup();
    let said = async || proxy.stderr().contains("not reloaded");
    eventually("a word about the refusal", said).await;
    assert!(proxy.get("/answer").await.is_good("old"));
    assert!(proxy.get("/a").await.is_hit());
}
