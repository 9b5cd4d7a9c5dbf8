//! TLS towards servers: who they must prove to be, and the handshake in which they do.
//!
//! The door to rustls on this floor. Which certificates are trusted is the configuration's word;
//! its files have been read and checked. Nothing of a request is written before the handshake has
//! ended well, so that nobody but the server it is meant for can read it.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::warn;

use crate::config;

/// RFC 7301 §6.
const ALPN_HTTP1: &[u8] = b"http/1.1";
/// RFC 9113 §3.1.
const ALPN_HTTP2: &[u8] = b"h2";

/// Handshakes that are remembered for each origin, so that the next takes one flight less.
const SESSIONS_MAX: usize = 256;

/// Which protocol is to be spoken after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::origin) enum Protocol {
    Http1,
    Http2,
    /// HTTP/2 if the server agrees to it, else HTTP/1.1.
    Either,
}

/// What all servers of one origin have in common.
#[derive(Clone, Debug)]
pub(in crate::origin) struct Terms {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
    name: Option<Arc<str>>,
}

/// The handshake with one server.
#[derive(Clone, Debug)]
pub(in crate::origin) struct Tls {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// A `tls` table that rustls did not take, although the configuration was checked.
#[derive(Debug, thiserror::Error)]
#[error("TLS of origin {origin}: {source}")]
pub struct BadTls {
    origin: Arc<str>,
    source: Box<dyn StdError + Send + Sync>,
}

/// Takes any certificate for good. That whoever shows it has its key is verified all the same,
/// for a handshake that does not hold together is a broken one.
#[derive(Debug)]
struct TakesAny(Arc<CryptoProvider>);

// === impl Protocol ===

impl From<config::HttpVersion> for Protocol {
    fn from(version: config::HttpVersion) -> Self {
        match version {
            config::HttpVersion::Http1 => Self::Http1,
            config::HttpVersion::Http2 => Self::Http2,
            config::HttpVersion::Auto => Self::Either,
        }
    }
}

// === impl Terms ===

impl Terms {
    /// `None` for an origin without `https` servers.
    pub(in crate::origin) fn of(origin: &config::Origin) -> Result<Option<Self>, BadTls> {
        let build = |tls: &config::Tls| {
            if !tls.verify {
                let origin = &*origin.name;
                warn!(
                    origin,
                    "certificates are not verified: anyone can pose as its servers"
                );
            }
            let http1 = client_config(tls).map_err(|source| BadTls::of(origin, source))?;
            let mut http2 = http1.clone();
            http2.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
            let mut either = http1.clone();
            either.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
            Ok(Self {
                http1: Arc::new(http1),
                http2: Arc::new(http2),
                either: Arc::new(either),
                name: tls.name.clone(),
            })
        };
        origin.tls.as_ref().map(build).transpose()
    }

    /// The terms towards the server that is called `host`.
    pub(super) fn with(&self, origin: &config::Origin, host: &str) -> Result<Tls, BadTls> {
        let name = self.name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(|source| BadTls::of(origin, source))?;
        Ok(Tls {
            http1: Arc::clone(&self.http1),
            http2: Arc::clone(&self.http2),
            either: Arc::clone(&self.either),
            name,
        })
    }
}

/// The rules of handshakes, for HTTP/1.1.
fn client_config(tls: &config::Tls) -> Result<ClientConfig, Box<dyn StdError + Send + Sync>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match tls.verify {
        true => verifier(&tls.roots, &provider)?,
        false => Arc::new(TakesAny(Arc::clone(&provider))),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        // "Dangerous" is what rustls calls every verifier that is handed in.
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &tls.identity {
        Some(identity) => {
            builder.with_client_auth_cert(identity.chain.to_vec(), identity.key.clone_key())?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Ok(config)
}

fn verifier(
    roots: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Box<dyn StdError + Send + Sync>> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone())?;
    }
    let provider = Arc::clone(provider);
    Ok(WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build()?)
}

// === impl Tls ===

impl Tls {
    /// The handshake: returns when the server has proved who it is, and which protocol is to be
    /// spoken.
    ///
    /// # Errors
    /// What the server has sent is not TLS, or not what it must prove, or we are not what it wants,
    /// or it does not agree to HTTP/2 where that is needed.
    pub(super) async fn shake_hands(
        &self,
        stream: TcpStream,
        protocol: Protocol,
    ) -> io::Result<(TlsStream<TcpStream>, Protocol)> {
        let config = match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
            Protocol::Either => &self.either,
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(self.name.clone(), stream).await?;
        // A server that knows nothing of ALPN speaks HTTP/1.1 (RFC 9113 §3.2).
        let agreed = match stream.get_ref().1.alpn_protocol() {
            Some(ALPN_HTTP2) => Protocol::Http2,
            _ => Protocol::Http1,
        };
        if protocol == Protocol::Http2 && agreed != protocol {
            return Err(io::Error::other("the server does not agree to HTTP/2"));
        }
        Ok((stream, agreed))
    }
}

/// Whether what broke a connection was TLS. A server that wants to know who we are says only after
/// our side of the handshake that it is not content (RFC 8446 §4.4.2.4 and appendix E.1.2).
pub(in crate::origin) fn is_at_fault(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let of_io = error.downcast_ref::<io::Error>();
        if of_io
            .and_then(io::Error::get_ref)
            .is_some_and(|it| it.is::<rustls::Error>())
        {
            return true;
        }
        cause = error.source();
    }
    false
}

// === impl BadTls ===

impl BadTls {
    fn of(origin: &config::Origin, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            origin: Arc::clone(&origin.name),
            source: source.into(),
        }
    }
}

// === impl TakesAny ===

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
