//! Admin listener, which a reload opens, moves and closes, and whose token it changes.
//!
//! Connections accepted at an address that is given up end by themselves within a minute or so, and
//! keep to the token of that time: what was open to the world never becomes open to anybody.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use crate::admin::{Accepting, Admin, Secure, Stream};
use crate::config::{self, ListenAddress, SocketOptions};
use crate::server::{BindError, Bound, Listening, Passed, Speaks, Tls, bind, permit};

/// The admin listener, or that there is none.
pub(super) struct AdminListener {
    /// Makes the service for one address.
    make: Make,
    /// Of the next that is opened.
    connections_max: usize,
    tls: Tls,
    passed: Arc<Passed>,
    open: Option<Open>,
}

/// What is to become of it.
pub(super) enum Plan {
    Closed,
    Kept(config::Admin),
    New(config::Admin, ListenAddress, Vec<Listening>),
}

type Make = Box<dyn Fn(&config::Admin) -> Arc<Admin> + Send>;

struct Open {
    admin: Arc<Admin>,
    written: ListenAddress,
    address: ListenAddress,
    accepting: AbortHandle,
}

impl Accepting for Listening {
    async fn accept(&self) -> io::Result<(TcpStream, IpAddr)> {
        let (stream, endpoints) = Listening::accept(self).await?;
        Ok((stream, endpoints.source.ip()))
    }
}

// === impl AdminListener ===

impl AdminListener {
    pub(super) fn new(
        make: impl Fn(&config::Admin) -> Arc<Admin> + Send + 'static,
        tls: &Tls,
        passed: &Arc<Passed>,
    ) -> Self {
        Self {
            make: Box::new(make),
            connections_max: 1,
            tls: tls.clone(),
            passed: Arc::clone(passed),
            open: None,
        }
    }

    /// How many connections there may be at once, at the next address that is opened.
    pub(super) fn limit_connections(&mut self, max: usize) {
        self.connections_max = max;
    }

    pub(super) fn bound(&self) -> Option<Bound> {
        self.open
            .as_ref()
            .map(|open| ("admin", open.address.clone()))
    }

    /// What is to be done so that it is as configured. Fails if it is to listen at an address that
    /// cannot be had; nothing has changed then.
    pub(super) fn plan(&self, wanted: Option<&config::Admin>) -> Result<Plan, BindError> {
        let Some(wanted) = wanted else {
            return Ok(Plan::Closed);
        };
        let is_there = |open: &Open| {
            wanted.address.is_at(&open.written) || wanted.address.is_at(&open.address)
        };
        if self.open.as_ref().is_some_and(is_there) {
            return Ok(Plan::Kept(wanted.clone()));
        }
        let (address, listener) = {
            let backlog = SocketOptions::default().backlog;
            bind(&wanted.address, backlog, &self.passed)?
        };
        Ok(Plan::New(wanted.clone(), address, listener))
    }

    pub(super) fn carry_out(&mut self, plan: Plan) {
        match (plan, &mut self.open) {
            (Plan::Kept(config), Some(open)) => {
                permit(&mut open.address, &config.address);
                open.written = config.address.clone();
                open.admin.set_secure(secure(&self.tls, &config));
                open.admin.set_access(&config);
            }
            (Plan::New(config, address, listeners), _) => {
                self.close();
                let admin = (self.make)(&config);
                admin.set_secure(secure(&self.tls, &config));
                let accepting =
                    tokio::spawn(Arc::clone(&admin).run(listeners, self.connections_max));
                self.open = Some(Open {
                    admin,
                    written: config.address.clone(),
                    address,
                    accepting: accepting.abort_handle(),
                });
            }
            (Plan::Closed | Plan::Kept(_), _) => self.close(),
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.accepting.abort();
        }
    }
}

/// What shakes hands with operators, if they are to. Its terms are in force by now; were they not, no
/// handshake would end well.
fn secure(tls: &Tls, config: &config::Admin) -> Option<Secure> {
    let acceptor = tls.acceptor(config.tls.as_ref()?, Speaks::Http1);
    Some(Arc::new(move |stream| {
        let acceptor = acceptor.clone();
        Box::pin(async move {
            let secured = acceptor?.secure(stream).await?;
            Some(Box::new(secured) as Box<dyn Stream>)
        })
    }))
}
