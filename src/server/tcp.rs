//! Connection of a TCP listener: a server is chosen, and bytes are copied both ways.
//!
//! What the bytes mean is nobody's business here. Which server it is, and whether it is well, is
//! the origin's; who the client is, where a proxy before us tells it, is in `proxy_protocol.rs`.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tracing::debug;

use super::Service;
use super::carry::carry;
use super::socket::Socket;
use crate::config;
use crate::origin::RawConnection;
use crate::pipeline::Current;
use crate::semantics::proxy_protocol::Endpoints;
use crate::telemetry::{Metrics, TunnelEnd};

/// What all connections of one TCP listener have in common.
pub(super) struct Tunnel {
    origin: Arc<str>,
    idle_timeout: Duration,
    /// How servers are told who the client is, if they are.
    header: Option<fn(Endpoints) -> Vec<u8>>,
}

// === impl Tunnel ===

impl Tunnel {
    pub(super) fn new(config: &config::Tunnel) -> Self {
        let header = config.proxy_protocol.map(|version| match version {
            config::ProxyVersion::V1 => Endpoints::to_v1,
            config::ProxyVersion::V2 => Endpoints::to_v2,
        });
        Self {
            origin: Arc::clone(&config.origin),
            idle_timeout: config.idle_timeout,
            header,
        }
    }

    /// Carries a connection until it ends, and tells how it did.
    pub(super) async fn serve(
        &self,
        mut client: Socket,
        endpoints: Endpoints,
        service: &Service,
    ) -> TunnelEnd {
        let shared = &service.shared;
        let Some(mut server) = self.connect(endpoints, &shared.current).await else {
            client.set_zero_linger();
            return TunnelEnd::NoServer;
        };
        let carry = self.carry(
            &mut client,
            &mut server.stream,
            endpoints,
            &shared.telemetry.metrics,
        );
        let end = tokio::select! {
            end = carry => end,
            () = service.drain.was_cut() => TunnelEnd::Cut,
        };
        debug!(client = %endpoints.source, server = &*server.server, end = end.as_str(), "a connection ended");
        // What was broken off must not look as if it were whole.
        if matches!(end, TunnelEnd::Broken | TunnelEnd::Cut) {
            client.set_zero_linger();
            // One that is gone already cannot be told.
            let _ = server.stream.set_zero_linger();
        }
        end
    }

    /// Connects to a server of the origin as it is configured at this moment. Nothing of that
    /// configuration is kept, so that a connection of days holds no old one.
    async fn connect(&self, endpoints: Endpoints, current: &Current) -> Option<RawConnection> {
        let pool = current.load().pool(&self.origin).cloned();
        let origin = &*self.origin;
        let Some(pool) = pool else {
            debug!(origin, "the origin of a TCP listener is gone");
            return None;
        };
        match pool.connect(endpoints.source.ip()).await {
            Ok(server) => Some(server),
            Err(error) => {
                let client = format_args!("tcp from {}", endpoints.source).to_string();
                pool.tell_failure(&client, &error);
                None
            }
        }
    }

    /// Introduces the client where it is to be, and copies both ways.
    async fn carry(
        &self,
        client: &mut Socket,
        server: &mut (impl AsyncRead + AsyncWrite + Unpin),
        endpoints: Endpoints,
        metrics: &Metrics,
    ) -> TunnelEnd {
        if let Some(header) = self.header
            && server.write_all(&header(endpoints)).await.is_err()
        {
            return TunnelEnd::Broken;
        }
        let count = |direction, bytes| metrics.tunnel_carried(direction, bytes);
        carry(client, server, self.idle_timeout, count).await
    }
}
