//! Values that templates name: what there is, where it is known, and what is said of other names.

use http::HeaderName;

use super::Purpose;
use super::cut::Cut;
use crate::config::{names, wording};
use crate::rules::Read;

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
    /// `cookie["…"]`: the value of a cookie of the request.
    Cookie(Box<str>),
    /// A value of which a part is taken, as `host.after("www.")`.
    Cut(Box<Value>, Cut),
    /// `device`: `desktop`, `mobile`, `tablet` or `bot`, by User-Agent.
    Device,
    /// `ext`: what follows the last dot of the path's last segment, in lower case.
    Ext,
    /// `header["…"]`: the value of a request field, of several lines the first.
    Header(HeaderName),
    /// `hits`: how often the stored response was used.
    Hits,
    /// `host`: the host asked for, in lower case and without a port.
    Host,
    /// `method`.
    Method,
    /// `param["…"]`: the value of a parameter of the query, decoded.
    Param(Box<str>),
    /// `path`: the path asked for, beginning with a slash.
    Path,
    /// `query`: what follows the first `?` of the target.
    Query,
    /// `reason`: what the status says, as `Not Found`.
    Reason,
    /// `request_id`.
    RequestId,
    /// `response.header["…"]`: the value of a response field, of several lines the first.
    ResponseHeader(HeaderName),
    /// `scheme`: `http` or `https`.
    Scheme,
    /// `status`: that of the response.
    Status,
    /// `target`: path and, if there is one, `?` and query.
    Target,
}

/// When a value is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// With the request, and the same for all who get one stored response.
    Url,
    /// With the request.
    Request,
    /// With the response.
    Response,
    /// With the fields of the response, which a page does not know.
    Fields,
    /// When it is known how the client is served.
    Delivery,
}

/// The values without an argument: name, value, when it is known.
const VALUES: [(&str, Value, Known); 17] = [
    ("authority", Value::Authority, Known::Url),
    ("cache", Value::Cache, Known::Delivery),
    ("client", Value::Client, Known::Request),
    ("client.port", Value::ClientPort, Known::Request),
    ("device", Value::Device, Known::Request),
    ("ext", Value::Ext, Known::Url),
    ("hits", Value::Hits, Known::Delivery),
    ("host", Value::Host, Known::Url),
    ("method", Value::Method, Known::Request),
    ("outcome", Value::Cache, Known::Delivery),
    ("path", Value::Path, Known::Url),
    ("query", Value::Query, Known::Url),
    ("reason", Value::Reason, Known::Response),
    ("request_id", Value::RequestId, Known::Request),
    ("scheme", Value::Scheme, Known::Url),
    ("status", Value::Status, Known::Response),
    ("target", Value::Target, Known::Url),
];

/// What other programs call them.
const ELSEWHERE: [(&str, &str); 14] = [
    ("args", "query"),
    ("client_ip", "client"),
    ("client.ip", "client"),
    ("http_host", "authority"),
    ("ip", "client"),
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

/// Those with an argument, and when they are known.
const TABLES: [(&str, Known); 4] = [
    ("header", Known::Request),
    ("cookie", Known::Request),
    ("param", Known::Request),
    ("response.header", Known::Fields),
];

// === impl Purpose ===

impl Purpose {
    fn knows(self, known: Known) -> bool {
        match (self, known) {
            (Self::ResponseField, _) | (_, Known::Url) => true,
            (Self::Page, known) => known != Known::Fields,
            (Self::StoredField | Self::Lifetime, known) => {
                matches!(known, Known::Response | Known::Fields)
            }
            (Self::RequestField | Self::Redirect, known) => known == Known::Request,
        }
    }

    /// What is said of a value that is known elsewhere.
    fn unknown(self, name: &str) -> String {
        match self {
            Self::StoredField | Self::Lifetime => format!(
                "`${{{name}}}` is not the same for all who get the stored response; leave it to `deliver`"
            ),
            Self::Page => format!(
                "`${{{name}}}` is known in fields of responses alone; a page has none of the origin's"
            ),
            _ => format!(
                "`${{{name}}}` is known in fields of responses alone; there is none yet here"
            ),
        }
    }
}

// === impl Value ===

impl Value {
    /// The value of an expression, or what is wrong with it and how to mend it.
    pub(super) fn parse(text: &str, purpose: Purpose) -> Result<Self, String> {
        let (name, cuts) = Cut::divide(text)?;
        let value = Self::named(name, purpose)?;
        let cut = |value, cut| Self::Cut(Box::new(value), cut);
        Ok(cuts.into_iter().fold(value, cut))
    }

    fn named(name: &str, purpose: Purpose) -> Result<Self, String> {
        if let Some((table, argument)) = argument(name) {
            return Self::of_table(table, argument, purpose);
        }
        match VALUES.iter().find(|(known, ..)| *known == name) {
            Some((_, value, known)) if purpose.knows(*known) => Ok(value.clone()),
            Some(_) => Err(purpose.unknown(name)),
            None => Err(unknown(name, purpose)),
        }
    }

    fn of_table(table: &str, argument: &str, purpose: Purpose) -> Result<Self, String> {
        let is_known = TABLES
            .iter()
            .find(|it| it.0 == table)
            .map(|it| purpose.knows(it.1));
        let field =
            || names::field(argument).map_err(|complaint| format!("`{argument}` {complaint}"));
        match (table, is_known) {
            // A lifetime is never the client's to choose, so there is one meaning.
            ("header", _) if purpose == Purpose::Lifetime => Ok(Self::ResponseHeader(field()?)),
            (_, Some(false)) => Err(purpose.unknown(&format!("{table}[\"{argument}\"]"))),
            ("header", _) => Ok(Self::Header(field()?)),
            ("response.header", _) => Ok(Self::ResponseHeader(field()?)),
            ("cookie", _) => Ok(Self::Cookie(argument.into())),
            ("param", _) => Ok(Self::Param(argument.into())),
            _ => Err(unknown(table, purpose)),
        }
    }

    /// The value of which parts are taken, or itself.
    pub fn whole(&self) -> &Self {
        match self {
            Self::Cut(of, _) => of.whole(),
            whole => whole,
        }
    }

    /// What it reads, in the words of conditions.
    pub fn read(&self) -> Read {
        match self.whole() {
            Self::Authority | Self::Host | Self::Path | Self::Ext | Self::Scheme => Read::Url,
            Self::Query | Self::Target => Read::Query,
            Self::Client | Self::ClientPort | Self::RequestId => Read::Client,
            Self::Cookie(name) => Read::Cookie(name.clone()),
            Self::Param(name) => Read::Param(name.clone()),
            Self::Header(name) => Read::header(name),
            Self::Device => Read::Device,
            Self::Method => Read::Method,
            Self::Reason | Self::Status | Self::ResponseHeader(_) => Read::Response,
            // What is cut is whole by now.
            Self::Cache | Self::Hits | Self::Cut(..) => Read::Delivery,
        }
    }
}

/// The table and the name of `header["…"]` and its like.
fn argument(name: &str) -> Option<(&str, &str)> {
    name.strip_suffix("\"]")?.split_once("[\"")
}

fn unknown(name: &str, purpose: Purpose) -> String {
    let known: Vec<&str> = VALUES
        .iter()
        // One word is enough to be shown.
        .filter(|(name, _, known)| *name != "outcome" && purpose.knows(*known))
        .map(|(known, ..)| *known)
        .collect();
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == name);
    let meant = elsewhere
        .map(|(_, ours)| *ours)
        .filter(|it| known.contains(it));
    if let Some(meant) = meant.or_else(|| wording::closest(name, &known)) {
        return format!("unknown value `${{{name}}}`; did you mean `${{{meant}}}`?");
    }
    let tables = TABLES.iter().filter(|it| purpose.knows(it.1));
    let tables: Vec<String> = tables.map(|it| format!("{}[\"x\"]", it.0)).collect();
    if (name.starts_with("header") || name.starts_with("http_")) && purpose.knows(Known::Request) {
        return format!(
            "unknown value `${{{name}}}`; a request field is `${{header[\"x-name\"]}}`"
        );
    }
    let all: Vec<&str> = known
        .into_iter()
        .chain(tables.iter().map(String::as_str))
        .collect();
    let known = wording::list(&all, "`", "and");
    format!("unknown value `${{{name}}}`; known here are {known}; `$${{` stands for `${{`")
}
