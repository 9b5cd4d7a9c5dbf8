//! Files that the configuration names, read within a bound.
//!
//! Not what they hold, nor the files of the configuration itself (`include.rs`).

use std::fs::File;
use std::io::{self, Read as _};

/// The bytes of a file of at most `bytes_max`.
pub(super) fn read(path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
    read_bounded(path, bytes_max).map_err(|error| unreadable(path, &error))
}

/// The same for a text.
pub(super) fn read_text(path: &str, bytes_max: u64) -> Result<String, String> {
    let bytes = read(path, bytes_max)?;
    String::from_utf8(bytes).map_err(|_| format!("{path} is no text in UTF-8"))
}

/// What is said of a file that cannot be read. Of the two reasons that are met most, the way out is
/// said as well.
fn unreadable(path: &str, error: &io::Error) -> String {
    let mend = match error.kind() {
        io::ErrorKind::NotFound => {
            "; is the path right? A relative one begins where copal was started"
        }
        io::ErrorKind::PermissionDenied => {
            "; have the user that runs copal own it (chown), and leave the mode at 600"
        }
        _ => "",
    };
    format!("{path} cannot be read: {error}{mend}")
}

fn read_bounded(path: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(bytes_max + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        let size = match bytes_max >> 20 {
            0 => format!("{} KiB", bytes_max >> 10),
            mebibytes => format!("{mebibytes} MiB"),
        };
        return Err(io::Error::other(format!("it is larger than {size}")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_told_with_the_way_out() {
        for (kind, mend) in [
            (io::ErrorKind::NotFound, "is the path right"),
            (io::ErrorKind::PermissionDenied, "chown"),
            (io::ErrorKind::IsADirectory, "cannot be read"),
        ] {
            let text = unreadable("a.key", &kind.into());
            assert!(text.starts_with("a.key ") && text.contains(mend), "{text}");
        }
    }
}
