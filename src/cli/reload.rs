//! Command `copal reload`: a running proxy reads its file again, and says what came of it.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use http::StatusCode;
use serde_json::Value;

use super::client::{Ask, Client, Failure};

#[derive(Args)]
pub(super) struct Arguments {
    /// Show the whole answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: Client,
}

/// Prints what has changed, or what is wrong with the file.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let answered = arguments.client.ask(Ask {
        method: "POST",
        target: "/api/v1/reload",
        accept: "application/json",
        body: String::new(),
    });
    let shown = match answered {
        Ok(text) if arguments.json => Ok(text),
        Ok(text) => told(&text),
        Err(failure) => Err(plain(failure)),
    };
    arguments.client.finish("reload", shown)
}

/// The changes, one a line.
fn told(answer: &str) -> Result<String, Failure> {
    let answer: Value = serde_json::from_str(answer).context("the answer is no JSON")?;
    let changes = answer["changes"].as_array();
    let changes = changes.context("the answer has no changes")?;
    if changes.is_empty() {
        return Ok("reloaded; nothing has changed\n".to_owned());
    }
    let mut text = "reloaded\n".to_owned();
    for change in changes {
        let side = |name: &str| change[name].as_str().unwrap_or("nothing").to_owned();
        let key = change["key"].as_str().unwrap_or_default();
        let later = match change["at_next_start"].as_bool() {
            Some(true) => "   (at the next start)",
            _ => "",
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {key}: {} -> {}{later}", side("from"), side("to"));
    }
    Ok(text)
}

/// The complaints as `copal check` has them, each on a line of its own.
fn plain(failure: Failure) -> Failure {
    let Failure::Refused(StatusCode::UNPROCESSABLE_ENTITY, text) = &failure else {
        return failure;
    };
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    match answer["error"].as_str() {
        Some(complaints) => Failure::Mistakes(complaints.to_owned()),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_lines() {
        let answer = r#"{"reloaded":true,"changes":[
            {"key":"cache.ttl","from":null,"to":"\"1h\"","at_next_start":false},
            {"key":"store.memory","from":"\"1GiB\"","to":"\"2GiB\"","at_next_start":true}]}"#;
        assert_eq!(
            told(answer).unwrap(),
            "reloaded\n  cache.ttl: nothing -> \"1h\"\n  \
             store.memory: \"1GiB\" -> \"2GiB\"   (at the next start)\n"
        );
        assert_eq!(
            told(r#"{"changes":[]}"#).unwrap(),
            "reloaded; nothing has changed\n"
        );
        assert!(told("{}").is_err() && told("no").is_err());
    }
}
