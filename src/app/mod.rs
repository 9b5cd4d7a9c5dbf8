//! The top floor: builds everything once, runs it, and takes it down in order.
//!
//! The wiring is meant to be read aloud. Nothing else knows how the floors are put together.

mod reload;
mod signals;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::{self, JoinSet};
use tracing::{info, warn};

use crate::admin::{Admin, Process};
use crate::config::{Config, Listen};
use crate::origin::Registry;
use crate::pipeline::{Current, Site};
use crate::server::{self, Drain, Server, Service};
use crate::store::Store;
use crate::telemetry::Telemetry;
use reload::Reload;
use signals::{Event, Signals};

/// How often memory and connections that nobody needs are given back.
const TIDY_EVERY: Duration = Duration::from_millis(250);

/// After a drain's deadline: how long those who can tell their clients have for it.
const CUT_TAKES_MAX: Duration = Duration::from_millis(100);

/// A proxy, built and bound, not yet serving.
pub struct App {
    server: Server,
    drain: Drain,
    drain_timeout: Duration,
    reload: Arc<Reload>,
    current: Arc<Current>,
    listeners: Vec<Traffic>,
    admin: Option<(Arc<Admin>, TcpListener)>,
    signals: Signals,
}

/// A listener for clients: its protocol by name, and what its connections are for.
type Traffic = (&'static str, TcpListener, Service);

/// The process as its operator sees it.
struct Running {
    server: Server,
    drain: Drain,
    reload: Arc<Reload>,
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
    /// Builds a proxy from `config`, watches for signals and binds its listeners: from the moment
    /// it says where it listens, it may be told to reload or to end. `file` is what a reload reads.
    ///
    /// # Errors
    /// What could not be opened or bound, with its name, or when signals cannot be watched.
    pub fn build(config: Config, file: Option<PathBuf>) -> anyhow::Result<Self> {
        let signals = Signals::watch().context("cannot watch for signals")?;
        let telemetry = Telemetry::open(&config.log).context("cannot open the access log")?;
        let telemetry = Arc::new(telemetry);
        let store = Store::new(&config.store);
        let servers = Registry::default();
        let site = Site::build(
            &config,
            Arc::clone(&store),
            Arc::clone(&telemetry),
            &servers,
            None,
        )?;
        let current = Current::new(site);
        let drain = Drain::new();
        let server = Server::new(&config.server, Arc::clone(&current), drain.clone());
        let listeners = bind_all(&config)?;
        let reload = Reload::new(&config, file, &current, &store, &telemetry, servers);
        let admin = match &config.admin {
            Some(admin) => {
                let process = Running {
                    server: server.clone(),
                    drain: drain.clone(),
                    reload: Arc::clone(&reload),
                };
                let service = Admin::new(admin, &current, &store, &telemetry, process);
                Some((service, server::bind(admin.address)?))
            }
            None => None,
        };
        let drain_timeout = config.server.drain_timeout;
        Ok(Self {
            server,
            drain,
            drain_timeout,
            reload,
            current,
            listeners,
            admin,
            signals,
        })
    }

    /// The addresses that were bound, in the order of the configuration; the admin's last.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let traffic = self
            .listeners
            .iter()
            .map(|(protocol, listener, _)| (*protocol, listener));
        let admin = self.admin.as_ref().map(|(_, listener)| ("admin", listener));
        traffic
            .chain(admin)
            .filter_map(|(protocol, listener)| Some((protocol, listener.local_addr().ok()?)))
            .collect()
    }

    /// Says on standard output what was bound, one line a listener.
    pub fn announce(&self) {
        let mut out = std::io::stdout().lock();
        for (protocol, address) in self.addresses() {
            // Whoever closed the stream does not want to know.
            let _ = writeln!(out, "listening {protocol} {address}");
        }
        let _ = out.flush();
    }

    /// Serves until a signal says to end, then drains.
    pub async fn run(self) -> Ended {
        let mut signals = self.signals;
        let mut accepting = JoinSet::new();
        for (_, listener, service) in self.listeners {
            accepting.spawn(self.server.clone().run(listener, service));
        }
        if let Some((admin, listener)) = self.admin {
            tokio::spawn(admin.run(listener));
        }
        tokio::spawn(tidy(Arc::clone(&self.current)));
        while signals.next().await == Event::Reload {
            self.reload.run_logged();
        }
        info!("draining");
        self.drain.begin();
        let ended = async {
            // First the listeners, so that what the kernel has accepted is counted too.
            accepting.join_all().await;
            self.server.ended(self.drain_timeout).await
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
        self.reload.run()
    }
}

fn bind_all(config: &Config) -> Result<Vec<Traffic>, server::BindError> {
    let bind = |listen: &Listen| {
        let listener = server::bind(listen.address)?;
        Ok((listen.protocol.as_str(), listener, Service::new(listen)))
    };
    config.listen.iter().map(bind).collect()
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
