//! Servers within this process, which are reached without a socket: for trying a configuration out.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::io::DuplexStream;

/// Connects to a server of an origin, by the origin's name.
type Connect = dyn Fn(&str) -> io::Result<DuplexStream> + Send + Sync;

/// What connects to such servers.
#[derive(Clone)]
pub struct Dialer(Arc<Connect>);

// === impl Dialer ===

impl Dialer {
    /// Connects by `connect`.
    pub fn new(connect: impl Fn(&str) -> io::Result<DuplexStream> + Send + Sync + 'static) -> Self {
        Self(Arc::new(connect))
    }

    pub(super) fn connect(&self, origin: &str) -> io::Result<DuplexStream> {
        (self.0)(origin)
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}
