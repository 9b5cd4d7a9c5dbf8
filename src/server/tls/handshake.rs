//! Handshake with a client: its first bytes are looked at, terms are chosen by the name that it asks
//! for, and all of it has to be done by a deadline.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::server::Acceptor as Hello;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};
use tracing::debug;

use super::challenge;
use super::shown::OfAddress;
use super::stream::{Counted, Secured};
use super::terms::{ALPN_HTTP2, Chosen, Terms};
use super::{InForce, Shared};
use crate::config::{ClientAuth, suite_name};
use crate::semantics::proxy_protocol::Endpoints;
use crate::telemetry::{HandshakeFailure, TlsFacts};

/// The content type of a handshake's records (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 0x16;

/// What is said to who speaks HTTP in clear, and how long is waited for him to have read it.
const PLAIN: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
                     content-length: 71\r\nconnection: close\r\n\r\n\
                     400 Bad Request: this port speaks TLS; write https:// instead of http:\n";
const PLAIN_LINGER: Duration = Duration::from_secs(1);
const PLAIN_BYTES_MAX: u64 = 64 * 1024;

/// What accepts the TLS connections of a listener.
pub struct Acceptor {
    shared: Arc<Shared>,
    terms: InForce,
}

/// A connection after its handshake.
pub(in crate::server) struct Accepted {
    pub(in crate::server) stream: Secured,
    pub(in crate::server) facts: TlsFacts,
    /// Whether the client has chosen HTTP/2 (RFC 9113 §3.2).
    pub(in crate::server) is_http2: bool,
    /// By the name that was asked for, and for names of which no site says anything.
    pub(in crate::server) client_auth: Arc<ClientAuth>,
    pub(in crate::server) listener_auth: Arc<ClientAuth>,
    /// What the client has shown, in DER.
    pub(in crate::server) certificate: Option<Vec<u8>>,
}

type Failed = HandshakeFailure;

// === impl Acceptor ===

impl Acceptor {
    pub(super) fn new(shared: &Arc<Shared>, terms: Terms) -> Self {
        Self {
            shared: Arc::clone(shared),
            terms: RwLock::new(Arc::new(terms)),
        }
    }

    /// The same with other terms for handshakes that begin from now on.
    pub(super) fn with(self: Arc<Self>, terms: Terms) -> Arc<Self> {
        *self.terms.write() = Arc::new(terms);
        self
    }

    /// Shakes hands; `None` when that fails, which is counted.
    pub async fn secure(&self, tcp: TcpStream) -> Option<Secured> {
        let endpoints = Endpoints {
            source: tcp.peer_addr().ok()?,
            destination: tcp.local_addr().ok()?,
        };
        self.accept(tcp, endpoints).await.map(|it| it.stream)
    }

    /// Shakes hands, and tells what came of it; `None` when that fails, which is counted.
    /// The endpoints are those that a proxy before us tells, if one does.
    pub(in crate::server) async fn accept(
        &self,
        tcp: TcpStream,
        endpoints: Endpoints,
    ) -> Option<Box<Accepted>> {
        let figures = &self.shared.telemetry.tls;
        let deadline = *self.shared.handshake_timeout.lock();
        let mut place = self.shared.crowd.enter();
        figures.handshake_begun();
        // Boxed, and gone before the connection is served: it is large.
        let shake = Box::pin(timeout(deadline, self.shake(tcp, endpoints)));
        let accepted = tokio::select! {
            accepted = shake => accepted.unwrap_or(Err(Failed::Timeout)),
            () = place.cut() => Err(Failed::Crowded),
        };
        figures.handshake_ended(accepted.as_ref().map(|it| &it.facts).map_err(|it| *it));
        accepted
            .inspect_err(|failed| debug!(why = failed.as_str(), "a handshake failed"))
            .ok()
    }

    async fn shake(
        &self,
        mut tcp: TcpStream,
        endpoints: Endpoints,
    ) -> Result<Box<Accepted>, Failed> {
        let mut first = [0];
        match tcp.peek(&mut first).await {
            Ok(1) if first[0] == HANDSHAKE_RECORD => {}
            // All methods of HTTP begin with a letter.
            Ok(1) if first[0].is_ascii_alphabetic() => {
                self.shared.telemetry.metrics.bad_request();
                answer_in_clear(&mut tcp).await;
                return Err(Failed::PlainHttp);
            }
            Ok(1) => return Err(Failed::Malformed),
            Ok(_) | Err(_) => return Err(Failed::Left),
        }
        let hello = LazyConfigAcceptor::new(Hello::default(), Counted::new(tcp));
        let hello = self.compute(hello).await;
        let hello = hello.map_err(|error| failure(&error))?;
        if let Some(asked) = challenge::asked(&hello.client_hello()) {
            let proof = self.shared.hatch.challenges.certificate(&asked).await;
            challenge::answer(hello, proof.ok_or(Failed::NoProtocol)?).await;
            return Err(Failed::AcmeChallenge);
        }
        self.wait_for_certificate(&hello, endpoints.source.ip())
            .await;
        let terms = Arc::clone(&self.terms.read());
        let chosen = terms.choose(&hello.client_hello());
        let Chosen {
            config,
            client_auth,
        } = chosen.ok_or(Failed::Other)?;
        let config = match hello.client_hello().server_name() {
            Some(_) => config,
            None => self.of_address(config, endpoints.destination.ip()),
        };
        let stream = self.compute(hello.into_stream(config)).await;
        let stream = stream.map_err(|error| failure(&error))?;
        Ok(Box::new(accepted(stream, client_auth, &terms)))
    }

    /// The same terms with the certificate of an address, if there is one. Who connects to an address
    /// names nobody: "Literal IPv4 and IPv6 addresses are not permitted in "HostName"" (RFC 6066 §3).
    fn of_address(&self, config: Arc<ServerConfig>, address: IpAddr) -> Arc<ServerConfig> {
        let address = address.to_canonical().to_string();
        if !self.shared.shown.has(&address) {
            return config;
        }
        let mut config = ServerConfig::clone(&config);
        config.cert_resolver = Arc::new(OfAddress {
            shown: Arc::clone(&self.shared.shown),
            address,
        });
        Arc::new(config)
    }

    /// Waits for the certificate of a name that nobody has configured, where clients may bring some.
    async fn wait_for_certificate(&self, hello: &StartHandshake<Counted>, client: IpAddr) {
        let demand = &self.shared.hatch.demand;
        if !demand.is_heard() {
            return;
        }
        let name = hello.client_hello().server_name().map(str::to_owned);
        if let Some(name) = name.filter(|it| !self.shared.shown.has(it)) {
            demand.want(&name, client).await;
        }
    }

    /// Polls a part of a handshake for the first time when it is its turn, for that is when we compute.
    /// To wait for the client's answer takes no turn.
    async fn compute<T>(&self, part: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let mut part = pin!(part);
        let turn = self.shared.crowd.turn().await;
        let first = poll_fn(|cx| Poll::Ready(part.as_mut().poll(cx))).await;
        drop(turn);
        match first {
            Poll::Ready(ended) => ended,
            Poll::Pending => part.await,
        }
    }
}

fn accepted(stream: TlsStream<Counted>, client_auth: Arc<ClientAuth>, terms: &Terms) -> Accepted {
    let stream = Secured::new(stream);
    let session = stream.session();
    let shown = session.peer_certificates().and_then(|it| it.first());
    Accepted {
        facts: facts(session),
        is_http2: session.alpn_protocol() == Some(ALPN_HTTP2),
        client_auth,
        listener_auth: Arc::clone(&terms.listener_auth),
        certificate: shown.map(|it| it.to_vec()),
        stream,
    }
}

fn facts(session: &ServerConnection) -> TlsFacts {
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let suite = session.negotiated_cipher_suite();
    let group = session.negotiated_key_exchange_group();
    TlsFacts {
        version,
        suite: suite.map_or("unknown", |it| suite_name(it.suite())),
        group: group.and_then(|it| it.name().as_str()),
        name: session.server_name().map(Into::into),
        is_resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}

/// Says that TLS is spoken here. The rest of the request is read, for what lies unread when a socket
/// is closed has the client see a reset instead of the answer.
async fn answer_in_clear(tcp: &mut TcpStream) {
    let answer = async {
        tcp.write_all(PLAIN.as_bytes()).await?;
        tcp.shutdown().await?;
        tokio::io::copy(&mut tcp.take(PLAIN_BYTES_MAX), &mut tokio::io::sink()).await
    };
    // Who does not take it has it his way.
    let _ = timeout(PLAIN_LINGER, answer).await;
}

/// The reason that an error stands for.
fn failure(error: &io::Error) -> Failed {
    use rustls::Error;
    let inner = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
    match inner {
        None => Failed::Left,
        Some(Error::NoApplicationProtocol) => Failed::NoProtocol,
        Some(Error::PeerIncompatible(_)) => Failed::NothingInCommon,
        Some(Error::NoCertificatesPresented) => Failed::ClientCertificateMissing,
        Some(Error::InvalidCertificate(_)) => Failed::ClientCertificateBad,
        Some(Error::AlertReceived(_)) => Failed::Refused,
        Some(Error::General(text)) if text.contains("certificate") => Failed::NoCertificate,
        Some(
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(_)
            | Error::DecryptError,
        ) => Failed::Malformed,
        Some(_) => Failed::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_in_clear_has_the_length_that_it_says() {
        let (head, body) = PLAIN.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    }
}
