//! A lookup in a store of [`OBJECTS`] small objects: more than the processor's caches hold.

use std::hint::black_box;
use std::sync::Arc;

use copal::config::{Config, Flags};
use copal::semantics::freshness::Term;
use copal::semantics::key::{KeyBuf, Scheme};
use copal::semantics::vary::{Selecting, Variant};
use copal::store::{Claim, Found, Head, Laggards, Store, Writer};
use criterion::{BatchSize, Criterion};
use http::{HeaderMap, StatusCode};

use super::messages::{LIFETIME, answered_at, request, response};

const OBJECTS: usize = 50_000;

pub(crate) fn run(criterion: &mut Criterion) {
    let (store, request, now) = (filled(), request(), answered_at());
    let mut group = criterion.benchmark_group("lookup");
    // A stride that shares no factor with the number of objects visits all, none soon again.
    let mut number = 0;
    let mut next = |kind| {
        number = (number + 7919) % OBJECTS;
        key(kind, number)
    };
    for (name, kind, expected) in [("hit", "page", true), ("absent", "none", false)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || next(kind),
                |key| {
                    let found = store.find(&key, black_box(&Selecting::by(&request)), now);
                    assert_eq!(matches!(found, Found::Object(_)), expected);
                },
                // As few as stay in the processor's nearest cache, like the key of a request.
                BatchSize::NumIterations(32),
            );
        });
    }
    group.finish();
}

/// A store that holds `/page/0` and so on.
fn filled() -> Arc<Store> {
    let flags = Flags {
        listen: vec!["127.0.0.1:0".to_owned()],
        origins: vec!["http://127.0.0.1:1".to_owned()],
        ..Flags::default()
    };
    let config = Config::from_flags(&flags).expect("flags that are right");
    let store = Store::new(&config.store);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let head = Head::pack(StatusCode::OK, &response()).expect("short fields");
    runtime.block_on(async {
        for number in 0..OBJECTS {
            fill(&store, &key("page", number), head.clone()).await;
        }
    });
    store.tidy();
    assert_eq!(store.stats().objects, OBJECTS as u64);
    store
}

/// What a fetch does on a miss, without an origin.
async fn fill(store: &Arc<Store>, key: &KeyBuf, head: Head) {
    const BODY: &[u8] = &[b'x'; 100];
    let claim = store.claim(&key.to_key(), &Selecting::by(&HeaderMap::new()), |_| true);
    let Claim::Leader(leader) = claim else {
        panic!("the only request for this key leads");
    };
    let admission = leader.admit(Some(BODY.len() as u64)).expect("room for it");
    let term = Term::new(answered_at(), LIFETIME);
    let (mut filler, _, _) = leader.begin(
        admission,
        head,
        term,
        Variant::default(),
        true,
        Laggards::default(),
    );
    filler.push(BODY).await.expect("a wanted body");
    filler.complete();
}

fn key(kind: &str, number: usize) -> KeyBuf {
    KeyBuf::new(Scheme::Http, "shop.example", &format!("/{kind}/{number}"))
}
