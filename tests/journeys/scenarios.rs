//! Those of Varnish's scenarios 1 to 30 that belong to no other file's theme, under our semantics:
//! 9, 18, 23, 24 and 25.

use std::time::Duration;

use crate::harness::{FRESH, Origin, Proxy, eventually};

/// Scenario 9, r02135: a head that breaks off on a connection that was alive may be asked for once
/// more, since a GET is idempotent (RFC 9110 §9.2.2), and no more than once.
#[tokio::test]
async fn a_head_that_breaks_off_is_asked_for_once_more_at_most() {
    let origin = Origin::start(async |request, connection| {
        if request.path == "/a" {
            return connection.respond(200, &[], "hello").await;
        }
        connection.send("HTTP/1.1 200 OK\r\ncontent-le").await;
        connection.close();
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("hello"));
    assert_eq!(proxy.get("/b").await.status, 502);
    assert!(origin.count("/b") <= 2, "{} times", origin.count("/b"));
    assert!(proxy.get("/a").await.is_good("hello"));
}

/// Scenario 18, r01879: a 304 that has a field replaces every line of it, and leaves the lines of
/// the fields that it does not have.
#[tokio::test]
async fn a_304_replaces_all_lines_of_a_field_or_none() {
    let origin = Origin::start(async |request, connection| {
        if request.nth == 1 {
            let fields = [
                ("cache-control", "max-age=0"),
                ("etag", "\"1\""),
                ("x-both", "old 1"),
                ("x-both", "old 2"),
                ("x-old", "1"),
                ("x-old", "2"),
            ];
            return connection.respond(200, &fields, "hello").await;
        }
        let fields = [FRESH[0], ("x-both", "new 1"), ("x-both", "new 2")];
        connection.respond(304, &fields, "").await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    for _ in 0..2 {
        let response = proxy.get("/a").await;
        assert!(response.is_good("hello"), "{response:?}");
        assert_eq!(response.head.fields("x-both"), ["new 1", "new 2"]);
        assert_eq!(response.head.fields("x-old"), ["1", "2"]);
        assert_eq!(response.head.fields("cache-control").len(), 1);
    }
    assert_eq!(origin.count("/a"), 2);
}

/// Scenario 23, s00006: what says that it is fresh does not look stale to the next cache.
#[tokio::test]
async fn the_age_of_a_fresh_page_is_below_its_lifetime() {
    let origin = Origin::start(async |request, connection| {
        connection
            .respond(
                200,
                &[("cache-control", "max-age=2")],
                request.nth.to_string(),
            )
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut client = proxy.client().await;
    let renewed = async || {
        let response = client.get("/a").await;
        let age = response.age().unwrap_or_default();
        assert!(!response.is_hit() || age < 2, "{response:?}");
        response.is_good("2")
    };
    eventually("the page to be renewed", renewed).await;
}

/// Scenario 23, s00007, as RFC 9111 §4.2.3 has it: "corrected_age_value = age_value +
/// response_delay": what an origin was slow to say is as old as the question.
#[tokio::test]
async fn the_time_an_origin_takes_counts_as_age() {
    let origin = Origin::start(async |_, connection| {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let hit = proxy.get("/a").await;
    assert!(hit.is_hit(), "{hit:?}");
    assert!(hit.age().is_some_and(|it| it >= 1), "{hit:?}");
}

/// Scenario 24, r01858 and r02763: what was not stored is not asked about, though it had a
/// validator.
#[tokio::test]
async fn what_was_not_stored_is_not_asked_about() {
    for control in ["private, max-age=60", "no-store"] {
        let origin = Origin::start(async move |_, connection| {
            let fields = [("cache-control", control), ("etag", "\"1\"")];
            connection.respond(200, &fields, "hello").await;
        });
        let proxy = Proxy::start(&origin).await;
        for _ in 0..3 {
            assert!(proxy.get("/a").await.is_good("hello"));
        }
        let conditions = origin
            .requests()
            .iter()
            .filter(|it| it.field("if-none-match").is_some())
            .count();
        assert_eq!(conditions, 0, "{control}");
    }
}

/// Scenario 25, c00011 and c00076: the first answer that can be shared ends the memory of those
/// that could not, with Vary and without.
#[tokio::test]
async fn a_page_that_becomes_cacheable_is_cached_at_once() {
    for vary in ["accept-language", "x-none"] {
        let origin = Origin::start(async move |request, connection| {
            let language = request.field("accept-language").unwrap_or("none");
            let control = match request.nth {
                1..=2 => "private",
                _ => "max-age=60",
            };
            let fields = [("cache-control", control), ("vary", vary)];
            connection.respond(200, &fields, language).await;
        });
        let proxy = Proxy::start(&origin).await;
        let english = [("accept-language", "en")];
        for hit in [false, false, false, true] {
            let response = proxy.get_with("/a", &english).await;
            assert!(response.is_good("en"), "{vary}: {response:?}");
            assert_eq!(response.is_hit(), hit, "{vary}: {response:?}");
        }
        let other = proxy.get_with("/a", &[("accept-language", "de")]).await;
        assert_eq!(other.is_hit(), vary == "x-none", "{vary}: {other:?}");
    }
}
