//! Note of the start: one line with what an operator asks first, and the same in short for the service
//! manager.

use std::path::Path;

use tracing::info;

use crate::config::Config;
use crate::server::{Bound, Server};

/// Whose memory the process allocates from: the binary's feature decides.
pub(super) const ALLOCATOR: &str = match cfg!(feature = "jemalloc") {
    true => "jemalloc",
    false => "system",
};

/// Says what was started, with what limits.
pub(super) fn tell(config: &Config, file: Option<&Path>, bound: &[Bound], server: &Server) {
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let file = file.map_or_else(
        || "none: from flags".to_owned(),
        |it| it.display().to_string(),
    );
    info!(
        version = env!("CARGO_PKG_VERSION"),
        file,
        listeners = listeners(bound),
        memory = mib(config.store.memory_bytes),
        fill_memory = mib(config.store.fill_bytes_max),
        connections_max = server.connections_max(),
        open_files_max = open_files_max(),
        allocator = ALLOCATOR,
        "started"
    );
}

/// How it is, for `systemctl status`.
pub(super) fn status(bound: &[Bound], is_as_written: bool) -> String {
    let listeners = listeners(bound);
    match is_as_written {
        true => format!("listening: {listeners}"),
        false => format!("not reloaded, the old configuration goes on; listening: {listeners}"),
    }
}

fn listeners(bound: &[Bound]) -> String {
    let bound = bound
        .iter()
        .map(|(protocol, address)| format!("{protocol} {address}"));
    bound.collect::<Vec<_>>().join(", ")
}

/// The soft limit of open files, where the kernel tells it.
fn open_files_max() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let rest = limits
        .lines()
        .find_map(|it| it.strip_prefix("Max open files"))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}
