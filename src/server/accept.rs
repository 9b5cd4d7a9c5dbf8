//! Accept loop of one listening socket: a permit, a connection, a task.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use super::drain::Drain;
use super::listener;
use super::listening::Listening;
use super::socket::Socket;
use super::{Server, Service};
use crate::pipeline::SiteHandle;
use crate::semantics::proxy_protocol::Endpoints;

/// A socket on which connections are accepted.
pub(super) struct Accept {
    listener: Arc<Listening>,
    /// Another one after a reload that has changed the listener.
    service: Arc<Mutex<Arc<Service>>>,
    drain: Drain,
    server: Server,
    site: SiteHandle,
}

// === impl Accept ===

impl Accept {
    pub(super) fn new(
        listener: Arc<Listening>,
        service: &Arc<Mutex<Arc<Service>>>,
        drain: &Drain,
        server: &Server,
    ) -> Self {
        Self {
            listener,
            service: Arc::clone(service),
            drain: drain.clone(),
            server: server.clone(),
            site: server.0.current.handle(),
        }
    }

    /// Accepts until the drain begins. Connections that the kernel has accepted by then are served
    /// too, for their clients have been told that they are connected.
    pub(super) async fn run(mut self) {
        loop {
            let permit = tokio::select! {
                permit = self.server.0.connections.permit() => permit,
                () = self.drain.begun() => break,
            };
            let Some(permit) = permit else { return };
            tokio::select! {
                accepted = self.accepted() => self.spawn(accepted, permit),
                () = self.drain.begun() => break,
            }
        }
        self.empty_backlog().await;
    }

    async fn accepted(&self) -> (Socket, Endpoints) {
        listener::accept(&self.listener, &self.server.0.accept_failures).await
    }

    async fn empty_backlog(&mut self) {
        while let Some(permit) = self.server.0.connections.permit_now() {
            tokio::select! {
                biased;
                accepted = self.accepted() => self.spawn(accepted, permit),
                () = tokio::task::yield_now() => return,
            }
        }
    }

    fn spawn(&mut self, (socket, endpoints): (Socket, Endpoints), permit: OwnedSemaphorePermit) {
        let shared = &self.server.0;
        self.site.renew(&shared.current);
        let each_max = self.site.server().connections_per_client_max;
        let open = shared
            .connections
            .open(permit, endpoints.source.ip(), each_max);
        // Closed by being dropped: who takes too many is not given an answer as well.
        let Some(open) = open else {
            return shared.telemetry.metrics.connection_refused();
        };
        shared.telemetry.metrics.connection_accepted();
        let service = Arc::clone(&self.service.lock());
        tokio::spawn(async move {
            service.serve(socket, endpoints).await;
            drop(open);
        });
    }
}
