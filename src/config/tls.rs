//! `tls` of listeners, sites and `[admin]`, and the table `[tls]`: how clients shake hands, and who
//! they must prove to be.
//!
//! Not which certificates they are shown (`certificate.rs`), nor TLS towards servers (`origin_tls.rs`).

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use toml::Spanned;

use super::care::Care;
use super::pem;
use super::report::{Given, Place, Report};
use super::ticket_keys::ticket_keys;
use super::tls_names::{group, group_names, listed, suite, suite_names};
use super::units::{self, Count};

const HANDSHAKES: RangeInclusive<usize> = 1..=1 << 24;

/// TLS of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListenTls {
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// Cipher suites by their code points, those that are liked best first; where there is none, all
    /// that are safe in the order of the client.
    pub suites: Arc<[u16]>,
    /// Groups of the key exchange by their code points, in the order of the client; all that are safe
    /// where there is none.
    pub groups: Arc<[u16]>,
    /// Whether clients show certificates, unless their site says otherwise.
    pub client_auth: Arc<ClientAuth>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V13,
}

/// Whether clients show certificates, and who vouches for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClientAuth {
    /// Whether they are asked.
    pub mode: ClientAuthMode,
    /// The file of those who vouch; empty where nobody is asked.
    pub ca: Arc<str>,
    /// The file of what they have revoked.
    pub crl: Option<Arc<str>>,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthMode {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked, and may have none.
    Request,
    /// Without one there is no connection.
    Require,
}

/// TLS of the whole process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsRules {
    /// From a connection's first byte to the end of its handshake.
    pub handshake_timeout: Duration,
    /// Handshakes under way at once; for one more the oldest is cut.
    pub handshakes_max: usize,
    /// The file of the keys that tickets are sealed with; `None` for keys of our own.
    pub ticket_keys: Option<Arc<str>>,
}

/// `true`, `false` or a table.
pub(super) enum RawListenTls {
    Is(bool),
    Table(RawTlsTable),
}

/// `tls` of a listener, as a table.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTlsTable {
    min_version: TlsVersion,
    suites: Given<Vec<Spanned<String>>>,
    groups: Given<Vec<Spanned<String>>>,
    client_auth: Given<ClientAuthMode>,
    client_ca: Given<String>,
    client_crl: Given<String>,
}

/// `tls` of a site: whether its clients show certificates.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSiteTls {
    client_auth: Given<ClientAuthMode>,
    client_ca: Given<String>,
    client_crl: Given<String>,
}

/// `[tls]` as written.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTlsRules {
    handshake_timeout: Given<units::Period>,
    handshakes_max: Given<Count>,
    ticket_keys: Given<String>,
}

/// The three keys of client certificates, wherever they stand.
struct RawClientAuth<'a> {
    mode: &'a Given<ClientAuthMode>,
    ca: &'a Given<String>,
    crl: &'a Given<String>,
}

// === impl RawListenTls ===

impl RawListenTls {
    /// Whether TLS is wanted.
    pub(super) fn is_on(&self) -> bool {
        !matches!(self, Self::Is(false))
    }

    /// It stands at `place`. `None` where there is no TLS, or after a complaint.
    pub(super) fn resolve(
        &self,
        place: Place,
        care: Care<'_>,
        report: &mut Report,
    ) -> Option<ListenTls> {
        match self {
            Self::Is(false) => None,
            Self::Is(true) => RawTlsTable::default().resolve(place, care, report),
            Self::Table(table) => table.resolve(place, care, report),
        }
    }
}

// === impl RawTlsTable ===

impl RawTlsTable {
    fn resolve(&self, place: Place, care: Care<'_>, report: &mut Report) -> Option<ListenTls> {
        let client_auth = RawClientAuth {
            mode: &self.client_auth,
            ca: &self.client_ca,
            crl: &self.client_crl,
        };
        let client_auth = client_auth.resolve(place, care, report)?;
        let suites = listed(&self.suites, "cipher suite", suite, &suite_names(), report);
        let tls = ListenTls {
            min_version: self.min_version,
            suites,
            groups: listed(&self.groups, "group", group, &group_names(), report),
            client_auth: Arc::new(client_auth),
        };
        self.check_suites(&tls, report);
        Some(tls)
    }

    /// Those of TLS 1.3 are of no use before it, and the other way round.
    fn check_suites(&self, tls: &ListenTls, report: &mut Report) {
        let Some(written) = &self.suites else { return };
        let is_of_13 = |it: &u16| it >> 8 == 0x13;
        if !tls.suites.is_empty() && !tls.suites.iter().any(is_of_13) {
            let text = "has no suite of TLS 1.3; add \"TLS_AES_128_GCM_SHA256\"";
            report.at(written.span(), text);
        }
        let has_old = !tls.suites.iter().all(is_of_13);
        if has_old && tls.min_version == TlsVersion::V13 {
            let text = "has a suite of TLS 1.2, which `min_version` rules out; keep one of the two";
            report.at(written.span(), text);
        }
    }
}

// === impl RawSiteTls ===

impl RawSiteTls {
    /// The table stands at `place`. `None` after a complaint.
    pub(super) fn resolve(
        &self,
        place: Place,
        care: Care<'_>,
        report: &mut Report,
    ) -> Option<ClientAuth> {
        if self.client_auth.is_none() && !report.has_lost(&place, "client_auth") {
            let text = "is missing; write \"off\", \"request\" or \"require\"";
            report.missing(place, "client_auth", text);
            return None;
        }
        let raw = RawClientAuth {
            mode: &self.client_auth,
            ca: &self.client_ca,
            crl: &self.client_crl,
        };
        raw.resolve(place, care, report)
    }
}

// === impl RawClientAuth ===

impl RawClientAuth<'_> {
    /// `None` after a complaint.
    fn resolve(&self, place: Place, care: Care<'_>, report: &mut Report) -> Option<ClientAuth> {
        let mode = self
            .mode
            .as_ref()
            .map_or_else(Default::default, |it| *it.get_ref());
        if mode == ClientAuthMode::Off {
            for unused in [self.ca, self.crl].into_iter().flatten() {
                let text = "has no effect while `client_auth` is off; write \"require\" there, or leave this out";
                report.at(unused.span(), text);
            }
            return Some(ClientAuth::default());
        }
        let Some(ca) = self.ca else {
            let text = "is missing; write the file of the certificates that vouch for clients";
            report.missing(place, "client_ca", text);
            return None;
        };
        examine(ca, care, report, |path| pem::roots(path).map(drop));
        if let Some(crl) = self.crl {
            examine(crl, care, report, |path| {
                pem::revocation_lists(path).map(drop)
            });
        }
        Some(ClientAuth {
            mode,
            ca: ca.get_ref().as_str().into(),
            crl: self.crl.as_ref().map(|it| it.get_ref().as_str().into()),
        })
    }
}

/// Reads a file, unless an old state of it can go on.
fn examine(
    path: &Spanned<String>,
    care: Care<'_>,
    report: &mut Report,
    read: impl Fn(&str) -> Result<(), String>,
) {
    let text = path.get_ref();
    let is_known = matches!(care, Care::Again(knows) if knows(text));
    if let Err(complaint) = read(text)
        && !is_known
    {
        report.at(path.span(), complaint);
    }
}

// === impl RawTlsRules ===

impl RawTlsRules {
    pub(super) fn resolve(&self, care: Care<'_>, report: &mut Report) -> TlsRules {
        if let Some(path) = &self.ticket_keys {
            examine(path, care, report, |path| ticket_keys(path).map(drop));
        }
        TlsRules {
            handshake_timeout: units::timeout(&self.handshake_timeout, 10, report),
            handshakes_max: units::count(&self.handshakes_max, 4096, HANDSHAKES, report),
            ticket_keys: self
                .ticket_keys
                .as_ref()
                .map(|it| it.get_ref().as_str().into()),
        }
    }
}

impl<'de> Deserialize<'de> for RawListenTls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawListenTls;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or a table")
            }

            fn visit_bool<E: de::Error>(self, is: bool) -> Result<RawListenTls, E> {
                Ok(RawListenTls::Is(is))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawListenTls, A::Error> {
                RawTlsTable::deserialize(MapAccessDeserializer::new(map)).map(RawListenTls::Table)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
