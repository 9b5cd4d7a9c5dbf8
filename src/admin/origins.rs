//! Endpoints for origins and their servers: how they stand, and what the operator wants of them.

use http::StatusCode;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::Admin;
use super::answer::{Answer, complaint, json};
use super::call::Call;
use super::figures::{self, ORIGIN, SERVER};
use crate::origin::{LookupStats, Pool, ServerStats, State};

/// As much weight as the configuration allows too; without any a server gets no new requests.
const WEIGHT_MAX: u32 = 256;

/// What is wanted of a server; what is left out stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// `null` for what its agent says.
    #[serde(default, deserialize_with = "given")]
    state: Option<Option<Word>>,
    /// `null` for what the configuration says.
    #[serde(default, deserialize_with = "given")]
    weight: Option<Option<u32>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Ready,
    Drain,
    Maintenance,
}

/// GET: all origins with their servers.
pub(super) fn list(admin: &Admin, _: &Call) -> Answer {
    let site = admin.current.load();
    let origins: Map<String, Value> = site
        .pools()
        .map(|pool| (pool.name().to_string(), origin(pool)))
        .collect();
    json(StatusCode::OK, &Value::Object(origins))
}

fn origin(pool: &Pool) -> Value {
    let origin = json!({
        "sick": pool.is_sick(),
        "panic": pool.panics(),
        "names": names(pool),
        "hedges_after_seconds": pool.hedges_after().map(|it| it.as_secs_f64()),
        "servers": servers(pool),
    });
    figures::added(origin, &ORIGIN, &pool.overload())
}

/// The servers of an origin, in the order of the configuration.
pub(super) fn servers(pool: &Pool) -> Value {
    Value::Array(pool.stats().iter().map(server).collect())
}

/// The names of its servers that are looked up.
fn names(pool: &Pool) -> Value {
    let lookups = pool.lookups();
    let name = |it: &LookupStats| {
        json!({
            "name": &*it.name,
            "endpoints": it.endpoints,
            "fault": it.fault,
        })
    };
    Value::Array(lookups.iter().map(name).collect())
}

fn server(stats: &ServerStats) -> Value {
    let server = json!({
        "server": &*stats.authority,
        "found_by": stats.found_by.as_deref(),
        "addresses": stats.addresses,
        "state": stats.state.as_str(),
        "agent": stats.agent,
        "standing": stats.standing(),
        "weight": stats.weight,
        "effective_weight": f64::from(stats.effective_weight) / 100.0,
        "reuse_ratio": stats.reuse_ratio(),
    });
    figures::added(server, &SERVER, stats)
}

/// PUT: what is wanted of the server.
pub(super) fn adjust(admin: &Admin, call: &Call) -> Answer {
    let wanted: Wanted = match serde_json::from_slice(&call.body) {
        Ok(wanted) => wanted,
        Err(error) => return complaint(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    if wanted.weight.flatten().is_some_and(|it| it > WEIGHT_MAX) {
        return complaint(StatusCode::BAD_REQUEST, "weight: 0 to 256 is wanted");
    }
    let (site, name) = (admin.current.load(), call.parameter("server"));
    let Some(pool) = site.pool(call.parameter("origin")) else {
        return complaint(StatusCode::NOT_FOUND, "there is no such origin");
    };
    let state = wanted.state.map(|word| word.map(State::from));
    if !pool.adjust(name, state, wanted.weight) {
        return complaint(StatusCode::NOT_FOUND, "the origin has no such server");
    }
    let stats = pool.stats();
    let adjusted = stats.iter().find(|it| *it.authority == *name).map(server);
    json(StatusCode::OK, &adjusted.unwrap_or_default())
}

/// Tells `null` from nothing.
fn given<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

// === impl State ===

impl From<Word> for State {
    fn from(word: Word) -> Self {
        match word {
            Word::Ready => Self::Ready,
            Word::Drain => Self::Drain,
            Word::Maintenance => Self::Maintenance,
        }
    }
}
