//! Tunnel of an upgraded connection: the server has said 101, and from now on bytes go both ways.
//!
//! It ends with either side, by its own limits, or when a drain is cut. Of reloads it knows nothing.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

use super::carry::carry;
use super::drain::Drain;
use super::socket::Socket;
use crate::pipeline::Tunnel;
use crate::telemetry::TunnelEnd;

/// The client's end, of which something has been read already.
struct Resumed<T> {
    unread: Bytes,
    client: T,
}

/// Carries a tunnel on a whole connection; `unread` is what its client sent behind the request.
pub(super) async fn serve(mut client: Socket, unread: Bytes, tunnel: Box<Tunnel>, drain: &Drain) {
    let mut resumed = Resumed {
        unread,
        client: &mut client,
    };
    match run(&mut resumed, tunnel, drain).await {
        // What was broken off must not look as if it were whole.
        TunnelEnd::Broken | TunnelEnd::Cut => client.set_zero_linger(),
        _ => client.end().await,
    }
}

/// Carries a tunnel to a client, whatever its end of it is, and tells how it ended.
pub(super) async fn run(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    tunnel: Box<Tunnel>,
    drain: &Drain,
) -> TunnelEnd {
    let Tunnel { mut server, books } = *tunnel;
    let limits = books.limits();
    let count = |direction, bytes| books.note(direction, bytes);
    let end = tokio::select! {
        end = carry(client, &mut server, limits.idle, count) => end,
        () = passed(limits.lifetime) => TunnelEnd::Lifetime,
        () = drain.was_cut() => TunnelEnd::Cut,
    };
    books.close(end);
    end
}

async fn passed(lifetime: Option<Duration>) {
    match lifetime {
        Some(lifetime) => sleep(lifetime).await,
        None => pending().await,
    }
}

// === impl Resumed ===

impl<T: AsyncRead + Unpin> AsyncRead for Resumed<&mut T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut *self.client).poll_read(cx, buf);
        }
        let taken = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..taken]);
        self.unread.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Resumed<&mut T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.client).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.client).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.client).poll_shutdown(cx)
    }
}
