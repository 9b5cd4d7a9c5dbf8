//! Request fields that some programs behind us take for others: never forwarded, unless they are allowed.
//!
//! CGI and its heirs name their variables after fields with an underscore for each hyphen (RFC 3875
//! §4.1.18), so to them `X_Forwarded_For` is `X-Forwarded-For`, and `Proxy` is the variable HTTP_PROXY,
//! by which clients of HTTP find their proxy (httpoxy, CVE-2016-5385).

use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

use super::headers::{STEERING, is_hop_by_hop};

/// Told by a cache of what it can do for its origin, so by no client (ESI architecture, 2001).
const SURROGATE_CAPABILITY: HeaderName = HeaderName::from_static("surrogate-capability");
const PROXY: HeaderName = HeaderName::from_static("proxy");

/// Fields with a hyphen that frame a message, tell whose it is, or are set, changed or taken off by us.
const OURS: [&str; 16] = [
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-length",
    "content-type",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "user-agent",
    "x-real-ip",
    "client-cert",
    "client-cert-chain",
    "surrogate-capability",
];

/// Removes them, but those that are `allowed`; `is_ours` tells which other fields we set or take off.
pub fn strip(
    fields: &mut HeaderMap,
    allowed: &[HeaderName],
    is_ours: impl Fn(&HeaderName) -> bool,
) {
    let found: SmallVec<[HeaderName; 2]> = fields
        .keys()
        .filter(|name| is_mimic(name, &is_ours) && !allowed.contains(name))
        .cloned()
        .collect();
    for name in found {
        fields.remove(name);
    }
}

/// Whether a field is dropped wherever it is sent to, so that there is something to allow.
pub fn is_always_stripped(name: &HeaderName) -> bool {
    is_mimic(name, &|_| false)
}

fn is_mimic(name: &HeaderName, is_ours: &impl Fn(&HeaderName) -> bool) -> bool {
    if *name == PROXY || *name == SURROGATE_CAPABILITY {
        return true;
    }
    let Some(meant) = meant(name) else {
        return false;
    };
    OURS.contains(&meant.as_str())
        || meant.as_str().starts_with("x-forwarded-")
        || STEERING.contains(&meant)
        || is_hop_by_hop(&meant)
        || is_ours(&meant)
}

/// The field that a name with underscores is taken for.
fn meant(name: &HeaderName) -> Option<HeaderName> {
    let text = name.as_str();
    let has_any = memchr::memchr(b'_', text.as_bytes()).is_some();
    has_any
        .then(|| HeaderName::try_from(text.replace('_', "-")).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::super::testing::headers;
    use super::*;

    #[test]
    fn mimics_are_told_from_fields_of_the_application() {
        for (name, is_one) in [
            ("content_length", true),
            ("Transfer_Encoding", true),
            ("transfer-encoding", false),
            ("x_forwarded_for", true),
            ("x-forwarded_host", true),
            ("x_real-ip", true),
            ("client_cert", true),
            ("client_cert_chain", true),
            ("x_original_url", true),
            ("x_http_method_override", true),
            ("proxy_authorization", true),
            ("keep_alive", true),
            ("if_none_match", true),
            ("proxy", true),
            ("surrogate-capability", true),
            ("surrogate_capability", true),
            ("surrogate-control", false),
            ("api_key", false),
            ("x_tenant", false),
            ("_", false),
            ("cookie", false),
        ] {
            let name = HeaderName::try_from(name).expect("a name");
            assert_eq!(is_always_stripped(&name), is_one, "{name}");
        }
    }

    #[test]
    fn what_is_allowed_or_unknown_stays() {
        let tenant = HeaderName::from_static("x-tenant");
        let mut fields = headers(&[
            ("proxy", "a"),
            ("x_tenant", "b"),
            ("x_user", "c"),
            ("content_length", "d"),
        ]);
        let allowed = [HeaderName::from_static("content_length")];
        strip(&mut fields, &allowed, |name| *name == tenant);
        assert_eq!(fields, headers(&[("x_user", "c"), ("content_length", "d")]));
    }
}
