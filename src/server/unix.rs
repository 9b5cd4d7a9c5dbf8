//! Unix socket of a listener: its name in the file system, who may connect, and its removal.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::sync::Arc;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tracing::warn;

use crate::config::{ListenAddress, UnixAddress};

/// A name in the file system, which goes when nobody listens behind it any more.
#[derive(Debug)]
pub struct Name {
    path: Arc<Path>,
    /// Device and number: another process may have put a socket of its own in its place.
    inode: (u64, u64),
}

/// Binds the socket. It has its owner and mode before the first client can connect.
pub(super) fn bind(address: &UnixAddress, backlog: u32) -> io::Result<(UnixListener, Name)> {
    let path = &*address.path;
    make_room(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let name = Name::of(&address.path)?;
    set_owner(address)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok((UnixListener::from_std(socket.into())?, name))
}

/// Has those connect from now on that `wanted` lets, where that is the same socket with another owner or
/// mode. Those who are connected stay so.
pub fn permit(bound: &mut ListenAddress, wanted: &ListenAddress) {
    let ListenAddress::Unix(address) = wanted else {
        return;
    };
    if bound == wanted {
        return;
    }
    match set_owner(address) {
        Ok(()) => *bound = wanted.clone(),
        Err(error) => warn!(address = %wanted, %error, "cannot change owner or mode of a socket"),
    }
}

fn set_owner(address: &UnixAddress) -> io::Result<()> {
    if address.user.is_some() || address.group.is_some() {
        chown(&address.path, address.user, address.group)?;
    }
    fs::set_permissions(&address.path, fs::Permissions::from_mode(address.mode))
}

/// Removes what a process left that is gone. Nothing that is in use goes, nor what is no socket.
fn make_room(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        let text = "there is a file of that name, which is no socket";
        return Err(io::Error::new(ErrorKind::AlreadyExists, text));
    }
    match StdUnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        // Somebody listens, be their queue full.
        Ok(_) | Err(_) => Err(ErrorKind::AddrInUse.into()),
    }
}

/// The same connection under the type of those of TCP.
///
/// A stream socket is read, written, peeked at and closed alike whatever its family; what only TCP has
/// is refused by the kernel, and nobody minds.
pub(super) fn as_stream(stream: UnixStream) -> io::Result<TcpStream> {
    let descriptor = std::os::fd::OwnedFd::from(stream.into_std()?);
    TcpStream::from_std(descriptor.into())
}

// === impl Name ===

impl Name {
    fn of(path: &Arc<Path>) -> io::Result<Self> {
        Ok(Self {
            path: Arc::clone(path),
            inode: inode(path)?,
        })
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|it| it == self.inode) {
            // One that stays is removed by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}
