//! Listeners, admin listener and access log as the configuration in force has opened them.
//!
//! A change is planned first, and all that can fail is in the plan; carrying it out cannot fail.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio::task::JoinSet;

use super::admin_listener::{self, AdminListener};
use super::descriptors::{Descriptors, Shares};
use crate::acme::{self, Acme};
use crate::config::{self, Care, Complaints, Config, Log};
use crate::origin::Registry;
use crate::server::{self, Bound, Listeners, Server, TlsPlan};
use crate::telemetry::{self, AccessLog, Telemetry};

/// Listeners and logs as they are at this moment.
pub(super) struct InForce {
    listeners: Listeners,
    admin: AdminListener,
    log: Log,
    server: Server,
    acme: Acme,
    servers: Registry,
    telemetry: Arc<Telemetry>,
    descriptors: Descriptors,
}

/// How they will be: bound and opened, and not yet used.
pub(super) struct Next {
    tls: TlsPlan,
    acme: acme::Plan,
    listeners: server::Plan,
    admin: admin_listener::Plan,
    /// `None` where the access log stays as it is.
    access_log: Option<Option<AccessLog>>,
    log: Log,
    shares: Shares,
}

// === impl InForce ===

impl InForce {
    /// The logs of the start, and no listener as yet.
    pub(super) fn new(
        listeners: Listeners,
        admin: AdminListener,
        log: Log,
        server: &Server,
        servers: &Registry,
        telemetry: &Arc<Telemetry>,
        descriptors: Descriptors,
    ) -> Self {
        let tls = server.tls().clone();
        let feed = Arc::new(move |pairs| tls.feed("acme", pairs));
        Self {
            listeners,
            admin,
            log,
            acme: Acme::new(server.hatch().clone(), telemetry, feed),
            server: server.clone(),
            servers: servers.clone(),
            telemetry: Arc::clone(telemetry),
            descriptors,
        }
    }

    /// All that listens, in the order of the configuration; the admin's last.
    pub(super) fn bound(&self) -> Vec<Bound> {
        self.listeners.bound().chain(self.admin.bound()).collect()
    }

    /// Reads the file again. A certificate that has become bad since is no mistake of the
    /// configuration: the one before goes on.
    pub(super) fn read(&self, file: &Path) -> Result<Config, Complaints> {
        let tls = self.server.tls();
        config::load_with(file, Care::Again(&|path| tls.knows(path)))
    }

    /// Binds and opens what is new. Fails with the name of what cannot be had; then nothing has
    /// changed.
    pub(super) fn plan(&self, config: &Config) -> anyhow::Result<Next> {
        let is_same = |log: &Log| (&log.access, log.format) == (&self.log.access, self.log.format);
        let access_log = match is_same(&config.log) {
            true => None,
            false => Some(AccessLog::open(&config.log).context("cannot open the access log")?),
        };
        let next = Next {
            tls: self.server.tls().plan(config)?,
            acme: self.acme.plan(config)?,
            listeners: self.listeners.plan(&config.listen)?,
            admin: self.admin.plan(config.admin.as_ref())?,
            access_log,
            log: config.log.clone(),
            shares: self.descriptors.shares(config)?,
        };
        self.descriptors.tell(config, next.shares);
        Ok(next)
    }

    /// Puts it in force; gives what listens where nothing, or something else, did before. For a
    /// thread that may wait: what the last access log still has is written first.
    pub(super) fn carry_out(&mut self, next: Next) -> Vec<Bound> {
        let known = self.bound();
        self.server.limit_connections(next.shares.clients);
        self.servers.limit_connections(next.shares.origins);
        self.admin.limit_connections(next.shares.admin);
        // Before the listeners, which ask it for what they shake hands with.
        self.server.tls().carry_out(next.tls);
        self.acme.carry_out(next.acme);
        self.listeners.carry_out(next.listeners);
        self.admin.carry_out(next.admin);
        if let Some(access_log) = next.access_log {
            self.telemetry.follow_with(access_log);
        }
        if (next.log.level, next.log.format) != (self.log.level, self.log.format) {
            telemetry::follow(&next.log);
        }
        self.log = next.log;
        let mut bound = self.bound();
        bound.retain(|it| !known.contains(it));
        bound
    }

    /// The tasks that accept, which end by themselves once the drain has begun.
    pub(super) fn accepting(&mut self) -> JoinSet<()> {
        self.listeners.accepting()
    }
}
