//! `accept_proxy` and `proxy_from` of a listener: whose word is taken on who a client is.
//!
//! Not the header itself, which is read by `server/proxy_protocol.rs`.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use toml::Spanned;

use super::networks;
use super::report::{Given, Report};

const WORDS: &[&str] = &["off", "require", "optional"];

/// Which connections begin with a header of the PROXY protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptProxy {
    /// Whether every connection must have one; else those of `from` may.
    pub is_required: bool,
    /// Whose header is believed; `None` for everybody's.
    from: Option<Vec<IpNet>>,
}

/// `accept_proxy` as written; `true` and `false` are short for the first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawAcceptProxy {
    Require,
    Off,
    Optional,
}

// === impl AcceptProxy ===

impl AcceptProxy {
    /// Whether a header of this peer is believed.
    pub fn believes(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        let from = self.from.as_ref();
        from.is_none_or(|it| it.iter().any(|it| it.contains(&peer)))
    }
}

/// What both keys of a listener mean together; `None` where no connection begins with a header.
pub(super) fn resolve(
    accept: &Given<RawAcceptProxy>,
    from: &Given<Vec<Spanned<String>>>,
    report: &mut Report,
) -> Option<AcceptProxy> {
    let word = accept
        .as_ref()
        .map_or(RawAcceptProxy::Off, |it| *it.get_ref());
    let is_required = match word {
        RawAcceptProxy::Off => {
            if let Some(from) = from {
                let text = "has no effect while `accept_proxy` is \"off\"; write \"require\" or \
                            \"optional\" there, or leave this out";
                report.at(from.span(), text);
            }
            return None;
        }
        RawAcceptProxy::Require => true,
        RawAcceptProxy::Optional => false,
    };
    match (from, accept) {
        (Some(from), _) if from.get_ref().is_empty() => {
            let text = "is empty, so that no header would be believed; name networks, as \
                        [\"10.0.0.0/8\"]";
            report.at(from.span(), text);
        }
        // "The receiver […] must not try to guess […]": else any client could claim any address.
        (None, Some(accept)) if !is_required => {
            let text = "\"optional\" needs the networks of those who may send a header; add \
                        `proxy_from = [\"10.0.0.0/8\"]`";
            report.at(accept.span(), text);
        }
        _ => {}
    }
    let from = from.as_ref();
    Some(AcceptProxy {
        is_required,
        from: from.map(|it| networks::resolve(it.get_ref(), report)),
    })
}

// === impl RawAcceptProxy ===

impl<'de> Deserialize<'de> for RawAcceptProxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = RawAcceptProxy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or text in double quotes")
            }

            fn visit_bool<E: de::Error>(self, is: bool) -> Result<RawAcceptProxy, E> {
                Ok(match is {
                    true => RawAcceptProxy::Require,
                    false => RawAcceptProxy::Off,
                })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawAcceptProxy, E> {
                match text {
                    "off" => Ok(RawAcceptProxy::Off),
                    "require" => Ok(RawAcceptProxy::Require),
                    "optional" => Ok(RawAcceptProxy::Optional),
                    _ => Err(E::unknown_variant(text, WORDS)),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_believed_of_networks_that_are_named() {
        let of = |from: Option<&[&str]>| AcceptProxy {
            is_required: true,
            from: from.map(|it| it.iter().map(|it| it.parse().unwrap()).collect()),
        };
        for (from, peer, expected) in [
            (None, "192.0.2.1", true),
            (Some(&["10.0.0.0/8", "::1/128"][..]), "10.1.2.3", true),
            (Some(&["10.0.0.0/8"][..]), "::ffff:10.1.2.3", true),
            (Some(&["10.0.0.0/8", "::1/128"][..]), "::1", true),
            (Some(&["10.0.0.0/8"][..]), "11.0.0.1", false),
            (Some(&[][..]), "10.0.0.1", false),
        ] {
            let peer = peer.parse().unwrap();
            assert_eq!(of(from).believes(peer), expected, "{from:?} {peer}");
        }
    }
}
