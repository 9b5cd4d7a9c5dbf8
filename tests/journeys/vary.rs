//! One URL, several responses (RFC 9110 §12.5.5, RFC 9111 §4.1).

use crate::harness::{Fields, Origin, Proxy};

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
