//! Where bytes enter and leave: listeners, connections, their limits and their end.
//!
//! A permit for each connection, a task for each connection. The server knows nothing of caching;
//! a request's answer comes from [`crate::pipeline::serve`]. Only `tcp.rs` knows origins, for there
//! are no requests in what it carries.

mod drain;
mod framing;
mod http;
mod interim;
mod io;
mod listener;
mod park;
mod per_client;
mod proxy_protocol;
mod socket;
mod tcp;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

pub use drain::Drain;
pub use listener::{BindError, bind};

use crate::config;
use crate::pipeline::{Client, Current, Scheme};
use crate::semantics::proxy_protocol::Endpoints;
use crate::telemetry::{Metrics, TunnelEnd};
use http::Builders;
use per_client::ClientLimit;
use socket::Socket;
use tcp::Tunnel;
use watch::ConnectionTimeouts;

/// The traffic side of the proxy.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    permits_max: u32,
    client_limit: ClientLimit,
}

/// What the connections of one listener are for.
#[derive(Clone)]
pub struct Service(Arc<Serve>);

struct Serve {
    protocol: Protocol,
    /// Whether each connection begins with a PROXY header.
    accept_proxy: bool,
}

enum Protocol {
    Http,
    Tcp(Tunnel),
}

/// What all connections use.
struct Shared {
    current: Arc<Current>,
    drain: Drain,
    builders: Builders,
    timeouts: ConnectionTimeouts,
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
            timeouts: ConnectionTimeouts {
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
            client_limit: ClientLimit::new(config.connections_per_client_max),
        }
    }

    /// Connections open at this moment.
    pub fn connections(&self) -> u64 {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Accepts on `listener` until the drain begins. Connections that the kernel has accepted by
    /// then are served too, for their clients have been told that they are connected.
    pub async fn run(self, listener: TcpListener, service: Service) {
        loop {
            let permit = tokio::select! {
                permit = Arc::clone(&self.permits).acquire_owned() => permit,
                () = self.shared.drain.begun() => break,
            };
            // The semaphore is never closed.
            let Ok(permit) = permit else { return };
            tokio::select! {
                accepted = listener::accept(&listener) => self.spawn(accepted, &service, permit),
                () = self.shared.drain.begun() => break,
            }
        }
        self.empty_backlog(&listener, &service).await;
    }

    /// Waits until all connections have ended, at most this long; tells whether they have.
    pub async fn ended(&self, at_most: Duration) -> bool {
        let all = self.permits.acquire_many(self.permits_max);
        timeout(at_most, all).await.is_ok()
    }

    async fn empty_backlog(&self, listener: &TcpListener, service: &Service) {
        while let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            tokio::select! {
                biased;
                accepted = listener::accept(listener) => self.spawn(accepted, service, permit),
                () = tokio::task::yield_now() => return,
            }
        }
    }

    fn metrics(&self, count: fn(&Metrics)) {
        count(&self.shared.current.load().telemetry().metrics);
    }

    fn spawn(
        &self,
        (mut socket, endpoints): (Socket, Endpoints),
        service: &Service,
        permit: OwnedSemaphorePermit,
    ) {
        // Closed by being dropped: who takes too many is not given an answer as well.
        let Some(counted) = self.client_limit.count(endpoints.source.ip()) else {
            return self.metrics(Metrics::connection_refused);
        };
        let (shared, service) = (Arc::clone(&self.shared), service.clone());
        shared.open.fetch_add(1, Ordering::Relaxed);
        self.metrics(Metrics::connection_accepted);
        tokio::spawn(async move {
            let open = Open(Arc::clone(&shared));
            let endpoints = service
                .learn_endpoints(&mut socket, endpoints, &shared)
                .await;
            match (&service.0.protocol, endpoints) {
                (Protocol::Http, Some(endpoints)) => {
                    http::serve(socket, endpoints.into(), shared).await
                }
                (Protocol::Http, None) => shared.current.load().telemetry().metrics.bad_request(),
                // Boxed, so that an idle HTTP connection does not carry what it never needs.
                (Protocol::Tcp(tunnel), endpoints) => {
                    Box::pin(serve_tcp(socket, endpoints, tunnel, &shared)).await;
                }
            }
            drop((open, counted, permit));
        });
    }
}

// === impl Service ===

impl Service {
    /// What the connections of this listener are for.
    pub fn new(config: &config::Listen) -> Self {
        let protocol = match &config.protocol {
            config::Protocol::Http => Protocol::Http,
            config::Protocol::Tcp(tunnel) => Protocol::Tcp(Tunnel::new(tunnel)),
        };
        Self(Arc::new(Serve {
            protocol,
            accept_proxy: config.accept_proxy,
        }))
    }

    /// The endpoints of a connection, as the proxy before us tells them where one is expected; `None` if
    /// it does not.
    async fn learn_endpoints(
        &self,
        socket: &mut Socket,
        own: Endpoints,
        shared: &Shared,
    ) -> Option<Endpoints> {
        if !self.0.accept_proxy {
            return Some(own);
        }
        let read = Box::pin(timeout(
            shared.timeouts.header,
            proxy_protocol::read(socket),
        ));
        Some(read.await.ok()?.ok()?.unwrap_or(own))
    }
}

// === impl Client ===

impl From<Endpoints> for Client {
    fn from(endpoints: Endpoints) -> Self {
        Self {
            address: endpoints.source,
            local: endpoints.destination,
            scheme: Scheme::Http,
        }
    }
}

async fn serve_tcp(socket: Socket, endpoints: Option<Endpoints>, tunnel: &Tunnel, shared: &Shared) {
    let telemetry = Arc::clone(shared.current.load().telemetry());
    telemetry.metrics.tunnel_opened();
    let end = match endpoints {
        Some(endpoints) => tunnel.serve(socket, endpoints, shared).await,
        None => TunnelEnd::BadHeader,
    };
    telemetry.metrics.tunnel_ended(end);
}

/// Counts a connection as long as it is open, whatever ends it.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
