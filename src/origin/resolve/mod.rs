//! DNS names of servers, and what is known of them: looked up in the background, as often as the
//! TTL of the answers wants.
//!
//! A request never waits for a lookup but for the first. What becomes of the answers is not said
//! here: `dial/` connects to the addresses of one server, `discovery/` makes servers of them.

mod answer;
mod resolver;
mod watch;

use std::sync::Arc;

pub(super) use answer::{Endpoint, Record};
pub use resolver::Resolver;
pub use watch::LookupStats;
pub(super) use watch::{Known, Name, Names};

/// What is asked of a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// Its addresses, of both families.
    Addresses(Arc<str>),
    /// Its SRV records, and the addresses of their targets (RFC 2782).
    Service(Arc<str>),
}

// === impl Question ===

impl Question {
    /// The name.
    pub(super) fn name(&self) -> &Arc<str> {
        match self {
            Self::Addresses(name) | Self::Service(name) => name,
        }
    }
}
