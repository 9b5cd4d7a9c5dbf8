//! Lingering close: an answered connection is closed in stages, so that the answer is not lost.
//!
//! "If a server performs an immediate close of a TCP connection, there is a significant risk that the
//! client will not be able to read the last HTTP response. […] To avoid the TCP reset problem, servers
//! typically close a connection in stages. First, the server performs a half-close […]. The server then
//! continues to read from the connection until it receives a corresponding close by the client […]"
//! (RFC 9112 §9.6). How long we do that is bounded in every respect. Who goes on after that meets the
//! reset that all would have met.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::{sleep, timeout};

use super::Service;
use super::socket::{LAST_WORD, Socket};
use super::watch::DRAIN_LINGER;

/// A client that sends nothing for so long sends nothing more.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(2);
/// As much of what nobody wants is read; more is sent in bad faith or by mistake.
pub(super) const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Held by each connection that lingers.
const BUFFER_BYTES: usize = 16 * 1024;

/// Ends a connection whose client may not have said its last; whether it is known not to have.
pub(super) async fn linger(mut socket: Socket, is_amid_request: bool, service: &Service) {
    let time_max = service.linger_timeout();
    if time_max.is_zero() || !(is_amid_request || has_more(&mut socket).await) {
        return;
    }
    let Some(_counted) = service.shared.connections.linger() else {
        return;
    };
    tokio::select! {
        // However it ends: there is nobody left to be told.
        _ = timeout(time_max, part(&mut socket)) => {}
        () = cut(service) => {}
    }
}

/// Ends a connection whose client was told to go, and may be talking: just long enough for it to read why.
pub(super) async fn hear_out(mut socket: Socket, service: &Service) {
    let Some(_counted) = service.shared.connections.linger() else {
        return;
    };
    tokio::select! {
        _ = timeout(LAST_WORD, part(&mut socket)) => {}
        () = service.drain.was_cut() => {}
    }
}

/// Whether there is more to read at this moment, such as a request behind the last one. It is not
/// kept.
async fn has_more(socket: &mut Socket) -> bool {
    let mut bytes = [0; 64];
    let mut bytes = ReadBuf::new(&mut bytes);
    poll_fn(|cx| {
        let read = Pin::new(&mut *socket).poll_read(cx, &mut bytes);
        Poll::Ready(matches!(read, Poll::Ready(Ok(()))) && !bytes.filled().is_empty())
    })
    .await
}

/// Says the last and hears the client out.
async fn part(socket: &mut Socket) {
    // Nothing but that may have been done already, by hyper.
    if socket.shutdown().await.is_err() {
        return;
    }
    let mut unwanted = vec![0; BUFFER_BYTES].into_boxed_slice();
    let mut read_bytes = 0;
    while read_bytes <= BYTES_MAX {
        match timeout(SILENCE_MAX, socket.read(&mut unwanted)).await {
            Ok(Ok(bytes @ 1..)) => read_bytes += bytes as u64,
            Ok(Ok(0) | Err(_)) | Err(_) => return,
        }
    }
}

/// The drain waits for nobody who has had an answer, but for the moment that it takes to read it.
async fn cut(service: &Service) {
    service.drain.begun().await;
    tokio::select! {
        () = sleep(DRAIN_LINGER) => {}
        () = service.drain.was_cut() => {}
    }
}
