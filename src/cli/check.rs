//! Command `copal check [FILE]`: is this file a configuration, and is it meant so?
//!
//! Not whether its addresses can be bound or its origins answer: nothing is opened but the file, and
//! the certificates that it names.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::BAD_CONFIGURATION;
use super::meets::{self, Question};
use crate::clock;
use crate::config::{self, Care, Config};

/// What is read where no file is named.
const FILE: &str = "config.toml";

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: File,
    /// Take notes, which say what was surely meant otherwise, for mistakes: exit with 2.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    question: Question,
}

/// A configuration file, named in one of two ways.
#[derive(Args)]
pub(super) struct File {
    /// The configuration file [default: config.toml].
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same.
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

// === impl File ===

impl File {
    /// The file that was named, or that of the default.
    pub(super) fn path(self) -> PathBuf {
        let named = self.file.or(self.config);
        named.unwrap_or_else(|| FILE.into())
    }
}

/// Checks a file. Says `FILE: ok` on standard output and returns 0, or tells every complaint on
/// standard error, one a line as `file:line: key: what and how to mend`, and returns 2. Notes are told
/// in the same way; by themselves they are no reason for 2 unless that is asked for.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    let path = arguments.file.path();
    // Who closes the stream does not want to know more; the exit code says it all the same.
    let config = match config::load_with(&path, Care::Check(clock::now())) {
        Ok(config) => config,
        Err(complaints) => {
            let _ = writeln!(std::io::stderr(), "{complaints}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    tell_notes(&config);
    if arguments.strict && !config.notes.is_empty() {
        return ExitCode::from(BAD_CONFIGURATION);
    }
    match arguments.question.url() {
        Some(_) => meets::run(&config, &arguments.question),
        None => say_ok(&path),
    }
}

fn tell_notes(config: &Config) {
    for note in &config.notes {
        let _ = writeln!(std::io::stderr(), "{note}");
    }
}

fn say_ok(path: &Path) -> ExitCode {
    let _ = writeln!(std::io::stdout(), "{}: ok", path.display());
    ExitCode::SUCCESS
}
