//! Hint of a request: what of it decides on its server, beyond the servers themselves.
//!
//! The pipeline makes a hint where [`super::Pool::hint`] wants one, and it travels with the request, as
//! an extension. A pool that takes anyone for anything costs nothing here.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

use super::balance::digest;
use crate::config;
use crate::semantics::cookies;

/// What of a request decides on its server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hint {
    /// The same for requests that belong to one server.
    pub(super) key: u64,
    /// The id, as a candidate, of the server that its client belongs to.
    pub(super) belongs: Option<u64>,
}

/// What a request says, as far as a choice may hang on it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The host asked for, in its normal form.
    pub authority: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The request's fields.
    pub fields: &'a HeaderMap,
    /// The server that the client belongs to; see [`super::Pool::take_sticky`].
    pub belongs: Option<Belongs>,
}

/// The server that a client belongs to, by its cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belongs {
    /// Its id as a candidate.
    pub(super) id: u64,
    /// Whether most of the cookie's time is over.
    pub(super) is_old: bool,
}

/// What requests of one server have in common.
#[derive(Debug)]
pub(super) enum Common {
    Client,
    Url,
    Header(HeaderName),
    Cookie(String),
}

// === impl Hint ===

impl Hint {
    /// The hint that a request gives where this decides on its server.
    pub(super) fn by(common: Option<&Common>, asked: &Asked<'_>) -> Self {
        Self {
            key: common.map_or(0, |common| common.key(asked)),
            belongs: asked.belongs.map(|it| it.id),
        }
    }
}

// === impl Common ===

impl Common {
    /// `None` where the balance does not hash.
    pub(super) fn of(config: &config::Balance) -> Option<Self> {
        let config::Balance::Hash { on, .. } = config else {
            return None;
        };
        Some(match on {
            config::HashOn::Client => Self::Client,
            config::HashOn::Url => Self::Url,
            config::HashOn::Header(name) => Self::Header(name.clone()),
            config::HashOn::Cookie(name) => Self::Cookie(name.clone()),
        })
    }

    /// Who lacks the field or the cookie is known by its address.
    fn key(&self, asked: &Asked<'_>) -> u64 {
        let found = match self {
            Self::Client => None,
            Self::Url => {
                let host = digest(asked.authority.as_bytes());
                return host.rotate_left(1) ^ digest(asked.target.as_bytes());
            }
            Self::Header(name) => asked.fields.get(name).map(|value| value.as_bytes()),
            Self::Cookie(name) => cookies::named(asked.fields, name).next().map(|it| it.1),
        };
        found.map_or_else(|| key_of(asked.client), digest)
    }
}

/// The same for all connections of one client.
pub(super) fn key_of(client: IpAddr) -> u64 {
    match client.to_canonical() {
        IpAddr::V4(address) => digest(&address.octets()),
        IpAddr::V6(address) => digest(&address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::COOKIE;

    use super::*;

    #[test]
    fn a_key_is_made_of_what_is_configured() {
        let fields = HeaderMap::from_iter([
            (COOKIE, HeaderValue::from_static("a=1; sid=x")),
            (
                HeaderName::from_static("x-user"),
                HeaderValue::from_static("x"),
            ),
        ]);
        let (none, asked) = (
            HeaderMap::new(),
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"],
        );
        let key = |common: &Common, client: &str, target, fields| {
            let client = client.parse().unwrap();
            common.key(&Asked {
                client,
                authority: "a",
                target,
                fields,
                belongs: None,
            })
        };
        let [one, same, other] = asked;
        let cookie = Common::Cookie("sid".to_owned());
        let header = Common::Header(HeaderName::from_static("x-user"));
        assert_eq!(
            key(&Common::Client, one, "/", &none),
            key(&Common::Client, same, "/b", &none)
        );
        assert_ne!(
            key(&Common::Client, one, "/", &none),
            key(&Common::Client, other, "/", &none)
        );
        assert_eq!(
            key(&Common::Url, one, "/", &none),
            key(&Common::Url, other, "/", &fields)
        );
        assert_ne!(
            key(&Common::Url, one, "/", &none),
            key(&Common::Url, one, "/b", &none)
        );
        assert_eq!(
            key(&cookie, one, "/", &fields),
            key(&header, other, "/b", &fields)
        );
        assert_eq!(
            key(&cookie, one, "/", &none),
            key(&Common::Client, one, "/", &none)
        );
    }
}
