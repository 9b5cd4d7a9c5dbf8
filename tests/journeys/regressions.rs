//! Defects that were found once and must not come back: what is stored, for whom, and what the
//! operator does about it. Those of connections are in `regressions_http.rs`.

use std::time::Duration;

use crate::harness::{
    Client, FRESH, Gate, Origin, Proxy, Response, STALE, Setup, all_wait, eventually, responses,
};

/// Answers a GET of a [`STALE`] object: 304 for those who have it.
fn revalidated(request_tag: Option<&str>) -> u16 {
    if request_tag == Some("\"1\"") {
        304
    } else {
        200
    }
}

// --- what must not reach the origin on the way to the store --------------------------------------

/// What is ignored for the key is not seen by the origin either: else the first client's page
/// would be everybody's.
#[tokio::test]
async fn an_ignored_cookie_makes_no_page_for_all() {
    let origin = Origin::start(async |request, connection| {
        let name = request.field("cookie").unwrap_or("nobody");
        connection.respond(200, FRESH, format!("for {name}")).await;
    });
    let setups = [
        Proxy::before(&origin).table("cache", "cookies = \"ignore\""),
        Proxy::before(&origin).profile("rfc"),
    ];
    for setup in setups {
        let proxy = setup.start().await;
        let first = proxy.get_with("/a", &[("cookie", "anna")]).await;
        assert!(first.is_good("for nobody"), "{first:?}");
        let second = proxy.get("/a").await;
        assert!(
            second.is_good("for nobody") && second.is_hit(),
            "{second:?}"
        );
        let third = proxy.get_with("/a", &[("cookie", "bert")]).await;
        assert!(third.is_good("for nobody") && third.is_hit(), "{third:?}");
    }
}

/// Fields that make an origin answer another URL, method or host than the key says.
#[tokio::test]
async fn fields_that_steer_an_origin_do_not_reach_it_on_a_miss() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    let names = [
        "Forwarded",
        "X-Real-IP",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Scheme",
        "X-Forwarded-Prefix",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
    ];
    for name in names {
        let path = format!("/{name}");
        let response = proxy.get_with(&path, &[(name, "poison")]).await;
        assert!(response.is_good("hello"), "{name}: {response:?}");
        let seen = origin.last().head.to_string();
        assert!(!seen.contains("poison"), "{name}: {seen}");
        assert!(proxy.get(&path).await.is_hit(), "{name}");
    }
}

// --- for whom a stored page is -------------------------------------------------------------------

/// The origin chose by what the proxy itself wrote; the key does not hold that.
#[tokio::test]
async fn a_page_chosen_by_the_clients_address_is_not_shared() {
    let origin = Origin::start(async |request, connection| {
        let address = request
            .field("x-forwarded-for")
            .unwrap_or("nobody")
            .to_owned();
        let vary = request.path.trim_start_matches('/');
        let fields = [("cache-control", "max-age=60"), ("vary", vary)];
        connection.respond(200, &fields, address).await;
    });
    let proxy = Proxy::start(&origin).await;
    for vary in ["X-Forwarded-For", "x-real-ip", "accept,Forwarded"] {
        let path = format!("/{vary}");
        for last in 1..=3 {
            let address = [127, 0, 0, last];
            let mut client = Client::connect_from(address, proxy.address()).await;
            let response = client.get(&path).await;
            assert!(!response.is_hit(), "{vary}: {response:?}");
            assert!(
                response.is_good(&format!("127.0.0.{last}")),
                "{vary}: {response:?}"
            );
        }
    }
    assert_eq!(proxy.metric("copal_objects", "").await, 0.0);
}

/// A page for each user that is stale at once and says so only in its 304s: whoever names the
/// user's tag has the page.
fn personal(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(async move |request, connection| {
        let user = request.field("x-user").unwrap_or("nobody");
        let tag = format!("\"{user}\"");
        if request.field("if-none-match") == Some(&tag) {
            gate.pass().await;
            let fields = [FRESH[0], ("etag", &*tag), ("vary", "x-user")];
            return connection.respond(304, &fields, "").await;
        }
        let fields = [("cache-control", "max-age=0"), ("etag", &*tag)];
        connection.respond(200, &fields, user).await;
    })
}

/// The confirmed page is for those alike to whom it was confirmed, now and later.
#[tokio::test]
async fn a_304_with_a_new_vary_gives_the_page_to_no_other() {
    let gate = Gate::new();
    gate.open();
    let origin = personal(&gate);
    let proxy = Proxy::start(&origin).await;
    for _ in 0..2 {
        let anna = proxy.get_with("/a", &[("x-user", "anna")]).await;
        assert!(anna.is_good("anna"), "{anna:?}");
    }
    gate.arrived(1).await;
    let bert = proxy.get_with("/a", &[("x-user", "bert")]).await;
    assert!(bert.is_good("bert") && !bert.is_hit(), "{bert:?}");
}

/// The same for those who waited for that 304.
#[tokio::test]
async fn a_304_with_a_new_vary_gives_the_page_to_no_follower() {
    let gate = Gate::new();
    let origin = personal(&gate);
    let proxy = Proxy::start(&origin).await;
    let anna = &[("x-user", "anna")];
    assert!(proxy.get_with("/a", anna).await.is_good("anna"));
    let mut leader = proxy.client().await;
    leader.request("GET", "/a", anna).await;
    gate.arrived(1).await;
    let mut followers = Vec::new();
    for _ in 0..5 {
        let mut client = proxy.client().await;
        client.request("GET", "/a", &[("x-user", "bert")]).await;
        followers.push(client);
    }
    all_wait(&mut followers).await;
    gate.open();
    assert!(leader.response().await.is_good("anna"));
    for response in responses(&mut followers).await {
        assert!(response.is_good("bert"), "{response:?}");
    }
}

// --- what a stored page says ---------------------------------------------------------------------

/// Each 304 renews our line in Via, and adds none.
#[tokio::test]
async fn many_revalidations_leave_one_via() {
    for of_origin in [None, Some(("via", "1.0 inner"))] {
        let origin = Origin::start(async move |request, connection| {
            let fields: Vec<_> = STALE.iter().copied().chain(of_origin).collect();
            let status = revalidated(request.field("if-none-match"));
            connection.respond(status, &fields, "hello").await;
        });
        let proxy = Proxy::start(&origin).await;
        proxy.get("/a").await;
        for _ in 0..4 {
            let response = proxy.get("/a").await;
            assert!(response.is_good("hello"), "{response:?}");
            let via = response.head.fields("via").join(", ");
            let wanted = if of_origin.is_some() {
                "1.0 inner, 1.1 copal"
            } else {
                "1.1 copal"
            };
            assert_eq!(via, wanted, "{response:?}");
        }
        assert_eq!(origin.count("/a"), 5);
        assert_eq!(origin.last().field("if-none-match"), Some("\"1\""));
    }
}

/// A 412 says something about one request. Under the page's fields a cache before us would keep it
/// as the page.
#[tokio::test]
async fn a_412_does_not_pass_for_the_page() {
    let fields = &[("cache-control", "public, max-age=600"), ("etag", "\"1\"")];
    let origin = Origin::answering(200, fields, "hello");
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("hello"));
    let refused = proxy.get_with("/a", &[("if-match", "\"2\"")]).await;
    assert_eq!(refused.status, 412, "{refused:?}");
    assert_eq!(refused.field("etag"), None, "{refused:?}");
    assert_eq!(
        refused.head.fields("cache-control"),
        ["no-store"],
        "{refused:?}"
    );
    assert!(refused.text() != "hello");
    assert!(proxy.get("/a").await.is_hit(), "the page is still there");
}

/// RFC 9110 §8.6: a recipient of identical values in a list "MUST either reject the message as
/// invalid or replace the duplicated field values with a single valid Content-Length".
#[tokio::test]
async fn a_repeated_content_length_reaches_the_client_once() {
    let origin = Origin::start(async |request, connection| {
        let control = if request.path == "/kept" {
            "max-age=60"
        } else {
            "no-store"
        };
        let fields = [("cache-control", control), ("content-length", "5, 5")];
        connection.begin(200, &fields).await;
        connection.send("hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    for path in ["/kept", "/passed", "/kept"] {
        let response = proxy.get(path).await;
        assert!(response.is_good("hello"), "{path}: {response:?}");
        assert_eq!(
            response.head.fields("content-length"),
            ["5"],
            "{path}: {response:?}"
        );
    }
    assert_eq!(origin.count("/kept"), 1);
}

// --- requests that do harm to others -------------------------------------------------------------

/// What the origin says about one bad request, it does not say about the page.
#[tokio::test]
async fn a_request_that_is_refused_evicts_no_stale_page() {
    for status in [400, 413, 414, 429, 431] {
        let origin = Origin::start(async move |request, connection| {
            if request.field("x-attack").is_some() {
                return connection.respond(status, &[], "refused").await;
            }
            let status = revalidated(request.field("if-none-match"));
            connection.respond(status, STALE, "hello").await;
        });
        let proxy = Proxy::start(&origin).await;
        assert!(proxy.get("/a").await.is_good("hello"));
        let attack = proxy.get_with("/a", &[("x-attack", "1")]).await;
        assert_eq!(attack.status, status, "{attack:?}");
        let next = proxy.get("/a").await;
        assert!(next.is_good("hello"), "{status}: {next:?}");
        assert_eq!(
            origin.last().field("if-none-match"),
            Some("\"1\""),
            "{status}"
        );
    }
}

/// A request that the origin answers with a reset is a matter between those two.
#[tokio::test]
async fn a_leader_that_provokes_a_reset_fails_no_follower() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.field("x-attack").is_some() {
            held.pass().await;
            return connection.reset();
        }
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut leader = proxy.client().await;
    leader.request("GET", "/a", &[("x-attack", "1")]).await;
    gate.arrived(1).await;
    let mut followers = proxy.herd(10, "/a").await;
    all_wait(&mut followers).await;
    gate.open();
    for response in responses(&mut followers).await {
        assert!(response.is_good("hello"), "{response:?}");
    }
    // It may find by then what the followers have brought.
    let leader = leader.response().await;
    assert!(leader.is_broken() || leader.is_good("hello"), "{leader:?}");
}

// --- the operator --------------------------------------------------------------------------------

fn purged(response: &Response) -> Option<u64> {
    assert_eq!(response.status, 200, "{response:?}");
    let json: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    json["purged"].as_u64()
}

/// Both doors find the page however its host is spelled, and say how many objects it was.
#[tokio::test]
async fn a_purge_finds_the_page_and_counts_it() {
    let origin = Origin::start(async |request, connection| {
        connection
            .respond(200, FRESH, request.nth.to_string())
            .await;
    });
    let networks = "purge_from = [\"127.0.0.0/8\"]";
    let proxy = Proxy::before(&origin)
        .table("server", networks)
        .start()
        .await;
    assert!(proxy.get("/a").await.is_good("1"));
    for (host, count) in [("EXAMPLE.test:80", 1), ("example.test", 0)] {
        let mut client = proxy.client().await;
        client.request("PURGE", "/a", &[("host", host)]).await;
        assert_eq!(purged(&client.response().await), Some(count), "{host}");
    }
    assert!(proxy.get("/a").await.is_good("2"));
    for (url, count) in [
        ("http://EXAMPLE.test:80/a", 1),
        ("http://example.test/a", 0),
    ] {
        let response = proxy.purge(&format!("{{\"url\":\"{url}\"}}")).await;
        assert_eq!(purged(&response), Some(count), "{url}");
    }
    assert!(proxy.get("/a").await.is_good("3"));
    assert_eq!(origin.count("/a"), 3, "no PURGE went to the origin");
}

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
