//! Endpoints for reload, configuration and status. All of it is JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::{Answer, answer, complaint, json};
use super::call::Call;
use super::figures::{self, STORE};
use super::{Admin, origins};
use crate::clock;
use crate::config::Change;
use crate::store::Store;
use crate::telemetry::{Acme, Certificates, Durations, Outcome, STATUS_CLASSES};

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
    let sites = counted.sites.iter().map(|(name, it)| {
        let site = json!({
            "requests": by_outcome(it.outcomes),
            "responses": by_class(it.classes),
        });
        (name.to_string(), site)
    });
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
        "requests": by_outcome(Outcome::ALL.map(|it| counted.requests_of(it))),
        "responses": by_class(counted.by_class()),
        "sites": Value::Object(sites.collect()),
        "durations": durations(&counted.durations),
        "response_bytes": counted.response_bytes,
        "aborted": counted.aborted,
        "bad_requests": counted.bad_requests,
        "tls": tls(&admin.telemetry.tls.certificates()),
        "acme": acme(&admin.telemetry.acme),
        "store": figures::added(sweep(&admin.store), &STORE, &admin.store.stats()),
        "origins": origins,
    });
    json(StatusCode::OK, &status)
}

fn by_outcome(counts: [u64; Outcome::ALL.len()]) -> Value {
    named(Outcome::ALL.map(Outcome::as_str).into_iter().zip(counts))
}

fn by_class(counts: [u64; STATUS_CLASSES.len()]) -> Value {
    named(STATUS_CLASSES.into_iter().zip(counts))
}

fn named(counts: impl Iterator<Item = (&'static str, u64)>) -> Value {
    let pairs = counts.map(|(name, count)| (name.to_owned(), count.into()));
    Value::Object(pairs.collect())
}

fn durations(durations: &Durations) -> Value {
    let buckets = durations.by_bound().into_iter();
    // JSON has no infinity: the last bucket's bound is null.
    let buckets = buckets.map(|(seconds, count)| json!({ "seconds": seconds, "count": count }));
    json!({
        "count": durations.count(),
        "sum": durations.sum().as_secs_f64(),
        "buckets": buckets.collect::<Value>(),
    })
}

/// How far the walk is that some purges ask for.
fn sweep(store: &Store) -> Value {
    let progress = store.sweep_progress();
    json!({ "sweep": progress.map(|it| json!({ "looked_at": it.looked_at, "of": it.of })) })
}

pub(super) fn unix_seconds(time: SystemTime) -> u64 {
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
