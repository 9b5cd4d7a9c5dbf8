//! One request's journey through the cache: files in order of travel, the machine in `flow.rs`.
//!
//! A [`Site`] is everything a request needs, built once from the configuration; [`Current`] is
//! the handle by which a reload swaps it. The pipeline knows no sockets and no configuration
//! files, and what HTTP means is asked of `semantics`.

mod buckets;
mod caching;
mod deliver;
mod errand;
mod exchange;
mod explain;
mod fetch;
mod filing;
mod flow;
mod limit;
mod lookup;
mod next;
mod outbound;
mod page;
mod partial;
mod pass;
mod provenance;
mod purge;
mod query;
mod receive;
mod refresh;
mod room;
mod route;
mod slices;
mod synth;
mod told;
mod wait;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;

pub use exchange::{Client, Scheme};
pub use flow::{refuse, serve};
pub use page::BadUrl;
pub use route::BadPath;
pub use synth::Refusal;

use crate::config::Config;
use crate::origin::{BadTls, Pool, Registry, Resolver};
pub use crate::origin::{Interim, Sink};
use crate::store::Store;
use crate::telemetry::{Family, Telemetry};
use limit::Bounds;
use provenance::Provenance;
use route::Routes;

/// Routes, origins, store and telemetry: all that the steps work with.
pub struct Site {
    routes: Routes,
    bounds: Bounds,
    pools: BTreeMap<Arc<str>, Arc<Pool>>,
    store: Arc<Store>,
    telemetry: Arc<Telemetry>,
    provenance: Provenance,
    purge_from: Vec<IpNet>,
    target_bytes_max: usize,
}

/// A configuration that cannot become a site.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum BadSite {
    /// A path of a route.
    Path(#[from] BadPath),
    /// The TLS of an origin.
    Tls(#[from] BadTls),
}

/// The site in force. Requests under way keep the one they began with.
pub struct Current(ArcSwap<Site>);

// === impl Site ===

impl Site {
    /// Compiles the configuration's sites over a store, telemetry and knowledge of servers that
    /// outlive them. What limits remember of their clients is taken over from the site before.
    ///
    /// # Errors
    /// What was not taken, although the configuration was checked.
    pub fn build(
        config: &Config,
        store: Arc<Store>,
        telemetry: Arc<Telemetry>,
        servers: &Registry,
        before: Option<&Self>,
    ) -> Result<Self, BadSite> {
        let resolver = Resolver::new(&config.resolver);
        let pools: BTreeMap<_, _> = config
            .origins
            .iter()
            .map(|(name, origin)| Ok((Arc::clone(name), servers.pool(origin, &resolver)?)))
            .collect::<Result<_, BadTls>>()?;
        let bounds = Bounds::new(config, before.map(|it| &it.bounds));
        let routes = Routes::build(&config.sites, &bounds, |name| pools.get(name).cloned())?;
        let provenance = Provenance::new(&config.server);
        let purge_from = config.server.purge_from.clone();
        let target_bytes_max = config.server.target_bytes_max;
        Ok(Self {
            routes,
            bounds,
            pools,
            store,
            telemetry,
            provenance,
            purge_from,
            target_bytes_max,
        })
    }

    /// The origins, by name.
    pub fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.values()
    }

    /// What the limits have counted, for a scrape.
    pub fn families(&self) -> Vec<Family> {
        self.bounds.families()
    }

    /// The origin of this name.
    pub fn pool(&self, name: &str) -> Option<&Arc<Pool>> {
        self.pools.get(name)
    }

    /// Where facts go.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Gives back what connections and memory nobody needs; to be called now and then.
    pub fn tidy(&self) {
        self.store.tidy();
        self.pools.values().for_each(|pool| pool.tidy());
    }
}

// === impl Current ===

impl Current {
    /// The first site.
    pub fn new(site: Site) -> Arc<Self> {
        site.pools().for_each(Pool::begin);
        Arc::new(Self(ArcSwap::from_pointee(site)))
    }

    /// The site in force at this moment.
    pub fn load(&self) -> Arc<Site> {
        self.0.load_full()
    }

    /// Puts another site in force. Requests under way end on the old one.
    pub fn swap(&self, site: Site) {
        let site = Arc::new(site);
        let old = self.0.swap(Arc::clone(&site));
        old.pools().for_each(|pool| pool.end());
        site.pools().for_each(Pool::begin);
    }
}
