//! Connection of a TCP listener: a server is chosen, and bytes are copied both ways.
//!
//! What the bytes mean is nobody's business here. Which server it is, and whether it is well, is
//! the origin's; who the client is, where a proxy before us tells it, is in `proxy_protocol.rs`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional_with_sizes};
use tokio::time::sleep;
use tracing::debug;

use super::Service;
use super::socket::Socket;
use crate::clock;
use crate::config;
use crate::origin::RawConnection;
use crate::pipeline::Current;
use crate::semantics::proxy_protocol::Endpoints;
use crate::telemetry::{Direction, Metrics, TunnelEnd};

/// Held for each direction of each connection: as much as HAProxy's and nginx's.
const BUFFER_BYTES: usize = 16 * 1024;

/// What all connections of one TCP listener have in common.
pub(super) struct Tunnel {
    origin: Arc<str>,
    idle_timeout: Duration,
    /// How servers are told who the client is, if they are.
    header: Option<fn(Endpoints) -> Vec<u8>>,
}

/// The client's socket; what goes through is counted as it goes.
struct Metered<'a> {
    socket: &'a mut Socket,
    metrics: &'a Metrics,
    pulse: &'a Pulse,
}

/// When a byte went through last, either way.
struct Pulse {
    /// Milliseconds after the process's start.
    at_ms: AtomicU64,
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

    /// Copies both ways until both sides have said their last. The end of one direction is passed
    /// on, and the other goes on.
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
        let pulse = Pulse::new();
        let mut client = Metered {
            socket: client,
            metrics,
            pulse: &pulse,
        };
        let copy = copy_bidirectional_with_sizes(&mut client, server, BUFFER_BYTES, BUFFER_BYTES);
        tokio::select! {
            copied = copy => match copied {
                Ok(_) => TunnelEnd::Clean,
                Err(_) => TunnelEnd::Broken,
            },
            () = pulse.stops(self.idle_timeout) => TunnelEnd::Idle,
        }
    }
}

// === impl Metered ===

impl Metered<'_> {
    fn note(&self, direction: Direction, bytes: usize) {
        if bytes > 0 {
            self.metrics.tunnel_carried(direction, bytes);
            self.pulse.beat();
        }
    }
}

impl AsyncRead for Metered<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut *self.socket).poll_read(cx, buf))?;
        self.note(Direction::In, buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut *self.socket).poll_write(cx, bytes))?;
        self.note(Direction::Out, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket).poll_shutdown(cx)
    }
}

// === impl Pulse ===

impl Pulse {
    fn new() -> Self {
        Self {
            at_ms: AtomicU64::new(now_ms()),
        }
    }

    fn beat(&self) {
        self.at_ms.store(now_ms(), Ordering::Relaxed);
    }

    /// Waits until there has been none for so long. One timer a connection, and it is set anew only
    /// when it has run out.
    async fn stops(&self, silence_max: Duration) {
        loop {
            let silent_ms = now_ms().saturating_sub(self.at_ms.load(Ordering::Relaxed));
            match silence_max.checked_sub(Duration::from_millis(silent_ms)) {
                None | Some(Duration::ZERO) => return,
                Some(left) => sleep(left).await,
            }
        }
    }
}

fn now_ms() -> u64 {
    u64::try_from(clock::uptime().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pulse_stops_so_long_after_its_last_beat() {
        let (pulse, silence_max) = (Pulse::new(), Duration::from_secs(10));
        let began = clock::instant();
        let beating = async {
            for _ in 0..3 {
                sleep(Duration::from_secs(9)).await;
                pulse.beat();
            }
        };
        tokio::join!(beating, pulse.stops(silence_max));
        assert_eq!(began.elapsed().as_secs(), 37);
    }
}
