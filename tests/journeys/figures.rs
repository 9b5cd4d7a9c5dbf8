//! What a scraper is given: two formats, the figures that every Prometheus user knows, and capacities
//! beside what is in use.

use std::collections::BTreeSet;

use crate::harness::{FRESH, NO_STORE, Origin, Proxy};

const METRICS: &str = "/metrics";

#[tokio::test]
async fn a_scraper_gets_the_format_that_it_asks_for() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    for (accept, kind, counter, ends) in [
        (
            "*/*",
            "text/plain; version=0.0.4",
            "copal_requests_total",
            false,
        ),
        (
            "text/plain;version=0.0.4",
            "text/plain; version=0.0.4",
            "copal_requests_total",
            false,
        ),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2",
            "application/openmetrics-text; version=1.0.0",
            "copal_requests",
            true,
        ),
    ] {
        let mut admin = proxy.admin().await;
        let answer = admin.get_with(METRICS, &[("accept", accept)]).await;
        let told = answer.field("content-type").unwrap_or_default();
        assert!(told.starts_with(kind), "{accept}: {told}");
        let text = answer.text();
        let announced = format!("# TYPE {counter} counter\n");
        assert!(text.contains(&announced), "{accept}: {text}");
        assert_eq!(text.ends_with("# EOF\n"), ends, "{accept}");
        assert!(text.contains("\ncopal_requests_total{"), "{accept}");
    }
}

#[tokio::test]
async fn the_process_is_told_as_by_every_other() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    let metrics = proxy.metrics().await;
    let figure = |name: &str| {
        *metrics
            .get(name)
            .unwrap_or_else(|| panic!("{name}: {metrics:?}"))
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs_f64();
    let started = figure("process_start_time_seconds");
    assert!((now - started).abs() < 60.0, "{started} {now}");
    let resident = figure("process_resident_memory_bytes");
    let by_kernel = proxy.rss_bytes() as f64;
    assert!(
        resident > by_kernel / 2.0 && resident < by_kernel * 2.0,
        "{resident} {by_kernel}"
    );
    assert!(figure("process_virtual_memory_bytes") > resident);
    assert!(figure("process_cpu_seconds_total") >= 0.0);
    let (open, max) = (figure("process_open_fds"), figure("process_max_fds"));
    assert!(open > 3.0 && open < max, "{open} {max}");
    let build = metrics
        .keys()
        .find(|it| it.starts_with("copal_build_info{"));
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(build.is_some_and(|it| it.contains(&version)), "{build:?}");
}

#[tokio::test]
async fn capacities_stand_beside_what_is_in_use() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::before(&origin)
        .table("server", "connections_max = 123")
        .table("store", "memory = \"8MiB\"\nfill_memory = \"3MiB\"")
        .table("origins.main", "connections_max = 45\npending_max = 67")
        .start()
        .await;
    for (name, expected) in [
        ("copal_connections_max", 123.0),
        ("copal_store_bytes_max", 8.0 * 1024.0 * 1024.0),
        ("copal_fill_bytes_max", 3.0 * 1024.0 * 1024.0),
        ("copal_origin_connections_max", 45.0),
        ("copal_origin_pending_max", 67.0),
    ] {
        assert_eq!(proxy.metric(name, "").await, expected, "{name}");
    }
}

#[tokio::test]
async fn how_long_an_origin_takes_is_a_distribution_and_hits_are_no_part_of_it() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    for _ in 0..3 {
        assert!(proxy.get("/a").await.is_good("hello"));
    }
    let name = |it: &str| format!("copal_origin_duration_seconds_{it}");
    assert_eq!(proxy.metric(&name("count"), "origin=\"main\"").await, 1.0);
    assert_eq!(proxy.metric(&name("bucket"), "le=\"+Inf\"").await, 1.0);
    assert!(proxy.metric(&name("sum"), "main").await > 0.0);
    assert!(proxy.metric("copal_origin_latency_seconds", "main").await > 0.0);
}

#[tokio::test]
async fn the_last_reload_is_told() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    let good = "copal_config_last_reload_successful";
    let since = "copal_config_last_reload_success_timestamp_seconds";
    let first = proxy.metric(since, "").await;
    assert!(first > 1.7e9, "{first}");
    assert_eq!(proxy.metric(good, "").await, 1.0);
    proxy.configure(&Proxy::before(&origin).sites("[[site]]\nhosts = 1\n"));
    let mut admin = proxy.admin().await;
    assert_eq!(
        admin.send_body("POST", "/api/v1/reload", "").await.status,
        422
    );
    assert_eq!(proxy.metric(good, "").await, 0.0);
    assert_eq!(proxy.metric(since, "").await, first);
    proxy.reload(&Proxy::before(&origin)).await;
    assert_eq!(proxy.metric(good, "").await, 1.0);
    assert!(proxy.metric(since, "").await > first);
}

/// Its label is a host of the configuration, never one that a client has made up.
#[tokio::test]
async fn requests_are_counted_by_site() {
    let origin = Origin::answering(200, NO_STORE, "hello");
    let sites = "[[site]]\nhosts = [\"shop.test\", \"www.shop.test\"]\norigin = \"main\"\n\
                 [[site]]\nhosts = [\"*.blog.test\"]\norigin = \"main\"\n";
    let proxy = Proxy::before(&origin).sites(sites).start().await;
    for host in ["shop.test", "www.shop.test", "a.blog.test", "nobody.test"] {
        proxy.client().await.asking_for(host).get("/a").await;
    }
    let name = "copal_site_requests_total";
    for (site, expected) in [("shop.test", 2.0), ("*.blog.test", 1.0), ("none", 1.0)] {
        let label = format!("site=\"{site}\"");
        let counted = async || proxy.metric(name, &label).await == expected;
        crate::harness::eventually(&label, counted).await;
    }
    assert_eq!(proxy.metric(name, "").await, 4.0);
    proxy.reload(&Proxy::before(&origin).sites(sites)).await;
    assert_eq!(
        proxy.metric(name, "").await,
        4.0,
        "a reload forgets nothing"
    );
}

/// What is scraped and what is told of it are one list.
#[tokio::test]
async fn every_metric_is_in_the_docs_and_every_metric_of_the_docs_is_there() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::start(&origin).await;
    let text = proxy.admin().await.get(METRICS).await.text();
    let announced: BTreeSet<&str> = text
        .lines()
        .filter_map(|it| it.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let docs = include_str!("../../docs/admin.md");
    let told: BTreeSet<&str> = docs
        .lines()
        .filter_map(|it| it.strip_prefix("| `")?.split('`').next())
        .filter(|it| it.starts_with("copal_") || it.starts_with("process_"))
        .collect();
    assert_eq!(announced, told);
}
