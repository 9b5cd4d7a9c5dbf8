//! Times of single functions on the hit path, by criterion: `cargo bench -p copal-micro`, or one
//! theme with `cargo bench -p copal-micro -- hit/`. One binary, so that the release profile links it once.
//!
//! They tell which part of a hit has become slower, not what a server does under load: sockets,
//! hyper and the kernel take most of a request's time, and `load.sh` measures them.

use std::time::Duration;

use criterion::Criterion;

mod messages;

mod freshness;
mod key;

mod lookup;

mod hit;

/// The proxy's own allocator: another would time another program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    key::run(&mut criterion);
    freshness::run(&mut criterion);
    lookup::run(&mut criterion);
    hit::run(&mut criterion);
    criterion.final_summary();
}
