//! Which server gets the next request: one trait, one file per algorithm.
//!
//! A balancer picks an index and knows nothing of connections, retries or health.

mod round_robin;

pub(super) use round_robin::RoundRobin;

/// A way to choose among servers.
pub(super) trait Balance: Send + Sync {
    /// The index of the server for the next request, out of `servers` of them.
    fn pick(&self, servers: usize) -> usize;
}
