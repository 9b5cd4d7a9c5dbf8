//! Fields of a condition: the closed list of what can be read, and what is said of other names.

use super::facts::Place;
use super::program::{Number, Test, Text};
use super::reads::Read;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Field {
    Text(Text),
    Number(Number, super::lexer::Unit),
    Test(Test),
    Address,
    /// What has names of its own, as `header["x"]`.
    Place(Place),
}

/// All names but those of lists.
pub(super) const NAMES: [&str; 25] = [
    "method",
    "scheme",
    "host",
    "path",
    "query",
    "target",
    "ext",
    "ip",
    "header",
    "cookie",
    "param",
    "device",
    "bot",
    "bucket",
    "origin.healthy",
    "response.header",
    "status",
    "type",
    "size",
    "ttl",
    "age",
    "outcome",
    "hits",
    "list",
    "map",
];

/// What other programs call them.
const ELSEWHERE: [(&str, &str); 38] = [
    ("args", "param"),
    ("beresp.backend", "origin.healthy"),
    ("beresp.http", "response.header"),
    ("beresp.status", "status"),
    ("beresp.ttl", "ttl"),
    ("bereq.http", "header"),
    ("bereq.url", "target"),
    ("cache", "outcome"),
    ("client", "ip"),
    ("client.ip", "ip"),
    ("client_ip", "ip"),
    ("content_length", "size"),
    ("content_type", "type"),
    ("cookies", "cookie"),
    ("extension", "ext"),
    ("headers", "header"),
    ("http_cookie", "cookie"),
    ("http_host", "host"),
    ("http_user_agent", "header[\"user-agent\"]"),
    ("obj.hits", "hits"),
    ("params", "param"),
    ("query_string", "query"),
    ("remote_addr", "ip"),
    ("remote_ip", "ip"),
    ("req.http", "header"),
    ("req.method", "method"),
    ("req.request", "method"),
    ("req.url", "target"),
    ("request.header", "header"),
    ("request_method", "method"),
    ("request_uri", "target"),
    ("resp.http", "response.header"),
    ("resp.status", "status"),
    ("response.status", "status"),
    ("uri", "path"),
    ("url", "target"),
    ("url.path", "path"),
    ("user_agent", "header[\"user-agent\"]"),
];

/// The field of a name, and what it reads.
pub(super) fn of(name: &str) -> Option<(Field, Option<Read>)> {
    use super::lexer::Unit;
    let (field, read) = match name {
        "method" => (Field::Text(Text::Method), Read::Method),
        "scheme" => (Field::Text(Text::Scheme), Read::Url),
        "host" => (Field::Text(Text::Host), Read::Url),
        "path" => (Field::Text(Text::Path), Read::Url),
        "ext" => (Field::Text(Text::Extension), Read::Url),
        "query" => (Field::Text(Text::Query), Read::Query),
        "target" => (Field::Text(Text::Target), Read::Query),
        "ip" => (Field::Address, Read::Client),
        "device" => (Field::Text(Text::Device), Read::Device),
        "bot" => (Field::Test(Test::IsBot), Read::Device),
        "origin.healthy" => (Field::Test(Test::IsHealthy), Read::Health),
        "status" => (Field::Number(Number::Status, Unit::Plain), Read::Response),
        "type" => (Field::Text(Text::Type), Read::Response),
        "size" => (Field::Number(Number::Length, Unit::Bytes), Read::Response),
        "ttl" => (
            Field::Number(Number::Lifetime, Unit::Seconds),
            Read::Response,
        ),
        "age" => (Field::Number(Number::Age, Unit::Seconds), Read::Response),
        "outcome" => (Field::Text(Text::Outcome), Read::Delivery),
        "hits" => (Field::Number(Number::Hits, Unit::Plain), Read::Delivery),
        // What of them is read is known by the name that is asked for.
        "header" => return Some((Field::Place(Place::Header), None)),
        "cookie" => return Some((Field::Place(Place::Cookie), None)),
        "param" => return Some((Field::Place(Place::Param), None)),
        "response.header" => return Some((Field::Place(Place::ResponseHeader), None)),
        _ => return None,
    };
    Some((field, Some(read)))
}

/// What is said of a name that is none.
pub(super) fn unknown(name: &str) -> String {
    let elsewhere = ELSEWHERE.iter().find(|it| it.0 == name);
    let meant = elsewhere.map(|it| it.1).or_else(|| closest(name, &NAMES));
    match (meant, name) {
        (Some(meant), _) => format!("unknown field `{name}`; did you mean `{meant}`?"),
        (None, "origin") => "`origin` alone is no field; write `origin.healthy`".to_owned(),
        (None, "response") => {
            "`response` alone is no field; write `response.header[\"x\"]`, `status` or `type`"
                .to_owned()
        }
        (None, _) => format!("unknown field `{name}`; known are {}", NAMES.join(", ")),
    }
}

/// The known name that `typed` is most like, if it is much like any.
pub(super) fn closest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    let edits = |name: &'a str| (strsim::damerau_levenshtein(typed, name), name);
    let (edits, name) = known.iter().copied().map(edits).min()?;
    (edits <= 1 + name.len() / 4 && edits < name.len()).then_some(name)
}
