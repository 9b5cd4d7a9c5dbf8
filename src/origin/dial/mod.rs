//! Dialling of a server: its addresses one after the other, then TLS where it speaks that, or the
//! socket in its file system.
//!
//! Here are the addresses, in `tls.rs` the handshake, in `introduce.rs` what a server is told before
//! all else. What is said after that is `connect/`'s business for requests, `health/`'s for probes.

pub(super) mod introduce;
mod memory;
pub(super) mod tls;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::error::{Error, Kind};
use super::resolve::{Name, Names, Question};
use crate::config;
pub use memory::Dialer;
use tls::{BadTls, Protocol, Terms, Tls};

/// As many addresses of one name as are tried.
const ADDRESSES_MAX: usize = 8;

/// The way to one server.
#[derive(Clone, Debug)]
pub(super) enum Dial {
    Tcp {
        host: Arc<str>,
        port: u16,
        tls: Option<Tls>,
        whereabouts: Whereabouts,
    },
    Unix(Arc<str>),
    /// To the origin of this name in this process.
    Memory(Dialer, Arc<str>),
}

/// Where a host is.
#[derive(Clone, Debug)]
pub(super) enum Whereabouts {
    /// It is an address.
    Written(IpAddr),
    /// It is a name, by whose addresses it is reached in turn; in another epoch they are others.
    Named { name: Arc<Name>, epoch: u64 },
    /// It is what a name has led to.
    Found { by: Arc<Name>, address: IpAddr },
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
        server: &config::OriginServer,
        origin: &config::Origin,
        terms: Option<&Terms>,
        names: &Names,
    ) -> Result<Self, BadTls> {
        let (tls, host, port) = match &server.url {
            config::ServerUrl::Tcp { tls, host, port } => (*tls, host, *port),
            config::ServerUrl::Unix(path) => return Ok(Self::Unix(Arc::clone(path))),
        };
        let whereabouts = Whereabouts::of(host, server.resolve, names);
        let host: Arc<str> = match server.resolve {
            config::Resolve::Srv => config::service_domain(host).into(),
            config::Resolve::One | config::Resolve::Each => Arc::clone(host),
        };
        let terms = terms.filter(|_| tls);
        let tls = terms.map(|terms| terms.with(origin, &host)).transpose()?;
        Ok(Self::Tcp {
            host,
            port,
            tls,
            whereabouts,
        })
    }

    /// The way to a host by TCP, without TLS.
    pub(super) fn plain(host: &Arc<str>, port: u16, names: &Names) -> Self {
        Self::Tcp {
            host: Arc::clone(host),
            port,
            tls: None,
            whereabouts: Whereabouts::of(host, config::Resolve::One, names),
        }
    }

    /// The way to a server that its name has led to. Who it is does not change by that: it is
    /// called, and has to prove, what is configured.
    pub(super) fn found_at(&self, found: SocketAddr) -> Self {
        let mut dial = self.clone();
        if let Self::Tcp {
            port, whereabouts, ..
        } = &mut dial
            && let Whereabouts::Named { name, .. } = whereabouts
        {
            let (by, address) = (Arc::clone(name), found.ip());
            *whereabouts = Whereabouts::Found { by, address };
            *port = found.port();
        }
        dial
    }

    /// The way to it by the addresses that it has in an epoch of its name.
    pub(super) fn in_epoch(&self, now: u64) -> Self {
        let mut dial = self.clone();
        if let Self::Tcp { whereabouts, .. } = &mut dial
            && let Whereabouts::Named { epoch, .. } = whereabouts
        {
            *epoch = now;
        }
        dial
    }

    fn whereabouts(&self) -> Option<&Whereabouts> {
        match self {
            Self::Tcp { whereabouts, .. } => Some(whereabouts),
            Self::Unix(_) | Self::Memory(..) => None,
        }
    }

    /// The name that is looked up to get there, if it is one.
    pub(super) fn name(&self) -> Option<&Arc<Name>> {
        match self.whereabouts()? {
            Whereabouts::Named { name, .. } => Some(name),
            Whereabouts::Written(_) | Whereabouts::Found { .. } => None,
        }
    }

    /// The addresses of a server that is a name, by the last answer.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let endpoints = self.name().and_then(|name| name.known().endpoints);
        let endpoints = endpoints.iter().flat_map(|it| it.iter());
        endpoints.map(|it| it.address).collect()
    }

    /// The name that has led there, if one has.
    pub(super) fn found_by(&self) -> Option<&Arc<str>> {
        match self.whereabouts()? {
            Whereabouts::Found { by, .. } => Some(by.text()),
            Whereabouts::Written(_) | Whereabouts::Named { .. } => None,
        }
    }

    /// In which epoch of its name; always the first for what is no name.
    pub(super) fn epoch(&self) -> u64 {
        match self.whereabouts() {
            Some(Whereabouts::Named { epoch, .. }) => *epoch,
            Some(Whereabouts::Written(_) | Whereabouts::Found { .. }) | None => 0,
        }
    }

    /// The same by another port, if it has ports.
    pub(super) fn at_port(&self, other: u16) -> Self {
        let mut dial = self.clone();
        if let Self::Tcp { port, .. } = &mut dial {
            *port = other;
        }
        dial
    }

    /// The host and the port that a Host field could name, if there is a host.
    pub(super) fn host_and_port(&self) -> Option<String> {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => Some(format!("[{host}]:{port}")),
            Self::Tcp { host, port, .. } => Some(format!("{host}:{port}")),
            Self::Unix(_) | Self::Memory(..) => None,
        }
    }

    /// Whether TLS is spoken to it.
    pub(super) fn is_secure(&self) -> bool {
        matches!(self, Self::Tcp { tls: Some(_), .. })
    }

    /// Connects, writes `header`, and shakes hands if the server speaks TLS, within `time_max` for
    /// all. Tells which protocol is to be spoken as well, which never is [`Protocol::Either`].
    pub(super) async fn open(
        &self,
        time_max: Duration,
        protocol: Protocol,
        header: &[u8],
    ) -> Result<(Stream, Protocol), Error> {
        let opening = self.open_unbounded(time_max, protocol, header);
        self.opened(timeout(time_max, opening).await)
    }

    /// Connects for bytes that are not ours to read, so without TLS of ours. The configuration's
    /// check has made sure that the server has an address and speaks none.
    pub(super) async fn open_plain(&self, time_max: Duration) -> Result<TcpStream, Error> {
        let Self::Tcp {
            whereabouts, port, ..
        } = self
        else {
            return Err(Error::connecting(Kind::Resolve));
        };
        let opening = connect(whereabouts, *port, time_max);
        self.opened(timeout(time_max, opening).await)
    }

    /// What has come of it in time. Where nothing has, the server may have moved, and the name that
    /// leads there is looked up again.
    fn opened<T>(&self, in_time: Result<Result<T, Error>, Elapsed>) -> Result<T, Error> {
        let opened = in_time.unwrap_or_else(|_| Err(Error::connecting(Kind::Timeout)));
        let has_failed = |it: &Error| it.kind != Kind::Descriptors;
        if opened.as_ref().err().is_some_and(has_failed)
            && let Some(Whereabouts::Named { name, .. } | Whereabouts::Found { by: name, .. }) =
                self.whereabouts()
        {
            name.doubt();
        }
        opened
    }

    async fn open_unbounded(
        &self,
        time_max: Duration,
        protocol: Protocol,
        header: &[u8],
    ) -> Result<(Stream, Protocol), Error> {
        // Without TLS there is nothing to agree by: HTTP/2 is known beforehand (RFC 9113 §3.3).
        let known = match protocol {
            Protocol::Either => Protocol::Http1,
            known => known,
        };
        let (whereabouts, port, tls) = match self {
            Self::Tcp {
                whereabouts,
                port,
                tls,
                ..
            } => (whereabouts, *port, tls),
            Self::Memory(dialer, origin) => {
                let stream = dialer.connect(origin).map_err(Error::unconnected)?;
                return Ok((Box::new(stream), known));
            }
            Self::Unix(path) => {
                let mut stream = connect_unix(path).await?;
                write(&mut stream, header).await?;
                return Ok((stream, known));
            }
        };
        let mut stream = connect(whereabouts, port, time_max).await?;
        write(&mut stream, header).await?;
        let Some(tls) = tls else {
            return Ok((Box::new(stream), known));
        };
        match tls.shake_hands(stream, protocol).await {
            Ok((stream, agreed)) => Ok((Box::new(stream), agreed)),
            Err(error) => Err(Error::connecting(Kind::Tls).because(error)),
        }
    }
}

// === impl Whereabouts ===

impl Whereabouts {
    fn of(host: &Arc<str>, resolve: config::Resolve, names: &Names) -> Self {
        if let Ok(address) = host.parse() {
            return Self::Written(address);
        }
        let host = Arc::clone(host);
        let name = names.get(match resolve {
            config::Resolve::One | config::Resolve::Each => Question::Addresses(host),
            config::Resolve::Srv => Question::Service(host),
        });
        Self::Named { name, epoch: 0 }
    }

    /// Its addresses in the order in which they are tried; none while its name does not resolve.
    async fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Self::Written(address) | Self::Found { address, .. } => vec![*address],
            Self::Named { name, .. } => name.in_turn(ADDRESSES_MAX).await,
        }
    }
}

/// Tries the addresses one after the other, each for its share of `time_max`, so that a dead one
/// does not hide those behind it.
async fn connect(to: &Whereabouts, port: u16, time_max: Duration) -> Result<TcpStream, Error> {
    let addresses = to.addresses().await;
    let share = time_max / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = Error::connecting(Kind::Resolve);
    for address in addresses {
        let address = SocketAddr::new(address, port);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without it small requests wait for the server's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Error::unconnected(error),
            Err(_) => last = Error::connecting(Kind::Timeout),
        }
    }
    Err(last)
}

async fn connect_unix(path: &str) -> Result<Stream, Error> {
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(Box::new(stream)),
        // There is nobody who could have been asked.
        Err(error) => Err(Error::unconnected(error)),
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), header: &[u8]) -> Result<(), Error> {
    if header.is_empty() {
        return Ok(());
    }
    let written = stream.write_all(header).await;
    written.map_err(|error| Error::connecting(Kind::Closed).because(error))
}
