//! Endpoint `GET /api/v1/explain`, as JSON; `explain_text.rs` has the same for people.
//!
//! What would become of a request is foreseen by the pipeline, what is stored is told by the store.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::Admin;
use super::answer::{Answer, complaint, json, text};
use super::call::Call;
use super::explain_text::{ExplainText, lossy};
use crate::pipeline::{Forecast, Handler, RuleSeen};
use crate::semantics::query;
use crate::store::{Inspection, Object};

/// What is asked for.
#[derive(Debug, Default)]
struct Question {
    url: String,
    fields: HeaderMap,
}

/// JSON for programs; text where `Accept` has it first.
pub(super) fn answer(admin: &Admin, call: &Call) -> Answer {
    let question = match Question::read(call.query()) {
        Ok(question) => question,
        Err(wrong) => return complaint(StatusCode::BAD_REQUEST, &wrong),
    };
    let site = admin.current.load();
    let (forecast, stored) = match site.explain(&Method::GET, &question.url, question.fields) {
        Ok(explained) => explained,
        Err(wrong) => return complaint(StatusCode::BAD_REQUEST, &format!("url: {wrong}")),
    };
    let accept = call.head.headers.get(ACCEPT).map(HeaderValue::as_bytes);
    if accept.is_some_and(|accept| accept.starts_with(b"text/plain")) {
        let words = ExplainText {
            url: &question.url,
            forecast: &forecast,
            stored: &stored,
        };
        return text(StatusCode::OK, &words.to_string());
    }
    json(
        StatusCode::OK,
        &explanation(&question.url, &forecast, &stored),
    )
}

// === impl Question ===

impl Question {
    /// What is unknown is refused: most likely it is the rest of a URL that was not encoded.
    fn read(query: &str) -> Result<Self, String> {
        let mut question = Self::default();
        for (name, value) in query::pairs(query) {
            match &name[..] {
                b"url" if question.url.is_empty() => {
                    question.url = String::from_utf8(value).map_err(|_| "url: not UTF-8")?;
                }
                b"url" => return Err("url: given twice".to_owned()),
                b"header" => question.add(&value)?,
                name => {
                    let name = String::from_utf8_lossy(name);
                    return Err(format!(
                        "{name}: unknown; \"url\" and \"header\" are wanted, percent-encoded"
                    ));
                }
            }
        }
        match question.url.is_empty() {
            true => Err("url: an absolute http or https URL is wanted, percent-encoded".to_owned()),
            false => Ok(question),
        }
    }

    /// One request field, as `Name: value`.
    fn add(&mut self, line: &[u8]) -> Result<(), String> {
        let bad = || "header: \"Name: value\" is wanted, percent-encoded".to_owned();
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(bad)?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| bad())?;
        let value = line[colon + 1..].trim_ascii();
        let value = HeaderValue::from_bytes(value).map_err(|_| bad())?;
        self.fields
            .try_append(name, value)
            .map_err(|_| "header: too many")?;
        Ok(())
    }
}

fn explanation(url: &str, forecast: &Forecast, stored: &Inspection) -> Value {
    let variants = stored.objects.iter().enumerate();
    let variants = variants.map(|(at, object)| {
        let mut variant = variant(object, stored.at);
        variant["chosen"] = (stored.chosen == Some(at)).into();
        variant
    });
    json!({
        "url": url,
        "key": forecast.key,
        "route": forecast.handler.as_ref().map(route),
        "rules": forecast.rules.iter().map(rule).collect::<Vec<_>>(),
        "next": {
            "outcome": forecast.outcome.as_str(),
            "cache_status": forecast.cache_status,
            "why": forecast.why,
        },
        "variants": variants.collect::<Vec<_>>(),
        "hit_for_miss": stored.hit_for_miss.map(|left| left.as_secs()),
        "fetches": {
            "count": stored.fetches.count,
            "open": stored.fetches.open,
            "waiting": stored.fetches.waiting,
        },
    })
}

fn route(handler: &Handler) -> Value {
    let pair = |(name, value): &(&str, String)| ((*name).to_owned(), value.as_str().into());
    let table = |pairs: &Vec<_>| pairs.iter().map(pair).collect::<Map<_, _>>();
    json!({
        "hosts": handler.hosts,
        "path": handler.path,
        "action": handler.action,
        "target": handler.target,
        "gate": table(&handler.gate),
        "rules": handler.rules.as_ref().map(table),
    })
}

fn rule(rule: &RuleSeen) -> Value {
    json!({
        "name": rule.name,
        "true": rule.is_true,
        "why": rule.why,
    })
}

fn variant(object: &Arc<Object>, now: SystemTime) -> Value {
    let (term, validators) = (object.term(), object.validators());
    let vary: Map<_, _> = object
        .variant()
        .chosen()
        .map(|(name, value)| (name.to_string(), value.map(lossy).into()))
        .collect();
    json!({
        "status": object.head().status().as_u16(),
        "vary": vary,
        "key_parts": object.variant().facet_in_words(),
        "tier": "memory",
        "complete": object.is_whole(),
        "bytes": object.weight_bytes(),
        "hits": object.hits(),
        "age": term.age(now).secs(),
        "lifetime": term.lifetime().secs(),
        "ttl": term.ttl_secs(now),
        "grace": term.windows().while_revalidate().as_secs(),
        "stale_if_error": term.windows().if_error().as_secs(),
        "keep": term.windows().kept().as_secs(),
        "always_validate": term.always_validate(),
        "must_revalidate": term.must_revalidate(),
        "ttl_by_route": term.is_overridden(),
        "set_aside": term.bent().in_words().collect::<Vec<_>>(),
        "soft_purged": term.is_expired(),
        "tags": object.tags(),
        "etag": validators.etag.map(lossy),
        "last_modified": validators.last_modified.map(lossy),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_or_refused() {
        let rows = [
            (
                "url=http%3A%2F%2Fh%2Fa%3Fx%3D1%26y%3D2",
                Ok("http://h/a?x=1&y=2"),
            ),
            ("url=http://h/a", Ok("http://h/a")),
            ("header=a:b&url=http://h/", Ok("http://h/")),
            ("", Err("url")),
            ("url=", Err("url")),
            ("url=http://h/a?x=1&y=2", Err("y")),
            ("url=http://h/&url=http://i/", Err("url")),
            ("url=%ff", Err("url")),
            ("url=http://h/&header=a", Err("header")),
            ("url=http://h/&header=:a", Err("header")),
            ("url=http://h/&header=a%20b:c", Err("header")),
            ("url=http://h/&header=a:b%0d%0ac", Err("header")),
        ];
        for (query, expected) in rows {
            let found = Question::read(query);
            match (&found, expected) {
                (Ok(question), Ok(url)) => assert_eq!(question.url, url, "{query}"),
                (Err(wrong), Err(name)) => assert!(wrong.starts_with(name), "{query}: {wrong}"),
                _ => panic!("{query}: {found:?}"),
            }
        }
    }

    #[test]
    fn fields_may_be_repeated() {
        let query = "url=http://h/&header=A:%201%20&header=a:2&header=b%3A+x%3Ay";
        let fields = Question::read(query).unwrap().fields;
        let values: Vec<_> = fields.get_all("a").iter().collect();
        assert_eq!(values, ["1", "2"]);
        assert_eq!(fields["b"], "x:y");
    }
}
