//! Which server of several gets a request, and which one gets it when the first has failed.

use std::time::{Duration, Instant};

use crate::harness::{Client, Gate, Origin, Proxy, Reserved, Response, Setup, named, seen};

/// A server that takes requests and resets the connection before any answer.
fn resetting() -> Origin {
    Origin::start(async |_, connection| connection.reset())
}

/// A pool of these servers, each as it is written in the list, and more lines of its table.
fn pool(servers: &[String], lines: &str) -> Setup {
    let table = format!("servers = [{}]\n{lines}", servers.join(", "));
    let sites = "[[site]]\nhosts = [\"*\"]\norigin = \"pool\"\n";
    Proxy::before_url("http://127.0.0.1:1")
        .table("origins.pool", &table)
        .sites(sites)
}

fn url(origin: &Origin) -> String {
    format!("\"{}\"", origin.url())
}

fn weighted(origin: &Origin, weight: u32) -> String {
    format!("{{ url = \"{}\", weight = {weight} }}", origin.url())
}

fn backup(origin: &Origin) -> String {
    format!("{{ url = \"{}\", backup = true }}", origin.url())
}

/// So many requests for paths of their own; all of them are answered.
async fn ask(proxy: &Proxy, count: usize) {
    let mut client = proxy.client().await;
    for number in 0..count {
        let response = client.get(&format!("/{number}")).await;
        assert_eq!(response.status, 200, "{response:?}");
    }
}

// --- shares --------------------------------------------------------------------------------------

#[tokio::test]
async fn turns_go_by_weight() {
    let (one, two) = (named("one"), named("two"));
    let servers = [weighted(&one, 3), url(&two)];
    let proxy = pool(&servers, "balance = \"round-robin\"").start().await;
    ask(&proxy, 40).await;
    assert_eq!((seen(&[&one]), seen(&[&two])), (30, 10));
}

#[tokio::test]
async fn the_slow_server_of_two_gets_less() {
    let quick = named("quick");
    let slow = Origin::start(async |_, connection| {
        // Slower than anything on a busy machine.
        tokio::time::sleep(Duration::from_millis(500)).await;
        connection.respond(200, &[], "slow").await;
    });
    for balance in ["two-choices", "least-requests"] {
        let (quick_before, slow_before) = (seen(&[&quick]), seen(&[&slow]));
        let balance = format!("balance = \"{balance}\"");
        let proxy = pool(&[url(&quick), url(&slow)], &balance).start().await;
        let clients = (0..8).map(|_| ask(&proxy, 10));
        futures(clients).await;
        let (quick, slow) = (seen(&[&quick]) - quick_before, seen(&[&slow]) - slow_before);
        assert_eq!(quick + slow, 80);
        assert!(quick > 2 * slow, "{balance}: {quick} to {slow}");
    }
}

/// Runs all of them at once.
async fn futures(all: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        all.retain_mut(|it| it.as_mut().poll(cx).is_pending());
        match all.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

#[tokio::test]
async fn the_same_url_goes_to_the_same_server() {
    let (one, two) = (named("one"), named("two"));
    let proxy = pool(&[url(&one), url(&two)], "balance = { hash = \"url\" }")
        .start()
        .await;
    for _ in 0..3 {
        ask(&proxy, 20).await;
    }
    assert_eq!(seen(&[&one, &two]), 60);
    for number in 0..20 {
        let path = format!("/{number}");
        assert!([0, 3].contains(&one.count(&path)), "{path}");
    }
    assert!(seen(&[&one]) > 0 && seen(&[&two]) > 0);
}

#[tokio::test]
async fn the_same_user_goes_to_the_same_server() {
    let (one, two) = (named("one"), named("two"));
    let balance = "balance = { hash = \"header\", name = \"x-user\" }";
    let proxy = pool(&[url(&one), url(&two)], balance).start().await;
    let mut answers = Vec::new();
    for user in 0..10 {
        let user = user.to_string();
        let first = proxy.get_with("/a", &[("x-user", &user)]).await.text();
        let second = proxy.get_with("/b", &[("x-user", &user)]).await.text();
        assert_eq!(first, second, "user {user}");
        answers.push(first);
    }
    assert!(answers.iter().any(|it| it != &answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_client_address_goes_to_the_same_server() {
    let (one, two) = (named("one"), named("two"));
    let proxy = pool(&[url(&one), url(&two)], "balance = \"ip-hash\"")
        .start()
        .await;
    let mut answers = Vec::new();
    for last in 1..=16 {
        let mut client = Client::connect_from([127, 0, 0, last], proxy.address()).await;
        let (first, second) = (client.get("/a").await, client.get("/b").await);
        assert_eq!(first.text(), second.text(), "127.0.0.{last}");
        answers.push(first.text());
    }
    assert!(answers.iter().any(|it| it != &answers[0]), "{answers:?}");
}

#[tokio::test]
async fn who_says_that_it_is_full_gets_less() {
    let full = Origin::answering(200, &[("x-load", "90")], "full");
    let idle = Origin::answering(200, &[("x-load", "0")], "idle");
    let proxy = pool(&[url(&full), url(&idle)], "balance = \"resource\"")
        .start()
        .await;
    ask(&proxy, 100).await;
    assert!(
        seen(&[&full]) > 0,
        "it must be able to say that it has room"
    );
    assert!(seen(&[&idle]) > 3 * seen(&[&full]), "{}", seen(&[&idle]));
}

// --- servers that fail ---------------------------------------------------------------------------

#[tokio::test]
async fn a_backup_is_for_when_no_other_can_answer() {
    let (one, spare) = (named("one"), named("spare"));
    let proxy = pool(&[url(&one), backup(&spare)], "").start().await;
    ask(&proxy, 20).await;
    assert_eq!((seen(&[&one]), seen(&[&spare])), (20, 0));
    let gone = Reserved::new();
    let gone = format!("\"http://{}\"", gone.address());
    let proxy = pool(&[gone, backup(&spare)], "").start().await;
    assert!(proxy.get("/a").await.is_good("spare"));
}

/// Nobody need notice that a server is away, or breaks off, while another can answer.
#[tokio::test]
async fn another_server_answers_for_one_that_fails() {
    let (good, gone, resets) = (named("good"), Reserved::new(), resetting());
    let gone = format!("\"http://{}\"", gone.address());
    for failing in [gone, url(&resets)] {
        for balance in ["two-choices", "round-robin", "first"] {
            let lines = format!("balance = \"{balance}\"");
            let proxy = pool(&[failing.clone(), url(&good)], &lines).start().await;
            // From the first on: until the one that fails is ejected there are retries enough.
            ask(&proxy, 30).await;
        }
    }
}

#[tokio::test]
async fn a_post_goes_to_another_server_only_if_the_first_did_not_get_it() {
    let (good, gone, resets) = (named("good"), Reserved::new(), resetting());
    let gone = format!("\"http://{}\"", gone.address());
    let first = "balance = \"first\"";
    let proxy = pool(&[gone, url(&good)], first).start().await;
    let answer = proxy.client().await.send_body("POST", "/a", "text").await;
    assert!(answer.is_good("good"), "{answer:?}");
    let proxy = pool(&[url(&resets), url(&good)], first).start().await;
    let answer = proxy.client().await.send_body("POST", "/b", "text").await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!((resets.count("/b"), good.count("/b")), (1, 0));
}

#[tokio::test]
async fn what_timed_out_is_not_asked_again() {
    let gate = Gate::new();
    let held = gate.clone();
    let hangs = Origin::start(async move |_, _| held.pass().await);
    let good = named("good");
    let lines = "balance = \"first\"\nfirst_byte_timeout = \"200ms\"";
    let proxy = pool(&[url(&hangs), url(&good)], lines).start().await;
    assert_eq!(proxy.get("/a").await.status, 504);
    assert_eq!(good.count("/a"), 0);
    gate.open();
}

/// Retries must not become a storm: with all servers failing they get a fifth more than clients ask.
#[tokio::test]
async fn retries_have_a_budget() {
    const REQUESTS: usize = 400;
    let failing = [resetting(), resetting(), resetting()];
    let servers: Vec<_> = failing.iter().map(url).collect();
    let began = Instant::now();
    let proxy = pool(&servers, "").start().await;
    let mut client = proxy.client().await;
    for number in 0..REQUESTS {
        let response = client.get(&format!("/{number}")).await;
        assert_eq!(response.status, 502, "{response:?}");
    }
    let [a, b, c] = &failing;
    let seen = seen(&[a, b, c]);
    assert!(seen > REQUESTS, "some are retried");
    // Three a second are there in any case, which is more than a fifth where the machine is slow.
    let allowed = REQUESTS / 5 + 3 * began.elapsed().as_secs_f64().ceil() as usize;
    assert!(seen <= REQUESTS + allowed, "{seen} for {REQUESTS}");
}

// --- sticky --------------------------------------------------------------------------------------

const STICKY: &str = "balance = \"round-robin\"\nsticky = { secret = \"nobody would guess this\" }";

/// The cookie that a response sets, as a request would carry it.
fn cookie(response: &Response) -> Option<String> {
    let set = response.field("set-cookie")?;
    assert!(set.contains("HttpOnly") && set.contains("Path=/"), "{set}");
    Some(set.split(';').next()?.to_owned())
}

#[tokio::test]
async fn a_cookie_brings_a_client_back_to_its_server() {
    let (one, two) = (named("one"), named("two"));
    let proxy = pool(&[url(&one), url(&two)], STICKY).start().await;
    let first = proxy.get("/a").await;
    let cookie = cookie(&first).expect("a cookie");
    assert_eq!(first.text(), "one");
    for number in 0..6 {
        let path = format!("/{number}");
        let both = format!("theme=dark; {cookie}");
        let response = proxy.get_with(&path, &[("cookie", &both)]).await;
        assert!(response.is_good("one"), "{response:?}");
        assert_eq!(response.field("set-cookie"), None, "it has one");
        assert_eq!(one.last().field("cookie"), Some("theme=dark"));
        proxy.get("/others").await;
    }
    // Who drains keeps those that belong to it; in maintenance it does not.
    for (state, name) in [("drain", "one"), ("maintenance", "two")] {
        let path = format!("/api/v1/origins/pool/servers/{}", one.address());
        let json = format!("{{\"state\":\"{state}\"}}");
        proxy.admin().await.send_body("PUT", &path, &json).await;
        let response = proxy.get_with("/b", &[("cookie", &cookie)]).await;
        assert!(response.is_good(name), "{response:?}");
        assert!(
            proxy.get("/c").await.is_good("two"),
            "new ones go elsewhere"
        );
    }
}

#[tokio::test]
async fn a_cookie_that_was_tampered_with_is_none() {
    let (one, two) = (named("one"), named("two"));
    let proxy = pool(&[url(&one), url(&two)], STICKY).start().await;
    let good = cookie(&proxy.get("/a").await).expect("a cookie");
    let other = cookie(&proxy.get("/b").await).expect("a cookie");
    let (name, value) = good.split_once('=').expect("a pair");
    let signature = value.rsplit('.').next().expect("a signature");
    let others: Vec<_> = other.split(['=', '.']).collect();
    for forged in [
        format!("{name}="),
        format!("{good}0"),
        // The other server under this one's signature.
        format!("{name}={}.{}.{signature}", others[1], others[2]),
        format!("{name}={}", value.replace('.', ".f")),
    ] {
        let mut servers = Vec::new();
        for path in ["/c", "/d"] {
            let response = proxy.get_with(path, &[("cookie", &forged)]).await;
            assert!(cookie(&response).is_some(), "{forged}");
            servers.push(response.text());
        }
        assert_ne!(servers[0], servers[1], "{forged} sticks to nobody");
    }
}

/// A stored response must not carry one person's cookie, and the cookie keeps nobody from it.
#[tokio::test]
async fn what_is_stored_has_no_sticky_cookie() {
    let origin = Origin::answering(200, &[("cache-control", "max-age=60")], "page");
    let proxy = pool(&[url(&origin)], STICKY).start().await;
    let miss = proxy.get("/a").await;
    assert_eq!(miss.field("set-cookie"), None, "{miss:?}");
    let posted = proxy.client().await.send_body("POST", "/b", "x").await;
    let cookie = cookie(&posted).expect("a cookie on what is passed");
    let limits = posted.head.fields("cache-control");
    assert!(limits.contains(&"private=\"set-cookie\""), "{posted:?}");
    let hit = proxy.get_with("/a", &[("cookie", &cookie)]).await;
    assert!(hit.is_hit() && hit.field("set-cookie").is_none(), "{hit:?}");
    assert_eq!(origin.count("/a"), 1);
}
