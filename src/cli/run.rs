//! Command `copal run`: the proxy, from a TOML file or from flags that stand for one.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::BAD_CONFIGURATION;
use super::check::File;
use super::colours;
use crate::app::{App, Descriptors, Ended, Passed};
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
    #[arg(long, value_name = "URL", conflicts_with_all = ["file", "config"])]
    origin: Vec<String>,
    /// The admin listener.
    #[arg(long, value_name = "ADDR", requires = "origin")]
    admin: Option<String>,
    /// Memory for objects, such as 512MiB.
    #[arg(long, value_name = "SIZE", requires = "origin")]
    memory: Option<String>,
    /// Which defaults: cautious or rfc.
    #[arg(long, value_name = "NAME", requires = "origin")]
    profile: Option<String>,
    /// Lifetime of responses that say nothing about their own, such as 60s.
    #[arg(long, value_name = "DURATION", requires = "origin")]
    default_ttl: Option<String>,
    /// HTTPS for this name, with a certificate of Let's Encrypt that is fetched and renewed; listens
    /// on ports 80 and 443. May be repeated.
    #[arg(long, value_name = "NAME", requires = "origin")]
    domain: Vec<String>,
    /// With --domain: where the CA may write to; by it you agree to the CA's terms of service.
    #[arg(long, value_name = "ADDR", requires = "domain")]
    email: Option<String>,
    /// With --domain: where clients come in by TLS [default: port 443 of all addresses].
    #[arg(long, value_name = "ADDR", requires = "domain")]
    https: Vec<String>,
    /// With --domain: another CA, by the URL of its ACME directory.
    #[arg(long, value_name = "URL", requires = "domain")]
    acme_directory: Option<String>,
    /// With --acme-directory: the certificate that vouches for that CA's own server, in a PEM file.
    #[arg(long, value_name = "FILE", requires = "acme_directory")]
    acme_roots: Option<String>,
    /// With --domain: where certificates are kept [default: /var/lib/copal/acme, or of the user].
    #[arg(long, value_name = "DIR", requires = "domain")]
    storage: Option<String>,
}

/// Runs until a signal ends it.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    run_config(configuration(arguments))
}

/// Runs this configuration, with the file that a reload reads, until a signal ends it.
pub(super) fn run_config(found: Result<(Config, Option<PathBuf>), Complaints>) -> ExitCode {
    // While there is no other thread.
    let passed = Passed::take();
    // Whoever closed the stream is not to change the exit code.
    let (config, file) = match found {
        Ok(found) => found,
        Err(complaints) => {
            let _ = writeln!(std::io::stderr(), "{complaints}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    telemetry::init(&config.log, colours::are_wanted(&std::io::stderr()));
    let ended = serve(config, file, passed);
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
    if arguments.listen.is_empty() && arguments.origin.is_empty() {
        let file = arguments.file.path();
        return Ok((config::load(&file)?, Some(file)));
    }
    let has_domain = !arguments.domain.is_empty();
    let usual = |given: Vec<String>, port: u16| match given.is_empty() && has_domain {
        true => vec![all_addresses(port)],
        false => given,
    };
    let flags = Flags {
        listen: usual(arguments.listen, 80),
        origins: arguments.origin,
        admin: arguments.admin,
        memory: arguments.memory,
        profile: arguments.profile,
        default_ttl: arguments.default_ttl,
        https: usual(arguments.https, 443),
        domains: arguments.domain,
        email: arguments.email,
        acme_directory: arguments.acme_directory,
        acme_roots: arguments.acme_roots,
        storage: arguments.storage,
    };
    Ok((Config::from_flags(&flags)?, None))
}

/// Those of IPv4 are among those of IPv6, where the system has any of them.
fn all_addresses(port: u16) -> String {
    match Path::new("/proc/net/if_inet6").exists() {
        true => format!("[::]:{port}"),
        false => format!("0.0.0.0:{port}"),
    }
}

fn serve(config: Config, file: Option<PathBuf>, passed: Passed) -> anyhow::Result<Ended> {
    // Before anything is opened.
    let descriptors = Descriptors::claim(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let app = App::start(&config, file, descriptors, passed)?;
        app.announce();
        anyhow::Ok(app.run().await)
    });
    // What is still in progress has had its time.
    runtime.shutdown_background();
    ended
}
