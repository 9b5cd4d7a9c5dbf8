//! Listening sockets: bound with the error that a person needs, accepted without spinning.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpSocket;
use tracing::warn;

use super::listening::Listening;
use super::passed::Passed;
use super::socket::Socket;
use super::unix;
use crate::clock;
use crate::config::ListenAddress;
use crate::semantics::proxy_protocol::Endpoints;

/// After a failed accept (such as for want of file descriptors) the loop rests this long.
const REST: Duration = Duration::from_millis(20);

/// So often it is said that accepting fails, by however many listeners.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Accepts of all listeners that have failed, told once in a while.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Those that nobody has been told of.
    untold: AtomicU64,
    /// Milliseconds after the process's start.
    told_at_ms: AtomicU64,
}

/// An address that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}{mend}")]
pub struct BindError {
    address: ListenAddress,
    mend: &'static str,
    source: io::Error,
}

/// Binds `address`, or takes what was passed for it, and tells which one that is where port 0 asks for
/// any. So many clients wait in the kernel's queue.
///
/// # Errors
/// [`BindError`], which names the address.
pub fn bind(
    address: &ListenAddress,
    backlog: u32,
    passed: &Passed,
) -> Result<(ListenAddress, Vec<Listening>), BindError> {
    let bound = match address {
        ListenAddress::Ip(ip) => bind_ip(*ip, backlog),
        ListenAddress::Unix(path) => unix::bind(path, backlog)
            .map(|(socket, name)| (address.clone(), vec![Listening::Unix(socket, Some(name))])),
        ListenAddress::Passed(name) => passed.listening(name).map(|it| (address.clone(), it)),
    };
    bound.map_err(|source| BindError {
        address: address.clone(),
        mend: mend(address, &source),
        source,
    })
}

fn bind_ip(address: SocketAddr, backlog: u32) -> io::Result<(ListenAddress, Vec<Listening>)> {
    let socket = match address.is_ipv4() {
        true => TcpSocket::new_v4()?,
        false => TcpSocket::new_v6()?,
    };
    // So that a restart need not wait for the last connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(backlog)?;
    let address = ListenAddress::Ip(listener.local_addr()?);
    Ok((address, vec![Listening::Tcp(listener)]))
}

/// What helps against the errors that newcomers meet.
fn mend(address: &ListenAddress, error: &io::Error) -> &'static str {
    let is_ip = address.ip().is_some();
    match error.kind() {
        io::ErrorKind::PermissionDenied if is_ip => {
            " (ports below 1024 are not for everybody: have systemd give the right with \
             AmbientCapabilities=CAP_NET_BIND_SERVICE, or give it to the program once with \
             `setcap cap_net_bind_service=+ep copal`)"
        }
        io::ErrorKind::AddrInUse if is_ip => {
            " (another program listens there; `ss -ltnp` tells which)"
        }
        io::ErrorKind::AddrInUse => " (another program listens there; `ss -lxp` tells which)",
        io::ErrorKind::NotFound if matches!(address, ListenAddress::Passed(_)) => {
            " (give its socket unit FileDescriptorName= with that name, and start that unit)"
        }
        io::ErrorKind::NotFound => {
            " (its folder must be there; RuntimeDirectory= of systemd makes one)"
        }
        _ => "",
    }
}

// === impl Failures ===

impl Failures {
    fn note(&self, error: &io::Error) {
        self.untold.fetch_add(1, Ordering::Relaxed);
        if self.is_time() {
            let times = self.untold.swap(0, Ordering::Relaxed);
            warn!(%error, times, "cannot accept connections");
        }
    }

    /// Whether it is time to tell, for one of those who ask at once.
    fn is_time(&self) -> bool {
        let now_ms = u64::try_from(clock::uptime().as_millis()).unwrap_or(u64::MAX);
        let told_ms = self.told_at_ms.load(Ordering::Relaxed);
        let every_ms = u64::try_from(TELL_EVERY.as_millis()).unwrap_or(u64::MAX);
        let is_due = told_ms == 0 || now_ms.saturating_sub(told_ms) >= every_ms;
        let (at, now_ms) = (&self.told_at_ms, now_ms.max(1));
        is_due
            && at
                .compare_exchange(told_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// The next connection. Errors of single connections are not the listener's; when the process
/// itself is short of something, waiting is all that helps.
pub(super) async fn accept(listener: &Listening, failures: &Failures) -> (Socket, Endpoints) {
    loop {
        match listener.accept().await {
            Ok((stream, endpoints)) => return (Socket::tcp(stream), endpoints),
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                failures.note(&error);
                tokio::time::sleep(REST).await;
            }
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_are_told_once_a_second() {
        // Uptime counts from its first reading, which may be this one.
        clock::uptime();
        tokio::time::advance(Duration::from_secs(1)).await;
        let failures = Failures::default();
        assert!(failures.is_time());
        for _ in 0..9 {
            tokio::time::advance(TELL_EVERY / 10).await;
            assert!(!failures.is_time());
        }
        tokio::time::advance(TELL_EVERY / 10).await;
        assert!(failures.is_time() && !failures.is_time());
    }
}
