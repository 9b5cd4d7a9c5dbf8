//! Endpoints for purge, reload and status. All of it is JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, answer, complaint, json};
use super::call::Call;
use super::figures::{self, STORE};
use super::{Admin, origins};
use crate::clock;
use crate::config::Change;
use crate::pipeline::Unpurgeable;
use crate::semantics::reference::Target;
use crate::store::{How, Invalidation, What};
use crate::telemetry::{Acme, Certificates, Outcome};

const WANTED: &str = "exactly one of `url`, `prefix`, `host` and `all` is wanted";

/// The body of a purge: exactly one of `url`, `prefix`, `host` and `all`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PurgeRequest {
    url: Option<String>,
    prefix: Option<String>,
    host: Option<String>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    soft: bool,
}

pub(super) fn purge(admin: &Admin, call: &Call) -> Answer {
    let request: PurgeRequest = match serde_json::from_slice(&call.body) {
        Ok(request) => request,
        Err(error) => return complaint(StatusCode::BAD_REQUEST, &format!("{error}; {WANTED}")),
    };
    match request.invalidation() {
        Ok(wanted) => {
            let purged = admin.current.load().purge(&wanted);
            purged.map_or_else(|why| unpurgeable(&why), counted)
        }
        Err(wrong) => complaint(StatusCode::BAD_REQUEST, &wrong),
    }
}

fn counted(purged: Option<u64>) -> Answer {
    json(StatusCode::OK, &json!({ "purged": purged }))
}

fn unpurgeable(why: &Unpurgeable) -> Answer {
    let status = match why {
        Unpurgeable::Host(_) => StatusCode::NOT_FOUND,
        Unpurgeable::Pattern => StatusCode::BAD_REQUEST,
    };
    complaint(status, &why.to_string())
}

pub(super) fn reload(admin: &Admin, _: &Call) -> Answer {
    match admin.process.reload() {
        Ok(changes) => {
            let changes: Vec<Value> = changes.iter().map(change).collect();
            json(
                StatusCode::OK,
                &json!({ "reloaded": true, "changes": changes }),
            )
        }
        Err(complaints) => complaint(StatusCode::UNPROCESSABLE_ENTITY, &complaints),
    }
}

fn change(change: &Change) -> Value {
    json!({
        "key": change.key,
        "from": change.from,
        "to": change.to,
        "at_next_start": change.at_next_start,
    })
}

/// GET: the configuration in force, as TOML for who asks for text.
pub(super) fn config(admin: &Admin, call: &Call) -> Answer {
    let document = admin.process.document().masked();
    if call.accepts("application/toml") || call.accepts("text/plain") {
        return answer(StatusCode::OK, "application/toml", document.to_toml());
    }
    // A tree of tables, lists and plain values is JSON too.
    let value = serde_json::to_value(&document);
    json(StatusCode::OK, &value.unwrap_or_default())
}

pub(super) fn status(admin: &Admin, _: &Call) -> Answer {
    let counted = admin.telemetry.metrics.snapshot();
    let requests: Map<String, Value> = Outcome::ALL
        .into_iter()
        .map(|outcome| {
            (
                outcome.as_str().to_owned(),
                counted.requests_of(outcome).into(),
            )
        })
        .collect();
    let origins: Map<String, Value> = admin
        .current
        .load()
        .pools()
        .map(|pool| (pool.name().to_string(), origins::servers(pool)))
        .collect();
    let status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": clock::uptime().as_secs(),
        "ready": admin.process.is_ready(),
        "connections": admin.process.connections(),
        "requests": requests,
        "response_bytes": counted.response_bytes,
        "aborted": counted.aborted,
        "bad_requests": counted.bad_requests,
        "tls": tls(&admin.telemetry.tls.certificates()),
        "acme": acme(&admin.telemetry.acme),
        "store": figures::added(json!({}), &STORE, &admin.store.stats()),
        "origins": origins,
    });
    json(StatusCode::OK, &status)
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

fn tls(certificates: &Certificates) -> Value {
    let served = certificates.served.iter().map(|it| {
        json!({
            "names": it.names,
            "key": it.kind,
            "file": it.file,
            "not_after": unix_seconds(it.not_after),
        })
    });
    let bad = certificates.bad.iter();
    let bad = bad.map(|it| json!({ "file": it.file, "why": it.why, "is_served": it.is_served }));
    json!({ "certificates": served.collect::<Value>(), "bad": bad.collect::<Value>() })
}

fn acme(acme: &Acme) -> Value {
    let names = acme.names().into_iter().map(|(name, it)| {
        let status = json!({
            "not_after": it.not_after.map(unix_seconds),
            "issuer": it.issuer,
            "next": it.next.map(unix_seconds),
            "failures": it.failures,
            "trouble": it.trouble,
        });
        (name, status)
    });
    Value::Object(names.collect())
}

// === impl PurgeRequest ===

impl PurgeRequest {
    fn invalidation(self) -> Result<Invalidation, String> {
        let what = match (self.url, self.prefix, self.host, self.all) {
            (Some(url), None, None, false) => {
                What::Url(Target::parse(&url).map_err(|error| format!("url: {error}"))?)
            }
            (None, Some(prefix), None, false) => {
                What::prefix(&prefix).map_err(|error| format!("prefix: {error}"))?
            }
            (None, None, Some(host), false) => {
                What::host(&host).map_err(|_| "host: not a valid host".to_owned())?
            }
            (None, None, None, true) => What::All,
            _ => {
                return Err(WANTED.to_owned());
            }
        };
        let how = match self.soft {
            true => How::Soft,
            false => How::Hard,
        };
        Ok(Invalidation { what, how })
    }
}
