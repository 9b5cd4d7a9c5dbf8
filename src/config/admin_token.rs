//! `[[admin.tokens]]`: tokens that open a part of the admin API.
//!
//! Not their comparison, nor what belongs to which part.

use std::sync::Arc;

use serde::Deserialize;

use super::listen_address::ListenAddress;
use super::names;
use super::report::{Given, Place, Report};
use super::secret::{self, Secret};
use super::table::Written;

/// A part of the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// What changes nothing: figures, explanations, the configuration without its secrets.
    Read,
    /// Purges.
    Purge,
    /// Reloads, and servers at run time.
    Operate,
}

/// A token and what it opens.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminToken {
    /// Whose it is, for the log.
    pub name: Arc<str>,
    /// What `Authorization: Bearer …` must carry.
    pub token: Secret,
    /// What it opens.
    pub scopes: Vec<Scope>,
}

/// One of `[[admin.tokens]]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAdminToken {
    name: Given<String>,
    token: Given<Secret>,
    scopes: Given<Vec<Scope>>,
}

// === impl Scope ===

impl Scope {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Purge, Self::Operate];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Purge => "purge",
            Self::Operate => "operate",
        }
    }
}

/// The tokens of a list; without those complained of.
pub(super) fn resolve(
    list: &[Written<RawAdminToken>],
    address: &ListenAddress,
    report: &mut Report,
) -> Vec<AdminToken> {
    let mut tokens: Vec<AdminToken> = Vec::new();
    for raw in list {
        let Some(token) = raw.get_ref().resolve(raw.span(), address, report) else {
            continue;
        };
        let mut others = tokens.iter();
        if others.any(|it| it.name == token.name || it.token == token.token) {
            let text = "has the name or the token of one before it; give each its own";
            report.at(raw.span(), text);
            continue;
        }
        tokens.push(token);
    }
    tokens
}

// === impl RawAdminToken ===

impl RawAdminToken {
    fn resolve(
        &self,
        place: Place,
        address: &ListenAddress,
        report: &mut Report,
    ) -> Option<AdminToken> {
        for (key, is_there) in [
            ("name", self.name.is_some()),
            ("token", self.token.is_some()),
            ("scopes", self.scopes.is_some()),
        ] {
            if !is_there {
                let form = match key {
                    "scopes" => {
                        "is missing; write `scopes = [\"purge\"]`, of \"read\", \"purge\" and \"operate\""
                    }
                    "name" => "is missing; write whose it is, as `name = \"deploy\"`",
                    _ => "is missing; write `token = \"…\"`, or `\"${env.NAME}\"`",
                };
                report.missing(place.clone(), key, form);
            }
        }
        let (name, token, scopes) = (
            self.name.as_ref()?,
            self.token.as_ref()?,
            self.scopes.as_ref()?,
        );
        names::check_label(name, "tokens", report);
        if let Err(text) = secret::check_token(token.get_ref().expose(), address) {
            report.at(token.span(), text);
        }
        if scopes.get_ref().is_empty() {
            report.at(
                scopes.span(),
                "opens nothing; write \"read\", \"purge\" or \"operate\"",
            );
        }
        Some(AdminToken {
            name: name.get_ref().as_str().into(),
            token: token.get_ref().clone(),
            scopes: scopes.get_ref().clone(),
        })
    }
}
