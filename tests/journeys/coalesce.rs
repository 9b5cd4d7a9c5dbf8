//! Request coalescing: many clients, one object. A herd's members may come before, during or after
//! the fetch: each fact here holds for all three.

use std::time::{Duration, Instant};

use crate::harness::{
    CHUNKED, DEADLINE, End, FRESH, Fields, Gate, Origin, PRIVATE, Proxy, Request, all_wait,
    eventually, holding, responses,
};

/// c00013: a herd before there is anything is one request, and all get its answer.
#[tokio::test]
async fn two_hundred_clients_on_a_cold_object_are_one_request() {
    let gate = Gate::new();
    let origin = holding(&gate, FRESH);
    let proxy = Proxy::start(&origin).await;
    let mut herd = proxy.herd(200, "/a").await;
    gate.arrived(1).await;
    gate.open();
    for response in responses(&mut herd).await {
        assert!(response.is_good("hello"), "{response:?}");
    }
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn a_follower_says_that_it_was_collapsed() {
    let gate = Gate::new();
    let origin = holding(&gate, FRESH);
    let proxy = Proxy::start(&origin).await;
    let mut leader = proxy.herd(1, "/a").await;
    gate.arrived(1).await;
    let mut followers = proxy.herd(20, "/a").await;
    gate.open();
    assert!(!responses(&mut leader).await[0].says("collapsed"));
    for response in responses(&mut followers).await {
        let collapsed = response.says("fwd=uri-miss") && response.says("collapsed");
        assert!(collapsed || response.is_hit(), "{response:?}");
    }
}

/// c00097: whoever comes while the body drips reads what there is, and the rest as it arrives.
#[tokio::test]
async fn followers_stream_while_the_object_fills() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        connection.begin(200, CHUNKED).await;
        connection.chunk("first ").await;
        held.pass().await;
        connection.chunk("second").await;
        connection.chunk("").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut herd = proxy.herd(5, "/a").await;
    gate.arrived(1).await;
    herd.extend(proxy.herd(5, "/a").await);
    for client in &mut herd {
        assert_eq!(client.head().await.status(), 200);
        assert_eq!(client.read(6).await, b"first ");
    }
    gate.open();
    for client in &mut herd {
        assert_eq!(client.rest().await, (b"second".to_vec(), End::Clean));
    }
    assert_eq!(origin.count("/a"), 1);
    assert!(proxy.get("/a").await.is_good("first second"));
}

/// c00099: when the leader's answer turns out to be its own, all others ask at once, and at the
/// same time: the origin answers none of them before all of them have asked.
#[tokio::test]
async fn a_herd_on_an_uncacheable_object_goes_on_in_parallel() {
    let (first, crowd) = (Gate::new(), Gate::new());
    let (leader, others) = (first.clone(), crowd.clone());
    let origin = Origin::start(async move |request, connection| {
        let gate = if request.nth == 1 { &leader } else { &others };
        gate.pass().await;
        connection
            .respond(200, PRIVATE, request.nth.to_string())
            .await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut herd = proxy.herd(30, "/a").await;
    first.arrived(1).await;
    first.open();
    crowd.arrived(29).await;
    crowd.open();
    let mut bodies: Vec<_> = responses(&mut herd)
        .await
        .iter()
        .map(|it| it.text())
        .collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 30, "each has an answer of its own");
    assert_eq!(origin.count("/a"), 30);
}

/// c00011: what was not shareable is remembered, so the next herd waits for nobody.
#[tokio::test]
async fn an_uncacheable_url_is_remembered_as_such() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.nth > 1 {
            held.pass().await;
        }
        connection.respond(200, PRIVATE, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get("/a").await;
    let mut herd = proxy.herd(10, "/a").await;
    gate.arrived(10).await;
    gate.open();
    for response in responses(&mut herd).await {
        assert!(
            response.is_good("hello") && !response.says("collapsed"),
            "{response:?}"
        );
    }
}

/// c00076: the memory ends, and a cacheable answer takes its place.
#[tokio::test]
async fn hit_for_miss_is_forgotten_in_time() {
    let origin = Origin::start(async |request, connection| {
        let fields = if request.nth == 1 { PRIVATE } else { FRESH };
        connection.respond(200, fields, "hello").await;
    });
    let proxy = Proxy::before(&origin)
        .table("store", "hit_for_miss = \"300ms\"")
        .start()
        .await;
    proxy.get("/a").await;
    eventually("a hit", async || proxy.get("/a").await.is_hit()).await;
}

/// c00011, c00076: the first answer that can be shared ends the memory of those that could not,
/// with Vary and without.
#[tokio::test]
async fn a_page_that_becomes_cacheable_is_cached_at_once() {
    for vary in ["accept-language", "x-none"] {
        let origin = Origin::start(async move |request, connection| {
            let language = request.field("accept-language").unwrap_or("none");
            let control = match request.nth {
                1..=2 => "private",
                _ => "max-age=60",
            };
            let fields = [("cache-control", control), ("vary", vary)];
            connection.respond(200, &fields, language).await;
        });
        let proxy = Proxy::start(&origin).await;
        let english = [("accept-language", "en")];
        for hit in [false, false, false, true] {
            let response = proxy.get_with("/a", &english).await;
            assert!(response.is_good("en"), "{vary}: {response:?}");
            assert_eq!(response.is_hit(), hit, "{vary}: {response:?}");
        }
        let other = proxy.get_with("/a", &[("accept-language", "de")]).await;
        assert_eq!(other.is_hit(), vary == "x-none", "{vary}: {other:?}");
    }
}

/// c00125, r00667: an answer without any lifetime serves those who waited, or they ask themselves;
/// nobody hangs.
#[tokio::test]
async fn nobody_hangs_on_an_answer_that_is_stale_at_once() {
    let tables: [Fields; 4] = [
        &[("cache-control", "max-age=0")],
        &[("cache-control", "max-age=60"), ("age", "120")],
        &[("cache-control", "no-cache"), ("etag", "\"1\"")],
        &[],
    ];
    for fields in tables {
        let gate = Gate::new();
        let origin = holding(&gate, fields);
        let proxy = Proxy::start(&origin).await;
        let mut herd = proxy.herd(10, "/a").await;
        gate.arrived(1).await;
        gate.open();
        for response in responses(&mut herd).await {
            assert!(response.is_good("hello"), "{fields:?}: {response:?}");
        }
    }
}

/// c00138: who waited for a variant that is another's gets a fetch of its own.
#[tokio::test]
async fn a_follower_of_another_variant_asks_for_its_own() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.nth == 1 {
            held.pass().await;
        }
        let language = request.field("accept-language").unwrap_or("none");
        let fields = [("cache-control", "max-age=60"), ("vary", "accept-language")];
        connection.respond(200, &fields, language).await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut clients = Vec::new();
    for language in ["en", "de", "en", "de"] {
        let mut client = proxy.client().await;
        client
            .request("GET", "/a", &[("accept-language", language)])
            .await;
        clients.push((language, client));
    }
    gate.arrived(1).await;
    gate.open();
    for (language, client) in &mut clients {
        let response = client.response().await;
        assert!(response.is_good(language), "{language}: {response:?}");
    }
    assert_eq!(origin.count("/a"), 2);
}

/// c00043: a variant that is known to differ does not wait at all.
#[tokio::test]
async fn a_known_other_variant_waits_for_nobody() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        let language = request.field("accept-language").unwrap_or("none");
        if language == "slow" {
            held.pass().await;
        }
        let fields = [("cache-control", "max-age=60"), ("vary", "accept-language")];
        connection.respond(200, &fields, language).await;
    });
    let proxy = Proxy::start(&origin).await;
    proxy.get_with("/a", &[("accept-language", "en")]).await;
    let mut slow = proxy.client().await;
    slow.request("GET", "/a", &[("accept-language", "slow")])
        .await;
    gate.arrived(1).await;
    assert!(
        proxy
            .get_with("/a", &[("accept-language", "de")])
            .await
            .is_good("de")
    );
    gate.open();
    assert!(slow.response().await.is_good("slow"));
}

/// c00131: failures are shared or fetched side by side, but never one after another. The origin
/// takes 100 ms for each, so thirty in turn would take 3 s.
#[tokio::test]
async fn nobody_queues_behind_failures() {
    for status in [500, 503] {
        let gate = Gate::new();
        let held = gate.clone();
        let origin = Origin::start(async move |request, connection| {
            match request.nth {
                1 => held.pass().await,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
            connection.respond(status, &[], "sorry").await;
        });
        let proxy = Proxy::start(&origin).await;
        let mut herd = proxy.herd(30, "/a").await;
        gate.arrived(1).await;
        let start = Instant::now();
        gate.open();
        for response in responses(&mut herd).await {
            assert_eq!((response.status, response.end), (status, End::Clean));
        }
        assert!(
            start.elapsed() < Duration::from_millis(1500),
            "{:?}",
            start.elapsed()
        );
    }
}

/// c00062: those who read a body that breaks see it break, and it is not kept.
#[tokio::test]
async fn a_body_that_breaks_is_truncated_for_all_readers_and_not_stored() {
    for framing in [("transfer-encoding", "chunked"), ("content-length", "11")] {
        let gate = Gate::new();
        let held = gate.clone();
        let origin = Origin::start(async move |request, connection| {
            if request.nth > 1 {
                return connection.respond(200, FRESH, "hello").await;
            }
            connection.begin(200, &[FRESH[0], framing]).await;
            match framing.1 {
                "chunked" => connection.chunk("hello").await,
                _ => connection.send("hello").await,
            }
            held.pass().await;
            connection.reset();
        });
        let proxy = Proxy::start(&origin).await;
        let mut herd = proxy.herd(10, "/a").await;
        for client in &mut herd {
            client.head().await;
            assert_eq!(client.read(5).await, b"hello");
        }
        gate.open();
        for client in &mut herd {
            assert_eq!(client.rest().await.1, End::Truncated, "{framing:?}");
        }
        let next = proxy.get("/a").await;
        assert!(next.is_good("hello") && !next.is_hit(), "{next:?}");
        assert_eq!(origin.count("/a"), 2);
    }
}

/// The leader dies before its head: the others must not die with it, nor wait for ever.
#[tokio::test]
async fn a_fetch_that_fails_early_leaves_nobody_waiting() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |request, connection| {
        if request.nth == 1 {
            held.pass().await;
            return connection.reset();
        }
        connection.respond(200, FRESH, "hello").await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut herd = proxy.herd(20, "/a").await;
    gate.arrived(1).await;
    gate.open();
    for response in responses(&mut herd).await {
        assert!(
            response.is_good("hello") || response.status == 502,
            "{response:?}"
        );
    }
    assert!(proxy.get("/a").await.is_good("hello"));
}

/// Each of them leads in turn; none gives up because others went before.
#[tokio::test]
async fn many_who_see_their_leaders_vanish_do_not_go_in_circles() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.close();
    });
    let proxy = Proxy::start(&origin).await;
    let mut herd = proxy.herd(1, "/a").await;
    gate.arrived(1).await;
    herd.append(&mut proxy.herd(39, "/a").await);
    all_wait(&mut herd).await;
    gate.open();
    for response in responses(&mut herd).await {
        assert_eq!(response.status, 502, "{response:?}");
    }
}

/// A client that reads nothing does not hold up one that reads.
#[tokio::test]
async fn a_slow_reader_does_not_hold_up_a_fast_one() {
    const BYTES: usize = 8 << 20;
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(async move |_, connection| {
        held.pass().await;
        connection.respond(200, FRESH, vec![b'x'; BYTES]).await;
    });
    let proxy = Proxy::start(&origin).await;
    let mut slow = proxy.herd(1, "/a").await.remove(0);
    gate.arrived(1).await;
    let mut fast = proxy.herd(1, "/a").await.remove(0);
    gate.open();
    let response = fast.response().await;
    assert_eq!((response.body.len(), response.end), (BYTES, End::Clean));
    let response = slow.response().await;
    assert_eq!((response.body.len(), response.end), (BYTES, End::Clean));
    assert_eq!(origin.count("/a"), 1);
}

/// Followers wait for a head only so long, then ask themselves.
#[tokio::test]
async fn a_followers_patience_ends() {
    let gate = Gate::new();
    let origin = holding(&gate, FRESH);
    let setup = Proxy::before(&origin).table("store", "follower_timeout = \"200ms\"");
    let proxy = setup.start().await;
    let mut leader = proxy.herd(1, "/a").await;
    gate.arrived(1).await;
    let start = Instant::now();
    assert!(
        proxy.get("/a").await.is_good("hello"),
        "while the leader still waits"
    );
    assert!(start.elapsed() < DEADLINE / 2);
    gate.open();
    assert!(responses(&mut leader).await[0].is_good("hello"));
}

/// More followers than allowed are not refused: they ask themselves.
#[tokio::test]
async fn followers_are_bounded_in_number() {
    let gate = Gate::new();
    let origin = holding(&gate, FRESH);
    let proxy = Proxy::before(&origin)
        .table("store", "followers_max = 3")
        .start()
        .await;
    let mut herd = proxy.herd(10, "/a").await;
    gate.arrived(1).await;
    eventually("those beyond the bound to ask", async || {
        origin.count("/a") > 1
    })
    .await;
    gate.open();
    for response in responses(&mut herd).await {
        assert!(response.is_good("hello"), "{response:?}");
    }
}

/// A payload that may not be stored, and the page at the same URL that may.
#[tokio::test]
async fn an_uncacheable_variant_takes_no_coalescing_from_its_siblings() {
    let gate = Gate::new();
    let origin = {
        let gate = gate.clone();
        Origin::start(async move |request: &Request, connection| {
            if request.path == "/cold" {
                gate.pass().await;
            }
            let lifetime = match request.field("rsc") {
                Some(_) => "no-store",
                None => "s-maxage=600",
            };
            let fields = [("vary", "RSC"), ("cache-control", lifetime)];
            connection.respond(200, &fields, "hello").await;
        })
    };
    let proxy = Proxy::start(&origin).await;
    let payload: Fields = &[("rsc", "1")];
    // Marked by the payload, then a cold herd for the page; its payload stays marked.
    proxy.get_with("/a", payload).await;
    let mut herd = proxy.herd(20, "/a").await;
    for response in responses(&mut herd).await {
        assert_eq!(response.status, 200);
    }
    assert_eq!(
        origin.count("/a"),
        2,
        "one for the payload, one for the herd"
    );
    let response = proxy.get_with("/a", payload).await;
    assert!(
        response.says("fwd=vary-miss") || response.says("fwd=uri-miss"),
        "{response:?}"
    );

    // The payload leads, and the herd waits for it before anything is known.
    let mut leader = proxy.client().await;
    leader.request("GET", "/cold", payload).await;
    gate.arrived(1).await;
    let mut herd = proxy.herd(20, "/cold").await;
    all_wait(&mut herd).await;
    gate.open();
    leader.response().await;
    for response in responses(&mut herd).await {
        assert_eq!(response.status, 200);
    }
    assert_eq!(
        origin.count("/cold"),
        2,
        "one for the payload, one for the herd"
    );
}
