//! Top floor: it builds everything once, runs it, and takes it down in order.
//!
//! The wiring is meant to be read aloud. Nothing else knows how the floors are put together.

mod admin_listener;
mod descriptors;
mod in_force;
mod orders;
mod reload;
mod service_manager;
mod signals;
mod started;

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use tokio::task;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::admin::{Admin, LastReload, Process};
use crate::clock;
use crate::config::{self, Change, Config, Document};
use crate::origin::Registry;
use crate::pipeline::{Current, Site};
pub use crate::server::Passed;
use crate::server::{Bound, Drain, Listeners, Server};
use crate::store::Store;
use crate::telemetry::Telemetry;
use admin_listener::AdminListener;
pub use descriptors::{Descriptors, TooFew};
use in_force::InForce;
use orders::Orders;
use reload::{Loaded, Reload};
use signals::Signals;

/// How often memory and connections that nobody needs are given back.
const TIDY_EVERY: Duration = Duration::from_millis(250);

/// After a drain's deadline: how long those who can tell their clients have for it.
const CUT_TAKES_MAX: Duration = Duration::from_millis(100);

/// A proxy that serves; it is to be told when to end.
pub struct App {
    server: Server,
    drain: Drain,
    reload: Arc<Reload>,
    current: Arc<Current>,
    signals: Signals,
}

/// The process as its operator sees it.
#[derive(Clone)]
struct Running {
    server: Server,
    drain: Drain,
    /// Which owns the admin listener, and with it this.
    reload: Weak<Reload>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every request that was accepted has been answered.
    Clean,
    /// The drain's deadline passed, or a second signal came: some were cut.
    Cut,
}

// === impl App ===

impl App {
    /// Builds a proxy from `config`, watches for signals and opens its listeners: from the moment
    /// it says where it listens, it may be told to reload or to end. `file` is what a reload reads, and
    /// `passed` what the service manager has opened.
    ///
    /// # Errors
    /// What could not be opened or bound, with its name, or when signals cannot be watched.
    pub fn start(
        config: &Config,
        file: Option<PathBuf>,
        descriptors: Descriptors,
        passed: Passed,
    ) -> anyhow::Result<Self> {
        tell_notes(config);
        let passed = Arc::new(passed);
        let signals = Signals::watch().context("cannot watch for signals")?;
        let telemetry = Telemetry::open(&config.log).context("cannot open the access log")?;
        let telemetry = Arc::new(telemetry);
        let store = Store::new(&config.store);
        let servers = Registry::default();
        let site = Site::build(
            config,
            Arc::clone(&store),
            Arc::clone(&telemetry),
            &servers,
            None,
        )?;
        let current = Current::new(site);
        let connections_max = descriptors.shares(config)?.clients;
        let server = Server::new(
            connections_max,
            Arc::clone(&current),
            Arc::clone(&telemetry),
        );
        let drain = Drain::new();
        let reload = Arc::new_cyclic(|reload| {
            let listeners = Listeners::new(&server, &drain, &passed);
            let process = Running::new(&server, &drain, reload);
            let admin = AdminListener::new(
                admin_of(process, &current, &store, &telemetry),
                server.tls(),
                &passed,
            );
            let log = config.log.clone();
            let in_force = InForce::new(
                listeners,
                admin,
                log,
                &server,
                &servers,
                &telemetry,
                descriptors,
            );
            Reload {
                file,
                store_table: config.store.clone(),
                current: Arc::clone(&current),
                store: Arc::clone(&store),
                telemetry: Arc::clone(&telemetry),
                servers,
                drain: drain.clone(),
                in_force: Mutex::new(in_force),
                loaded: Mutex::new(Loaded::first(config)),
            }
        });
        reload.open(config)?;
        started::tell(config, reload.file.as_deref(), &reload.bound(), &server);
        Ok(Self {
            server,
            drain,
            reload,
            current,
            signals,
        })
    }

    /// The addresses that are bound, in the order of the configuration; the admin's last.
    pub fn addresses(&self) -> Vec<Bound> {
        self.reload.bound()
    }

    /// Says on standard output what is bound, one line a listener, and to the service manager that
    /// all is.
    pub fn announce(&self) {
        let bound = self.addresses();
        announce(&bound);
        service_manager::ready(&started::status(&bound, true));
    }

    /// Serves until a signal says to end, then tells those who ask that it is not ready, and drains.
    pub async fn run(self) -> Ended {
        let mut orders = Orders::new(self.signals, &self.reload);
        tokio::spawn(tidy(Arc::clone(&self.current)));
        tokio::spawn(self.server.tls().clone().follow_files());
        orders.until_shutdown().await;
        self.drain.announce();
        let drain_delay = self.current.load().server().drain_delay;
        if !drain_delay.is_zero() {
            info!(?drain_delay, "not ready any more; draining follows");
            // Another order to end is by somebody who will not wait.
            let _ = timeout(drain_delay, orders.until_shutdown()).await;
        }
        info!("draining");
        self.drain.begin();
        service_manager::stopping(self.server.connections());
        let drain_timeout = self.current.load().server().drain_timeout;
        let ended = async {
            // First the listeners, so that what the kernel has accepted is counted too.
            self.reload.accepted().await;
            self.server.ended(drain_timeout).await
        };
        let ended = tokio::select! {
            ended = ended => ended,
            () = orders.until_shutdown() => false,
        };
        if !ended {
            warn!(
                connections = self.server.connections(),
                "connections were cut"
            );
            self.drain.cut();
            self.server.ended(CUT_TAKES_MAX).await;
        }
        if ended { Ended::Clean } else { Ended::Cut }
    }
}

// === impl Running ===

impl Running {
    fn new(server: &Server, drain: &Drain, reload: &Weak<Reload>) -> Self {
        Self {
            server: server.clone(),
            drain: drain.clone(),
            reload: Weak::clone(reload),
        }
    }
}

impl Process for Running {
    fn connections(&self) -> u64 {
        self.server.connections()
    }

    fn lingering(&self) -> u64 {
        self.server.lingering()
    }

    fn connections_max(&self) -> u64 {
        self.server.connections_max()
    }

    fn is_ready(&self) -> bool {
        !self.drain.is_announced()
    }

    fn reload(&self) -> Result<Vec<Change>, String> {
        match self.reload.upgrade() {
            Some(reload) => reload.run(),
            None => Err("the process ends".to_owned()),
        }
    }

    fn last_reload(&self) -> LastReload {
        let at_end = || LastReload {
            is_good: true,
            in_force_since: clock::now(),
        };
        self.reload.upgrade().map_or_else(at_end, |it| it.last())
    }

    fn document(&self) -> Document {
        let reload = self.reload.upgrade();
        reload.map(|it| it.document()).unwrap_or_default()
    }

    fn allocator(&self) -> &'static str {
        started::ALLOCATOR
    }
}

/// What makes the admin's service for one address.
fn admin_of(
    process: Running,
    current: &Arc<Current>,
    store: &Arc<Store>,
    telemetry: &Arc<Telemetry>,
) -> impl Fn(&config::Admin) -> Arc<Admin> + Send + 'static {
    let (current, store) = (Arc::clone(current), Arc::clone(store));
    let telemetry = Arc::clone(telemetry);
    move |config| Admin::new(config, &current, &store, &telemetry, process.clone())
}

/// Tells what is legal and was surely meant otherwise; nobody runs `copal check` before each start.
fn tell_notes(config: &Config) {
    for note in &config.notes {
        warn!("{note}");
    }
}

fn announce(bound: &[Bound]) {
    let mut out = std::io::stdout().lock();
    for (protocol, address) in bound {
        // Whoever closed the stream does not want to know.
        let _ = writeln!(out, "listening {protocol} {address}");
    }
    let _ = out.flush();
}

async fn tidy(current: Arc<Current>) {
    let mut every = tokio::time::interval(TIDY_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let site = current.load();
        site.telemetry().tell_losses(clock::uptime());
        // What a purge has killed may be much; a runtime's thread has requests to serve.
        if task::spawn_blocking(move || site.tidy()).await.is_err() {
            warn!("tidying panicked");
        }
    }
}
