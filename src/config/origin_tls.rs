//! `tls` of `[origins.NAME]`: who its servers must prove to be, and how we prove who we are.
//!
//! The files it names are read and checked here, so that a mistake in one of them is told with its
//! key before anything is served. Not the handshake.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use toml::Spanned;

use super::host;
use super::pem::{certificates, private_key};
use super::report::{Given, Place, Report};

/// What `verify` must say to be off. Nobody writes this by mistake.
const OFF: &str = "off-so-anyone-can-pose-as-the-server";

/// How an origin's `https` servers are spoken to.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// Who may vouch for a server; one at least, unless nothing is verified.
    pub roots: Arc<[CertificateDer<'static>]>,
    /// The name that a server must prove to have, and that SNI tells it; `None` for its host.
    pub name: Option<Arc<str>>,
    /// What we show a server that asks who we are.
    pub identity: Option<Identity>,
    /// Whether a server's certificate is looked at.
    pub verify: bool,
}

/// A certificate and what proves that it is ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Our own certificate first.
    pub chain: Arc<[CertificateDer<'static>]>,
    /// The key of the first certificate. Its `Debug` form is masked.
    pub key: Arc<PrivateKeyDer<'static>>,
}

/// `tls` as written.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTls {
    roots: Given<String>,
    name: Given<String>,
    client_certificate: Given<String>,
    client_key: Given<String>,
    verify: Given<Verify>,
}

/// `true`, `false` or text.
enum Verify {
    Is(bool),
    Text(String),
}

// === impl RawTls ===

impl RawTls {
    /// The table stands at `place`.
    pub(super) fn resolve(&self, place: Place, report: &mut Report) -> Tls {
        let verify = self.verify.as_ref().is_none_or(|it| verify(it, report));
        Tls {
            roots: self.resolve_roots(verify, place.clone(), report),
            name: self.resolve_name(report),
            identity: self.resolve_identity(place, report),
            verify,
        }
    }

    fn resolve_roots(
        &self,
        verify: bool,
        place: Place,
        report: &mut Report,
    ) -> Arc<[CertificateDer<'static>]> {
        let path = self.roots.as_ref().filter(|it| it.get_ref() != "system");
        let (roots, place) = match path {
            Some(path) => (certificates(path.get_ref()), path.span()),
            None if verify => (
                of_system(),
                self.roots.as_ref().map_or(place, Spanned::span),
            ),
            None => return Arc::default(),
        };
        match roots.and_then(as_roots) {
            Ok(roots) => roots.into(),
            Err(complaint) => {
                report.at(place, complaint);
                Arc::default()
            }
        }
    }

    fn resolve_name(&self, report: &mut Report) -> Option<Arc<str>> {
        let name = self.name.as_ref()?;
        match server_name(name.get_ref()) {
            Ok(checked) => Some(checked.into()),
            Err(complaint) => {
                report.at(name.span(), complaint);
                None
            }
        }
    }

    fn resolve_identity(&self, place: Place, report: &mut Report) -> Option<Identity> {
        let (chain, key) = match (&self.client_certificate, &self.client_key) {
            (Some(chain), Some(key)) => (chain, key),
            (None, None) => return None,
            (Some(_), None) => {
                let text = "is missing; write the path of the key of `client_certificate`";
                report.missing(place, "client_key", text);
                return None;
            }
            (None, Some(_)) => {
                let text = "is missing; write the path of the certificate of `client_key`";
                report.missing(place, "client_certificate", text);
                return None;
            }
        };
        let read_chain = certificates(chain.get_ref());
        let read_key = private_key(key.get_ref());
        let parts = match (read_chain, read_key) {
            (Ok(chain), Ok(key)) => Some((chain, key)),
            (read_chain, read_key) => {
                let complaints = [
                    (read_chain.err(), chain.span()),
                    (read_key.err(), key.span()),
                ];
                for (complaint, place) in complaints {
                    complaint
                        .into_iter()
                        .for_each(|it| report.at(place.clone(), it));
                }
                None
            }
        };
        let (chain, private_key) = parts?;
        if let Err(complaint) = check_pair(&chain, &private_key) {
            report.at(key.span(), complaint);
            return None;
        }
        Some(Identity {
            chain: chain.into(),
            key: Arc::new(private_key),
        })
    }
}

fn verify(given: &Spanned<Verify>, report: &mut Report) -> bool {
    match given.get_ref() {
        Verify::Is(true) => true,
        Verify::Text(text) if text == OFF => false,
        Verify::Is(false) | Verify::Text(_) => {
            let text = format!(
                "must be true; if whoever gets between may read and forge everything, write \"{OFF}\""
            );
            report.at(given.span(), text);
            true
        }
    }
}

/// A name that a certificate can have: that of a host, or an IP address without brackets.
pub(super) fn server_name(text: &str) -> Result<String, String> {
    let host = match text.contains(':') {
        true => text.to_owned(),
        false => host::parse(text)?,
    };
    let name = ServerName::try_from(host.as_str());
    name.map_err(|_| "is neither a name nor an IP address; write \"app.internal\"")?;
    Ok(host)
}

// --- files ---------------------------------------------------------------------------------------

/// What the system trusts. Where it has several places, one that cannot be read does not matter
/// as long as another can.
fn of_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(
            "the system has no root certificates; install them, or write `roots = \"ca.pem\"`"
                .to_owned(),
        );
    }
    // A system may have roots that are too odd to be used, which is no reason to use none.
    let is_usable = |it: &CertificateDer<'static>| RootCertStore::empty().add(it.clone()).is_ok();
    Ok(found.certs.into_iter().filter(is_usable).collect())
}

/// Those of a file, or what the system trusts.
pub(super) fn trusted(file: Option<&str>) -> Result<Arc<[CertificateDer<'static>]>, String> {
    let roots = file.map_or_else(of_system, certificates);
    roots.and_then(as_roots).map(Into::into)
}

fn as_roots(list: Vec<CertificateDer<'static>>) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut store = RootCertStore::empty();
    for certificate in &list {
        let added = store.add(certificate.clone());
        added.map_err(|error| format!("holds a certificate that cannot be a root: {error}"))?;
    }
    Ok(list)
}

fn check_pair(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
) -> Result<(), String> {
    let provider = aws_lc_rs::default_provider();
    let pair = CertifiedKey::from_der(chain.to_vec(), key.clone_key(), &provider);
    pair.map(drop)
        .map_err(|error| format!("does not belong to `client_certificate`: {error}"))
}

// === impl Verify ===

impl<'de> Deserialize<'de> for Verify {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Verify;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or text in double quotes")
            }

            fn visit_bool<E: de::Error>(self, is: bool) -> Result<Verify, E> {
                Ok(Verify::Is(is))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Verify, E> {
                Ok(Verify::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_certificates_can_have() {
        // RFC 6125 §6.2: DNS names and IP addresses.
        for (text, name) in [
            ("App.Internal", Some("app.internal")),
            ("my_service", Some("my_service")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("::1", Some("::1")),
            ("a:443", None),
            ("[::1]", None),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(server_name(text).ok().as_deref(), name, "{text}");
        }
    }
}
