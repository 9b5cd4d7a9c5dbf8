//! Command `copal purge`: stored responses taken out of a running proxy, by its admin listener.
//!
//! It runs in deploy scripts, once; what it asks goes by way of `client.rs`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::client::{Ask, Client, Failure};

#[derive(Args)]
pub(super) struct Arguments {
    /// The URLs to purge, absolute: http://host/path.
    #[arg(
        value_name = "URL",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    urls: Vec<String>,
    /// Purge everything.
    #[arg(long)]
    all: bool,
    /// Leave the responses for revalidation, stale from now on.
    #[arg(long)]
    soft: bool,
    #[command(flatten)]
    client: Client,
}

/// Prints how many responses were purged; the first failure ends it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let counts = bodies(arguments).map(|body| ask(&arguments.client, body));
    let total = counts.sum::<Result<u64, Failure>>();
    let shown = total.map(|total| format!("purged {total}\n"));
    let is_purged = shown.is_ok();
    let exit = arguments.client.finish("purge", shown);
    // Whatever was wrong, to a deploy script it is a purge that has failed.
    if is_purged { exit } else { ExitCode::FAILURE }
}

/// One request's body for each URL.
fn bodies(arguments: &Arguments) -> impl Iterator<Item = Value> {
    let soft = arguments.soft;
    let all = arguments.all.then(|| json!({"all": true, "soft": soft}));
    let urls = arguments.urls.iter();
    all.into_iter()
        .chain(urls.map(move |url| json!({"url": url, "soft": soft})))
}

/// How many responses were purged.
fn ask(client: &Client, body: Value) -> Result<u64, Failure> {
    let answer = client.ask(Ask {
        method: "POST",
        target: "/api/v1/purge",
        accept: "application/json",
        body: body.to_string(),
    })?;
    let answer: Value = serde_json::from_str(&answer).context("the answer is no JSON")?;
    let count = answer["purged"].as_u64();
    Ok(count.context("the answer has no count")?)
}
