//! Command `copal test FILE`: cases, run through the whole pipeline against origins that a script plays,
//! without a socket and on a clock that stands still but where a case lets time pass.

mod cases;
mod checks;
mod origin;
mod report;
mod trial;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;

use super::BAD_CONFIGURATION;
use crate::clock;
use crate::config::{self, Access, Care, Config};
use crate::telemetry::Telemetry;
use cases::Cases;
use report::{Outcome, Report};
use trial::Trial;

#[derive(Args)]
pub(super) struct Arguments {
    /// The cases.
    #[arg(value_name = "FILE")]
    cases: PathBuf,
    /// The configuration, in place of the one that the cases name [default: config.toml].
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write the results as JUnit's XML as well.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Name the rules that were true in no case.
    #[arg(long)]
    coverage: bool,
}

/// Runs all cases. Returns 0 if each went as expected, 1 if one did not, and 2 if one of the files cannot
/// be used.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let (cases, config) = match read(arguments) {
        Ok(read) => read,
        Err(wrong) => {
            let _ = writeln!(std::io::stderr(), "{wrong}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    match try_out(arguments, &cases, &config) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "copal test: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn read(arguments: &Arguments) -> Result<(Cases, Config), String> {
    let cases = Cases::load(&arguments.cases)?;
    let named = arguments.config.as_ref().or(cases.config.as_ref());
    let path = named.cloned().unwrap_or_else(|| "config.toml".into());
    let config = config::load_with(&path, Care::Check(clock::now()));
    let mut config = config.map_err(|complaints| complaints.to_string())?;
    config.log.access = Access::Off;
    config.origins.values_mut().for_each(origin::plain);
    Ok((cases, config))
}

/// Whether all went as expected.
fn try_out(arguments: &Arguments, cases: &Cases, config: &Config) -> anyhow::Result<bool> {
    let telemetry = Telemetry::open(&config.log).context("cannot count")?;
    let telemetry = Arc::new(telemetry);
    let mut report = Report::new(&arguments.cases);
    for (line, case) in &cases.cases {
        // One of its own for each, so that what is left of one does not run on in the next.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .context("cannot run anything")?;
        let failed = runtime.block_on(async {
            match Trial::new(config, &telemetry, case) {
                Ok(trial) => trial.run(case).await,
                Err(error) => vec![format!("the configuration cannot be used: {error}")],
            }
        });
        report.add(Outcome {
            line: *line,
            name: case.name.clone(),
            failed,
        });
    }
    if arguments.coverage {
        report.cover(config, &telemetry);
    }
    if let Some(path) = &arguments.junit {
        std::fs::write(path, report.junit())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    // Who closes the stream does not want to know more; the exit code says it all the same.
    let _ = writeln!(std::io::stdout(), "{report}");
    Ok(report.is_good())
}
