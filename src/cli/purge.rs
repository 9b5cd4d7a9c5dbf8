//! Command `copal purge`: stored responses taken out of a running proxy, by its admin listener.
//!
//! It runs in deploy scripts, once; what it asks goes by way of `client.rs`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::client::{Ask, Client, Failure};

#[derive(Args)]
#[command(group = ArgGroup::new("what").args(["urls", "prefix", "host", "all"]).required(true).multiple(true))]
pub(super) struct Arguments {
    /// The URLs to purge, absolute: http://host/path.
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// Purge all that begins with this URL, which ends with a slash; as often as wished.
    #[arg(long, value_name = "URL")]
    prefix: Vec<String>,
    /// Purge all of a host; as often as wished.
    #[arg(long)]
    host: Vec<String>,
    /// Purge everything.
    #[arg(long, conflicts_with_all = ["urls", "prefix", "host"])]
    all: bool,
    /// Leave the responses for revalidation, stale from now on.
    #[arg(long)]
    soft: bool,
    #[command(flatten)]
    client: Client,
}

/// Prints how many responses were purged, where that is known; the first failure ends it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let counts = bodies(arguments).into_iter();
    let counts = counts.map(|body| ask(&arguments.client, &body));
    // One count that is not known makes the sum unknown.
    let total = counts.collect::<Result<Vec<_>, Failure>>();
    let total = total.map(|counts| counts.into_iter().sum::<Option<u64>>());
    let shown = total.map(|total| match total {
        Some(total) => format!("purged {total}\n"),
        None => "purged, without a count\n".to_owned(),
    });
    let is_purged = shown.is_ok();
    let exit = arguments.client.finish("purge", shown);
    // Whatever was wrong, to a deploy script it is a purge that has failed.
    if is_purged { exit } else { ExitCode::FAILURE }
}

/// One request's body for each thing that is to be purged.
fn bodies(arguments: &Arguments) -> Vec<Value> {
    let soft = arguments.soft;
    if arguments.all {
        return vec![json!({ "all": true, "soft": soft })];
    }
    let what = [
        ("url", &arguments.urls),
        ("prefix", &arguments.prefix),
        ("host", &arguments.host),
    ];
    what.into_iter()
        .flat_map(|(key, values)| {
            values
                .iter()
                .map(move |it| json!({ key: it, "soft": soft }))
        })
        .collect()
}

/// How many responses were purged, where that is known.
fn ask(client: &Client, body: &Value) -> Result<Option<u64>, Failure> {
    let answer = client.ask(Ask {
        method: "POST",
        target: "/api/v1/purge",
        accept: "application/json",
        body: body.to_string(),
    })?;
    let answer: Value = serde_json::from_str(&answer).context("the answer is no JSON")?;
    let count = answer.get("purged").context("the answer has no count")?;
    Ok(count.as_u64())
}
