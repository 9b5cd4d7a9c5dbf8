//! Trial of one case: a proxy that has stored nothing, and the requests of the case in turn.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::BodyExt as _;

use super::cases::{Case, Step};
use super::checks::{Got, check};
use super::origin::Origins;
use crate::body::Body;
use crate::config::Config;
use crate::origin::Registry;
use crate::pipeline::{BadSite, Client, Scheme, Site, SiteHandle, serve};
use crate::store::Store;
use crate::telemetry::{Outcome, Telemetry};

/// Who asks where a step does not say it (RFC 5737).
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// What is under way when a step is over gets that long to get on.
const SETTLES: Duration = Duration::from_millis(1);

/// A proxy for one case.
pub(super) struct Trial {
    site: SiteHandle,
    telemetry: Arc<Telemetry>,
    origins: Origins,
}

// === impl Trial ===

impl Trial {
    pub(super) fn new(
        config: &Config,
        telemetry: &Arc<Telemetry>,
        case: &Case,
    ) -> Result<Self, BadSite> {
        let origins = Origins::default();
        origins.play(&case.origin);
        let registry = Registry::default().dialling(origins.dialer());
        let store = Store::new(&config.store);
        let site = Site::build(config, store, Arc::clone(telemetry), &registry, None)?;
        Ok(Self {
            site: SiteHandle::from(Arc::new(site)),
            telemetry: Arc::clone(telemetry),
            origins,
        })
    }

    /// What did not go as expected, one thing a line.
    pub(super) async fn run(self, case: &Case) -> Vec<String> {
        let mut failed = Vec::new();
        for (number, step) in (1..).zip(&case.step) {
            self.origins
                .play(step.origin.as_ref().unwrap_or(&case.origin));
            tokio::time::sleep(step.after()).await;
            // What time has brought about is no work of this step's.
            self.origins.take_asked();
            let said = match self.ask(step).await {
                Ok(got) => check(step, &got),
                Err(wrong) => vec![wrong],
            };
            failed.extend(said.into_iter().map(|it| format!("step {number}: {it}")));
        }
        failed
    }

    async fn ask(&self, step: &Step) -> Result<Got, String> {
        let (client, request) = request(step)?;
        let (outcomes, rules) = (self.outcomes(), self.telemetry.rules.counts());
        let response = serve(self.site.clone(), client, request, None).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(|it| it.to_bytes());
        tokio::time::sleep(SETTLES).await;
        Ok(Got {
            status: head.status,
            fields: head.headers,
            body: body.ok(),
            outcome: self.new_outcome(&outcomes),
            rules: new_matches(&rules, &self.telemetry.rules.counts()),
            asked: self.origins.take_asked(),
        })
    }

    fn outcomes(&self) -> [u64; Outcome::ALL.len()] {
        let sums = self.telemetry.metrics.snapshot();
        Outcome::ALL.map(|it| sums.requests_of(it))
    }

    fn new_outcome(&self, before: &[u64; Outcome::ALL.len()]) -> Option<Outcome> {
        let after = self.outcomes();
        let mut all = Outcome::ALL.into_iter().zip(before.iter().zip(after));
        all.find(|(_, (before, after))| *before < after)
            .map(|it| it.0)
    }
}

/// The rules that have been true meanwhile.
fn new_matches(
    before: &BTreeMap<&'static str, u64>,
    after: &BTreeMap<&'static str, u64>,
) -> Vec<String> {
    let is_new = |it: &(&&'static str, &u64)| before.get(*it.0).is_none_or(|old| old < it.1);
    let new = after.iter().filter(|it| *it.1 > 0).filter(is_new);
    new.map(|(name, _)| (*name).to_owned()).collect()
}

fn request(step: &Step) -> Result<(Client, Request<Body>), String> {
    let wrong = |what: &str| format!("`{}` {what}", step.url);
    let url: Uri = step.url.parse().map_err(|_| wrong("is no URL"))?;
    let scheme = match url.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        _ => return Err(wrong("begins with neither http:// nor https://")),
    };
    let authority = url.authority().ok_or_else(|| wrong("has no host"))?;
    let target = url.path_and_query().map_or("/", |it| it.as_str());
    let method = step.method.as_deref().unwrap_or("GET");
    let method =
        Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is no method"))?;
    let mut fields = fields(&step.headers)?;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong("has no host"))?;
    fields.entry(HOST).or_insert(host);
    let body = step
        .body
        .clone()
        .map_or_else(Body::empty, |it| Body::full(Bytes::from(it)));
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().map_err(|_| wrong("has no path"))?;
    *request.headers_mut() = fields;
    let client = Client {
        address: SocketAddr::new(step.client.unwrap_or(CLIENT), 40_000),
        local: SocketAddr::from(([192, 0, 2, 254], 443)),
        scheme,
        session: None,
        proxy: None,
    };
    Ok((client, request))
}

fn fields(written: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut fields = HeaderMap::new();
    for (name, value) in written {
        let wrong = || format!("`{name}: {value}` is no field");
        let name = HeaderName::try_from(name).map_err(|_| wrong())?;
        fields.append(name, HeaderValue::try_from(value).map_err(|_| wrong())?);
    }
    Ok(fields)
}
