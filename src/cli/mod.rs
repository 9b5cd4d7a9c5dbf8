//! Command line of the binary: one file per subcommand.
//!
//! Each turns its arguments into a call of the floors below and the outcome into an exit code:
//! 0 clean, 1 a failure at run time, 2 bad arguments or configuration.

mod check;
mod client;
mod colours;
mod completions;
mod config;
mod demo;
mod explain;
mod man;
mod meets;
mod purge;
mod reload;
mod run;
mod servers;
mod tcp;
mod test;
mod tls;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Bad arguments or configuration.
const BAD_CONFIGURATION: u8 = 2;

/// A caching HTTP reverse proxy.
#[derive(Parser)]
#[command(name = "copal", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the proxy, from a file or from flags.
    Run(run::Arguments),
    /// Check a configuration file: tell every complaint and note with its line, and what a URL meets.
    Check(check::Arguments),
    /// Run cases through a configuration: requests, what origins would answer, and what is expected.
    Test(test::Arguments),
    /// Show what it does in five acts: a slow origin, and the proxy before it.
    Demo(demo::Arguments),
    /// Balance TCP connections over servers, whatever they speak.
    Tcp(tcp::Arguments),
    /// Purge a running proxy's stored responses.
    Purge(purge::Arguments),
    /// Show how the servers of a running proxy stand; drain one, or give it another weight.
    Servers(servers::Arguments),
    /// Tell what a running proxy knows of a URL, and what a GET would meet.
    Explain(explain::Arguments),
    /// Have a running proxy read its configuration again; tell what has changed, or what is wrong.
    Reload(reload::Arguments),
    /// Show the configuration that a running proxy has in force, without its secrets.
    Config(config::Arguments),
    /// Print what lets a shell complete the arguments of these commands.
    Completions(completions::Arguments),
    /// Write a manual page for each command into a folder; packages do so.
    #[command(hide = true)]
    Man(man::Arguments),
}

// === impl Cli ===

impl Cli {
    /// Carries out the command.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Run(arguments) => run::run(arguments),
            Command::Check(arguments) => check::run(arguments),
            Command::Test(arguments) => test::run(&arguments),
            Command::Demo(arguments) => demo::run(&arguments),
            Command::Tcp(arguments) => tcp::run(arguments),
            Command::Purge(arguments) => purge::run(&arguments),
            Command::Servers(arguments) => servers::run(&arguments),
            Command::Explain(arguments) => explain::run(&arguments),
            Command::Reload(arguments) => reload::run(&arguments),
            Command::Config(arguments) => config::run(&arguments),
            Command::Completions(arguments) => completions::run(&arguments),
            Command::Man(arguments) => man::run(&arguments),
        }
    }
}
