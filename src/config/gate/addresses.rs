//! `allow` and `deny`: clients by their addresses, as networks and as names of lists.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use toml::Spanned;

use crate::config::report::{Given, Report};
use crate::config::wording;
use crate::lists::{Kind, List, Lists, Networks, parse_network};

/// Whose clients are let in: nobody who is denied, and nobody else than who is allowed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientAccess {
    /// Of all tables around a route; clients in any of these are refused.
    deny: Vec<Arc<Addresses>>,
    /// Of the nearest table that says it; `None` for everybody.
    allow: Option<Arc<Addresses>>,
}

/// Addresses, as somebody wrote them down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Addresses {
    written: Vec<Box<str>>,
    networks: Networks,
    lists: Vec<Arc<List>>,
}

// === impl ClientAccess ===

impl ClientAccess {
    /// Whether a client with this address is let in.
    pub fn admits(&self, address: IpAddr) -> bool {
        let is_denied = self.deny.iter().any(|it| it.hold(address));
        !is_denied && self.allow.as_ref().is_none_or(|it| it.hold(address))
    }

    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        self.deny.is_empty() && self.allow.is_none()
    }

    pub(super) fn in_words(&self) -> Vec<(&'static str, String)> {
        let deny: Vec<_> = self.deny.iter().map(|it| it.in_words()).collect();
        let deny = (!deny.is_empty()).then(|| ("deny", deny.join(", ")));
        let allow = self.allow.iter().map(|it| ("allow", it.in_words()));
        deny.into_iter().chain(allow).collect()
    }

    /// The same with what another table adds.
    pub(super) fn with(
        &self,
        allow: &Given<Vec<Spanned<String>>>,
        deny: &[Spanned<String>],
        lists: &Lists,
        report: &mut Report,
    ) -> Self {
        let mut access = self.clone();
        if let Some(allow) = allow {
            if allow.get_ref().is_empty() {
                let text = "lets nobody in; write networks or names of lists, or leave it out";
                report.at(allow.span(), text);
            }
            let addresses = Addresses::resolve(allow.get_ref(), lists, report);
            access.allow = Some(Arc::new(addresses));
        }
        if !deny.is_empty() {
            let addresses = Addresses::resolve(deny, lists, report);
            access.deny.push(Arc::new(addresses));
        }
        access
    }
}

// === impl Addresses ===

impl Addresses {
    /// Whether an address is among these.
    pub fn hold(&self, address: IpAddr) -> bool {
        self.networks.hold(address) || self.lists.iter().any(|it| it.holds_address(address))
    }

    /// As they were written, with commas between.
    pub fn in_words(&self) -> String {
        self.written.join(", ")
    }

    /// Networks and names of lists as written, without those complained of.
    pub(super) fn resolve(list: &[Spanned<String>], lists: &Lists, report: &mut Report) -> Self {
        let mut addresses = Self::default();
        let mut networks: Vec<IpNet> = Vec::new();
        for text in list {
            match parse(text.get_ref(), lists) {
                Ok(Parsed::Network(network)) => networks.push(network),
                Ok(Parsed::List(list)) => addresses.lists.push(list),
                Err(complaint) => report.at(text.span(), complaint),
            }
            addresses.written.push(text.get_ref().as_str().into());
        }
        addresses.networks = networks.into_iter().collect();
        addresses
    }
}

enum Parsed {
    Network(IpNet),
    List(Arc<List>),
}

/// Addresses have dots or colons, and names of lists have neither.
fn parse(text: &str, lists: &Lists) -> Result<Parsed, String> {
    if text.contains(['.', ':', '/']) {
        return parse_network(text).map(Parsed::Network);
    }
    match lists.list(text) {
        Some(list) if list.kind() == Kind::Networks => Ok(Parsed::List(list)),
        Some(_) => Err(format!(
            "the list `{text}` has no addresses; write `kind = \"networks\"` there"
        )),
        None => Err(unknown("list", text, &lists.list_names())),
    }
}

/// What is said of a name that no list or map has.
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match wording::closest(name, known) {
        Some(meant) => format!("unknown {what} `{name}`; did you mean `{meant}`?"),
        None if known.is_empty() => format!("unknown {what} `{name}`; add [{what}.{name}]"),
        None => {
            let known = wording::list(known, "`", "and");
            format!("unknown {what} `{name}`; known are {known}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Arc<Addresses> {
        let networks = texts.iter().map(|it| parse_network(it).unwrap());
        Arc::new(Addresses {
            networks: networks.collect(),
            ..Addresses::default()
        })
    }

    #[test]
    fn who_is_denied_is_refused_whoever_is_allowed() {
        let access = ClientAccess {
            deny: vec![addresses(&["10.1.0.0/16"]), addresses(&["::1"])],
            allow: Some(addresses(&["10.0.0.0/8", "::/0"])),
        };
        for (address, is_in) in [
            ("10.0.0.1", true),
            ("10.1.0.1", false),
            ("::ffff:10.1.0.1", false),
            ("192.0.2.1", false),
            ("::1", false),
            ("::2", true),
        ] {
            assert_eq!(access.admits(address.parse().unwrap()), is_in, "{address}");
        }
        assert!(ClientAccess::default().admits("192.0.2.1".parse().unwrap()));
        assert!(ClientAccess::default().is_open() && !access.is_open());
    }
}
