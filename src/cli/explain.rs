//! `copal explain`: asks the admin listener of a running proxy what it knows of a URL.
//!
//! The proxy puts it into words; here they are only asked for and shown.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;

use super::check::BAD_CONFIGURATION;
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
fn field(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((name, _)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("a name and a value are wanted, such as 'Accept-Language: de'".to_owned()),
    }
}

/// Prints what the proxy says.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let ask = Ask {
        method: "GET",
        target: &target(arguments),
        accept: match arguments.json {
            true => "application/json",
            false => "text/plain",
        },
        body: "",
    };
    let (exit, why) = match arguments.client.ask(&ask) {
        Ok(reply) if reply.status() == Some(200) => {
            // Whoever closed the stream does not want to know.
            let _ = io::stdout().write_all(reply.body().as_bytes());
            return ExitCode::SUCCESS;
        }
        Ok(reply) if reply.status() == Some(400) => {
            (ExitCode::from(BAD_CONFIGURATION), reply.reason())
        }
        Ok(reply) => (ExitCode::FAILURE, reply.reason()),
        Err(error) => (ExitCode::FAILURE, error.to_string()),
    };
    let admin = &arguments.client.admin;
    let _ = writeln!(
        io::stderr(),
        "copal: cannot explain by way of {admin}: {why}"
    );
    exit
}

fn target(arguments: &Arguments) -> String {
    let mut target = format!("/api/v1/explain?url={}", encoded(&arguments.url));
    for field in &arguments.header {
        // Writing to a string does not fail.
        let _ = write!(target, "&header={}", encoded(field));
    }
    target
}
