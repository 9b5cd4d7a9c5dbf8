//! One URL, several responses (RFC 9110 §12.5.5, RFC 9111 §4.1).

use crate::harness::{Client, FRESH, Fields, Gate, Origin, Proxy, STALE, all_wait, responses};

/// Answers with the Accept-Language it was asked with, and says that it matters.
fn multilingual() -> Origin {
    Origin::start(async |request, connection| {
        let language = request
            .field("accept-language")
            .unwrap_or("none")
            .to_owned();
        let fields = [("cache-control", "max-age=60"), ("vary", "Accept-Language")];
        connection.respond(200, &fields, language).await;
    })
}

#[tokio::test]
async fn each_variant_is_stored_for_those_who_ask_alike() {
    let origin = multilingual();
    let proxy = Proxy::start(&origin).await;
    for round in 0..2 {
        for language in ["en", "de", "fr"] {
            let response = proxy.get_with("/a", &[("accept-language", language)]).await;
            assert!(response.is_good(language), "{response:?}");
            assert_eq!(response.is_hit(), round == 1, "{language}: {response:?}");
        }
    }
    assert_eq!(origin.count("/a"), 3);
}

/// RFC 9111 §4.1: the fields match when they "can be transformed" into each other by "adding or
/// removing whitespace" and "combining multiple header field lines".
#[tokio::test]
async fn spelling_makes_no_variant_but_absence_does() {
    let origin = multilingual();
    let proxy = Proxy::start(&origin).await;
    proxy.get_with("/a", &[("accept-language", "en, de")]).await;
    let table: &[(Fields, bool)] = &[
        (&[("Accept-Language", "en,de")], true),
        (&[("accept-language", "en ,  de")], true),
        (
            &[("accept-language", "en"), ("accept-language", "de")],
            true,
        ),
        (&[("accept-language", "en, de"), ("x-other", "1")], true),
        (&[("accept-language", "en")], false),
        (&[("accept-language", "")], false),
        (&[], false),
    ];
    for (fields, reused) in table {
        let response = proxy.get_with("/a", fields).await;
        assert_eq!(response.is_hit(), *reused, "{fields:?}: {response:?}");
    }
    assert!(
        proxy.get("/a").await.is_good("none"),
        "an absent field differs from an empty one"
    );
}

/// RFC 9111 §4.1: "A stored response with a Vary header field value containing a member "*" always
/// fails to match."
#[tokio::test]
async fn a_star_anywhere_in_vary_matches_nobody() {
    for vary in ["*", "accept-language, *", " * , x", ",*"] {
        let origin = Origin::start(async move |_, connection| {
            let fields = [("cache-control", "max-age=60"), ("vary", vary)];
            connection.respond(200, &fields, "hello").await;
        });
        let proxy = Proxy::start(&origin).await;
        proxy.get("/a").await;
        assert!(!proxy.get("/a").await.is_hit(), "{vary}");
        assert_eq!(origin.count("/a"), 2, "{vary}");
    }
}

#[tokio::test]
async fn variants_of_one_url_are_bounded() {
    let origin = multilingual();
    let proxy = Proxy::before(&origin)
        .table("store", "variants_max = 3")
        .start()
        .await;
    for number in 0..20 {
        let language = format!("x-{number}");
        let response = proxy
            .get_with("/a", &[("accept-language", &language)])
            .await;
        assert!(response.is_good(&language), "{response:?}");
    }
    let stored = proxy.metric("copal_objects", "").await;
    assert!((1.0..=3.0).contains(&stored), "{stored} objects");
}

#[tokio::test]
async fn a_response_may_change_what_it_varies_on() {
    let origin = Origin::start(async |request, connection| {
        let vary = if request.nth == 1 {
            "accept-language"
        } else {
            "x-device"
        };
        let fields = [("cache-control", "max-age=60"), ("vary", vary)];
        connection
            .respond(200, &fields, request.nth.to_string())
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    assert!(
        proxy
            .get_with("/a", &[("accept-language", "en"), ("x-device", "a")])
            .await
            .is_good("1")
    );
    assert!(
        proxy
            .get_with("/a", &[("accept-language", "de"), ("x-device", "a")])
            .await
            .is_good("2")
    );
    let response = proxy
        .get_with("/a", &[("accept-language", "fr"), ("x-device", "a")])
        .await;
    assert!(response.is_good("2") && response.is_hit(), "{response:?}");
}

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

/// As a 200 that varies by what the proxy writes: the key does not hold that.
#[tokio::test]
async fn a_304_that_varies_by_the_clients_address_makes_no_page_for_all() {
    let origin = Origin::start(async |request, connection| {
        if request.field("if-none-match").is_some() {
            let fields = [FRESH[0], STALE[1], ("vary", "x-forwarded-for")];
            return connection.respond(304, &fields, "").await;
        }
        let address = request.field("x-forwarded-for").unwrap_or("nobody");
        connection.respond(200, STALE, address).await;
    });
    let proxy = Proxy::start(&origin).await;
    for _ in 0..2 {
        assert!(proxy.get("/a").await.is_good("127.0.0.1"));
    }
    let mut other = Client::connect_from([127, 0, 0, 2], proxy.address()).await;
    let response = other.get("/a").await;
    assert!(response.is_good("127.0.0.2"), "{response:?}");
}
