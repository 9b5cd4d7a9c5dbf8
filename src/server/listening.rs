//! Socket on which clients are awaited, over IP or on this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use tokio::net::{TcpListener, TcpStream, UnixListener};

use super::unix;
use crate::semantics::proxy_protocol::Endpoints;

/// The address of those who come in over a Unix socket, for access, trust and logs: they are on this
/// machine.
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A socket on which clients are awaited.
#[derive(Debug)]
pub enum Listening {
    /// Over IP.
    Tcp(TcpListener),
    /// On this machine, under a name that is removed with it if it is ours.
    Unix(UnixListener, Option<unix::Name>),
}

// === impl Listening ===

impl Listening {
    /// The next connection, and its two ends.
    ///
    /// # Errors
    /// The listener's, or those of a connection that is gone already.
    pub async fn accept(&self) -> io::Result<(TcpStream, Endpoints)> {
        let (stream, source, destination) = match self {
            Self::Tcp(listener) => {
                let (stream, source) = listener.accept().await?;
                let destination = stream.local_addr().map_err(|_| gone())?;
                (stream, source, destination)
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                (unix::as_stream(stream)?, HERE, HERE)
            }
        };
        let endpoints = Endpoints {
            source,
            destination,
        };
        Ok((stream, endpoints))
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
