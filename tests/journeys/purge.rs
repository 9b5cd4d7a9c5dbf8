//! Taking things out of the cache: the admin endpoint, the command line, the PURGE method, and what
//! unsafe methods do by themselves.

use std::process::Output;

use crate::harness::{
    FRESH, Fields, Gate, Origin, Proxy, Response, TAGGED, TempDir, command, responses,
};

const URL: &str = "http://example.test/a";

/// Always fresh, with a body that counts requests, and 304 for those who know the tag.
fn counting() -> Origin {
    Origin::start(async |request, connection| {
        let status = if request.field("if-none-match").is_some() {
            304
        } else {
            200
        };
        connection
            .respond(status, TAGGED, request.nth.to_string())
            .await;
    })
}

fn purged(response: &Response) -> Option<u64> {
    assert_eq!(response.status, 200, "{response:?}");
    let json: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    json["purged"].as_u64()
}

// --- the admin endpoint --------------------------------------------------------------------------

#[tokio::test]
async fn a_purged_url_is_fetched_anew_and_no_other() {
    let origin = counting();
    let proxy = Proxy::start(&origin).await;
    for path in ["/a", "/a?b", "/b"] {
        proxy.get(path).await;
    }
    assert_eq!(
        purged(&proxy.purge(&format!("{{\"url\":\"{URL}\"}}")).await),
        Some(1)
    );
    let next = proxy.get("/a").await;
    assert!(next.is_good("2") && !next.is_hit(), "{next:?}");
    assert_eq!(
        origin.last().field("if-none-match"),
        None,
        "nothing is left to ask about"
    );
    assert!(proxy.get("/a?b").await.is_hit() && proxy.get("/b").await.is_hit());
    assert_eq!(
        purged(&proxy.purge("{\"url\":\"http://example.test/none\"}").await),
        Some(0)
    );
}

/// c00041.
#[tokio::test]
async fn a_purge_takes_all_variants() {
    let origin = Origin::start(async |request, connection| {
        let fields = [("cache-control", "max-age=60"), ("vary", "accept-language")];
        connection
            .respond(200, &fields, request.nth.to_string())
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let languages = ["en", "de", "fr"];
    for language in languages {
        proxy.get_with("/a", &[("accept-language", language)]).await;
    }
    proxy.purge(&format!("{{\"url\":\"{URL}\"}}")).await;
    for language in languages {
        let response = proxy.get_with("/a", &[("accept-language", language)]).await;
        assert!(!response.is_hit(), "{language}: {response:?}");
    }
}

/// c00132.
#[tokio::test]
async fn a_soft_purge_leaves_something_to_ask_about() {
    let origin = counting();
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    assert_eq!(
        purged(
            &proxy
                .purge(&format!("{{\"url\":\"{URL}\",\"soft\":true}}"))
                .await
        ),
        Some(1)
    );
    let next = proxy.get("/a").await;
    assert!(next.is_good("1") && next.says("fwd=stale"), "{next:?}");
    assert_eq!(origin.last().field("if-none-match"), Some("\"1\""));
    assert!(proxy.get("/a").await.is_hit());
}

#[tokio::test]
async fn all_may_be_purged_at_once() {
    let origin = counting();
    let proxy = Proxy::start(&origin).await;
    for path in ["/a", "/b", "/c"] {
        proxy.get(path).await;
    }
    proxy.purge("{\"all\":true}").await;
    for path in ["/a", "/b", "/c"] {
        let next = proxy.get(path).await;
        assert!(next.is_good("2") && !next.is_hit(), "{next:?}");
    }
}

/// Host and path of what is there before each purge.
const PAGES: [(&str, &str); 8] = [
    ("example.test", "/"),
    ("example.test", "/shop"),
    ("example.test", "/shop/"),
    ("example.test", "/shop/a"),
    ("example.test", "/shop/deep/a?b=/c"),
    ("example.test", "/shopping/a"),
    ("example.test:8080", "/shop/a"),
    ("other.test", "/shop/a"),
];

#[tokio::test]
async fn a_host_and_a_prefix_are_purged_with_all_their_pages_and_no_other() {
    let table: [(&str, &[usize]); 6] = [
        ("\"host\":\"Example.test\"", &[0, 1, 2, 3, 4, 5]),
        ("\"host\":\"example.test:8080\"", &[6]),
        ("\"prefix\":\"http://example.test/\"", &[0, 1, 2, 3, 4, 5]),
        ("\"prefix\":\"http://example.test/shop/\"", &[2, 3, 4]),
        ("\"prefix\":\"https://example.test/shop/deep/\"", &[4]),
        ("\"prefix\":\"http://example.test/none/\"", &[]),
    ];
    let origin = counting();
    let proxy = Proxy::start(&origin).await;
    let get = async |index: usize| {
        let (host, path) = PAGES[index];
        proxy.get_with(path, &[("host", host)]).await
    };
    for soft in [false, true] {
        for (what, met) in table {
            for index in 0..PAGES.len() {
                get(index).await;
            }
            let answer = proxy.purge(&format!("{{{what},\"soft\":{soft}}}")).await;
            assert_eq!(purged(&answer), None, "{what}");
            for (index, page) in PAGES.iter().enumerate() {
                let next = get(index).await;
                let is_right = match met.contains(&index) {
                    true => next.says("fwd=stale") == soft && !next.is_hit(),
                    false => next.is_hit(),
                };
                assert!(is_right, "{what}, {page:?}: {next:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_purge_that_makes_no_sense_is_a_400_and_purges_nothing() {
    let origin = counting();
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let table = [
        "",
        "{",
        "[]",
        "{}",
        "{\"all\":false}",
        "{\"url\":7}",
        "{\"url\":\"\"}",
        "{\"urk\":\"x\"}",
        "{\"host\":\"a b\"}",
        "{\"host\":\"example.test\",\"all\":true}",
        "{\"prefix\":\"/\"}",
        "{\"prefix\":\"http://example.test/a\"}",
        "{\"prefix\":\"http://example.test/?a/\"}",
        "{\"tags\":[]}",
        "{\"tags\":[\"\"]}",
        "{\"tags\":\"a\"}",
        "{\"pattern\":\"(\"}",
        "{\"pattern\":\"a(?=b)\"}",
        "{\"any_query\":true,\"all\":true}",
        "{\"prefix\":\"http://example.test/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/\"}",
    ];
    for json in table {
        let response = proxy.purge(json).await;
        assert!(
            [400, 422].contains(&response.status),
            "{json:?}: {response:?}"
        );
    }
    assert!(proxy.get("/a").await.is_hit());
}

/// They were answered with 200 and `"purged":0`, as if nothing had been stored.
#[tokio::test]
async fn a_purge_of_a_pattern_or_of_an_unknown_host_says_so_and_what_to_send() {
    let origin = counting();
    let sites = "[[site]]\nhosts = [\"example.test\", \"*.shop.test\"]\norigin = \"main\"\n";
    let proxy = Proxy::before(&origin).sites(sites).start().await;
    proxy.get("/a").await;
    let patterns = "a `prefix` that ends with a slash, a `host` or `all`";
    let hosts = "send one that a site has";
    let keys = "exactly one of `url`, `prefix`, `host`, `tags`, `pattern` and `all` is wanted";
    for (json, status, told) in [
        ("{\"url\":\"http://example.test/*\"}", 400, patterns),
        ("{\"url\":\"http://example.test/.*\"}", 400, patterns),
        ("{\"url\":\"http://example.test/?.*\"}", 400, patterns),
        ("{\"url\":\"http://*/a\"}", 400, patterns),
        ("{\"prefix\":\"http://example.test/*/\"}", 400, patterns),
        ("{\"host\":\"*.shop.test\"}", 400, patterns),
        ("{\"host\":\"*\"}", 400, patterns),
        ("{\"url\":\"http://unknown/\"}", 404, hosts),
        ("{\"prefix\":\"http://shop.test/\"}", 404, hosts),
        ("{\"host\":\"unknown\"}", 404, hosts),
        ("{\"regex\":\"/.*\"}", 400, keys),
        ("{\"tag\":\"a\"}", 400, keys),
        ("", 400, keys),
    ] {
        let refused = proxy.purge(json).await;
        assert_eq!(refused.status, status, "{json}: {refused:?}");
        assert!(refused.text().contains(told), "{json}: {refused:?}");
    }
    assert!(proxy.get("/a").await.is_hit(), "nothing was purged");
    for url in ["http://example.test/none", "https://www.shop.test/?a[]=*&b"] {
        let none = proxy.purge(&format!("{{\"url\":\"{url}\"}}")).await;
        assert_eq!(purged(&none), Some(0), "{url}");
    }
}

/// Nothing in it is a pattern to who wrote the page.
#[tokio::test]
async fn a_url_with_an_asterisk_is_purged_where_it_is_stored() {
    let origin = counting();
    let proxy = Proxy::start(&origin).await;
    proxy.get("/wiki/M*A*S*H").await;
    let json = "{\"url\":\"http://example.test/wiki/M*A*S*H\"}";
    assert_eq!(purged(&proxy.purge(json).await), Some(1));
    assert!(proxy.get("/wiki/M*A*S*H").await.is_good("2"));
}

// --- the command line ----------------------------------------------------------------------------

#[tokio::test]
async fn the_command_purges_prints_the_count_and_says_how_it_went() {
    let origin = counting();
    let proxy = Proxy::start(&origin).await;
    let folder = TempDir::new();
    let admin = proxy.admin_address().to_string();
    let purge = async |arguments: &[&str]| -> Output {
        let arguments = [&["purge", "--admin", &*admin], arguments].concat();
        command(&arguments, folder.path()).await
    };
    proxy.get("/a").await;

    let output = purge(&[URL]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains('1'),
        "{output:?}"
    );
    assert!(proxy.get("/a").await.is_good("2"));

    assert_eq!(purge(&["--soft", URL]).await.status.code(), Some(0));
    assert!(proxy.get("/a").await.says("fwd=stale"));

    for what in [
        &["--all"][..],
        &["--host", "example.test"],
        &["--prefix", "http://example.test/", URL],
    ] {
        proxy.get("/a").await;
        let output = purge(what).await;
        assert_eq!(output.status.code(), Some(0), "{what:?}: {output:?}");
        assert!(!proxy.get("/a").await.is_hit(), "{what:?}");
    }
    for nonsense in [&[][..], &["--all", URL], &["--all", "--host", "a"]] {
        assert_eq!(purge(nonsense).await.status.code(), Some(2), "{nonsense:?}");
    }
}

#[tokio::test]
async fn the_command_purges_by_tag_and_pattern_and_tells_scripts() {
    let origin = Origin::start(async |request, connection| {
        let fields = [("cache-control", "max-age=60"), ("xkey", "a b")];
        connection
            .respond(200, &fields, request.nth.to_string())
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let (folder, admin) = (TempDir::new(), proxy.admin_address().to_string());
    let table: [(&[&str], &str); 5] = [
        (&["--tag", "b", "--tag", "c"], "purged 1\n"),
        (
            &["--pattern", "^example.test/a$"],
            "purged, without a count\n",
        ),
        (
            &["--any-query", "http://example.test/a?b"],
            "purged, without a count\n",
        ),
        (
            &["--json", "--tag", "b"],
            "{\"each\":[{\"purged\":1,\"soft\":false,\"tags\":[\"b\"]}],\"purged\":1}\n",
        ),
        (
            &["http://example.test/a", "--tag", "b"],
            "       1  http://example.test/a\n       0  tags b\npurged 1\n",
        ),
    ];
    for (what, told) in table {
        proxy.get("/a").await;
        assert!(proxy.get("/a").await.is_hit());
        let arguments = [&["purge", "--admin", &*admin], what].concat();
        let output = command(&arguments, folder.path()).await;
        assert_eq!(output.status.code(), Some(0), "{what:?}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), told);
        assert!(!proxy.get("/a").await.is_hit(), "{what:?}");
    }
}

#[tokio::test]
async fn the_command_fails_where_nothing_can_be_purged() {
    let origin = counting();
    let sites = "[[site]]\nhosts = [\"example.test\"]\norigin = \"main\"\n";
    let proxy = Proxy::before(&origin).sites(sites).start().await;
    let (folder, admin) = (TempDir::new(), proxy.admin_address().to_string());
    for (what, told) in [
        (&["http://example.test/*"][..], "a `prefix`"),
        (&["--host", "*.example.test"], "a `prefix`"),
        (&["http://unknown/"], "no site here is for the host unknown"),
        (&[URL, "http://unknown/"], "no site here is for the host"),
    ] {
        let arguments = [&["purge", "--admin", &*admin], what].concat();
        let output = command(&arguments, folder.path()).await;
        assert_eq!(output.status.code(), Some(1), "{what:?}: {output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(told), "{what:?}: {text}");
    }
}

#[tokio::test]
async fn the_command_fails_where_nobody_answers() {
    let origin = counting();
    let folder = TempDir::new();
    let nobody = origin.address().to_string();
    drop(origin);
    let output = command(&["purge", "--admin", &nobody, URL], folder.path()).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!output.stderr.is_empty());
}

/// As a proxy before the admin listener may answer.
#[tokio::test]
async fn the_command_takes_a_url_and_an_answer_in_chunks() {
    let admin = Origin::start(async |request, connection| {
        assert_eq!(
            (&*request.method, &*request.path),
            ("POST", "/api/v1/purge")
        );
        let fields = [("transfer-encoding", "chunked")];
        connection.begin(200, &fields).await;
        for chunk in ["{\"purged\"", ":4", "2}", ""] {
            connection.chunk(chunk).await;
        }
    });
    let url = format!("http://{}/", admin.address());
    let folder = TempDir::new();
    let output = command(&["purge", "--admin", &url, URL], folder.path()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, b"purged 42\n");
}

// --- PURGE ---------------------------------------------------------------------------------------

#[tokio::test]
async fn purge_is_for_clients_in_the_configured_networks() {
    let origin = counting();
    let networks = "purge_from = [\"127.0.0.0/8\"]";
    let proxy = Proxy::before(&origin)
        .table("server", networks)
        .start()
        .await;
    proxy.get("/a").await;
    assert_eq!(proxy.send("PURGE", "/a", &[]).await.status, 200);
    assert!(proxy.get("/a").await.is_good("2"));
    assert_eq!(proxy.send("SOFTPURGE", "/a", &[]).await.status, 200);
    assert!(proxy.get("/a").await.says("fwd=stale"));
    assert!(origin.requests().iter().all(|it| it.method == "GET"));
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

/// What its modules send is in `modules.rs`.
#[tokio::test]
async fn what_a_purge_cannot_mean_says_what_to_send() {
    let origin = counting();
    let server = "purge_from = [\"127.0.0.0/8\"]";
    let sites = "[[site]]\nhosts = [\"example.test\"]\norigin = \"main\"\n";
    let proxy = Proxy::before(&origin).table("server", server).sites(sites);
    let proxy = proxy.start().await;
    proxy.get("/a").await;
    let table: [(&str, &str, Fields<'_>, u16, &str); 9] = [
        ("PURGE", "/.*", &[], 400, "purge a `pattern`"),
        ("PURGE", "/*", &[], 400, "purge a `pattern`"),
        (
            "PURGE",
            "/a",
            &[("x-purge-method", "odd")],
            400,
            "\"regex\"",
        ),
        (
            "PURGE",
            "/(",
            &[("x-purge-method", "regex")],
            400,
            "unclosed group",
        ),
        ("PURGE", "/a", &[("xkey", " ")], 400, "has no tag"),
        ("BAN", "/", &[], 400, "`X-Cache-Tags`"),
        ("PURGEKEYS", "/", &[], 501, "send PURGE or SOFTPURGE"),
        ("FULLBAN", "/", &[], 501, "BAN with `X-Url`"),
        ("purge", "/a", &[], 501, "PURGEALL for everything"),
    ];
    for (method, path, fields, status, told) in table {
        let refused = proxy.send(method, path, fields).await;
        assert_eq!(
            refused.status, status,
            "{method} {path} {fields:?}: {refused:?}"
        );
        assert!(refused.says("detail=purge-unknown"), "{refused:?}");
        assert!(refused.text().contains(told), "{told}: {refused:?}");
    }
    let unknown = proxy.send("PURGE", "/a", &[("host", "unknown")]).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    assert!(proxy.get("/a").await.is_hit(), "nothing was purged");
    let exactly = proxy.send("PURGE", "/a", &[("x-purge-method", "default")]);
    assert_eq!(purged(&exactly.await), Some(1));
    assert!(origin.requests().iter().all(|it| it.method == "GET"));
}

#[tokio::test]
async fn purge_from_elsewhere_is_a_403() {
    let origin = counting();
    let networks = "purge_from = [\"10.0.0.0/8\"]";
    let proxy = Proxy::before(&origin)
        .table("server", networks)
        .start()
        .await;
    proxy.get("/a").await;
    for method in ["PURGE", "SOFTPURGE", "BAN"] {
        assert_eq!(proxy.send(method, "/a", &[]).await.status, 403, "{method}");
    }
    assert!(proxy.get("/a").await.is_hit());
    assert!(origin.requests().iter().all(|it| it.method == "GET"));
}

#[tokio::test]
async fn purge_is_an_ordinary_method_where_no_network_is_configured() {
    let origin = counting();
    let proxy = Proxy::start(&origin).await;
    for method in ["PURGE", "BAN"] {
        assert_eq!(proxy.send(method, "/.*", &[]).await.status, 200);
        assert_eq!(origin.last().method, method);
    }
}

// --- races ---------------------------------------------------------------------------------------

/// What was being fetched when the purge came is as old as what was purged.
#[tokio::test]
async fn a_fetch_in_progress_does_not_outlive_a_purge() {
    for json in [
        format!("{{\"url\":\"{URL}\"}}"),
        "{\"all\":true}".to_owned(),
    ] {
        let gate = Gate::new();
        let held = gate.clone();
        let origin = Origin::start(async move |request, connection| {
            let body = request.nth.to_string();
            connection
                .begin(200, &[TAGGED[0], ("transfer-encoding", "chunked")])
                .await;
            if request.nth == 1 {
                held.pass().await;
            }
            connection.chunk(body).await;
            connection.chunk("").await;
        });
        let proxy = Proxy::start(&origin).await;
        let mut early = proxy.herd(3, "/a").await;
        gate.arrived(1).await;
        assert_eq!(early[0].head().await.status(), 200);
        assert_eq!(proxy.purge(&json).await.status, 200);
        gate.open();
        assert_eq!(early[0].rest().await.0, b"1", "its client is served");
        let next = proxy.get("/a").await;
        assert!(next.is_good("2") && !next.is_hit(), "{json}: {next:?}");
    }
}

/// As before, when not even the head had come.
#[tokio::test]
async fn a_fetch_without_a_head_does_not_outlive_a_purge_either() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.nth == 1 {
            held.pass().await;
        }
        connection
            .respond(200, TAGGED, request.nth.to_string())
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut early = proxy.herd(1, "/a").await;
    gate.arrived(1).await;
    proxy.purge(&format!("{{\"url\":\"{URL}\"}}")).await;
    gate.open();
    assert!(responses(&mut early).await[0].is_good("1"));
    let next = proxy.get("/a").await;
    assert!(next.is_good("2") && !next.is_hit(), "{next:?}");
}

/// c00129, c00130: the 304 that is under way must not revive what was purged, whether by hand or by
/// an unsafe method.
#[tokio::test]
async fn a_revalidation_in_progress_does_not_revive_what_was_purged() {
    for by_hand in [true, false] {
        let gate = Gate::new();
        let held = gate.clone();
        let origin = Origin::start(async move |request, connection| {
            if request.method == "POST" {
                return connection.respond(200, &[], "done").await;
            }
            if request.field("if-none-match").is_some() {
                held.pass().await;
                return connection.respond(304, TAGGED, "").await;
            }
            let control = if request.nth == 1 {
                "max-age=0"
            } else {
                "max-age=60"
            };
            let fields = [("cache-control", control), ("etag", "\"1\"")];
            connection
                .respond(200, &fields, request.nth.to_string())
                .await;
        });
        let proxy = Proxy::start(&origin).await;
        proxy.get("/a").await;
        let mut early = proxy.herd(1, "/a").await;
        gate.arrived(1).await;
        match by_hand {
            true => proxy.purge(&format!("{{\"url\":\"{URL}\"}}")).await,
            false => proxy.client().await.send_body("POST", "/a", "text").await,
        };
        gate.open();
        assert_eq!(
            responses(&mut early).await[0].status,
            200,
            "its client is served"
        );
        let next = proxy.get("/a").await;
        assert!(
            !next.is_hit() || next.text() != "1",
            "by hand {by_hand}: {next:?}"
        );
    }
}

// --- unsafe methods ------------------------------------------------------------------------------

/// RFC 9111 §4.4: "A cache MUST invalidate the target URI when it receives a non-error status code
/// in response to an unsafe request method (including methods whose safety is unknown)."
#[tokio::test]
async fn an_unsafe_method_invalidates_its_url_unless_it_failed() {
    let origin = Origin::start(async |request, connection| match &*request.method {
        "GET" | "HEAD" | "OPTIONS" => connection.respond(200, TAGGED, "hello").await,
        "BREAK" => connection.respond(500, &[], "").await,
        "REFUSE" => connection.respond(404, &[], "").await,
        "MOVE" => connection.respond(302, &[("location", "/b")], "").await,
        _ => connection.respond(204, &[], "").await,
    });
    let proxy = Proxy::start(&origin).await;
    let table = [
        ("POST", false),
        ("PUT", false),
        ("DELETE", false),
        ("M-SEARCH", false),
        ("MOVE", false),
        ("OPTIONS", true),
        ("BREAK", true),
        ("REFUSE", true),
    ];
    for (method, kept) in table {
        proxy.get("/a").await;
        assert!(proxy.get("/a").await.is_hit());
        proxy.send(method, "/a", &[]).await;
        let next = proxy.get("/a").await;
        assert_eq!(next.is_hit(), kept, "{method}: {next:?}");
    }
}
