//! Names and addresses that a certificate is wanted for, and those for which none is to be had.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::host;

/// Names that no public CA vouches for (RFC 6761, RFC 6762, RFC 7686, RFC 8375, and what ICANN has
/// set aside).
const PRIVATE_SUFFIXES: [&str; 8] = [
    "localhost",
    "local",
    "internal",
    "test",
    "invalid",
    "onion",
    "home.arpa",
    "lan",
];

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AcmeName {
    /// A host, in lower case.
    Dns(Arc<str>),
    /// An address (RFC 8738).
    Ip(IpAddr),
}

// === impl AcmeName ===

impl AcmeName {
    /// A host or an address, or why no certificate is to be had for it.
    ///
    /// # Errors
    /// What is wrong with it and how to mend it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with("*.") {
            return Err(
                "is a wildcard, for which CAs want a record in DNS (DNS-01), and Copal writes none; \
                 name each host, or bring the certificate in [[certificate]]",
            );
        }
        let bare = text.trim_matches(['[', ']']);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Ip(address));
        }
        let host = host::parse(text)?;
        match host.contains('_') {
            true => Err("has an underscore, which no certificate may have; choose another name"),
            false => Ok(Self::Dns(host.into())),
        }
    }

    /// Why no public CA gives a certificate for it, if none does.
    pub fn not_public(&self) -> Option<&'static str> {
        match self {
            Self::Ip(address) if !is_global(*address) => Some(
                "is an address of your own network, for which no public CA gives a certificate; \
                 name the public one, or ask a CA of your own (`directory` and `roots`)",
            ),
            Self::Ip(_) => None,
            Self::Dns(name) => {
                let is_private = |it: &&str| {
                    name.strip_suffix(*it)
                        .is_some_and(|it| it.is_empty() || it.ends_with('.'))
                };
                let is_known = name.contains('.') && !PRIVATE_SUFFIXES.iter().any(is_private);
                (!is_known).then_some(
                    "is no name in public DNS, and no public CA gives a certificate for it; name a \
                     registered domain, or ask a CA of your own (`directory` and `roots`)",
                )
            }
        }
    }
}

impl fmt::Display for AcmeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => write!(f, "{address}"),
        }
    }
}

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => {
            let shared = it.octets()[0] == 100 && it.octets()[1] & 0xC0 == 64;
            !(it.is_private() || it.is_loopback() || it.is_link_local() || shared)
                && it != Ipv4Addr::UNSPECIFIED
        }
        IpAddr::V6(it) => {
            !(it.is_loopback() || it.is_unique_local() || it.is_unicast_link_local())
                && it != Ipv6Addr::UNSPECIFIED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_be_had() {
        for (text, name, is_public) in [
            ("Shop.example", Some("shop.example"), true),
            ("8.8.8.8", Some("8.8.8.8"), true),
            ("[2001:4860::1]", Some("2001:4860::1"), true),
            ("2001:4860::1", Some("2001:4860::1"), true),
            ("10.0.0.1", Some("10.0.0.1"), false),
            ("100.64.0.1", Some("100.64.0.1"), false),
            ("::1", Some("::1"), false),
            ("localhost", Some("localhost"), false),
            ("shop", Some("shop"), false),
            ("printer.local", Some("printer.local"), false),
            ("glocal.example", Some("glocal.example"), true),
            ("a.home.arpa", Some("a.home.arpa"), false),
            ("*.shop.example", None, false),
            ("my_shop.example", None, false),
            ("https://shop.example", None, false),
            ("shop.example:443", None, false),
            ("", None, false),
        ] {
            let parsed = AcmeName::parse(text);
            assert_eq!(
                parsed.as_ref().ok().map(ToString::to_string).as_deref(),
                name,
                "{text}"
            );
            let public = parsed.is_ok_and(|it| it.not_public().is_none());
            assert_eq!(public, is_public, "{text}");
        }
    }
}
