//! The client of a request: its address and scheme, as its connection has them or as trusted proxies
//! forward them, and what the origin is told of it.
//!
//! The words themselves are `semantics::forwarded`'s. What is believed here is whose address the
//! log, limits and hashes see, and what scheme and host the key holds: nothing that shapes a stored
//! answer is told to an origin without being in the key.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use smallvec::SmallVec;

use crate::config::{self, ClientAuth};
use crate::semantics::forwarded::{
    self, Dialect, FORWARDED, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO,
};
use crate::semantics::key::Scheme;
use crate::semantics::proxy_facts::ProxyFacts;
use crate::telemetry::TlsFacts;

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client's address. Within the pipeline it may be what a trusted proxy has told, and then
    /// its port is 0.
    pub address: SocketAddr,
    /// The address it connected to.
    pub local: SocketAddr,
    /// What it spoke, or is told to have spoken.
    pub scheme: Scheme,
    /// How it shook hands; `None` where it speaks in clear.
    pub session: Option<Arc<Session>>,
    /// What a PROXY header has told beside addresses.
    pub proxy: Option<Arc<ProxyFacts>>,
}

/// What the TLS of a connection is.
#[derive(Debug)]
pub struct Session {
    /// What was agreed on.
    pub facts: Arc<TlsFacts>,
    /// Whether the client was asked for a certificate, by the name that it asked for.
    pub client_auth: Arc<ClientAuth>,
    /// The same for names whose site says nothing of it.
    pub listener_auth: Arc<ClientAuth>,
    /// Whether HTTP/2 was agreed on (RFC 9113 §3.2).
    pub is_http2: bool,
    /// What it has shown, as RFC 9440 §2 has it told to origins.
    pub certificate: Option<HeaderValue>,
}

/// Who is believed, and in which words we speak.
#[derive(Debug)]
pub(super) struct TrustedProxies {
    trusted: Box<[IpNet]>,
    dialect: Dialect,
}

/// What a proxy that is believed has told of a request.
#[derive(Debug)]
pub(super) struct ForwardedBy {
    /// The address of that proxy.
    peer: IpAddr,
    /// The host that the client asked for, if the proxy says it.
    pub(super) host: Option<String>,
    /// The field that was believed.
    by: HeaderName,
}

// === impl TrustedProxies ===

impl TrustedProxies {
    pub(super) fn new(config: &config::Server) -> Self {
        Self {
            trusted: config.trusted_proxies.as_slice().into(),
            dialect: config.forwarded,
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|it| it.contains(&address))
    }

    /// The client as it stands after what its connection's other end says, if that is believed.
    pub(super) fn of(&self, client: Client, headers: &HeaderMap) -> (Client, Option<ForwardedBy>) {
        let peer = client.address.ip();
        if !self.trusts(peer) {
            return (client, None);
        }
        let trusts = |address| self.trusts(address);
        let told = forwarded::told(headers, self.dialect, peer, trusts);
        let address = match told.client == peer {
            true => client.address,
            // Nobody says by which port the client came to the first proxy.
            false => SocketAddr::new(told.client, 0),
        };
        let scheme = told.scheme.unwrap_or(client.scheme);
        let client = Client {
            address,
            scheme,
            ..client
        };
        let forwarded_by = ForwardedBy {
            peer,
            host: told.host,
            by: told.by,
        };
        (client, Some(forwarded_by))
    }

    /// Tells the origin whose a request is, in fields from which all claims have been taken; `asked`
    /// are the request's own.
    pub(super) fn tell(
        &self,
        fields: &mut HeaderMap,
        client: &Client,
        forwarded_by: Option<&ForwardedBy>,
        asked: &HeaderMap,
        authority: &str,
    ) {
        let hop = LastHop::of(client, forwarded_by, asked);
        if self.dialect.has_x_forwarded() {
            let own = hop.peer.to_string();
            hop.insert(fields, X_FORWARDED_FOR, hop.client().as_deref(), &own);
            if let Ok(host) = HeaderValue::from_str(authority) {
                fields.insert(X_FORWARDED_HOST, host);
            }
            let proto = HeaderValue::from_static(client.scheme.as_str());
            fields.insert(X_FORWARDED_PROTO, proto);
        }
        if self.dialect.has_forwarded() {
            let own = forwarded::element(hop.peer, Some(authority), Some(client.scheme));
            let before = hop.client.map(|it| forwarded::element(it, None, None));
            hop.insert(fields, FORWARDED, before.as_deref(), &own);
        }
    }
}

/// The last step of a request's way to us.
struct LastHop<'a> {
    /// Who sent it to us.
    peer: IpAddr,
    /// For whom, if that is somebody else.
    client: Option<IpAddr>,
    /// All fields of its request, and which of them is believed, if it is.
    said: Option<(&'a HeaderMap, &'a HeaderName)>,
}

// === impl LastHop ===

impl<'a> LastHop<'a> {
    fn of(client: &Client, forwarded_by: Option<&'a ForwardedBy>, asked: &'a HeaderMap) -> Self {
        let client = client.address.ip().to_canonical();
        match forwarded_by {
            Some(ForwardedBy { peer, by, .. }) => {
                let peer = peer.to_canonical();
                Self {
                    peer,
                    client: Some(client).filter(|it| *it != peer),
                    said: Some((asked, by)),
                }
            }
            None => Self {
                peer: client,
                client: None,
                said: None,
            },
        }
    }

    fn client(&self) -> Option<String> {
        self.client.map(|it| it.to_string())
    }

    /// Adds `own` to the list that was believed, or to the one address that was told in other words.
    fn insert(&self, fields: &mut HeaderMap, name: HeaderName, client: Option<&str>, own: &str) {
        let said = self.said.filter(|(said, by)| {
            let is_readable = name != FORWARDED || forwarded::is_readable(said);
            **by == name && is_readable
        });
        let lines = said.into_iter().flat_map(|(said, by)| said.get_all(by));
        let mut list: SmallVec<[&[u8]; 4]> = lines.map(HeaderValue::as_bytes).collect();
        if list.is_empty() {
            list.extend(client.map(str::as_bytes));
        }
        list.push(own.as_bytes());
        // Pieces of field values, joined, are a field value.
        let value = match list[..] {
            [only] => HeaderValue::from_bytes(only),
            _ => HeaderValue::from_maybe_shared(list.join(&b", "[..])),
        };
        if let Ok(value) = value {
            fields.insert(name, value);
        }
    }
}
