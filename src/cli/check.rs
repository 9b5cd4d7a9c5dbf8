//! Command `copal check [-c FILE]`: is this file a configuration?
//!
//! Not whether its addresses can be bound or its origins answer: nothing is opened but the file, and
//! the certificates that it names.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::clock;
use crate::config::{self, Care};

/// Bad arguments or configuration.
pub(super) const BAD_CONFIGURATION: u8 = 2;

/// Checks the file at `path`. Says `FILE: ok` on standard output and returns 0, or tells every
/// complaint on standard error, one a line as `file:line: key: what and how to mend`, and
/// returns 2.
pub(super) fn run(path: &Path) -> ExitCode {
    // Who closes the stream does not want to know more; the exit code says it all the same.
    match config::load_with(path, Care::Check(clock::now())) {
        Ok(_) => {
            let _ = writeln!(std::io::stdout(), "{}: ok", path.display());
            ExitCode::SUCCESS
        }
        Err(complaints) => {
            let _ = writeln!(std::io::stderr(), "{complaints}");
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}
