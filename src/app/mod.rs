//! Top floor: it builds everything once, runs it, and takes it down in order.
//!
//! The wiring is meant to be read aloud. Nothing else knows how the floors are put together.

mod admin_listener;
mod in_force;
mod reload;
mod signals;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use tokio::task;
use tracing::{info, warn};

use crate::admin::{Admin, Process};
use crate::config::{self, Config};
use crate::origin::Registry;
use crate::pipeline::{Current, Site};
use crate::server::{Bound, Drain, Listeners, Server};
use crate::store::Store;
use crate::telemetry::Telemetry;
use admin_listener::AdminListener;
use in_force::InForce;
use reload::Reload;
use signals::{Event, Signals};

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
    /// it says where it listens, it may be told to reload or to end. `file` is what a reload reads.
    ///
    /// # Errors
    /// What could not be opened or bound, with its name, or when signals cannot be watched.
    pub fn start(config: &Config, file: Option<PathBuf>) -> anyhow::Result<Self> {
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
        let server = Server::new(&config.server, Arc::clone(&current), Arc::clone(&telemetry));
        let drain = Drain::new();
        let reload = Arc::new_cyclic(|reload| {
            let listeners = Listeners::new(&server, &drain);
            let process = Running {
                server: server.clone(),
                drain: drain.clone(),
                reload: Weak::clone(reload),
            };
            let admin = AdminListener::new(
                admin_of(process, &current, &store, &telemetry),
                server.tls(),
            );
            let log = config.log.clone();
            Reload {
                file,
                store_table: config.store.clone(),
                current: Arc::clone(&current),
                store: Arc::clone(&store),
                telemetry: Arc::clone(&telemetry),
                servers,
                drain: drain.clone(),
                in_force: Mutex::new(InForce::new(listeners, admin, log, &server, &telemetry)),
            }
        });
        reload.open(config)?;
        Ok(Self {
            server,
            drain,
            reload,
            current,
            signals,
        })
    }

    /// The addresses that are bound, in the order of the configuration; the admin's last.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.reload.bound()
    }

    /// Says on standard output what is bound, one line a listener.
    pub fn announce(&self) {
        announce(&self.addresses());
    }

    /// Serves until a signal says to end, then drains.
    pub async fn run(self) -> Ended {
        let mut signals = self.signals;
        tokio::spawn(tidy(Arc::clone(&self.current)));
        tokio::spawn(self.server.tls().clone().follow_files());
        while signals.next().await == Event::Reload {
            self.reload.run_logged().await;
        }
        info!("draining");
        self.drain.begin();
        let drain_timeout = self.current.load().server().drain_timeout;
        let ended = async {
            // First the listeners, so that what the kernel has accepted is counted too.
            self.reload.accepted().await;
            self.server.ended(drain_timeout).await
        };
        let ended = tokio::select! {
            ended = ended => ended,
            () = second(&mut signals) => false,
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

impl Process for Running {
    fn connections(&self) -> u64 {
        self.server.connections()
    }

    fn is_ready(&self) -> bool {
        !self.drain.has_begun()
    }

    fn reload(&self) -> Result<(), String> {
        match self.reload.upgrade() {
            Some(reload) => reload.run(),
            None => Err("the process ends".to_owned()),
        }
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
        // What a purge has killed may be much; a runtime's thread has requests to serve.
        if task::spawn_blocking(move || site.tidy()).await.is_err() {
            warn!("tidying panicked");
        }
    }
}

/// Waits for another signal to shut down.
async fn second(signals: &mut Signals) {
    while signals.next().await != Event::Shutdown {}
}
