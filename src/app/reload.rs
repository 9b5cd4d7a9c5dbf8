//! Reload: a new configuration is put in force as a whole, or nothing changes.
//!
//! All that can fail comes first: files are read, the site is built, new addresses are bound, a new
//! access log is opened. Store, counters and what is known of servers go on, and so do the
//! connections of every listener that stays. Only the store's sizes need a restart, and the log says
//! so. Limits whose tables stay as they were keep their buckets. Pooled connections to origins are
//! made anew.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::in_force::InForce;
use super::{announce, notify, started, tell_notes};
use crate::admin::LastReload;
use crate::clock;
use crate::config::{self, Change, Config, Document};
use crate::origin::Registry;
use crate::pipeline::{Current, Site};
use crate::server::{Bound, Drain};
use crate::store::Store;
use crate::telemetry::Telemetry;

/// All that a reload needs.
pub(super) struct Reload {
    pub(super) file: Option<PathBuf>,
    /// The table of the start, which stays in force.
    pub(super) store_table: config::Store,
    pub(super) current: Arc<Current>,
    pub(super) store: Arc<Store>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) servers: Registry,
    pub(super) drain: Drain,
    /// Of two reloads that come at once, the later one has to read the file later. Held as long as
    /// one takes, so it is never taken by a thread that serves.
    pub(super) in_force: Mutex<InForce>,
    /// Held for a look or a change.
    pub(super) loaded: Mutex<Loaded>,
}

/// What was loaded last, for people.
pub(super) struct Loaded {
    document: Document,
    is_good: bool,
    since: SystemTime,
}

// === impl Reload ===

impl Reload {
    /// Opens what the first configuration wants. Fails with the name of what cannot be had.
    pub(super) fn open(&self, config: &Config) -> anyhow::Result<()> {
        let mut in_force = self.in_force.lock();
        let next = in_force.plan(config)?;
        in_force.carry_out(next);
        Ok(())
    }

    /// All that listens, in the order of the configuration; the admin's last.
    pub(super) fn bound(&self) -> Vec<Bound> {
        self.in_force.lock().bound()
    }

    /// Reads the file again and puts it in force; the complaints if it was refused. It reads files
    /// and waits for its turn: for a thread that may.
    pub(super) fn run(&self) -> Result<Vec<Change>, String> {
        self.telemetry.reopen();
        let mut in_force = self.in_force.lock();
        if self.drain.has_begun() {
            return Err("draining: nothing new is begun".to_owned());
        }
        notify::reloading();
        let changes = self.load(&mut in_force);
        self.loaded.lock().is_good = changes.is_ok();
        let bound = in_force.bound();
        notify::ready(&started::status(&bound, changes.is_ok()));
        changes
    }

    fn load(&self, in_force: &mut InForce) -> Result<Vec<Change>, String> {
        let Some(file) = &self.file else {
            return Err("started from flags: there is no file to read again".to_owned());
        };
        let config = in_force
            .read(file)
            .map_err(|complaints| complaints.to_string())?;
        let opened = self.put_in_force(&config, in_force);
        tell_notes(&config);
        announce(&opened.map_err(|error| format!("{error:#}"))?);
        if config.store != self.store_table {
            let table = "store";
            warn!(table, "a change here takes effect at the next start");
        }
        let mut loaded = self.loaded.lock();
        let changes = loaded.document.changes(&config.document);
        loaded.document = config.document;
        loaded.document.set_store(&self.store_table);
        loaded.since = clock::now();
        Ok(changes)
    }

    /// What is in force, as it was written.
    pub(super) fn document(&self) -> Document {
        self.loaded.lock().document.clone()
    }

    /// How the last load ended.
    pub(super) fn last(&self) -> LastReload {
        let loaded = self.loaded.lock();
        LastReload {
            is_good: loaded.is_good,
            in_force_since: loaded.since,
        }
    }

    fn put_in_force(&self, config: &Config, in_force: &mut InForce) -> anyhow::Result<Vec<Bound>> {
        let (store, telemetry) = (Arc::clone(&self.store), Arc::clone(&self.telemetry));
        let before = self.current.load();
        let site = Site::build(config, store, telemetry, &self.servers, Some(&before))?;
        let next = in_force.plan(config)?;
        self.current.swap(site);
        Ok(in_force.carry_out(next))
    }

    /// The same for a signal, whose sender reads the log.
    pub(super) async fn run_logged(self: &Arc<Self>) {
        let reload = Arc::clone(self);
        let run = spawn_blocking(move || reload.run()).await;
        match run.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(changes) => info!(changes = changes.len(), "reloaded"),
            Err(complaints) => error!(%complaints, "not reloaded; the old configuration goes on"),
        }
    }

    /// Waits, once the drain has begun, until what the kernel has accepted is taken.
    pub(super) async fn accepted(self: &Arc<Self>) {
        let reload = Arc::clone(self);
        let accepting = spawn_blocking(move || reload.in_force.lock().accepting()).await;
        if let Ok(accepting) = accepting {
            accepting.join_all().await;
        }
    }
}

// === impl Loaded ===

impl Loaded {
    /// What the process was started with.
    pub(super) fn first(config: &Config) -> Self {
        Self {
            document: config.document.clone(),
            is_good: true,
            since: clock::now(),
        }
    }
}
