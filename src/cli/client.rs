//! Client of a running proxy's admin listener, for the commands that talk to it.
//!
//! They run in scripts and terminals, once: each request has a connection and a runtime of its own.

use std::fmt::{self, Display};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use http::header::{ACCEPT, AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use http::response::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;

use super::BAD_CONFIGURATION;
use super::tls;
use crate::admin;

const TIMEOUT: Duration = Duration::from_secs(10);
/// No answer of the admin listener that a command asks for is longer.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
const NOT_ADMIN: &str = "this is no admin listener of Copal, so the token was not sent; --admin wants \
                         the address after `listening admin`";

/// Where the listener is, and what opens it.
#[derive(Args)]
pub(super) struct Client {
    /// The proxy's admin listener, as HOST:PORT, as its URL or as unix:/PATH.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9180", value_parser = address)]
    admin: Place,
    /// PEM file of who vouches for it, where it speaks TLS; default those that the system trusts.
    #[arg(long, value_name = "FILE", env = "COPAL_ADMIN_CA")]
    admin_ca: Option<PathBuf>,
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

/// Where a listener is.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    authority: Authority,
    is_tls: bool,
    /// The socket on this machine, which the name in `authority` does not lead to then.
    unix: Option<PathBuf>,
}

/// A request, but for what all of them have.
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    /// Path and query, percent-encoded.
    pub(super) target: &'a str,
    pub(super) accept: &'a str,
    pub(super) body: String,
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// An answer of another status, and what it says.
    #[error("{0}: {1}")]
    Refused(StatusCode, String),
    /// The configuration is not taken, and why.
    #[error("the old configuration goes on\n{0}")]
    Mistakes(String),
    /// No answer, or none that makes sense.
    #[error("{0:#}")]
    Broken(#[from] anyhow::Error),
}

// === impl Client ===

impl Client {
    /// Of an admin listener that wants no token.
    ///
    /// # Errors
    /// No address is refused.
    pub(super) fn of(admin: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            admin: Place {
                authority: admin.to_string().parse()?,
                is_tls: false,
                unix: None,
            },
            admin_ca: None,
            token: None,
        })
    }

    /// The content of the answer, which is a 200.
    ///
    /// # Errors
    /// Nobody listens there, the exchange broke off or took too long, or the status is another.
    pub(super) fn ask(&self, ask: Ask) -> Result<String, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no runtime")?;
        let answered = runtime.block_on(async { timeout(TIMEOUT, self.exchange(ask)).await });
        let late = || format!("no answer within {} s", TIMEOUT.as_secs());
        match answered.with_context(late)?? {
            (StatusCode::OK, text) => Ok(text),
            (status, text) => Err(Failure::Refused(status, text.trim().to_owned())),
        }
    }

    async fn exchange(&self, ask: Ask<'_>) -> anyhow::Result<(StatusCode, String)> {
        let token = self.wanted_token().await?;
        let (head, text) = self.send(ask, token).await?;
        Ok((head.status, text))
    }

    /// The token, where it is wanted. The admin listener is asked beforehand, without it: a listener
    /// for traffic would show it to an origin.
    async fn wanted_token(&self) -> anyhow::Result<Option<&str>> {
        let Some(token) = &self.token else {
            return Ok(None);
        };
        let index = Ask {
            method: "GET",
            target: "/",
            accept: "text/plain",
            body: String::new(),
        };
        let (head, text) = self.send(index, None).await?;
        let is_challenge = |it: &HeaderValue| *it == admin::CHALLENGE;
        let mut challenges = head.headers.get_all(WWW_AUTHENTICATE).iter();
        match head.status {
            _ if came_by_the_cache(&head.headers) => bail!(NOT_ADMIN),
            StatusCode::UNAUTHORIZED if challenges.any(is_challenge) => Ok(Some(token)),
            _ if text.starts_with(admin::NAME) => Ok(None),
            _ => bail!(NOT_ADMIN),
        }
    }

    async fn send(&self, ask: Ask<'_>, token: Option<&str>) -> anyhow::Result<(Parts, String)> {
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(ask.method)
            .uri(ask.target)
            .header(HOST, self.admin.authority.as_str())
            .header(ACCEPT, ask.accept);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(ask.body)))?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
        Ok((head, String::from_utf8_lossy(&body).into_owned()))
    }

    /// A name that leads nowhere is told as that, and not as a connection that failed.
    async fn connect(&self) -> anyhow::Result<Box<dyn admin::Stream>> {
        if let Some(path) = &self.admin.unix {
            let connected = UnixStream::connect(path).await;
            return Ok(Box::new(connected.context("no connection")?));
        }
        let found = lookup_host(self.admin.authority.as_str()).await;
        let addresses: Vec<_> = found.map(Iterator::collect).unwrap_or_default();
        if addresses.is_empty() {
            bail!("the name {:?} has no address", self.admin.authority.host());
        }
        let connected = TcpStream::connect(&*addresses).await;
        let stream = connected.context("no connection")?;
        if !self.admin.is_tls {
            return Ok(Box::new(stream));
        }
        let (host, ca) = (self.admin.authority.host(), self.admin_ca.as_deref());
        Ok(Box::new(tls::connect(stream, host, ca).await?))
    }

    /// Ends a command: shows what was answered, or tells why not.
    pub(super) fn finish(&self, what: &str, answered: Result<String, Failure>) -> ExitCode {
        match answered {
            Ok(text) => {
                // Whoever closed the stream does not want to know.
                let _ = io::stdout().write_all(text.as_bytes());
                ExitCode::SUCCESS
            }
            Err(failure) => {
                let admin = &self.admin;
                let _ = writeln!(
                    io::stderr(),
                    "copal: cannot {what} by way of {admin}: {failure}"
                );
                failure.exit()
            }
        }
    }
}

// === impl Place ===

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unix {
            Some(path) => write!(f, "unix:{}", path.display()),
            None => self.authority.fmt(f),
        }
    }
}

// === impl Failure ===

impl Failure {
    fn exit(&self) -> ExitCode {
        match self {
            Self::Refused(StatusCode::BAD_REQUEST, _) | Self::Mistakes(_) => {
                ExitCode::from(BAD_CONFIGURATION)
            }
            Self::Refused(..) | Self::Broken(_) => ExitCode::FAILURE,
        }
    }
}

/// Whether a listener for traffic has had it in hand, whatever an origin says: they all name
/// themselves, and the admin listener does not.
fn came_by_the_cache(fields: &HeaderMap) -> bool {
    let members = fields.get_all("cache-status").iter();
    let mut members = members.flat_map(|it| it.as_bytes().split(|byte| *byte == b','));
    members.any(|it| it.trim_ascii_start().starts_with(b"copal"))
}

/// A host and a port, as they stand before any look-up; the listener's URL; or the path of its socket.
fn address(text: &str) -> Result<Place, String> {
    let wanted = |_| "a host and a port are wanted, such as 127.0.0.1:9180".to_owned();
    if let Some(path) = text.strip_prefix("unix:").filter(|it| it.starts_with('/')) {
        return Ok(Place {
            authority: Authority::from_static("localhost"),
            is_tls: false,
            unix: Some(path.into()),
        });
    }
    let uri: Uri = text.parse().map_err(wanted)?;
    let has_more = !matches!(uri.path(), "" | "/") || uri.query().is_some();
    let authority = uri
        .authority()
        .filter(|it| !has_more && !it.as_str().contains('@'));
    let with_port = match (uri.scheme_str(), authority) {
        (_, Some(it)) if it.port_u16().is_some() && !it.host().is_empty() => it.to_string(),
        (Some("https"), Some(it)) => format!("{it}:443"),
        (Some(_), Some(it)) => format!("{it}:80"),
        _ => String::new(),
    };
    Ok(Place {
        authority: with_port.parse().map_err(wanted)?,
        is_tls: uri.scheme_str() == Some("https"),
        unix: None,
    })
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
    fn an_address_is_a_host_and_a_port_or_a_url() {
        let rows = [
            ("127.0.0.1:9180", Some("127.0.0.1:9180")),
            ("localhost:80", Some("localhost:80")),
            ("[::1]:9180", Some("[::1]:9180")),
            ("http://admin.example:9180", Some("admin.example:9180")),
            ("http://admin.example/", Some("admin.example:80")),
            ("http://[::1]", Some("[::1]:80")),
            ("admin.example", None),
            (":9180", None),
            ("http://:9180", None),
            ("localhost:99999", None),
            ("http://localhost:99999", None),
            ("http://localhost:9180/admin", None),
            ("http://me@localhost:9180", None),
            ("https://localhost:9180", Some("localhost:9180")),
            ("https://admin.example", Some("admin.example:443")),
            ("/run/copal.sock", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let found = address(text).ok().map(|it| it.authority.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        for (text, expected) in [
            ("unix:/run/copal.sock", "unix:/run/copal.sock"),
            ("127.0.0.1:9180", "127.0.0.1:9180"),
        ] {
            let shown = address(text).map(|it| it.to_string());
            assert_eq!(shown.as_deref(), Ok(expected));
        }
        assert!(address("unix:copal.sock").is_err());
        assert!(address("https://a:1").is_ok_and(|it| it.is_tls));
        assert!(address("http://a:1").is_ok_and(|it| !it.is_tls));
    }

    #[test]
    fn nothing_leaves_its_parameter() {
        assert_eq!(
            encoded("http://h/a?b=1&c=%20+é\r\n").to_string(),
            "http%3A%2F%2Fh%2Fa%3Fb%3D1%26c%3D%2520%2B%C3%A9%0D%0A"
        );
    }
}
