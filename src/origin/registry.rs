//! Registry of what is known of servers, kept over reloads: same origin and authority, same server.
//!
//! It keeps nothing alive. A reload builds the new pools while the old ones are in force, and a
//! server that is in neither is forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::dial::Dialer;
use super::handover::InForce;
use super::overload::OverloadState;
use super::permit::Ceiling;
use super::resolve::Names;
use super::server::Vitals;
use crate::clock;

/// All servers of all pools that are alive, their origins, and all names that lead to servers.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    servers: Arc<Mutex<HashMap<Id, Weak<Vitals>>>>,
    origins: Arc<Mutex<HashMap<Arc<str>, Origin>>>,
    names: Arc<Names>,
    ceiling: Arc<Ceiling>,
    /// How servers are reached that are in this process.
    dialer: Option<Dialer>,
}

/// An origin's name and a server's authority.
type Id = (Arc<str>, Arc<str>);

/// What is known of an origin as a whole; its pools hold both.
type Origin = (Weak<OverloadState>, Weak<InForce>);

// === impl Registry ===

impl Registry {
    /// Changes how many connections to servers there may be in all, for which the process has file
    /// descriptors.
    pub fn limit_connections(&self, max: usize) {
        self.ceiling.limit(max);
    }

    /// The same, by which all servers are reached without a socket.
    #[must_use]
    pub fn dialling(self, dialer: Dialer) -> Self {
        let dialer = Some(dialer);
        Self { dialer, ..self }
    }

    /// The way to servers in this process, if that is where they are.
    pub(super) fn dialer(&self) -> Option<&Dialer> {
        self.dialer.as_ref()
    }

    /// The names of servers.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// What is known of an origin as a whole.
    pub(super) fn origin(&self, name: &Arc<str>) -> (Arc<OverloadState>, Arc<InForce>) {
        let mut known = self.origins.lock();
        known.retain(|_, (overload, _)| overload.strong_count() > 0);
        let alive = known.get(name).and_then(|(overload, in_force)| {
            let overload = overload.upgrade()?;
            Some((overload, in_force.upgrade()?))
        });
        alive.unwrap_or_else(|| {
            let (overload, in_force) = (Arc::default(), Arc::default());
            let weak = (Arc::downgrade(&overload), Arc::downgrade(&in_force));
            known.insert(Arc::clone(name), weak);
            (overload, in_force)
        })
    }

    /// Whether an origin has servers already. At the start of the process it has none.
    pub(super) fn is_at_work(&self, origin: &str) -> bool {
        let servers = self.servers.lock();
        let is_alive = |it: &Weak<Vitals>| it.strong_count() > 0;
        servers
            .iter()
            .any(|((of, _), vitals)| **of == *origin && is_alive(vitals))
    }

    /// What is known of a server of an origin. One of which nothing is known may come in slowly.
    pub(super) fn enter(&self, origin: &Arc<str>, server: &Arc<str>, slowly: bool) -> Arc<Vitals> {
        let (overload, _) = self.origin(origin);
        let mut known = self.servers.lock();
        known.retain(|_, vitals| vitals.strong_count() > 0);
        let id = (Arc::clone(origin), Arc::clone(server));
        if let Some(vitals) = known.get(&id).and_then(Weak::upgrade) {
            return vitals;
        }
        let (moved, ceiling) = (Arc::clone(&overload.moved), Arc::clone(&self.ceiling));
        let vitals = Vitals::new(Arc::clone(origin), Arc::clone(server), moved, ceiling);
        let vitals = Arc::new(vitals);
        if slowly {
            vitals.standing.lock().come_in(clock::instant());
        }
        known.insert(id, Arc::downgrade(&vitals));
        vitals
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::server::State;
    use super::super::{Pool, Resolver};
    use super::*;
    use crate::config;

    fn origin(name: &str, servers: &str) -> (config::Origin, Arc<Resolver>) {
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\n[origins.{name}]\nservers = [{servers}]\n\
             slow_start = \"10s\"\n[[site]]\nhosts = [\"*\"]\norigin = \"{name}\"\n"
        );
        let mut config = config::parse(&text, "f").expect("a configuration");
        let resolver = Resolver::new(&config.resolver);
        (
            config.origins.remove(name).expect("the one origin"),
            resolver,
        )
    }

    fn pool(registry: &Registry, name: &str, servers: &str) -> Arc<Pool> {
        let (config, resolver) = origin(name, servers);
        Pool::new(&config, registry, &resolver).expect("no TLS to fail")
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_outlives_a_pool_as_long_as_another_has_it() {
        let (one, both) = ("\"http://a\"", "\"http://a\", \"http://b\"");
        let registry = Registry::default();
        let first = pool(&registry, "x", one);
        first.adjust("a:80", Some(Some(State::Drain)), Some(Some(7)));
        let second = pool(&registry, "x", both);
        drop(first);
        let stats = second.stats();
        assert_eq!((stats[0].state, stats[0].weight), (State::Drain, 7));
        assert_eq!(stats[1].effective_weight, 10, "who is added starts slowly");
        let other = pool(&registry, "y", one).stats();
        assert_eq!(
            (other[0].state, other[0].effective_weight),
            (State::Ready, 100)
        );
        drop(second);
        let third = pool(&registry, "x", both).stats();
        assert_eq!(
            (third[0].state, third[1].effective_weight),
            (State::Ready, 100)
        );
        assert_eq!(third[0].latency, Duration::ZERO);
    }
}
