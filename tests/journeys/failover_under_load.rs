//! Servers that die, come back, flap and are taken off the list while many clients ask. No request
//! fails that another server could have answered. `tests/outside/origins.py` tells the same with
//! processes that are killed, for longer.

use std::time::{Duration, Instant};

use crate::harness::{Connection, Load, Origin, Proxy, Reserved, Setup, eventually, responses};

/// Who is ejected is soon asked again.
const TERMS: &str = "balance = \"round-robin\"\nejection = { base = \"500ms\" }";

/// An answer in one piece, so that a server is killed before it or after it.
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 5\r\n\r\nhello";

const CLIENTS: usize = 16;

/// A port whose server may die and come back.
struct Mortal {
    port: Reserved,
    origin: Option<Origin>,
    /// The paths that its earlier lives have seen.
    past: Vec<String>,
}

impl Mortal {
    fn born() -> Self {
        let mut mortal = Self {
            port: Reserved::new(),
            origin: None,
            past: Vec::new(),
        };
        mortal.revive();
        mortal
    }

    fn revive(&mut self) {
        let script = async |_: &_, connection: &mut Connection| {
            connection.send(ANSWER).await;
        };
        self.origin = Some(self.port.visit(script));
    }

    fn die(&mut self) {
        let seen = self.origin.take().map(Origin::kill).unwrap_or_default();
        self.past.extend(seen.into_iter().map(|it| it.path));
    }

    fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// The paths it was asked for in this life.
    fn seen(&self) -> Vec<String> {
        let requests = self.origin.as_ref().map(Origin::requests);
        requests
            .unwrap_or_default()
            .into_iter()
            .map(|it| it.path)
            .collect()
    }
}

fn three() -> [Mortal; 3] {
    std::array::from_fn(|_| Mortal::born())
}

fn before(servers: &[&Mortal]) -> Setup {
    let urls: Vec<_> = servers.iter().map(|it| it.url()).collect();
    Proxy::before_all(&urls, TERMS)
}

async fn before_all(servers: &[Mortal; 3]) -> Proxy {
    before(&servers.each_ref()).start().await
}

// --- dying ---------------------------------------------------------------------------------------

/// Servers that are killed and come back, one of three and two of them at the same time.
#[tokio::test]
async fn servers_that_are_killed_and_restarted_fail_nobody() {
    for dying in [1, 2] {
        let mut servers = three();
        let proxy = before_all(&servers).await;
        let load = Load::start(&proxy, CLIENTS);
        load.answered(300).await;
        servers[..dying].iter_mut().for_each(Mortal::die);
        load.answered(300).await;
        servers[..dying].iter_mut().for_each(Mortal::revive);
        let asked_again = async || servers.iter().all(|it| !it.seen().is_empty());
        eventually("those that came back to be asked", asked_again).await;
        load.answered(100).await;
        assert_eq!(load.end().await.bad, [""; 0], "{dying} of three");
    }
}

/// A server that comes and goes all the time harms nobody.
#[tokio::test]
async fn a_server_that_flaps_fails_nobody() {
    let mut servers = three();
    let proxy = before_all(&servers).await;
    let load = Load::start(&proxy, CLIENTS);
    load.answered(200).await;
    for _ in 0..10 {
        servers[0].die();
        load.answered(40).await;
        servers[0].revive();
        load.answered(40).await;
    }
    let tally = load.end().await;
    assert_eq!(tally.bad, [""; 0]);
    assert!(tally.good >= 1000, "{}", tally.good);
    assert!(proxy.get("/after").await.is_good("hello"));
}

/// RFC 9110 §9.2.2: "A proxy MUST NOT automatically retry non-idempotent requests." A few may fail,
/// but none is ever acted upon twice.
#[tokio::test]
async fn no_post_is_sent_twice_whatever_happens_to_servers() {
    let mut servers = three();
    let proxy = before_all(&servers).await;
    let load = Load::of("POST", &proxy, CLIENTS);
    load.answered(100).await;
    const DEATHS: usize = 6;
    for number in 0..DEATHS {
        let server = &mut servers[number % 3];
        server.die();
        load.answered(40).await;
        server.revive();
        load.answered(40).await;
    }
    let tally = load.end().await;
    servers.iter_mut().for_each(Mortal::die);
    let mut seen: Vec<_> = servers.iter().flat_map(|it| &it.past).collect();
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all, "each path was seen once");
    assert!(all >= tally.good, "{all} for {}", tally.good);
    // At most those that were under way at the moment of a death.
    let lost = tally.bad.len();
    assert!(lost <= DEATHS * CLIENTS, "{lost}: {:?}", tally.bad);
    assert!(
        tally.bad.iter().all(|it| it.starts_with("502")),
        "{:?}",
        tally.bad
    );
}

/// With all servers gone, what is stored stands in at once for as many as ask, all others are
/// refused soon, and one server that comes back is enough.
#[tokio::test]
async fn with_all_servers_gone_clients_are_told_soon() {
    let ports: [Reserved; 3] = std::array::from_fn(|_| Reserved::new());
    let control = "max-age=0, stale-if-error=60";
    let serve = |port: &Reserved| {
        port.visit(async move |_, connection| {
            connection
                .respond(
                    200,
                    &[("cache-control", control), ("etag", "\"1\"")],
                    "hello",
                )
                .await;
        })
    };
    let origins = ports.each_ref().map(serve);
    let urls = ports
        .each_ref()
        .map(|it| format!("http://{}", it.address()));
    let proxy = Proxy::before_all(&urls, TERMS).start().await;
    assert!(proxy.get("/stored").await.is_good("hello"));
    origins.into_iter().for_each(|it| drop(it.kill()));
    let began = Instant::now();
    for stale in responses(&mut proxy.herd(30, "/stored").await).await {
        let stands_in = stale.says("detail=stale-if-error");
        assert!(stale.is_good("hello") && stands_in, "{stale:?}");
    }
    for refused in responses(&mut proxy.herd(30, "/other").await).await {
        assert!([502, 503].contains(&refused.status), "{refused:?}");
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    let _back = serve(&ports[1]);
    // It may be the one of the three that is ejected.
    let answers = async || proxy.get("/other").await.is_good("hello");
    eventually("the one that is back to be asked", answers).await;
}

// --- reloads -------------------------------------------------------------------------------------

/// A list of servers that changes: nobody notices, and who is off the list is left alone by
/// everybody.
#[tokio::test]
async fn reloads_that_take_servers_off_the_list_fail_nobody() {
    let servers = three();
    let [one, two, three] = &servers;
    let proxy = before_all(&servers).await;
    let load = Load::start(&proxy, CLIENTS);
    load.answered(100).await;
    for _ in 0..5 {
        for listed in [&[one, two][..], &[three], &[two, three], &[one, two, three]] {
            proxy.reload(&before(listed)).await;
            load.answered(30).await;
        }
    }
    proxy.reload(&before(&[one, two])).await;
    load.answered(100).await;
    let open = || three.origin.as_ref().map(Origin::open_connections);
    eventually("its connections to be closed", async || open() == Some(0)).await;
    let seen = three.seen().len();
    load.answered(100).await;
    assert_eq!(three.seen().len(), seen, "who is off the list is not asked");
    let tally = load.end().await;
    assert_eq!(tally.bad, [""; 0]);
    assert!(tally.good >= 800, "{}", tally.good);
}

/// The same at the moment at which the server that leaves is killed, as deployments do it.
#[tokio::test]
async fn a_server_that_is_taken_off_the_list_and_killed_fails_nobody() {
    let mut servers = three();
    let proxy = before_all(&servers).await;
    let load = Load::start(&proxy, CLIENTS);
    load.answered(200).await;
    for leaving in 0..3 {
        let stay: Vec<_> = (0..3).filter(|it| *it != leaving).collect();
        proxy
            .reload(&before(&[&servers[stay[0]], &servers[stay[1]]]))
            .await;
        servers[leaving].die();
        load.answered(100).await;
        servers[leaving].revive();
        proxy.reload(&before(&servers.each_ref())).await;
        load.answered(100).await;
        assert!(!servers[leaving].seen().is_empty(), "it is asked again");
    }
    assert_eq!(load.end().await.bad, [""; 0]);
}
