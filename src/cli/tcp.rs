//! Command `copal tcp LISTEN BACKEND…`: a balancer of TCP connections, without a file.

use std::process::ExitCode;

use clap::Args;

use super::run;
use crate::config::{Config, TcpFlags};

#[derive(Args)]
pub(super) struct Arguments {
    /// Where clients come in, such as 127.0.0.1:6379; port 0 picks a free one.
    #[arg(value_name = "LISTEN")]
    listen: String,
    /// A server to connect them to, such as redis.internal:6379. May be repeated.
    #[arg(value_name = "BACKEND", required = true)]
    backends: Vec<String>,
}

/// Runs until a signal ends it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    let flags = TcpFlags {
        listen: arguments.listen,
        backends: arguments.backends,
    };
    run::run_config(Config::from_tcp_flags(&flags).map(|config| (config, None)))
}
