//! Command `copal purge`: stored responses taken out of a running proxy, by its admin listener.
//!
//! It runs in deploy scripts, once; what it asks goes by way of `client.rs`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::client::{Ask, Client, Failure};

#[derive(Args)]
#[command(group = ArgGroup::new("what")
    .args(["urls", "prefix", "host", "tag", "pattern", "all"])
    .required(true)
    .multiple(true))]
pub(super) struct Arguments {
    /// The URLs to purge, absolute: http://host/path.
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// Purge the URLs whatever their queries.
    #[arg(long, requires = "urls")]
    any_query: bool,
    /// Purge all that begins with this URL, which ends with a slash; as often as wished.
    #[arg(long, value_name = "URL")]
    prefix: Vec<String>,
    /// Purge all of a host; as often as wished.
    #[arg(long)]
    host: Vec<String>,
    /// Purge all that has this tag; as often as wished.
    #[arg(long)]
    tag: Vec<String>,
    /// Purge all whose host, path and query match this regular expression; as often as wished.
    #[arg(long, value_name = "REGEX")]
    pattern: Vec<String>,
    /// Purge everything.
    #[arg(long, conflicts_with_all = ["urls", "prefix", "host", "tag", "pattern"])]
    all: bool,
    /// Leave the responses for revalidation, stale from now on.
    #[arg(long)]
    soft: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: Client,
}

/// Something that was purged, and how many responses that were, where that is known.
struct Purged {
    /// As it was asked for.
    body: Value,
    count: Option<u64>,
}

/// Prints how many responses were purged, where that is known; the first failure ends it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let all = bodies(arguments).into_iter();
    let all = all.map(|body| ask(&arguments.client, body));
    let shown = all.collect::<Result<Vec<_>, Failure>>();
    let shown = shown.map(|all| match arguments.json {
        true => in_json(&all),
        false => in_words(&all),
    });
    let is_purged = shown.is_ok();
    let exit = arguments.client.finish("purge", shown);
    // Whatever was wrong, to a deploy script it is a purge that has failed.
    if is_purged { exit } else { ExitCode::FAILURE }
}

/// One request's body for each thing that is to be purged; all tags are one thing.
fn bodies(arguments: &Arguments) -> Vec<Value> {
    let Arguments {
        soft, any_query, ..
    } = *arguments;
    if arguments.all {
        return vec![json!({ "all": true, "soft": soft })];
    }
    let mut bodies: Vec<_> = arguments
        .urls
        .iter()
        .map(|url| match any_query {
            true => json!({ "url": url, "any_query": true, "soft": soft }),
            false => json!({ "url": url, "soft": soft }),
        })
        .collect();
    for (key, values) in [
        ("prefix", &arguments.prefix),
        ("host", &arguments.host),
        ("pattern", &arguments.pattern),
    ] {
        bodies.extend(values.iter().map(|it| json!({ key: it, "soft": soft })));
    }
    if !arguments.tag.is_empty() {
        bodies.push(json!({ "tags": arguments.tag, "soft": soft }));
    }
    bodies
}

fn ask(client: &Client, body: Value) -> Result<Purged, Failure> {
    let answer = client.ask(Ask {
        method: "POST",
        target: "/api/v1/purge",
        accept: "application/json",
        body: body.to_string(),
    })?;
    let answer: Value = serde_json::from_str(&answer).context("the answer is no JSON")?;
    let count = answer.get("purged").context("the answer has no count")?;
    let count = count.as_u64();
    Ok(Purged { body, count })
}

/// One count that is not known makes the sum unknown.
fn total(all: &[Purged]) -> Option<u64> {
    all.iter().map(|it| it.count).sum()
}

/// The sum; above it, where there are several, a line for each.
fn in_words(all: &[Purged]) -> String {
    let mut text = String::new();
    for Purged { body, count } in all.iter().filter(|_| all.len() > 1) {
        let count = count.map_or_else(|| "unknown".to_owned(), |it| it.to_string());
        // A text takes what is written.
        let _ = writeln!(text, "{count:>8}  {}", what(body));
    }
    text + &match total(all) {
        Some(total) => format!("purged {total}\n"),
        None => "purged, without a count\n".to_owned(),
    }
}

fn in_json(all: &[Purged]) -> String {
    let each = all.iter().map(|Purged { body, count }| {
        let mut it = body.clone();
        it["purged"] = json!(count);
        it
    });
    let each: Vec<_> = each.collect();
    format!("{}\n", json!({ "purged": total(all), "each": each }))
}

/// What was purged, as people name it.
fn what(body: &Value) -> String {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let named = ["prefix", "host", "pattern"].into_iter();
    let mut named = named.filter_map(|key| Some(format!("{key} {}", text(key)?)));
    let url = || {
        let any = if body.get("any_query").is_some() {
            ", any query"
        } else {
            ""
        };
        text("url").map(|url| format!("{url}{any}"))
    };
    let tags = || {
        let tags: Vec<_> = body
            .get("tags")?
            .as_array()?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        Some(format!("tags {}", tags.join(", ")))
    };
    url()
        .or_else(|| named.next())
        .or_else(tags)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_are_told_one_by_one() {
        let all = [
            (json!({ "url": "http://a/", "any_query": true }), None),
            (json!({ "host": "b" }), None),
            (json!({ "tags": ["c", "d"] }), Some(3)),
        ];
        let all = all.map(|(body, count)| Purged { body, count });
        let expected = " unknown  http://a/, any query\n \
                        unknown  host b\n       \
                        3  tags c, d\n\
                        purged, without a count\n";
        assert_eq!(in_words(&all), expected);
        assert_eq!(in_words(&all[2..]), "purged 3\n");
        let expected = "{\"each\":[{\"purged\":3,\"tags\":[\"c\",\"d\"]}],\"purged\":3}\n";
        assert_eq!(in_json(&all[2..]), expected);
    }
}
