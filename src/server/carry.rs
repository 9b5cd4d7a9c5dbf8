//! Bytes both ways between a client and a server, counted as they go, until both have said their last or
//! nothing has moved for too long.
//!
//! What they mean is nobody's business here. Neither side is read while the other takes nothing, so that
//! a tunnel holds two buffers and no more.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::time::sleep;

use crate::clock;
use crate::telemetry::{Direction, TunnelEnd};

/// Held for each direction of each connection: as much as HAProxy's and nginx's.
const BUFFER_BYTES: usize = 16 * 1024;

/// The client's end; what goes through is counted as it goes.
struct Metered<'a, T, F> {
    client: &'a mut T,
    count: F,
    pulse: &'a Pulse,
}

/// When a byte went through last, either way.
struct Pulse {
    /// Milliseconds after the process's start.
    at_ms: AtomicU64,
}

/// Copies both ways until both sides have said their last. The end of one direction is passed on, and
/// the other goes on.
pub(super) async fn carry(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
    idle_timeout: Duration,
    count: impl Fn(Direction, usize) + Unpin,
) -> TunnelEnd {
    let pulse = Pulse::new();
    let mut client = Metered {
        client,
        count,
        pulse: &pulse,
    };
    let copy = copy_bidirectional_with_sizes(&mut client, server, BUFFER_BYTES, BUFFER_BYTES);
    tokio::select! {
        copied = copy => match copied {
            Ok(_) => TunnelEnd::Clean,
            Err(_) => TunnelEnd::Broken,
        },
        () = pulse.stops(idle_timeout) => TunnelEnd::Idle,
    }
}

// === impl Metered ===

impl<T, F: Fn(Direction, usize) + Unpin> Metered<'_, T, F> {
    fn note(&self, direction: Direction, bytes: usize) {
        if bytes > 0 {
            (self.count)(direction, bytes);
            self.pulse.beat();
        }
    }
}

impl<T: AsyncRead + Unpin, F: Fn(Direction, usize) + Unpin> AsyncRead for Metered<'_, T, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut *self.client).poll_read(cx, buf))?;
        self.note(Direction::In, buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin, F: Fn(Direction, usize) + Unpin> AsyncWrite for Metered<'_, T, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut *self.client).poll_write(cx, bytes))?;
        self.note(Direction::Out, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.client).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.client).poll_shutdown(cx)
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
