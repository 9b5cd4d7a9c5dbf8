//! A CA of `[acme]`: where it is, who vouches for its server, and which account it knows us by.

use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::Uri;
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use toml::Spanned;

use super::origin_tls::trusted;
use super::report::{Given, Place, Report};
use super::secret::Secret;
use super::table::Written;

/// Where certificates come from unless another CA is named.
pub(super) const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// A certificate authority that speaks ACME.
#[derive(Clone, Debug, PartialEq)]
pub struct AcmeAuthority {
    /// The `https` URL of its directory (RFC 8555 §7.1.1).
    pub directory: Arc<str>,
    /// Who vouches for the authority's own server.
    pub roots: Arc<[CertificateDer<'static>]>,
    /// Whether no roots are written: it is one that everybody knows.
    pub is_public: bool,
    /// Which kind of certificate it is asked for, by its own name for it.
    pub profile: Option<Arc<str>>,
    /// The account elsewhere that ours is bound to (RFC 8555 §7.3.4).
    pub eab: Option<Eab>,
}

/// An account that the authority knows by other means than ACME.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eab {
    /// Its name.
    pub id: Arc<str>,
    /// Its key in base64url, checked.
    key: Secret,
}

/// One `[[acme.fallback]]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAuthority {
    pub(super) directory: Given<String>,
    pub(super) roots: Given<String>,
    pub(super) profile: Given<String>,
    pub(super) eab: Option<Written<RawEab>>,
}

/// `eab` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawEab {
    id: Given<String>,
    secret: Given<Secret>,
}

/// Keys of an authority, in whichever table they stand.
pub(super) struct Asked<'a> {
    pub(super) directory: &'a Spanned<String>,
    pub(super) roots: &'a Given<String>,
    pub(super) profile: &'a Given<String>,
    pub(super) eab: Option<&'a Written<RawEab>>,
}

// === impl Eab ===

impl Eab {
    /// The bytes of its key.
    pub fn key(&self) -> Vec<u8> {
        // It was decoded once when the configuration was read.
        decoded(self.key.expose()).unwrap_or_default()
    }
}

/// RFC 8555 §7.3.4 has CAs tell it in base64url; some add the padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .filter(|it| !it.is_empty())
}

// === impl Asked ===

impl Asked<'_> {
    pub(super) fn resolve(&self, report: &mut Report) -> AcmeAuthority {
        let url = self.directory.get_ref().parse::<Uri>().ok();
        let is_url = url.is_some_and(|it| it.scheme_str() == Some("https") && it.host().is_some());
        // RFC 8555 §6.1: "Each ACME function is accomplished by the client sending a sequence of HTTPS
        // requests to the server".
        if !is_url {
            let text = format!("is no https URL; write \"{LETS_ENCRYPT}\"");
            report.at(self.directory.span(), text);
        }
        let given = self.roots.as_ref();
        let roots = trusted(given.map(|it| it.get_ref().as_str()));
        let roots = roots.unwrap_or_else(|complaint| {
            report.at(
                given.map_or(self.directory.span(), Spanned::span),
                complaint,
            );
            Arc::default()
        });
        AcmeAuthority {
            directory: self.directory.get_ref().as_str().into(),
            roots,
            is_public: given.is_none(),
            profile: self.profile.as_ref().map(|it| it.get_ref().as_str().into()),
            eab: self
                .eab
                .and_then(|it| it.get_ref().resolve(it.span(), report)),
        }
    }
}

// === impl RawEab ===

impl RawEab {
    fn resolve(&self, place: Place, report: &mut Report) -> Option<Eab> {
        let (Some(id), Some(secret)) = (&self.id, &self.secret) else {
            let key = if self.id.is_none() { "id" } else { "secret" };
            report.missing(
                place,
                key,
                "is missing; the CA has told you `id` and `secret`, its key, together",
            );
            return None;
        };
        if decoded(secret.get_ref().expose()).is_none() {
            report.at(
                secret.span(),
                "is no base64url; copy it as the CA has shown it",
            );
            return None;
        }
        Some(Eab {
            id: id.get_ref().as_str().into(),
            key: secret.get_ref().clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_accounts_elsewhere() {
        assert_eq!(decoded("aGk"), Some(b"hi".to_vec()));
        assert_eq!(decoded("aGk="), Some(b"hi".to_vec()));
        assert_eq!(decoded("_-8"), Some(vec![0xFF, 0xEF]));
        assert_eq!(decoded("no key!"), None);
        assert_eq!(decoded(""), None);
    }
}
