//! Where bytes enter and leave: listeners, connections, their limits and their end.
//!
//! A permit for each connection, a task for each connection. The server knows nothing of caching
//! or origins; a request's answer comes from [`crate::pipeline::serve`].

mod crowd;
mod drain;
mod framing;
mod http;
mod interim;
mod io;
mod listener;
mod park;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use drain::Drain;
pub use listener::{BindError, bind};

use crate::config;
use crate::pipeline::{Client, Current, Scheme};
use crate::telemetry::Metrics;
use crowd::Crowd;
use http::Builders;
use watch::Patience;

/// The traffic side of the proxy.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    permits_max: u32,
    crowd: Crowd,
}

/// What all connections use.
struct Shared {
    current: Arc<Current>,
    drain: Drain,
    builders: Builders,
    patience: Patience,
    body_timeout: Duration,
    body_bytes_max: u64,
    header_fields_max: usize,
    open: AtomicU64,
}

// === impl Server ===

impl Server {
    /// A server that asks `current` for its site and ends with `drain`.
    pub fn new(config: &config::Server, current: Arc<Current>, drain: Drain) -> Self {
        let permits_max = u32::try_from(config.connections_max).unwrap_or(u32::MAX);
        let shared = Shared {
            current,
            drain,
            builders: Builders::new(config),
            patience: Patience {
                header: config.header_timeout,
                idle: config.idle_timeout,
                send: config.send_timeout,
            },
            body_timeout: config.body_timeout,
            body_bytes_max: config.body_bytes_max,
            header_fields_max: config.header_fields_max,
            open: AtomicU64::new(0),
        };
        let permits = Arc::new(Semaphore::new(permits_max as usize));
        Self {
            shared: Arc::new(shared),
            permits,
            permits_max,
            crowd: Crowd::new(config.connections_per_client_max),
        }
    }

    /// Connections open at this moment.
    pub fn connections(&self) -> u64 {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Accepts on `listener` until the drain begins. Connections that the kernel has accepted by
    /// then are served too, for their clients have been told that they are connected.
    pub async fn run(self, listener: TcpListener) {
        loop {
            let permit = tokio::select! {
                permit = Arc::clone(&self.permits).acquire_owned() => permit,
                () = self.shared.drain.begun() => break,
            };
            // The semaphore is never closed.
            let Ok(permit) = permit else { return };
            tokio::select! {
                accepted = listener::accept(&listener) => self.spawn(accepted, &listener, permit),
                () = self.shared.drain.begun() => break,
            }
        }
        self.empty_backlog(&listener).await;
    }

    /// Waits until all connections have ended, at most for `patience`; tells whether they have.
    pub async fn ended(&self, patience: Duration) -> bool {
        let all = self.permits.acquire_many(self.permits_max);
        tokio::time::timeout(patience, all).await.is_ok()
    }

    async fn empty_backlog(&self, listener: &TcpListener) {
        while let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            tokio::select! {
                biased;
                accepted = listener::accept(listener) => self.spawn(accepted, listener, permit),
                () = tokio::task::yield_now() => return,
            }
        }
    }

    fn metrics(&self, count: fn(&Metrics)) {
        count(&self.shared.current.load().telemetry().metrics);
    }

    fn spawn(
        &self,
        (stream, address): (tokio::net::TcpStream, std::net::SocketAddr),
        listener: &TcpListener,
        permit: OwnedSemaphorePermit,
    ) {
        let Ok(local) = stream.local_addr().or_else(|_| listener.local_addr()) else {
            return;
        };
        // Closed by being dropped: who takes too many is not given an answer as well.
        let Some(seat) = self.crowd.admit(address.ip()) else {
            return self.metrics(Metrics::connection_refused);
        };
        let client = Client {
            address,
            local,
            scheme: Scheme::Http,
        };
        let shared = Arc::clone(&self.shared);
        shared.open.fetch_add(1, Ordering::Relaxed);
        self.metrics(Metrics::connection_accepted);
        tokio::spawn(async move {
            let open = Open(Arc::clone(&shared));
            http::serve(stream, client, shared).await;
            drop((open, seat, permit));
        });
    }
}

/// Counts a connection as long as it is open, whatever ends it.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
