//! Listeners in force, and how a reload changes them: some are kept, some opened, some closed.
//!
//! All that can fail is in the plan, which binds what is new; carrying it out cannot fail. A kept
//! listener keeps its sockets, its queue and its connections, whatever else of it has changed.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::accept::Accept;
use super::drain::Drain;
use super::listener::{BindError, bind};
use super::listening::Listening;
use super::passed::Passed;
use super::unix::permit;
use super::{Server, Service};
use crate::config::{Listen, ListenAddress};

/// All listeners of the process.
pub struct Listeners {
    server: Server,
    /// The process's.
    drain: Drain,
    passed: Arc<Passed>,
    open: Vec<Listener>,
    /// A task for each socket, of those that are being closed as well.
    accepting: JoinSet<()>,
}

/// What is to become of the listeners, one for each of the configuration.
pub struct Plan(Vec<(Listen, Source)>);

/// A listener's protocol by name, and its address.
pub type Bound = (&'static str, ListenAddress);

struct Listener {
    listen: Listen,
    address: ListenAddress,
    service: Arc<Mutex<Arc<Service>>>,
    drain: Drain,
    /// Each is its loop's, which closes it.
    sockets: Vec<Weak<Listening>>,
}

enum Source {
    /// The one at this index of those open.
    Kept(usize),
    /// Sockets of one address, on which nothing has been accepted yet.
    New(ListenAddress, Vec<Listening>),
}

// === impl Listeners ===

impl Listeners {
    /// None as yet. They serve as `server` says and close with `drain`.
    pub fn new(server: &Server, drain: &Drain, passed: &Arc<Passed>) -> Self {
        Self {
            server: server.clone(),
            drain: drain.clone(),
            passed: Arc::clone(passed),
            open: Vec::new(),
            accepting: JoinSet::new(),
        }
    }

    /// The listeners that are open, in the order of the configuration.
    pub fn bound(&self) -> impl Iterator<Item = Bound> {
        self.open.iter().map(Listener::bound)
    }

    /// What is to be done so that these listeners are open and no others.
    ///
    /// # Errors
    /// [`BindError`] for an address that is new and cannot be had. Nothing has changed then.
    pub fn plan(&self, wanted: &[Listen]) -> Result<Plan, BindError> {
        let planned = wanted.iter().zip(self.kept(wanted)).map(|(listen, kept)| {
            let source = match kept {
                Some(index) => Source::Kept(index),
                None => {
                    let backlog = listen.socket.backlog;
                    let (address, sockets) = bind(&listen.address, backlog, &self.passed)?;
                    Source::New(address, sockets)
                }
            };
            Ok((listen.clone(), source))
        });
        planned.collect::<Result<_, _>>().map(Plan)
    }

    /// For each one wanted the index of the open one that it goes on with: the very same first, so
    /// that of two with port 0 the one that is still wanted is kept; else one at its address.
    fn kept(&self, wanted: &[Listen]) -> Vec<Option<usize>> {
        let mut kept = vec![None; wanted.len()];
        let mut left: Vec<usize> = (0..self.open.len()).collect();
        for goes_on in [Listener::is_same, Listener::is_at_its_address] {
            for (wanted, kept) in wanted.iter().zip(&mut kept) {
                let find = |index: &usize| goes_on(&self.open[*index], wanted);
                if kept.is_none()
                    && let Some(at) = left.iter().position(find)
                {
                    *kept = Some(left.remove(at));
                }
            }
        }
        kept
    }

    /// Opens, keeps and closes as planned.
    pub fn carry_out(&mut self, plan: Plan) {
        let open = std::mem::take(&mut self.open);
        let mut open: Vec<_> = open.into_iter().map(Some).collect();
        for (listen, source) in plan.0 {
            let listener = match source {
                Source::Kept(index) => open.get_mut(index).and_then(Option::take),
                Source::New(address, sockets) => Some(self.open(&listen, address, sockets)),
            };
            self.open
                .extend(listener.map(|it| it.changed(listen, &self.server)));
        }
        for closed in open.into_iter().flatten() {
            info!(address = %closed.address, "a listener closes");
            closed.drain.begin();
        }
        // Of those closed before only what has not ended is remembered.
        while self.accepting.try_join_next().is_some() {}
    }

    /// Lets go of the loops that accept, so that the drain can be waited for: each ends when what
    /// the kernel has accepted is taken.
    pub fn accepting(&mut self) -> JoinSet<()> {
        std::mem::take(&mut self.accepting)
    }

    fn open(
        &mut self,
        listen: &Listen,
        address: ListenAddress,
        sockets: Vec<Listening>,
    ) -> Listener {
        let drain = self.drain.part();
        let service = Service::new(listen, &self.server, &drain);
        let service = Arc::new(Mutex::new(service));
        let sockets: Vec<_> = sockets.into_iter().map(Arc::new).collect();
        let kept = sockets.iter().map(Arc::downgrade).collect();
        for socket in sockets {
            let accept = Accept::new(socket, &service, &drain, &self.server);
            self.accepting.spawn(accept.run());
        }
        Listener {
            listen: listen.clone(),
            address,
            service,
            drain,
            sockets: kept,
        }
    }
}

// === impl Listener ===

impl Listener {
    fn bound(&self) -> Bound {
        (self.listen.as_str(), self.address.clone())
    }

    fn is_same(&self, wanted: &Listen) -> bool {
        self.listen == *wanted
    }

    /// As written, or as bound where port 0 is written.
    fn is_at_its_address(&self, wanted: &Listen) -> bool {
        wanted.address.is_at(&self.listen.address) || wanted.address.is_at(&self.address)
    }

    /// Those who wait already go on waiting.
    fn set_backlog(&self, backlog: u32) {
        if self.listen.socket.backlog == backlog {
            return;
        }
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        for socket in self.sockets.iter().filter_map(Weak::upgrade) {
            if let Err(error) = SockRef::from(&*socket).listen(backlog) {
                warn!(address = %self.address, %error, "cannot change a backlog");
            }
        }
    }

    /// The same, serving by `listen` what it accepts from now on.
    fn changed(mut self, listen: Listen, server: &Server) -> Self {
        if self.listen != listen {
            self.set_backlog(listen.socket.backlog);
            permit(&mut self.address, &listen.address);
            *self.service.lock() = Service::new(&listen, server, &self.drain);
            self.listen = listen;
        }
        self
    }
}
