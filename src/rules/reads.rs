//! Facts that a condition reads, and when they are known: what decides on the phase of a rule, and on
//! whether a cache key tells apart what it tells apart.

use std::fmt;

use http::HeaderName;

/// When a fact is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// As soon as there is a request.
    #[default]
    Request,
    /// When the origin has answered.
    Response,
    /// When it is known how the client is served.
    Delivery,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Read {
    /// The method.
    Method,
    /// The scheme, the host or the path, which every key has.
    Url,
    /// The query as a whole.
    Query,
    /// A parameter of the query, by its name or by a glob of names.
    Param(Box<str>),
    /// A field of the request.
    Header(Box<str>),
    /// A cookie, by its name or by a glob of names.
    Cookie(Box<str>),
    /// The client's address.
    Client,
    /// The kind of device, by User-Agent.
    Device,
    /// The share of clients that this one is in.
    Bucket,
    /// Whether the origin can be asked.
    Health,
    /// Something of the response.
    Response,
    /// How the client is served.
    Delivery,
}

// === impl Read ===

impl Read {
    /// A field of the request.
    pub fn header(name: &HeaderName) -> Self {
        Self::Header(name.as_str().into())
    }

    /// When it is known.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Response => Phase::Response,
            Self::Delivery => Phase::Delivery,
            _ => Phase::Request,
        }
    }
}

/// As a condition has it.
impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("method"),
            Self::Url => f.write_str("path"),
            Self::Query => f.write_str("query"),
            Self::Param(name) => write!(f, "param[\"{name}\"]"),
            Self::Header(name) => write!(f, "header[\"{name}\"]"),
            Self::Cookie(name) => write!(f, "cookie[\"{name}\"]"),
            Self::Client => f.write_str("ip"),
            Self::Device => f.write_str("device"),
            Self::Bucket => f.write_str("bucket"),
            Self::Health => f.write_str("origin.healthy"),
            Self::Response => f.write_str("the response"),
            Self::Delivery => f.write_str("outcome"),
        }
    }
}
