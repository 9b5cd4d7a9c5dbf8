//! Address of a listener: an IP address with a port, the path of a Unix socket, or the name of sockets
//! that the service manager has opened.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;

use super::meant::addresses;
use super::report::{Given, Report};

/// `sun_path` of `sockaddr_un` has 108 bytes, the last of which is zero (unix(7)).
const PATH_BYTES_MAX: usize = 107;
const UNIX: &str = "unix:";
const SYSTEMD: &str = "systemd:";

/// Who may connect where nothing is written: everybody on the machine, as to a port of loopback.
pub(super) const FOR_ALL: u32 = 0o666;
/// The same for those who may change things.
pub(super) const FOR_OWNER: u32 = 0o600;

/// Where a listener awaits clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Port 0 picks a free one.
    Ip(SocketAddr),
    /// A socket in the file system.
    Unix(UnixAddress),
    /// The sockets that the service manager has opened and named so: `FileDescriptorName=` of
    /// systemd.socket(5).
    Passed(Arc<str>),
}

/// A socket in the file system, and who may connect to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixAddress {
    /// The name of the socket.
    pub path: Arc<Path>,
    /// Permissions; whoever may write may connect.
    pub mode: u32,
    /// The user whose it is; `None` for the process's own.
    pub user: Option<u32>,
    /// Its group; `None` for the process's own.
    pub group: Option<u32>,
}

/// The keys of a table that say where it listens.
pub(super) struct Keys<'a> {
    pub(super) address: &'a Spanned<String>,
    pub(super) mode: &'a Given<String>,
    pub(super) owner: &'a Given<String>,
    /// Where `mode` is not written.
    pub(super) usual_mode: u32,
}

/// Whether it is of the forms that have none.
pub(super) fn has_no_ip(text: &str) -> bool {
    text.starts_with(UNIX) || text.starts_with(SYSTEMD)
}

// === impl ListenAddress ===

impl ListenAddress {
    /// The address of IP, where it has one.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) | Self::Passed(_) => None,
        }
    }

    /// Whether only this machine can come in there, as far as is known.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Ip(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
            Self::Passed(_) => false,
        }
    }

    /// Whether both are one place, whoever may come in there.
    pub fn is_at(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix(one), Self::Unix(other)) => one.path == other.path,
            _ => self == other,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(address) => write!(f, "{UNIX}{}", address.path.display()),
            Self::Passed(name) => write!(f, "{SYSTEMD}{name}"),
        }
    }
}

// === impl Keys ===

impl Keys<'_> {
    /// `None` after a complaint.
    pub(super) fn resolve(&self, report: &mut Report) -> Option<ListenAddress> {
        let text = self.address.get_ref();
        if let Some(path) = text.strip_prefix(UNIX) {
            return self.resolve_unix(path, report).map(ListenAddress::Unix);
        }
        for key in [self.mode, self.owner].into_iter().flatten() {
            report.at(
                key.span(),
                "is only for an address such as \"unix:/run/copal/http.sock\"; leave this out",
            );
        }
        let parsed = match text.strip_prefix(SYSTEMD) {
            Some(name) => passed(name),
            None => text
                .parse()
                .map(ListenAddress::Ip)
                .map_err(|_| addresses::listener(text)),
        };
        let told = parsed.map_err(|complaint| report.at(self.address.span(), complaint));
        told.ok()
    }

    fn resolve_unix(&self, path: &str, report: &mut Report) -> Option<UnixAddress> {
        if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') {
            let text = "must be the whole path of a socket; write \"unix:/run/copal/http.sock\"";
            report.at(self.address.span(), text);
            return None;
        }
        if path.len() > PATH_BYTES_MAX {
            let text =
                format!("is longer than the {PATH_BYTES_MAX} bytes that a socket's path may have");
            report.at(self.address.span(), text);
            return None;
        }
        let mode = match self.mode {
            Some(text) => mode(text, report)?,
            None => self.usual_mode,
        };
        let (user, group) = match self.owner {
            Some(text) => owner(text, report)?,
            None => (None, None),
        };
        Some(UnixAddress {
            path: Path::new(path).into(),
            mode,
            user,
            group,
        })
    }
}

/// systemd.socket(5): names have up to 255 characters and no colon.
fn passed(name: &str) -> Result<ListenAddress, String> {
    match name.is_empty() || name.len() > 255 || name.contains(':') {
        true => Err(
            "needs the FileDescriptorName= of a socket unit; write \"systemd:http\" for one that has \
             FileDescriptorName=http"
                .to_owned(),
        ),
        false => Ok(ListenAddress::Passed(name.into())),
    }
}

/// Permissions as `chmod` takes them in digits.
fn mode(text: &Spanned<String>, report: &mut Report) -> Option<u32> {
    let digits = text.get_ref();
    let mode = u32::from_str_radix(digits, 8).ok();
    let mode = mode.filter(|mode| *mode <= 0o777 && digits.len() >= 3);
    if mode.is_none() {
        report.at(
            text.span(),
            "is no mode of a file; write \"0660\" for owner and group, or \"0666\" for all",
        );
    }
    mode
}

/// `user`, `user:group` or `:group`, by names or numbers.
fn owner(text: &Spanned<String>, report: &mut Report) -> Option<(Option<u32>, Option<u32>)> {
    let (user, group) = text
        .get_ref()
        .split_once(':')
        .unwrap_or((text.get_ref(), ""));
    let mut find = |name: &str, what: &str, file: &str| match name {
        "" => Ok(None),
        _ => id(name, file).map(Some).ok_or_else(|| {
            let complaint = format!(
                "names no {what} of {file}: `{name}`; write one that is there, or its number"
            );
            report.at(text.span(), complaint);
        }),
    };
    let user = find(user, "user", "/etc/passwd");
    let group = find(group, "group", "/etc/group");
    Some((user.ok()?, group.ok()?))
}

/// The number of a name. Of the sources of names only the files are read, which have those of services.
fn id(name: &str, file: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_numbers() {
        assert_eq!(id("root", "/etc/passwd"), Some(0));
        assert_eq!(id("1234", "/etc/passwd"), Some(1234));
        assert_eq!(id("nobody-has-this-name", "/etc/passwd"), None);
        assert_eq!(id("root", "/no/such/file"), None);
    }
}
