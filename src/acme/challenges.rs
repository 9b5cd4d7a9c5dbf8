//! Challenges under way: what a CA is to see when it asks whether a name is ours.
//!
//! They stand in a folder, too, so that it may ask any of several Copals that share it. Who asks whom
//! for what is in `order.rs`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::disk;
use crate::config::{AcmeChallenge, AcmeName};

/// RFC 8555 §8.3: "The path at which the resource is provisioned is comprised of the fixed prefix
/// "/.well-known/acme-challenge/", followed by the "token" value in the challenge."
const PATH: &str = "/.well-known/acme-challenge/";
/// RFC 8555 §8.1 asks for 128 bits at least; CAs send some 43 characters.
const TOKEN_MAX: usize = 256;
/// Anybody may ask for tokens that are not ours: so many looks into the folder at once.
const LOOKS_MAX: usize = 4;

/// Challenges under way in this process and in others that share its folder.
#[derive(Clone)]
pub struct Challenges(Arc<Shared>);

struct Shared {
    shown: RwLock<HashMap<Key, Said>>,
    /// `None` as long as no CA is asked for anything.
    folder: RwLock<Option<PathBuf>>,
    looks: Semaphore,
}

/// By which a challenge is asked for: a token, or the name in a handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Page(String),
    Handshake(String),
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    name: String,
    /// RFC 8555 §8.1.
    key_authorization: String,
}

/// A challenge that is answered until this is dropped.
pub(super) struct Shown {
    challenges: Challenges,
    key: Key,
}

// === impl Challenges ===

impl Challenges {
    /// From here on challenges stand in this folder, too.
    pub(super) fn stand_in(&self, folder: Option<PathBuf>) {
        *self.0.folder.write() = folder;
    }

    /// Whether a path is one of challenges.
    pub fn is_path(path: &str) -> bool {
        path.starts_with(PATH)
    }

    /// What is to be told to who asks for this path, if a CA may ask for it (RFC 8555 §8.3).
    pub async fn page(&self, path: &str) -> Option<Bytes> {
        let token = path.strip_prefix(PATH)?;
        // RFC 8555 §8.1: a token is of the base64url alphabet, so it is no path.
        let is_token = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_');
        if token.is_empty() || token.len() > TOKEN_MAX || !token.bytes().all(is_token) {
            return None;
        }
        let said = self.find(Key::Page(token.to_owned())).await?;
        Some(said.key_authorization.into())
    }

    /// The certificate for a handshake that offers `acme-tls/1` and nothing else (RFC 8737 §3).
    pub async fn certificate(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let is_name = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.');
        if name.len() > TOKEN_MAX || name.starts_with('.') || !name.bytes().all(is_name) {
            return None;
        }
        let said = self.find(Key::Handshake(name)).await?;
        proof(&said)
    }

    /// Answers a challenge for `name`, by what its key authorization says.
    pub(super) async fn show(
        &self,
        kind: AcmeChallenge,
        name: &AcmeName,
        token: &str,
        key_authorization: &str,
    ) -> Shown {
        let key = match kind {
            AcmeChallenge::Http01 => Key::Page(token.to_owned()),
            AcmeChallenge::TlsAlpn01 => Key::Handshake(asked_as(name)),
        };
        let said = Said {
            name: name.to_string(),
            key_authorization: key_authorization.to_owned(),
        };
        self.0.shown.write().insert(key.clone(), said.clone());
        if let Some(path) = self.path(&key) {
            let text = format!("{} {}", said.name, said.key_authorization);
            // Without the file this process answers all the same.
            let _ = spawn_blocking(move || disk::write(&path, text.as_bytes())).await;
        }
        Shown {
            challenges: self.clone(),
            key,
        }
    }

    async fn find(&self, key: Key) -> Option<Said> {
        if let Some(said) = self.0.shown.read().get(&key) {
            return Some(said.clone());
        }
        let path = self.path(&key)?;
        let _look = self.0.looks.try_acquire().ok()?;
        let read = spawn_blocking(move || disk::read(&path).ok().flatten()).await;
        let text = String::from_utf8(read.ok()??).ok()?;
        let (name, key_authorization) = text.split_once(' ')?;
        Some(Said {
            name: name.to_owned(),
            key_authorization: key_authorization.to_owned(),
        })
    }

    fn path(&self, key: &Key) -> Option<PathBuf> {
        let folder = self.0.folder.read();
        let name = match key {
            Key::Page(token) => format!("page-{token}"),
            Key::Handshake(name) => format!("name-{name}"),
        };
        Some(folder.as_ref()?.join(name))
    }
}

impl Default for Challenges {
    fn default() -> Self {
        Self(Arc::new(Shared {
            shown: RwLock::default(),
            folder: RwLock::default(),
            looks: Semaphore::new(LOOKS_MAX),
        }))
    }
}

/// The name that a CA puts into its handshake. Of an address it is that of RFC 8738 §6: "the SNI
/// extension MUST contain a single DNS name whose value is the reverse mapping of the IP address".
fn asked_as(name: &AcmeName) -> String {
    match name {
        AcmeName::Dns(name) => name.to_string(),
        AcmeName::Ip(std::net::IpAddr::V4(it)) => {
            let [a, b, c, d] = it.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        AcmeName::Ip(std::net::IpAddr::V6(it)) => {
            let bytes = it.octets();
            let halves = bytes.iter().rev().flat_map(|it| [it & 0xF, it >> 4]);
            let labels: String = halves.map(|it| format!("{it:x}.")).collect();
            labels + "ip6.arpa"
        }
    }
}

/// RFC 8737 §3: a self-signed certificate with the name and, in a critical extension, the digest of
/// the key authorization.
fn proof(said: &Said) -> Option<Arc<CertifiedKey>> {
    let digest = Sha256::digest(said.key_authorization.as_bytes());
    let mut params = CertificateParams::new(vec![said.name.clone()]).ok()?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
    let key = KeyPair::generate().ok()?;
    let certificate = params.self_signed(&key).ok()?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).ok()?;
    let chain = vec![certificate.der().clone()];
    // Not compared with its certificate: a critical extension that it does not know ends the reading.
    let key = aws_lc_rs::sign::any_ecdsa_type(&key).ok()?;
    Some(Arc::new(CertifiedKey::new(chain, key)))
}

// === impl Shown ===

impl Drop for Shown {
    fn drop(&mut self) {
        self.challenges.0.shown.write().remove(&self.key);
        if let Some(path) = self.challenges.path(&self.key) {
            // A small unlink; one that fails leaves a file that says nothing any more.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_ca_asks_for() {
        for (name, asked) in [
            ("shop.example", "shop.example"),
            ("192.0.2.7", "7.2.0.192.in-addr.arpa"),
            (
                "2001:db8::1",
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
            ),
        ] {
            assert_eq!(asked_as(&AcmeName::parse(name).unwrap()), asked);
        }
    }

    #[tokio::test]
    async fn a_challenge_is_answered_while_it_lasts_and_nothing_else_is() {
        let challenges = Challenges::default();
        let name = AcmeName::parse("shop.example").unwrap();
        let page = challenges
            .show(AcmeChallenge::Http01, &name, "tok-en", "tok-en.thumb")
            .await;
        let told = challenges.page("/.well-known/acme-challenge/tok-en").await;
        assert_eq!(told.as_deref(), Some(&b"tok-en.thumb"[..]));
        for path in [
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/../tok-en",
            "/tok-en",
        ] {
            assert_eq!(challenges.page(path).await, None, "{path}");
        }
        assert!(challenges.certificate("shop.example").await.is_none());
        drop(page);
        assert_eq!(
            challenges.page("/.well-known/acme-challenge/tok-en").await,
            None
        );
        let proof = challenges
            .show(AcmeChallenge::TlsAlpn01, &name, "t", "t.thumb")
            .await;
        assert!(challenges.certificate("Shop.example").await.is_some());
        drop(proof);
        assert!(challenges.certificate("shop.example").await.is_none());
    }
}
