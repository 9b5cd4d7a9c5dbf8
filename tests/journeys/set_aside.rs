//! Words of a response that the operator sets aside, one by one: what is stored and served then, what is
//! not all the same, and that each answer says so.

use crate::harness::{FRESH, Origin, Proxy, Response, Setup, answer_old, with_cache};

fn with(lines: &str, origin: &Origin) -> Setup {
    with_cache(lines)(origin)
}

async fn get_by(proxy: &Proxy, token: &str) -> Response {
    let token = format!("Bearer {token}");
    proxy
        .get_with("/package", &[("authorization", &token)])
        .await
}

// --- must-revalidate -----------------------------------------------------------------------------

/// Its first answer is stale from the start, and all others are failures.
fn failing_after(control: &'static str) -> Origin {
    Origin::start(async move |request, connection| match request.nth {
        1 => answer_old(connection, control, "62").await,
        _ => connection.respond(500, &[], "broken").await,
    })
}

#[tokio::test]
async fn must_revalidate_is_obeyed_unless_it_is_set_aside() {
    for control in [
        "max-age=60, must-revalidate",
        "max-age=60, proxy-revalidate",
    ] {
        let origin = failing_after(control);
        let proxy = with("", &origin).start().await;
        assert!(proxy.get("/a").await.is_good("old"));
        assert_eq!(proxy.get("/a").await.status, 500, "{control}");
        let origin = failing_after(control);
        let proxy = with("must_revalidate = \"ignore\"", &origin).start().await;
        let first = proxy.get("/a").await;
        assert!(
            first.is_good("old") && first.says("detail=must-revalidate-ignored"),
            "{first:?}"
        );
        let stale = proxy.get("/a").await;
        assert!(
            stale.says("detail=stale-if-error") && stale.is_good("old"),
            "{control}: {stale:?}"
        );
    }
}

/// Alone: what says more than that is obeyed.
#[tokio::test]
async fn no_other_word_is_set_aside_with_it() {
    for control in [
        "max-age=60, must-revalidate, no-cache",
        "max-age=60, must-revalidate, s-maxage=1",
    ] {
        let origin = failing_after(control);
        let proxy = with("must_revalidate = \"ignore\"", &origin).start().await;
        assert!(proxy.get("/a").await.is_good("old"));
        assert!(!proxy.get("/a").await.is_good("old"), "{control}");
    }
}

// --- Authorization -------------------------------------------------------------------------------

/// As a registry of packages does, whose token says who asks and not what is answered.
#[tokio::test]
async fn answers_to_authorization_are_shared_where_the_operator_says_so() {
    let origin = Origin::answering(200, FRESH, "package");
    let proxy = with("", &origin).start().await;
    for _ in 0..2 {
        let own = get_by(&proxy, "anna").await;
        assert!(
            own.is_good("package") && own.says("detail=authorization"),
            "{own:?}"
        );
    }
    let origin = Origin::answering(200, FRESH, "package");
    let proxy = with("authorization = \"share\"", &origin).start().await;
    let first = get_by(&proxy, "anna").await;
    assert!(
        first.says("stored") && first.says("detail=authorization-by-route"),
        "{first:?}"
    );
    assert_eq!(origin.last().field("authorization"), Some("Bearer anna"));
    let other = get_by(&proxy, "bert").await;
    assert!(
        other.is_hit() && other.says("detail=authorization-by-route"),
        "{other:?}"
    );
    assert!(proxy.get("/package").await.is_hit());
    assert_eq!(origin.requests().len(), 1);
    let explained = proxy
        .admin()
        .await
        .get("/api/v1/explain?url=http%3A%2F%2Fa%2Fa")
        .await
        .text();
    assert!(
        explained.contains("\"authorization\":\"share\""),
        "{explained}"
    );
}

/// Many at once are one request, and a wrong token's refusal is its own.
#[tokio::test]
async fn a_refusal_is_not_shared_and_what_is_private_stays_so() {
    let origin = Origin::start(async |request, connection| {
        let (status, control) = match (&*request.path, request.field("authorization")) {
            ("/private", _) => (200, "private, max-age=60"),
            (_, Some("Bearer wrong")) => (401, ""),
            _ => (200, "max-age=60"),
        };
        connection
            .respond(status, &[("cache-control", control)], "hello")
            .await;
    });
    let proxy = with("authorization = \"share\"", &origin).start().await;
    assert_eq!(get_by(&proxy, "wrong").await.status, 401);
    assert_eq!(get_by(&proxy, "anna").await.status, 200);
    assert!(
        get_by(&proxy, "wrong").await.is_hit(),
        "what is stored is for whoever asks"
    );
    let token = [("authorization", "Bearer anna")];
    for _ in 0..2 {
        let own = proxy.get_with("/private", &token).await;
        assert!(own.says("detail=private") && !own.is_hit(), "{own:?}");
    }
}

// --- Set-Cookie ----------------------------------------------------------------------------------

fn setting_cookies() -> Origin {
    Origin::start(async |request, connection| {
        let control = match &*request.path {
            "/login" => "no-store",
            "/private" => "private, max-age=60",
            "/silent" => "",
            _ => "max-age=60",
        };
        let fields = [
            ("set-cookie", "sid=1"),
            ("set-cookie", "b=2"),
            ("cache-control", control),
        ];
        connection.respond(200, &fields, "hello").await;
    })
}

#[tokio::test]
async fn cookies_are_dropped_from_what_is_stored_and_from_nothing_else() {
    let origin = setting_cookies();
    let proxy = with("set_cookie = \"drop\"\ndefault_ttl = \"1m\"", &origin)
        .start()
        .await;
    for path in ["/page", "/silent"] {
        for is_hit in [false, true] {
            let page = proxy.get(path).await;
            assert_eq!(
                (page.is_hit(), page.field("set-cookie")),
                (is_hit, None),
                "{page:?}"
            );
            assert!(page.says("detail=set-cookie-dropped"), "{page:?}");
        }
    }
    for (method, path) in [("GET", "/login"), ("GET", "/private"), ("POST", "/page")] {
        let own = proxy.send(method, path, &[("content-length", "0")]).await;
        assert_eq!(
            own.field("set-cookie"),
            Some("sid=1"),
            "{method} {path}: {own:?}"
        );
    }
}

/// A 304 may bring one as well.
#[tokio::test]
async fn a_confirmation_brings_no_cookie_into_the_store() {
    let origin = Origin::start(async |request, connection| {
        let fields = [
            ("set-cookie", "sid=1"),
            ("etag", "\"a\""),
            ("cache-control", "max-age=0"),
        ];
        match request.field("if-none-match") {
            Some(_) => connection.respond(304, &fields, "").await,
            None => connection.respond(200, &fields, "hello").await,
        }
    });
    let proxy = with("set_cookie = \"drop\"", &origin).start().await;
    for _ in 0..3 {
        let page = proxy.get("/a").await;
        assert!(
            page.is_good("hello") && page.field("set-cookie").is_none(),
            "{page:?}"
        );
    }
    assert_eq!(
        origin
            .requests()
            .iter()
            .filter(|it| it.field("if-none-match").is_some())
            .count(),
        2
    );
}
