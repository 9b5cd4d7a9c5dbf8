//! The cache key: its authority brought to normal form, the key built, and the key kept.

use std::hint::black_box;

use copal::semantics::key::{KeyBuf, Scheme, normal_authority};
use criterion::Criterion;

const SHORT: &str = "/products/4711?colour=blue";

pub(crate) fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("key");
    for (name, host) in [
        ("authority/normal", "shop.example:8080"),
        ("authority/upper_case", "Shop.Example:8080"),
        ("authority/default_port", "shop.example:80"),
        ("authority/ipv6", "[2001:db8::1]:8080"),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| normal_authority(black_box(host), Scheme::Http));
        });
    }
    let long = format!("/search?q={}", "a".repeat(1000));
    for (name, path) in [("new/short", SHORT), ("new/spilled", &long)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                KeyBuf::new(
                    Scheme::Http,
                    black_box("shop.example:8080"),
                    black_box(path),
                )
            });
        });
    }
    let asked = KeyBuf::new(Scheme::Http, "shop.example:8080", SHORT);
    group.bench_function("to_key", |bencher| {
        bencher.iter(|| black_box(&asked).to_key());
    });
    group.finish();
}
