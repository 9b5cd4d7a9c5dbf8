//! Command `copal completions`: what lets a shell complete our arguments, on standard output.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::Cli;

#[derive(Args)]
pub(super) struct Arguments {
    /// The shell that is to complete them.
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut script = Vec::new();
    generate(arguments.shell, &mut Cli::command(), "copal", &mut script);
    // Whoever closed the stream does not want to know.
    let _ = stdout().write_all(&script);
    ExitCode::SUCCESS
}
