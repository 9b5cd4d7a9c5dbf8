//! Command `copal config`: what a running proxy has in force, from its admin listener.

use std::process::ExitCode;

use clap::Args;

use super::client::{Ask, Client};

#[derive(Args)]
pub(super) struct Arguments {
    /// As JSON instead of TOML.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: Client,
}

/// Prints what the proxy says.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let answered = arguments.client.ask(Ask {
        method: "GET",
        target: "/api/v1/config",
        accept: match arguments.json {
            true => "application/json",
            false => "application/toml",
        },
        body: String::new(),
    });
    arguments.client.finish("show the configuration", answered)
}
