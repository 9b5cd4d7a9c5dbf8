//! Endpoint `POST /api/v1/purge`: one thing to purge, as JSON.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::Admin;
use super::answer::{Answer, complaint, json};
use super::call::Call;
use crate::pipeline::Unpurgeable;
use crate::semantics::reference::Target;
use crate::store::{How, Invalidation, Pattern, Subject, What};

const WANTED: &str =
    "exactly one of `url`, `prefix`, `host`, `tags`, `pattern` and `all` is wanted";

/// Tags in one request.
const TAGS_MAX: usize = 1000;

/// The body of a purge: exactly one of `url`, `prefix`, `host`, `tags`, `pattern` and `all`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PurgeRequest {
    url: Option<String>,
    /// Beside `url`: whatever its query.
    #[serde(default)]
    any_query: bool,
    prefix: Option<String>,
    host: Option<String>,
    tags: Option<Vec<String>>,
    pattern: Option<String>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    soft: bool,
}

pub(super) fn answer(admin: &Admin, call: &Call) -> Answer {
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

// === impl PurgeRequest ===

impl PurgeRequest {
    fn invalidation(self) -> Result<Invalidation, String> {
        let how = match self.soft {
            true => How::Soft,
            false => How::Hard,
        };
        if self.any_query && self.url.is_none() {
            return Err("any_query: is about a `url`".to_owned());
        }
        Ok(Invalidation {
            what: self.what()?,
            how,
        })
    }

    fn what(self) -> Result<What, String> {
        match (
            self.url,
            self.prefix,
            self.host,
            self.tags,
            self.pattern,
            self.all,
        ) {
            (Some(url), None, None, None, None, false) => {
                let target = Target::parse(&url).map_err(|error| format!("url: {error}"))?;
                Ok(match self.any_query {
                    true => What::Path(target),
                    false => What::Url(target),
                })
            }
            (None, Some(prefix), None, None, None, false) => {
                What::prefix(&prefix).map_err(|error| format!("prefix: {error}"))
            }
            (None, None, Some(host), None, None, false) => {
                What::host(&host).map_err(|_| "host: not a valid host".to_owned())
            }
            (None, None, None, Some(tags), None, false) => tags_of(tags),
            (None, None, None, None, Some(pattern), false) => {
                let pattern = Pattern::new(&[(Subject::Url, &pattern)]);
                let pattern = pattern.map_err(|error| format!("pattern: {error}"))?;
                Ok(What::Pattern(pattern))
            }
            (None, None, None, None, None, true) => Ok(What::All),
            _ => Err(WANTED.to_owned()),
        }
    }
}

fn tags_of(tags: Vec<String>) -> Result<What, String> {
    match tags.len() {
        0 => Err("tags: none is given".to_owned()),
        _ if tags.iter().any(String::is_empty) => Err("tags: one is empty".to_owned()),
        1..=TAGS_MAX => Ok(What::Tags(tags)),
        _ => Err(format!(
            "tags: more than {TAGS_MAX}; send them in several requests"
        )),
    }
}
