//! Servers that go down and come back: seen by probes, by clients' requests, or told by the operator.

mod operator;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::harness::{Gate, NO_STORE, Origin, Proxy, Reserved, Setup, eventually};

const PROBES: &str = "health = { path = \"/health\", interval = \"50ms\", timeout = \"500ms\" }";
const NO_EJECTION: &str = "ejection = { enabled = false }";

/// A server whose health and answers the test commands.
#[derive(Clone)]
struct Server {
    probe: Arc<AtomicU16>,
    answer: Arc<AtomicU16>,
    answered: Arc<AtomicUsize>,
}

/// Resets the connection in place of an answer.
const RESET: u16 = 0;

impl Server {
    fn new() -> Self {
        Self {
            probe: Arc::new(AtomicU16::new(200)),
            answer: Arc::new(AtomicU16::new(200)),
            answered: Arc::default(),
        }
    }

    fn start(&self, name: &'static str) -> Origin {
        self.start_on(Reserved::new(), name)
    }

    fn start_on(&self, port: Reserved, name: &'static str) -> Origin {
        let server = self.clone();
        port.start(async move |request, connection| {
            let is_probe = request.path == "/health";
            let status = if is_probe {
                &server.probe
            } else {
                &server.answer
            };
            match status.load(Ordering::Relaxed) {
                RESET => connection.reset(),
                status => {
                    if !is_probe {
                        server.answered.fetch_add(1, Ordering::Relaxed);
                    }
                    connection.respond(status, NO_STORE, name).await;
                }
            }
        })
    }

    fn probed(&self, status: u16) {
        self.probe.store(status, Ordering::Relaxed);
    }

    fn answers(&self, status: u16) {
        self.answer.store(status, Ordering::Relaxed);
    }

    /// Requests answered since the last call, probes aside.
    fn answered(&self) -> usize {
        self.answered.swap(0, Ordering::Relaxed)
    }
}

fn pool(servers: &[&Origin], lines: &[&str]) -> Setup {
    Proxy::before_each(servers, &lines.join("\n"))
}

/// What the admin endpoint says of a server.
async fn told(proxy: &Proxy, server: &Origin) -> Value {
    let answer = proxy.admin().await.get("/api/v1/origins").await;
    let json: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let servers = json["pool"]["servers"].as_array().expect("a list").clone();
    let name = server.address().to_string();
    let found = servers.into_iter().find(|it| it["server"] == *name);
    found.expect("a server of the pool")
}

async fn until_up(proxy: &Proxy, server: &Origin, up: bool) {
    let what = format!("{} to be up: {up}", server.address());
    eventually(&what, async || told(proxy, server).await["up"] == up).await;
}

/// Sets the state or the weight of a server; the status of the answer.
async fn put(proxy: &Proxy, server: &Origin, json: &str) -> u16 {
    let path = format!("/api/v1/origins/pool/servers/{}", server.address());
    proxy
        .admin()
        .await
        .send_body("PUT", &path, json)
        .await
        .status
}

/// So many requests; how many were answered with 200.
async fn good(proxy: &Proxy, count: usize) -> usize {
    let (mut client, mut good) = (proxy.client().await, 0);
    for number in 0..count {
        let response = client.get(&format!("/{number}")).await;
        good += usize::from(response.status == 200);
    }
    good
}

// --- probes --------------------------------------------------------------------------------------

#[tokio::test]
async fn a_server_that_fails_its_probes_is_not_asked_until_they_succeed() {
    let (one, two) = (Server::new(), Server::new());
    let (a, b) = (one.start("a"), two.start("b"));
    let balance = "balance = \"round-robin\"";
    let proxy = pool(&[&a, &b], &[PROBES, balance]).start().await;
    until_up(&proxy, &a, true).await;
    assert_eq!(good(&proxy, 10).await, 10);
    assert_eq!((one.answered(), two.answered()), (5, 5));
    one.probed(503);
    until_up(&proxy, &a, false).await;
    let standing = told(&proxy, &a).await["standing"].to_string();
    assert!(standing.contains("status 503"), "{standing}");
    assert_eq!(good(&proxy, 10).await, 10);
    assert_eq!((one.answered(), two.answered()), (0, 10));
    let failures = proxy
        .metric("copal_origin_probe_failures_total", "pool")
        .await;
    assert!(failures >= 3.0, "{failures}");
    one.probed(204);
    until_up(&proxy, &a, true).await;
    assert_eq!(good(&proxy, 10).await, 10);
    assert_eq!((one.answered(), two.answered()), (5, 5));
    assert_eq!(proxy.metric("copal_origin_up", "pool").await, 2.0);
}

/// Each way in which a probe can fail, beside a server that is well.
#[tokio::test]
async fn probes_see_what_is_wrong() {
    let gate = Gate::new();
    let held = gate.clone();
    let hangs = Origin::start(async move |_, _| held.pass().await);
    let resets = Origin::start(async |_, connection| connection.reset());
    let half = Origin::start(async |_, connection| {
        connection.send("HTTP/1.1 200 OK\r\nconte").await;
        connection.reset();
    });
    let wrong = Origin::answering(200, NO_STORE, "not the text");
    let well = Origin::answering(200, NO_STORE, "all is well");
    let health = "health = { interval = \"50ms\", timeout = \"200ms\", body = \"is well\" }";
    let servers = [&hangs, &resets, &half, &wrong, &well];
    let lines = [health, NO_EJECTION, "panic_threshold = 0"];
    let proxy = pool(&servers, &lines).start().await;
    for (server, fault) in [
        (&hangs, "in time"),
        (&resets, "breaks off"),
        (&half, "breaks off"),
        (&wrong, "lacks the text"),
    ] {
        until_up(&proxy, server, false).await;
        let standing = told(&proxy, server).await["standing"].to_string();
        assert!(standing.contains(fault), "{standing}");
    }
    until_up(&proxy, &well, true).await;
    assert_eq!(good(&proxy, 20).await, 20);
    gate.open();
}

#[tokio::test]
async fn a_tcp_probe_only_wants_a_connection() {
    let refuses = Reserved::new();
    let address = refuses.address();
    let well = Origin::answering(500, NO_STORE, "well enough");
    let table = format!(
        "servers = [\"http://{address}\", \"{}\"]\n\
         health = {{ kind = \"tcp\", interval = \"50ms\" }}",
        well.url()
    );
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .table("origins.pool", &table)
        .start()
        .await;
    until_up(&proxy, &well, true).await;
    let up = async || proxy.metric("copal_origin_up", "origin=\"pool\"").await;
    eventually("one of two to be down", async || up().await == 1.0).await;
    let _origin = refuses.start(async |_, connection| connection.respond(200, &[], "").await);
    eventually("both to be up", async || up().await == 2.0).await;
}

#[tokio::test]
async fn a_grpc_server_says_whether_it_serves() {
    // UNKNOWN is what a server says that does not know itself.
    let (serving, unknown) = (Grpc::start(1).await, Grpc::start(0).await);
    let table = format!(
        "servers = [\"http://{}\", \"http://{}\"]\n\
         health = {{ kind = \"grpc\", interval = \"50ms\" }}",
        serving.address, unknown.address
    );
    let proxy = Proxy::before_url("http://127.0.0.1:1")
        .table("origins.pool", &table)
        .start()
        .await;
    let up = async |server: &Grpc| {
        let label = format!("server=\"{}\"", server.address);
        proxy.metric("copal_origin_up", &label).await == 1.0
    };
    eventually("one to be down", async || !up(&unknown).await).await;
    assert!(up(&serving).await);
    unknown.says.store(1, Ordering::Relaxed);
    eventually("both to be up", async || {
        up(&unknown).await && up(&serving).await
    })
    .await;
}

/// A server that speaks nothing but `grpc.health.v1`.
struct Grpc {
    address: SocketAddr,
    /// Its status: 1 is SERVING.
    says: Arc<AtomicU8>,
}

impl Grpc {
    async fn start(status: u8) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a bound socket");
        let says = Arc::new(AtomicU8::new(status));
        let kept = Arc::clone(&says);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let says = Arc::clone(&kept);
                let service =
                    service_fn(move |request| check(request, says.load(Ordering::Relaxed)));
                let builder = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, says }
    }
}

async fn check(
    request: Request<Incoming>,
    status: u8,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible>>, Infallible> {
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    assert_eq!(request.headers()["content-type"], "application/grpc");
    let asked = request.into_body().collect().await.expect("a message");
    assert_eq!(asked.to_bytes()[..], [0; 5]);
    let answer = Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, status]);
    let trailers = HeaderMap::from_iter([(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let body = Full::new(answer).with_trailers(async { Some(Ok(trailers)) });
    Ok(Response::new(body))
}

/// An origin of which no server is left is sick: what is stored stands in at once.
#[tokio::test]
async fn without_a_usable_server_what_is_stored_stands_in() {
    let probe = Arc::new(AtomicBool::new(true));
    let well = Arc::clone(&probe);
    let origin = Origin::start(async move |request, connection| {
        let status = if well.load(Ordering::Relaxed) {
            200
        } else {
            503
        };
        let fields = [
            ("cache-control", "max-age=0, stale-if-error=60"),
            ("etag", "\"1\""),
        ];
        match &*request.path {
            "/health" => connection.respond(status, &[], "").await,
            _ => connection.respond(200, &fields, "stored").await,
        }
    });
    let proxy = pool(&[&origin], &[PROBES, "panic_threshold = 0"])
        .start()
        .await;
    assert!(proxy.get("/a").await.is_good("stored"));
    probe.store(false, Ordering::Relaxed);
    until_up(&proxy, &origin, false).await;
    let stale = proxy.get("/a").await;
    assert!(stale.is_good("stored") && stale.is_hit(), "{stale:?}");
    assert!(stale.says("detail=stale-if-error"), "{stale:?}");
    let failed = proxy.get("/b").await;
    assert_eq!(failed.status, 503);
    assert!(failed.says("detail=origin-no-server"), "{failed:?}");
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn with_too_few_usable_servers_health_is_disregarded() {
    let servers = [Server::new(), Server::new(), Server::new()];
    let [one, two, three] = &servers;
    let (a, b, c) = (&one.start("a"), &two.start("b"), &three.start("c"));
    let lines = [PROBES, "balance = \"round-robin\"", "panic_threshold = 0.5"];
    let proxy = pool(&[a, b, c], &lines).start().await;
    servers[0].probed(500);
    until_up(&proxy, a, false).await;
    assert_eq!(good(&proxy, 12).await, 12);
    let shares = || servers.each_ref().map(Server::answered);
    assert_eq!(shares(), [0, 6, 6]);
    servers[1].probed(500);
    until_up(&proxy, b, false).await;
    assert_eq!(good(&proxy, 12).await, 12);
    assert_eq!(shares(), [4, 4, 4], "one of three is less than a half");
}

// --- ejection ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_server_that_fails_its_clients_is_left_alone_for_a_while() {
    let (one, two) = (Server::new(), Server::new());
    let (a, b) = (one.start("a"), two.start("b"));
    let ejection = "ejection = { consecutive = 3, base = \"1s\" }";
    let lines = [ejection, "balance = \"round-robin\""];
    let proxy = pool(&[&a, &b], &lines).start().await;
    one.answers(503);
    // Each other request meets it, and the third failure is the last.
    assert_eq!(good(&proxy, 40).await, 37);
    assert_eq!(one.answered(), 3);
    assert!(
        told(&proxy, &a).await["standing"]
            .to_string()
            .contains("ejected")
    );
    assert_eq!(
        proxy.metric("copal_origin_ejected_total", "pool").await,
        1.0
    );
    one.answers(200);
    until_up(&proxy, &a, true).await;
    two.answered();
    assert_eq!(good(&proxy, 10).await, 10);
    assert_eq!((one.answered(), two.answered()), (5, 5));
}

#[tokio::test]
async fn a_500_is_the_pages_fault_and_the_last_server_is_never_ejected() {
    let (one, two) = (Server::new(), Server::new());
    let (a, b) = (one.start("a"), two.start("b"));
    let ejection = "ejection = { consecutive = 2, share_max = 1 }";
    let proxy = pool(&[&a, &b], &[ejection, "balance = \"round-robin\""])
        .start()
        .await;
    one.answers(500);
    two.answers(500);
    assert_eq!(good(&proxy, 20).await, 0);
    assert_eq!((one.answered(), two.answered()), (10, 10));
    assert_eq!(
        proxy.metric("copal_origin_ejected_total", "pool").await,
        0.0
    );
    one.answers(503);
    two.answers(503);
    assert_eq!(good(&proxy, 20).await, 0);
    assert_eq!(
        proxy.metric("copal_origin_ejected_total", "pool").await,
        1.0
    );
    assert_eq!(one.answered() + two.answered(), 20, "the other goes on");
}

#[tokio::test]
async fn a_server_that_hangs_is_left_alone_after_a_few_clients() {
    let gate = Gate::new();
    let held = gate.clone();
    let hangs = Origin::start(async move |_, _| held.pass().await);
    let two = Server::new();
    let b = two.start("b");
    let lines = [
        "ejection = { consecutive = 2 }",
        "first_byte_timeout = \"100ms\"",
        "balance = \"round-robin\"",
    ];
    let proxy = pool(&[&hangs, &b], &lines).start().await;
    assert_eq!(good(&proxy, 20).await, 18);
    assert_eq!(hangs.requests().len(), 2);
    gate.open();
}

/// One request in ten breaks off: too few in a row for an ejection, and few enough to try again.
#[tokio::test]
async fn a_server_that_stumbles_now_and_then_harms_nobody() {
    let (stumbles, two) = (Arc::new(AtomicUsize::new(0)), Server::new());
    let seen = Arc::clone(&stumbles);
    let a =
        Origin::start(
            async move |_, connection| match seen.fetch_add(1, Ordering::Relaxed) % 10 {
                9 => connection.reset(),
                _ => connection.respond(200, NO_STORE, "a").await,
            },
        );
    let b = two.start("b");
    let proxy = pool(&[&a, &b], &["balance = \"round-robin\""])
        .start()
        .await;
    assert_eq!(good(&proxy, 200).await, 200);
    assert!(stumbles.load(Ordering::Relaxed) >= 90);
    assert_eq!(
        proxy.metric("copal_origin_ejected_total", "pool").await,
        0.0
    );
}

/// Goes down under load, in the middle of answers, and comes back: nobody notices.
#[tokio::test]
async fn no_request_fails_while_another_server_can_answer() {
    let (one, two) = (Server::new(), Server::new());
    let (a, b) = (one.start("a"), two.start("b"));
    let lines = [
        PROBES,
        "ejection = { base = \"1s\" }",
        "slow_start = \"2s\"",
        "balance = \"round-robin\"",
    ];
    let proxy = pool(&[&a, &b], &lines).start().await;
    // Retries are a fifth of the requests, so there have to be some.
    assert_eq!(good(&proxy, 100).await, 100);
    one.answers(RESET);
    one.probed(RESET);
    let crowd = tokio::join!(
        good(&proxy, 50),
        good(&proxy, 50),
        good(&proxy, 50),
        good(&proxy, 50)
    );
    assert_eq!(crowd, (50, 50, 50, 50));
    let is_down = async || {
        told(&proxy, &a).await["standing"]
            .to_string()
            .contains("down")
    };
    eventually("its probes to fail", is_down).await;
    one.answered();
    two.answered();
    assert_eq!(good(&proxy, 50).await, 50);
    assert_eq!((one.answered(), two.answered()), (0, 50));
    one.answers(200);
    one.probed(200);
    until_up(&proxy, &a, true).await;
    let since = Instant::now();
    let weight = told(&proxy, &a).await["effective_weight"].as_f64();
    let weight = weight.expect("a number");
    assert!(
        weight < 1.0 || since.elapsed() > Duration::from_secs(1),
        "{weight}"
    );
    one.answered();
    two.answered();
    assert_eq!(good(&proxy, 50).await, 50);
    assert!(one.answered() < two.answered(), "it begins slowly");
    let whole = async || told(&proxy, &a).await["effective_weight"] == 1.0;
    eventually("its whole weight", whole).await;
    one.answered();
    two.answered();
    assert_eq!(good(&proxy, 50).await, 50);
    assert_eq!((one.answered(), two.answered()), (25, 25));
}
