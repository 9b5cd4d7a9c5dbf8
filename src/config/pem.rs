//! PEM files that the configuration names, read within a bound: certificates, keys and revocation lists.
//!
//! Not which keys name them, nor whether a certificate is the right one.

use std::fs::File;
use std::io::{self, Read as _};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

/// No file of certificates is larger; those of whole systems have a quarter of it.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Revocation lists grow with those revoked.
const LIST_BYTES_MAX: u64 = 32 << 20;

/// All certificates of a PEM file, of which there is one at least.
pub(super) fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path, FILE_BYTES_MAX)?;
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match list {
        Ok(list) if list.is_empty() => Err(format!("{path} holds no certificate in PEM form")),
        Ok(list) => Ok(list),
        Err(error) => Err(format!("{path} is no PEM file: {error}")),
    }
}

/// The first private key of a PEM file.
pub(super) fn private_key(path: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(path, FILE_BYTES_MAX)?)
        .map_err(|error| format!("{path} holds no private key in PEM form: {error}"))
}

/// All certificates of a PEM file, each of which can vouch for others.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn roots(path: &str) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = store.add(certificate);
        added.map_err(|error| format!("holds a certificate that cannot be a root: {error}"))?;
    }
    Ok(store)
}

/// All revocation lists of a PEM file, of which there is one at least.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn revocation_lists(path: &str) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let text = read(path, LIST_BYTES_MAX)?;
    let list: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&text).collect();
    match list {
        Ok(list) if list.is_empty() => Err(format!("{path} holds no revocation list in PEM form")),
        Ok(list) => Ok(list),
        Err(error) => Err(format!("{path} is no PEM file: {error}")),
    }
}

/// The bytes of a small file.
pub(super) fn read(path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
    read_bounded(path, bytes_max).map_err(|error| unreadable(path, &error))
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
        let mebibytes = bytes_max >> 20;
        return Err(io::Error::other(format!(
            "it is larger than {mebibytes} MiB"
        )));
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
