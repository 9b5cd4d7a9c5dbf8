//! Command `copal explain`: what a running proxy knows of a URL, from its admin listener.
//!
//! The proxy puts it into words; here they are only asked for and shown.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::client::{Ask, Client, encoded};

#[derive(Args)]
pub(super) struct Arguments {
    /// The URL, absolute: http://host/path.
    #[arg(value_name = "URL")]
    url: String,
    /// A field of the request, as 'Name: value'. May be repeated.
    #[arg(long, value_name = "FIELD", value_parser = field)]
    header: Vec<String>,
    /// Show the whole answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: Client,
}

/// A field that has a name; what else is wrong with it the proxy tells.
pub(super) fn field(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((name, _)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("a name and a value are wanted, such as 'Accept-Language: de'".to_owned()),
    }
}

/// Prints what the proxy says.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let answered = arguments.client.ask(Ask {
        method: "GET",
        target: &target(arguments),
        accept: match arguments.json {
            true => "application/json",
            false => "text/plain",
        },
        body: String::new(),
    });
    arguments.client.finish("explain", answered)
}

fn target(arguments: &Arguments) -> String {
    let mut target = format!("/api/v1/explain?url={}", encoded(&arguments.url));
    for field in &arguments.header {
        // Writing to a string does not fail.
        let _ = write!(target, "&header={}", encoded(field));
    }
    target
}
