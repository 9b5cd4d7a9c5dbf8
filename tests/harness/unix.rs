//! A Unix socket in front of a scripted origin. Expectations of Copal are not here.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::Origin;

/// A socket in the file system whose bytes go to an origin. It ends when dropped.
pub struct UnixDoor {
    _accepting: JoinSet<()>,
}

// === impl UnixDoor ===

impl UnixDoor {
    /// Listens at `path`, in front of `origin`.
    pub fn before(origin: &Origin, path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a path that is free");
        let behind = origin.address();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                serving.spawn(pass_on(stream, behind));
            }
        });
        Self {
            _accepting: accepting,
        }
    }
}

async fn pass_on(mut stream: UnixStream, behind: SocketAddr) {
    if let Ok(mut inner) = TcpStream::connect(behind).await {
        // Whichever side breaks off, both end here.
        tokio::io::copy_bidirectional(&mut stream, &mut inner)
            .await
            .ok();
    }
}
