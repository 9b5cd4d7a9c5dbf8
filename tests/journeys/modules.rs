//! Purges as the modules of content management systems send them today, each with the setting that
//! docs/migrate.md has for it.

use crate::harness::{Fields, Origin, Proxy, Response};

/// Pages whose tags stand in the field that is asked for as `/path?FIELD=TAGS`.
fn tagging() -> Origin {
    Origin::start(async |request, connection| {
        let query = request.path.split_once('?').map_or("", |it| it.1);
        let mut fields = vec![("cache-control", "max-age=60".to_owned())];
        for pair in query.split('&') {
            if let Some((name, value)) = pair.split_once('=') {
                fields.push((name, value.replace("%20", " ")));
            }
        }
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        connection
            .respond(200, &fields, request.nth.to_string())
            .await;
    })
}

async fn proxy_with(origin: &Origin, cache: &str) -> Proxy {
    let setup = Proxy::before(origin).table("server", "purge_from = [\"127.0.0.1\"]");
    setup.table("cache", cache).start().await
}

/// A request, and which of the pages it purges.
type Row<'a> = (&'a str, &'a str, Fields<'a>, &'a [usize]);

/// Sends each request after all pages have been stored.
async fn tell(proxy: &Proxy, pages: &[&str], rows: &[Row<'_>]) {
    for (method, target, fields, met) in rows {
        for page in pages {
            proxy.get(page).await;
            assert!(proxy.get(page).await.is_hit(), "{page}");
        }
        let answer: Response = proxy.send(method, target, fields).await;
        assert_eq!(answer.status, 200, "{method} {target}: {answer:?}");
        for (index, page) in pages.iter().enumerate() {
            let next = proxy.get(page).await;
            assert_eq!(
                next.is_hit(),
                !met.contains(&index),
                "{method} {target} {fields:?}, {page}: {next:?}"
            );
        }
    }
}

#[tokio::test]
async fn wordpress_with_proxy_cache_purge() {
    let origin = tagging();
    let proxy = proxy_with(&origin, "").await;
    let pages = [
        "/",
        "/blog/",
        "/blog/post/",
        "/page?x-cache-tags=site-1,p-12,home",
        "/other?x-cache-tags=site-1,p-3",
    ];
    tell(
        &proxy,
        &pages,
        &[
            ("PURGE", "/blog/", &[("x-purge-method", "default")], &[1]),
            ("PURGE", "/blog/", &[("x-purge-method", "exact")], &[1]),
            (
                "PURGE",
                "/.*",
                &[("x-purge-method", "regex")],
                &[0, 1, 2, 3, 4],
            ),
            ("PURGE", "/blog/.*", &[("x-purge-method", "regex")], &[1, 2]),
            (
                "PURGE",
                "/.*",
                &[
                    ("host", "127.0.0.1"),
                    ("x-purge-method", "regex"),
                    ("x-purge-host", "example.test"),
                ],
                &[0, 1, 2, 3, 4],
            ),
            (
                "PURGE",
                "/",
                &[
                    ("x-purge-method", "tags"),
                    ("x-cache-tags-pattern", "(^|,)(p-12|feed)(,|$)"),
                ],
                &[3],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn magento_2() {
    let origin = tagging();
    let proxy = proxy_with(&origin, "").await;
    let pages = [
        "/a.html?x-magento-tags=cat_p_1,cat_p,store",
        "/b.html?x-magento-tags=cat_p_12,cat_p,store",
        "/c.html?x-magento-tags=cms_p_1,store",
    ];
    // It is sent to the cache by its address.
    let here = ("host", "127.0.0.1");
    tell(
        &proxy,
        &pages,
        &[
            (
                "PURGE",
                "/",
                &[
                    here,
                    (
                        "x-magento-tags-pattern",
                        "((^|,)cat_p_1(,|$))|((^|,)cms_p_1(,|$))",
                    ),
                ],
                &[0, 2],
            ),
            (
                "PURGE",
                "/",
                &[here, ("x-magento-tags-pattern", "((^|,)cat_p(,|$))")],
                &[0, 1],
            ),
            (
                "PURGE",
                "/",
                &[here, ("x-magento-tags-pattern", ".*")],
                &[0, 1, 2],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn drupal_with_purge_and_its_varnish_purger() {
    let origin = tagging();
    let proxy = proxy_with(&origin, "").await;
    let pages = [
        "/node/1?cache-tags=node:1%20node_list%20http_response",
        "/node/11?cache-tags=node:11%20http_response",
        "/projects/x",
    ];
    tell(
        &proxy,
        &pages,
        &[
            ("BAN", "/", &[("cache-tags", "node:1")], &[0]),
            ("BAN", "/", &[("cache-tags", "node:1|node:11")], &[0, 1]),
            ("BAN", "/", &[("cache-tags", "node_list node:11")], &[0, 1]),
            ("BAN", "/.*projects.*", &[], &[2]),
            ("PURGE", "/projects/x", &[], &[2]),
        ],
    )
    .await;
}

#[tokio::test]
async fn typo3_with_its_varnish_extension() {
    let origin = tagging();
    let proxy = proxy_with(&origin, "").await;
    let pages = [
        "/a?typo3-pid=12&typo3-sitename=f0a1",
        "/b?typo3-pid=1&typo3-sitename=f0a1",
        "/c?typo3-pid=12&typo3-sitename=beef",
        "/d?xkey=news_1",
    ];
    let site = ("varnish-ban-typo3-sitename", "f0a1");
    tell(
        &proxy,
        &pages,
        &[
            ("BAN", "/", &[site, ("varnish-ban-typo3-pid", "12")], &[0]),
            ("BAN", "/", &[site, ("varnish-ban-all", "1")], &[0, 1]),
            ("BAN", "/", &[("varnish-ban-all", "1")], &[0, 1, 2, 3]),
            ("BAN", "/", &[site, ("xkey-purge", "news_1")], &[3]),
        ],
    )
    .await;
}

#[tokio::test]
async fn symfony_with_foshttpcache() {
    let origin = tagging();
    let proxy = proxy_with(&origin, "").await;
    let pages = [
        "/blog/a?x-cache-tags=post-1,posts",
        "/blog/b?x-cache-tags=post-2,posts",
        "/img?content-type=image/png",
        "/keyed?xkey=c52%20l2",
    ];
    let any = [("x-host", ".*"), ("x-url", ".*"), ("x-content-type", ".*")];
    let [host, url, kind] = any;
    tell(
        &proxy,
        &pages,
        &[
            ("PURGE", "/img?content-type=image/png", &[], &[2]),
            ("BAN", "/", &[host, ("x-url", "^/blog/"), kind], &[0, 1]),
            (
                "BAN",
                "/",
                &[("x-host", "^(example.test)$"), ("x-url", "/b\\?"), kind],
                &[1],
            ),
            (
                "BAN",
                "/",
                &[host, url, ("x-content-type", "image/png")],
                &[2],
            ),
            (
                "BAN",
                "/",
                &[
                    host,
                    url,
                    kind,
                    ("x-cache-tags", "(^|,)(post\\-1|none)(,|$)"),
                ],
                &[0],
            ),
            ("BAN", "/", &any, &[0, 1, 2, 3]),
            ("PURGEKEYS", "/", &[("xkey-purge", "l2 none")], &[3]),
            ("PURGEKEYS", "/", &[("xkey-softpurge", "c52")], &[3]),
            ("PURGETAGS", "/", &[("x-cache-tags", "posts")], &[0, 1]),
        ],
    )
    .await;
}

/// Its refresh is a GET that takes nothing stored.
#[tokio::test]
async fn symfony_with_foshttpcache_refreshes() {
    let origin = tagging();
    let proxy = proxy_with(&origin, "request_directives = \"obey\"").await;
    proxy.get("/a").await;
    let refreshed = proxy.get_with("/a", &[("cache-control", "no-cache")]).await;
    assert!(refreshed.is_good("2"), "{refreshed:?}");
    let next = proxy.get("/a").await;
    assert!(next.is_good("2") && next.is_hit(), "{next:?}");
}

#[tokio::test]
async fn api_platform() {
    let origin = tagging();
    let proxy = proxy_with(&origin, "").await;
    let pages = [
        "/foos?cache-tags=/foos,/foos/1",
        "/foos/1?cache-tags=/foos/1",
        "/foos/11?cache-tags=/foos/11",
    ];
    let ban = ("apiplatform-ban-regex", "(^|\\,)/foos/1($|\\,)");
    tell(&proxy, &pages, &[("BAN", "/", &[ban], &[0, 1])]).await;
}

/// By absolute URLs, as through a proxy.
#[tokio::test]
async fn mediawiki() {
    let origin = tagging();
    let proxy = proxy_with(&origin, "").await;
    let pages = ["/wiki/Foo", "/wiki/Foo?action=history", "/wiki/Bar"];
    tell(
        &proxy,
        &pages,
        &[
            (
                "PURGE",
                "http://example.test/wiki/Foo",
                &[("proxy-connection", "Keep-Alive")],
                &[0],
            ),
            ("PURGE", "/wiki/Foo?action=history", &[], &[1]),
        ],
    )
    .await;
}

#[tokio::test]
async fn fastly_modules_purge_softly() {
    let origin = tagging();
    let proxy = proxy_with(&origin, "").await;
    let pages = ["/a?surrogate-key=one%20two", "/b?surrogate-key=two"];
    tell(
        &proxy,
        &pages,
        &[
            ("PURGE", "/", &[("surrogate-key", "one")], &[0]),
            (
                "PURGE",
                "/",
                &[("surrogate-key", "two"), ("fastly-soft-purge", "1")],
                &[0, 1],
            ),
        ],
    )
    .await;
}
