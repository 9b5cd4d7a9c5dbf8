//! File descriptors: the limit is raised as far as it may be, and what there is suffices for operators
//! and origins, however many clients have come. What we lack is no server's fault.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::{
    Client, FRESH, Gate, Http2, NO_STORE, Origin, Proxy, Setup, eventually, within,
};

/// Two servers, for one alone is never ejected.
fn pool(origins: &[Origin; 2]) -> Setup {
    let lines = "ejection = { consecutive = 1 }\nconnect_timeout = \"500ms\"";
    Proxy::before_each(&[&origins[0], &origins[1]], lines)
}

/// So many requests for different pages on one connection; their statuses.
async fn streams(proxy: &Proxy, count: usize) -> JoinSet<u16> {
    let client = Http2::connect(proxy.address()).await;
    let mut requests = JoinSet::new();
    for number in 0..count {
        let mut client = client.clone();
        requests.spawn(async move {
            let answer = client.get_whole(&format!("/{number}")).await;
            answer.status().as_u16()
        });
    }
    requests
}

/// Idle clients have all that clients may have; who asks whether we live is answered all the same.
#[tokio::test]
async fn idle_clients_leave_descriptors_for_operators_and_origins() {
    let origins = [
        Origin::answering(200, FRESH, "hello"),
        Origin::answering(200, FRESH, "hello"),
    ];
    let proxy = pool(&origins).start_under("-n 64").await;
    let mut open = proxy.client().await;
    assert!(open.get("/hit").await.is_good("hello"));
    let mut idle = Vec::new();
    for _ in 0..120 {
        idle.push(TcpStream::connect(proxy.address()).await.expect("a queue"));
    }
    let max = proxy.metric("copal_connections_max", "").await;
    let full = async || proxy.metric("copal_connections", "").await == max;
    eventually("as many connections as there may be", full).await;
    assert!(max < 40.0, "{max}");

    let ask = async {
        let healthz = Client::connect(proxy.admin_address()).await;
        let healthz = healthz.asking_for("localhost").get("/healthz").await;
        assert!(healthz.is_good("ok\n"), "{healthz:?}");
    };
    let within_a_second = timeout(Duration::from_secs(1), ask).await;
    assert!(
        within_a_second.is_ok(),
        "a liveness probe would have failed"
    );
    assert!(open.get("/hit").await.is_hit());
    for number in 0..20 {
        let path = format!("/miss/{number}");
        assert!(open.get(&path).await.is_good("hello"));
    }
    assert_eq!(proxy.metric("copal_origin_ejected_total", "").await, 0.0);
    assert_eq!(proxy.metric("copal_origin_errors_total", "").await, 0.0);
    let complaints = proxy.stderr().matches("cannot accept").count();
    assert!(complaints <= 1, "{}", proxy.stderr());
    proxy.says("fewer connections than configured").await;
}

/// Many requests on few connections want more of them to servers than there may be: those beyond
/// wait, and are then told that it is us who lack something.
#[tokio::test]
async fn what_we_lack_is_not_held_against_servers() {
    let gate = Gate::new();
    let origins = [gate.clone(), gate.clone()].map(|held| {
        Origin::start(async move |_, connection| {
            held.pass().await;
            connection.respond(200, NO_STORE, "hello").await;
        })
    });
    let proxy = pool(&origins).start_under("-n 64").await;
    let requests = streams(&proxy, 90).await;
    let lacking = async || {
        let errors = proxy.metric("copal_origin_errors_total", "out-of-descriptors");
        errors.await > 10.0
    };
    eventually("a want of descriptors", lacking).await;
    assert!(proxy.open_files() <= 64);
    let healthz = proxy.admin().await.get("/healthz").await;
    assert!(healthz.is_good("ok\n"), "{healthz:?}");
    gate.open();
    let statuses = within("all answers", requests.join_all()).await;
    assert!(statuses.contains(&200) && statuses.contains(&503));
    assert!(
        statuses.iter().all(|it| [200, 503].contains(it)),
        "{statuses:?}"
    );
    assert_eq!(proxy.metric("copal_origin_ejected_total", "").await, 0.0);
    let refused = proxy.metric("copal_origin_errors_total", "origin-refused");
    assert_eq!(refused.await, 0.0);
    assert!(proxy.get("/again").await.is_good("hello"));
}

/// Idle connections to one server give way where another's are needed.
#[tokio::test]
async fn idle_connections_to_servers_give_way() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, NO_STORE, "hello").await;
    });
    let other = Origin::answering(200, NO_STORE, "other");
    let sites = "[[site]]\nhosts = [\"*\"]\norigin = \"main\"\n\
                 [[site.route]]\npath = \"/other\"\norigin = \"other\"\n";
    let proxy = Proxy::before(&origin)
        .origin("origins.other", &other)
        .sites(sites)
        .start_under("-n 64")
        .await;
    let requests = streams(&proxy, 60).await;
    let connected = async || origin.open_connections() > 10;
    eventually("connections to the first", connected).await;
    gate.open();
    within("all answers", requests.join_all()).await;
    assert!(proxy.get("/other").await.is_good("other"));
}

#[tokio::test]
async fn the_limit_is_raised_as_far_as_it_may_be() {
    let origin = Origin::answering(200, FRESH, "hello");
    let proxy = Proxy::before(&origin)
        .table("server", "connections_max = 100")
        .start_under("-Sn 64")
        .await;
    let (soft, hard) = proxy.open_files_max();
    assert!(soft == hard && soft > 64, "{soft} {hard}");
    assert_eq!(proxy.metric("copal_connections_max", "").await, 100.0);
    proxy.says("connections_max=100").await;
    assert!(!proxy.stderr().contains("fewer connections"));
}

#[tokio::test]
async fn too_few_to_begin_with_are_refused_in_clear_words() {
    let origin = Origin::answering(200, FRESH, "hello");
    let output = Proxy::before(&origin).fails_under("-n 12").await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("may open 12 files, and needs 25 at least"),
        "{told}"
    );
    assert!(told.contains("LimitNOFILE="), "{told}");
}

/// A reload that wants more is fitted as well.
#[tokio::test]
async fn a_reload_is_fitted_too() {
    let origin = Origin::answering(200, FRESH, "hello");
    let setup = || Proxy::before(&origin);
    let proxy = setup()
        .table("server", "connections_max = 4")
        .start_under("-n 64")
        .await;
    assert_eq!(proxy.metric("copal_connections_max", "").await, 4.0);
    proxy.reload(&setup()).await;
    let max = proxy.metric("copal_connections_max", "").await;
    assert!((5.0..40.0).contains(&max), "{max}");
}
