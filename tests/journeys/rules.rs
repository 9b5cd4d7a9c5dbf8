//! What VCLs say most often, as rules: for each a request of which it is true and one of which it is not.
//! docs/rules.md has them side by side.

use crate::harness::{Client, FRESH, Origin, Proxy, Response, Setup};

/// One site for all, and these rules for all of it.
fn with(origin: &Origin, rules: &str) -> Setup {
    let site = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n";
    Proxy::before(origin).sites(&format!("{site}{rules}\n"))
}

/// An origin whose pages may be kept and say which cookies and what path it was asked for.
fn echo() -> Origin {
    Origin::start(async |request, connection| {
        let cookie = request.field("cookie").unwrap_or("none");
        let said = format!("{} {cookie}", request.path);
        connection.respond(200, FRESH, &said).await;
    })
}

/// Asks twice, and gives the second answer.
async fn twice(proxy: &Proxy, path: &str, fields: &[(&str, &str)]) -> Response {
    proxy.get_with(path, fields).await;
    proxy.get_with(path, fields).await
}

/// 1: `if (req.method == "PURGE") { if (!client.ip ~ purge) … }` needs no rule.
#[tokio::test]
async fn purges_are_for_those_who_may() {
    let origin = echo();
    let proxy = with(&origin, "")
        .table("server", "purge_from = [\"127.0.0.1/32\"]")
        .start()
        .await;
    proxy.get("/a").await;
    let mut stranger = Client::connect_from([127, 0, 0, 2], proxy.address()).await;
    stranger.request("PURGE", "/a", &[]).await;
    assert_eq!(stranger.response().await.status, 403);
    assert!(proxy.get("/a").await.is_hit());
    assert_eq!(proxy.send("PURGE", "/a", &[]).await.status, 200);
    assert!(!proxy.get("/a").await.is_hit());
}

const LOGIN: &str = r#"
    [[rule]]
    name = "logged-in"
    when = 'cookie.any("wordpress_logged_in_*", "comment_author_*", "wp-postpass_*")'
    pass = true
    [[rule]]
    when = '!cookie.any("wordpress_logged_in_*")'
    request = { cookies = "ignore" }
"#;

/// 2: `if (req.http.Cookie ~ "wordpress_logged_in") return (pass); unset req.http.Cookie;`
#[tokio::test]
async fn who_is_logged_in_passes_and_all_others_are_nobody() {
    let origin = echo();
    let proxy = with(&origin, LOGIN).start().await;
    let login = [("cookie", "_ga=1; wordpress_logged_in_9=anna")];
    let own = twice(&proxy, "/a", &login).await;
    assert!(
        own.is_good("/a _ga=1; wordpress_logged_in_9=anna"),
        "{own:?}"
    );
    assert!(own.says("detail=rule-logged-in"), "{own:?}");
    let hit = twice(&proxy, "/a", &[("cookie", "_ga=1; other=2")]).await;
    assert!(hit.is_hit() && hit.is_good("/a none"), "{hit:?}");
}

/// 3: `regsuball(req.http.Cookie, "_ga=[^;]+", "")` needs no rule.
#[tokio::test]
async fn cookies_of_analytics_do_not_count() {
    let origin = echo();
    let proxy = with(&origin, "")
        .table(
            "cache",
            "cookies = { ignore = [\"_ga*\", \"__utm*\", \"has_js\"] }",
        )
        .start()
        .await;
    let hit = twice(&proxy, "/a", &[("cookie", "_ga=1; has_js=1")]).await;
    assert!(hit.is_hit(), "{hit:?}");
    let own = twice(&proxy, "/a", &[("cookie", "_ga=1; sid=1")]).await;
    assert!(!own.is_hit(), "{own:?}");
}

/// 4: `if (req.url ~ "\.(css|js|png)(\?.*)?$") unset req.http.Cookie;`
#[tokio::test]
async fn static_files_are_for_everybody() {
    let origin = Origin::start(async |request, connection| {
        let fields = [("cache-control", "max-age=60"), ("set-cookie", "sid=1")];
        connection.respond(200, &fields, &request.path).await;
    });
    let rule = r#"
        [[rule]]
        when = 'ext in ["css", "js", "png"]'
        request = { cookies = "ignore" }
        response = { remove = ["set-cookie"] }
    "#;
    let proxy = with(&origin, rule).start().await;
    let cookie = [("cookie", "sid=2")];
    for path in ["/a.css", "/a/b.tar.PNG?v=1"] {
        let hit = twice(&proxy, path, &cookie).await;
        assert!(hit.is_hit() && hit.field("set-cookie").is_none(), "{hit:?}");
    }
    for path in ["/a.css/b", "/a.html", "/css"] {
        let own = twice(&proxy, path, &cookie).await;
        assert!(
            !own.is_hit() && own.field("set-cookie").is_some(),
            "{own:?}"
        );
    }
}

/// 5: `if (req.url ~ "^/(wp-admin|wp-login|cart|checkout)") return (pass);`
#[tokio::test]
async fn paths_pass_by_a_regular_expression() {
    let rule =
        "[[rule]]\nwhen = 'path.matches(\"^/(wp-admin|wp-login|cart|checkout)\")'\npass = true";
    let origin = echo();
    let proxy = with(&origin, rule).start().await;
    for (path, hit) in [
        ("/cart", false),
        ("/wp-login.php", false),
        ("/a/cart", true),
    ] {
        assert_eq!(twice(&proxy, path, &[]).await.is_hit(), hit, "{path}");
    }
}

/// 6: `if (req.url ~ "[?&]preview=") return (pass);`
#[tokio::test]
async fn previews_pass() {
    let rule = "[[rule]]\nwhen = '\"preview\" in param'\npass = true";
    let origin = echo();
    let proxy = with(&origin, rule).start().await;
    for (path, hit) in [
        ("/a?preview=1", false),
        ("/a?b=1&%70review", false),
        ("/a?no_preview=1", true),
        ("/preview", true),
    ] {
        assert_eq!(twice(&proxy, path, &[]).await.is_hit(), hit, "{path}");
    }
}

/// 7: `regsuball(req.url, "utm_[a-z]+=…", "")`, `std.querysort` need no rule.
#[tokio::test]
async fn parameters_of_campaigns_do_not_count() {
    let origin = echo();
    let proxy = with(&origin, "")
        .table(
            "cache",
            "key = { query = \"sort\", query_deny = [\"utm_*\", \"gclid\"] }",
        )
        .start()
        .await;
    proxy.get("/a?y=2&x=1").await;
    let hit = proxy.get("/a?x=1&utm_source=s&y=2&gclid=3").await;
    assert!(hit.is_hit(), "{hit:?}");
    assert!(!proxy.get("/a?x=2&y=2").await.is_hit());
}

/// 8: `if (req.http.Authorization) return (pass);` is so by itself.
#[tokio::test]
async fn answers_to_credentials_are_not_shared() {
    let origin = echo();
    let proxy = with(&origin, "").start().await;
    let own = twice(&proxy, "/a", &[("authorization", "Basic eDp5")]).await;
    assert!(!own.is_hit(), "{own:?}");
    assert!(twice(&proxy, "/a", &[]).await.is_hit());
}

/// 9: `if (req.http.X-Requested-With == "XMLHttpRequest") return (pass);`
#[tokio::test]
async fn what_scripts_ask_for_passes() {
    let rule = r#"
        [[rule]]
        when = 'header["x-requested-with"] == "XMLHttpRequest"'
        pass = true
    "#;
    let origin = echo();
    let proxy = with(&origin, rule).start().await;
    for (value, hit) in [("XMLHttpRequest", false), ("fetch", true)] {
        let answer = twice(&proxy, "/a", &[("x-requested-with", value)]).await;
        assert_eq!(answer.is_hit(), hit, "{value}: {answer:?}");
    }
}

/// 10 and 11: `set beresp.ttl = 1h; set beresp.grace = 6h;`, and by status, need no rule.
#[tokio::test]
async fn lifetimes_by_route_and_by_status() {
    let origin = Origin::start(async |request, connection| {
        let status = if request.path == "/none" { 404 } else { 200 };
        connection.respond(status, &[], "page").await;
    });
    let cache = "ttl = \"1h\"\ngrace = \"6h\"\nstatus_ttl = { 404 = \"10m\" }";
    let proxy = with(&origin, "").table("cache", cache).start().await;
    for (path, ttl) in [("/a", 3590..=3600), ("/none", 590..=600)] {
        let answer = proxy.get(path).await;
        assert!(ttl.contains(&answer.ttl().unwrap()), "{answer:?}");
    }
}

/// An origin whose answers have the media type that the path names, and say nothing of how long they
/// live.
fn typed() -> Origin {
    Origin::start(async |request, connection| {
        let kind = request.path.trim_start_matches('/').replace('.', "/");
        let fields = [("content-type", kind.as_str())];
        connection.respond(200, &fields, "0123456789").await;
    })
}

/// 12: `if (beresp.http.Content-Type ~ "^image/") set beresp.ttl = 7d;`
#[tokio::test]
async fn images_live_for_a_week() {
    let rule = r#"
        [[rule]]
        name = "images"
        when = 'type.startsWith("image/")'
        response = { ttl = "7d" }
    "#;
    let origin = typed();
    let proxy = with(&origin, rule).start().await;
    let image = proxy.get("/IMAGE.png").await;
    assert!(image.ttl().is_some_and(|it| it > 604_000), "{image:?}");
    assert!(image.says("detail=rule-images"), "{image:?}");
    assert!(proxy.get("/IMAGE.png").await.is_hit());
    assert_eq!(proxy.get("/text.html").await.ttl(), None);
}

/// 13: `if (std.integer(beresp.http.Content-Length, 0) > 10485760) set beresp.uncacheable = true;`
#[tokio::test]
async fn what_is_large_is_not_stored() {
    let origin = Origin::start(async |request, connection| {
        let length = request.path.trim_start_matches('/').parse().unwrap();
        connection.respond(200, FRESH, &"x".repeat(length)).await;
    });
    let rule = "[[rule]]\nname = \"large\"\nwhen = 'size > 1KiB'\nresponse = { store = false }";
    let proxy = with(&origin, rule).start().await;
    let large = twice(&proxy, "/1025", &[]).await;
    assert!(
        !large.is_hit() && large.says("detail=rule-large"),
        "{large:?}"
    );
    assert!(twice(&proxy, "/1024", &[]).await.is_hit());
}

/// 14: `set beresp.ttl = std.duration(beresp.http.X-Reverse-Proxy-TTL + "s", 0s);`
#[tokio::test]
async fn a_field_tells_the_lifetime() {
    let origin = Origin::start(async |request, connection| {
        let fields = [
            ("cache-control", "max-age=5"),
            ("x-reverse-proxy-ttl", request.path.trim_start_matches('/')),
        ];
        connection.respond(200, &fields, "page").await;
    });
    let rule = r#"
        [[rule]]
        response = { ttl = '${header["x-reverse-proxy-ttl"]}s', remove = ["x-reverse-proxy-ttl"] }
    "#;
    let proxy = with(&origin, rule).start().await;
    for (path, least, most) in [("/600", 590, 600), ("/soon", 0, 5)] {
        let answer = proxy.get(path).await;
        let ttl = answer.ttl().unwrap();
        assert!((least..=most).contains(&ttl), "{path}: {answer:?}");
        assert!(answer.field("x-reverse-proxy-ttl").is_none(), "{answer:?}");
    }
}

/// 15: `unset resp.http.X-Powered-By;` needs no rule.
#[tokio::test]
async fn fields_that_tell_too_much_are_removed() {
    let origin = Origin::answering(200, &[("x-powered-by", "PHP"), ("x-own", "1")], "page");
    let site = "[[site]]\nhosts = [\"*\"]\n[[site.route]]\npath = \"/*\"\norigin = \"main\"\n\
                response_fields = { remove = [\"x-powered-by\"] }\n";
    let proxy = Proxy::before(&origin).sites(site).start().await;
    let answer = proxy.get("/a").await;
    assert!(answer.field("x-powered-by").is_none() && answer.field("x-own").is_some());
}

/// 16: `if (obj.hits > 0) set resp.http.X-Cache = "HIT";`
#[tokio::test]
async fn x_cache_says_how_it_was_served() {
    let rules = r#"
        [[rule]]
        deliver = { set = { x-cache = "${outcome}", x-cache-hits = "${hits}" } }
        [[rule]]
        name = "old"
        when = 'hits > 1 && "x-debug" in header'
        deliver = { set = { x-old = "true" }, remove = ["x-cache-hits"] }
    "#;
    let origin = echo();
    let proxy = with(&origin, rules).start().await;
    for (debug, cache, hits, old) in [
        ("x-none", "miss", Some("0"), None),
        ("x-debug", "hit", Some("1"), None),
        ("x-debug", "hit", None, Some("true")),
        ("x-none", "hit", Some("3"), None),
    ] {
        let answer = proxy.get_with("/a", &[(debug, "1")]).await;
        assert_eq!(answer.field("x-cache"), Some(cache), "{answer:?}");
        assert_eq!(answer.field("x-cache-hits"), hits, "{answer:?}");
        assert_eq!(answer.field("x-old"), old, "{answer:?}");
    }
}

/// 17: `if (req.http.host ~ "^www\.") return (synth(750, …));`
#[tokio::test]
async fn www_is_sent_to_the_bare_name() {
    let rule = r#"
        [[rule]]
        name = "www"
        when = 'host.startsWith("www.")'
        redirect = { to = 'https://${host.after("www.")}${target}', status = 301 }
    "#;
    let origin = echo();
    let proxy = with(&origin, rule).start().await;
    let moved = proxy
        .get_with("/a?b=%20c", &[("host", "WWW.Shop.example:8080")])
        .await;
    assert_eq!(moved.status, 301);
    assert_eq!(
        moved.field("location"),
        Some("https://shop.example/a?b=%20c")
    );
    assert!(moved.says("detail=rule-www"), "{moved:?}");
    let served = proxy.get_with("/a", &[("host", "shop.example")]).await;
    assert_eq!(served.status, 200);
}

/// 18: `if (client.ip ~ bad || req.http.User-Agent ~ "badbot") return (synth(403));`
#[tokio::test]
async fn bad_clients_and_bad_bots_are_refused() {
    let rule = r#"
        [list.bad]
        kind = "networks"
        entries = ["127.0.0.2/32"]
        [list.bots]
        kind = "globs"
        entries = ["*badbot*", "curl"]
        [[rule]]
        name = "bad"
        when = 'ip in list.bad || header["user-agent"] in list.bots'
        deny = 403
    "#;
    let origin = echo();
    let proxy = with(&origin, rule).start().await;
    let refused = proxy.get_with("/a", &[("user-agent", "a badbot/1")]).await;
    assert_eq!(refused.status, 403);
    assert!(refused.says("detail=rule-bad"), "{refused:?}");
    assert_eq!(
        proxy.get_with("/a", &[("user-agent", "bot")]).await.status,
        200
    );
    let mut bad = Client::connect_from([127, 0, 0, 2], proxy.address()).await;
    assert_eq!(bad.get("/a").await.status, 403);
}

/// 19: `set req.backend_hint = canary;` by a cookie or for a share of the clients.
#[tokio::test]
async fn some_see_another_origin_and_never_one_anothers_pages() {
    let (main, canary) = (
        Origin::answering(200, FRESH, "main"),
        Origin::answering(200, FRESH, "canary"),
    );
    let rule = r#"
        [[rule]]
        name = "canary"
        when = '"beta" in cookie || bucket("canary") < 0'
        origin = "canary"
        key = ["canary"]
        [[rule]]
        request = { cookies = "ignore" }
    "#;
    let servers = format!("servers = [\"{}\"]", canary.url());
    let proxy = with(&main, rule)
        .table("origins.canary", &servers)
        .start()
        .await;
    let beta = [("cookie", "beta=1")];
    for _ in 0..2 {
        assert!(proxy.get("/a").await.is_good("main"));
        assert!(proxy.get_with("/a", &beta).await.is_good("canary"));
    }
    assert!(proxy.get("/a").await.is_hit() && proxy.get_with("/a", &beta).await.is_hit());
    assert_eq!((main.count("/a"), canary.count("/a")), (1, 1));
    // A purge is of all that is stored for the URL.
    proxy.purge("{\"url\":\"http://example.test/a\"}").await;
    assert!(!proxy.get_with("/a", &beta).await.is_hit());
}

/// Every client is in one bucket of a hundred, and stays there.
#[tokio::test]
async fn a_share_of_clients_is_the_same_each_time() {
    let rule = "[[rule]]\nwhen = 'bucket(\"canary\") < 30'\ndeny = 418\n";
    let origin = echo();
    let proxy = with(&origin, rule).start().await;
    let mut chosen = 0;
    for last in 1..=100 {
        let status = async || {
            let mut client = Client::connect_from([127, 0, 1, last], proxy.address()).await;
            client.get("/a").await.status
        };
        let first = status().await;
        assert_eq!(first, status().await);
        chosen += usize::from(first == 418);
    }
    assert!((15..=45).contains(&chosen), "{chosen} of 100");
}

// --- what else rules do --------------------------------------------------------------------------

#[tokio::test]
async fn a_path_is_rewritten_for_key_and_origin_alike() {
    let rules = r#"
        [[rule]]
        when = 'path.startsWith("/old/")'
        rewrite = '/new/${path.after("/old/")}'
        [[rule]]
        when = 'path.matches("^/[0-9]+/")'
        rewrite = '${path.replace("^/([0-9]+)/(.*)$", "/$2")}?page=${path.replace("^/([0-9]+)/.*$", "$1")}'
        [[rule]]
        when = 'device == "mobile"'
        rewrite = '/m${target}'
    "#;
    let origin = echo();
    let proxy = with(&origin, rules).start().await;
    for (path, asked) in [
        ("/old/a%20b/c?d=1", "/new/a%20b/c?d=1 none"),
        ("/7/a?x=1", "/a?page=7 none"),
        ("/a", "/a none"),
    ] {
        assert!(proxy.get(path).await.is_good(asked), "{path}");
    }
    // They share what is stored with those who ask for it by its new name.
    assert!(proxy.get("/new/a%20b/c?d=1").await.is_hit());
    let phone = [("user-agent", "Mozilla/5.0 (iPhone)")];
    assert!(proxy.get_with("/a", &phone).await.is_good("/m/a none"));
    assert!(proxy.get("/a").await.is_good("/a none"));
    assert_eq!(proxy.get_with("/b?c", &phone).await.text(), "/m/b?c none");
}

#[tokio::test]
async fn the_later_rule_counts_and_an_end_is_an_end() {
    let rules = r#"
        [[rule]]
        when = 'path.startsWith("/a")'
        response = { ttl = "1h", set = { x-by = "first" } }
        [[rule]]
        when = 'path == "/a/b"'
        response = { ttl = "2h", set = { x-by = "second" } }
        [[rule]]
        when = 'path == "/end"'
        answer = { status = 410, body = "gone", fields = { x-by = "third" } }
        [[rule]]
        deliver = { set = { x-rules = "seen" } }
    "#;
    let origin = echo();
    let proxy = with(&origin, rules).start().await;
    for (path, by, ttl) in [("/a", "first", 3600), ("/a/b", "second", 7200)] {
        let answer = proxy.get(path).await;
        assert_eq!(answer.field("x-by"), Some(by));
        assert!(
            (ttl - 10..=ttl).contains(&answer.ttl().unwrap()),
            "{answer:?}"
        );
        assert_eq!(answer.field("x-rules"), Some("seen"));
    }
    let gone = proxy.get("/end").await;
    assert_eq!((gone.status, gone.text().as_str()), (410, "gone"));
    assert_eq!(
        (gone.field("x-by"), gone.field("x-rules")),
        (Some("third"), None)
    );
}

#[tokio::test]
async fn rules_of_the_top_come_before_those_of_a_site_and_of_a_route() {
    let sites = r#"
        [[rule]]
        deliver = { set = { x-a = "top", x-b = "top", x-c = "top" } }
        [[site]]
        hosts = ["*"]
        [[site.rule]]
        deliver = { set = { x-b = "site", x-c = "site" } }
        [[site.route]]
        path = "/*"
        origin = "main"
        [[site.route.rule]]
        deliver = { set = { x-c = "route" }, add = { x-c = "${status}" } }
    "#;
    let origin = echo();
    let proxy = Proxy::before(&origin).sites(sites).start().await;
    let answer = proxy.get("/a").await;
    assert_eq!(answer.field("x-a"), Some("top"));
    assert_eq!(answer.field("x-b"), Some("site"));
    assert_eq!(answer.head.fields("x-c"), ["route", "200"]);
}

#[tokio::test]
async fn a_rule_tells_an_origin_what_it_has_put_into_the_key() {
    let rule = r#"
        [[rule]]
        key = ["${device}"]
        request = { set = { x-device = "${device}" }, add = { x-seen = "${client}" } }
    "#;
    let origin = Origin::start(async |request, connection| {
        let fields = [("cache-control", "max-age=60"), ("vary", "x-device")];
        let device = request.field("x-device").unwrap_or("none");
        connection.respond(200, &fields, device).await;
    });
    let proxy = with(&origin, rule).start().await;
    for (agent, device) in [
        ("Mozilla/5.0 (iPhone)", "mobile"),
        ("Mozilla/5.0 (iPad)", "tablet"),
        ("Mozilla/5.0 (iPhone; other)", "mobile"),
        ("Googlebot", "bot"),
    ] {
        let fields = [("user-agent", agent)];
        assert!(
            twice(&proxy, "/a", &fields).await.is_good(device),
            "{agent}"
        );
    }
    assert_eq!(origin.count("/a"), 3);
    assert_eq!(origin.last().head.fields("x-seen"), ["127.0.0.1"]);
}

#[tokio::test]
async fn a_refresh_replaces_what_is_stored() {
    let origin = Origin::start(async |request, connection| {
        let said = request.nth.to_string();
        connection.respond(200, FRESH, &said).await;
    });
    let rule =
        "[[rule]]\nwhen = '\"x-refresh\" in header && ip == \"127.0.0.1\"'\nrefresh = true\n";
    let proxy = with(&origin, rule).start().await;
    assert!(twice(&proxy, "/a", &[]).await.is_good("1"));
    assert!(
        proxy
            .get_with("/a", &[("x-refresh", "1")])
            .await
            .is_good("2")
    );
    let hit = proxy.get("/a").await;
    assert!(hit.is_hit() && hit.is_good("2"), "{hit:?}");
}

#[tokio::test]
async fn a_rule_has_some_requests_meet_a_limit() {
    let rule = r#"
        [[limit]]
        name = "login"
        rate = "1/h"
        burst = 1
        [[rule]]
        when = 'method == "POST" && path == "/login"'
        limit = ["login"]
    "#;
    let origin = echo();
    let proxy = with(&origin, rule).start().await;
    let post = async |path| {
        proxy
            .send("POST", path, &[("content-length", "0")])
            .await
            .status
    };
    assert_eq!((post("/login").await, post("/login").await), (200, 429));
    assert_eq!((post("/a").await, post("/a").await), (200, 200));
    assert_eq!(proxy.get("/login").await.status, 200);
}

#[tokio::test]
async fn what_is_stored_is_confirmed_with_what_rules_have_made_of_it() {
    let origin = Origin::start(async |request, connection| {
        let fields = [
            ("cache-control", "max-age=0"),
            ("etag", "\"1\""),
            ("x-a", "own"),
        ];
        match request.field("if-none-match") {
            Some(_) => connection.respond(304, &fields, "").await,
            None => connection.respond(200, &fields, "page").await,
        }
    });
    let rule = r#"
        [[rule]]
        when = 'status == 200'
        response = { ttl = "0s", set = { x-a = "rule ${status}" } }
    "#;
    let proxy = with(&origin, rule).start().await;
    for _ in 0..3 {
        let answer = proxy.get("/a").await;
        assert_eq!(answer.field("x-a"), Some("rule 200"), "{answer:?}");
    }
}
