//! Wait of an idle connection before and between requests: no buffers, no parser, only a socket.
//!
//! A keep-alive connection spends nearly all of its life here, so that fifty thousand of them
//! cost little memory. Nothing is parsed here but the first bytes, which tell HTTP/2 from HTTP/1.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::drain::Drain;
use super::socket::Socket;

/// How an HTTP/2 connection begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes say.
pub(super) enum First {
    Http1(Bytes),
    Http2(Bytes),
}

// === impl First ===

impl First {
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Http1(bytes) | Self::Http2(bytes) => bytes,
        }
    }
}

/// Waits for bytes for as long as `time` allows; false when none came, or the drain has begun and
/// none came shortly after.
pub(super) async fn wakes(
    socket: &mut Socket,
    drain: &Drain,
    time: impl Fn(bool) -> Duration,
) -> bool {
    tokio::select! {
        woken = wakes_within(socket, time(drain.has_begun())) => return woken,
        () = drain.begun(), if !drain.has_begun() => {}
    }
    wakes_within(socket, time(true)).await
}

async fn wakes_within(socket: &mut Socket, time: Duration) -> bool {
    timeout(time, socket.wakes()).await.unwrap_or(false)
}

/// Reads no more than it takes to know the protocol.
///
/// # Errors
/// The socket's own, and `UnexpectedEof` when the client left without a byte.
pub(super) async fn first_bytes(socket: &mut Socket) -> io::Result<First> {
    let mut bytes = BytesMut::with_capacity(PREFACE.len());
    loop {
        let missing = PREFACE.len() - bytes.len();
        if (&mut *socket)
            .take(missing as u64)
            .read_buf(&mut bytes)
            .await?
            == 0
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !PREFACE.starts_with(&bytes) {
            return Ok(First::Http1(bytes.freeze()));
        }
        if bytes.len() == PREFACE.len() {
            return Ok(First::Http2(bytes.freeze()));
        }
    }
}
