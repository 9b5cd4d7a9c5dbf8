//! Challenge of a CA within a handshake (RFC 8737): recognised, answered, and closed.
//!
//! What is shown is ACME's to say.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::ClientHello;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::StartHandshake;

use super::stream::Counted;

/// RFC 8737 §6.2.
const ALPN_ACME: &[u8] = b"acme-tls/1";

/// The name that a CA wants proved. It is a CA if it offers this protocol and no other: "the ACME
/// server MUST provide an ALPN extension with the single protocol name "acme-tls/1"" (RFC 8737 §3).
pub(super) fn asked(hello: &ClientHello<'_>) -> Option<String> {
    let mut offered = hello.alpn()?;
    let is_it = offered.next() == Some(ALPN_ACME) && offered.next().is_none();
    is_it.then(|| hello.server_name().unwrap_or_default().to_owned())
}

/// Shows the proof. "Once the TLS handshake is completed, the client MUST NOT exchange any further
/// data with the server and MUST immediately close the connection" (RFC 8737 §3).
pub(super) async fn answer(hello: StartHandshake<Counted>, proof: Arc<CertifiedKey>) {
    let Some(config) = showing(proof) else { return };
    if let Ok(mut stream) = hello.into_stream(Arc::new(config)).await {
        // It has seen what it asked for, whether or not it hears that this is all.
        let _ = stream.shutdown().await;
    }
}

fn showing(proof: Arc<CertifiedKey>) -> Option<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder
        .with_safe_default_protocol_versions()
        .ok()?
        .with_no_client_auth();
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(proof)));
    config.alpn_protocols = vec![ALPN_ACME.to_vec()];
    config.send_tls13_tickets = 0;
    Some(config)
}
