//! What is known of servers, kept over reloads: who has the same origin and authority is the same.
//!
//! It keeps nothing alive. A reload builds the new pools while the old ones are in force, and a
//! server that is in neither is forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Pool;
use super::bell::Bell;
use super::overload::Overload;
use super::tls::BadTls;
use super::vitals::Vitals;
use crate::clock;
use crate::config;

/// All servers of all pools that are alive, and their origins.
#[derive(Debug, Default)]
pub struct Registry {
    servers: Mutex<HashMap<Name, Weak<Vitals>>>,
    origins: Mutex<HashMap<Arc<str>, Weak<Overload>>>,
}

/// An origin's name and a server's authority.
type Name = (Arc<str>, Arc<str>);

// === impl Registry ===

impl Registry {
    /// A pool for `config` that goes on with what is known of its servers. It is not yet in force:
    /// see [`Pool::begin`].
    ///
    /// # Errors
    /// The origin's `tls` table cannot be used.
    pub fn pool(&self, config: &config::Origin) -> Result<Arc<Pool>, BadTls> {
        let overload = self.overload(&config.name);
        Pool::new(config, self.enter(config, &overload.moved), overload)
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

    /// What is known of each server of an origin. One that is added to an origin at work starts
    /// slowly; at the start of the process there is none at work.
    fn enter(&self, config: &config::Origin, moved: &Arc<Bell>) -> Vec<Arc<Vitals>> {
        let mut known = self.servers.lock();
        known.retain(|_, vitals| vitals.strong_count() > 0);
        let is_at_work = known.keys().any(|(origin, _)| *origin == config.name);
        let enter = |server: &config::OriginServer| {
            let authority: Arc<str> = server.url.authority().into();
            let name = (Arc::clone(&config.name), Arc::clone(&authority));
            if let Some(vitals) = known.get(&name).and_then(Weak::upgrade) {
                return vitals;
            }
            let vitals = Arc::new(Vitals::new(authority, Arc::clone(moved)));
            if is_at_work {
                vitals.standing.lock().come_in(clock::instant());
            }
            known.insert(name, Arc::downgrade(&vitals));
            vitals
        };
        config.servers.iter().map(enter).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::standing::State;
    use super::*;

    fn origin(name: &str, servers: &str) -> config::Origin {
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:0\"\n[origins.{name}]\nservers = [{servers}]\n\
             slow_start = \"10s\"\n[[site]]\nhosts = [\"*\"]\norigin = \"{name}\"\n"
        );
        let mut config = config::parse(&text, "f").expect("a configuration");
        config.origins.remove(name).expect("the one origin")
    }

    fn pool(registry: &Registry, name: &str, servers: &str) -> Arc<Pool> {
        registry
            .pool(&origin(name, servers))
            .expect("no TLS to fail")
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_outlives_a_pool_as_long_as_another_has_it() {
        let (one, both) = ("\"http://a\"", "\"http://a\", \"http://b\"");
        let registry = Registry::default();
        let first = pool(&registry, "x", one);
        first.adjust("a:80", Some(State::Drain), Some(Some(7)));
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
