//! `copal purge`: asks the admin listener of a running proxy to forget.
//!
//! It runs in deploy scripts, once; what it asks goes by way of `door.rs`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgGroup, Args};

use super::door::{Ask, Door, Reply};

#[derive(Args)]
#[command(group = ArgGroup::new("what").args(["urls", "prefix", "host", "all"]).required(true).multiple(true))]
pub(super) struct Arguments {
    /// The URLs to purge, absolute: http://host/path.
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// Purge all that begins with this URL, which ends with a slash; as often as wished.
    #[arg(long, value_name = "URL")]
    prefix: Vec<String>,
    /// Purge all of a host; as often as wished.
    #[arg(long)]
    host: Vec<String>,
    /// Purge everything.
    #[arg(long, conflicts_with_all = ["urls", "prefix", "host"])]
    all: bool,
    /// Leave the responses for revalidation, stale from now on.
    #[arg(long)]
    soft: bool,
    #[command(flatten)]
    door: Door,
}

/// Prints how many responses were purged, where that is known; the first failure ends it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut total = Some(0);
    for body in bodies(arguments) {
        match ask(&arguments.door, &body) {
            Ok(count) => total = total.zip(count).map(|(total, count)| total + count),
            Err(error) => {
                let admin = &arguments.door.admin;
                let _ = writeln!(
                    io::stderr(),
                    "copal: cannot purge by way of {admin}: {error}"
                );
                return ExitCode::FAILURE;
            }
        }
    }
    // Whoever closed the stream does not want to know.
    let _ = match total {
        Some(total) => writeln!(io::stdout(), "purged {total}"),
        None => writeln!(io::stdout(), "purged, without a count"),
    };
    ExitCode::SUCCESS
}

/// One request's body for each thing that is to be purged.
fn bodies(arguments: &Arguments) -> Vec<String> {
    let soft = arguments.soft;
    if arguments.all {
        return vec![format!("{{\"all\":true,\"soft\":{soft}}}")];
    }
    let what = [
        ("url", &arguments.urls),
        ("prefix", &arguments.prefix),
        ("host", &arguments.host),
    ];
    let body = |key, value| format!("{{\"{key}\":\"{}\",\"soft\":{soft}}}", escaped(value));
    what.into_iter()
        .flat_map(|(key, values)| values.iter().map(move |value| body(key, value)))
        .collect()
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

fn ask(door: &Door, body: &str) -> io::Result<Option<u64>> {
    let reply = door.ask(&Ask {
        method: "POST",
        target: "/api/v1/purge",
        accept: "application/json",
        body,
    })?;
    count_of(&reply).ok_or_else(|| io::Error::other(reply.reason()))
}

/// The count of a good answer, which may be that there is none.
fn count_of(reply: &Reply) -> Option<Option<u64>> {
    (reply.status() == Some(200)).then_some(())?;
    let body = reply.body().trim();
    match body.strip_prefix("{\"purged\":")?.strip_suffix('}')? {
        "null" => Some(None),
        count => count.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_cannot_leave_its_string() {
        assert_eq!(escaped("a\"b\\c\n"), "a\\\"b\\\\c\\u000a");
    }
}
