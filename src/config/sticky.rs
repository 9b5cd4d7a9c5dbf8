//! `sticky` of `[origins.NAME]`: clients come back to the server that they had before.
//!
//! Not the cookie itself, nor its signature.

use std::time::Duration;

use serde::Deserialize;

use super::names;
use super::report::{Given, Place, Report};
use super::secret::Secret;
use super::units::{self, Period};

const SECRET_BYTES_MIN: usize = 16;

/// A cookie by which clients come back to their server.
#[derive(Clone, Debug, PartialEq)]
pub struct Sticky {
    /// Its name.
    pub cookie: String,
    /// What it is signed with.
    pub secret: Secret,
    /// How long it lasts.
    pub ttl: Duration,
}

/// `sticky` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSticky {
    cookie: Given<String>,
    secret: Given<Secret>,
    ttl: Given<Period>,
}

// === impl RawSticky ===

impl RawSticky {
    /// The table stands at `place`. `None` after a complaint.
    pub(super) fn resolve(&self, place: Place, report: &mut Report) -> Option<Sticky> {
        let ttl = units::timeout(&self.ttl, 3600, report);
        let cookie = match &self.cookie {
            None => "copal_server".to_owned(),
            Some(name) => match names::cookie(name.get_ref()) {
                Ok(name) => name,
                Err(complaint) => {
                    report.at(name.span(), complaint);
                    return None;
                }
            },
        };
        let Some(secret) = &self.secret else {
            let text = "is missing; write a text of 16 letters or more that nobody guesses, the \
                        same for all proxies of the site";
            report.missing(place, "secret", text);
            return None;
        };
        if secret.get_ref().expose().len() < SECRET_BYTES_MIN {
            report.at(
                secret.span(),
                "is shorter than 16 letters; write a longer one",
            );
            return None;
        }
        Some(Sticky {
            cookie,
            secret: secret.get_ref().clone(),
            ttl,
        })
    }
}
