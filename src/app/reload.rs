//! Reload: a new configuration becomes a whole new site, or nothing changes.
//!
//! Sites, routes, origins and caching rules are swapped; store, counters and connections go on.
//! What is bound or sized at the start (`listen`, `admin`, `store`, `log`, and `server` but for
//! `purge_from`, `trusted_proxies`, `forwarded`, `target_bytes_max` and `limit`) needs a restart, and
//! the log says so. Limits whose tables stay as they were keep their buckets. Pooled connections to
//! origins are made anew; what is known of their servers goes on.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{error, info, warn};

use crate::config::{self, Config};
use crate::origin::Registry;
use crate::pipeline::{Current, Site};
use crate::store::Store;
use crate::telemetry::Telemetry;

/// All that a reload needs.
pub(super) struct Reload {
    file: Option<PathBuf>,
    started_with: Config,
    current: Arc<Current>,
    store: Arc<Store>,
    telemetry: Arc<Telemetry>,
    servers: Registry,
    /// Of two that come at once, the later one has to read the file later. Never held across an
    /// await.
    turn: Mutex<()>,
}

// === impl Reload ===

impl Reload {
    pub(super) fn new(
        config: &Config,
        file: Option<PathBuf>,
        current: &Arc<Current>,
        store: &Arc<Store>,
        telemetry: &Arc<Telemetry>,
        servers: Registry,
    ) -> Arc<Self> {
        Arc::new(Self {
            file,
            started_with: config.clone(),
            current: Arc::clone(current),
            store: Arc::clone(store),
            telemetry: Arc::clone(telemetry),
            servers,
            turn: Mutex::default(),
        })
    }

    /// Reads the file again and puts it in force; the complaints if it was refused.
    pub(super) fn run(&self) -> Result<(), String> {
        self.telemetry.reopen();
        let _turn = self.turn.lock();
        let Some(file) = &self.file else {
            return Err("started from flags: there is no file to read again".to_owned());
        };
        let config = config::load(file).map_err(|complaints| complaints.to_string())?;
        let (store, telemetry) = (Arc::clone(&self.store), Arc::clone(&self.telemetry));
        let before = self.current.load();
        let site = Site::build(&config, store, telemetry, &self.servers, Some(&before))
            .map_err(|error| error.to_string())?;
        self.current.swap(site);
        for table in self.not_in_force(&config) {
            warn!(table, "a change here takes effect at the next start");
        }
        Ok(())
    }

    /// The same for a signal, whose sender reads the log.
    pub(super) fn run_logged(&self) {
        match self.run() {
            Ok(()) => info!("reloaded"),
            Err(complaints) => error!(%complaints, "not reloaded; the old configuration goes on"),
        }
    }

    fn not_in_force(&self, new: &Config) -> impl Iterator<Item = &'static str> {
        let old = &self.started_with;
        let mut server = old.server.clone();
        server.purge_from.clone_from(&new.server.purge_from);
        let trusted = &new.server.trusted_proxies;
        server.trusted_proxies.clone_from(trusted);
        server.forwarded = new.server.forwarded;
        server.target_bytes_max = new.server.target_bytes_max;
        server.limits.clone_from(&new.server.limits);
        [
            ("listen", old.listen != new.listen),
            ("server", server != new.server),
            ("admin", old.admin != new.admin),
            ("log", old.log != new.log),
            ("store", old.store != new.store),
        ]
        .into_iter()
        .filter_map(|(table, changed)| changed.then_some(table))
    }
}
