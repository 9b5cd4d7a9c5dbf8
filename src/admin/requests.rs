//! Endpoint `GET /api/v1/requests`: a sample of those that finished lately.

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, complaint, json};
use super::call::Call;
use super::{Admin, api};
use crate::semantics::query;
use crate::telemetry::Seen;

pub(super) fn list(admin: &Admin, call: &Call) -> Answer {
    match after(call.query()) {
        Ok(after) => {
            let seen = admin.telemetry.recent(after);
            let last = seen.last().map_or(after, |it| it.number);
            let requests: Value = seen.iter().map(|it| shown(it)).collect();
            json(
                StatusCode::OK,
                &json!({ "last": last, "requests": requests }),
            )
        }
        Err(wrong) => complaint(StatusCode::BAD_REQUEST, &wrong),
    }
}

/// The number of the request behind which the list begins.
fn after(query: &str) -> Result<u64, String> {
    let mut after = 0;
    for (name, value) in query::pairs(query) {
        if name != b"after" {
            let name = String::from_utf8_lossy(&name);
            return Err(format!("{name}: there is no such parameter; `after` is"));
        }
        let number = str::from_utf8(&value).ok().and_then(|it| it.parse().ok());
        after = number.ok_or("after: not a number")?;
    }
    Ok(after)
}

fn shown(seen: &Seen) -> Value {
    json!({
        "number": seen.number,
        "received": api::unix_seconds(seen.received),
        "client": seen.client,
        "method": seen.method.as_str(),
        "url": seen.url,
        "status": seen.status,
        "outcome": seen.outcome.as_str(),
        "detail": seen.detail,
        "seconds": seen.duration.as_secs_f64(),
        "body_bytes": seen.body_bytes,
        "server": seen.server.as_deref(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_begins_behind_a_number() {
        for (query, expected) in [
            ("", Ok(0)),
            ("after=17", Ok(17)),
            ("after=", Err("after: not a number")),
            ("after=-1", Err("after: not a number")),
            (
                "before=1",
                Err("before: there is no such parameter; `after` is"),
            ),
        ] {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(after(query), expected, "{query}");
        }
    }
}
