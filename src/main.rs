//! The `copal` binary: arguments, one command, an exit code.

use std::process::ExitCode;

use clap::Parser;
use copal::cli::Cli;

/// Measured against glibc and mimalloc under a cache's churn of shifting sizes, jemalloc keeps
/// the least memory beyond what lives (docs/performance.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
