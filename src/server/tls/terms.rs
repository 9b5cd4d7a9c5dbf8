//! Terms of a listener's handshakes: versions, suites, protocols, and what clients must show, by the
//! name that they ask for.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use sha2::{Digest, Sha256};

use super::files::Files;
use super::policies::SitePolicies;
use super::shown::Shown;
use super::tickets::{Context, Tickets};
use super::{Kind, Speaks};
use crate::config::{ClientAuth, ClientAuthMode, ListenTls, TlsVersion};

/// RFC 7301 §6.
const ALPN_HTTP1: &[u8] = b"http/1.1";
/// RFC 9113 §3.1.
pub(super) const ALPN_HTTP2: &[u8] = b"h2";

/// What a handshake may agree on.
pub(super) struct Terms {
    by_auth: HashMap<Arc<ClientAuth>, Arc<ServerConfig>>,
    sites: SitePolicies,
    pub(super) listener_auth: Arc<ClientAuth>,
}

/// What was chosen for one handshake.
pub(super) struct Chosen {
    pub(super) config: Arc<ServerConfig>,
    pub(super) client_auth: Arc<ClientAuth>,
}

/// Settings that rustls did not take, although they were checked, or files that were never good.
#[derive(Debug, thiserror::Error)]
pub enum BadTerms {
    /// The file of those who vouch for clients, or of what they have revoked.
    #[error("client certificates cannot be checked: {0} could not be read")]
    File(Arc<str>),
    /// The set of settings.
    #[error("TLS of a listener: {0}")]
    Settings(#[from] rustls::Error),
    /// Those who vouch for clients.
    #[error("client certificates cannot be checked: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

// === impl Terms ===

impl Terms {
    pub(super) fn build(
        kind: &Kind,
        sites: &SitePolicies,
        files: &Files,
        shown: &Arc<Shown>,
        tickets: &Arc<Tickets>,
    ) -> Result<Self, BadTerms> {
        let listener_auth = Arc::clone(&kind.tls.client_auth);
        // Whoever asks for a name on a TCP listener asks for no site.
        let sites = match kind.speaks {
            Speaks::Http => sites.clone(),
            Speaks::Http1 | Speaks::Anything => SitePolicies::default(),
        };
        let provider = Arc::new(provider(&kind.tls));
        let mut by_auth = HashMap::new();
        for auth in sites.all().chain([&listener_auth]) {
            if !by_auth.contains_key(auth) {
                let config = server_config(kind, auth, files, &provider, shown, tickets)?;
                by_auth.insert(Arc::clone(auth), Arc::new(config));
            }
        }
        Ok(Self {
            by_auth,
            sites,
            listener_auth,
        })
    }

    /// What holds for this client. This is the place where all that depends on the name or the
    /// protocols that it asks for is decided.
    pub(super) fn choose(&self, hello: &ClientHello<'_>) -> Option<Chosen> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let client_auth = self
            .sites
            .find(name.as_deref())
            .unwrap_or(&self.listener_auth);
        Some(Chosen {
            config: Arc::clone(self.by_auth.get(client_auth)?),
            client_auth: Arc::clone(client_auth),
        })
    }
}

fn server_config(
    kind: &Kind,
    auth: &ClientAuth,
    files: &Files,
    provider: &Arc<CryptoProvider>,
    shown: &Arc<Shown>,
    tickets: &Arc<Tickets>,
) -> Result<ServerConfig, BadTerms> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_protocol_versions(versions(kind.tls.min_version))?;
    let mut context = Sha256::new();
    context.update([kind.speaks as u8, auth.mode as u8]);
    let builder = match auth.mode {
        ClientAuthMode::Off => builder.with_no_client_auth(),
        mode => {
            let roots = files
                .roots(&auth.ca)
                .ok_or_else(|| BadTerms::File(Arc::clone(&auth.ca)))?;
            hash_roots(&roots, &mut context);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
            let verifier = match mode {
                ClientAuthMode::Require => verifier,
                _ => verifier.allow_unauthenticated(),
            };
            let verifier = match &auth.crl {
                None => verifier,
                Some(path) => {
                    let lists = files.lists(path);
                    let lists = lists.ok_or_else(|| BadTerms::File(Arc::clone(path)))?;
                    lists.iter().for_each(|it| context.update(it));
                    // Those in between are seldom in the lists that are at hand.
                    verifier
                        .with_crls(lists.iter().cloned())
                        .only_check_end_entity_revocation()
                }
            };
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::clone(shown) as _);
    config.alpn_protocols = protocols(kind.speaks);
    // All that are safe are as good to us: the client knows what its processor is quick at.
    config.ignore_client_order = !kind.tls.suites.is_empty();
    let context: Context = context.finalize().into();
    config.ticketer = tickets.ticketer(context);
    config.session_storage = tickets.sessions(context);
    Ok(config)
}

/// A ticket holds under those who vouched when it was made.
fn hash_roots(roots: &RootCertStore, context: &mut Sha256) {
    for root in &roots.roots {
        context.update(&root.subject);
        context.update(&root.subject_public_key_info);
    }
}

fn protocols(speaks: Speaks) -> Vec<Vec<u8>> {
    match speaks {
        Speaks::Http => vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()],
        Speaks::Http1 => vec![ALPN_HTTP1.to_vec()],
        Speaks::Anything => vec![],
    }
}

static FROM_12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static FROM_13: [&SupportedProtocolVersion; 1] = [&TLS13];

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        TlsVersion::V12 => &FROM_12,
        TlsVersion::V13 => &FROM_13,
    }
}

/// The suites that are named, in their order, and the groups; or all that are good.
fn provider(tls: &ListenTls) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if !tls.suites.is_empty() {
        let find = |code: &u16| {
            let mut all = aws_lc_rs::ALL_CIPHER_SUITES.iter();
            all.find(|it| u16::from(it.suite()) == *code).copied()
        };
        provider.cipher_suites = tls.suites.iter().filter_map(find).collect();
    }
    if !tls.groups.is_empty() {
        let find = |code: &u16| {
            let mut all = aws_lc_rs::ALL_KX_GROUPS.iter();
            all.find(|it| u16::from(it.name()) == *code).copied()
        };
        provider.kx_groups = tls.groups.iter().filter_map(find).collect();
    }
    provider
}
