//! A whole hit through the pipeline, without socket and parser: key, route, lookup, verdicts, head,
//! body, record and counters.

use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use copal::body::Body;
use copal::config;
use copal::origin::Registry;
use copal::pipeline::{self, Client, Scheme, Site, SiteHandle};
use copal::store::Store;
use copal::telemetry::Telemetry;
use criterion::{BatchSize, Criterion};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;

use super::messages::{fields, request};

const HEAD: &str = "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\n\
    Content-Length: 1024\r\nETag: \"6560f1c0-400\"\r\nCache-Control: max-age=3600\r\n\
    Vary: Accept-Encoding\r\nConnection: close\r\n\r\n";

/// Ten conditions as sites have them, with two regular expressions: none is true of the request.
const TEN: [&str; 10] = [
    r#"path.startsWith("/wp-admin") || path.startsWith("/cart")"#,
    r#"path.matches("\\.(css|js|png|jpg|gif|svg|woff2)$")"#,
    r#"header["user-agent"].matches("(?i)(badbot|scrapy|crawler)")"#,
    r#"cookie.any("wordpress_logged_in_*", "comment_author_*", "wp-postpass_*")"#,
    r#""preview" in param"#,
    r#"method in ["POST", "PUT", "DELETE"]"#,
    r#"host == "www.shop.example""#,
    r#"ip in ["10.0.0.0/8", "192.168.0.0/16"]"#,
    r#"header["x-requested-with"] == "XMLHttpRequest""#,
    r#""session" in cookie && path.startsWith("/products")"#,
];

pub(crate) fn run(criterion: &mut Criterion) {
    let origin = origin();
    let mut group = criterion.benchmark_group("hit");
    let if_none_match: &[_] = &[("if-none-match", "\"6560f1c0-400\"")];
    let (ten, many) = (
        rules(TEN.map(str::to_owned)),
        rules((0..1_000).map(by_path)),
    );
    for (name, rules, more, status) in [
        ("1KiB", "", &[][..], StatusCode::OK),
        ("not_modified", "", if_none_match, StatusCode::NOT_MODIFIED),
        ("10_rules", &ten, &[], StatusCode::OK),
        ("1000_rules", &many, &[], StatusCode::OK),
    ] {
        let site = site(origin, rules);
        warm(&site);
        let mut headers = request();
        headers.extend(fields(more));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || ask(&headers),
                |request| {
                    let response = at_once(pipeline::serve(site.clone(), client(), request, None));
                    assert_eq!(response.status(), status);
                    read_whole(response);
                },
                // As few as stay in the processor's nearer caches, like a request just parsed.
                BatchSize::NumIterations(32),
            );
        });
    }
    group.finish();
}

/// One of many rules for a host or for paths of their own.
fn by_path(number: usize) -> String {
    match number % 2 {
        0 => format!("host == \"shop-{number}.example\""),
        _ => format!("path.startsWith(\"/section-{number}/\")"),
    }
}

fn rules(conditions: impl IntoIterator<Item = String>) -> String {
    let rule = |it: String| format!("[[rule]]\nwhen = '{it}'\npass = true\n");
    conditions.into_iter().map(rule).collect()
}

/// An origin on a free port that answers each connection once with 1 KiB.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener");
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.expect("a connection"));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let lines = BufReader::new(&stream).lines();
    for line in lines {
        if line.expect("a line of a head").is_empty() {
            break;
        }
    }
    let message = [HEAD.as_bytes(), &[b'x'; 1024]].concat();
    stream.write_all(&message).expect("a client that reads");
}

fn site(origin: SocketAddr, rules: &str) -> SiteHandle {
    let text = format!(
        "listen = [{{ address = '127.0.0.1:0' }}]\nsite = [{{ hosts = ['*'], origin = 'app' }}]\n\
         [origins.app]\nservers = ['http://{origin}']\n{rules}"
    );
    let config = config::parse(&text, "bench").expect("a configuration");
    let telemetry = Telemetry::open(&config.log).expect("no file to open");
    let site = Site::build(
        &config,
        Store::new(&config.store),
        Arc::new(telemetry),
        &Registry::default(),
        None,
    );
    SiteHandle::from(Arc::new(site.expect("a path that can be routed")))
}

/// The one miss. The object is filed by the time its last byte can be read, or soon after.
fn warm(site: &SiteHandle) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let response = pipeline::serve(site.clone(), client(), ask(&request()), None).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.expect("a whole body");
        assert_eq!(body.to_bytes().len(), 1024);
        while is_filling(site).await {
            tokio::task::yield_now().await;
        }
    });
}

/// Whether a request still finds the miss in progress rather than a stored response.
async fn is_filling(site: &SiteHandle) -> bool {
    let response = pipeline::serve(site.clone(), client(), ask(&request()), None).await;
    let status = response.headers().get("cache-status");
    !status.is_some_and(|status| status.as_bytes().starts_with(b"copal; hit"))
}

fn ask(headers: &HeaderMap) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = http::Uri::from_static("/products/4711?colour=blue");
    *request.headers_mut() = headers.clone();
    request
}

fn client() -> Client {
    let address = SocketAddr::from(([127, 0, 0, 1], 40_000));
    let local = SocketAddr::from(([127, 0, 0, 1], 8080));
    Client {
        address,
        local,
        scheme: Scheme::Http,
        session: None,
        proxy: None,
    }
}

/// Drives what waits for nothing, as a hit does, without a runtime's share in the time.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a hit waits for nothing"),
    }
}

/// Reads to the end, where the record is closed and counted.
fn read_whole(response: Response<Body>) {
    let body = at_once(response.into_body().collect());
    assert!(body.is_ok());
}
