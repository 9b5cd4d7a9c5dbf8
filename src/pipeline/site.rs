//! Site: all that requests are served with, built once from a configuration, and the handle by which a
//! reload swaps it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use http::{HeaderMap, StatusCode};

use super::client::TrustedProxies;
use super::gate::{Gatekeeper, Switches};
use super::login::Logins;
use super::request_id::RequestIds;
use super::route::limit::Bounds;
use super::route::{BadPath, Destination, Parts, Routes};
use super::tunnel::Tunnels;
use crate::clock;
use crate::config::{self, Config};
use crate::origin::{BadTls, Pool, Registry, Resolver};
use crate::semantics::hop::Hop;
use crate::semantics::key::Key;
use crate::semantics::reference::Target;
use crate::semantics::tags::TagRule;
use crate::store::{How, Invalidation, Origin, Store, What};
use crate::telemetry::{Family, Telemetry};

/// Routes, origins, store and telemetry: all that the steps work with.
pub struct Site {
    pub(super) routes: Routes,
    pub(super) bounds: Bounds,
    pools: BTreeMap<Arc<str>, Arc<Pool>>,
    pub(super) store: Arc<Store>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) trusted_proxies: TrustedProxies,
    pub(super) request_ids: RequestIds,
    /// What we are called.
    pub(super) hop: Hop,
    pub(super) server: config::Server,
    pub(super) tunnels: Tunnels,
    pub(super) gatekeeper: Arc<Gatekeeper>,
    pub(super) logins: Arc<Logins>,
    pub(super) switches: Switches,
    /// Whether another has taken its place.
    is_replaced: AtomicBool,
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

/// One connection's handle of the site in force. Its requests clone it without touching memory that
/// those of other connections touch.
#[derive(Clone)]
pub struct SiteHandle(Arc<Held>);

struct Held(Arc<Site>);

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
            .map(|(name, origin)| Ok((Arc::clone(name), Pool::new(origin, servers, &resolver)?)))
            .collect::<Result<_, BadTls>>()?;
        let bounds = Bounds::new(config, before.map(|it| &it.bounds));
        let parts = Parts {
            bounds: &bounds,
            pool: &|name| pools.get(name).cloned(),
            number: &|name| telemetry.metrics.site(name),
            tally: &|name| telemetry.rules.tally(name),
        };
        let routes = Routes::build(&config.sites, &config.rules, &parts)?;
        let trusted_proxies = TrustedProxies::new(&config.server);
        Ok(Self {
            routes,
            bounds,
            pools,
            store,
            telemetry,
            trusted_proxies,
            request_ids: RequestIds::new(&config.server),
            hop: Hop::new(&config.name),
            server: config.server.clone(),
            tunnels: before.map(|it| it.tunnels.clone()).unwrap_or_default(),
            logins: before.map(|it| Arc::clone(&it.logins)).unwrap_or_default(),
            switches: Switches::new(config),
            gatekeeper: before
                .map(|it| Arc::clone(&it.gatekeeper))
                .unwrap_or_default(),
            is_replaced: AtomicBool::new(false),
        })
    }

    /// The origins, by name.
    pub fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.values()
    }

    /// What the limits and the gates have counted, and tunnels, for a scrape.
    pub fn families(&self) -> Vec<Family> {
        let mut families = self.bounds.families();
        families.extend(self.tunnels.families(self.server.tunnels_max));
        families.extend(self.gatekeeper.families());
        families
    }

    /// What stands before the action of a route; `None` where nothing does.
    pub(super) fn gate<'a>(
        &'a self,
        destination: Option<&'a Destination>,
    ) -> Option<&'a config::Gate> {
        match destination {
            Some(it) => self.routes.scope(it).gate.as_deref(),
            None => Some(&self.server.gate).filter(|it| !it.is_open()),
        }
    }

    /// The origin of this name.
    pub fn pool(&self, name: &str) -> Option<&Arc<Pool>> {
        self.pools.get(name)
    }

    /// What clients may ask, how much and for how long.
    pub fn server(&self) -> &config::Server {
        &self.server
    }

    /// Whether another site is in force by now.
    pub fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Acquire)
    }

    /// Where facts go.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Where targets have moved to, by a map of their site or route.
    pub(super) fn redirects<'a>(
        &'a self,
        destination: Option<&'a Destination>,
    ) -> Option<&'a config::Redirects> {
        self.gate(destination)?.redirects.as_deref()
    }

    /// Forgets what is meant, and tells how many objects that were, where it is known.
    pub fn invalidate(&self, invalidation: &Invalidation) -> Option<u64> {
        let key_of = |target: &Target| {
            let (scheme, authority) = (target.scheme, &target.authority);
            self.key_of(scheme, authority, &target.path_and_query)
        };
        self.store.invalidate(invalidation, key_of, clock::now())
    }

    /// Has gone what an answer says that it has changed, within its own origin: no site purges another's.
    pub(super) fn heed(
        &self,
        rule: &TagRule,
        key: &[u8],
        status: StatusCode,
        fields: &HeaderMap,
        is_unsafe: bool,
    ) {
        // RFC 9111 §4.4: only "a non-error status code" says that something has been changed.
        let is_good = status.is_success() || status.is_redirection();
        if !is_good || !rule.is_heard(is_unsafe) {
            return;
        }
        let tags = rule.purged(fields, is_unsafe);
        if !tags.is_empty() {
            let key = Key::from(key);
            let origin = Origin {
                scheme: key.scheme(),
                authority: String::from_utf8_lossy(key.authority()).into_owned(),
            };
            let (what, how) = (What::TagsOf(origin, tags), How::Hard);
            self.invalidate(&Invalidation { what, how });
        }
    }

    /// Gives back what connections and memory nobody needs, and looks for files that begin a
    /// maintenance; to be called now and then.
    pub fn tidy(&self) {
        self.switches.look();
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

    /// A handle of the site in force, for one connection.
    pub fn handle(&self) -> SiteHandle {
        SiteHandle::from(self.load())
    }

    /// Puts another site in force. Requests under way end on the old one.
    pub fn swap(&self, site: Site) {
        let site = Arc::new(site);
        let old = self.0.swap(Arc::clone(&site));
        old.is_replaced.store(true, Ordering::Release);
        old.pools().for_each(|pool| pool.end());
        site.pools().for_each(Pool::begin);
    }
}

// === impl SiteHandle ===

impl SiteHandle {
    /// Moves on to the site in force, if that is another by now.
    pub fn renew(&mut self, current: &Current) {
        if self.is_replaced() {
            *self = current.handle();
        }
    }

    /// The site, for what outlives the request.
    pub(super) fn site(&self) -> &Arc<Site> {
        &self.0.0
    }
}

impl From<Arc<Site>> for SiteHandle {
    fn from(site: Arc<Site>) -> Self {
        Self(Arc::new(Held(site)))
    }
}

impl Deref for SiteHandle {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.0.0
    }
}
