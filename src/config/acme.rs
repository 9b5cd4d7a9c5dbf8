//! Table `[acme]`: for which names a CA is asked for certificates, which CAs, and how.
//!
//! Not the asking, nor where the files are when nothing is written of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::acme_name::AcmeName;
use super::authority::{AcmeAuthority, Asked, LETS_ENCRYPT, RawAuthority, RawEab};
use super::host;
use super::listen::{Listen, Protocol};
use super::on_demand::{OnDemand, RawOnDemand};
use super::report::{Given, Place, Report};
use super::table::Written;
use super::units::{self, Period};

const NAMES_MAX: usize = 10_000;

/// Certificates that a CA is asked for by ACME (RFC 8555).
#[derive(Clone, Debug, PartialEq)]
pub struct Acme {
    /// For whom there is to be a certificate each.
    pub names: Vec<AcmeName>,
    /// Whom CAs may write to; `None` for nobody.
    pub email: Option<Arc<str>>,
    /// Who is asked, one after another until one gives a certificate; one at least.
    pub authorities: Vec<AcmeAuthority>,
    /// How it is proved that a name is ours, the first at the first try; one at least.
    pub challenges: Vec<AcmeChallenge>,
    /// Where accounts and certificates are kept; `None` for a usual place.
    pub storage: Option<PathBuf>,
    /// The wait after the first failure, from which it doubles.
    pub retry: Duration,
    /// Names that are not known beforehand.
    pub on_demand: Option<OnDemand>,
}

/// How it is proved that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum AcmeChallenge {
    /// RFC 8555 §8.3: by a page in clear on port 80.
    #[serde(rename = "http-01")]
    Http01,
    /// RFC 8737: by a certificate on port 443.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

/// `[acme]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAcme {
    pub(super) domains: Given<Vec<Spanned<String>>>,
    pub(super) email: Given<String>,
    pub(super) directory: Given<String>,
    pub(super) roots: Given<String>,
    pub(super) profile: Given<String>,
    pub(super) eab: Option<Written<RawEab>>,
    pub(super) challenges: Given<Vec<AcmeChallenge>>,
    pub(super) storage: Given<String>,
    pub(super) retry: Given<Period>,
    pub(super) fallback: Vec<Written<RawAuthority>>,
    pub(super) on_demand: Option<Written<RawOnDemand>>,
}

// === impl Acme ===

impl Acme {
    /// Whether all CAs are those of the public, as far as can be told.
    pub fn is_public(&self) -> bool {
        self.authorities.iter().all(|it| it.is_public)
    }
}

// === impl RawAcme ===

impl RawAcme {
    /// The table stands at `place`.
    pub(super) fn resolve(&self, place: Place, listen: &[Listen], report: &mut Report) -> Acme {
        let on_demand = self.on_demand.as_ref();
        let on_demand = on_demand.and_then(|it| it.get_ref().resolve(it.span(), report));
        let names = self.resolve_names(place.clone(), report);
        Acme {
            names,
            email: self.resolve_email(place.clone(), report),
            authorities: self.resolve_authorities(place.clone(), report),
            challenges: self.resolve_challenges(listen, place, report),
            storage: self.storage.as_ref().map(|it| it.get_ref().into()),
            retry: units::timeout(&self.retry, 120, report),
            on_demand,
        }
    }

    fn resolve_names(&self, place: Place, report: &mut Report) -> Vec<AcmeName> {
        let given = match &self.domains {
            Some(given) if !given.get_ref().is_empty() => given,
            Some(_) | None if self.on_demand.is_some() => return Vec::new(),
            Some(given) => {
                report.at(
                    given.span(),
                    "is empty; write `domains = [\"shop.example\"]`",
                );
                return Vec::new();
            }
            None => {
                report.missing(
                    place,
                    "domains",
                    "is missing; write `domains = [\"shop.example\"]`",
                );
                return Vec::new();
            }
        };
        if given.get_ref().len() > NAMES_MAX {
            report.at(
                given.span(),
                "has more than 10000 names; let them come by `on_demand`",
            );
        }
        let mut names = Vec::new();
        for text in given.get_ref() {
            match self.resolve_name(text.get_ref()) {
                Ok(name) if names.contains(&name) => report.at(text.span(), "stands here twice"),
                Ok(name) => names.push(name),
                Err(complaint) => report.at(text.span(), complaint),
            }
        }
        names
    }

    fn resolve_name(&self, text: &str) -> Result<AcmeName, &'static str> {
        let name = AcmeName::parse(text)?;
        // Whoever has roots of their own has a CA of their own.
        match name.not_public().filter(|_| self.roots.is_none()) {
            Some(complaint) => Err(complaint),
            None => Ok(name),
        }
    }

    /// It has to be written, for it is a signature: CAs give no certificate to who has not agreed to
    /// their terms (RFC 8555 §7.3.3).
    fn resolve_email(&self, place: Place, report: &mut Report) -> Option<Arc<str>> {
        let Some(email) = &self.email else {
            let text = "is missing; write the address that the CA may write to, as \
                        \"ops@shop.example\", or \"\" for none: either says that you agree to its terms";
            report.missing(place, "email", text);
            return None;
        };
        let text = email.get_ref();
        let is_address = text.split_once('@').is_some_and(|(user, host)| {
            let is_odd = |it: char| it.is_whitespace() || matches!(it, ',' | '?' | '@');
            !user.is_empty() && !user.contains(is_odd) && host::parse(host).is_ok()
        });
        if !is_address && !text.is_empty() {
            report.at(
                email.span(),
                "is no address of e-mail; write \"ops@shop.example\"",
            );
        }
        is_address.then(|| text.as_str().into())
    }

    fn resolve_authorities(&self, place: Place, report: &mut Report) -> Vec<AcmeAuthority> {
        let default = Spanned::new(place, LETS_ENCRYPT.to_owned());
        let directory = self.directory.as_ref().unwrap_or(&default);
        let first = Asked {
            directory,
            roots: &self.roots,
            profile: &self.profile,
            eab: self.eab.as_ref(),
        };
        let mut authorities = vec![first.resolve(report)];
        for raw in &self.fallback {
            let keys = &**raw.get_ref();
            let Some(directory) = &keys.directory else {
                let text = "is missing; write the URL of the directory of another CA";
                report.missing(raw.span(), "directory", text);
                continue;
            };
            let asked = Asked {
                directory,
                roots: &keys.roots,
                profile: &keys.profile,
                eab: keys.eab.as_ref(),
            };
            authorities.push(asked.resolve(report));
        }
        authorities
    }

    /// Those that are written, or those for which there is a listener.
    fn resolve_challenges(
        &self,
        listen: &[Listen],
        place: Place,
        report: &mut Report,
    ) -> Vec<AcmeChallenge> {
        use AcmeChallenge::{Http01, TlsAlpn01};
        let is_http = |it: &&Listen| it.protocol == Protocol::Http;
        let is_answered = |challenge: &AcmeChallenge| {
            let mut listeners = listen.iter().filter(is_http);
            match challenge {
                Http01 => listeners.any(|it| it.tls.is_none()),
                TlsAlpn01 => listeners.any(|it| it.tls.is_some()),
            }
        };
        let Some(given) = &self.challenges else {
            let all: Vec<_> = [Http01, TlsAlpn01]
                .into_iter()
                .filter(is_answered)
                .collect();
            if all.is_empty() && !listen.is_empty() {
                let text =
                    "needs a listener of HTTP, where the CA asks for a proof; add a [[listen]]";
                report.at(place, text);
            }
            return all;
        };
        if given.get_ref().is_empty() {
            report.at(
                given.span(),
                "is empty; leave it out for all that listeners can answer",
            );
        }
        for challenge in given.get_ref().iter().filter(|it| !is_answered(it)) {
            let text = match challenge {
                Http01 => {
                    "has \"http-01\", which is asked for in clear; add a [[listen]] without `tls`"
                }
                TlsAlpn01 => {
                    "has \"tls-alpn-01\", which is asked for by TLS; add a [[listen]] with `tls = true`"
                }
            };
            report.at(given.span(), text);
        }
        given.get_ref().clone()
    }
}
