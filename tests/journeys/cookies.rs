//! Cookies and the cache: which of them make a request somebody's own, which do not count, and what
//! the origin gets to see. Cookies as parts of the key are in `keys.rs`.

use crate::harness::{Origin, Proxy, Response, with_cache};

/// Cookies as sites have them that run WordPress and count their visitors.
const ANALYTICS: &str = "_ga=GA1.1.1; _ga_X1Y2=GS1; wordpress_test_cookie=WP; wp-settings-1=x";
const LOGIN: &str = "wordpress_logged_in_0a1b=anna";

/// An origin that answers with the Cookie it was sent, and a proxy with these rules before it.
async fn with_rules(lines: &str) -> (Origin, Proxy) {
    let origin = Origin::start(async |request, connection| {
        let fields = [("cache-control", "max-age=60")];
        connection
            .respond(200, &fields, request.field("cookie").unwrap_or("none"))
            .await;
    });
    let proxy = with_cache(lines)(&origin).start().await;
    (origin, proxy)
}

async fn get(proxy: &Proxy, cookie: &str) -> Response {
    proxy.get_with("/a", &[("cookie", cookie)]).await
}

/// Asks first with cookies that do not count, then with each of those that pass, and then again.
async fn assert_told_apart(lines: &str, passing: &[&str], ignored: &[&str]) {
    let (_origin, proxy) = with_rules(lines).await;
    let first = get(&proxy, ignored[0]).await;
    assert!(first.is_good("none") && !first.is_hit(), "{first:?}");
    for cookie in passing {
        let passed = get(&proxy, cookie).await;
        assert!(passed.is_good(cookie), "{lines}: {cookie}: {passed:?}");
        assert!(passed.says("detail=cookie"), "{passed:?}");
    }
    for cookie in ignored {
        let hit = get(&proxy, cookie).await;
        assert!(hit.is_hit() && hit.is_good("none"), "{cookie}: {hit:?}");
    }
    assert!(proxy.get("/a").await.is_hit());
}

#[tokio::test]
async fn cookies_that_do_not_count_are_no_reason_to_pass() {
    let lines = "cookies = { ignore = [\"_ga*\", \"_gid\"] }";
    let passing = ["sid=1", "_ga=1; sid=1", "_gid2=1", "_GA=1", "a_ga=1", "_ga"];
    let ignored = ["_ga=1", "_ga_X=1; _gid=2", "_gid=", "_ga.b=\"1\""];
    assert_told_apart(lines, &passing, &ignored).await;
}

#[tokio::test]
async fn cookies_that_are_listed_to_pass_pass_and_no_others() {
    let lines = "cookies = { pass = [\"wordpress_logged_in_*\", \"wp-postpass_*\", \"*_cart\"] }";
    let both = format!("{ANALYTICS}; {LOGIN}");
    let passing = [LOGIN, &both, "wp-postpass_0a1b=x", "my_cart=2"];
    let ignored = [ANALYTICS, "wordpress_logged_in=1", "my_carts=1"];
    assert_told_apart(lines, &passing, &ignored).await;
}

#[tokio::test]
async fn one_list_makes_exceptions_from_the_other() {
    let lines = "cookies = { ignore = [\"wp-*\", \"_ga\"], pass = [\"wp-postpass_*\"] }";
    let passing = ["wp-postpass_1=x", "_ga=1; wp-postpass_1=x", "other=1"];
    assert_told_apart(lines, &passing, &["wp-settings-1=x; _ga=1"]).await;
}

/// A cookie of the key that is listed to pass does that.
#[tokio::test]
async fn a_glob_in_the_key_takes_cookies_whose_names_have_a_hash() {
    let lines =
        "cookies = { pass = [\"plan_secret\"] }\nkey = { cookies = [\"plan_*\", \"lang\"] }";
    let (origin, proxy) = with_rules(lines).await;
    let first = get(&proxy, "plan_1a=gold; _ga=1; lang=de; plan_0b=x").await;
    assert!(
        first.is_good("lang=de; plan_0b=x; plan_1a=gold"),
        "{first:?}"
    );
    let reordered = get(&proxy, "lang=de; plan_0b=x; plan_1a=gold; _ga=2").await;
    assert!(reordered.is_hit(), "{reordered:?}");
    for other in ["plan_1a=gold", "plan_1b=gold; lang=de; plan_0b=x", "plan=1"] {
        assert!(!get(&proxy, other).await.is_hit(), "{other}");
    }
    let passed = get(&proxy, "plan_secret=1; lang=de").await;
    assert!(passed.says("detail=cookie"), "{passed:?}");
    assert_eq!(origin.count("/a"), 5);
}

#[tokio::test]
async fn a_route_has_lists_of_its_own() {
    let origin = Origin::start(async |_, connection| {
        let fields = [("cache-control", "max-age=60")];
        connection.respond(200, &fields, "a").await;
    });
    let sites = r#"
        [[site]]
        hosts = ["*"]
        origin = "main"
        [[site.route]]
        path = "/files/*"
        origin = "main"
        cache = { cookies = "ignore" }
    "#;
    let setup = with_cache("cookies = { ignore = [\"_ga\"] }")(&origin);
    let proxy = setup.sites(sites).start().await;
    for (path, cookie, hit) in [
        ("/a", "_ga=1", true),
        ("/a", "sid=1", false),
        ("/files/a", "sid=1", true),
    ] {
        proxy.get(path).await;
        let response = proxy.get_with(path, &[("cookie", cookie)]).await;
        assert_eq!(response.is_hit(), hit, "{path} {cookie}: {response:?}");
    }
}

/// What the first of a herd is told must be for all who wait, so that nobody waits with a login.
#[tokio::test]
async fn an_answer_to_a_login_is_never_stored() {
    let (origin, proxy) = with_rules("cookies = { pass = [\"wordpress_logged_in_*\"] }").await;
    let own = get(&proxy, LOGIN).await;
    assert!(own.is_good(LOGIN), "{own:?}");
    let first = get(&proxy, ANALYTICS).await;
    assert!(first.is_good("none") && !first.is_hit(), "{first:?}");
    assert_eq!(origin.count("/a"), 2);
}
