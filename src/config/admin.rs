//! Table `[admin]`: the operator's listener and its token.
//!
//! Not the endpoint itself, nor the comparison of tokens.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::care::Care;
use super::listen_address::{self, FOR_OWNER, ListenAddress};
use super::report::{Given, Place, Report};
use super::tls::{ListenTls, RawListenTls};

/// The token of the example file, which everybody knows.
const TOKEN_OF_EXAMPLE: &str = "change-me";

/// The admin listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// Where to bind.
    pub address: ListenAddress,
    /// What `Authorization: Bearer …` must carry (RFC 6750 §2.1). Always there beyond loopback.
    pub token: Option<Secret>,
    /// How operators shake hands; `None` where they speak in clear.
    pub tls: Option<ListenTls>,
}

/// A text that must not appear in logs: its `Debug` form is masked.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Arc<str>);

/// `[admin]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAdmin {
    pub(super) address: Given<String>,
    mode: Given<String>,
    owner: Given<String>,
    token: Given<Secret>,
    pub(super) tls: Given<RawListenTls>,
}

// === impl Secret ===

impl Secret {
    /// The text itself, for comparison only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

// === impl RawAdmin ===

impl RawAdmin {
    /// A table that has only an address.
    pub(super) fn at(address: Spanned<String>) -> Self {
        Self {
            address: Some(address),
            mode: None,
            owner: None,
            token: None,
            tls: None,
        }
    }

    /// The table stands at `place`. `None` after a complaint.
    pub(super) fn resolve(
        &self,
        place: Place,
        care: Care<'_>,
        report: &mut Report,
    ) -> Option<Admin> {
        let address = match &self.address {
            Some(address) => self.keys(address).resolve(report)?,
            None => ListenAddress::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9180)),
        };
        match &self.token {
            Some(token) => {
                if let Err(text) = check_token(token.get_ref().expose(), &address) {
                    report.at(token.span(), text);
                }
            }
            None => self.check_may_lack_token(&address, place, report),
        }
        let tls = self.tls.as_ref();
        Some(Admin {
            address,
            tls: tls.and_then(|it| it.get_ref().resolve(it.span(), care, report)),
            token: self.token.as_ref().map(|it| it.get_ref().clone()),
        })
    }

    fn keys<'a>(&'a self, address: &'a Spanned<String>) -> listen_address::Keys<'a> {
        listen_address::Keys {
            address,
            mode: &self.mode,
            owner: &self.owner,
            usual_mode: FOR_OWNER,
        }
    }

    fn check_may_lack_token(&self, address: &ListenAddress, place: Place, report: &mut Report) {
        if address.is_local() || report.has_lost(&place, "token") {
            return;
        }
        let Some(text) = &self.address else {
            return;
        };
        let complaint = "is beyond loopback, where everybody could purge; \
                         add a `token` to [admin], or write \"127.0.0.1:9180\"";
        report.at(text.span(), complaint);
    }
}

/// RFC 6750 §2.1: `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn check_token(token: &str, address: &ListenAddress) -> Result<(), &'static str> {
    let stem = token.trim_end_matches('=');
    let is_token = |it: u8| it.is_ascii_alphanumeric() || b"-._~+/".contains(&it);
    if stem.is_empty() || !stem.bytes().all(is_token) {
        return Err("cannot be sent as a bearer token; use letters, digits and -._~+/ only");
    }
    if token == TOKEN_OF_EXAMPLE && !address.is_local() {
        return Err("is the token of the example, which everybody knows; choose one of your own");
    }
    Ok(())
}
