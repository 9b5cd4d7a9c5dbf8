//! The way to a server: its addresses one after the other, then TLS where it speaks that, or the
//! socket in its file system.
//!
//! Not what is said on the connection, which is `connect.rs`'s for requests and `probe.rs`'s for
//! probes.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::error::{Error, Kind, Phase, Retry};
use super::tls::{BadTls, Protocol, Terms, Tls};
use crate::config;

/// As many addresses of one name as are tried.
const ADDRESSES_MAX: usize = 8;

/// The way to one server.
#[derive(Clone, Debug)]
pub(super) enum Dial {
    Tcp {
        host: Arc<str>,
        port: u16,
        tls: Option<Tls>,
    },
    Unix(Arc<str>),
}

/// A connection, whatever it is made of.
pub(super) type Stream = Box<dyn Io>;

/// Bytes go both ways.
pub(super) trait Io: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> Io for T {}

// === impl Dial ===

impl Dial {
    /// The way to `server`, on the terms of its origin if TLS is spoken there.
    pub(super) fn new(
        server: &config::ServerUrl,
        origin: &config::Origin,
        terms: Option<&Terms>,
    ) -> Result<Self, BadTls> {
        let (tls, host, port) = match server {
            config::ServerUrl::Tcp { tls, host, port } => (*tls, host, *port),
            config::ServerUrl::Unix(path) => return Ok(Self::Unix(Arc::clone(path))),
        };
        let terms = terms.filter(|_| tls);
        let tls = terms.map(|terms| terms.with(origin, host)).transpose()?;
        Ok(Self::Tcp {
            host: Arc::clone(host),
            port,
            tls,
        })
    }

    /// The same by another port, if it has ports.
    pub(super) fn at_port(&self, port: u16) -> Self {
        match self {
            Self::Tcp { host, tls, .. } => Self::Tcp {
                host: Arc::clone(host),
                port,
                tls: tls.clone(),
            },
            Self::Unix(_) => self.clone(),
        }
    }

    /// Whether there is a host that a Host field could name.
    pub(super) fn has_host(&self) -> bool {
        matches!(self, Self::Tcp { .. })
    }

    /// Connects, and shakes hands if the server speaks TLS, within `patience` for both.
    pub(super) async fn open(
        &self,
        patience: Duration,
        protocol: Protocol,
    ) -> Result<Stream, Error> {
        let opened = timeout(patience, self.open_unbounded(patience, protocol));
        opened.await.unwrap_or_else(|_| Err(failed(Kind::Timeout)))
    }

    /// Connects for bytes that are not ours to read, so without TLS of ours. The configuration's
    /// check has made sure that the server has an address and speaks none.
    pub(super) async fn open_plain(&self, patience: Duration) -> Result<TcpStream, Error> {
        let Self::Tcp { host, port, .. } = self else {
            return Err(failed(Kind::Resolve));
        };
        let opened = timeout(patience, connect(host, *port, patience));
        opened.await.unwrap_or_else(|_| Err(failed(Kind::Timeout)))
    }

    async fn open_unbounded(
        &self,
        patience: Duration,
        protocol: Protocol,
    ) -> Result<Stream, Error> {
        let (host, port, tls) = match self {
            Self::Tcp { host, port, tls } => (host, *port, tls),
            Self::Unix(path) => return connect_unix(path).await,
        };
        let stream = connect(host, port, patience).await?;
        let Some(tls) = tls else {
            return Ok(Box::new(stream));
        };
        match tls.shake_hands(stream, protocol).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(failed(Kind::Tls).because(error)),
        }
    }
}

/// Tries the addresses one after the other, each for its share of `patience`, so that a dead one
/// does not hide those behind it.
async fn connect(host: &str, port: u16, patience: Duration) -> Result<TcpStream, Error> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| failed(Kind::Resolve).because(error))?
        .take(ADDRESSES_MAX)
        .collect();
    let share = patience / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = failed(Kind::Resolve);
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without it small requests wait for the server's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = failed(Kind::Refused).because(error),
            Err(_) => last = failed(Kind::Timeout),
        }
    }
    Err(last)
}

async fn connect_unix(path: &str) -> Result<Stream, Error> {
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(Box::new(stream)),
        // There is nobody who could have been asked.
        Err(error) => Err(failed(Kind::Refused).because(error)),
    }
}

fn failed(kind: Kind) -> Error {
    Error::new(kind, Phase::Connecting, Retry::Safe)
}
