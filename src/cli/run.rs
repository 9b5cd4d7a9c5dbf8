//! Command `copal run`: the proxy, from a TOML file or from flags that stand for one.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::BAD_CONFIGURATION;
use super::check::File;
use super::colours;
use crate::app::{App, Descriptors, Ended};
use crate::config::{self, Complaints, Config, Flags};
use crate::telemetry;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: File,
    /// Without a file: where clients come in, such as 127.0.0.1:8080.
    #[arg(long, value_name = "ADDR", requires = "origin", conflicts_with_all = ["file", "config"])]
    listen: Vec<String>,
    /// Without a file: a server to fetch from, such as http://127.0.0.1:8081. May be repeated.
    #[arg(long, value_name = "URL", requires = "listen", conflicts_with_all = ["file", "config"])]
    origin: Vec<String>,
    /// The admin listener.
    #[arg(long, value_name = "ADDR", requires = "listen")]
    admin: Option<String>,
    /// Memory for objects, such as 512MiB.
    #[arg(long, value_name = "SIZE", requires = "listen")]
    memory: Option<String>,
    /// Which defaults: cautious or rfc.
    #[arg(long, value_name = "NAME", requires = "listen")]
    profile: Option<String>,
    /// Lifetime of responses that say nothing about their own, such as 60s.
    #[arg(long, value_name = "DURATION", requires = "listen")]
    default_ttl: Option<String>,
}

/// Runs until a signal ends it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    run_config(configuration(arguments))
}

/// Runs this configuration, with the file that a reload reads, until a signal ends it.
pub(super) fn run_config(found: Result<(Config, Option<PathBuf>), Complaints>) -> ExitCode {
    // Whoever closed the stream is not to change the exit code.
    let (config, file) = match found {
        Ok(found) => found,
        Err(complaints) => {
            let _ = writeln!(std::io::stderr(), "{complaints}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    telemetry::init(&config.log, colours::are_wanted(&std::io::stderr()));
    let ended = serve(config, file);
    telemetry::end();
    match ended {
        // A drain that ran into its deadline has done what was asked of it.
        Ok(Ended::Clean | Ended::Cut) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "copal: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn configuration(arguments: Arguments) -> Result<(Config, Option<PathBuf>), Complaints> {
    if arguments.listen.is_empty() {
        let file = arguments.file.path();
        return Ok((config::load(&file)?, Some(file)));
    }
    let flags = Flags {
        listen: arguments.listen,
        origins: arguments.origin,
        admin: arguments.admin,
        memory: arguments.memory,
        profile: arguments.profile,
        default_ttl: arguments.default_ttl,
    };
    Ok((Config::from_flags(&flags)?, None))
}

fn serve(config: Config, file: Option<PathBuf>) -> anyhow::Result<Ended> {
    // Before anything is opened.
    let descriptors = Descriptors::claim(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let app = App::start(&config, file, descriptors)?;
        app.announce();
        anyhow::Ok(app.run().await)
    });
    // What is still in progress has had its time.
    runtime.shutdown_background();
    ended
}
