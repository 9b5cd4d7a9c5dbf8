//! File descriptors of the process: as many as it may have, and how they are shared out.
//!
//! A connection is one, whoever is at its other end. Idle clients must not take those that the
//! operator and the origins need: liveness probes would fail, and servers would be blamed for what we
//! lack. So there are no more clients than leave enough of them.

use rustix::process::{Resource, getrlimit, setrlimit};
use tracing::{info, warn};

use crate::config::{Config, Origin, OriginServer, Resolve};

/// What the process has open by itself: standard streams, the reactor, signals, logs, files that are
/// read, lookups.
const OWN: u64 = 20;
/// Connections of operators and scrapers at once.
const ADMIN_MAX: u64 = 64;
/// A client, a server and an operator: with fewer nothing can be done.
const SPARE_MIN: u64 = 3;

/// As many as the process may have.
#[derive(Clone, Copy, Debug)]
pub struct Descriptors {
    limit: u64,
}

/// The process may have fewer than it needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the process may open {limit} files, and needs {needed} at least for its listeners, its probes \
     and itself; raise the limit, with `ulimit -n` or `LimitNOFILE=`"
)]
pub struct TooFew {
    limit: u64,
    needed: u64,
}

/// How they are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// Connections of clients at once.
    pub(super) clients: usize,
    /// Connections to servers at once.
    pub(super) origins: usize,
    /// Connections to the admin listener at once.
    pub(super) admin: usize,
}

// === impl Descriptors ===

impl Descriptors {
    /// Raises the limit as far as the process may, which costs nothing: we wait by epoll, to which
    /// high numbers are as good as low ones.
    ///
    /// # Errors
    /// [`TooFew`], where the listeners of `config` cannot be opened, or nobody could connect.
    pub fn claim(config: &Config) -> Result<Self, TooFew> {
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            let before = limit.current;
            limit.current = limit.maximum;
            if let Err(error) = setrlimit(Resource::Nofile, limit) {
                warn!(%error, "the limit of open files cannot be raised");
                limit.current = before;
            }
        }
        let limit = limit.current.unwrap_or(u64::MAX);
        let claimed = Self { limit };
        claimed.shares(config)?;
        Ok(claimed)
    }

    /// What is left for whom, by this configuration.
    ///
    /// # Errors
    /// [`TooFew`], where nothing is.
    pub(super) fn shares(self, config: &Config) -> Result<Shares, TooFew> {
        let needed = needed(config);
        let too_few = TooFew {
            limit: self.limit,
            needed: needed + SPARE_MIN,
        };
        let spare = self.limit.checked_sub(needed).ok_or(too_few.clone())?;
        if spare < SPARE_MIN {
            return Err(too_few);
        }
        let wanted = config.server.connections_max as u64;
        Ok(share(spare, wanted, for_origins(config)))
    }

    /// Says how many connections there may be.
    pub(super) fn tell(self, config: &Config, shares: Shares) {
        let (descriptors, connections_max) = (self.limit, shares.clients);
        let configured = config.server.connections_max;
        if connections_max < configured {
            warn!(
                descriptors,
                connections_max,
                configured,
                "the limit of open files allows fewer connections than configured"
            );
        } else {
            info!(
                descriptors,
                connections_max, "file descriptors are sufficient"
            );
        }
    }
}

/// What is open whoever connects.
fn needed(config: &Config) -> u64 {
    let listeners = config.listen.len() + usize::from(config.admin.is_some());
    let asked = |it: &&Origin| it.health.is_some() || it.agent.is_some();
    let asked = config.origins.values().filter(asked);
    let asked: usize = asked.map(|it| it.servers.len()).sum();
    OWN + (listeners + asked) as u64
}

/// As many connections as servers may have.
fn for_origins(config: &Config) -> u64 {
    let of_origin = |it: &Origin| {
        let is_one = |it: &OriginServer| it.resolve == Resolve::One;
        let found = match it.servers.iter().all(is_one) {
            true => 0,
            false => it.servers_max,
        };
        (it.servers.len() + found).saturating_mul(it.connections_max)
    };
    let all = config.origins.values().map(of_origin);
    all.fold(0, |sum: u64, it| sum.saturating_add(it as u64))
}

/// A client wants one server at a time at the most, so what is enough for each is enough for all.
fn share(spare: u64, wanted: u64, for_origins: u64) -> Shares {
    let admin = (spare / 8).clamp(1, ADMIN_MAX);
    let room = spare - admin;
    let for_origins = for_origins.min(wanted).min(room / 2);
    let fitting = |it: u64| usize::try_from(it).unwrap_or(usize::MAX);
    let clients = wanted.min(room - for_origins);
    Shares {
        clients: fitting(clients),
        origins: fitting(room - clients),
        admin: fitting(admin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_enough_for_origins_and_operators() {
        // (spare, configured, connections to servers; clients, operators)
        for (spare, wanted, for_origins, clients, admin) in [
            (3, 16_384, 1024, 1, 1),
            (42, 16_384, 1024, 19, 5),
            (42, 10, 1024, 10, 5),
            (42, 16_384, 2, 35, 5),
            (1000, 16_384, 1024, 468, 64),
            (20_000, 16_384, 1024, 16_384, 64),
            (17_000, 16_384, 1024, 15_912, 64),
            (1_000_000, 16_384, 100_000, 16_384, 64),
            (1 << 40, 1 << 24, u64::MAX, 1 << 24, 64),
        ] {
            let shares = share(spare, wanted, for_origins);
            let of = (shares.clients, shares.admin);
            assert_eq!(of, (clients, admin), "{spare} {wanted} {for_origins}");
            let all = shares.clients + shares.origins + shares.admin;
            assert_eq!(all as u64, spare, "nothing is left over");
        }
    }
}
