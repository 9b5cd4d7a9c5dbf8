//! Certificates served, by the names they are for, and the choice of one for a handshake.
//!
//! An exact name goes before a wildcard, that before the default. Of several for one name the client
//! gets one that it can check, ECDSA before RSA, for that is cheaper for both.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::config::Pair;

/// All certificates that are served.
#[derive(Debug, Default)]
pub(super) struct Shown(RwLock<Arc<Index>>);

/// The certificate of an address, for who has connected to it and names nobody.
#[derive(Debug)]
pub(super) struct OfAddress {
    pub(super) shown: Arc<Shown>,
    pub(super) address: String,
}

#[derive(Debug, Default)]
struct Index {
    /// By name, `*.shop.example` for a wildcard.
    named: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// For those who ask for no name, or for one that we do not have.
    default: Vec<Arc<CertifiedKey>>,
}

// === impl Shown ===

impl Shown {
    /// Has these be served and no others. The first, and those that share its name, are the default.
    pub(super) fn set<'a>(&self, pairs: impl Iterator<Item = &'a Arc<Pair>>) {
        let index = Arc::new(Index::of(pairs));
        *self.0.write() = index;
    }

    /// Whether there is one for this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.index().find(&name.to_ascii_lowercase()).is_some()
    }

    fn index(&self) -> Arc<Index> {
        Arc::clone(&self.0.read())
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.index()
            .choose(hello.server_name(), hello.signature_schemes())
    }
}

impl ResolvesServerCert for OfAddress {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        self.shown.index().choose(Some(&self.address), schemes)
    }
}

// === impl Index ===

impl Index {
    fn of<'a>(pairs: impl Iterator<Item = &'a Arc<Pair>>) -> Self {
        let mut index = Self::default();
        let mut default = None;
        for pair in pairs {
            default = default.or_else(|| Some((pair.name().to_owned(), &pair.certified)));
            for name in &pair.names {
                let same = index.named.entry(name.clone()).or_default();
                same.push(Arc::clone(&pair.certified));
            }
        }
        index
            .named
            .values_mut()
            .for_each(|it| it.sort_by_key(|it| rank(it)));
        if let Some((name, first)) = default {
            let same = index.named.get(&name).cloned();
            index.default = same.unwrap_or_else(|| vec![Arc::clone(first)]);
        }
        index
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let named = name.and_then(|name| self.find(&name.to_ascii_lowercase()));
        let candidates = named.unwrap_or(&self.default);
        let is_understood = |it: &&Arc<CertifiedKey>| it.key.choose_scheme(schemes).is_some();
        // One that the client cannot check is refused by the handshake, in its own words.
        let found = candidates.iter().find(is_understood);
        found.or_else(|| candidates.first()).cloned()
    }

    fn find(&self, name: &str) -> Option<&Vec<Arc<CertifiedKey>>> {
        let name = name.strip_suffix('.').unwrap_or(name);
        self.named.get(name).or_else(|| {
            // RFC 9525 §6.3: the star stands for one label, the leftmost.
            let (_, parent) = name.split_once('.')?;
            self.named.get(&format!("*.{parent}"))
        })
    }
}

fn rank(certified: &CertifiedKey) -> u8 {
    match certified.key.algorithm() {
        SignatureAlgorithm::ECDSA => 0,
        SignatureAlgorithm::ED25519 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::PrivateKeyDer;

    use super::*;

    fn pair(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> Arc<Pair> {
        let names: Vec<_> = names.iter().map(|it| (*it).to_owned()).collect();
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = rcgen::CertificateParams::new(names.clone()).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain = vec![certificate.der().clone()];
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        Arc::new(Pair {
            certified: Arc::new(certified.unwrap()),
            names,
            not_before: SystemTime::UNIX_EPOCH,
            not_after: SystemTime::UNIX_EPOCH,
            kind: "ecdsa",
        })
    }

    #[test]
    fn the_nearest_name_is_shown_in_a_key_that_the_client_can_check() {
        let (ecdsa, ed25519) = (&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519);
        let pairs = [
            pair(&["a.example"], ed25519),
            pair(&["a.example"], ecdsa),
            pair(&["*.a.example"], ecdsa),
            pair(&["x.a.example", "y.a.example"], ecdsa),
        ];
        let index = Index::of(pairs.iter());
        let (new, old) = (
            &[
                SignatureScheme::ECDSA_NISTP256_SHA256,
                SignatureScheme::ED25519,
            ][..],
            &[SignatureScheme::ED25519][..],
        );
        for (name, schemes, expected) in [
            (Some("a.example"), new, 1),
            (Some("A.Example."), new, 1),
            (Some("a.example"), old, 0),
            (Some("x.a.example"), new, 3),
            (Some("z.a.example"), new, 2),
            (Some("z.z.a.example"), new, 1),
            (Some("other"), old, 0),
            (None, new, 1),
            // Nobody can check it, and it is for the handshake to say so.
            (Some("z.a.example"), old, 2),
        ] {
            let chosen = index.choose(name, schemes).unwrap();
            let at = pairs
                .iter()
                .position(|it| Arc::ptr_eq(&it.certified, &chosen));
            assert_eq!(at, Some(expected), "{name:?}");
        }
        assert!(Index::default().choose(None, new).is_none());
    }
}
