//! The way to the admin listener of a running proxy, for the commands that talk to it.
//!
//! A plain HTTP/1.1 exchange over a blocking socket: they run in scripts and terminals, once.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const TIMEOUT: Duration = Duration::from_secs(10);
/// No answer of the admin listener that a command asks for is longer.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Where the listener is, and what opens it.
#[derive(Args)]
pub(super) struct Client {
    /// The proxy's admin listener.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9180", value_parser = address)]
    pub(super) admin: String,
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

/// A request, but for what all of them have.
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    /// Path and query, percent-encoded.
    pub(super) target: &'a str,
    pub(super) accept: &'a str,
    pub(super) body: &'a str,
}

/// What came back.
pub(super) struct Reply(String);

// === impl Client ===

impl Client {
    /// Asks, and reads the answer to its end.
    ///
    /// # Errors
    /// Where nobody listens, or the exchange broke off. Any status is an answer.
    pub(super) fn ask(&self, ask: &Ask) -> io::Result<Reply> {
        let mut stream = connect(&self.admin)?;
        let bearer = self
            .token
            .as_ref()
            .map(|token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nAccept: {}\r\nContent-Length: {}\r\n\
             Connection: close\r\n{}\r\n{}",
            ask.method,
            ask.target,
            self.admin,
            ask.accept,
            ask.body.len(),
            bearer.unwrap_or_default(),
            ask.body,
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
        Ok(Reply(answer))
    }
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

// === impl Reply ===

impl Reply {
    /// The status; `None` if this is no answer at all.
    pub(super) fn status(&self) -> Option<u16> {
        let rest = self.0.strip_prefix("HTTP/1.1 ")?;
        rest.get(..3)?.parse().ok()
    }

    pub(super) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// What a bad answer says, on one line.
    pub(super) fn reason(&self) -> String {
        let status = self.0.lines().next().unwrap_or("no answer");
        format!("{status}: {}", self.body().trim())
    }
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

/// With everything percent-encoded but what RFC 3986 §2.3 calls unreserved.
pub(super) fn encoded(text: &str) -> impl Display {
    const RESERVED: AsciiSet = NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, &RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let rows = [
            ("HTTP/1.1 200 OK\r\na: b\r\n\r\nyes\n", Some(200), "yes\n"),
            ("HTTP/1.1 401 Unauthorized\r\n\r\n", Some(401), ""),
            ("HTTP/1.1 200", Some(200), ""),
            ("HTTP/1.1 2", None, ""),
            ("220 smtp ready\r\n", None, ""),
            ("", None, ""),
        ];
        for (text, status, body) in rows {
            let reply = Reply(text.to_owned());
            assert_eq!((reply.status(), reply.body()), (status, body), "{text:?}");
        }
        let refused = Reply("HTTP/1.1 401 Unauthorized\r\n\r\nno\n".to_owned());
        assert_eq!(refused.reason(), "HTTP/1.1 401 Unauthorized: no");
        assert_eq!(Reply(String::new()).reason(), "no answer: ");
    }

    #[test]
    fn nothing_leaves_its_parameter() {
        assert_eq!(
            encoded("http://h/a?b=1&c=%20+é\r\n").to_string(),
            "http%3A%2F%2Fh%2Fa%3Fb%3D1%26c%3D%2520%2B%C3%A9%0D%0A"
        );
    }
}
