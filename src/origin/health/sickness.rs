//! Log of servers that turn sick and are well again, by the word of their clients' requests.
//!
//! When that is stands in `server/health.rs`. Nothing follows for the weights.

use tracing::warn;

use super::servers::Servers;
use crate::origin::server::{Ailment, Vitals};

// === impl Servers: sickness ===

impl Servers {
    /// A request to a server has ended. The end of an illness is as grave as its beginning: who is told
    /// of the one waits for the other.
    pub(super) fn diagnose(&self, vitals: &Vitals, ended: Result<(), Ailment>) {
        let (origin, server) = (&*self.origin, &*vitals.authority);
        match ended {
            Ok(()) if vitals.health.recover() => warn!(origin, server, "server well again"),
            Ok(()) => {}
            Err(why) if vitals.health.fail(why) => warn!(origin, server, %why, "server sick"),
            Err(_) => {}
        }
    }

    /// A probe of a server went well.
    pub(super) fn reprieve(&self, vitals: &Vitals) {
        if vitals.health.reprieve() {
            let (origin, server) = (&*self.origin, &*vitals.authority);
            warn!(origin, server, "server well again, by its probes");
        }
    }
}
