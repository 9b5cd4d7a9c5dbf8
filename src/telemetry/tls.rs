//! Figures of TLS: handshakes by what they agreed on or why they failed, and the certificates served.
//!
//! Handshakes take long enough that a lock for each does not show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::exposition::Family;
use super::record::TlsFacts;

const FAILURES: usize = HandshakeFailure::ALL.len();

/// Why a handshake failed: the label of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailure {
    /// The client was too slow.
    Timeout,
    /// There were too many under way, and it was the oldest.
    Crowded,
    /// The client spoke HTTP in clear.
    PlainHttp,
    /// It left, before or amidst the handshake.
    Left,
    /// It speaks none of our application protocols (RFC 7301 §3.2).
    NoProtocol,
    /// It speaks none of our versions, suites and groups.
    NothingInCommon,
    /// It must show a certificate and has none.
    ClientCertificateMissing,
    /// The one that it showed is not good.
    ClientCertificateBad,
    /// It refused, as clients do that do not know who vouches for us.
    Refused,
    /// What it sent is no TLS.
    Malformed,
    /// We have no certificate to show.
    NoCertificate,
    /// Nothing failed: a CA has seen what it asked for (RFC 8737), and there is no more to it.
    AcmeChallenge,
    /// Something else.
    Other,
}

/// One certificate that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedCertificate {
    /// Its first name.
    pub name: String,
    /// All its names.
    pub names: Vec<String>,
    /// `ecdsa`, `rsa` or `ed25519`.
    pub kind: &'static str,
    /// Where it is from.
    pub file: String,
    /// When it expires.
    pub not_after: SystemTime,
}

/// A file of certificates that cannot be used as it is: what was known of it before goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFile {
    /// Its path.
    pub file: String,
    /// What is wrong with it, in words.
    pub why: String,
    /// Whether an older state of it is served.
    pub is_served: bool,
}

/// All that is told of TLS.
#[derive(Debug, Default)]
pub struct Tls {
    handshakes: Mutex<BTreeMap<(&'static str, &'static str, bool), u64>>,
    failures: [AtomicU64; FAILURES],
    under_way: AtomicU64,
    certificates: Mutex<Arc<Certificates>>,
}

/// The certificates of one moment.
#[derive(Debug, Default)]
pub struct Certificates {
    /// Those served, in the order in which they were configured.
    pub served: Vec<ServedCertificate>,
    /// Files that cannot be used as they are.
    pub bad: Vec<BadFile>,
}

// === impl Tls ===

impl Tls {
    /// Counts a handshake that has begun.
    pub fn handshake_begun(&self) {
        self.under_way.fetch_add(1, Relaxed);
    }

    /// Counts its end.
    pub fn handshake_ended(&self, end: Result<&TlsFacts, HandshakeFailure>) {
        self.under_way.fetch_sub(1, Relaxed);
        match end {
            Ok(facts) => {
                let key = (facts.version, facts.suite, facts.is_resumed);
                *self.handshakes.lock().entry(key).or_default() += 1;
            }
            Err(failure) => {
                self.failures[failure as usize].fetch_add(1, Relaxed);
            }
        }
    }

    /// Has these certificates be told from now on.
    pub fn set_certificates(&self, certificates: Certificates) {
        *self.certificates.lock() = Arc::new(certificates);
    }

    /// The certificates of this moment.
    pub fn certificates(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates.lock())
    }

    /// All figures, for a scrape.
    pub fn families(&self) -> Vec<Family> {
        let certificates = self.certificates();
        let bad = Family::gauge(
            "copal_tls_files_bad",
            "Files of certificates that cannot be used as they are.",
        );
        vec![
            self.handshakes(),
            self.failures(),
            Family::gauge("copal_tls_handshakes_under_way", "Handshakes under way.")
                .value(self.under_way.load(Relaxed) as f64),
            not_after(&certificates.served),
            bad.value(certificates.bad.len() as f64),
        ]
    }

    fn handshakes(&self) -> Family {
        let mut family = Family::counter("copal_tls_handshakes", "Handshakes that ended well.");
        for ((version, suite, resumed), count) in &*self.handshakes.lock() {
            let labels = vec![
                ("version", (*version).to_owned()),
                ("suite", (*suite).to_owned()),
                ("resumed", resumed.to_string()),
            ];
            family = family.labelled(labels, *count as f64);
        }
        family
    }

    fn failures(&self) -> Family {
        let mut family = Family::counter("copal_tls_handshake_failures", "Handshakes that failed.");
        for (reason, count) in HandshakeFailure::ALL.into_iter().zip(&self.failures) {
            let labels = vec![("reason", reason.as_str().to_owned())];
            family = family.labelled(labels, count.load(Relaxed) as f64);
        }
        family
    }
}

fn not_after(served: &[ServedCertificate]) -> Family {
    let mut family = Family::gauge(
        "copal_tls_certificate_not_after_seconds",
        "When each certificate that is served expires, in Unix time.",
    );
    for it in served {
        let labels = vec![
            ("name", it.name.clone()),
            ("key", it.kind.to_owned()),
            ("file", it.file.clone()),
        ];
        let since = it.not_after.duration_since(UNIX_EPOCH).unwrap_or_default();
        family = family.labelled(labels, since.as_secs() as f64);
    }
    family
}

// === impl HandshakeFailure ===

impl HandshakeFailure {
    /// Every reason, in order.
    pub const ALL: [Self; 13] = [
        Self::Timeout,
        Self::Crowded,
        Self::PlainHttp,
        Self::Left,
        Self::NoProtocol,
        Self::NothingInCommon,
        Self::ClientCertificateMissing,
        Self::ClientCertificateBad,
        Self::Refused,
        Self::Malformed,
        Self::NoCertificate,
        Self::AcmeChallenge,
        Self::Other,
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Crowded => "crowded",
            Self::PlainHttp => "plain-http",
            Self::Left => "left",
            Self::NoProtocol => "no-protocol",
            Self::NothingInCommon => "nothing-in-common",
            Self::ClientCertificateMissing => "client-certificate-missing",
            Self::ClientCertificateBad => "client-certificate-bad",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::NoCertificate => "no-certificate",
            Self::AcmeChallenge => "acme-challenge",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_stand_at_their_own_index() {
        for (index, failure) in HandshakeFailure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, index, "{}", failure.as_str());
        }
    }

    #[test]
    fn every_figure_is_in_the_docs() {
        let docs = include_str!("../../docs/admin.md");
        for family in Tls::default().families() {
            assert!(docs.contains(family.name), "{}", family.name);
        }
        for failure in HandshakeFailure::ALL {
            assert!(docs.contains(failure.as_str()), "{}", failure.as_str());
        }
    }
}
