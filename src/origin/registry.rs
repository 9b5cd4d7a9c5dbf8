//! What is known of servers, kept over reloads: who has the same origin and authority is the same.
//!
//! It keeps nothing alive. A reload builds the new pools while the old ones are in force, and a
//! server that is in neither is forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Pool;
use super::dial::tls::BadTls;
use super::discovery::Discovery;
use super::overload::Overload;
use super::resolve::{Names, Resolver};
use super::server::Vitals;
use crate::clock;
use crate::config;

/// All servers of all pools that are alive, their origins, and all names that lead to servers.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    servers: Arc<Mutex<HashMap<Id, Weak<Vitals>>>>,
    origins: Arc<Mutex<HashMap<Arc<str>, Weak<Overload>>>>,
    names: Arc<Names>,
}

/// An origin's name and a server's authority.
type Id = (Arc<str>, Arc<str>);

// === impl Registry ===

impl Registry {
    /// A pool for `config` that goes on with what is known of its servers, and has names looked up
    /// by `resolver`. It is not yet in force: see [`Pool::begin`].
    ///
    /// # Errors
    /// The origin's `tls` table cannot be used.
    pub fn pool(
        &self,
        config: &config::Origin,
        resolver: &Arc<Resolver>,
    ) -> Result<Arc<Pool>, BadTls> {
        // Held from here on, so that the servers find this one and no other.
        let overload = self.overload(&config.name);
        Pool::new(config, Discovery::new(config, self, resolver)?, overload)
    }

    /// The names of servers.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// What is known of an origin as a whole.
    fn overload(&self, origin: &Arc<str>) -> Arc<Overload> {
        let mut known = self.origins.lock();
        known.retain(|_, overload| overload.strong_count() > 0);
        if let Some(overload) = known.get(origin).and_then(Weak::upgrade) {
            return overload;
        }
        let overload = Arc::default();
        known.insert(Arc::clone(origin), Arc::downgrade(&overload));
        overload
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
        let overload = self.overload(origin);
        let mut known = self.servers.lock();
        known.retain(|_, vitals| vitals.strong_count() > 0);
        let id = (Arc::clone(origin), Arc::clone(server));
        if let Some(vitals) = known.get(&id).and_then(Weak::upgrade) {
            return vitals;
        }
        let vitals = Vitals::new(Arc::clone(server), Arc::clone(&overload.moved));
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
    use super::*;

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
        registry.pool(&config, &resolver).expect("no TLS to fail")
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
