//! One faulty server among three: who of the clients notices, counted for each fault. What one
//! server alone may do to its clients is in `origin_faults.rs` and `origin_pool.rs`; a server that
//! hangs before its head, or answers with errors, is in `health.rs`; a slow one in `balancing.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{
    Connection, Gate, Hole, Load, Origin, Proxy, Reserved, Setup, responses, seen,
};

/// By turns, so that shares are known; and nobody comes back within a story.
const TERMS: &str = "balance = \"round-robin\"\nejection = { base = \"5m\" }";

/// As many failures in a row eject a server.
const EJECTED_AFTER: usize = 5;

fn good() -> Origin {
    Origin::start(async |request, connection| connection.respond(200, &[], &*request.path).await)
}

/// A faulty server first, and two that are well.
fn among_three(faulty: String, good: &[Origin; 2], terms: &str) -> Setup {
    let [one, two] = good.each_ref().map(Origin::url);
    Proxy::before_all(&[faulty, one, two], terms)
}

/// So many requests one after the other; how many got what they asked for.
async fn ask(proxy: &Proxy, count: usize) -> usize {
    let mut good = 0;
    for number in 0..count {
        let path = format!("/{number}");
        good += usize::from(proxy.get(&path).await.is_good(&path));
    }
    good
}

// --- nobody notices ------------------------------------------------------------------------------

/// What a server does with each connection in place of an answer.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Closes,
    Resets,
    ClosesWithinTheHead,
    ResetsWithinTheHead,
    /// A good answer, and a reset in place of the next.
    ResetsOnReuse,
}

impl Refusal {
    async fn act(self, connection: &mut Connection) {
        match self {
            Self::ResetsOnReuse if connection.served == 0 => {
                return connection.respond(200, &[], "").await;
            }
            Self::ClosesWithinTheHead | Self::ResetsWithinTheHead => {
                connection.send("HTTP/1.1 200 OK\r\nconte").await;
            }
            _ => {}
        }
        match self {
            Self::Closes | Self::ClosesWithinTheHead => connection.close(),
            _ => connection.reset(),
        }
    }
}

/// A server that closes or resets before it has sent a whole head: until then another server can
/// answer for one that fails. The one that has begun to fail is left alone after its share of
/// attempts.
#[tokio::test]
async fn what_a_server_fails_to_begin_another_completes() {
    let table = [
        Refusal::Closes,
        Refusal::Resets,
        Refusal::ClosesWithinTheHead,
        Refusal::ResetsWithinTheHead,
    ];
    for refusal in table {
        let (fails, refused) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
        let (begun, count) = (fails.clone(), Arc::clone(&refused));
        let faulty = Origin::start(async move |_, connection| {
            if !begun.is_open() {
                return connection.respond(200, &[], "").await;
            }
            count.fetch_add(1, Ordering::Relaxed);
            refusal.act(connection).await;
        });
        let good = [good(), good()];
        let proxy = among_three(faulty.url(), &good, TERMS).start().await;
        let load = Load::start(&proxy, 4);
        load.answered(100).await;
        fails.open();
        load.answered(100).await;
        let tally = load.end().await;
        assert_eq!(tally.bad, [""; 0], "{refusal:?}");
        // Beside those that eject it, each client may have had one under way; and each may have met
        // a kept connection first.
        let refused = refused.load(Ordering::Relaxed);
        let expected = EJECTED_AFTER..2 * (EJECTED_AFTER + 4);
        assert!(expected.contains(&refused), "{refusal:?}: {refused}");
        let asked = seen(&[&faulty, &good[0], &good[1]]);
        assert_eq!(
            asked,
            tally.good + refused,
            "{refusal:?}: one retry for each"
        );
        let ejected = "copal_origin_ejected_total";
        assert_eq!(proxy.metric(ejected, "pool").await, 1.0, "{refusal:?}");
    }
}

/// The same from the first request on, when no retries have been saved: those that another server
/// answers are given back.
#[tokio::test]
async fn a_server_that_never_answers_harms_nobody_from_the_start() {
    let good = [good(), good()];
    let faulty = Origin::start(async |_, connection| connection.reset());
    let proxy = among_three(faulty.url(), &good, TERMS).start().await;
    let load = Load::start(&proxy, 4);
    load.answered(100).await;
    assert_eq!(load.end().await.bad, [""; 0]);
}

/// A port where nobody listens costs nobody anything; a host that is gone costs its first clients
/// the connect timeout, and then nobody.
#[tokio::test]
async fn a_server_that_cannot_be_connected_to_is_passed_over() {
    let (refuses, hole) = (Reserved::new(), Hole::new());
    for address in [refuses.address(), hole.address()] {
        let good = [good(), good()];
        let terms = format!(
            "{TERMS}
connect_timeout = \"200ms\""
        );
        let url = format!("http://{address}");
        let proxy = among_three(url, &good, &terms).start().await;
        assert_eq!(ask(&proxy, 30).await, 30, "{address}");
        let label = format!("server=\"{address}\"");
        let errors = proxy.metric("copal_origin_errors_total", &label).await;
        assert_eq!(errors, EJECTED_AFTER as f64, "{address}");
        let asked = seen(&good.each_ref());
        assert_eq!(asked, 30, "{address}");
    }
}

/// A host that is gone, and no other server: the client waits no longer than the connect timeout.
#[tokio::test]
async fn a_host_that_is_gone_is_a_504_at_the_connect_timeout() {
    let hole = Hole::new();
    let proxy = Proxy::before_all(&[hole.url()], "connect_timeout = \"300ms\"");
    let proxy = proxy.start().await;
    let began = Instant::now();
    let response = proxy.get("/a").await;
    let took = began.elapsed();
    assert_eq!(response.status, 504, "{response:?}");
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// A server that resets every connection on its second request. It answers, so it is not ejected;
/// each such request is sent once more, on a new connection.
#[tokio::test]
async fn a_server_that_drops_kept_connections_harms_nobody() {
    let refusal = Refusal::ResetsOnReuse;
    let faulty = Origin::start(async move |_, connection| refusal.act(connection).await);
    let good = [good(), good()];
    let proxy = among_three(faulty.url(), &good, TERMS).start().await;
    let load = Load::start(&proxy, 4);
    load.answered(200).await;
    let tally = load.end().await;
    assert_eq!(tally.bad, [""; 0]);
    let ejected = proxy.metric("copal_origin_ejected_total", "pool").await;
    assert_eq!(ejected, 0.0);
    let lost = faulty.requests().len() - faulty.connections();
    assert!(lost > 10, "{lost} connections died on use");
    let answered = seen(&[&faulty, &good[0], &good[1]]) - lost;
    assert_eq!(answered, tally.good, "nothing was answered twice");
}

/// What a server says beyond its answers reaches nobody, and its connections are not used again;
/// those of the others are.
#[tokio::test]
async fn leftovers_of_one_server_reach_nobody() {
    let faulty = Origin::start(async |request, connection| {
        let path = &request.path;
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}",
            path.len()
        );
        let evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
        connection.send(answer + evil).await;
    });
    let good = [good(), good()];
    let proxy = among_three(faulty.url(), &good, TERMS).start().await;
    assert_eq!(ask(&proxy, 60).await, 60);
    assert_eq!((faulty.requests().len(), faulty.connections()), (20, 20));
    for it in &good {
        assert_eq!((it.requests().len(), it.connections()), (20, 1));
    }
}

// --- a few notice --------------------------------------------------------------------------------

/// A head that makes no sense may hide anything, so it is not asked for again. It costs as many
/// clients as it takes to eject the server.
#[tokio::test]
async fn a_server_that_talks_nonsense_costs_a_few_clients() {
    let faulty = Origin::start(async |_, connection| {
        connection.send("hello\r\n\r\n").await;
        connection.close();
    });
    let good = [good(), good()];
    let proxy = among_three(faulty.url(), &good, TERMS).start().await;
    assert_eq!(ask(&proxy, 60).await, 60 - EJECTED_AFTER);
    assert_eq!(faulty.requests().len(), EJECTED_AFTER);
}

/// Silence on a connection that was kept is the server's silence as much as on a new one. Nobody is
/// asked again; what a server is to blame for at a cold start is in `health.rs`.
#[tokio::test]
async fn a_server_that_falls_silent_costs_a_few_clients() {
    const KEPT: usize = 4;
    const COSTS: usize = 2;
    let (first, silence) = (Gate::new(), Gate::new());
    let (held, begun) = (first.clone(), silence.clone());
    let faulty = Origin::start(async move |_, connection| {
        if begun.is_open() {
            return connection.peer_gone().await;
        }
        // All at the same time, so that each has a connection.
        held.pass().await;
        connection.respond(200, &[], "").await;
    });
    let good = [good(), good()];
    // Longer than it takes to fill the gate.
    let terms = format!(
        "balance = \"round-robin\"\nfirst_byte_timeout = \"2s\"\n\
         ejection = {{ consecutive = {COSTS}, base = \"5m\" }}"
    );
    let proxy = among_three(faulty.url(), &good, &terms).start().await;
    let mut herd = Vec::new();
    for number in 0..3 * KEPT {
        herd.extend(proxy.herd(1, &format!("/warm/{number}")).await);
    }
    first.arrived(KEPT).await;
    first.open();
    for response in responses(&mut herd).await {
        assert_eq!(response.status, 200, "{response:?}");
    }
    silence.open();
    let before = faulty.requests().len();
    assert_eq!(ask(&proxy, 30).await, 30 - COSTS);
    assert_eq!(faulty.requests().len() - before, COSTS);
}

/// Bodies that break off or stall: once the head is on its way to the client nobody else can
/// complete the body. But a server that breaks its bodies off is no better than one that gives no
/// answer, as the next head that comes from it finds.
#[tokio::test]
async fn a_server_that_breaks_its_bodies_costs_a_few_clients() {
    const COSTS: usize = 3;
    let terms = format!(
        "balance = \"round-robin\"\nbetween_bytes_timeout = \"1s\"\n\
         ejection = {{ consecutive = {}, base = \"5m\" }}",
        COSTS - 1
    );
    let table = [
        ("closed", "content-length: 9\r\n\r\nhello"),
        ("closed", "transfer-encoding: chunked\r\n\r\n5\r\nhel"),
        ("reset", "transfer-encoding: chunked\r\n\r\n5\r\nhel"),
        (
            "no chunk",
            "transfer-encoding: chunked\r\n\r\nx\r\nhello\r\n",
        ),
        ("stalled", "content-length: 9\r\n\r\nhello"),
    ];
    for (what, rest) in table {
        let faulty = Origin::start(async move |_, connection| {
            let head = "HTTP/1.1 200 OK\r\ncache-control: no-store\r\n";
            connection.send(head.to_owned() + rest).await;
            match what {
                "reset" => connection.reset(),
                "stalled" => connection.peer_gone().await,
                _ => connection.close(),
            }
        });
        let good = [good(), good()];
        let proxy = among_three(faulty.url(), &good, &terms).start().await;
        assert_eq!(ask(&proxy, 3 * COSTS).await, 2 * COSTS, "{what}");
        assert_eq!(ask(&proxy, 30).await, 30, "{what}");
        assert_eq!(faulty.requests().len(), COSTS, "{what}");
    }
}
