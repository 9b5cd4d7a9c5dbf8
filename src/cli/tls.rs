//! TLS of the commands towards an admin listener that speaks it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config;

/// Shakes hands with whoever proves to be `host`: vouched for by those of the file, or by those that the
/// system trusts.
pub(super) async fn connect(
    stream: TcpStream,
    host: &str,
    ca: Option<&Path>,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let roots = match ca {
        Some(path) => config::roots(&path.display().to_string()).map_err(anyhow::Error::msg)?,
        None => of_system(),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).context("no name that a certificate can have")?;
    let secured = TlsConnector::from(Arc::new(config)).connect(name, stream);
    secured
        .await
        .context("no handshake; --admin-ca names who vouches for the listener")
}

/// Those that are too odd to be used are left out.
fn of_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
