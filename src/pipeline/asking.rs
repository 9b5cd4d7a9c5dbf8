//! Question that a request puts: what decisions and values hang on, whether it has been made or is only
//! imagined.

use std::net::IpAddr;

use http::HeaderMap;

use super::route::{Destination, without_port};
use super::site::Site;
use crate::rules::{Facts, Request};
use crate::semantics::key::Scheme;

/// What is asked, and by whom.
pub(in crate::pipeline) struct Asking<'a> {
    pub(in crate::pipeline) method: &'a str,
    pub(in crate::pipeline) scheme: Scheme,
    pub(in crate::pipeline) authority: &'a str,
    pub(in crate::pipeline) target: &'a str,
    pub(in crate::pipeline) fields: &'a HeaderMap,
    pub(in crate::pipeline) client: IpAddr,
}

// === impl Asking ===

impl Asking<'_> {
    /// Hands the facts of this, where it leads, to `use_them`.
    pub(in crate::pipeline) fn with_facts<T>(
        &self,
        site: &Site,
        destination: Option<&Destination>,
        use_them: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let is_healthy = || match destination {
            Some(Destination::Origin(route)) => !site.routes[*route].pool.is_sick(),
            Some(Destination::Own(_)) | None => true,
        };
        use_them(&Facts::of(Request {
            method: self.method,
            scheme: self.scheme.as_str(),
            host: without_port(self.authority),
            target: self.target,
            fields: self.fields,
            client: self.client,
            is_healthy: &is_healthy,
        }))
    }
}
