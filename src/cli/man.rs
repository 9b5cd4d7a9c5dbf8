//! Command `copal man`: manual pages, one for each command, for packages.

use std::io::{Write as _, stderr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};

use super::Cli;

#[derive(Args)]
pub(super) struct Arguments {
    /// The folder that gets them.
    folder: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match clap_mangen::generate_to(Cli::command(), &arguments.folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let folder = arguments.folder.display();
            // Whoever closed the stream does not want to know.
            let _ = writeln!(stderr(), "copal: {folder}: {error}");
            ExitCode::FAILURE
        }
    }
}
