//! Validators (RFC 9110 §13, RFC 9111 §4.3): clients that have a copy, and stored responses that
//! must be asked about.

use crate::harness::{FRESH, Fields, Gate, Origin, Proxy, STALE, eventually, http_date, responses};

const TAGGED: Fields<'static> = &[("cache-control", "max-age=60"), ("etag", "\"1\"")];

/// An origin whose answer is stale at once, with an ETag; a 304 for those who name it.
fn revalidating() -> Origin {
    Origin::start(async |request, connection| {
        let fields = [
            ("cache-control", "max-age=0"),
            ("etag", "\"1\""),
            ("x-nth", &request.nth.to_string()),
        ];
        let status = if request.field("if-none-match") == Some("\"1\"") {
            304
        } else {
            200
        };
        connection.respond(status, &fields, "hello").await;
    })
}

#[tokio::test]
async fn a_client_that_has_the_copy_gets_304_from_the_cache() {
    let modified = http_date(-86_400);
    let (earlier, later) = (http_date(-90_000), http_date(-3600));
    let sent = modified.clone();
    let origin = Origin::start(async move |_, connection| {
        let fields = [
            ("cache-control", "max-age=60"),
            ("etag", "W/\"1\""),
            ("last-modified", &sent),
        ];
        connection.respond(200, &fields, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let table: &[(&str, Fields, u16)] = &[
        (
            "§13.1.2 same tag, weak comparison",
            &[("if-none-match", "\"1\"")],
            304,
        ),
        ("in a list", &[("if-none-match", "\"0\", W/\"1\"")], 304),
        ("any", &[("if-none-match", "*")], 304),
        ("another tag", &[("if-none-match", "\"2\"")], 200),
        (
            "§13.1.3 not modified since",
            &[("if-modified-since", &later)],
            304,
        ),
        ("the same second", &[("if-modified-since", &modified)], 304),
        ("modified since", &[("if-modified-since", &earlier)], 200),
        ("not a date", &[("if-modified-since", "yesterday")], 200),
        (
            "§13.2.2 the tag wins",
            &[("if-none-match", "\"2\""), ("if-modified-since", &later)],
            200,
        ),
        ("§13.1.1 If-Match", &[("if-match", "\"2\"")], 412),
    ];
    let mut client = proxy.client().await;
    for (name, fields, status) in table {
        let response = client.get_with("/a", fields).await;
        assert_eq!(response.status, *status, "{name}: {response:?}");
        if response.status == 304 {
            assert!(
                response.body.is_empty() && response.is_hit(),
                "{name}: {response:?}"
            );
            assert_eq!(response.field("etag"), Some("W/\"1\""), "{name}");
        }
    }
    assert_eq!(origin.count("/a"), 1, "all of this needs no origin");
}

/// What goes into the store must be a whole response, whatever copy the first client had.
#[tokio::test]
async fn a_clients_condition_does_not_reach_the_origin_on_a_miss() {
    let origin = Origin::answering(200, TAGGED, "hello");
    let proxy = Proxy::start(&origin).await;
    let fields = [
        ("if-none-match", "\"1\""),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ];
    let first = proxy.get_with("/a", &fields).await;
    assert_eq!(first.status, 304, "{first:?}");
    let seen = origin.last();
    assert!(seen.field("if-none-match").is_none() && seen.field("if-modified-since").is_none());
    // A 304 needs no body, so it may be here before the body is.
    let is_hit = async || {
        let second = proxy.get("/a").await;
        second.is_good("hello") && second.is_hit()
    };
    eventually("a hit", is_hit).await;
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_stale_object_is_revalidated_and_its_body_reused() {
    let origin = revalidating();
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("hello"));
    let second = proxy.get("/a").await;
    assert!(second.is_good("hello"), "{second:?}");
    assert!(second.says("fwd=stale"), "{second:?}");
    assert_eq!(origin.last().field("if-none-match"), Some("\"1\""));
    assert_eq!(
        second.field("x-nth"),
        Some("2"),
        "the 304's fields are merged"
    );
}

#[tokio::test]
async fn last_modified_serves_where_there_is_no_tag() {
    let modified = http_date(-86_400);
    let sent = modified.clone();
    let origin = Origin::start(async move |request, connection| {
        let fields = [("cache-control", "max-age=0"), ("last-modified", &*sent)];
        let known = request.field("if-modified-since") == Some(&*sent);
        connection
            .respond(if known { 304 } else { 200 }, &fields, "hello")
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    assert!(proxy.get("/a").await.is_good("hello"));
    assert_eq!(origin.last().field("if-modified-since"), Some(&*modified));
}

/// RFC 9111 §3.2: the cache adds each field of the 304 to the stored response and replaces those
/// that are there, except for those that describe the body it does not have.
#[tokio::test]
async fn a_304_renews_the_stored_fields_and_the_lifetime() {
    let origin = Origin::start(async |request, connection| {
        if request.nth == 1 {
            let fields = [
                ("cache-control", "max-age=0"),
                ("etag", "\"1\""),
                ("x-old", "kept"),
                ("x-both", "old"),
            ];
            return connection.respond(200, &fields, "hello").await;
        }
        let fields = [
            ("cache-control", "max-age=60"),
            ("etag", "\"1\""),
            ("x-both", "new"),
            ("x-new", "added"),
            ("content-length", "99"),
        ];
        connection.respond(304, &fields, "").await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    proxy.get("/a").await;
    let hit = proxy.get("/a").await;
    assert!(hit.is_good("hello") && hit.is_hit(), "{hit:?}");
    let fields = ["x-old", "x-both", "x-new", "content-length"].map(|it| hit.field(it));
    assert_eq!(
        fields,
        [Some("kept"), Some("new"), Some("added"), Some("5")]
    );
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test]
async fn a_200_to_a_condition_replaces_the_object() {
    let origin = Origin::start(async |request, connection| {
        let (tag, control, body) = match request.nth {
            1 => ("\"1\"", "max-age=0", "old"),
            _ => ("\"2\"", "max-age=60", "new"),
        };
        connection
            .respond(200, &[("cache-control", control), ("etag", tag)], body)
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_good("old"));
    assert!(proxy.get("/a").await.is_good("new"));
    assert_eq!(origin.last().field("if-none-match"), Some("\"1\""));
    let hit = proxy.get("/a").await;
    assert!(hit.is_good("new") && hit.is_hit(), "{hit:?}");
}

#[tokio::test]
async fn a_client_with_a_copy_gets_304_after_a_revalidation() {
    let origin = revalidating();
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let response = proxy.get_with("/a", &[("if-none-match", "\"1\"")]).await;
    assert_eq!(response.status, 304, "{response:?}");
    let other = proxy.get_with("/a", &[("if-none-match", "\"0\"")]).await;
    assert!(
        other.is_good("hello"),
        "the client's tag is not ours to ask with: {other:?}"
    );
    assert_eq!(origin.last().field("if-none-match"), Some("\"1\""));
}

/// A herd on an expired object is one conditional request.
#[tokio::test]
async fn a_herd_on_a_stale_object_asks_once() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.nth == 1 {
            // Stale from the start, as its Age says.
            let fields = [
                ("cache-control", "max-age=60"),
                ("age", "60"),
                ("etag", "\"1\""),
            ];
            return connection.respond(200, &fields, "hello").await;
        }
        held.pass().await;
        connection.respond(304, TAGGED, "").await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let mut herd = proxy.herd(30, "/a").await;
    gate.arrived(1).await;
    gate.open();
    for response in responses(&mut herd).await {
        assert!(response.is_good("hello"), "{response:?}");
    }
    assert_eq!(origin.count("/a"), 2);
    assert_eq!(origin.last().field("if-none-match"), Some("\"1\""));
}

/// Varnish r01648 and c00105: a body that never became whole must not be revived by a 304.
#[tokio::test]
async fn a_truncated_object_is_never_revalidated() {
    let origin = Origin::start(async |request, connection| {
        if request.nth == 1 {
            let fields = [
                ("cache-control", "max-age=0"),
                ("etag", "\"1\""),
                ("content-length", "9"),
            ];
            connection.begin(200, &fields).await;
            connection.send("hello").await;
            return connection.close();
        }
        connection.respond(200, TAGGED, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    assert!(proxy.get("/a").await.is_broken());
    assert!(proxy.get("/a").await.is_good("hello"));
    assert_eq!(origin.last().field("if-none-match"), None);
}

/// RFC 9111 §5.2.2.4: no-cache is stored, and asked about each time.
#[tokio::test]
async fn no_cache_is_asked_about_each_time() {
    let origin = Origin::start(async |request, connection| {
        let status = if request.field("if-none-match").is_some() {
            304
        } else {
            200
        };
        let fields = [("cache-control", "no-cache"), ("etag", "\"1\"")];
        connection.respond(status, &fields, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    for _ in 0..3 {
        assert!(proxy.get("/a").await.is_good("hello"));
    }
    assert_eq!(origin.count("/a"), 3);
    assert_eq!(origin.last().field("if-none-match"), Some("\"1\""));
}

/// The variant's own validator is asked with, and the fields that chose it are sent along.
#[tokio::test]
async fn a_revalidation_is_about_the_variant_that_was_asked_for() {
    let origin = Origin::start(async |request, connection| {
        let language = request.field("accept-language").unwrap_or("none");
        let tag = format!("\"{language}\"");
        let fields = [
            ("cache-control", "max-age=0"),
            ("vary", "accept-language"),
            ("etag", &*tag),
        ];
        let status = if request.field("if-none-match") == Some(&tag) {
            304
        } else {
            200
        };
        connection.respond(status, &fields, language).await;
    });
    let proxy = Proxy::start(&origin).await;
    for language in ["en", "de", "en", "de"] {
        let response = proxy.get_with("/a", &[("accept-language", language)]).await;
        assert!(response.is_good(language), "{response:?}");
    }
    let conditions: Vec<_> = origin
        .requests()
        .iter()
        .map(|it| it.field("if-none-match").map(str::to_owned))
        .collect();
    assert_eq!(
        conditions,
        [
            None,
            None,
            Some("\"en\"".to_owned()),
            Some("\"de\"".to_owned())
        ]
    );
}

/// An object that grows stale by itself, without any Age from the origin, is asked about, too.
#[tokio::test]
async fn an_object_that_expires_here_is_revalidated() {
    let origin = Origin::start(async |request, connection| {
        let status = if request.field("if-none-match").is_some() {
            304
        } else {
            200
        };
        let fields = [("cache-control", "max-age=1"), ("etag", "\"1\"")];
        connection.respond(status, &fields, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let asked = async || proxy.get("/a").await.is_good("hello") && origin.count("/a") == 2;
    eventually("a revalidation", asked).await;
    assert_eq!(origin.last().field("if-none-match"), Some("\"1\""));
}

/// Answers a GET of a [`STALE`] object: 304 for those who have it.
fn revalidated(request_tag: Option<&str>) -> u16 {
    if request_tag == Some("\"1\"") {
        304
    } else {
        200
    }
}

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

/// r01879: a 304 that has a field replaces every line of it, and leaves the lines of the fields
/// that it does not have.
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

/// r01858, r02763: what was not stored is not asked about, though it had a validator.
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
