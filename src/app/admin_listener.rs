//! Admin listener, which a reload opens, moves and closes, and whose token it changes.
//!
//! Connections accepted at an address that is given up end by themselves within a minute or so, and
//! keep to the token of that time: what was open to the world never becomes open to anybody.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::admin::{Admin, Secure, Stream};
use crate::config::{self, SocketOptions};
use crate::server::{BindError, Bound, Speaks, Tls, bind};

/// The admin listener, or that there is none.
pub(super) struct AdminListener {
    /// Makes the service for one address.
    make: Make,
    /// Of the next that is opened.
    connections_max: usize,
    tls: Tls,
    open: Option<Open>,
}

/// What is to become of it.
pub(super) enum Plan {
    Closed,
    Kept(config::Admin),
    New(config::Admin, SocketAddr, TcpListener),
}

type Make = Box<dyn Fn(&config::Admin) -> Arc<Admin> + Send>;

struct Open {
    admin: Arc<Admin>,
    written: SocketAddr,
    address: SocketAddr,
    accepting: AbortHandle,
}

// === impl AdminListener ===

impl AdminListener {
    pub(super) fn new(
        make: impl Fn(&config::Admin) -> Arc<Admin> + Send + 'static,
        tls: &Tls,
    ) -> Self {
        Self {
            make: Box::new(make),
            connections_max: 1,
            tls: tls.clone(),
            open: None,
        }
    }

    /// How many connections there may be at once, at the next address that is opened.
    pub(super) fn limit_connections(&mut self, max: usize) {
        self.connections_max = max;
    }

    pub(super) fn bound(&self) -> Option<Bound> {
        self.open.as_ref().map(|open| ("admin", open.address))
    }

    /// What is to be done so that it is as configured. Fails if it is to listen at an address that
    /// cannot be had; nothing has changed then.
    pub(super) fn plan(&self, wanted: Option<&config::Admin>) -> Result<Plan, BindError> {
        let Some(wanted) = wanted else {
            return Ok(Plan::Closed);
        };
        let is_there = |open: &Open| [open.written, open.address].contains(&wanted.address);
        if self.open.as_ref().is_some_and(is_there) {
            return Ok(Plan::Kept(wanted.clone()));
        }
        let (address, listener) = bind(wanted.address, SocketOptions::default().backlog)?;
        Ok(Plan::New(wanted.clone(), address, listener))
    }

    pub(super) fn carry_out(&mut self, plan: Plan) {
        match (plan, &mut self.open) {
            (Plan::Kept(config), Some(open)) => {
                open.written = config.address;
                open.admin.set_secure(secure(&self.tls, &config));
                open.admin.set_access(&config);
            }
            (Plan::New(config, address, listener), _) => {
                self.close();
                let admin = (self.make)(&config);
                admin.set_secure(secure(&self.tls, &config));
                let accepting =
                    tokio::spawn(Arc::clone(&admin).run(listener, self.connections_max));
                self.open = Some(Open {
                    admin,
                    written: config.address,
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
