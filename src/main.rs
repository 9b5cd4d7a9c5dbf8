//! The `copal` binary: arguments, one command, an exit code.

use std::process::ExitCode;

use clap::Parser;
use copal::cli::Cli;

/// Under a cache's churn of shifting sizes jemalloc keeps the least memory beyond what lives;
/// docs/performance.md has the figures.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Memory that was freed goes back to the system after a second instead of ten, by a thread of
/// jemalloc's own: what a burst of connections took should not look like what the cache holds.
#[cfg(feature = "jemalloc")]
#[allow(
    unsafe_code,
    reason = "jemalloc finds its settings by this symbol's name"
)]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &[u8; 60] =
    b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> ExitCode {
    Cli::parse().run()
}
