//! Endpoints for purge, reload and status. All of it is JSON.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, complaint, json};
use super::call::Call;
use super::figures::{self, STORE};
use super::{Admin, origins};
use crate::clock;
use crate::store::Purge;
use crate::telemetry::Outcome;

/// The body of a purge: exactly one of `url` and `all`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PurgeRequest {
    url: Option<String>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    soft: bool,
}

pub(super) fn purge(admin: &Admin, call: &Call) -> Answer {
    let request: PurgeRequest = match serde_json::from_slice(&call.body) {
        Ok(request) => request,
        Err(error) => return complaint(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let how = if request.soft {
        Purge::Soft
    } else {
        Purge::Hard
    };
    let purged = match (request.url, request.all) {
        (Some(url), false) => {
            (admin.current.load().purge_url(&url, how)).map_err(|error| format!("url: {error}"))
        }
        (None, true) => Ok(admin.store.purge_all(how)),
        _ => Err("exactly one of \"url\" and \"all\" is wanted".to_owned()),
    };
    match purged {
        Ok(count) => json(StatusCode::OK, &json!({ "purged": count })),
        Err(complaints) => complaint(StatusCode::BAD_REQUEST, &complaints),
    }
}

pub(super) fn reload(admin: &Admin, _: &Call) -> Answer {
    match admin.process.reload() {
        Ok(()) => json(StatusCode::OK, &json!({ "reloaded": true })),
        Err(complaints) => complaint(StatusCode::UNPROCESSABLE_ENTITY, &complaints),
    }
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
        "store": figures::added(json!({}), &STORE, &admin.store.stats()),
        "origins": origins,
    });
    json(StatusCode::OK, &status)
}
