//! What one spelling of a path brings, and whom else it serves.

use crate::harness::{Fields, Origin, Proxy};

const FRESH: Fields = &[("cache-control", "max-age=60")];

/// An origin that knows paths in normal form alone, and tells which it was asked for.
fn exact() -> Origin {
    Origin::start(async |request, connection| {
        let is_known = matches!(&*request.path, "/a/b" | "/c");
        let status = if is_known { 200 } else { 404 };
        let fields = [("cache-control", "max-age=60"), ("x-asked", &*request.path)];
        connection.respond(status, &fields, "").await;
    })
}

#[tokio::test]
async fn no_spelling_poisons_another() {
    let origin = exact();
    let proxy = Proxy::start(&origin).await;
    let odd = ["/%61/b", "/x/../a/b", "/a//b", "//a/b"];
    for path in odd {
        assert_eq!(proxy.get(path).await.status, 404, "{path}");
    }
    let good = proxy.get("/a/b").await;
    assert_eq!((good.status, good.is_hit()), (200, false));
    // A path with empty segments may be another page, so it keeps its own answer.
    for (path, status) in [("/a//b", 404), ("//a/b", 404), ("/a/b", 200)] {
        let again = proxy.get(path).await;
        assert_eq!((again.status, again.is_hit()), (status, true), "{path}");
    }
    // What RFC 3986 calls equivalent is served by what is stored for the normal form.
    for path in ["/%61/b", "/x/../a/b"] {
        let again = proxy.get(path).await;
        assert_eq!((again.status, again.is_hit()), (200, true), "{path}");
    }
    assert_eq!(origin.requests().len(), odd.len() + 1);
}

#[tokio::test]
async fn strict_makes_all_spellings_one() {
    let origin = exact();
    let server = "path_form = \"strict\"";
    let proxy = Proxy::before(&origin).table("server", server).start().await;
    for (nth, path) in ["/%61//./b", "/a/b", "//a/b"].into_iter().enumerate() {
        let response = proxy.get(path).await;
        assert_eq!(
            (response.status, response.is_hit()),
            (200, nth > 0),
            "{path}"
        );
    }
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn an_odd_spelling_is_no_way_to_push_pages_out() {
    let origin = Origin::answering(200, FRESH, "hello");
    let store = "variants_max = 2";
    let proxy = Proxy::before(&origin).table("store", store).start().await;
    proxy.get("/a/b").await;
    for slashes in 2..8 {
        proxy.get(&format!("/a{}b", "/".repeat(slashes))).await;
    }
    assert!(proxy.get("/a/b").await.is_hit());
    let purged = proxy
        .purge("{\"prefix\":\"http://example.test/%61//\"}")
        .await;
    assert_eq!(purged.status, 200);
    for path in ["/a/b", "/a///////b"] {
        assert!(!proxy.get(path).await.is_hit(), "{path}");
    }
}

#[tokio::test]
async fn what_is_changed_by_one_spelling_is_forgotten_by_all() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    for path in ["/a/b", "/a//b"] {
        proxy.get(path).await;
        assert!(proxy.get(path).await.is_hit(), "{path}");
    }
    proxy.send("DELETE", "/x/../%61/b", &[]).await;
    for path in ["/a/b", "/a//b"] {
        assert!(!proxy.get(path).await.is_hit(), "{path}");
    }
}

#[tokio::test]
async fn an_explanation_sees_the_normal_form() {
    let origin = Origin::answering(200, FRESH, "hello");
    let site = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n\
                [[site.route]]\npath = \"/strict/*\"\npath_form = \"strict\"\n";
    let proxy = Proxy::before(&origin).sites(site).start().await;
    proxy.get("/a//b").await;
    let explain = async |path: &str| {
        let path = format!("/api/v1/explain?url=http://example.test{path}");
        let answer = proxy.admin().await.get(&path).await;
        serde_json::from_slice::<serde_json::Value>(&answer.body).expect("JSON")
    };
    let odd = explain("/a//b").await;
    assert_eq!(odd["key"], "http://example.test/a/b", "{odd}");
    assert_eq!(odd["next"]["outcome"], "hit", "{odd}");
    assert_eq!(odd["variants"][0]["key_parts"], "/a//b", "{odd}");
    assert_eq!(explain("/a/b").await["next"]["outcome"], "miss");
    let refused = explain("/strict/%252f").await;
    let why = refused["next"]["why"].as_str().expect("a sentence");
    assert!(why.contains("encoded-slash"), "{refused}");
}
