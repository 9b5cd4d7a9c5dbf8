//! Table `[admin]`: the operator's listener and its token.
//!
//! Not the endpoint itself, nor the comparison of tokens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::admin_token::{self, AdminToken, RawAdminToken};
use super::care::Care;
use super::limit::Rate;
use super::listen_address::{self, FOR_OWNER, ListenAddress};
use super::report::{Given, Place, Report};
use super::secret::{self, Secret};
use super::table::Written;
use super::tls::{ListenTls, RawListenTls};

/// The admin listener.
#[derive(Clone, Debug, PartialEq)]
pub struct Admin {
    /// Where to bind.
    pub address: ListenAddress,
    /// What `Authorization: Bearer …` must carry (RFC 6750 §2.1). Always there beyond loopback.
    pub token: Option<Secret>,
    /// Tokens that open a part of it.
    pub tokens: Vec<AdminToken>,
    /// How often it may be asked; a call that is more is answered with 429.
    pub rate: Rate,
    /// How operators shake hands; `None` where they speak in clear.
    pub tls: Option<ListenTls>,
}

/// `[admin]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAdmin {
    pub(super) address: Given<String>,
    mode: Given<String>,
    owner: Given<String>,
    token: Given<Secret>,
    tokens: Vec<Written<RawAdminToken>>,
    rate: Given<String>,
    pub(super) tls: Given<RawListenTls>,
}

// === impl RawAdmin ===

impl RawAdmin {
    /// A table that has only an address.
    pub(super) fn at(address: Spanned<String>) -> Self {
        Self {
            address: Some(address),
            ..Self::default()
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
                if let Err(text) = secret::check_token(token.get_ref().expose(), &address) {
                    report.at(token.span(), text);
                }
            }
            None if self.tokens.is_empty() => self.check_may_lack_token(&address, place, report),
            None => {}
        }
        let tls = self.tls.as_ref();
        let tokens = admin_token::resolve(&self.tokens, &address, report);
        Some(Admin {
            address,
            tls: tls.and_then(|it| it.get_ref().resolve(it.span(), care, report)),
            token: self.token.as_ref().map(|it| it.get_ref().clone()),
            tokens,
            rate: self.rate(report),
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

    fn rate(&self, report: &mut Report) -> Rate {
        let usual = Rate {
            count: 1000,
            window: Duration::from_secs(1),
        };
        let Some(text) = &self.rate else { return usual };
        match Rate::parse(text.get_ref()) {
            Ok(rate) => rate,
            Err(wrong) => {
                report.at(text.span(), wrong);
                usual
            }
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
