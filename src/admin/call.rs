//! Request to an endpoint, as its handler gets it: head, parameters of the path, content.

use bytes::Bytes;
use http::header::ACCEPT;
use http::request::Parts;

pub(super) struct Call {
    pub(super) head: Parts,
    /// By the names that the table of routes has for them, without their percent-encoding: `[::1]:80`
    /// must be written `%5B::1%5D:80` (RFC 3986 §3.3).
    pub(super) parameters: Vec<(String, String)>,
    /// Empty where the method has none to take.
    pub(super) body: Bytes,
}

// === impl Call ===

impl Call {
    /// The parameter `name` of the path; empty where its route has none.
    pub(super) fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(it, _)| it == name);
        found.map_or("", |(_, value)| value)
    }

    /// Whether `Accept` names this type. What may be anything is answered by each endpoint's own choice.
    pub(super) fn accepts(&self, media_type: &str) -> bool {
        let fields = self.head.headers.get_all(ACCEPT).iter();
        let mut ranges = fields
            .filter_map(|it| it.to_str().ok())
            .flat_map(|it| it.split(','))
            .map(|range| range.split(';').next().unwrap_or_default().trim());
        ranges.any(|it| it.eq_ignore_ascii_case(media_type))
    }

    pub(super) fn query(&self) -> &str {
        self.head.uri.query().unwrap_or_default()
    }
}
