//! `copal purge`: asks the admin listener of a running proxy to forget.
//!
//! A plain HTTP/1.1 exchange over a blocking socket: it runs in deploy scripts, once.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

const TIMEOUT: Duration = Duration::from_secs(10);
/// No answer of the purge endpoint is longer.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

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
    /// The proxy's admin listener.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9180", value_parser = address)]
    admin: String,
    /// Its token.
    #[arg(
        long,
        value_name = "TOKEN",
        value_parser = token,
        env = "COPAL_ADMIN_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
}

/// A host and a port, as they stand before any look-up.
fn address(text: &str) -> Result<String, String> {
    let port = text
        .rsplit_once(':')
        .map(|(host, port)| (!host.is_empty(), port.parse::<u16>()));
    match port {
        Some((true, Ok(_))) => Ok(text.to_owned()),
        _ => Err("a host and a port are wanted, such as 127.0.0.1:9180".to_owned()),
    }
}

/// A token without what would end its line.
fn token(text: &str) -> Result<String, String> {
    let token = text.trim();
    if token.chars().all(|char| char.is_ascii_graphic()) {
        return Ok(token.to_owned());
    }
    Err("a token has visible ASCII characters only".to_owned())
}

/// Prints how many responses were purged; the first failure ends it.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut total = 0;
    for body in bodies(arguments) {
        match ask(arguments, &body) {
            Ok(count) => total += count,
            Err(error) => {
                let admin = &arguments.admin;
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

fn ask(arguments: &Arguments, body: &str) -> io::Result<u64> {
    let mut stream = connect(&arguments.admin)?;
    let bearer = arguments
        .token
        .as_ref()
        .map(|token| format!("Authorization: Bearer {token}\r\n"));
    let request = format!(
        "POST /api/v1/purge HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{body}",
        arguments.admin,
        body.len(),
        bearer.unwrap_or_default(),
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    count_of(&answer).ok_or_else(|| io::Error::other(reason_of(&answer)))
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the address has no host");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The count of a good answer.
fn count_of(answer: &str) -> Option<u64> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then_some(())?;
    body.trim()
        .strip_prefix("{\"purged\":")?
        .strip_suffix('}')?
        .parse()
        .ok()
}

/// What a bad answer says, on one line.
fn reason_of(answer: &str) -> String {
    let status = answer.lines().next().unwrap_or("no answer");
    let body = answer
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body.trim());
    format!("{status}: {body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_cannot_leave_its_string() {
        assert_eq!(escaped("a\"b\\c\n"), "a\\\"b\\\\c\\u000a");
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(
            count_of("HTTP/1.1 200 OK\r\na: b\r\n\r\n{\"purged\":3}\n"),
            Some(3)
        );
        assert_eq!(count_of("HTTP/1.1 401 Unauthorized\r\n\r\nno\n"), None);
        assert_eq!(
            reason_of("HTTP/1.1 401 Unauthorized\r\n\r\nno\n"),
            "HTTP/1.1 401 Unauthorized: no"
        );
    }
}
