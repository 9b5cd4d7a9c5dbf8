//! Cookies that the origin sees although they are not in the key: then only what says that it is for many
//! is stored, and nobody gets what was made for another. Classes of cookies, and sets of well-known ones.

use crate::harness::{Origin, Proxy, Response, with_cache, within};

/// An application: what a path says of itself, and for whom it answers.
fn application() -> Origin {
    Origin::start(async |request, connection| {
        let user = request.field("cookie").unwrap_or("nobody").to_owned();
        let control = match request.path.split(['/', '?']).nth(1).unwrap_or_default() {
            "public" => "public, max-age=60",
            "shared" => "s-maxage=60",
            "plain" | "form" => "max-age=60",
            _ => "private, max-age=60",
        };
        let mut fields = vec![("cache-control", control)];
        if request.path.ends_with("set") {
            fields.push(("set-cookie", "sid=new"));
        }
        if request.path.ends_with("cdn") {
            fields.push(("cdn-cache-control", "max-age=60"));
        }
        if request.method == "POST" {
            fields.push(("content-location", &request.path));
        }
        connection.respond(200, &fields, &user).await;
    })
}

async fn before(lines: &str) -> (Origin, Proxy) {
    let origin = application();
    let proxy = with_cache(lines)(&origin).start().await;
    (origin, proxy)
}

async fn get(proxy: &Proxy, path: &str, cookie: &str) -> Response {
    match cookie {
        "" => proxy.get(path).await,
        cookie => proxy.get_with(path, &[("cookie", cookie)]).await,
    }
}

const FORWARD: &str = "cookies = \"forward\"";

#[tokio::test]
async fn what_says_that_it_is_for_many_is_shared_whatever_cookies_came() {
    let (origin, proxy) = before(FORWARD).await;
    for path in ["/public", "/shared", "/plain/cdn"] {
        let first = get(&proxy, path, "sid=anna").await;
        assert!(
            first.is_good("sid=anna") && !first.is_hit(),
            "{path}: {first:?}"
        );
        for cookie in ["", "sid=bert", "_ga=1"] {
            let next = get(&proxy, path, cookie).await;
            assert!(
                next.is_hit() && next.is_good("sid=anna"),
                "{path} {cookie}: {next:?}"
            );
        }
        assert_eq!(origin.count(path), 1);
    }
}

#[tokio::test]
async fn all_else_is_each_ones_own() {
    let (_origin, proxy) = before(FORWARD).await;
    for (path, why) in [
        ("/plain", "not-public"),
        ("/private", "private"),
        ("/public/set", "set-cookie"),
        ("/shared/set", "set-cookie"),
    ] {
        for cookie in ["sid=anna", "", "sid=bert", "sid=anna"] {
            let own = if cookie.is_empty() { "nobody" } else { cookie };
            let answer = get(&proxy, path, cookie).await;
            assert!(
                answer.is_good(own) && !answer.is_hit(),
                "{path} {cookie}: {answer:?}"
            );
            assert!(answer.says(&format!("detail={why}")), "{path}: {answer:?}");
        }
    }
    let explained = proxy
        .admin()
        .await
        .get("/api/v1/explain?url=http%3A%2F%2Fa%2F")
        .await
        .text();
    assert!(explained.contains("\"cookies\":\"forward\""), "{explained}");
}

/// A lifetime of the operator's says nothing of whom an answer is for.
#[tokio::test]
async fn a_ttl_makes_nothing_public() {
    let (_origin, proxy) = before(&format!("{FORWARD}\nttl = \"1h\"")).await;
    assert!(get(&proxy, "/plain", "sid=anna").await.is_good("sid=anna"));
    assert!(get(&proxy, "/plain", "sid=bert").await.is_good("sid=bert"));
}

/// RFC 9110 §9.3.3: the answer to a POST may be stored as its page's, but not where it is one client's.
#[tokio::test]
async fn an_answer_to_a_post_is_no_exception() {
    let (_origin, proxy) = before(FORWARD).await;
    let cookie = [("cookie", "sid=anna"), ("content-length", "0")];
    assert!(
        proxy
            .send("POST", "/form", &cookie)
            .await
            .is_good("sid=anna")
    );
    let next = get(&proxy, "/form", "sid=bert").await;
    assert!(next.is_good("sid=bert") && !next.is_hit(), "{next:?}");
}

#[tokio::test]
async fn four_clients_at_once_never_get_one_anothers_pages() {
    let (_origin, proxy) = before(FORWARD).await;
    let clients = ["sid=anna", "sid=bert", "sid=carl", "sid=dora"].map(|user| {
        let proxy = &proxy;
        async move {
            let mut client = proxy.client().await;
            for number in 0..250 {
                let path = ["/plain", "/private", "/public", "/public/set"][number % 4];
                let target = format!("{path}?{}", number % 7);
                let target = if path.ends_with("set") { path } else { &target };
                let answer = client.get_with(target, &[("cookie", user)]).await;
                let is_own = answer.is_good(user);
                assert!(is_own || path == "/public", "{user} {target}: {answer:?}");
            }
        }
    });
    let [a, b, c, d] = clients;
    within("a thousand requests", async { tokio::join!(a, b, c, d) }).await;
}

// --- classes -------------------------------------------------------------------------------------

const CLASSES: &str = "cookies = { ignore = [\"@analytics\"] }\n\
                       key = { cookie_classes = { logged-in = [\"*_session\", \"token\"] } }";

#[tokio::test]
async fn a_session_is_folded_to_its_class_and_the_origin_sees_it_whole() {
    let (origin, proxy) = before(CLASSES).await;
    // Without a session as ever: what says nothing more is shared.
    assert!(get(&proxy, "/plain", "_ga=1").await.is_good("nobody"));
    assert!(get(&proxy, "/plain", "").await.is_hit());
    // With one, what is not said to be for many is somebody's own, and no reason to ask anew for others.
    for user in ["a_session=anna", "token=bert", "a_session=anna"] {
        let own = get(&proxy, "/plain", user).await;
        assert!(
            own.is_good(user) && own.says("detail=not-public"),
            "{own:?}"
        );
        assert!(get(&proxy, "/plain", "").await.is_hit());
    }
    // What is for many is for all of the class, and for nobody else.
    let first = get(&proxy, "/public", "a_session=anna; _ga=2").await;
    assert!(first.is_good("a_session=anna"), "{first:?}");
    assert!(get(&proxy, "/public", "token=bert").await.is_hit());
    assert!(get(&proxy, "/public", "").await.is_good("nobody"));
    assert_eq!(origin.count("/public"), 2);
    // Any other cookie passes.
    let other = get(&proxy, "/public", "token=bert; cart=1").await;
    assert!(other.says("detail=cookie"), "{other:?}");
}

// --- sets ----------------------------------------------------------------------------------------

#[tokio::test]
async fn sessions_of_frameworks_pass_and_analytics_do_not() {
    let (_origin, proxy) = before("cookies = { pass = [\"@sessions\"] }").await;
    assert!(
        get(&proxy, "/plain", "_ga=1; theme=dark")
            .await
            .is_good("nobody")
    );
    for cookie in [
        "sessionid=1",
        "csrftoken=1",
        "_shop_session=1",
        "laravel_session=1",
        "XSRF-TOKEN=1",
        "PHPSESSID=1",
        "JSESSIONID=1",
        "wordpress_logged_in_0a=1",
        "SSESS0a=1",
        "connect.sid=1",
    ] {
        let passed = get(&proxy, "/plain", cookie).await;
        assert!(
            passed.says("detail=cookie") && passed.is_good(cookie),
            "{cookie}: {passed:?}"
        );
    }
    for cookie in ["_ga_AB=1; _fbp=2", "theme=dark", ""] {
        assert!(get(&proxy, "/plain", cookie).await.is_hit(), "{cookie}");
    }
}
