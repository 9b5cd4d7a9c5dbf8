//! Certificates made while the test runs, and a door of TLS in front of a scripted origin.
//! Expectations of Copal are not here.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams,
    CertificateSigningRequestParams, CertifiedIssuer, IsCa, KeyIdMethod, KeyPair, PKCS_RSA_SHA256,
    RevokedCertParams, RsaKeySize, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Origin, TempDir};

/// Who vouches for names.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
    serial: u64,
}

/// A listener that speaks TLS and hands what is said to an origin. It ends when dropped.
pub struct TlsDoor {
    address: SocketAddr,
    handshakes: Arc<Mutex<Vec<Handshake>>>,
    _accepting: JoinSet<()>,
}

/// A handshake that ended well.
#[derive(Clone, Debug, PartialEq)]
pub struct Handshake {
    /// The name that the client asked for (RFC 6066 §3).
    pub name: Option<String>,
    /// The protocol that was agreed on (RFC 7301).
    pub protocol: Option<String>,
}

// === impl Authority ===

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a root"))
    }

    /// Writes its own certificate into a file.
    pub fn write(&self, folder: &TempDir, name: &str) -> PathBuf {
        folder.write(name, &self.0.pem())
    }

    /// Its own certificate.
    pub fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// Signs a request; the certificate in PEM.
    pub fn sign(&self, request: &CertificateSigningRequestParams) -> String {
        request.signed_by(&self.0).expect("a certificate").pem()
    }

    /// A server that has a certificate for these names.
    pub fn server_config(&self, names: &[&str]) -> ServerConfig {
        let (chain, key) = self.issue(names).parts();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key);
        config.expect("a matching pair")
    }

    /// A certificate for these names and addresses.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_until(names, 4096)
    }

    /// One with a key of RSA.
    pub fn issue_rsa(&self, names: &[&str]) -> Issued {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
        self.issue_for(names, 4096, key.expect("a key"))
    }

    /// Writes the list of what it has revoked into a file.
    pub fn write_revoked(&self, folder: &TempDir, name: &str, revoked: &[&Issued]) -> PathBuf {
        let revoked = revoked.iter().map(|it| RevokedCertParams {
            serial_number: it.serial.into(),
            revocation_time: date_time_ymd(2001, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2001, 1, 1),
            next_update: date_time_ymd(4096, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.0).expect("a list");
        folder.write(name, &list.pem().expect("a list"))
    }

    /// One that was good once.
    pub fn issue_expired(&self, names: &[&str]) -> Issued {
        self.issue_until(names, 2001)
    }

    fn issue_until(&self, names: &[&str], year: i32) -> Issued {
        self.issue_for(names, year, KeyPair::generate().expect("a key"))
    }

    fn issue_for(&self, names: &[&str], year: i32, key: KeyPair) -> Issued {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let names: Vec<_> = names.iter().map(|it| (*it).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.serial_number = Some(serial.into());
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Issued {
            certificate,
            key,
            serial,
        }
    }
}

// === impl Issued ===

impl Issued {
    /// Writes certificate and key into two files.
    pub fn write(&self, folder: &TempDir, name: &str) -> (PathBuf, PathBuf) {
        let certificate = folder.write(&format!("{name}.pem"), &self.certificate.pem());
        let key = folder.write(&format!("{name}.key"), &self.key.serialize_pem());
        (certificate, key)
    }

    /// The certificate itself.
    pub fn der(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    /// Writes them over those of the same name, each at once: first the certificate, then the key.
    pub fn replace(&self, folder: &Path, name: &str) {
        let parts = [
            ("pem", self.certificate.pem()),
            ("key", self.key.serialize_pem()),
        ];
        for (ending, text) in parts {
            let beside = folder.join(format!(".{name}.{ending}"));
            fs::write(&beside, text).expect("a file in our own folder");
            fs::rename(&beside, folder.join(format!("{name}.{ending}"))).expect("a rename");
        }
    }

    /// The lines of a `[[certificate]]` of these files, written into this folder.
    pub fn lines(&self, folder: &TempDir, name: &str) -> String {
        let (chain, key) = self.write(folder, name);
        format!("chain = {chain:?}\nkey = {key:?}\n")
    }

    pub fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        (vec![self.certificate.der().clone()], key)
    }
}

// === impl TlsDoor ===

impl TlsDoor {
    /// In front of `origin`, with this certificate.
    pub async fn before(origin: &Origin, issued: &Issued) -> Self {
        let (chain, key) = issued.parts();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let config = config.expect("a matching pair");
        Self::start(origin.address(), config, &["h2", "http/1.1"]).await
    }

    /// In front of whatever listens there, for those who agree on one of these protocols; with none
    /// of them, it is not asked for any.
    pub async fn before_address(behind: SocketAddr, issued: &Issued, protocols: &[&str]) -> Self {
        let (chain, key) = issued.parts();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key);
        Self::start(behind, config.expect("a matching pair"), protocols).await
    }

    /// The same as [`Self::before`], for clients only that this authority vouches for.
    pub async fn before_for(origin: &Origin, issued: &Issued, clients: &Authority) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(clients.0.der().clone()).expect("a root");
        let verifier = WebPkiClientVerifier::builder(roots.into()).build();
        let (chain, key) = issued.parts();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier.expect("a root"))
            .with_single_cert(chain, key);
        let config = config.expect("a matching pair");
        Self::start(origin.address(), config, &["h2", "http/1.1"]).await
    }

    async fn start(behind: SocketAddr, mut config: ServerConfig, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|it| it.as_bytes().to_vec());
        config.alpn_protocols = protocols.collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let handshakes = Arc::<Mutex<Vec<Handshake>>>::default();
        let kept = Arc::clone(&handshakes);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
                serving.spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        lock(&kept).push(Handshake::of(&stream));
                        pass_on(stream, behind).await.ok();
                    }
                });
            }
        });
        Self {
            address,
            handshakes,
            _accepting: accepting,
        }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All handshakes that ended well so far.
    pub fn handshakes(&self) -> Vec<Handshake> {
        lock(&self.handshakes).clone()
    }
}

// === impl Handshake ===

impl Handshake {
    fn of(stream: &TlsStream<TcpStream>) -> Self {
        let session = stream.get_ref().1;
        let protocol = session.alpn_protocol();
        Self {
            name: session.server_name().map(str::to_owned),
            protocol: protocol.map(|it| String::from_utf8_lossy(it).into_owned()),
        }
    }
}

async fn pass_on(mut stream: TlsStream<TcpStream>, behind: SocketAddr) -> io::Result<()> {
    let mut inner = TcpStream::connect(behind).await?;
    tokio::io::copy_bidirectional(&mut stream, &mut inner).await?;
    Ok(())
}

fn lock(handshakes: &Mutex<Vec<Handshake>>) -> std::sync::MutexGuard<'_, Vec<Handshake>> {
    handshakes.lock().unwrap_or_else(PoisonError::into_inner)
}
