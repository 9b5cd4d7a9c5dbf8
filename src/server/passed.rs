//! Sockets that the service manager has opened and passed on (sd_listen_fds(3)), by their names.
//!
//! They are kept for the life of the process: a reload may give one up and want it again later.

use std::env;
use std::io::{self, ErrorKind};
use std::net::TcpListener as StdTcpListener;
use std::os::unix::net::UnixListener as StdUnixListener;

use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixListener};

use super::listening::Listening;

/// What the manager calls sockets that have no name.
const UNNAMED: &str = "unknown";

/// The sockets that were passed to this process.
#[derive(Debug, Default)]
pub struct Passed(Vec<(String, Socket)>);

#[derive(Debug)]
enum Socket {
    Tcp(StdTcpListener),
    Unix(StdUnixListener),
}

// === impl Passed ===

impl Passed {
    /// Takes them from the environment, which has none of them afterwards. For the start of the
    /// process, before there are other threads.
    pub fn take() -> Self {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').filter(|it| !it.is_empty());
        let mut given = ListenFd::from_env();
        let sockets = (0..given.len()).filter_map(|at| {
            let name = names.next().unwrap_or(UNNAMED).to_owned();
            // Of another kind there is none that we could use.
            Socket::take(&mut given, at).map(|socket| (name, socket))
        });
        Self(sockets.collect())
    }

    /// Those of this name, to be listened on.
    ///
    /// # Errors
    /// When there is none; it says which there are.
    pub(super) fn listening(&self, name: &str) -> io::Result<Vec<Listening>> {
        let named = self.0.iter().filter(|(known, _)| known == name);
        let found: Vec<_> = named
            .map(|(_, socket)| socket.listening())
            .collect::<io::Result<_>>()?;
        match found.is_empty() {
            true => Err(io::Error::new(ErrorKind::NotFound, self.others())),
            false => Ok(found),
        }
    }

    fn others(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        match names.is_empty() {
            true => "the service manager has passed no socket".to_owned(),
            false => format!("the service manager has passed only: {}", names.join(", ")),
        }
    }
}

// === impl Socket ===

impl Socket {
    fn take(given: &mut ListenFd, at: usize) -> Option<Self> {
        if let Ok(Some(socket)) = given.take_tcp_listener(at) {
            return Some(Self::Tcp(socket));
        }
        let socket = given.take_unix_listener(at).ok()??;
        Some(Self::Unix(socket))
    }

    fn listening(&self) -> io::Result<Listening> {
        Ok(match self {
            Self::Tcp(socket) => {
                let socket = socket.try_clone()?;
                socket.set_nonblocking(true)?;
                Listening::Tcp(TcpListener::from_std(socket)?)
            }
            Self::Unix(socket) => {
                let socket = socket.try_clone()?;
                socket.set_nonblocking(true)?;
                // The manager's to remove.
                Listening::Unix(UnixListener::from_std(socket)?, None)
            }
        })
    }
}
