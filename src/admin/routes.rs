//! Table of the admin endpoints. Requests are served by it and refused by it, and the index page
//! lists it: an endpoint is one row here and a function elsewhere.

use http::header::{ALLOW, HeaderValue};
use http::{Method, StatusCode};
use matchit::Router;
use percent_encoding::percent_decode_str;

use super::answer::{Answer, answer, text};
use super::call::Call;
use super::{Admin, NAME, api, dashboard, explain, metrics, origins, purge, requests};
use crate::config::Scope;

/// What can be asked, one row a path.
static TABLE: [(&str, &[Endpoint]); 15] = [
    ("/", &[get(index)]),
    ("/healthz", &[get(alive).open()]),
    ("/readyz", &[get(ready).open()]),
    ("/dashboard", &[get(dashboard::page).open()]),
    ("/dashboard/{file}", &[get(dashboard::file).open()]),
    ("/metrics", &[get(metrics::scrape)]),
    (
        "/api/v1/purge",
        &[post(purge::answer).with(
            "  {\"url\":…}, {\"prefix\":…}, {\"host\":…}, {\"tags\":[…]}, {\"pattern\":…} or {\"all\":true}, \
             with \"soft\":true if wished",
        ).within(Scope::Purge)],
    ),
    ("/api/v1/openapi.json", &[get(openapi)]),
    ("/api/v1/reload", &[post(api::reload).within(Scope::Operate)]),
    ("/api/v1/config", &[get(api::config)]),
    ("/api/v1/status", &[get(api::status)]),
    (
        "/api/v1/explain",
        &[get(explain::answer)
            .with("?url=http%3A%2F%2Fhost%2Fpath, with &header=Name%3A%20value if wished")],
    ),
    ("/api/v1/requests", &[get(requests::list).with("?after=NUMBER if wished")]),
    ("/api/v1/origins", &[get(origins::list)]),
    // The path of a Unix socket has slashes.
    (
        "/api/v1/origins/{origin}/servers/{*server}",
        &[put(origins::adjust)
            .within(Scope::Operate)
            .with("  {\"state\":\"ready\", \"drain\" or \"maintenance\", \"weight\":0 to 256}")],
    ),
];

/// One method of one path.
pub(super) struct Endpoint {
    method: Method,
    pub(super) handler: Handler,
    /// What a token must open; `None` where none is wanted: probes of an orchestrator have none.
    pub(super) scope: Option<Scope>,
    /// What follows the path, for a reader of the index page.
    usage: &'static str,
}

/// It runs on a thread that may wait.
pub(super) type Handler = fn(&Admin, &Call) -> Answer;

/// The table, ready to be searched.
pub(super) struct Routes(Router<&'static [Endpoint]>);

/// An endpoint and the parameters of its path; or the answer to a request that has none.
pub(super) type Found = Result<(&'static Endpoint, Vec<(String, String)>), Box<Answer>>;

// === impl Endpoint ===

impl Endpoint {
    const fn open(mut self) -> Self {
        self.scope = None;
        self
    }

    const fn within(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Whether a call is to change something.
    pub(super) fn changes(&self) -> bool {
        self.scope.is_some_and(|scope| scope != Scope::Read)
    }

    const fn with(mut self, usage: &'static str) -> Self {
        self.usage = usage;
        self
    }

    /// A GET answers HEAD too: hyper leaves out the content.
    fn answers(&self, method: &Method) -> bool {
        self.method == method || (self.method == Method::GET && method == Method::HEAD)
    }
}

const fn get(handler: Handler) -> Endpoint {
    on(Method::GET, handler)
}

const fn post(handler: Handler) -> Endpoint {
    on(Method::POST, handler)
}

const fn put(handler: Handler) -> Endpoint {
    on(Method::PUT, handler)
}

const fn on(method: Method, handler: Handler) -> Endpoint {
    Endpoint {
        method,
        handler,
        scope: Some(Scope::Read),
        usage: "",
    }
}

// === impl Routes ===

impl Routes {
    pub(super) fn new() -> Self {
        let mut router = Router::new();
        for (path, endpoints) in &TABLE {
            // The table is constant, and a test builds it.
            router.insert(*path, *endpoints).expect("a path of its own");
        }
        Self(router)
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Found {
        let Ok(found) = self.0.at(path) else {
            return Err(text(StatusCode::NOT_FOUND, &listing()).into());
        };
        let endpoints = *found.value;
        match endpoints.iter().find(|it| it.answers(method)) {
            Some(endpoint) => {
                let decoded = |(name, value): (&str, &str)| {
                    let value = percent_decode_str(value).decode_utf8_lossy();
                    (name.to_owned(), value.into_owned())
                };
                Ok((endpoint, found.params.iter().map(decoded).collect()))
            }
            None if method == Method::OPTIONS => {
                Err(with_allow(text(StatusCode::OK, ""), endpoints).into())
            }
            None => {
                let refused = text(StatusCode::METHOD_NOT_ALLOWED, "wrong method\n");
                Err(with_allow(refused, endpoints).into())
            }
        }
    }
}

/// RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field in a 405 response
/// containing a list of the target resource's currently supported methods."
fn with_allow(mut answer: Answer, endpoints: &[Endpoint]) -> Answer {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT];
    let allowed = methods
        .iter()
        .filter(|it| endpoints.iter().any(|endpoint| endpoint.answers(it)));
    let allowed: String = allowed.map(|it| format!("{it}, ")).collect();
    // Names of methods are tokens.
    let allowed = HeaderValue::try_from(allowed + "OPTIONS").expect("a list of tokens");
    answer.headers_mut().insert(ALLOW, allowed);
    answer
}

fn listing() -> String {
    let line = |path: &str, endpoint: &Endpoint| {
        let (method, path) = (endpoint.method.as_str(), path.replace("{*", "{"));
        format!("{method:4} {path}{}\n", endpoint.usage)
    };
    let lines = TABLE
        .iter()
        .flat_map(|(path, endpoints)| endpoints.iter().map(move |it| line(path, it)));
    format!("{NAME}\n\n{}", lines.collect::<String>())
}

fn index(_: &Admin, call: &Call) -> Answer {
    if call.accepts("text/html") {
        return dashboard::elsewhere();
    }
    text(StatusCode::OK, &listing())
}

/// The description of this API (OpenAPI 3.1).
pub(super) static OPENAPI: &str = include_str!("../../docs/openapi.json");

fn openapi(_: &Admin, _: &Call) -> Answer {
    answer(StatusCode::OK, "application/json", OPENAPI.to_owned())
}

fn alive(_: &Admin, _: &Call) -> Answer {
    text(StatusCode::OK, "ok\n")
}

fn ready(admin: &Admin, _: &Call) -> Answer {
    match admin.process.is_ready() {
        true => text(StatusCode::OK, "ready\n"),
        false => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status of what is not served, with its Allow; else the parameters of the path.
    fn found(method: Method, path: &str) -> Result<String, (u16, String)> {
        match Routes::new().find(&method, path) {
            Ok((_, parameters)) => Ok(parameters
                .into_iter()
                .map(|(name, value)| format!("{name}={value} "))
                .collect()),
            Err(answer) => {
                let allow = answer.headers().get(ALLOW);
                let allow = allow.map_or("", |it| it.to_str().unwrap());
                Err((answer.status().as_u16(), allow.to_owned()))
            }
        }
    }

    #[test]
    fn every_endpoint_is_in_the_docs() {
        let docs = include_str!("../../docs/admin.md");
        for line in listing().lines().skip(2) {
            let endpoint: Vec<_> = line.split(['?', ' ']).filter(|it| !it.is_empty()).collect();
            let endpoint = endpoint[..2].join(" ");
            assert!(docs.contains(&format!("`{endpoint}")), "{endpoint}");
        }
    }

    /// Each with the scope that it wants, and no more than there are.
    #[test]
    fn every_endpoint_is_in_the_openapi_document() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), TABLE.len());
        for (path, endpoints) in &TABLE {
            let path = path.replace("{*", "{");
            let described = paths[&path].as_object().unwrap();
            assert_eq!(described.len(), endpoints.len(), "{path}");
            for endpoint in *endpoints {
                let method = endpoint.method.as_str().to_ascii_lowercase();
                let told = described[&method]["description"].as_str();
                let scope = endpoint
                    .scope
                    .map(|it| format!("Scope: `{}`.", it.as_str()));
                assert_eq!(told, scope.as_deref(), "{method} {path}");
            }
        }
    }

    #[test]
    fn a_request_is_served_or_told_what_would_be() {
        let refused = |status, allow: &str| Err((status, allow.to_owned()));
        let server = "/api/v1/origins/app/servers";
        let unix = format!("{server}/unix:/run/app.sock");
        let ipv6 = format!("{server}/%5b::1%5D:80");
        let rows = [
            (Method::GET, "/", Ok("")),
            (Method::HEAD, "/metrics", Ok("")),
            (Method::POST, "/api/v1/purge", Ok("")),
            (
                Method::PUT,
                &unix,
                Ok("origin=app server=unix:/run/app.sock "),
            ),
            (Method::PUT, &ipv6, Ok("origin=app server=[::1]:80 ")),
            (Method::GET, "/api/v1/purge", refused(405, "POST, OPTIONS")),
            (Method::HEAD, "/api/v1/purge", refused(405, "POST, OPTIONS")),
            (Method::POST, "/healthz", refused(405, "GET, HEAD, OPTIONS")),
            (Method::DELETE, &unix, refused(405, "PUT, OPTIONS")),
            (
                Method::OPTIONS,
                "/readyz",
                refused(200, "GET, HEAD, OPTIONS"),
            ),
            (Method::GET, "/nowhere", refused(404, "")),
            (Method::OPTIONS, "*", refused(404, "")),
            (Method::PUT, server, refused(404, "")),
            (Method::GET, "/metrics/", refused(404, "")),
        ];
        for (method, path, expected) in rows {
            let expected = expected.map(str::to_owned);
            assert_eq!(found(method.clone(), path), expected, "{method} {path}");
        }
    }
}
