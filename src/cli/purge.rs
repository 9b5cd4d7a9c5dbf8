//! `copal purge`: asks the admin listener of a running proxy to forget.
//!
//! It runs in deploy scripts, once; what it asks goes by way of `client.rs`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use super::client::{Ask, Client, Reply};

#[derive(Args)]
pub(super) struct Arguments {
    /// The URLs to purge, absolute: http://host/path.
    #[arg(
        value_name = "URL",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    urls: Vec<String>,
    /// Purge everything.
    #[arg(long)]
    all: bool,
    /// Leave the responses for revalidation, stale from now on.
    #[arg(long)]
    soft: bool,
    #[command(flatten)]
    client: Client,
}

/// Prints how many responses were purged; the first failure ends it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut total = 0;
    for body in bodies(arguments) {
        match ask(&arguments.client, &body) {
            Ok(count) => total += count,
            Err(error) => {
                let admin = &arguments.client.admin;
                let _ = writeln!(
                    io::stderr(),
                    "copal: cannot purge by way of {admin}: {error}"
                );
                return ExitCode::FAILURE;
            }
        }
    }
    // Whoever closed the stream does not want to know.
    let _ = writeln!(io::stdout(), "purged {total}");
    ExitCode::SUCCESS
}

/// One request's body for each URL.
fn bodies(arguments: &Arguments) -> Vec<String> {
    let soft = arguments.soft;
    if arguments.all {
        return vec![format!("{{\"all\":true,\"soft\":{soft}}}")];
    }
    let body = |url: &String| format!("{{\"url\":\"{}\",\"soft\":{soft}}}", escaped(url));
    arguments.urls.iter().map(body).collect()
}

/// As the inside of a JSON string.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|char| match char {
            '"' | '\\' => vec!['\\', char],
            char if char.is_control() => format!("\\u{:04x}", u32::from(char)).chars().collect(),
            char => vec![char],
        })
        .collect()
}

fn ask(client: &Client, body: &str) -> io::Result<u64> {
    let reply = client.ask(&Ask {
        method: "POST",
        target: "/api/v1/purge",
        accept: "application/json",
        body,
    })?;
    count_of(&reply).ok_or_else(|| io::Error::other(reply.reason()))
}

/// The count of a good answer.
fn count_of(reply: &Reply) -> Option<u64> {
    (reply.status() == Some(200)).then_some(())?;
    reply
        .body()
        .trim()
        .strip_prefix("{\"purged\":")?
        .strip_suffix('}')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_cannot_leave_its_string() {
        assert_eq!(escaped("a\"b\\c\n"), "a\\\"b\\\\c\\u000a");
    }
}
