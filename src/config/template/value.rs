//! Values that templates name: what there is, where it is known, and what is said of other names.

use http::HeaderName;

use super::Purpose;
use crate::config::{names, wording};

/// What can be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `authority`: host, and port unless it is the scheme's own.
    Authority,
    /// `cache`: how the request was served, in the words of the access log.
    Cache,
    /// `client`: the address of the client.
    Client,
    /// `client.port`: its port, where it is known.
    ClientPort,
    /// `header["…"]`: the value of a request field, of several lines the first.
    Header(HeaderName),
    /// `hits`: how often the stored response was used.
    Hits,
    /// `host`: the host asked for, in lower case and without a port.
    Host,
    /// `method`.
    Method,
    /// `path`: the path asked for, beginning with a slash.
    Path,
    /// `query`: what follows the first `?` of the target.
    Query,
    /// `reason`: what the status says, as `Not Found`.
    Reason,
    /// `request_id`.
    RequestId,
    /// `scheme`: `http` or `https`.
    Scheme,
    /// `status`: that of the response.
    Status,
    /// `target`: path and, if there is one, `?` and query.
    Target,
}

/// The values without an argument: name, value, whether it is only known of a response.
const VALUES: [(&str, Value, bool); 14] = [
    ("authority", Value::Authority, false),
    ("cache", Value::Cache, true),
    ("client", Value::Client, false),
    ("client.port", Value::ClientPort, false),
    ("hits", Value::Hits, true),
    ("host", Value::Host, false),
    ("method", Value::Method, false),
    ("path", Value::Path, false),
    ("query", Value::Query, false),
    ("reason", Value::Reason, true),
    ("request_id", Value::RequestId, false),
    ("scheme", Value::Scheme, false),
    ("status", Value::Status, true),
    ("target", Value::Target, false),
];

/// What other programs call them.
const ELSEWHERE: [(&str, &str); 15] = [
    ("args", "query"),
    ("client_ip", "client"),
    ("client.ip", "client"),
    ("http_host", "authority"),
    ("ip", "client"),
    ("outcome", "cache"),
    ("query_string", "query"),
    ("remote_addr", "client"),
    ("remote_ip", "client"),
    ("remote_port", "client.port"),
    ("request_method", "method"),
    ("request_uri", "target"),
    ("upstream_cache_status", "cache"),
    ("uri", "path"),
    ("url", "target"),
];

const HEADER: &str = r#"header["x-name"]"#;

// === impl Value ===

impl Value {
    /// The value of a name, or what is wrong with it and how to mend it.
    pub(super) fn parse(name: &str, purpose: Purpose) -> Result<Self, String> {
        if let Some(field) = argument(name) {
            return Ok(Self::Header(
                names::field(field).map_err(|complaint| format!("`{field}` {complaint}"))?,
            ));
        }
        let of_response = matches!(purpose, Purpose::ResponseField | Purpose::Page);
        match VALUES.iter().find(|(known, ..)| *known == name) {
            Some((_, value, needs_response)) if of_response || !needs_response => Ok(value.clone()),
            Some(_) => Err(format!(
                "`${{{name}}}` is known in fields of responses alone; there is none yet here"
            )),
            None => Err(unknown(name, of_response)),
        }
    }
}

/// The field of `header["…"]`.
fn argument(name: &str) -> Option<&str> {
    name.strip_prefix("header[\"")?.strip_suffix("\"]")
}

fn unknown(name: &str, of_response: bool) -> String {
    let mut known: Vec<&str> = VALUES
        .iter()
        .filter(|(.., needs_response)| of_response || !needs_response)
        .map(|(known, ..)| *known)
        .collect();
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == name);
    let meant = elsewhere
        .map(|(_, ours)| *ours)
        .filter(|it| known.contains(it));
    if let Some(meant) = meant.or_else(|| wording::closest(name, &known)) {
        return format!("unknown value `${{{name}}}`; did you mean `${{{meant}}}`?");
    }
    if name.starts_with("header") || name.starts_with("http_") {
        return format!("unknown value `${{{name}}}`; a request field is `${{{HEADER}}}`");
    }
    known.push(HEADER);
    let known = wording::list(&known, "`", "and");
    format!("unknown value `${{{name}}}`; known here are {known}; `$${{` stands for `${{`")
}
