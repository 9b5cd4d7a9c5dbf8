//! Certificate and its key as two files hold them: read, matched, and known by their names and dates.
//!
//! Also what a folder of them holds. Not which of them is shown to whom.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::SignatureAlgorithm;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use time::UtcDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::pem;

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairPaths {
    /// The certificate, and after it those that vouch for it.
    pub chain: Arc<str>,
    /// Its key.
    pub key: Arc<str>,
}

/// A certificate that can be shown, since its key is known.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Chain and key.
    pub certified: Arc<CertifiedKey>,
    /// Host names in lower case, of which one may begin with `*.`, and IP addresses.
    pub names: Vec<String>,
    /// When it becomes valid.
    pub not_before: SystemTime,
    /// When it expires.
    pub not_after: SystemTime,
    /// `ecdsa`, `rsa` or `ed25519`.
    pub kind: &'static str,
}

/// Two files that are no certificate and its key: which of them is to blame, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPair {
    /// Whether it is the key's file.
    pub is_key: bool,
    /// In words.
    pub text: String,
}

// === impl PairPaths ===

impl PairPaths {
    /// Reads both files.
    ///
    /// # Errors
    /// [`BadPair`] when one cannot be read or they do not belong together.
    pub fn read(&self) -> Result<Pair, BadPair> {
        let chain = pem::certificates(&self.chain).map_err(BadPair::chain)?;
        let key = pem::private_key(&self.key).map_err(BadPair::key)?;
        let described = Description::of(&chain[0])
            .map_err(|error| BadPair::chain(format!("{}: {error}", self.chain)))?;
        let provider = aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
            let (key, chain) = (&self.key, &self.chain);
            BadPair::key(format!("{key} is not the key of {chain}: {error}"))
        })?;
        Ok(Pair {
            kind: kind(certified.key.algorithm()),
            certified: Arc::new(certified),
            names: described.names,
            not_before: described.not_before,
            not_after: described.not_after,
        })
    }

    /// Those of a folder: `NAME.pem` with `NAME.key`, in the order of their names.
    ///
    /// # Errors
    /// When the folder cannot be read, in words.
    pub fn in_folder(folder: &str) -> Result<Vec<Self>, String> {
        let unreadable = |error: io::Error| format!("{folder} cannot be read as a folder: {error}");
        let mut list = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            list.extend(Self::of_chain(&path));
        }
        list.sort();
        Ok(list)
    }

    /// Hidden files are those of editors, and of whoever writes before he renames.
    fn of_chain(path: &Path) -> Option<Self> {
        let text = path.to_str()?;
        let stem = text.strip_suffix(".pem")?;
        let is_hidden = path.file_name()?.to_str()?.starts_with('.');
        (!is_hidden).then(|| Self {
            chain: text.into(),
            key: format!("{stem}.key").into(),
        })
    }
}

// === impl Pair ===

impl Pair {
    /// The name that it is known by.
    pub fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Why it is no good at this moment, if it is not.
    pub fn wrong_time(&self, now: SystemTime) -> Option<String> {
        if now > self.not_after {
            let day = day(self.not_after);
            return Some(format!("expired on {day}; put a renewed one in its place"));
        }
        let is_early = now < self.not_before;
        is_early.then(|| {
            format!(
                "is not valid before {}; is the clock right?",
                day(self.not_before)
            )
        })
    }
}

/// `2026-11-22`, in UTC.
fn day(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let at = i64::try_from(seconds).ok();
    let at = at.and_then(|it| UtcDateTime::from_unix_timestamp(it).ok());
    let at = at.unwrap_or(UtcDateTime::UNIX_EPOCH);
    let (year, month, day) = at.to_calendar_date();
    format!("{year:04}-{:02}-{day:02}", u8::from(month))
}

fn kind(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::ECDSA => "ecdsa",
        SignatureAlgorithm::ED25519 => "ed25519",
        SignatureAlgorithm::RSA => "rsa",
        _ => "other",
    }
}

/// What a certificate says of itself.
struct Description {
    names: Vec<String>,
    not_before: SystemTime,
    not_after: SystemTime,
}

// === impl Description ===

impl Description {
    fn of(certificate: &[u8]) -> Result<Self, String> {
        let (_, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| "is no X.509 certificate")?;
        let mut names = alternative_names(&parsed);
        // RFC 9525 §2 has no place for it, but old certificates of one's own have no other.
        if names.is_empty() {
            let mut common = parsed.subject().iter_common_name();
            names.extend(
                common
                    .find_map(|it| it.as_str().ok())
                    .map(str::to_ascii_lowercase),
            );
        }
        let validity = parsed.validity();
        Ok(Self {
            names,
            not_before: time_of(validity.not_before),
            not_after: time_of(validity.not_after),
        })
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.map_or(&[][..], |it| &it.value.general_names);
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|it| it.to_string()),
        _ => None,
    };
    names.iter().filter_map(text).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn time_of(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    UNIX_EPOCH + Duration::from_secs(seconds)
}

// === impl BadPair ===

impl BadPair {
    pub(super) fn chain(text: String) -> Self {
        Self {
            is_key: false,
            text,
        }
    }

    fn key(text: String) -> Self {
        Self { is_key: true, text }
    }
}
