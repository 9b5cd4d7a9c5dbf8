//! PROXY protocol towards servers: the header that tells whose a connection is, before anything
//! else.
//!
//! A connection that was introduced is its client's alone: `peer/` finds it for no other.

use crate::config::ProxyVersion;
use crate::semantics::proxy_protocol::{Endpoints, OURS_V1, OURS_V2};

/// The header of a new connection for this client, or for ourselves; empty where there is none.
pub(in crate::origin) fn header(
    version: Option<ProxyVersion>,
    client: Option<Endpoints>,
) -> Vec<u8> {
    match (version, client) {
        (None, _) => Vec::new(),
        (Some(ProxyVersion::V1), Some(client)) => client.to_v1(),
        (Some(ProxyVersion::V2), Some(client)) => client.to_v2(),
        (Some(ProxyVersion::V1), None) => OURS_V1.to_vec(),
        (Some(ProxyVersion::V2), None) => OURS_V2.to_vec(),
    }
}
