//! The client's half of a handshake with the proxy, as old, new or odd as a test wants it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Authority, Client, Http2, Issued, within};

/// A client before its handshakes. Those of one greeting resume each other's sessions.
pub struct Greeting {
    config: ClientConfig,
    name: &'static str,
}

// === impl Greeting ===

impl Greeting {
    /// A client of TLS 1.3 that knows this authority and asks for this name; an address is not asked
    /// for (RFC 6066 §3).
    pub fn to(name: &'static str, authority: &Authority) -> Self {
        Self::with(name, authority, None, &[])
    }

    /// The same for TLS 1.2 with these suites alone.
    pub fn old(name: &'static str, authority: &Authority, suites: &[CipherSuite]) -> Self {
        Self::with(name, authority, None, suites)
    }

    /// The same as [`Self::to`], with a certificate of its own.
    pub fn showing(name: &'static str, authority: &Authority, issued: &Issued) -> Self {
        Self::with(name, authority, Some(issued), &[])
    }

    fn with(
        name: &'static str,
        authority: &Authority,
        issued: Option<&Issued>,
        suites: &[CipherSuite],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.root()).expect("a root");
        let mut provider = aws_lc_rs::default_provider();
        let is_old = !suites.is_empty();
        if is_old {
            provider
                .cipher_suites
                .retain(|it| suites.contains(&it.suite()));
        }
        let version = if is_old { &TLS12 } else { &TLS13 };
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .expect("a version with suites")
            .with_root_certificates(roots);
        let mut config = match issued {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let (chain, key) = issued.parts();
                builder
                    .with_client_auth_cert(chain, key)
                    .expect("a matching pair")
            }
        };
        config.resumption = Resumption::in_memory_sessions(16);
        Self { config, name }
    }

    /// Offers these protocols (RFC 7301).
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|it| it.as_bytes().to_vec());
        self.config.alpn_protocols = protocols.collect();
        self
    }

    /// Asks for another name, with the same memory of sessions.
    pub fn asking_for(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Shakes hands over a connection of its own.
    pub async fn try_shake(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        self.shake_over(tcp).await
    }

    /// Shakes hands over this connection.
    pub async fn shake_over(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.name).expect("a name");
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        within("a handshake", connector.connect(name, tcp)).await
    }

    /// Shakes hands, which must end well.
    pub async fn shake(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        self.try_shake(address).await.expect("a handshake")
    }

    /// An HTTP/1.1 client over a connection of its own, whose Host is the name.
    pub async fn client(&self, address: SocketAddr) -> Client {
        Client::over(self.shake(address).await).asking_for(self.name)
    }

    /// An HTTP/2 client over a connection of its own.
    pub async fn http2(&self, address: SocketAddr) -> Http2 {
        let stream = self.shake(address).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Http2::over(stream).await
    }
}
