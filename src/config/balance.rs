//! `balance` of `[origins.NAME]`: how a server is chosen for a request.
//!
//! Not the algorithms.

use http::HeaderName;
use serde::Deserialize;
use toml::Spanned;

use super::meant::foreign;
use super::names;
use super::report::{Given, Report};
use super::text_or::TextOr;
use super::wording;

/// The load beyond which a hash of the URL passes a server over, as a share of the mean.
const BOUNDED_LOAD: f64 = 1.25;
/// The same where a client is to keep its server: it may be the only client there is.
const UNBOUNDED_LOAD: f64 = f64::INFINITY;
/// The response field by which servers report their load.
const LOAD_FIELD: HeaderName = HeaderName::from_static("x-load");

const NAMES: [&str; 7] = [
    "two-choices",
    "round-robin",
    "least-requests",
    "random",
    "ip-hash",
    "resource",
    "first",
];

/// How a server is chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Balance {
    /// The one of two drawn by weight that is likely to answer sooner.
    TwoChoices,
    /// Each in turn, by weight.
    RoundRobin,
    /// The one with the fewest requests in flight for its weight.
    LeastRequests,
    /// Drawn by weight.
    Random,
    /// The first that can answer.
    First,
    /// The same for the same key, as long as it can answer and is not overloaded.
    Hash {
        /// What the key is made of.
        on: HashOn,
        /// How much more than its share a server may have in flight; 1.25 is a quarter more,
        /// infinity all there are.
        bounded_load: f64,
    },
    /// Drawn by weight and by what the servers say of their load.
    Resource {
        /// The response field that says it, 0 (idle) to 100 (full).
        field: HeaderName,
    },
}

/// What a hash is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum HashOn {
    /// The client's address.
    Client,
    /// The authority, path and query asked for.
    Url,
    /// A request field.
    Header(HeaderName),
    /// A cookie.
    Cookie(String),
}

/// The table of `balance` as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBalance {
    hash: Option<RawHash>,
    name: Given<String>,
    bounded_load: Given<f64>,
    load_field: Given<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawHash {
    Ip,
    Url,
    Header,
    Cookie,
}

/// What is written, or two choices.
pub(super) fn resolve(given: &Given<TextOr<RawBalance>>, report: &mut Report) -> Balance {
    let Some(balance) = given else {
        return Balance::TwoChoices;
    };
    match balance.get_ref() {
        TextOr::Text(name) => named(name).unwrap_or_else(|complaint| {
            report.at(balance.span(), complaint);
            Balance::TwoChoices
        }),
        TextOr::Table(table) => table.resolve(balance, report),
    }
}

fn named(name: &str) -> Result<Balance, String> {
    match name {
        "two-choices" => Ok(Balance::TwoChoices),
        "round-robin" => Ok(Balance::RoundRobin),
        "least-requests" => Ok(Balance::LeastRequests),
        "random" => Ok(Balance::Random),
        "first" => Ok(Balance::First),
        "ip-hash" => Ok(Balance::Hash {
            on: HashOn::Client,
            bounded_load: UNBOUNDED_LOAD,
        }),
        "resource" => Ok(Balance::Resource { field: LOAD_FIELD }),
        "hash" => Err("needs to know of what; write `balance = { hash = \"url\" }`".to_owned()),
        _ => Err(foreign::balance(name).unwrap_or_else(|| unknown(name))),
    }
}

fn unknown(name: &str) -> String {
    match wording::closest(name, &NAMES) {
        Some(meant) => format!("`{name}` is not known; did you mean \"{meant}\"?"),
        None => {
            let known = wording::list(&NAMES, "\"", "or");
            format!("`{name}` is not known; write {known}")
        }
    }
}

// === impl RawBalance ===

impl RawBalance {
    fn resolve(&self, place: &Spanned<TextOr<Self>>, report: &mut Report) -> Balance {
        match (self.hash, &self.load_field) {
            (Some(hash), None) => Balance::Hash {
                on: self.hash_on(hash, place, report),
                bounded_load: self.bounded_load(hash, report),
            },
            (None, Some(field)) => match names::field(field.get_ref()) {
                Ok(field) => Balance::Resource { field },
                Err(complaint) => {
                    report.at(field.span(), complaint);
                    Balance::TwoChoices
                }
            },
            (Some(_), Some(field)) => {
                report.at(
                    field.span(),
                    "does not go with `hash`; leave one of the two out",
                );
                Balance::TwoChoices
            }
            (None, None) => {
                let text = "says nothing; write `hash = \"url\"` or `load_field = \"x-load\"`";
                report.at(place.span(), text);
                Balance::TwoChoices
            }
        }
    }

    fn hash_on(&self, hash: RawHash, place: &Spanned<TextOr<Self>>, report: &mut Report) -> HashOn {
        let on = match (hash, &self.name) {
            (RawHash::Header, Some(name)) => names::field(name.get_ref()).map(HashOn::Header),
            (RawHash::Cookie, Some(name)) => names::cookie(name.get_ref()).map(HashOn::Cookie),
            (RawHash::Header | RawHash::Cookie, None) => {
                let text = "is missing; write the name of the field or cookie, as \
                            `name = \"x-user\"`";
                report.missing(place.span(), "name", text);
                return HashOn::Client;
            }
            (_, Some(_)) => Err("is for hashes of a header or a cookie; leave it out"),
            (RawHash::Ip, None) => Ok(HashOn::Client),
            (RawHash::Url, None) => Ok(HashOn::Url),
        };
        on.unwrap_or_else(|complaint| {
            if let Some(name) = &self.name {
                report.at(name.span(), complaint);
            }
            HashOn::Client
        })
    }

    fn bounded_load(&self, hash: RawHash, report: &mut Report) -> f64 {
        match &self.bounded_load {
            Some(given) if (1.0..=100.0).contains(given.get_ref()) => return *given.get_ref(),
            Some(given) => report.at(given.span(), "is out of limits; write 1 to 100"),
            None => {}
        }
        match hash {
            RawHash::Url => BOUNDED_LOAD,
            RawHash::Ip | RawHash::Header | RawHash::Cookie => UNBOUNDED_LOAD,
        }
    }
}
