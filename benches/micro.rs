//! Times of single functions on the hit path, by criterion: `cargo bench`, or one theme with
//! `cargo bench --bench micro -- hit/`. One binary, so that the release profile links it once.
//!
//! They tell which part of a hit has become slower, not what a server does under load: sockets,
//! hyper and the kernel take most of a request's time, and `load.sh` measures them.

use std::time::Duration;

use criterion::Criterion;

/// One file per theme, from the ground up.
mod micro {
    pub(super) mod messages;

    pub(super) mod freshness;
    pub(super) mod key;

    pub(super) mod lookup;

    pub(super) mod hit;
}

/// The proxy's own allocator: another would time another program.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    micro::key::run(&mut criterion);
    micro::freshness::run(&mut criterion);
    micro::lookup::run(&mut criterion);
    micro::hit::run(&mut criterion);
    criterion.final_summary();
}
