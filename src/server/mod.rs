//! Traffic side of the proxy: listeners, connections, their limits and their end.
//!
//! A permit for each connection, a task for each connection. The server knows nothing of caching;
//! a request's answer comes from [`crate::pipeline::serve`]. Only `tcp.rs` knows origins, for there
//! are no requests in what it carries.

mod drain;
mod per_client;
mod tls;

mod socket;

mod unix;

mod listening;

mod passed;

mod connections;
mod listener;
mod proxy_protocol;

mod answers;
mod carry;
mod framing;
mod http;
mod http2;
mod interim;
mod io;
mod linger;
mod outgoing;
mod park;
mod settings;
mod tcp;
mod tunnel;
mod unread;
mod upload;
mod watch;
mod wear;

mod accept;
mod listeners;

use std::sync::Arc;
use std::time::Duration;

pub use drain::Drain;
pub use listener::{BindError, bind};
pub use listeners::{Bound, Listeners, Plan};
pub use listening::Listening;
pub use passed::Passed;
pub use tls::{Acceptor, BadTerms, Secured, Speaks, Tls, TlsPlan};
pub use unix::permit;

use crate::acme::Hatch;
use crate::clock::Instant;
use crate::config;
use crate::pipeline::{Client, Current, Scheme, Session};
use crate::semantics::client_cert;
use crate::semantics::proxy_protocol::Endpoints;
use crate::telemetry::{Telemetry, TunnelEnd};
use connections::Connections;
use proxy_protocol::Introduced;
use socket::Socket;
use tcp::Tunnel;
use watch::ConnectionTimeouts;
use wear::Wear;

/// The traffic side of the proxy.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

/// What all connections use.
struct Shared {
    current: Arc<Current>,
    telemetry: Arc<Telemetry>,
    connections: Connections,
    accept_failures: listener::Failures,
    tls: Tls,
    hatch: Hatch,
}

/// What the connections of one listener are for, by the configuration they were accepted under.
struct Service {
    shared: Arc<Shared>,
    /// The listener's.
    drain: Drain,
    protocol: Protocol,
    /// Which connections begin with a PROXY header; `None` for none.
    accept_proxy: Option<config::AcceptProxy>,
    /// `None` where clients speak in clear.
    tls: Option<Arc<Acceptor>>,
    options: config::SocketOptions,
}

enum Protocol {
    Http,
    Tcp(Tunnel),
}

// === impl Server ===

impl Server {
    /// A server that asks `current` for its site. Nothing comes in before there are [`Listeners`].
    pub fn new(connections_max: usize, current: Arc<Current>, telemetry: Arc<Telemetry>) -> Self {
        let hatch = Hatch::default();
        Self(Arc::new(Shared {
            current,
            tls: Tls::new(&telemetry, &hatch),
            hatch,
            telemetry,
            connections: Connections::new(connections_max),
            accept_failures: listener::Failures::default(),
        }))
    }

    /// Changes how many connections there may be at once. All other limits are the site's.
    pub fn limit_connections(&self, max: usize) {
        self.0.connections.limit(max);
    }

    /// Certificates and handshakes.
    pub fn tls(&self) -> &Tls {
        &self.0.tls
    }

    /// Where CAs, and clients without a certificate for their name, are heard.
    pub fn hatch(&self) -> &Hatch {
        &self.0.hatch
    }

    /// Connections open at this moment.
    pub fn connections(&self) -> u64 {
        self.0.connections.count()
    }

    /// Those of them that have been answered and are only heard out.
    pub fn lingering(&self) -> u64 {
        self.0.connections.lingering()
    }

    /// How many there may be.
    pub fn connections_max(&self) -> u64 {
        self.0.connections.max().into()
    }

    /// Waits until all connections have ended, at most this long; tells whether they have.
    pub async fn ended(&self, at_most: Duration) -> bool {
        self.0.connections.ended(at_most).await
    }
}

// === impl Service ===

impl Service {
    fn new(config: &config::Listen, server: &Server, drain: &Drain) -> Arc<Self> {
        let protocol = match &config.protocol {
            config::Protocol::Http => Protocol::Http,
            config::Protocol::Tcp(tunnel) => Protocol::Tcp(Tunnel::new(tunnel)),
        };
        let speaks = match &protocol {
            Protocol::Http => Speaks::Http,
            Protocol::Tcp(_) => Speaks::Anything,
        };
        let tls = config.tls.as_ref();
        Arc::new(Self {
            shared: Arc::clone(&server.0),
            drain: drain.clone(),
            protocol,
            accept_proxy: config.accept_proxy.clone(),
            tls: tls.and_then(|it| server.tls().acceptor(it, speaks)),
            options: config.socket,
        })
    }

    /// Serves one connection until it ends.
    async fn serve(self: Arc<Self>, mut socket: Socket, own: Endpoints) {
        socket.set_options(&self.options);
        let introduced = self.learn(&mut socket, own).await;
        match (&self.protocol, introduced) {
            (Protocol::Http, Some(Introduced { endpoints, facts })) => {
                if let Some((socket, session)) = self.secure(socket, endpoints).await {
                    let client = Client {
                        address: endpoints.source,
                        local: endpoints.destination,
                        scheme: session.as_ref().map_or(Scheme::Http, |_| Scheme::Https),
                        session,
                        proxy: facts,
                    };
                    http::serve(socket, client, self).await;
                }
            }
            (Protocol::Http, None) => self.shared.telemetry.metrics.bad_request(),
            // Boxed, so that an idle HTTP connection does not carry what it never needs.
            (Protocol::Tcp(tunnel), introduced) => {
                let endpoints = introduced.map(|it| it.endpoints);
                Box::pin(self.serve_tcp(socket, endpoints, tunnel)).await;
            }
        }
    }

    /// Shakes hands, where the listener speaks TLS; `None` when that fails.
    async fn secure(
        &self,
        socket: Socket,
        endpoints: Endpoints,
    ) -> Option<(Socket, Option<Arc<Session>>)> {
        let Some(acceptor) = &self.tls else {
            return Some((socket, None));
        };
        let accepted = tokio::select! {
            accepted = Box::pin(acceptor.accept(socket.into_tcp()?, endpoints)) => *accepted?,
            () = self.drain.was_cut() => return None,
        };
        let session = Session {
            facts: Arc::new(accepted.facts),
            client_auth: accepted.client_auth,
            listener_auth: accepted.listener_auth,
            is_http2: accepted.is_http2,
            certificate: accepted
                .certificate
                .as_deref()
                .and_then(client_cert::to_value),
        };
        Some((Socket::Tls(accepted.stream), Some(Arc::new(session))))
    }

    /// Who a connection is from, as the proxy before us tells it where one is expected; `None` if it
    /// does not.
    async fn learn(&self, socket: &mut Socket, own: Endpoints) -> Option<Introduced> {
        let Some(accept) = &self.accept_proxy else {
            return Some(own.into());
        };
        let (time, drain) = (self.timeouts().header, &self.drain);
        Box::pin(proxy_protocol::learn(socket, own, accept, time, drain)).await
    }

    async fn serve_tcp(&self, socket: Socket, endpoints: Option<Endpoints>, tunnel: &Tunnel) {
        let metrics = &self.shared.telemetry.metrics;
        let end = match endpoints {
            Some(endpoints) => {
                // A handshake that fails is counted as that.
                let Some((socket, _)) = self.secure(socket, endpoints).await else {
                    return;
                };
                metrics.tunnel_opened();
                tunnel.serve(socket, endpoints, self).await
            }
            None => {
                metrics.tunnel_opened();
                TunnelEnd::BadHeader
            }
        };
        metrics.tunnel_ended(end);
    }

    /// How long a connection is heard out that has been answered, by the site in force.
    fn linger_timeout(&self) -> Duration {
        self.shared.current.load().server().linger_timeout
    }

    /// How long a connection may do what, by the site in force.
    fn timeouts(&self) -> ConnectionTimeouts {
        ConnectionTimeouts::new(self.shared.current.load().server())
    }

    /// What a connection that has begun then may carry, by the same.
    fn wear(&self, began: Instant) -> Wear {
        Wear::new(self.shared.current.load().server(), began)
    }
}
